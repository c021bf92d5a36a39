"""Every process by its name, for tests that run on all of them."""

import math

from scoresde.sde import SDE, sdes


def sigmoid_levels(steps: int = 1000) -> tuple[float, ...]:
    """ᾱ that falls as the logistic function from -3 to 3 does, with β at most 0.999, as in Jabri et al. 2022."""
    logistic = lambda x: 1 / (1 + math.exp(-x))
    even = lambda n: (logistic(3) - logistic(6 * n / steps - 3)) / (logistic(3) - logistic(-3))
    levels = [1.0]
    for n in range(steps):
        levels.append(levels[-1] * max(even(n + 1) / even(n), 1e-3))
    return tuple(levels[1:])


GIVEN = {"chain": {"alphas_cumprod": sigmoid_levels()}}
"""The options of those that have no defaults."""


def process(name: str) -> SDE:
    return sdes[name](**GIVEN.get(name, {}))
