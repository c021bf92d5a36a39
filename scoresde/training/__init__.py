"""Training from a configuration to a run folder, with resume."""
