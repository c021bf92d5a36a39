"""Several solvers, one after the other, from the same noise, with a reference first."""

from typing import Any, ClassVar

from pydantic import Field
from torch import Tensor

from ...core.errors import NumericalError
from ...core.random import generators
from ...models.latent import decoded
from ...sampling import sample as sampling
from ...solvers import Solver, solvers
from .. import schema
from ..curve import curve, distance
from ..encoding import encoded
from ..estimates import evaluations
from ..jobs import Job, Work
from ..watching import Watcher, cost
from .base import Count, Served, Tab, Table, tabs

FEWEST, MOST = 2, 4
"""Solvers of a race."""
REFERENCE: dict[str, Any] = {"name": "ipndm", "steps": 200}
"""The solver that the others are compared with; on the bundled models it is 0.02 to 0.2 of 255 levels off itself."""
GAIN = 8
"""How much a difference is amplified, so that it can be seen."""


@tabs("race")
class Race(Tab):
    """Several solvers from the same noise."""

    label: ClassVar[str] = "Race"
    order: ClassVar[int] = 40
    count: Count = 1
    solvers: list[Table] = Field(min_length=FEWEST, max_length=MOST, description="Names and options.")
    curve: bool = Field(True, description="Run them with fewer and with more evaluations, too.")

    @classmethod
    def about(cls) -> dict[str, Any]:
        return super().about() | {"reference": REFERENCE}

    @property
    def effort(self) -> float:
        return self.count * sum(evaluations(table) for table in (REFERENCE, *self.solvers))

    def work(self, served: Served) -> Work:
        runners: list[Solver] = [schema.build(solvers, table) for table in (REFERENCE, *self.solvers)]
        model = self.clipped(served.model)

        def work(job: Job) -> dict[str, Any]:
            lanes: list[dict[str, Any]] = []
            truth: Tensor | None = None
            for lane, solver in enumerate(runners):
                sources, watcher = generators(self.seeds), Watcher(job, model, lane=lane)
                try:
                    done = sampling.sample(model, solver, model.prior(sources), generator=sources, observers=(watcher,))
                except NumericalError as error:
                    if truth is None:
                        raise
                    lanes.append({"lane": lane, "failed": str(error)})
                else:
                    x = decoded(model, done.x)
                    truth = x if truth is None else truth
                    lanes.append({"lane": lane, "pictures": encoded(x), **_compared(x, truth), **cost(done)})
                job.emit("lane", **lanes[-1])
            points = curve(job, model, runners, self.seeds, truth) if self.curve and truth is not None else []
            return {"lanes": lanes, "gain": GAIN, "points": points}

        return work


def _compared(x: Tensor, truth: Tensor) -> dict[str, Any]:
    """How far images are from others, and their difference as a picture, amplified."""
    difference = x.clamp(-1, 1) - truth.clamp(-1, 1)
    return {
        "error": distance(x, truth),
        "difference": encoded((GAIN * difference.abs() - 1).clamp(-1, 1)),
    }
