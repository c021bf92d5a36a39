"""What a solver makes of a model, counted and timed once: samples, latent codes, trajectories, progress."""
