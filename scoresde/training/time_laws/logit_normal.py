"""Logit-normal times, as in Stable Diffusion 3."""

from pydantic import Field

from .base import time_laws
from .log_normal import LogNormal


@time_laws("logit-normal")
class LogitNormal(LogNormal):
    """ln t/(1 - t) ~ N(mean, std²) on `flow`, where that is ln σ/α; on other processes the same law of ln σ/α.

    Reference: Esser et al. 2024, https://arxiv.org/abs/2403.03206, equation 19.
    """

    mean: float = Field(0.0, description="Mean of ln σ/α.")
    std: float = Field(1.0, gt=0, description="Standard deviation of ln σ/α.")
