"""Pictures with something missing: problems made of them, and samples of p(x | y) for each."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from PIL import Image
from torch import Tensor

from ..conditioners import Conditioner
from ..core.errors import UsageError
from ..core.options import table
from ..core.random import generators, randn, stream
from ..images import pictures
from ..images.pictures import FitMode
from ..models.base import Observer, ScoreModel
from ..models.tiled import TiledModel
from ..observations import Downsample, Luma, NamedObservation, Observation, Pixels
from ..observations.holes import Hole
from ..observations.masks import Mask
from ..observations.tasks import trained_task
from ..sampling.sample import Samples, sample
from ..solvers import Solver
from . import PosteriorSampler, store

SOLVER, STEPS, CONDITIONER = "dpm++", 20, "covariance"
"""How samples are drawn unless something else is asked for."""


def conditioner_for(model: ScoreModel) -> str:
    """The name of the conditioner that a model is used with unless another is asked for."""
    return "trained" if trained_task(model).conditional else CONDITIONER


HOLE = -0.5
"""The grey that is shown for what is not known, in [-1, 1]."""


@dataclass(frozen=True)
class Case:
    """One picture as a problem."""

    seen: Tensor
    """What is known, as it is shown, (1|3, H, W)."""
    y: Tensor
    """The measurement, (1, *m)."""
    observation: Observation | None
    """How it was made; None if nothing is known."""
    shape: tuple[int, ...]
    """Of the samples, (C, H, W)."""
    note: str
    """What was done to the picture."""
    truth: Tensor | None = None
    """(C, H, W)."""
    solved: bool = False
    """Whether y is the answer."""
    beside: Mapping[str, Image.Image] = field(default_factory=dict)
    """Pictures that are written too, by the ending of their names."""


def hole(y: Tensor, known: Tensor, note: str) -> Case:
    """The problem of a picture, (1, C, H, W), of which some pixels are known, (H, W)."""
    share = float((~known).float().mean())
    note += f", the hole is {share:.1%} of it"
    if share == 0:
        note += ": everything is known, so the picture is returned as it is"
    elif share == 1:
        note += ": nothing is known, so the samples are the model's own"
    return Case(
        torch.where(known, y[0], HOLE),
        y,
        None if share == 1 else Pixels(known[None, None]),
        tuple(y.shape[1:]),
        note,
        y[0],
        solved=share == 0,
        beside={"mask.png": Image.fromarray((~known).numpy().astype("uint8") * 255)},
    )


def grey(picture: Image.Image, note: str) -> Case:
    """The problem of the colours of a picture, of which the luma is known; if it has colours, they are the truth."""
    y = pictures.scaled(picture.convert("L"))[None]
    truth = None
    if not pictures.colourless(picture):
        truth, note = pictures.scaled(picture), f"{note}, reduced to its luma"
    return Case(y[0], y, Luma(), (3, *y.shape[2:]), note, truth)


def read_grey(file: Path, shape: tuple[int, ...], mode: FitMode = "resize") -> Case:
    """The problem of the colours of a picture file, made to fit a model of images of a shape, (3, H, W).

    Args:
        file: The picture.
        shape: Of the model's images.
        mode: How the picture is made to fit, see `pictures.fit`.

    Raises:
        DataError: The file cannot be read as a picture.
    """
    picture = pictures.load_picture(file)
    done = pictures.fit(picture.size, shape[1], shape[2], mode)
    return grey(done.picture(picture), str(done))


def read_holed(file: Path, shape: tuple[int, ...], where: Hole, mode: FitMode = "resize", seed: int = 0) -> Case:
    """The problem of a picture file with a hole, made to fit a model of images of a shape, (C, H, W).

    Args:
        file: The picture.
        shape: Of the model's images.
        where: The hole, of the picture as it is in the file, or, if it is drawn, of what was made of it.
        mode: How the picture is made to fit.
        seed: With the name of the file, what a drawn hole is a function of.

    Raises:
        DataError, UsageError: The file cannot be read as a picture, or the hole is not one of it.
    """
    picture = pictures.load_picture(file, "L" if shape[0] == 1 else "RGB")
    done = pictures.fit(picture.size, shape[1], shape[2], mode)
    y, source = pictures.scaled(done.picture(picture))[None], stream(seed, "mask", file.name)
    if isinstance(where.where, Mask):
        return hole(y, where.known((y.shape[3], y.shape[2]), source), str(done))
    return hole(y, done.known(where.known(picture.size, source)), str(done))


def read_measured(
    file: Path,
    shape: tuple[int, ...],
    observation: NamedObservation,
    mode: FitMode = "resize",
    *,
    degrade: bool = False,
    seed: int = 0,
) -> Case:
    """The problem of a picture file that is a measurement, or of which one is made, for a model of images of a shape.

    Args:
        file: The picture: what is left of the original.
        shape: Of the model's images, (C, H, W).
        observation: What was done to the original.
        mode: How the picture is made to fit.
        degrade: Whether the file is the original, to which the observation is done first.
        seed: With the name of the file, what the noise of the measurement is a function of.

    Raises:
        DataError: The file cannot be read as a picture, or is too narrow.
    """
    rest = tuple(observation.forward(torch.zeros(1, *shape)).shape[1:])
    channels, height, width = shape if degrade else rest
    multiple = observation.factor if degrade and isinstance(observation, Downsample) else 1
    picture = pictures.load_picture(file, "L" if channels == 1 else "RGB")
    done = pictures.fit(picture.size, height, width, mode, multiple)
    y, truth = pictures.scaled(done.picture(picture))[None], None
    if degrade:
        truth = y[0]
        y = observation.forward(y)
        y = y + observation.noise * randn(y.shape, stream(seed, "noise", file.name))
    found = tuple(observation.adjoint(y).shape[1:])
    seen = y if y.shape[2:] == found[1:] else observation.pinv(y)  # at the size of the samples
    return Case(seen[0], y, observation, found, str(done), truth)


def colourful(name: str, shape: tuple[int, ...]) -> None:
    """Looks whether a model's images, of the given shape, have colours.

    Raises:
        UsageError: They have none.
    """
    if shape[0] != 3:
        raise UsageError(
            f"colourise needs a model of colour images, and those of {name} have {shape[0]} channel: "
            "choose another --model"
        )


def of_size(model: ScoreModel, shape: tuple[int, ...], batch: int) -> ScoreModel:
    """The model of images of a shape: the model itself, or tiles of it."""
    return model if shape == model.shape else TiledModel(model, shape, batch=batch)


@dataclass(frozen=True)
class Method:
    """How samples are drawn: by a conditioner and a solver, or by a posterior sampler, which has what it needs."""

    solver: Solver
    conditioner: Conditioner
    posterior: PosteriorSampler | None = None

    def __str__(self) -> str:
        return self.posterior.name if self.posterior else f"{self.conditioner.name} and {self.solver}"

    @property
    def record(self) -> dict[str, Any]:
        """What is written of it."""
        if self.posterior is not None:
            return {"posterior": table(self.posterior)}
        return {"solver": table(self.solver), "conditioner": table(self.conditioner)}

    def draw(
        self,
        case: Case,
        model: ScoreModel,
        folder: Path,
        seeds: range,
        batch: int,
        observer: Callable[[], Observer],
    ) -> list[Samples]:
        """Samples of p(x | y), in batches, one for each seed, with the covariance of the model's data.

        Args:
            folder: The model's, where the covariance is.
            observer: Makes what watches the samples of one batch.
        """
        if case.solved:
            return [Samples(case.y.expand(len(seeds), *case.shape), 0, 0.0, 0.0, {})]
        seen, y, parts = case.observation, case.y.to(model.device), list[Samples]()
        chosen = self.posterior or self.conditioner
        fitted = store.fitted(chosen, folder, seen, case.shape) if seen else chosen
        for first in range(0, len(seeds), batch):
            sources, around = generators(seeds[first : first + batch]), model
            many, inner = y.expand(len(sources), *y.shape[1:]), observer()

            def watch(x: Tensor, t: Tensor, eps: Tensor, b: int = len(sources), inner: Observer = inner) -> None:
                inner(x[:b], t, eps)  # a sample may have many particles

            if seen and isinstance(fitted, PosteriorSampler):
                parts.append(fitted.draw(model, seen, many, generator=sources, observers=(watch,)))
                continue
            if seen and isinstance(fitted, Conditioner):
                around = fitted.condition(model, seen, many, sources)
            x = around.prior(sources)
            parts.append(sample(around, self.solver, x, generator=sources, observers=(watch,)))
        return parts
