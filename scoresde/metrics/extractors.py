"""Domain extractors: small networks, trained on a data set in minutes, whose features stand in for Inception's.

A set with labels trains a classifier, a set without trains an autoencoder; the part that maps images to features is
kept. Each feature has mean 0 and variance 1. A distance is named after the extractor and its digest, never FID.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional as F

from ..core.errors import CheckpointError, UsageError
from ..core.files import read_json, read_tensors, write_json, write_tensors
from ..core.options import hint
from ..core.random import rand, seed_global, stream
from ..data import Images
from ..models.folder import CONFIG, WEIGHTS
from .fitting import Training, Watch, minimise

FORMAT = 1
"""Version of an extractor's folder. A reader refuses any other."""
BUNDLED = Path(__file__).parent / "bundled"
SMOOTHING = 0.1
"""Label smoothing. Without it, confident logits would make the features heavy-tailed."""
SMALLEST = 4
"""Maps are halved until no side is longer than this."""


class FitOptions(Training):
    """Options of an extractor and of its training."""

    dimension: int = Field(32, ge=2, description="Number of features.")
    width: int = Field(16, ge=1, description="Channels of the first map; they double with each halving, up to 8 times.")


def _stages(shape: tuple[int, int, int], width: int) -> list[tuple[int, int, int]]:
    """Shapes of the maps, the image's first, each side half the one before, rounded up."""
    _, height, width_ = shape
    stages = [shape, (width, height, width_)]
    while max(stages[-1][1:]) > SMALLEST:
        channels, height, width_ = stages[-1]
        stages.append((min(2 * channels, 8 * width), (height + 1) // 2, (width_ + 1) // 2))
    return stages


class Extractor(nn.Module):
    """Maps images in [-1, 1], (B, C, H, W), to features, (B, dimension): convolutions, then one linear map.

    Args:
        shape: Channels, height and width of one image.
        dimension: Number of features.
        width: Channels of the first map.
    """

    def __init__(self, shape: tuple[int, int, int], dimension: int, width: int) -> None:
        super().__init__()
        self.shape, self.dimension, self.width = shape, dimension, width
        self.source = ""
        """What its features are called: name@sha8, once it has been saved or loaded."""
        stages = _stages(shape, width)
        layers: list[nn.Module] = []
        for (into, *_), (out, *_), stride in zip(stages, stages[1:], [1] + [2] * len(stages), strict=False):
            layers += [nn.Conv2d(into, out, 3, stride, 1), nn.GroupNorm(1, out), nn.SiLU()]
        self.layers = nn.Sequential(*layers, nn.Flatten(), nn.Linear(math.prod(stages[-1]), dimension))

    def forward(self, x: Tensor) -> Tensor:
        """The features, (B, dimension).

        Args:
            x: Images in [-1, 1], (B, C, H, W).
        """
        features: Tensor = self.layers(x)
        return features


def _decoder(extractor: Extractor) -> nn.Module:
    """The way back from features to images, with the extractor's maps in reverse order."""
    stages = _stages(extractor.shape, extractor.width)
    layers: list[nn.Module] = [
        nn.Linear(extractor.dimension, math.prod(stages[-1])),
        nn.Unflatten(1, stages[-1]),
        nn.SiLU(),
    ]
    for (into, *_), (out, *size) in zip(stages[:0:-1], stages[-2:0:-1], strict=False):
        layers += [nn.Upsample(size=tuple(size)), nn.Conv2d(into, out, 3, 1, 1), nn.GroupNorm(1, out), nn.SiLU()]
    return nn.Sequential(*layers, nn.Conv2d(stages[1][0], stages[0][0], 3, 1, 1))


@dataclass(frozen=True)
class FittedExtractor:
    """A trained extractor and its score on held-out images."""

    extractor: Extractor
    """The extractor."""
    kind: Literal["classifier", "autoencoder"]
    """What it was trained as."""
    score: float
    """Accuracy of the classifier, or share of the variance that the autoencoder restores."""


def fit(
    images: Images,
    held_out: Images,
    options: FitOptions,
    *,
    watch: Watch = lambda images, loss: None,
) -> FittedExtractor:
    """Trains a classifier by cross-entropy where there are labels, else an autoencoder by squared error.

    Uniform noise within its grey level is added to each image, so that the features do not separate a set of few
    levels from samples with 256.

    Args:
        images: The training images.
        held_out: Images that only the score is measured on.
        options: The extractor, and its training.
        watch: Called after each step with the images seen so far and the loss.

    Raises:
        NumericalError: The loss is not finite.
    """
    seed_global(options.seed)
    extractor = Extractor(images.shape, options.dimension, options.width)
    labels = images.labels
    classes = 0 if labels is None else int(labels.max()) + 1
    head = nn.Sequential(nn.SiLU(), nn.Linear(options.dimension, classes)) if classes else _decoder(extractor)

    def loss(index: Tensor, seen: int) -> Tensor:
        x = images.scaled(index)
        jitter = rand(x.shape, stream(options.seed, "jitter", seen)) - 0.5
        out = head(extractor(x + jitter * (2 / (images.levels - 1))))
        if labels is None:
            return F.mse_loss(out, x)
        return F.cross_entropy(out, labels[index], label_smoothing=SMOOTHING)

    minimise(loss, [*extractor.parameters(), *head.parameters()], len(images), options, watch)
    extractor.eval().requires_grad_(False)
    kind: Literal["classifier", "autoencoder"] = "autoencoder" if labels is None else "classifier"
    score = _score(extractor, head, held_out)
    _standardise(extractor, images)
    return FittedExtractor(extractor, kind, score)


def _standardise(extractor: Extractor, images: Images) -> None:
    """Gives each feature mean 0 and variance 1 over the training images, by changing the last linear map."""
    features = torch.cat([extractor(images.scaled(slice(i, i + 500))) for i in range(0, len(images), 500)]).double()
    scale = features.std(0).clamp_min(1e-6)  # a feature that never changes stays at 0
    last: Any = extractor.layers[-1]
    last.weight.copy_(last.weight / scale[:, None])
    last.bias.copy_((last.bias - features.mean(0)) / scale)


@torch.no_grad()
def _score(extractor: Extractor, head: nn.Module, images: Images) -> float:
    total, spread, mean = 0.0, 0.0, images.scaled().mean(0)
    for first in range(0, len(images), 500):
        part = slice(first, first + 500)
        x = images.scaled(part)
        out = head(extractor(x))
        if images.labels is not None:
            total += float((out.argmax(1) == images.labels[part]).sum())
        else:
            total, spread = total + float((out - x).square().sum()), spread + float((x - mean).square().sum())
    return total / len(images) if images.labels is not None else 1 - total / spread


def save(fitted: FittedExtractor, folder: Path, recipe: Mapping[str, Any]) -> None:
    """Writes an extractor's folder: the weights first, then the config that makes them valid.

    Args:
        fitted: The trained extractor, which gets its name and digest.
        folder: The folder that is made.
        recipe: How it was made; kept for the reader.
    """
    extractor = fitted.extractor
    sha256 = write_tensors(folder / WEIGHTS, extractor.state_dict())
    content = {
        "format": FORMAT,
        "kind": fitted.kind,
        "shape": list(extractor.shape),
        "dimension": extractor.dimension,
        "width": extractor.width,
        "sha256": sha256,
        "held_out": fitted.score,
        "recipe": dict(recipe),
    }
    write_json(folder / CONFIG, content)
    extractor.source = f"{folder.resolve().name}@{sha256[:8]}"


def bundled() -> list[str]:
    """Names of the extractors that come with the package."""
    return sorted(path.parent.name for path in BUNDLED.glob(f"*/{CONFIG}"))


def load(name: str | Path) -> Extractor:
    """The extractor of a folder, or bundled under a name, ready to use.

    Args:
        name: A folder, or the name of a bundled extractor.

    Raises:
        UsageError: There is no such folder or name.
        CheckpointError: The folder is incomplete, damaged, or of another version.
    """
    folder = BUNDLED / str(name) if str(name) in bundled() and not (Path(name) / CONFIG).exists() else Path(name)
    if not folder.is_dir():
        raise UsageError(f"no folder or bundled extractor is called {str(name)!r}. {hint(str(name), bundled())}")
    config = read_json(folder / CONFIG)
    if config.get("format") != FORMAT or "held_out" not in config:
        raise CheckpointError(
            f"{folder} is not the folder of an extractor of format {FORMAT}: make one with `scoresde features fit`"
        )
    try:
        channels, height, width = (int(n) for n in config["shape"])
        with torch.device("meta"):  # no random weights are drawn only to be replaced
            extractor = Extractor((channels, height, width), int(config["dimension"]), int(config["width"]))
        sha256 = str(config["sha256"])
    except (KeyError, TypeError, ValueError) as error:
        raise CheckpointError(f"{folder / CONFIG} does not describe an extractor: {error}") from None
    tensors = read_tensors(folder / WEIGHTS, sha256)
    try:
        extractor.load_state_dict(tensors, assign=True)
    except RuntimeError as error:
        raise CheckpointError(f"{folder / WEIGHTS} does not fit its config: {str(error).splitlines()[-1]}") from None
    extractor.source = f"{folder.resolve().name}@{sha256[:8]}"
    return extractor.eval().requires_grad_(False)
