"""Fills as a detector would deliver them, from a seed: ROOT files, their conditions and, apart, the truth."""
