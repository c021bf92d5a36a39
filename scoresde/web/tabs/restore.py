"""What tabs share on which a picture is given and what is not known of it is drawn."""

from abc import ABC
from typing import Any

from PIL import Image
from pydantic import Field

from ...conditioners import conditioners
from ...core.errors import UsageError
from ...posterior.tasks import SOLVER, STEPS, Case, Method
from ...solvers import solvers
from .. import schema, uploads
from ..encoding import encoded, picture_of
from ..jobs import Job, Work
from ..reading import decoded
from ..watching import Watcher, cost
from .base import Served, Tab, Table


class Restore(Tab, ABC):
    """Pictures that agree with what is known of one."""

    solver: Table = {"name": SOLVER, "steps": STEPS}
    conditioner: Table | None = None
    picture: str = Field(description="A PNG of the model's size, in base64.")

    def opened(self, served: Served, mode: str) -> Image.Image:
        """The picture that came with the request.

        Args:
            served: The model that was asked for.
            mode: Mode of the picture, "L" or "RGB".

        Raises:
            UsageError: It has not the model's size.
            UploadError: It is no picture.
        """
        picture = picture_of(uploads.decode(decoded("picture", self.picture))).convert(mode)
        _, height, width = served.shape
        if picture.size != (width, height):
            ours, theirs = f"{width}x{height}", "{}x{}".format(*picture.size)
            raise UsageError(f"the model draws pictures of {ours}, and this one is {theirs}: fit it first")
        return picture

    def restored(self, served: Served, case: Case) -> Work:
        """Samples of what a picture may have been.

        Args:
            served: The model that was asked for.
            case: What is known of the picture.
        """
        conditioner = self.conditioner or {"name": served.conditioner}
        method = Method(schema.build(solvers, self.solver), schema.build(conditioners, conditioner))
        model = self.clipped(served.model)

        def work(job: Job) -> dict[str, Any]:
            (done,) = method.draw(case, model, served.folder, self.seeds, self.count, lambda: Watcher(job, model))
            return {"pictures": encoded(done.x), "note": case.note, **cost(done)}

        return work


def offered() -> list[str]:
    """The conditioners that a page can offer: not those for known mixtures alone, or for networks trained so."""
    return [name for name in conditioners.all() if name not in ("oracle", "trained")]
