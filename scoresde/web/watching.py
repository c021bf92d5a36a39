"""What a job sends while a solver works: its progress, with what emerges, and at the end what that took."""

import time
from collections.abc import Callable
from typing import Any

from torch import Tensor

from ..core.errors import NumericalError
from ..models.base import ScoreModel
from ..models.latent import decoded
from ..models.output import denoised
from ..sampling.progress import Progress
from ..sampling.sample import Samples
from .encoding import encoded
from .jobs import Job

EVERY, SHARE = 0.08, 20
"""Seconds between two events, at least; between two with pictures, how many times longer than making these takes."""
BUDGET = 10_000
"""Evaluations after which a job is ended."""


class Watcher(Progress):
    """An observer that stops a cancelled job, and sends the predicted images from time to time.

    Args:
        job: The job.
        model: The model that is sampled from.
        shown: What is shown of predicted images, (B, C, H, W); by default, they themselves.
        data: Further data of its events.
    """

    def __init__(
        self, job: Job, model: ScoreModel, shown: Callable[[Tensor], Tensor] = lambda x: x, **data: Any
    ) -> None:
        super().__init__(model.sde)
        self.job, self.model, self.shown, self.data = job, model, shown, data
        self.began, self.told, self.next = time.perf_counter(), 0.0, 0.0

    def __call__(self, x: Tensor, t: Tensor, eps: Tensor) -> None:
        super().__call__(x, t, eps)
        self.job.check()
        if self.calls > BUDGET:
            raise NumericalError(f"this took more than {BUDGET} evaluations and was ended: ask for fewer steps")
        now = time.perf_counter()
        if now < self.told:
            return
        pictures: dict[str, Any] = {}
        if now >= self.next:
            x0 = decoded(self.model, denoised(self.model.sde, x.detach(), t, eps.detach()))
            pictures = {"pictures": encoded(self.shown(x0))}
            took = time.perf_counter() - now
            self.next = now + took + max(EVERY, SHARE * took)
        self.told = time.perf_counter() + EVERY
        said = {"share": round(self.share, 4), "nfe": self.calls, "seconds": round(now - self.began, 3)}
        self.job.emit("progress", **said, **pictures, **self.data)


def cost(done: Samples) -> dict[str, Any]:
    """What samples took, for the page.

    Args:
        done: The samples.
    """
    return {"nfe": done.nfe, "vjps": done.vjps, "seconds": round(done.seconds, 3)}
