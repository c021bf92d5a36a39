"""What tabs share on which a picture is given and what is not known of it is drawn."""

from abc import ABC
from typing import Any, ClassVar

import torch
from PIL import Image
from pydantic import Field
from torch import Tensor

from ...conditioners import conditioners
from ...core.errors import UsageError
from ...images.upsample import resized
from ...posterior.tasks import SOLVER, STEPS, Case, Method, of_size
from ...solvers import solvers
from .. import examples, schema, uploads
from ..encoding import MOST_PIXELS, encoded, picture_of
from ..jobs import Job, Work
from ..reading import from_base64
from ..watching import Watcher, cost
from .base import Preset, Served, Tab, Table

TILES = 64
"""Tiles of a long picture that are computed at a time."""
PREVIEW = 256
"""Pixels of the longer side of a picture that emerges."""


class Restore(Tab, ABC):
    """Pictures that agree with what is known of one."""

    presets: ClassVar[tuple[Preset, ...]] = (
        Preset("fast", "A third fewer than usual: for a first look.", {"name": SOLVER, "steps": 7 * STEPS // 10}),
        Preset("good", "The usual number.", {"name": SOLVER, "steps": STEPS}),
        Preset("exact", "Five times the usual number; seldom better.", {"name": SOLVER, "steps": 5 * STEPS}),
    )
    solver: Table = {"name": SOLVER, "steps": STEPS}
    conditioner: Table | None = None
    picture: str = Field(description="A photograph of any size as PNG, JPEG or another picture, in base64.")

    @classmethod
    def about(cls) -> dict[str, Any]:
        return super().about() | {"examples": examples.offered(hole="mask" in cls.model_fields)}

    def opened(self, mode: str | None = None) -> Image.Image:
        """The picture that came with the request.

        Args:
            mode: Mode of the picture, "L" or "RGB"; None keeps grey ones grey.

        Raises:
            UsageError: As many of its size as are asked for are too many pixels.
            UploadError: It is no picture.
        """
        picture = picture_of(uploads.decode(from_base64("picture", self.picture)))
        if picture.width * picture.height * self.count > MOST_PIXELS:
            size = "{}x{}".format(*picture.size)
            raise UsageError(
                f"{self.count} pictures of {size} have more than the {MOST_PIXELS:,} pixels that are drawn at a time "
                f"here: ask for fewer, make the picture smaller, or use scoresde {self.name} on the command line"
            )
        return picture.convert(mode) if mode else picture

    def restored(self, served: Served, case: Case) -> Work:
        """Samples of what a picture may have been, at its own size.

        Args:
            served: The model that was asked for.
            case: What is known of the picture.
        """
        conditioner = self.conditioner or {"name": served.conditioner}
        method = Method(schema.build(solvers, self.solver), schema.build(conditioners, conditioner))
        model = of_size(self.clipped(served.model), case.shape, TILES)

        def emerging(x: Tensor) -> Tensor:
            return x if case.finish is None else torch.cat([small(case.finish(one[None])) for one in x])

        def work(job: Job) -> dict[str, Any]:
            done = method.draw(
                case, model, served.folder, self.seeds, self.count, lambda: Watcher(job, model, emerging)
            )
            whole = list[str]()
            for one in done.x:  # they may be large
                job.check()
                whole += encoded(case.finished(one[None]))
            return {"pictures": whole, "note": case.note, **cost(done)}

        return work


def small(x: Tensor) -> Tensor:
    """Images that are soon encoded, to be looked at while they emerge: their longer side is at most `PREVIEW` pixels.

    Args:
        x: (B, C, H, W).
    """
    scale = PREVIEW / max(x.shape[2:])
    return x if scale >= 1 else resized(x, (max(1, round(scale * x.shape[2])), max(1, round(scale * x.shape[3]))))


def offered() -> list[str]:
    """The conditioners that a page can offer: not those for known mixtures alone, or for networks trained so."""
    return [name for name in conditioners.all() if name not in ("oracle", "trained")]
