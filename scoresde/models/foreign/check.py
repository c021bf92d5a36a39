"""The check at the end of every import: whether the model denoises, which a wrong one does not."""

import copy
import math
from collections.abc import Callable
from dataclasses import asdict, dataclass
from itertools import pairwise
from typing import Any

import torch
from PIL import Image
from torch import Tensor

from ...core.errors import UsageError
from ...core.random import randn, stream
from ...images.pictures import scaled
from ...sde import noised
from .. import latent
from ..network import NetworkModel
from ..output import denoised

NOISE = (0.1, 0.3, 1.0, 3.0)
"""Levels of noise σ/α, for data in [-1, 1]."""
COUNT = 4
"""Pictures at each of them."""
NEIGHBOUR = 2.0
"""Factor by which a network is told more or less noise than there is."""
LEFT, WORST, BETTER = 0.85, 0.97, 1.02
"""Share of the noise that may be left; least factor of the error by a wrong label, at a level and in the mean."""


@dataclass(frozen=True)
class Check:
    """What a model made of noisy pictures. Errors are root mean squares of x̂_0 - x_0."""

    noise: list[float]
    """Levels of noise σ/α."""
    errors: list[float]
    """The error at each of them."""
    told_less: list[float]
    """The error if the network is told half of the noise."""
    told_more: list[float]
    """The error if the network is told twice the noise."""
    faults: list[str]
    """What a right model would not do, a sentence each; none if it passes."""

    @property
    def passed(self) -> bool:
        """Whether nothing was found."""
        return not self.faults

    def table(self) -> dict[str, Any]:
        """Everything as plain values, for JSON."""
        return {"passed": self.passed, **asdict(self)}


def photographs(shape: tuple[int, ...]) -> Tensor:
    """Parts of two photographs at a size, (4, C, H, W) in [-1, 1].

    Source: china.jpg and flower.jpg, by danielbuechele and vultilion (Flickr), CC BY 2.0, in scikit-learn.

    Args:
        shape: (1, H, W) or (3, H, W).

    Raises:
        UsageError: It is another shape.
    """
    from sklearn.datasets import load_sample_images

    if len(shape) != 3 or shape[0] not in (1, 3):
        raise UsageError(f"the check denoises pictures, and the model's samples have the shape {shape}: give it images")
    found = []
    for photo in load_sample_images().images:
        whole = Image.fromarray(photo).convert("RGB" if shape[0] == 3 else "L")
        for left in (20, 330):
            part = whole.crop((left, 80, left + 280, 360))
            found.append(scaled(part.resize((shape[2], shape[1]), Image.Resampling.BOX)))
    return torch.stack(found)


@torch.no_grad()
def denoising(
    model: NetworkModel, images: Tensor | None = None, progress: Callable[[int], object] = lambda count: None
) -> Check:
    """Denoises pictures at several levels of noise, as the model is and with a network that is told another level.

    A right model leaves less error than there was noise, less at less noise, and least when the network is told the
    true level. A wrong label, prediction, process or range of the data, or a network that is built wrongly, does not
    keep one of these. Raw weights in place of their averages, colours in another order, and errors that add some ten
    per cent to what is left of the noise are not seen.

    Args:
        model: The model. Where it needs classes, each picture is taken for one of the first class.
        images: Pictures of the kind that it makes, (B, C, H, W) in [-1, 1]; by default parts of two photographs.
        progress: Called with 1 after each evaluation, of which there are three for each of `NOISE`, or fewer.

    Raises:
        UsageError: There are no images, and its samples are no pictures.
    """
    sde = model.sde
    least, most = torch.exp(-sde.log_snr(torch.tensor([sde.t_min, sde.t_max], dtype=torch.float64))).tolist()
    noise = [level for level in NOISE if NEIGHBOUR * least <= level <= most / NEIGHBOUR]
    x0 = photographs(latent.data_shape(model)) if images is None else images[: 4 * COUNT]
    x0 = x0 if model.autoencoder is None else model.autoencoder.encode(x0)
    z = randn(tuple(x0.shape), stream(0, "noise of the check"))
    classes = None if model.null_class or not model.classes else torch.zeros(len(x0), dtype=torch.long)

    def error(level: float, factor: float) -> float:
        t = sde.time(torch.full((len(x0),), -math.log(level), dtype=torch.float64))
        x = noised(sde, x0, t, z)
        found = denoised(sde, x, t, told(model, factor).evaluate(x, t, classes).eps)
        progress(1)
        return float((found - x0).square().mean().sqrt())

    errors, less, more = ([error(level, factor) for level in noise] for factor in (1, 1 / NEIGHBOUR, NEIGHBOUR))
    return Check(noise, errors, less, more, faults(noise, errors, less, more))


def told(model: NetworkModel, factor: float) -> NetworkModel:
    """The model with a network that is told `factor` times the noise there is, while all else is as it was.

    Args:
        model: The model.
        factor: The factor.
    """
    other, sde = copy.copy(model), model.sde  # which shares the network
    other.label = lambda t: model.time_input(sde.time(sde.log_snr(t) - math.log(factor)))
    return other


def faults(noise: list[float], errors: list[float], less: list[float], more: list[float]) -> list[str]:
    """What a right model would not do, a sentence each.

    The bounds lie between what the bundled models give on photographs (an error of at most 0.65 of the noise, at least
    1.02 times as much with a label of half or twice the noise) and what some 20 faults that were put into them give.

    Args:
        noise: Levels of noise.
        errors: The error at each of them.
        less: The error if the network is told half of the noise.
        more: The error if the network is told twice the noise.
    """
    found = []
    if not noise:
        return ["the process has no level of noise between 0.1 and 3 times the range of the data"]
    for level, error in zip(noise, errors, strict=True):
        if not error <= LEFT * level:  # which a value that is not finite does not keep
            found.append(f"of noise {level:g} it leaves {error:.3g}: a right model leaves less than {LEFT * level:.3g}")
    if not all(a < b for a, b in pairwise(errors)):
        found.append(f"its error does not fall with the noise: {', '.join(f'{e:.3g}' for e in reversed(errors))}")
    for name, other in (("half of", less), ("twice", more)):
        ratios = [b / a for a, b in zip(errors, other, strict=True)]
        if not (min(ratios) >= WORST and math.prod(ratios) ** (1 / len(ratios)) >= BETTER):
            texts = ", ".join(f"{ratio:.2f}" for ratio in ratios)
            found.append(f"told {name} the noise its error is {texts} times that at the true label, not more at each")
    return found
