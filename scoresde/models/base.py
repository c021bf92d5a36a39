"""Score models: what the solvers call. Whatever conditions, counts or watches is a model around a model."""

import copy
from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Literal, Self

import torch
from torch import Tensor, nn

from ..core.errors import UsageError
from ..core.random import Generators, randn
from ..sde import SDE, expand
from ..sde.labels import Label, ScaledLabel

Prediction = Literal["eps", "x0", "v", "score"]
Observer = Callable[[Tensor, Tensor, Tensor], None]
"""Called as observer(x, t, eps) after each evaluation of a model."""


class ScoreModel(nn.Module, ABC):
    """Predicts the noise in x_t. Shapes: x is (B, *), t is (B,) in float64, results are (B, *)."""

    sde: SDE
    shape: tuple[int, ...]
    """Shape of one sample, without the batch: (C, H, W) for images."""
    draws: bool = False
    """Whether an evaluation draws noise, so that two of them at one point differ."""
    classes: int = 0
    """Number of class labels that the model knows; 0 if it knows none."""
    condition: str = "none"
    """What it was trained to be given with x: "colour", "inpaint" or "none"."""

    @abstractmethod
    def eps(self, x: Tensor, t: Tensor) -> Tensor:
        """ε = E[z | x_t], the predicted noise, (B, *)."""

    def class_eps(self, x: Tensor, t: Tensor, classes: Tensor) -> Tensor:
        """ε = E[z | x_t, c] for the class c of each row, (B,); `classes` itself, one beyond the last, means none.

        Raises:
            UsageError: The model knows no classes.
        """
        raise UsageError(
            f"a {type(self).__name__} knows no classes: guide a network that was trained with them, then condition that"
        )

    def eps_and_share(self, x: Tensor, t: Tensor) -> tuple[Tensor, Tensor]:
        """ε, and where a step's log-variance lies between log β̃ (0) and log β (1), both (B, *).

        Raises:
            UsageError: The model has learned no variance.
        """
        raise UsageError(f"a {type(self).__name__} has no learned variance: choose the variance small or large")

    def given(self, known: Tensor) -> "ScoreModel":
        """The model of p(x | known) for B samples, where it was trained on that; known is (B, *, H, W).

        Raises:
            UsageError: It was trained on no condition.
        """
        raise UsageError(f"a {type(self).__name__} was not trained with a condition: choose another conditioner")

    def score(self, x: Tensor, t: Tensor) -> Tensor:
        """∇ log p_t(x) = -ε/σ, (B, *)."""
        return -self.eps(x, t) / expand(self.sde.sigma(t), x)

    def denoise(self, x: Tensor, t: Tensor) -> Tensor:
        """E[x_0 | x_t] = (x_t - σ ε)/α, (B, *)."""
        sigma, alpha = expand(self.sde.sigma(t), x), expand(self.sde.alpha(t), x)
        return torch.addcmul(x, -sigma, self.eps(x, t)) / alpha

    def velocity(self, x: Tensor, t: Tensor) -> Tensor:
        """The probability-flow drift f x - ½ g² ∇ log p_t(x), (B, *).

        Reference: Song et al. 2021, https://arxiv.org/abs/2011.13456, equation 13.
        """
        half_g2 = 0.5 * self.sde.g(t) ** 2 / self.sde.sigma(t)
        return torch.addcmul(expand(self.sde.f(t), x) * x, expand(half_g2, x), self.eps(x, t))

    def prior(self, generator: Generators, count: int | None = None, *, dtype: torch.dtype = torch.float32) -> Tensor:
        """Noise at the end of the process, prior_std z with z ~ N(0, I), (B, *), on the model's device.

        Args:
            generator: One generator per sample, as `generators(seeds)` makes them; then `count` is not needed.
        """
        if count is None:
            if generator is None or isinstance(generator, torch.Generator):
                raise UsageError("prior() needs a count, or a list with one generator per sample")
            count = len(generator)
        z = randn((count, *self.shape), generator, dtype=dtype).to(self.device)
        return self.sde.prior_std * z

    def observed(self, *observers: Observer) -> "ScoreModel":
        """The model with its evaluations shown to observers; a model around a model shows those of the inner one."""
        return ObservedModel(self, *observers)

    def finish(self, x: Tensor) -> Tensor:
        """The data x, (B, *), as they are handed out; a conditioned model writes in what is known for certain."""
        return x

    @property
    def device(self) -> torch.device:
        """Where the model's tensors are."""
        tensor = next(self.parameters(), next(self.buffers(), None))
        return torch.device("cpu") if tensor is None else tensor.device


