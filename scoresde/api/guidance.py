"""Classes and guidance, from the options of the command line."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from ..core.errors import UsageError
from ..models.base import ScoreModel
from ..models.classes import class_numbers, names_of
from ..models.classifier import ClassifierGuidedModel
from ..models.guided import GuidedModel, Interval
from ..models.trained_classifier import Classifier


@dataclass(frozen=True)
class Guidance:
    """The classes of all samples, and how strongly they are guided to them."""

    classes: list[int]
    """Class of each sample."""
    scale: float
    """Of guidance."""
    interval: Interval | None
    """The times between which the scale holds; None for all."""
    classifier: Classifier | None = None
    """What guides, in place of what the model itself knows of classes."""

    def around(self, model: ScoreModel, first: int, count: int) -> ScoreModel:
        """The model of some samples.

        Args:
            model: A model that knows classes, or any model of the classifier's process.
            first: Number of the first sample.
            count: How many they are.
        """
        return guided(model, self.classes[first : first + count], self.scale, self.interval, self.classifier)

    def record(self, model: ScoreModel) -> dict[str, Any]:
        """What samples.json says of it.

        Args:
            model: The model that is guided.
        """
        by = {} if self.classifier is None else {"classifier": self.classifier.record}
        interval = list(self.interval or (0.0, model.sde.t_max))
        return {"classes": self.classes, "guidance": self.scale, "guidance_interval": interval, **by}


def guided(
    model: ScoreModel,
    classes: list[int],
    scale: float,
    interval: Interval | None = None,
    classifier: Classifier | None = None,
) -> ScoreModel:
    """The model of p(x) p(c | x)^w, c being the class of each sample, by what the model knows of c or by a classifier.

    A network that needs a class at each evaluation is told it beside the classifier, as the authors of this guidance
    do; the law is then p(x | c) p(c | x)^w.

    Args:
        model: The model.
        classes: Class of each sample.
        scale: w.
        interval: The times between which the scale holds, or None for all.
        classifier: The classifier, or None for the model's own knowledge.

    Raises:
        UsageError: The model knows no classes and there is no classifier, or the two do not belong together.
    """
    if classifier is None:
        return GuidedModel(model, classes, scale, interval)
    if model.classes and not model.null_class:
        if model.classes != classifier.classes or names_of(model) != names_of(classifier):
            raise UsageError(
                f"the network is told one of its {model.classes} classes beside the classifier, which has "
                f"{classifier.classes}: give it a classifier of the same classes"
            )
        model = GuidedModel(model, classes)
    return ClassifierGuidedModel(model, classifier, scale, classes, interval=interval)


def _apart(text: str, names: Sequence[str]) -> Iterator[str]:
    """The parts of a text between commas; those of a name that has commas of its own stay together."""
    parts = text.split(",")
    while parts:
        sizes = range(len(parts), 0, -1)
        size = next((n for n in sizes if ",".join(parts[:n]).strip() in names), 1)
        yield ",".join(parts[:size])
        parts = parts[size:]


def labels(
    model: ScoreModel,
    classes: str | None,
    count: int,
    scale: float | None,
    interval: str | None,
    classifier: Classifier | None = None,
) -> Guidance | None:
    """What --class, --guidance, --guidance-interval and --classifier ask for; sample i has the class i modulo their
    number.

    Args:
        model: The model.
        classes: Names or numbers with commas between them.
        count: Number of samples.
        scale: Of guidance.
        interval: Two times with a comma between them.
        classifier: The classifier that guides, if any.

    Raises:
        UsageError: One of them cannot be read, or there is a scale or a classifier without a class.
    """
    if classes is None:
        for option, value in (("--guidance", scale), ("--guidance-interval", interval), ("--classifier", classifier)):
            if value is not None:
                raise UsageError(f"{option} needs --class: say which class the samples are guided to")
        return None
    knows = model if classifier is None else classifier
    named = class_numbers(knows, _apart(classes, names_of(knows)))
    between = None
    if interval is not None:
        try:
            low, high = (float(text) for text in interval.split(","))
        except ValueError:
            raise UsageError(f"--guidance-interval takes two times such as 0.1,0.8, got {interval!r}") from None
        between = low, high
    each = [named[i % len(named)] for i in range(count)]
    return Guidance(each, 1.0 if scale is None else scale, between, classifier)
