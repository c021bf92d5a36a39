"""The work of the jobs: they draw pictures, and send their progress."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from PIL import Image
from torch import Tensor

from ..conditioners import conditioners
from ..core.errors import NumericalError, UsageError
from ..core.random import generators
from ..images import pictures
from ..models.base import Observer, ScoreModel
from ..models.clipped import ClippedModel
from ..models.guided import GuidedModel
from ..models.network import NetworkModel
from ..models.output import denoised
from ..posterior.tasks import Case, Method, colourful, conditioner_for, grey, hole
from ..sampling import sample as sampling
from ..sampling.progress import Progress
from ..sampling.trajectory import Trajectory
from ..solvers import Solver, solvers
from . import schema, uploads
from .encoding import encoded, frames, picture_of, strip
from .jobs import Job
from .requests import Colourise, Generate, Inpaint, Race, Request, Restore, decoded

EVERY, SHARE = 0.08, 20
"""Seconds between two pictures of what emerges, at least, and how many times longer it is than making them."""
BUDGET = 10_000
"""Evaluations after which a job is ended."""
REFERENCE: dict[str, Any] = {"name": "ipndm", "steps": 200}
"""The solver that the others are compared with; on the bundled models it is 0.02 to 0.2 of 255 levels off itself."""
GAIN = 8
"""How much a difference is amplified, so that it can be seen."""


@dataclass(frozen=True)
class Served:
    """A model of the page."""

    name: str
    """Name on the page."""
    folder: Path
    """The model's folder."""
    model: NetworkModel
    """The model."""

    @property
    def description(self) -> dict[str, Any]:
        """The description that the page gets."""
        channels, height, width = self.model.shape
        return {
            "name": self.name,
            "channels": channels,
            "height": height,
            "width": width,
            "classes": self.model.classes,
            "condition": self.model.condition,
            "conditioner": conditioner_for(self.model),
            "parameters": sum(p.numel() for p in self.model.parameters()),
        }


class Watcher(Progress):
    """An observer that stops a cancelled job, and sends the predicted images from time to time.

    Args:
        job: The job.
        model: The model that is sampled from.
        data: Further data of its events.
    """

    def __init__(self, job: Job, model: ScoreModel, **data: Any) -> None:
        super().__init__(model.sde)
        self.job, self.model, self.data = job, model, data
        self.began, self.next = time.perf_counter(), 0.0

    def __call__(self, x: Tensor, t: Tensor, eps: Tensor) -> None:
        super().__call__(x, t, eps)
        self.job.check()
        if self.calls > BUDGET:
            raise NumericalError(f"this took more than {BUDGET} evaluations and was ended: ask for fewer steps")
        now = time.perf_counter()
        if now < self.next:
            return
        self.job.emit(
            "progress",
            share=round(self.share, 4),
            nfe=self.calls,
            seconds=round(now - self.began, 3),
            pictures=encoded(denoised(self.model.sde, x.detach(), t, eps.detach())),
            **self.data,
        )
        shown = time.perf_counter()
        self.next = shown + max(EVERY, SHARE * (shown - now))


def _around(served: Served, request: Request) -> ScoreModel:
    """The model as it was asked for, but for what it is conditioned on."""
    model: ScoreModel = served.model
    if isinstance(request, Generate) and request.classes:
        classes = [request.classes[i % len(request.classes)] for i in range(request.count)]
        model = GuidedModel(model, classes, request.guidance)
    return ClippedModel(model) if request.clip else model


def _cost(done: sampling.Samples) -> dict[str, Any]:
    """What samples took."""
    return {"nfe": done.nfe, "vjps": done.vjps, "seconds": round(done.seconds, 3)}


def generate(served: Served, request: Generate) -> Callable[[Job], dict[str, Any]]:
    """New pictures, and their paths from noise.

    Args:
        served: The model.
        request: What is asked for.
    """
    model, solver = _around(served, request), schema.build(solvers, request.solver)

    def work(job: Job) -> dict[str, Any]:
        sources = generators(range(request.seed, request.seed + request.count))
        recorder = Trajectory(model.sde, frames((request.count, *model.shape)))
        observers: tuple[Observer, ...] = (Watcher(job, model), recorder)
        done = sampling.sample(model, solver, model.prior(sources), generator=sources, observers=observers)
        path = {
            "frames": len(recorder.states),
            "states": strip(recorder.states),
            "denoised": strip([*recorder.denoised[:-1], done.x]),
        }
        return {"pictures": encoded(done.x), "path": path, **_cost(done)}

    return work


