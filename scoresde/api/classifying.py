"""Classifiers of noisy data, for guidance of models without classes."""

from pathlib import Path
from typing import Any

from ..core.devices import device as device_of
from ..core.errors import UsageError
from ..core.folders import claimed
from ..core.options import table
from ..core.provenance import versions
from ..data import DataOptions, Dataset
from ..data import data as sets
from ..data.given import GivenData
from ..data.recipes import loaded, trained_on
from ..models import CONFIG
from ..models.record import recipe
from ..models.record import record as noted
from ..models.trained_classifier import Classifier, load, save
from ..sampling.progress import progress_bar
from ..training.classifier import ClassifierTraining, accuracies, fit
from ..training.trainable import labelled
from .arguments import Model, model_of, source_of


def fit_classifier(
    model: Model,
    folder: str | Path,
    data: DataOptions | str | tuple[Dataset, Dataset] | None = None,
    *,
    device: str = "auto",
    progress: bool | None = None,
    **options: Any,
) -> Classifier:
    """Trains a classifier p(c | x_t) of the noisy data of a model, in minutes, and saves it to a folder.

    `sample` can then draw a chosen class from a model without classes. The folder contains the weights and config.json
    with the accuracy on held-out data at several times, which is also `held_out` of the classifier.

    Args:
        model: The model to be guided, or its name.
        folder: A folder without a model.
        data: Data with labels, such as "npz:path=faces.npz", or a pair of `Images` or `Tensors` for training and
            evaluation. By default the data of the model.
        device: As for `load`.
        progress: True or False for a bar or lines; None shows a bar in a terminal or notebook, else lines.
        options: Options of `scoresde.training.classifier.ClassifierTraining`: images (number seen), batch,
            learning_rate, seed, channels, blocks.

    Raises:
        UsageError: An option does not exist, or the folder cannot be written, or holds something already.
        DataError: The data have no labels, or are no data of the model.
        NumericalError: The loss is not finite.

    Example:
        >>> import scoresde
        >>> made = scoresde.fit_classifier("digits", "classifiers/small", images=200, progress=False)
        >>> made.classes, [row["time"] for row in made.held_out]
        (10, [0.001, 0.1, 0.2, 0.3, 0.4, 0.6, 0.8, 1.0])
        >>> scoresde.sample("digits", n=2, classes=[3, 5], guidance=2, classifier=made).x.shape
        torch.Size([2, 1, 8, 8])
    """
    chosen, around, target = ClassifierTraining(**options), model_of(model), Path(folder)
    own = source_of(around)
    came = recipe(own) if own else {}
    if isinstance(data, tuple):
        source: DataOptions = GivenData.of(*data)
    else:
        source = trained_on(came, "the model") if data is None else sets.parse(data)
    if (target / CONFIG).exists():
        raise UsageError(f"{target} already holds a classifier or a model: choose another folder (--out)")
    with progress_bar(None, progress, desc="reading", delay=1):
        train, test = (loaded(source, split, came, "the model") for split in ("train", "test"))
    if train.labels is not None:
        labelled(test, max(len(train.class_names), int(train.labels.max()) + 1), "the held-out data")
    record = {"data": table(source), "train": len(train), "test": len(test), **chosen.model_dump()}
    record |= noted(around, own) if own else versions()
    with claimed(target):
        with progress_bar(chosen.images, progress, desc="classifier", unit_scale=True, bar_format=None) as bar:

            def watch(seen: int, loss: float) -> None:
                bar.set_postfix_str(f"loss {loss:.4f}", refresh=False)
                bar.update(seen - bar.n)

            made = fit(around, train, chosen, device_of(device), watch)
        made.held_out = accuracies(made, around, test)
        save(made, target, {"recipe": record})
    return made


def load_classifier(folder: str | Path, device: str = "auto") -> Classifier:
    """Loads a classifier that `fit_classifier` or `scoresde classifier` has saved.

    Args:
        folder: The folder.
        device: As for `load`.

    Raises:
        UsageError: There is no such folder.
        CheckpointError: The folder is of something else, incomplete, damaged, or of another version.

    Example:
        >>> import scoresde
        >>> try:
        ...     scoresde.load_classifier("classifiers/none")
        ... except scoresde.ScoreSDEError as error:
        ...     print(error)
        there is no folder classifiers/none of a classifier: make one with `scoresde classifier`
    """
    return load(folder, device_of(device))
