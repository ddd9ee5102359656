"""How training is bent so that what the champion knew is not forgotten; one module for each way."""
