"""What the model is: contract, recipe, quantisation-aware training, and the proof that C++ equals PyTorch."""
