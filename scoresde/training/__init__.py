"""Training: from a configuration to a run folder, interrupted or not."""
