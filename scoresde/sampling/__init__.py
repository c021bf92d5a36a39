"""Sampling with counted evaluations and time: samples, latent codes, trajectories, progress."""
