"""An analytic model under benchmark, judged by the truth: its own flow, law and density."""

import math
from functools import cached_property
from statistics import fmean

import torch
from PIL import Image
from torch import Tensor

from ..core.errors import UsageError
from ..core.options import table
from ..core.random import generators, stream
from ..images import sheets
from ..metrics.base import Estimate
from ..metrics.sliced import SlicedWasserstein
from ..models.gaussian import GaussianMixtureModel, GaussianModel
from .check.base import gaussian
from .estimates import difference, jackknife
from .problems import PROBLEMS, reference
from .spec import Spec
from .subject import SHOWN, ModelSubject, Tool

ANALYTIC = {"gaussian": gaussian, **PROBLEMS}
SLICED = SlicedWasserstein(directions=64)
FLOORS = 8
"""Sets of exact samples that a floor is the mean of: that of one is as uncertain as the value above it."""
DRAWS = 4096
"""Exact samples that the law of an analytic model is taken from."""


class AnalyticSubject(ModelSubject):
    """A Gaussian or a mixture, on the CPU. Its samples stay at the time where the solver stops, whose law is known.

    Args:
        name: A key of `ANALYTIC`.
        spec: The benchmark.

    Raises:
        UsageError: The final denoising is asked for.
    """

    model: GaussianMixtureModel

    def __init__(self, name: str, spec: Spec) -> None:
        self.name, self.spec, self.denoise, self.paths = name, spec, False, spec.paths
        self.model = ANALYTIC[name]()
        if spec.denoise:
            raise UsageError(f"the law of {name} is known where a solver stops, not denoised: set denoise = false")
        self.identity = {"analytic": name, "sde": table(self.model.sde)}

    @cached_property
    def flowed(self) -> Tensor:
        """By the closed form, or by SciPy's DOP853 at 1e-12 in another variable."""
        spec, end, stop = self.spec, self.model.sde.t_max, self.model.sde.t_min
        count = min(spec.paths, spec.count)
        seeds = generators(range(spec.seed, spec.seed + count))
        x = self.model.prior(seeds, dtype=getattr(torch, spec.dtype)).double()
        if isinstance(self.model, GaussianModel):
            return self.model.flow(x, end, stop)
        return reference(self.model, x, start=end, stop=stop)

    def _log_prob(self, x: Tensor) -> Tensor:
        """log p(x)/D at the time where a solver stops, nats per dimension, (B,)."""
        stop = self.model.sde.t_min
        parts = [self.model.log_prob(part, part.new_full((len(part),), stop)) for part in torch.split(x.double(), 256)]
        return torch.cat(parts) / math.prod(self.model.shape)

    @cached_property
    def exact(self) -> Tensor:
        """Samples of the law at that time, (DRAWS, *)."""
        return self.model.draw(DRAWS, stream(self.spec.seed, "bench", self.name), self.model.sde.t_min)

    @cached_property
    def expected(self) -> Tensor:
        """log p/D of the exact samples, (DRAWS,)."""
        return self._log_prob(self.exact)

    @cached_property
    def sorted(self) -> tuple[Tensor, Tensor]:
        """Random directions, and the exact samples sorted along each."""
        directions, projected = SLICED.prepare(self.exact.flatten(1).float(), self.spec.seed)
        return directions, projected

    def _sliced(self, x: Tensor) -> Estimate:
        """The sliced Wasserstein distance from the exact samples; its floor is that of as many others."""
        source, stop = stream(self.spec.seed, "floor", self.name), self.model.sde.t_min
        others = (self.model.draw(len(x), source, stop).flatten(1).float() for _ in range(FLOORS))
        floor = fmean(SLICED.values(part, self.sorted)[0] for part in others)
        found = jackknife(
            ("SW",), lambda part: torch.tensor(SLICED.values(part, self.sorted)), x.flatten(1).float(), (floor,)
        )
        return found[0]

    @cached_property
    def own(self) -> tuple[Tensor, int | None]:
        """Exact samples of the data's law."""
        return self.model.draw(self.spec.likelihood, stream(self.spec.seed, "own", self.name)), None

    def truth(self) -> list[float] | None:
        x = self.own[0]
        return [float(value) for value in self.model.log_prob(x, x.new_zeros(len(x)))]

    def keep(self, x: Tensor) -> Tensor:
        return x.cpu()

    def measure(self, x: Tensor, first: Tensor, solver: Tool) -> list[Estimate]:
        """The distance from the true end of the path, and two distances of laws.

        The cross-entropy gap E_p[log p] - E_samples[log p], in nats per dimension, is negative where samples crowd at
        the modes; the sliced Wasserstein distance also sees whether each mode has its share.
        """
        laws = [difference("gap", self.expected, self._log_prob(x)), self._sliced(x)]
        return [*self.errors(first, solver), *laws]

    def picture(self, x: Tensor) -> Image.Image | None:
        return sheets.sheet(x[:SHOWN], 8, zoom=4) if len(self.model.shape) == 3 else None
