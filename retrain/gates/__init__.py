"""One file a gate: its number, its name, the evidence it needs, and the rule."""
