"""What is benchmarked: a model, and the truth or the data that its samples are compared with."""

import hashlib
import inspect
import json
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import CodeType
from typing import Any

import torch
from PIL import Image
from torch import Tensor

from ..core.errors import UsageError
from ..core.files import digest
from ..core.options import Options
from ..core.random import generators
from ..likelihood import Likelihood, log_likelihood
from ..metrics.base import Estimate
from ..models.base import Observer, ScoreModel
from ..posterior import PosteriorSampler
from ..sampling.sample import Samples, sample
from ..solvers import Solver
from .estimates import median, root
from .spec import Settings, Spec
from .unfinished import Keep, at_once


def sha256(identity: Mapping[str, Any]) -> str:
    """The sha256 of an identity as JSON with sorted keys.

    Args:
        identity: The identity.
    """
    return hashlib.sha256(json.dumps(identity, sort_keys=True).encode()).hexdigest()


def foreign(*parts: Any) -> dict[str, dict[str, str]]:
    """The code of what is not of this package, whose version does not say it: `plugins` of an identity, or nothing.

    Args:
        parts: Options, with options inside; anything else is left out.
    """
    found: dict[str, str] = {}
    for part in parts:
        if isinstance(part, Options):
            for cls in type(part).__mro__:
                if issubclass(cls, Options) and not cls.__module__.startswith("scoresde."):
                    found[f"{cls.__module__}.{cls.__qualname__}"] = code(cls)
            found |= foreign(*(value for _, value in part)).get("plugins", {})
    return {"plugins": found} if found else {}


def code(cls: type) -> str:
    """The sha256 of the file that defines a class, or of its own functions if there is none, as in a notebook.

    Args:
        cls: The class.
    """

    def body(one: CodeType) -> list[Any]:
        inner = [body(c) if isinstance(c, CodeType) else repr(c) for c in one.co_consts]
        return [one.co_code.hex(), one.co_names, inner]

    try:
        return digest(Path(inspect.getfile(cls)))
    except (OSError, TypeError):
        return sha256({name: body(own.__code__) for name, own in vars(cls).items() if inspect.isfunction(own)})


Tool = Solver | PosteriorSampler
"""What draws samples."""
SHOWN = 16
"""Samples in the picture of a cell."""


class Subject(ABC):
    """A model under benchmark, and what its samples are compared with."""

    name: str
    spec: Settings
    model: ScoreModel
    denoise: bool
    identity: dict[str, Any]
    """What determines the model's predictions."""
    former: dict[str, Any] | None = None
    """The identity as it was when the path of data was in it, not their content; None if it was no other."""
    around: dict[str, Any] = {}
    """The conditioner around the model, as JSON holds it."""
    conditioner: str = ""
    """The conditioner in words."""
    paths: int = 0
    """How many of the first samples are kept whole."""

    weights: str | None = None
    """The sha256 of the file of the network's weights, as `sha256sum` gives it; None without a network."""

    @property
    def digest(self) -> str:
        """The sha256 of the identity."""
        return sha256(self.identity)

    @property
    def device(self) -> str:
        """Kind of the device the model is on."""
        return self.model.device.type

    @property
    def count(self) -> int:
        """Samples in all."""
        return self.spec.count

    def batches(self, size: int) -> Iterator[range]:
        """The seeds of the samples, in batches.

        Args:
            size: The largest number of samples in a batch.
        """
        last = self.spec.seed + self.count
        for first in range(self.spec.seed, last, size):
            yield range(first, min(first + size, last))

    @abstractmethod
    def sample(self, solver: Tool, seeds: range, observers: tuple[Observer, ...] = ()) -> Samples:
        """One batch of samples.

        Args:
            solver: The solver or sampler.
            seeds: Their seeds.
            observers: Called with (x, t, eps) after each evaluation of the model.

        Raises:
            UsageError: The solver is not made for the model.
            NumericalError: As `sample`.
        """

    @abstractmethod
    def keep(self, x: Tensor) -> Tensor:
        """The part of samples that the measurement needs, on the CPU.

        Args:
            x: Samples, (B, *).
        """

    @abstractmethod
    def measure(self, x: Tensor, first: Tensor, solver: Tool) -> list[Estimate]:
        """The estimates of the quality of the samples of the seeds `seed` .. `seed` + N - 1.

        Args:
            x: What was kept of them, (N, *).
            first: The first `paths` of them as they are, (K, *), float64 on the CPU.
            solver: The solver or sampler.
        """

    @abstractmethod
    def picture(self, x: Tensor) -> Image.Image | None:
        """The first samples as a picture, or None if they are no images.

        Args:
            x: What was kept of them, (N, *).
        """


class ModelSubject(Subject):
    """A model by itself. Its paths have true ends, and it has data of its own for the likelihood."""

    spec: Spec
    kept: Keep = staticmethod(at_once)
    """Keeps the batches of `flowed`."""

    def shown(self, rows: range) -> ScoreModel:
        """The model for samples of these numbers, with its condition if it was trained for a task.

        Args:
            rows: Numbers of the samples.
        """
        return self.model

    def likelihood(self, rows: range, **options: Any) -> Likelihood:
        """The likelihood of the model's own data.

        Args:
            rows: Numbers of the data.
            options: As `log_likelihood` takes them.

        Raises:
            NumericalError: As `log_likelihood`.
        """
        return log_likelihood(self.model, self.own[0][rows.start : rows.stop].to(self.model.device), **options)

    @property
    def told(self) -> Tensor:
        """How many values of each of its own data the likelihood is of, (K,)."""
        x = self.own[0]
        return torch.full((len(x),), x[0].numel(), dtype=torch.float64)

    def sample(self, solver: Tool, seeds: range, observers: tuple[Observer, ...] = ()) -> Samples:
        if not isinstance(solver, Solver):
            raise UsageError(f"{solver.name} draws from posteriors, and {self.name} has none: choose a solver")
        sources = generators(seeds)
        x = self.model.prior(sources, dtype=getattr(torch, self.spec.dtype))
        model = self.shown(range(seeds.start - self.spec.seed, seeds.stop - self.spec.seed))
        return sample(model, solver, x, generator=sources, denoise=self.denoise, observers=observers)

    @property
    @abstractmethod
    def flowed(self) -> Tensor:
        """The first `paths` samples at the true end of their paths, (K, *), float64 on the CPU."""

    def errors(self, first: Tensor, solver: Tool) -> list[Estimate]:
        """The distance of the first samples from the true ends of their paths; nothing for stochastic solvers.

        Args:
            first: The first samples, (K, *).
            solver: The solver or sampler.
        """
        if not isinstance(solver, Solver) or solver.noisy or not len(first):
            return []
        squares = (first - self.flowed).flatten(1).square().mean(1)
        return [median("error", squares.sqrt()), root("rms error", squares)]

    @property
    @abstractmethod
    def own(self) -> tuple[Tensor, int | None]:
        """Data that the model should find likely, (K, *) float64, and their grey levels if they have any."""

    @property
    def own_content(self) -> dict[str, str]:
        """The digest of its own data, where these are in files."""
        return {}

    @property
    def classes(self) -> list[int] | None:
        """The class of each of its own data, where these have labels."""
        return None

    @abstractmethod
    def truth(self) -> list[float] | None:
        """log p of its own data in nats, where it is known."""
