"""Classes and guidance as the command line asks for them."""

from dataclasses import dataclass
from typing import Any

from ..core.errors import UsageError
from ..models.base import ScoreModel
from ..models.classes import class_numbers
from ..models.guided import GuidedModel


@dataclass(frozen=True)
class Guidance:
    """The classes of all samples, and how strongly they are guided to them."""

    classes: list[int]
    """Class of each sample."""
    scale: float
    """Of guidance."""
    interval: tuple[float, float]
    """The times between which the scale holds."""

    def around(self, model: ScoreModel, first: int, count: int) -> GuidedModel:
        """The model of some samples.

        Args:
            model: A model that knows classes.
            first: Number of the first sample.
            count: How many they are.
        """
        return GuidedModel(model, self.classes[first : first + count], self.scale, self.interval)

    @property
    def record(self) -> dict[str, Any]:
        """What samples.json says of it."""
        return {"classes": self.classes, "guidance": self.scale, "guidance_interval": list(self.interval)}


def labels(
    model: ScoreModel, classes: str | None, count: int, scale: float | None, interval: str | None
) -> Guidance | None:
    """What --class, --guidance and --guidance-interval ask for; sample i has the class i modulo their number.

    Args:
        model: The model.
        classes: Names or numbers with commas between them.
        count: Number of samples.
        scale: Of guidance.
        interval: Two times with a comma between them.

    Raises:
        UsageError: One of them cannot be read, or there is a scale without a class.
    """
    if classes is None:
        if scale is not None or interval is not None:
            raise UsageError("--guidance needs --class: say which class the samples are guided to")
        return None
    named = class_numbers(model, classes.split(","))
    low, high = 0.0, 1.0
    if interval is not None:
        try:
            low, high = (float(text) for text in interval.split(","))
        except ValueError:
            raise UsageError(f"--guidance-interval takes two times such as 0.1,0.8, got {interval!r}") from None
    return Guidance([named[i % len(named)] for i in range(count)], 1.0 if scale is None else scale, (low, high))
