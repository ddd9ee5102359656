"""What the data say: run files to lumisection counts, conditions, evidence of drift, and a verdict on its cause."""
