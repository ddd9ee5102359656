"""The places where a slot's model can run, one module each; `daemon.targets.catalogue` finds them by name."""
