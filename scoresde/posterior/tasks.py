"""Restoration problems, and samples of p(x | y) for each."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import torch
from PIL import Image
from torch import Tensor

from ..conditioners import Conditioner, conditioners
from ..core.errors import UsageError
from ..core.options import table
from ..core.random import generators
from ..images import pictures
from ..models.base import Observer, ScoreModel
from ..models.latent import data_shape
from ..models.tiled import TiledModel
from ..observations import Luma, Observation, Pixels
from ..observations.decoded import Decoded
from ..observations.tasks import trained_task
from ..sampling.sample import Samples, in_batches, sample
from ..solvers import Solver
from . import PosteriorSampler, store

SOLVER, STEPS, CONDITIONER = "dpm++", 10, "covariance"
"""How samples are drawn unless something else is asked for (the steps: benchmarks/results/conditioned-steps.md)."""
DPS_SOLVER, DPS_STEPS = "ancestral", 100
"""How they are where a task takes dps."""


def conditioner_for(model: ScoreModel) -> str:
    """The name of the conditioner that a model is used with unless another is asked for.

    Args:
        model: A model of p(x), or a network that was trained for a task.
    """
    if trained_task(model).conditional:
        return "trained"
    return CONDITIONER if model.autoencoder is None else "dps"


def steps_for(model: ScoreModel) -> int:
    """The steps of `SOLVER` that a model is used with unless others are asked for.

    A network that was trained for the task needs twice as many, since no measurement mends what few steps leave, and
    `dps` ten times as many.

    Args:
        model: A model of p(x), or a network that was trained for a task.
    """
    return STEPS * {"trained": 2, "dps": 10}.get(conditioner_for(model), 1)


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
    finish: Callable[[Tensor], Tensor] | None = None
    """Makes samples, (B, C, H, W), into pictures of the size of `seen`; None if they are these."""
    beside: Mapping[str, Image.Image] = field(default_factory=dict)
    """Pictures that are written too, by the ending of their names."""

    def finished(self, x: Tensor) -> Tensor:
        """The pictures that samples stand for, at their own size, (B, C, H, W).

        Args:
            x: The samples, (B, C, h, w).
        """
        return x if self.finish is None else torch.cat([self.finish(one[None]) for one in x])  # they may be large


def hole(y: Tensor, known: Tensor, note: str) -> Case:
    """The problem of a picture of which some pixels are known.

    Args:
        y: The picture in [-1, 1], (1, C, H, W).
        known: Where it is known, (H, W), bool.
        note: What was done to the picture before.
    """
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
        beside={"mask.png": hole_picture(known)},
    )


def hole_picture(known: Tensor) -> Image.Image:
    """A mask as a picture: white where the hole is, black where pixels are known.

    Args:
        known: Where they are, (H, W), bool.
    """
    return Image.fromarray((~known).numpy().astype("uint8") * 255)


def grey(picture: Image.Image, note: str) -> Case:
    """The problem of the colours of a picture, of which the luma is known; if it has colours, they are the truth.

    Args:
        picture: The picture, grey or in colours.
        note: What was done to the picture before.
    """
    y = pictures.scaled(picture.convert("L"))[None]
    truth = None
    if not pictures.colourless(picture):
        truth, note = pictures.scaled(picture), f"{note}, reduced to its luma"
    return Case(y[0], y, Luma(), (3, *y.shape[2:]), note, truth)


def colourful(name: str, shape: tuple[int, ...]) -> None:
    """Looks whether a model's images have colours.

    Args:
        name: What the error calls the model.
        shape: Of its images, (C, H, W).

    Raises:
        UsageError: They have none.
    """
    if shape[0] != 3:
        raise UsageError(
            f"colourise needs a model of colour images, and those of {name} have {shape[0]} channel: "
            "choose another --model"
        )


def of_size(model: ScoreModel, shape: tuple[int, ...], batch: int) -> ScoreModel:
    """The model of images of a shape: the model itself, or tiles of it.

    Args:
        model: A model of images of its own shape.
        shape: (C, H, W).
        batch: Tiles that are computed at a time.
    """
    return model if shape == data_shape(model) else TiledModel(model, shape, batch=batch)


@dataclass(frozen=True)
class Method:
    """How samples are drawn: by a conditioner and a solver, or by a posterior sampler, which has what it needs."""

    solver: Solver
    """What carries noise to samples, with the conditioner."""
    conditioner: Conditioner
    """What makes a model of p(x) one of p(x | y)."""
    posterior: PosteriorSampler | None = None
    """What is used in place of both, if anything."""

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
    ) -> Samples:
        """Samples of p(x | y), one for each seed, with the covariance of the model's data.

        Args:
            case: What is known.
            model: A model of p(x) of samples of the case's shape, or a network that was trained for the task.
            folder: The model's, where the covariance is.
            seeds: One for each sample.
            batch: Samples at a time.
            observer: Makes what watches the samples of one batch.
        """
        if case.solved:
            return Samples(case.y.expand(len(seeds), *case.shape), 0, 0.0, 0.0, {})
        seen, y = case.observation, case.y.to(model.device)
        chosen = self.posterior or self.conditioner
        fitted = store.fitted(chosen, folder, seen, case.shape) if seen and model.autoencoder is None else chosen
        if seen and model.autoencoder is not None:
            seen = Decoded(seen.of_shape(case.shape), model.autoencoder)

        def some(own: range) -> Samples:
            sources, many, around, inner = generators(own), y.expand(len(own), *y.shape[1:]), model, observer()

            def watch(x: Tensor, t: Tensor, eps: Tensor) -> None:
                inner(x[: len(own)], t, eps)  # a sample may have many particles

            if seen and isinstance(fitted, PosteriorSampler):
                return fitted.draw(model, seen, many, generator=sources, observers=(watch,))
            if seen and isinstance(fitted, Conditioner):
                around = fitted.condition(model, seen, many, sources)
            found = sample(around, self.solver, around.prior(sources), generator=sources, observers=(watch,))
            if model.autoencoder is None:
                return found
            drawn = model.autoencoder.decode(found.x)
            known = drawn if case.observation is None else case.observation.write(drawn, many.to(drawn))
            return replace(found, x=known, latents=found.x)

        return Samples.joined(list(in_batches(some, seeds, batch)))


def suited(method: Method, model: ScoreModel, *, steps: bool) -> Method:
    """A method with the conditioner that a model is used with unless another is asked for.

    Args:
        method: The method.
        model: The model.
        steps: Whether its solver gets the steps of `steps_for`, too.
    """
    given = {name: getattr(method.solver, name) for name in method.solver.model_fields_set}
    solver = type(method.solver)(**given | {"steps": steps_for(model)}) if steps else method.solver
    return replace(method, conditioner=conditioners[conditioner_for(model)](), solver=solver)
