"""The likelihood of data under a model: by the probability flow, and the variational bound of a discrete chain."""

from .bits import NLL, bits_per_dim, dequantise, nll
from .bound import Bound, mean_vlb
from .divergence import Divergence, Exact, Hutchinson, interleaved
from .flow import Likelihood, log_likelihood
from .hole import hole_likelihood
from .latents import LatentNLL, latent_nll
from .vlb import VLB, chain, vlb

__all__ = [
    "NLL",
    "VLB",
    "Bound",
    "Divergence",
    "Exact",
    "Hutchinson",
    "LatentNLL",
    "Likelihood",
    "bits_per_dim",
    "chain",
    "dequantise",
    "hole_likelihood",
    "interleaved",
    "latent_nll",
    "log_likelihood",
    "mean_vlb",
    "nll",
    "vlb",
]
