"""Averages of weights by a power of the time: their widths, their updates, and one as a combination of others.

With θ(τ) the weights after τ images, the average over n images is ∫ p(τ) θ(τ) dτ with the profile
p(τ) = (γ + 1) τ^γ / n^(γ+1) on [0, n]. Its relative width, the standard deviation of p divided by n, is
√((γ + 1)/(γ + 3)) / (γ + 2). Unlike a half-life it grows with the run, so the first weights lose their influence.

Reference: Karras et al. 2024, https://arxiv.org/abs/2312.02696, section 3.2 and appendix C.
"""

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

WIDEST = 12**-0.5
"""Relative width of the plain mean of all weights, γ = 0; wider profiles would rise towards the beginning."""


def exponent(width: float) -> float:
    """γ of a relative width σ in (0, 1/√12): the root above 0 of γ³ + 7 γ² + (16 - σ⁻²) γ + 12 - σ⁻² = 0.

    Args:
        width: The relative width σ.
    """
    roots = np.roots([1.0, 7.0, 16 - width**-2, 12 - width**-2])
    return float(roots.real.max())


def share(width: float, batch: int, images: int) -> float:
    """1 - β, β = (1 - batch/images)^(γ+1): the weight of the current weights in the average after a step.

    Weights that are held for a step count with ∫ p over it, exactly; those before the first step do not count.

    Args:
        width: The relative width.
        batch: Images of a step.
        images: Images seen after the step.
    """
    return float(1 - (1 - batch / images) ** (exponent(width) + 1))


class Profile(NamedTuple):
    """The profile of an average."""

    exponent: float
    """γ."""
    images: float
    """n, where it ends."""


def inner(a: Profile, b: Profile) -> float:
    """∫ p_a p_b dτ = (γ_a + 1)(γ_b + 1)/(γ_a + γ_b + 1) (n_a/n_b)^γ_b / n_b, where n_a ≤ n_b.

    Args:
        a: A profile.
        b: A profile.

    Reference: Karras et al. 2024, https://arxiv.org/abs/2312.02696, appendix C.
    """
    a, b = sorted((a, b), key=lambda profile: profile.images)
    factor = (a.exponent + 1) * (b.exponent + 1) / (a.exponent + b.exponent + 1)
    return factor * math.pow(a.images / b.images, b.exponent) / b.images


def combination(profiles: Sequence[Profile], target: Profile) -> tuple[list[float], float]:
    """The sum Σ x_i p_i, Σ x_i = 1, that is nearest to p in the mean square, and √(∫ (Σ x_i p_i - p)² / ∫ p²).

    The shares x_i must add up to 1, so that the average of constant weights is these weights. The paper does not ask
    this.

    Args:
        profiles: The p_i.
        target: p.

    Reference: Karras et al. 2024, https://arxiv.org/abs/2312.02696, appendix C, without the constraint.
    """
    import scipy.linalg  # slow to import: only where it is used

    unit = max(profile.images for profile in profiles)
    *parts, whole = (profile._replace(images=profile.images / unit) for profile in (*profiles, target))
    products = np.array([[inner(a, b) for b in parts] for a in parts])
    wanted, ones = np.array([inner(a, whole) for a in parts]), np.ones((len(parts), 1))
    system = np.block([[products, ones], [ones.T, np.zeros((1, 1))]])
    shares = scipy.linalg.lstsq(system, np.append(wanted, 1.0))[0][:-1]
    error = 1 - (2 * wanted @ shares - shares @ products @ shares) / inner(whole, whole)
    return shares.tolist(), float(max(error, 0.0)) ** 0.5
