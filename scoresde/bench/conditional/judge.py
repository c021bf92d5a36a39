"""The quality of samples from posteriors, by comparison with exact draws."""

from collections.abc import Sequence
from statistics import fmean

import torch
from scipy.stats import binomtest
from torch import Tensor

from ...core.random import choose, randn, stream
from ...metrics.base import Estimate
from ...metrics.mmd import PixelMMD
from ...metrics.normal import factored, frechet
from ...metrics.sliced import SlicedWasserstein
from ..estimates import bootstrap, jackknife
from .measurements import EXACT, Group, Measurements

SLICED, MMD = SlicedWasserstein(directions=128), PixelMMD()
DIRECTIONS = 8
"""Random directions along which the truth has a rank."""
SHUFFLES = 999
"""Random choices of another sample as the truth, which calibrate the ranks."""


class Judge:
    """The distances of samples of a group's first measurement from its exact draws, and those of the draws themselves.

    Args:
        group: The measurements.
    """

    def __init__(self, group: Group) -> None:
        self.group, exact = group, group.exact.flatten(2)
        self.sorted = [SLICED.prepare(part.float(), group.seed) for part in exact]
        self.kernel = [MMD.prepare(part, group.seed) for part in exact]
        pairs = [(i, j) for i in range(EXACT) for j in range(i)]
        self.floor = fmean(SLICED.values(exact[i].float(), self.sorted[j])[0] for i, j in pairs)
        self.expected = {
            "mode TV": fmean(self._modes(part) for part in group.exact),
            "MMD²": fmean(MMD.values(exact[i], self.kernel[j])[0] for i, j in pairs),
            "residual": self._residual(group.exact.flatten(0, 1)),
            "sd ratio": 1.0,
        }

    def _modes(self, x: Tensor) -> float:
        """½ Σ_k |mean p(k | x) - w_k(y)|: modes are found in x as in the prior, since y adds nothing to x."""
        found = self.group.model.shares(x, x.new_zeros(len(x))).mean(0)
        return 0.5 * float((found - self.group.law.log_weights[0].exp()).abs().sum())

    def _residual(self, x: Tensor) -> float:
        """The root mean square of (y - A x)/σ_y."""
        group = self.group
        apart = group.observation.residual(x, group.y[:1].expand(len(x), *group.y.shape[1:]))
        return float((apart.square().sum() / (len(x) * group.seen)).sqrt()) / group.observation.noise

    def values(self, x: Tensor) -> dict[str, float]:
        """The quality of samples, by name.

        Args:
            x: Samples for the first measurement, (N, *).
        """
        flat = x.flatten(1)
        distance = fmean(SLICED.values(flat.float(), reference)[0] for reference in self.sorted)
        return {
            "SW/floor": distance / self.floor,
            "mode TV": self._modes(x),
            "MMD²": fmean(MMD.values(flat, reference)[0] for reference in self.kernel),
            "residual": self._residual(x),
            "sd ratio": float((flat.var(0).sum() / self.group.variance).sqrt()),
        }


def judged(measurements: Measurements, judges: Sequence[Judge], x: Tensor) -> list[Estimate]:
    """Estimates of the quality of samples of all measurements.

    For each of the first measurements: the sliced Wasserstein distance over its floor, the total variation distance of
    the modes' shares, MMD², the residual in units of σ_y and the ratio of standard deviations; the mean over the
    measurements. Across the others: the Frechet distance of one sample for each from the prior, which is the law of all
    of them, and the p-value of the ranks of the truths.

    Args:
        measurements: The measurements.
        judges: One for each group.
        x: Samples, (total, *).
    """
    first, others = measurements.split(x)
    rows = [judge.values(part) for judge, part in zip(judges, first, strict=True)]
    floors = {"SW/floor": 1.0} | {name: fmean(judge.expected[name] for judge in judges) for name in judges[0].expected}
    found = [bootstrap(name, [row[name] for row in rows], floor) for name, floor in floors.items()]
    if len(others):
        exact = torch.cat([group.others for group in measurements.groups])
        truths = torch.cat([group.truths[1:] for group in measurements.groups])
        found += marginal(measurements, others.flatten(2), exact.flatten(2))
        told = exact.flatten(2).mean(1) - measurements.prior.mu
        found.append(calibrated(truths.flatten(1), others.flatten(2), told, measurements.spec.seed))
    return found


def marginal(measurements: Measurements, x: Tensor, exact: Tensor) -> list[Estimate]:
    """The Frechet distance from the prior of one sample for each of R measurements, and its ratio to exact draws'.

    Args:
        measurements: The measurements, with the prior.
        x: (R, L, D): the mean of L such distances.
        exact: Exact draws for the same measurements, (R, S, D).
    """
    reference, few = factored(measurements.prior), x.shape[1]

    def distances(part: Tensor) -> Tensor:
        each = torch.tensor([frechet(column, reference) for column in part.unbind(1)], dtype=torch.float64)
        ours, theirs = each[:few].mean(), each[few:].mean()
        return torch.stack([ours, ours / theirs])

    both = torch.cat([x, exact], 1)
    floor = fmean(frechet(column, reference) for column in exact.unbind(1))
    return jackknife(("marginal FD", "FD/exact"), distances, both, (floor, 1.0))


def calibrated(truths: Tensor, x: Tensor, told: Tensor, seed: int) -> Estimate:
    """The p-value of simulation-based calibration: are the ranks of R truths among L samples each as even as exact
    ones?

    The ranks are along random directions, and along one direction for each measurement, without which samples of the
    prior, which ignore y, would pass. If the samples are exact, any of the L + 1 points may be called the truth. So
    random choices of the truth give the law of χ² of the ranks, summed over directions, for any R and L; the interval
    is that of the number of choices.

    References: Talts et al. 2018, https://arxiv.org/abs/1804.06788, for the ranks;
    Modrak et al. 2022, https://arxiv.org/abs/2211.02383, for directions that depend on y.

    Args:
        truths: (R, D).
        x: (R, L, D).
        told: Where y moves the mean of x, or nearly so, (R, D).
        seed: Seed of the directions and of the choices.
    """
    theta = randn((DIRECTIONS, truths.shape[1]), stream(seed, "ranks"), dtype=torch.float64)
    points = torch.cat([truths[:, None], x], 1)
    points = torch.cat([points @ theta.T, (points * told[:, None]).sum(-1, keepdim=True)], -1)
    ranks = points.argsort(1).argsort(1)  # (R, L + 1, directions)
    count, places, _ = ranks.shape
    table = torch.nn.functional.one_hot(ranks, places).double().reshape(count * places, -1)
    chosen = choose(torch.ones(places), SHUFFLES * count, stream(seed, "shuffles")).reshape(SHUFFLES, count)
    chosen = torch.cat([torch.zeros_like(chosen[:1]), chosen])
    picked = torch.nn.functional.one_hot(chosen, places).double().reshape(len(chosen), -1)
    uneven = (picked @ table - count / places).square().sum(1)
    above = int((uneven[1:] >= uneven[0]).sum())
    interval = binomtest(above + 1, SHUFFLES + 1).proportion_ci()
    return Estimate("SBC p", (above + 1) / (SHUFFLES + 1), float(interval.low), float(interval.high), None, count)
