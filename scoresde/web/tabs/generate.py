"""New pictures, and their paths from noise."""

from typing import Any, ClassVar

import torch
from pydantic import Field
from torch import Tensor

from ...core.random import generators
from ...models.base import Observer, ScoreModel
from ...models.classes import class_numbers
from ...models.guided import GuidedModel
from ...models.latent import decoded
from ...sampling import sample as sampling
from ...sampling.trajectory import Trajectory
from ...solvers import solvers
from .. import schema
from ..encoding import encoded, frames, strip
from ..jobs import Job, Work
from ..watching import Watcher, cost
from .base import MOST_PICTURES, Preset, Served, Tab, Table, tabs

FAST = Preset("fast", "2 to 5 of 255 grey levels from the exact result: hardly seen.", {"name": "unipc", "steps": 10})
GOOD = Preset("good", "Less than one grey level from the exact result: not seen.", {"name": "unipc", "steps": 20})
EXACT = Preset("exact", "A tenth of a grey level from the exact result.", {"name": "eab", "steps": 100})
"""What is said of them was measured on the bundled models: `benchmarks/results/networks.md` and `fashion-mnist.md`."""

FILM: dict[str, Any] = {
    "sha256": "fdb4f6fd4cc706d7ed22312e8d9ffbbea90993d279e5741f748eeb108e5afa1d",
    "solver": FAST.solver,
    "seed": 38,
    "count": 4,
    "frames": 11,
    "nfe": 11,
}
"""What `static/film.png` shows while the page draws for the first time: the model's digest, and what was asked for.
`python benchmarks/film.py` draws it."""

GUIDANCE = 2.0
"""The scale of guidance with which the page begins where a class is chosen."""


@tabs("generate")
class Generate(Tab):
    """New pictures."""

    label: ClassVar[str] = "Generate"
    order: ClassVar[int] = 10
    presets: ClassVar[tuple[Preset, ...]] = (FAST, GOOD, EXACT)
    solver: Table = FAST.solver
    classes: list[int | str] | None = Field(
        None, max_length=MOST_PICTURES, description="Numbers or names; picture i has class i modulo them."
    )
    guidance: float = Field(1.0, ge=0, le=100, description="Scale of guidance to the class; 1 is none.")

    @classmethod
    def about(cls) -> dict[str, Any]:
        return super().about() | {"film": FILM, "guidance": GUIDANCE}

    @property
    def effort(self) -> float:
        return super().effort * (2 if self.classes and self.guidance != 1 else 1)

    def work(self, served: Served) -> Work:
        model, solver = self.clipped(self._guided(served.model)), schema.build(solvers, self.solver)

        def work(job: Job) -> dict[str, Any]:
            sources = generators(self.seeds)
            recorder = Trajectory(model.sde, frames((self.count, *served.shape)))
            observers: tuple[Observer, ...] = (Watcher(job, model), recorder)
            done = sampling.sample(model, solver, model.prior(sources), generator=sources, observers=observers)
            x = decoded(model, done.x)
            return {"pictures": encoded(x), "path": path(model, recorder, x), **cost(done)}

        return work

    def _guided(self, model: ScoreModel) -> ScoreModel:
        """The model, guided to the classes that were asked for."""
        if not self.classes:
            return model
        classes = class_numbers(model, self.classes)
        return GuidedModel(model, [classes[i % len(classes)] for i in range(self.count)], self.guidance)


def path(model: ScoreModel, recorder: Trajectory, x: Tensor) -> dict[str, Any]:
    """The way of pictures as strips: their states, and what the model expected, with the pictures at the end.

    Frames that show the same evaluation as the one before are left out.

    Args:
        model: The model.
        recorder: What it saw.
        x: The pictures, (B, C, H, W).
    """
    seen = recorder.states
    rows = [i for i in range(len(seen)) if not i or not torch.equal(seen[i], seen[i - 1])]
    return {
        "frames": len(rows),
        "states": strip([decoded(model, seen[i]) for i in rows]),
        "denoised": strip([*(decoded(model, recorder.denoised[i]) for i in rows[:-1]), x]),
    }
