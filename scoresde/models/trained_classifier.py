"""A classifier that was trained on the noisy data of a process, and the folder that it lives in."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from ..core.devices import like
from ..core.errors import CheckpointError, ScoreSDEError, UsageError
from ..core.files import read_json, write_json, write_tensors
from ..core.options import table
from ..core.random import undisturbed
from ..core.units import Units
from ..networks.guided_classifier import ClassifierOptions
from ..sde import SDE, expand, sdes
from .base import ScoreModel
from .folder import CONFIG, FORMAT, WEIGHTS, fill
from .latent import of_data

KIND = "classifier of noisy data"
LEVELS = 1000
"""What the network takes for the time is this times the share of the process."""


class Classifier(nn.Module):
    """classifier(x, t): the logits of p(c | x_t), (B, K), for x (B, *) and t (B,).

    The network sees x_t/√(α² + σ²) and 1000 times the share of the process that lies before t.

    Args:
        options: The network.
        sde: The process whose x_t it knows.
        shape: Shape of one sample, (C, H, W).
        class_names: What the classes are called, in their order; or nothing.
        units: What x_0 means in the data's own units, as for a `NetworkModel`.

    Raises:
        UsageError: The samples are not of a shape or size that the network takes, or the names not one for each class.
    """

    source: str = ""
    """What records call it: the name of its folder."""
    sha256: str = ""
    """The digest of its weights."""
    held_out: Sequence[Mapping[str, float]] = ()
    """Its accuracy and cross-entropy, in nats, on held-out data at several times."""

    def __init__(
        self,
        options: ClassifierOptions,
        sde: SDE,
        shape: Sequence[int],
        class_names: Sequence[str] = (),
        units: Units | None = None,
    ) -> None:
        super().__init__()
        if len(class_names) not in (0, options.classes):
            raise UsageError(f"{options.classes} classes have as many names, or none, got {list(class_names)}")
        self.options, self.sde, self.shape, self.units = options, sde, tuple(shape), units
        self.classes, self.class_names = options.classes, tuple(class_names)
        if len(self.shape) != 3:
            raise UsageError(
                f"a classifier of noisy data takes samples (C, H, W), got {self.shape}: train the model itself with "
                "network.classes"
            )
        self.net = options.build(self.shape)

    def forward(self, x: Tensor, t: Tensor) -> Tensor:
        """The logits, (B, K), in the dtype of the network.

        Args:
            x: States x_t, (B, *).
            t: Their times, (B,), float64 on the CPU.
        """
        parameter = next(self.net.parameters())
        seen = like(x / expand(self.sde.scale(t), x), parameter)
        found: Tensor = self.net(seen, (LEVELS * self.sde.share(t)).float().to(parameter.device))
        return found

    def fits(self, model: ScoreModel) -> None:
        """Checks that it was trained on the x_t of a model.

        Args:
            model: The model.

        Raises:
            UsageError: It was trained on x_t of another shape, process or unit.
        """
        of_data(model, "the classifier is of data")
        ours, theirs = ((one.shape, one.sde, one.units and one.units.lists()) for one in (self, model))
        for what, own, other in zip(("samples of shape", "the process", "the units"), ours, theirs, strict=True):
            if own != other:
                raise UsageError(
                    f"the classifier was trained on {what} {own}, and the model has {other}: train one for this model "
                    "by `scoresde classifier`"
                )

    @property
    def record(self) -> dict[str, Any]:
        """What a result is noted with."""
        return {"name": self.source, "sha256": self.sha256}


def save(classifier: Classifier, folder: Path, record: Mapping[str, Any]) -> None:
    """Writes a classifier's folder: the weights first, then the config that makes them valid.

    Args:
        classifier: The classifier, which gets its name and digest.
        folder: The folder that is made.
        record: Further entries of the config, such as how it was made.

    Raises:
        ResourceError: The folder is not writable, or the disk is full.
    """
    classifier.sha256 = write_tensors(folder / WEIGHTS, classifier.net.state_dict())
    classifier.source = folder.resolve().name
    content = {
        "format": FORMAT,
        "kind": KIND,
        "shape": list(classifier.shape),
        "sha256": classifier.sha256,
        "sde": table(classifier.sde),
        "classifier": classifier.options.model_dump(mode="json"),
        "class_names": list(classifier.class_names),
        **({} if classifier.units is None else {"units": classifier.units.lists()}),
        "accuracy": list(classifier.held_out),
        **record,
    }
    write_json(folder / CONFIG, content)


def load(folder: str | Path, device: str | torch.device = "cpu") -> Classifier:
    """The classifier of a folder, as `scoresde classifier` writes it, ready to guide.

    Args:
        folder: The folder.
        device: Where its tensors go.

    Raises:
        UsageError: There is no such folder.
        CheckpointError: The folder is of something else, incomplete, damaged, or of another version.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise UsageError(f"there is no folder {folder} of a classifier: make one with `scoresde classifier`")
    config = read_json(folder / CONFIG)
    if config.get("kind") != KIND or config.get("format") != FORMAT:
        raise CheckpointError(
            f"{folder} is not the folder of a {KIND} of format {FORMAT}: make one with `scoresde classifier`"
        )
    try:
        options, sha256 = ClassifierOptions(**config["classifier"]), str(config["sha256"])
        shape, names = [int(n) for n in config["shape"]], config["class_names"]
        units = Units.of(config["units"]) if "units" in config else None
        with undisturbed():  # the fresh weights are drawn and written over
            found = Classifier(options, sdes.build(config["sde"]), shape, names, units)
        found.held_out = config["accuracy"]
    except (ScoreSDEError, KeyError, TypeError, ValueError) as error:
        raise CheckpointError(f"{folder / CONFIG} does not describe a classifier: {error}") from None
    fill(found.net, folder / WEIGHTS, sha256)
    found.sha256, found.source = sha256, folder.resolve().name
    return found.to(device).eval().requires_grad_(False)
