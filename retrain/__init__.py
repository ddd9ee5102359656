"""What the model is: contract, recipe, quantisation-aware training, and the proof that C++ and PyTorch agree bit for bit."""
