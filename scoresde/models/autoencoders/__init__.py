"""Autoencoders for models of latents. One file per kind; adding a file adds one."""

from .base import Autoencoder, AutoencoderOptions, Coder, autoencoders

__all__ = ["Autoencoder", "AutoencoderOptions", "Coder", "autoencoders"]
