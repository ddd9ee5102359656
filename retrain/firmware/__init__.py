"""From a trained network to firmware sources, and the proof that every link computes the same integers."""
