"""A trained network as a score model."""

import copy
import inspect
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Self

import torch
from torch import Tensor, nn

from ..core.errors import UsageError
from ..core.sentences import an, many
from ..core.units import Units
from ..networks import NetworkOptions
from ..sde import SDE, expand, sdes
from ..sde.labels import Label
from .autoencoders import Autoencoder
from .base import ScoreModel, WrapperModel
from .border import label_of, tensor_of, time_input
from .inference import Inference
from .known import Known
from .output import Output, classless
from .predictions import Prediction, predictions


class NetworkModel(ScoreModel):
    """ε = a x_t + b net(c x_t, label(t)), with the coefficients of what the network predicts.

    Args:
        net: Called as net(x, label), x (B, C, H, W) in its own dtype and label (B,); it returns (B, C, H, W), or
            (B, 2C, H, W) with a learned variance. Of a tuple the first entry is taken, of an object its `sample`.
        sde: The process it was trained on, or its name, such as "vp" or "vp:beta_max=15".
        shape: Shape of one sample, (C, H, W).
        label: Time input of the network: an object, a string such as "scaled:scale=1000", or a function of times, (B,),
            whose whole numbers stay whole; by default the step of a chain, and 999 t in continuous time.
        predicts: What the network predicts, an object or a string: eps, x0, v, score, flow, edm.
        classes: Number of classes; if there are any, the network is also called as net(x, label, classes).
        class_names: Names of the classes, in order and without repetition; or nothing.
        condition: Trained task, whose condition is given as further channels of x; see `bind`.
        options: Options that build the network, for `save`; None if it was built otherwise.
        units: Conversion of x_0 to the units of the data; None if they are the same, as for images in [-1, 1].
        autoencoder: Decoder of x_0 to images, for a model of latents.

    Raises:
        UsageError: The network is no module, the prediction or the label does not exist, there is not one name for
            each class, or latents have units besides their autoencoder.

    Example:
        >>> import scoresde, torch
        >>> class Net(torch.nn.Module):
        ...     def forward(self, x, label):
        ...         return torch.zeros_like(x)
        >>> model = scoresde.NetworkModel(Net(), scoresde.VPSDE(), (1, 4, 4), predicts="x0")
        >>> bool(scoresde.sample(model, "euler", n=2, steps=5).x.abs().max() < 1e-6)
        True
    """

    known: Known | None = None
    """What the network is given for each sample, if it is bound."""
    source: Path | None = None
    """The folder that it was loaded from, where the covariance of its data and its recipe are."""
    inference: Inference = Inference()
    """How the network is evaluated; see `inferring`."""
    evaluator: Callable[..., Any] | None = None
    """What is called in place of `net`, if it is evaluated otherwise than it is."""

    def __init__(
        self,
        net: nn.Module,
        sde: SDE | str,
        shape: tuple[int, ...],
        *,
        label: Label | Callable[[Tensor], Tensor] | str | None = None,
        predicts: Prediction | str = "eps",
        classes: int = 0,
        class_names: Sequence[str] = (),
        condition: str = "none",
        options: NetworkOptions | None = None,
        units: Units | None = None,
        autoencoder: Autoencoder | None = None,
    ) -> None:
        super().__init__()
        if not isinstance(net, nn.Module):
            raise UsageError(
                f"a network is a torch.nn.Module, got {an(type(net).__name__)}: call it in the forward of one"
            )
        if units is not None and autoencoder is not None:
            raise UsageError("latents have the scale and shift of their autoencoder: leave out units")
        if class_names and not len(class_names) == len(set(class_names)) == classes:
            raise UsageError(f"{classes} classes have as many names, each another, or none, got {list(class_names)}")
        self.autoencoder = autoencoder
        self.coder = None if autoencoder is None else autoencoder.coder  # a part, which goes where the network goes
        self.net, self.sde, self.shape, self.options = net, sdes.make(sde, SDE), tuple(shape), options
        self.predicts: Prediction = predictions.make(predicts, Prediction)
        self.label = label_of(label, self.sde)
        self.classes, self.class_names = classes, tuple(class_names)
        self.condition, self.units = condition, units
        self.null_class = options is None or options.null_class

    def bind(self, known: Known) -> Self:
        if self.condition == "none":
            super().bind(known)
        around = copy.copy(self)  # which shares the network
        around.known, around.bound = known, len(known)
        return around

    def inferring(self, inference: Inference) -> Self:
        """The same model with its network evaluated in another way, and with a copy of its weights if that takes one.

        Args:
            inference: The way.
        """
        around = copy.copy(self)  # which shares the network
        around.inference, around.evaluator = inference, inference.of(self.net)
        return around

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> Self:
        super()._apply(fn, recurse)  # type: ignore[no-untyped-call]  # to another device, say
        self.evaluator = self.inference.of(self.net)
        return self

    def evaluate(self, x: Tensor, t: Tensor, classes: Tensor | None = None) -> Output:
        if classes is not None and not self.classes:
            classless(self)
        known = self.known
        if known is None and self.condition != "none":
            raise UsageError(f"the network is trained for {self.condition}: use the conditioner trained")
        if known is not None:
            if len(known) != len(x):
                raise UsageError(f"the network is given what is known of {many(len(known), 'sample')}, got {len(x)}")
            known = known.to(x)
        out, channels = self.output(x, t, classes, known), x.shape[1]
        eps = self.as_eps(out, x, t)
        if known is not None and known.mask is not None and known.values is not None:
            # The one ε under which every solver carries a known pixel of x_t straight to its value.
            alpha, sigma = (expand(v, x) for v in self.sde.alpha_sigma(t))
            eps = torch.where(known.mask, (x - alpha * known.values) / sigma, eps)
        return Output(eps, (out[:, channels:] + 1) / 2 if out.shape[1] == 2 * channels else None)

    def output(self, x: Tensor, t: Tensor, classes: Tensor | None = None, known: Known | None = None) -> Tensor:
        """What the network gives for x_t, (B, C, *) or with a learned variance (B, 2C, *), in the dtype of x.

        Args:
            x: States, (B, C, *).
            t: Their times, (B,), float64.
            classes: Class of each row, (B,), or None.
            known: What the network is given for each row, or None.

        Raises:
            UsageError: The network does not take a label, or a class, or its output has another shape.

        A network that its options have built is given the number `classes` where there is no class, as in training.
        """
        if self.classes and not self.null_class and (classes is None or int(classes.max()) == self.classes):
            raise UsageError(
                f"this network was never shown a sample of no class: give each a class from 0 to {self.classes - 1}, "
                "without guidance (scoresde sample --class 0)"
            )
        like = next((part for part in self.net.parameters() if part.is_floating_point()), x)
        dtype, device = self.inference.dtype or like.dtype, like.device
        if self.classes and classes is None and self.options is not None:
            classes = torch.full((len(x),), self.classes, device=device)
        # The label stays in float32: bfloat16 would merge neighbouring noise levels.
        label = self.time_input(t)
        label = (label.to(torch.promote_types(dtype, torch.float32)) if label.is_floating_point() else label).to(device)
        seen = x
        if known is not None and known.mask is not None and known.values is not None:
            seen = torch.where(known.mask, known.values, seen)
        scale = self.predicts.coefficients(*self.sde.alpha_sigma(t)).scale
        if isinstance(scale, Tensor):
            seen = expand(scale, seen) * seen
        if known is not None:
            seen = torch.cat([seen, known.channels], 1)
        given = (seen.to(dtype).to(device), label, *(() if classes is None else (classes,)))
        try:
            out = tensor_of((self.evaluator or self.net)(*given), x)
        except TypeError:
            _callable(self.net, ("x", "label", "classes")[: len(given)])
            raise
        except IndexError:
            if classes is None or int(classes.max()) < self.classes:
                raise
            raise UsageError(
                f"the network is given {self.classes} for no class, besides the classes from 0 to {self.classes - 1}: "
                f"let it embed {self.classes + 1}"
            ) from None
        return (out.contiguous() if self.inference.channels_last else out).to(x.device).to(x.dtype)

    def time_input(self, t: Tensor) -> Tensor:
        """What the network takes for the time, (B,), in float64 or in whole numbers.

        Args:
            t: Times, (B,), float64.

        Raises:
            UsageError: The label is a function that returns something else.
        """
        return time_input(self.label, self.sde, t)

    def as_eps(self, out: Tensor, x: Tensor, t: Tensor) -> Tensor:
        """ε from what the network gave for x_t, (B, C, *).

        Args:
            out: Its output, (B, C, *) or more channels.
            x: States, (B, C, *).
            t: Their times, (B,).
        """
        out = out[:, : x.shape[1]]
        _, skip, factor = self.predicts.coefficients(*self.sde.alpha_sigma(t))
        eps = expand(factor, x) * out if isinstance(factor, Tensor) else out
        return torch.addcmul(eps, expand(skip, x), x) if isinstance(skip, Tensor) else eps

    def __repr__(self) -> str:
        return f"{super().__repr__()[:-1]}, predicts {self.predicts})"


def network_of(model: ScoreModel) -> NetworkModel | None:
    """The network that a model is, or that is inside it; None for a closed form.

    Args:
        model: Any model.
    """
    while isinstance(model, WrapperModel):
        model = model.model
    return model if isinstance(model, NetworkModel) else None


def _callable(net: nn.Module, arguments: Sequence[str]) -> None:
    try:
        signature = inspect.signature(net.forward)
    except (TypeError, ValueError):  # code that was compiled elsewhere does not tell
        return
    try:
        signature.bind(*arguments)
    except TypeError:
        called = ", ".join(arguments)
        raise UsageError(f"the network is called as net({called}), but its forward takes {signature}") from None
