"""New pictures, and their paths from noise."""

from typing import Any, ClassVar

from pydantic import Field

from ...core.random import generators
from ...models.base import Observer, ScoreModel
from ...models.guided import GuidedModel
from ...models.latent import decoded
from ...sampling import sample as sampling
from ...sampling.trajectory import Trajectory
from ...solvers import solvers
from .. import schema
from ..encoding import encoded, frames, strip
from ..jobs import Job, Work
from ..watching import Watcher, cost
from .base import MOST_PICTURES, Served, Tab, Table, tabs

QUICK: dict[str, Any] = {"name": "unipc", "steps": 15}
"""The solver of new pictures: 16 evaluations, which end within 2 of 255 levels of the flow on digits and CIFAR-10."""


@tabs("generate")
class Generate(Tab):
    """New pictures."""

    label: ClassVar[str] = "Generate"
    order: ClassVar[int] = 10
    solver: Table = QUICK
    classes: list[int] | None = Field(None, max_length=MOST_PICTURES, description="Picture i has class i modulo them.")
    guidance: float = Field(1.0, ge=0, le=100, description="Scale of guidance to the class; 1 is none.")

    def work(self, served: Served) -> Work:
        model, solver = self.clipped(self._guided(served.model)), schema.build(solvers, self.solver)

        def work(job: Job) -> dict[str, Any]:
            sources = generators(self.seeds)
            recorder = Trajectory(model.sde, frames((self.count, *served.shape)))
            observers: tuple[Observer, ...] = (Watcher(job, model), recorder)
            done = sampling.sample(model, solver, model.prior(sources), generator=sources, observers=observers)
            x = decoded(model, done.x)
            path = {
                "frames": len(recorder.states),
                "states": strip([decoded(model, state) for state in recorder.states]),
                "denoised": strip([*(decoded(model, state) for state in recorder.denoised[:-1]), x]),
            }
            return {"pictures": encoded(x), "path": path, **cost(done)}

        return work

    def _guided(self, model: ScoreModel) -> ScoreModel:
        """The model, guided to the classes that were asked for."""
        if not self.classes:
            return model
        return GuidedModel(model, [self.classes[i % len(self.classes)] for i in range(self.count)], self.guidance)