def _opened(served: Served, request: Restore, mode: str) -> Image.Image:
    """The picture that came with a request.

    Raises:
        UsageError: It has not the model's size.
        UploadError: It is no picture.
    """
    picture = picture_of(uploads.decode(decoded("picture", request.picture))).convert(mode)
    _, height, width = served.model.shape
    if picture.size != (width, height):
        ours, theirs = f"{width}x{height}", "{}x{}".format(*picture.size)
        raise UsageError(f"the model draws pictures of {ours}, and this one is {theirs}: fit it first")
    return picture


def _restore(served: Served, request: Restore, case: Case) -> Callable[[Job], dict[str, Any]]:
    """Samples of what a picture may have been."""
    conditioner = request.conditioner or {"name": conditioner_for(served.model)}
    method = Method(schema.build(solvers, request.solver), schema.build(conditioners, conditioner))
    model, seeds = _around(served, request), range(request.seed, request.seed + request.count)

    def work(job: Job) -> dict[str, Any]:
        (done,) = method.draw(case, model, served.folder, seeds, request.count, lambda: Watcher(job, model))
        return {"pictures": encoded(done.x), "note": case.note, **_cost(done)}

    return work


def inpaint(served: Served, request: Inpaint) -> Callable[[Job], dict[str, Any]]:
    """Samples of the content of a hole.

    Args:
        served: The model.
        request: What is asked for.
    """
    channels, height, width = served.model.shape
    known = request.known(height, width)
    if bool(known.all()):
        raise UsageError("nothing is painted yet: paint over what is to be drawn anew")
    picture = _opened(served, request, "L" if channels == 1 else "RGB")
    return _restore(served, request, hole(pictures.scaled(picture)[None], known, f"{width}x{height}"))


def colourise(served: Served, request: Colourise) -> Callable[[Job], dict[str, Any]]:
    """Samples of the colours of a picture.

    Args:
        served: The model.
        request: What is asked for.
    """
    colourful(served.name, served.model.shape)
    picture = _opened(served, request, "RGB")
    return _restore(served, request, grey(picture, "{}x{}".format(*picture.size)))


def race(served: Served, request: Race) -> Callable[[Job], dict[str, Any]]:
    """Several solvers, one after the other, from the same noise, with a reference first.

    Args:
        served: The model.
        request: What is asked for.
    """
    runners: list[Solver] = [schema.build(solvers, table) for table in (REFERENCE, *request.solvers)]
    model = _around(served, request)

    def work(job: Job) -> dict[str, Any]:
        lanes: list[dict[str, Any]] = []
        truth: Tensor | None = None
        for lane, solver in enumerate(runners):
            sources = generators(range(request.seed, request.seed + request.count))
            watcher = Watcher(job, model, lane=lane)
            try:
                done = sampling.sample(model, solver, model.prior(sources), generator=sources, observers=(watcher,))
            except NumericalError as error:
                if truth is None:
                    raise
                lanes.append({"lane": lane, "failed": str(error)})
            else:
                truth = done.x if truth is None else truth
                lanes.append({"lane": lane, "pictures": encoded(done.x), **_compared(done.x, truth), **_cost(done)})
            job.emit("lane", **lanes[-1])
        return {"lanes": lanes, "gain": GAIN}

    return work


def _compared(x: Tensor, truth: Tensor) -> dict[str, Any]:
    """How far images are from others: the root mean square in levels of 255, and a picture, amplified."""
    difference = x.clamp(-1, 1) - truth.clamp(-1, 1)
    return {
        "error": round(float(difference.square().mean().sqrt()) * 127.5, 3),
        "difference": encoded((GAIN * difference.abs() - 1).clamp(-1, 1)),
    }