class NetworkModel(ScoreModel):
    """A trained network as a score model.

    Args:
        net: Called as net(x, label), x (B, C, H, W) in its own dtype and label (B,).
        sde: The process it was trained on.
        shape: Shape of one sample, (C, H, W).
        label: Maps times, (B,), to what the network takes as its time input.
        predicts: What the network's output means. Channels beyond C, such as a learned variance, are cut off.
        classes: Number of class labels that it knows; if any, it is also called as net(x, label, classes).
        condition: What it was trained to be given as further channels of x; see `given`.

    Raises:
        UsageError: `predicts` is none of the four.
    """

    known: Tensor | None = None
    """The further channels, (B, *, H, W)."""

    def __init__(
        self,
        net: nn.Module,
        sde: SDE,
        shape: tuple[int, ...],
        *,
        label: Label | None = None,
        predicts: Prediction = "eps",
        classes: int = 0,
        condition: str = "none",
    ) -> None:
        super().__init__()
        if predicts not in ("eps", "x0", "v", "score"):
            raise UsageError(f"predicts must be 'eps', 'x0', 'v' or 'score', got {predicts!r}")
        self.net, self.sde, self.shape, self.predicts = net, sde, tuple(shape), predicts
        self.label = ScaledLabel() if label is None else label
        self.classes, self.condition = classes, condition

    def given(self, known: Tensor) -> Self:
        if self.condition == "none":
            super().given(known)
        around = copy.copy(self)  # which shares the network
        around.known = known
        return around

    def eps(self, x: Tensor, t: Tensor) -> Tensor:
        return self._eps(self._output(x, t), x, t)

    def class_eps(self, x: Tensor, t: Tensor, classes: Tensor) -> Tensor:
        return self._eps(self._output(x, t, classes), x, t) if self.classes else super().class_eps(x, t, classes)

    def eps_and_share(self, x: Tensor, t: Tensor) -> tuple[Tensor, Tensor]:
        out, channels = self._output(x, t), x.shape[1]
        if out.shape[1] != 2 * channels:
            raise UsageError(f"the network gives {out.shape[1]} channels, not the {2 * channels} of a learned variance")
        return self._eps(out, x, t), (out[:, channels:] + 1) / 2

    def _output(self, x: Tensor, t: Tensor, *classes: Tensor) -> Tensor:
        dtype = next((p.dtype for p in self.net.parameters()), x.dtype)
        # The label stays in float32: bfloat16 would merge neighbouring noise levels.
        label = self.label(t).to(torch.promote_types(dtype, torch.float32))
        if self.condition != "none":
            if self.known is None or len(self.known) != len(x):
                raise UsageError(f"the network is trained for {self.condition}: use the conditioner trained")
            known = self.known.to(x)
            if self.condition == "inpaint":  # the picture, 0 in the hole, and the mask
                x = torch.where(known[:, -1:] > 0, known[:, :-1], x)
            x = torch.cat([x, known], 1)
        out: Tensor = self.net(x.to(dtype), label, *classes)
        return out.to(x.dtype)

    def _eps(self, out: Tensor, x: Tensor, t: Tensor) -> Tensor:
        """ε, (B, *), but where pixels are known that which takes x_t = α y + σ z straight to them."""
        eps = self.as_eps(out, x, t)
        if self.condition != "inpaint" or self.known is None:
            return eps
        known, alpha, sigma = self.known.to(x), expand(self.sde.alpha(t), x), expand(self.sde.sigma(t), x)
        return torch.where(known[:, -1:] > 0, (x - alpha * known[:, :-1]) / sigma, eps)

    def as_eps(self, out: Tensor, x: Tensor, t: Tensor) -> Tensor:
        """ε from what the network gave for x and t, (B, *)."""
        out = out[:, : x.shape[1]]
        if self.predicts == "eps":
            return out
        alpha, sigma = expand(self.sde.alpha(t), x), expand(self.sde.sigma(t), x)
        if self.predicts == "x0":
            return (x - alpha * out) / sigma
        if self.predicts == "v":  # v = α ε - σ x_0 (Salimans and Ho 2022), for any α and σ
            return (alpha * out + sigma * x) / (alpha**2 + sigma**2)
        return -sigma * out


class ObservedModel(ScoreModel):
    """A model that shows each of its evaluations to some observers: counters, guards, recorders, progress bars."""

    def __init__(self, model: ScoreModel, *observers: Observer) -> None:
        super().__init__()
        self.model, self.observers = model, observers
        self.sde, self.shape, self.draws, self.classes = model.sde, model.shape, model.draws, model.classes
        self.condition = model.condition

    def eps(self, x: Tensor, t: Tensor) -> Tensor:
        return self._shown(x, t, self.model.eps(x, t))

    def class_eps(self, x: Tensor, t: Tensor, classes: Tensor) -> Tensor:
        return self._shown(x, t, self.model.class_eps(x, t, classes))

    def eps_and_share(self, x: Tensor, t: Tensor) -> tuple[Tensor, Tensor]:
        eps, share = self.model.eps_and_share(x, t)
        return self._shown(x, t, eps), share

    def given(self, known: Tensor) -> ScoreModel:
        return ObservedModel(self.model.given(known), *self.observers)

    def _shown(self, x: Tensor, t: Tensor, eps: Tensor) -> Tensor:
        for observer in self.observers:
            observer(x, t, eps)
        return eps

    def finish(self, x: Tensor) -> Tensor:
        return self.model.finish(x)


class Evaluations:
    """Counts evaluations: `calls` is the sequential number (NFE), `rows` the samples in all of them.

    `vjps` is the number of vector-Jacobian products, each a backward pass through one of the evaluations.
    """

    def __init__(self) -> None:
        self.calls = 0
        self.rows = 0
        self.vjps = 0

    def __call__(self, x: Tensor, t: Tensor, eps: Tensor) -> None:
        self.calls += 1
        self.rows += len(x)
        if eps.requires_grad:
            eps.register_hook(self._pulled_back)  # type: ignore[no-untyped-call]

    def _pulled_back(self, gradient: Tensor) -> None:
        self.vjps += 1
