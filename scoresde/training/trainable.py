"""Checks of a configuration before the training."""

from ..core.errors import DataError, UsageError
from ..core.sentences import many
from ..data import Dataset, Images
from ..models.network import NetworkModel
from .options import TrainOptions


def check(options: TrainOptions, images: Dataset, model: NetworkModel, world: int) -> None:
    """Refuses what cannot be trained on.

    Args:
        options: The options of the training.
        images: The training data.
        model: The network.
        world: Number of processes.

    Raises:
        UsageError: The batch cannot be cut into equal parts, or something is asked for that only images have.
        DataError: The images do not fit the model.
    """
    if not isinstance(images, Images):
        asked = {
            "train.flip": options.flip,
            f"train.condition = {options.condition}": options.condition.conditional,
            "train.loss = hybrid": options.loss == "hybrid",
        }
        if for_images := [name for name, there in asked.items() if there]:
            kind = f"other numbers, of shape {images.shape}"
            raise UsageError(f"{for_images[0]} is for images of whole grey levels, the data are {kind}: leave it out")
    if options.batch % (options.accumulate * world):
        among = f" for each of {world} processes" if world > 1 else ""
        raise UsageError(
            f"train.batch = {options.batch} cannot be cut into train.accumulate = {options.accumulate} equal parts"
            f"{among}: choose a multiple of {options.accumulate * world}"
        )
    if images.shape != model.shape:
        raise DataError(f"the images have the shape {images.shape}, the model takes {model.shape}")
    if options.batch > len(images):
        raise DataError(f"train.batch = {options.batch} is more than the images, {len(images)}: choose at most so many")
    labelled(images, model.classes)


def labelled(images: Dataset, classes: int, what: str = "the images") -> None:
    """Refuses labels that are not those of a network's classes.

    Args:
        images: The data.
        classes: K, or 0 for a network that takes no labels.
        what: What an error calls them.

    Raises:
        DataError: They have none, or others than 0 to K - 1.
    """
    if not classes:
        return
    if images.labels is None:
        raise DataError(f"the network has {many(classes, 'class')} and {what} have no labels: set network.classes = 0")
    if int(images.labels.min()) < 0 or int(images.labels.max()) >= classes:
        found = f"{int(images.labels.min())} to {int(images.labels.max())}"
        raise DataError(
            f"the labels of {what} go from {found}: a network of {many(classes, 'class')} takes 0 to {classes - 1}"
        )
