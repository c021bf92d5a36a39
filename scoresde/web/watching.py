"""What a job sends while a solver works: its progress, with what emerges, and at the end what that took."""

import time
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
"""Seconds between two pictures of what emerges, at least, and how many times longer it is than making them."""
BUDGET = 10_000
"""Evaluations after which a job is ended."""


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
            pictures=encoded(decoded(self.model, denoised(self.model.sde, x.detach(), t, eps.detach()))),
            **self.data,
        )
        shown = time.perf_counter()
        self.next = shown + max(EVERY, SHARE * (shown - now))


def cost(done: Samples) -> dict[str, Any]:
    """What samples took, for the page.

    Args:
        done: The samples.
    """
    return {"nfe": done.nfe, "vjps": done.vjps, "seconds": round(done.seconds, 3)}
