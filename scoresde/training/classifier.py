"""Training a classifier of the noisy data of a process, for guidance."""

from dataclasses import replace
from typing import Any

import torch
from pydantic import Field
from torch import Tensor
from torch.nn import functional

from ..core.errors import DataError
from ..core.random import rand, randn, seed_global, stream
from ..core.units import Units
from ..data import Dataset, Images, Tensors
from ..metrics.fitting import Training, Watch, minimise
from ..models.base import ScoreModel
from ..models.latent import of_data
from ..models.trained_classifier import Classifier
from ..networks.guided_classifier import ClassifierOptions
from ..sde import noised, time_at

SHARES = (0.0, 0.1, 0.2, 0.3, 0.4, 0.6, 0.8, 1.0)
"""Where in the process the accuracy is measured."""
AT_ONCE = 500
SMALLEST, WIDEST = 4, 4
"""Maps are halved until no side is longer than this; widths grow by `channels` with each halving, up to this often."""


class ClassifierTraining(Training):
    """Options of a classifier of noisy data, and of its training."""

    images: int = Field(60_000, ge=1, description="Images seen in training, with repetitions.")
    learning_rate: float = Field(1e-3, gt=0, description="Highest learning rate; it falls to 0 as a cosine.")
    channels: int = Field(
        32, ge=32, multiple_of=32, description="Channels of the first level; the others are multiples."
    )
    blocks: int = Field(1, ge=1, description="Residual blocks per level.")

    def network(self, classes: int, shape: tuple[int, ...]) -> ClassifierOptions:
        """The network for some classes of samples.

        Args:
            classes: Number of classes.
            shape: Shape of one sample.
        """
        sides, levels = shape[1:], 1
        while max(sides, default=0) > SMALLEST and not any(side % 2 for side in sides):
            sides, levels = tuple(side // 2 for side in sides), levels + 1
        multipliers = tuple(min(1 + level, WIDEST) for level in range(levels))
        return ClassifierOptions(
            classes=classes,
            channels=self.channels,
            multipliers=multipliers,
            blocks=self.blocks,
            attention=(8,),
            head_channels=32,
        )


def fit(
    model: ScoreModel,
    data: Dataset,
    options: ClassifierTraining,
    device: str | torch.device = "cpu",
    watch: Watch = lambda seen, loss: None,
) -> Classifier:
    """Makes -log p(c | x_t) small, x_t = α x_0 + σ z at times of the model's process that are even in t.

    Args:
        model: The model that will be guided, whose process it is.
        data: Training data with labels.
        options: The classifier, and its training.
        device: Where it is trained.
        watch: Called after each step with the items seen so far and the loss.

    Raises:
        DataError: The data have no labels, or are no data of the model.
        UsageError: The network does not take their shape.
        NumericalError: The loss is not finite.

    Reference: Dhariwal and Nichol 2021, https://arxiv.org/abs/2105.05233, section 4.
    """
    data, labels = labelled(model, data)
    sde, names = model.sde, data.class_names
    seed_global(options.seed)
    network = options.network(max(len(names), int(labels.max()) + 1), model.shape)
    made = Classifier(network, sde, model.shape, names, model.units).to(device)

    def loss(index: Tensor, seen: int) -> Tensor:
        x0, u = data.scaled(index), rand((len(index),), stream(options.seed, "time", seen), dtype=torch.float64)
        t = sde.training_times(u, sde.t_min)
        x = noised(sde, x0, t, randn(x0.shape, stream(options.seed, "noise", seen)))
        return functional.cross_entropy(made(x.to(device), t), labels[index].to(device))

    minimise(loss, made.parameters(), len(data), options, watch)
    return made.eval().requires_grad_(False)


@torch.no_grad()
def accuracies(classifier: Classifier, model: ScoreModel, data: Dataset) -> list[dict[str, Any]]:
    """How often a classifier is right about noisy data, and the mean of -log p(c | x_t), at several noise levels.

    Args:
        classifier: The classifier.
        model: The model that it will guide.
        data: Data with labels that it was not trained on.

    Raises:
        DataError: As `fit`.
    """
    data, labels = labelled(model, data)
    sde, device, rows = classifier.sde, next(classifier.parameters()).device, []
    for share in SHARES:
        time = max(sde.t_min, time_at(sde, share))
        right, nats = 0, 0.0
        for first in range(0, len(data), AT_ONCE):
            part = slice(first, first + AT_ONCE)
            x0, truth = data.scaled(part), labels[part].to(device)
            t = torch.full((len(x0),), time, dtype=torch.float64)
            x = noised(sde, x0, t, randn(x0.shape, stream(0, "held out", share, first)))
            logits = classifier(x.to(device), t)
            right += int((logits.argmax(1) == truth).sum())
            nats += float(functional.cross_entropy(logits, truth, reduction="sum"))
        rows.append({"time": round(time, 4), "accuracy": right / len(data), "cross_entropy": nats / len(data)})
    return rows


def labelled(model: ScoreModel, data: Dataset) -> tuple[Dataset, Tensor]:
    """Data of a model in the units of its network, and their labels.

    Args:
        model: The model.
        data: The data.

    Raises:
        DataError: They have no labels, of at least two classes, or are of another kind or shape than the model's.
        UsageError: The model is one of latents.
    """
    of_data(model, "a classifier of noisy data is trained on the data themselves")
    if data.shape != model.shape or (model.units is not None and not isinstance(data, Tensors)):
        kind = "numbers" if model.units else "samples"
        own = "pictures" if isinstance(data, Images) else "numbers"
        raise DataError(
            f"the model makes {kind} of shape {model.shape}, and the data are {own} of shape {data.shape}: name others "
            "(--data)"
        )
    if data.labels is None or max(len(data.class_names), int(data.labels.max()) + 1) < 2:
        raise DataError("a classifier learns from data of two classes or more, and these have no such labels")
    if isinstance(data, Tensors):
        one = torch.ones([1] * len(data.shape))
        return replace(data, measure=model.units or Units(0 * one, one)), data.labels
    return data, data.labels
