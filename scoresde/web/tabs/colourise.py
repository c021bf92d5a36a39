"""Samples of the colours of a photograph, at its own size."""

from typing import ClassVar

from ...models.latent import data_shape
from ...models.network import NetworkModel
from ...observations.tasks import trained_task
from ...posterior.photograph import coloured
from ...posterior.tasks import colourful
from ..jobs import Work
from .base import Served, tabs
from .restore import Restore


@tabs("colourise")
class Colourise(Restore):
    """Colours for a picture."""

    label: ClassVar[str] = "Colourise"
    order: ClassVar[int] = 30

    @classmethod
    def serves(cls, model: NetworkModel) -> bool:
        return data_shape(model)[0] == 3 and trained_task(model).name in ("none", "colour")

    def work(self, served: Served) -> Work:
        colourful(served.name, served.shape)
        return self.restored(served, coloured(self.opened(), served.shape))
