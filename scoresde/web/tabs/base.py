"""What a tab is: what may be asked for on it, and the work that answers."""

from abc import ABC, abstractmethod
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any, ClassVar

from pydantic import Field

from ...core import files
from ...core.options import Options, Registry
from ...data.base import data
from ...models.base import ScoreModel
from ...models.clipped import ClippedModel
from ...models.folder import CONFIG
from ...models.latent import data_shape
from ...models.network import NetworkModel
from ...models.record import recipe
from ...observations.tasks import trained_task
from ...posterior import store
from ...posterior.tasks import SOLVER, conditioner_for, steps_for
from ..estimates import evaluations
from ..jobs import Work

MOST_PICTURES = 16
Seed = Annotated[int, Field(ge=0, le=2**53 - 1 - MOST_PICTURES, description="Picture i has the seed + i.")]
Count = Annotated[int, Field(ge=1, le=MOST_PICTURES, description="Number of pictures.")]
Table = Annotated[dict[str, Any], Field(description="A name and options.")]


@dataclass(frozen=True)
class Preset:
    """A solver under a word that needs no knowledge of solvers."""

    name: str
    """The word."""
    meaning: str
    """What it gives, in a sentence."""
    solver: dict[str, Any]
    """Name and options of the solver."""


@dataclass(frozen=True)
class Served:
    """A model of the page."""

    name: str
    """Name on the page."""
    folder: Path
    """The model's folder."""
    model: NetworkModel
    """The model."""
    pace: float = 0.0
    """Seconds of an evaluation of one picture, measured here; 0 if it was not."""

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of its pictures, (C, H, W)."""
        return data_shape(self.model)

    @property
    def conditioner(self) -> str:
        """The conditioner that works at once: without a stored covariance of the model's data, `projection`."""
        name = conditioner_for(self.model)
        return "projection" if name == "covariance" and not store.every(self.folder) else name

    @property
    def advice(self) -> str:
        """What would make its fillings and colours better, or nothing."""
        if self.conditioner == conditioner_for(self.model):
            return ""
        return f"Fillings and colours get better by `scoresde stats {self.name}`, which stores what its pictures share."

    @cached_property
    def digest(self) -> str:
        """That of the weights, for the film; nothing if the model's folder does not say."""
        return str(files.read_json(self.folder / CONFIG).get("sha256", ""))

    @cached_property
    def seen(self) -> str:
        """What the model learned from, in words; nothing if its folder does not say."""
        named = recipe(self.folder).get("data", {}).get("name", "")
        return (data[named].shows if named in data.all() else "") or (f"the images of “{named}”" if named else "")

    @property
    def description(self) -> dict[str, Any]:
        """The description that the page gets."""
        channels, height, width = self.shape
        return {
            "name": self.name,
            "channels": channels,
            "height": height,
            "width": width,
            "classes": self.model.classes,
            "class_names": self.model.class_names,
            "conditioner": self.conditioner,
            "advice": self.advice,
            "solver": {"name": SOLVER, "steps": steps_for(self.model)},
            "parameters": sum(p.numel() for p in self.model.parameters()),
            "sha256": self.digest,
            "pace": self.pace,
            "seen": self.seen,
        }


class Tab(Options, ABC):
    """A tab that draws. An object is one request: its fields are what may be asked for, checked like other options."""

    label: ClassVar[str]
    """Text of its button."""
    order: ClassVar[int] = 100
    """Tabs stand in the order of these numbers, and where they are equal of their names."""
    presets: ClassVar[tuple[Preset, ...]] = ()
    """The choices of a solver that need no knowledge of solvers; each has `steps` and one evaluation more."""

    model: str = Field(description="Name of a model that is served.")
    seed: Seed = 0
    count: Count = 4
    clip: bool = Field(False, description="Cut predicted data off at black and white.")

    @classmethod
    def serves(cls, model: NetworkModel) -> bool:
        """Whether the tab offers a model; here, those of p(x) that were trained for no task.

        Args:
            model: A model of the page.
        """
        return not trained_task(model).conditional

    @classmethod
    def about(cls) -> dict[str, Any]:
        """What the page is told of the tab, for JSON."""
        fields = cls.model_fields.items()
        defaults = {name: field.default for name, field in fields if not field.is_required()}
        presets = [asdict(preset) for preset in cls.presets]
        return {"name": cls.name, "label": cls.label, "defaults": defaults, "presets": presets}

    @abstractmethod
    def work(self, served: Served) -> Work:
        """What a job has to do; the last event of the job says what it returns.

        Args:
            served: The model that was asked for.

        Raises:
            UsageError: The request does not go with the model.
        """

    @property
    def kind(self) -> tuple[str, ...]:
        """Drawings that take equally long for equal `effort`: its tab, model, solver and conditioner."""
        tables = (getattr(self, each, None) or {} for each in ("solver", "conditioner"))
        return self.name, self.model, *(str(table.get("name", "")) for table in tables)

    @property
    def effort(self) -> float:
        """Evaluations of single pictures that it takes, about."""
        return self.count * evaluations(getattr(self, "solver", {}))

    @property
    def seeds(self) -> range:
        """The seeds of the pictures."""
        return range(self.seed, self.seed + self.count)

    def clipped(self, model: ScoreModel) -> ScoreModel:
        """A model, with `clip` if that was asked for.

        Args:
            model: Any model.
        """
        return ClippedModel(model) if self.clip else model


tabs: Registry[Tab] = Registry("tab", "scoresde.web.tabs")
