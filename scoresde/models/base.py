"""Score models, which solvers call. Conditions, counters and observers are models around a model."""

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any, ClassVar, Literal, Self

import torch
from torch import Tensor, nn

from ..core.errors import Missing, UsageError
from ..core.random import Generators, Seeds, randn, sources_of
from ..core.sentences import an
from ..core.units import Units
from ..sde import SDE, expand
from .autoencoders import Autoencoder
from .border import times
from .known import Known
from .output import Output, denoised, output_of

Observer = Callable[[Tensor, Tensor, Tensor], None]
"""Called as observer(x, t, eps) after each evaluation of a model."""


class ScoreModel(nn.Module, ABC):
    """Predicts the noise in x_t. Shapes: x is (B, *), t is (B,) in float64, results are (B, *).

    A model implements `evaluate`; the rest follows from it. Times stay on the CPU: not every device has float64.

    Example:
        >>> import scoresde, torch
        >>> from scoresde.models.output import Output
        >>> class Normal(scoresde.ScoreModel):
        ...     sde, shape = scoresde.VPSDE(), (2,)
        ...     def evaluate(self, x, t, classes=None):
        ...         return Output(self.sde.sigma(t)[:, None].to(x) * x)
        >>> scoresde.sample(Normal(), "euler", n=3, steps=5).x.shape
        torch.Size([3, 2])
    """

    sde: SDE
    """The process whose x_t the model knows."""
    shape: tuple[int, ...]
    """Shape of one sample, without the batch: (C, H, W) for images."""
    draws: bool | Literal["as published"] = False
    """Whether an evaluation draws noise; "as published" if solvers that compare evaluations follow with a warning."""
    classes: int = 0
    """Number of class labels that the model knows; 0 if it knows none."""
    null_class: bool = True
    """Whether it also knows samples of no class; if not, one that knows classes is asked for one of them."""
    condition: str = "none"
    """What it was trained to be given with x: "colour", "inpaint" or "none"."""
    bound: int | None = None
    """Number of samples that the model is bound to, such as one measurement for each; None if any batch will do."""
    units: Units | None = None
    """What x_0 means in the data's own units; None if they are the same, as for pictures in [-1, 1]."""
    autoencoder: Autoencoder | None = None
    """What makes pictures of x_0, for a model of latents; None if x_0 are the data."""

    @abstractmethod
    def evaluate(self, x: Tensor, t: Tensor, classes: Tensor | None = None) -> Output:
        """The prediction for x_t.

        Args:
            x: States, (B, *).
            t: Their times, (B,), float64.
            classes: Class of each row, (B,), from 0, or `self.classes` for no class; None for the model as it is.
        """

    def eps(self, x: Tensor, t: Tensor | float) -> Tensor:
        """ε = E[z | x_t], the predicted noise, (B, *).

        Args:
            x: States, (B, *).
            t: Their times, (B,), float64, or one for all.
        """
        return output_of(self.evaluate(x, times(t, x, self.shape, self.sde))).eps

    def score(self, x: Tensor, t: Tensor | float) -> Tensor:
        """∇ log p_t(x) = -ε/σ, (B, *).

        Args:
            x: States, (B, *).
            t: Their times, (B,), float64, or one for all.
        """
        t = times(t, x, self.shape, self.sde, noisy=True)
        return -self.eps(x, t) / expand(self.sde.sigma(t), x)

    def denoise(self, x: Tensor, t: Tensor | float) -> Tensor:
        """E[x_0 | x_t] = (x_t - σ ε)/α, (B, *).

        Args:
            x: States, (B, *).
            t: Their times, (B,), float64, or one for all.
        """
        t = times(t, x, self.shape, self.sde)
        return denoised(self.sde, x, t, self.eps(x, t))

    def velocity(self, x: Tensor, t: Tensor | float) -> Tensor:
        """The probability-flow drift f x - ½ g² ∇ log p_t(x), (B, *).

        Reference: Song et al. 2021, https://arxiv.org/abs/2011.13456, equation 13.

        Args:
            x: States, (B, *).
            t: Their times, (B,), float64, or one for all.
        """
        t = times(t, x, self.shape, self.sde, noisy=True)
        half_g2 = 0.5 * self.sde.g(t) ** 2 / self.sde.sigma(t)
        return torch.addcmul(expand(self.sde.f(t), x) * x, expand(half_g2, x), self.eps(x, t))

    def prior(
        self, seeds: Generators | Seeds, count: int | None = None, *, dtype: torch.dtype = torch.float32
    ) -> Tensor:
        """Noise at the end of the process, prior_std z with z ~ N(0, I), (B, *), on the model's device.

        Args:
            seeds: Whole numbers, one per sample; n stands for range(n). Or generators: one per sample, or one for all.
            count: Number of samples, for a single generator.
            dtype: Of the noise.

        Raises:
            UsageError: The seeds are no whole numbers, or a single generator comes without a count.
        """
        sources, rows = sources_of(seeds, count)
        return self.begin(self.sde.prior_std * randn((rows, *self.shape), sources, dtype=dtype).to(self.device))

    def begin(self, x: Tensor) -> Tensor:
        """Noise as the model starts from it, (B, *); a conditioned model may put what is known into it.

        Args:
            x: Noise at the end of the process, (B, *).
        """
        return x

    def finish(self, x: Tensor) -> Tensor:
        """The data as they are handed out, (B, *); a conditioned model writes in what is known for certain.

        Args:
            x: The end of a run, x_0, (B, *).
        """
        return x

    def bind(self, known: Known) -> "ScoreModel":
        """The model of p(x | known) for B samples, if it was trained on that.

        Args:
            known: The condition of each sample.

        Raises:
            UsageError: It was not trained with a condition.
        """
        raise UsageError(f"{type(self).__name__} was not trained with a condition: choose another conditioner")

    def observed(self, *observers: Observer) -> "ScoreModel":
        """The model with its evaluations shown to observers; a model around a model shows those of the inner one.

        Args:
            observers: Called after each evaluation.
        """
        return ObservedModel(self, *observers)

    @property
    def device(self) -> torch.device:
        """Where the model's tensors are."""
        return next(self.parameters(), next(self.buffers(), torch.zeros(0, device="cpu"))).device

    def __getattr__(self, name: str) -> Any:
        if name == "sample":
            raise AttributeError("a model does not sample by itself: scoresde.sample(model, n=16) does")
        if "_modules" not in self.__dict__:
            raise Missing(f"{type(self).__name__}.__init__ must begin with super().__init__()")
        if name in ("sde", "shape"):
            raise Missing(f"{type(self).__name__} has no {name}: a model has sde = VPSDE() and shape = (C, H, W)")
        return super().__getattr__(name)

    def __repr__(self) -> str:
        weights = f", {size:,} parameters" if (size := sum(p.numel() for p in self.parameters())) else ""
        return f"{type(self).__name__}({self.sde!r}, shape {self.shape}{weights})"


class WrapperModel(ScoreModel):
    """A model around a model: what the inner one is but for what a subclass states, which holds around any other too.

    Args:
        model: The inner model.
    """

    model: ScoreModel
    forwarded: ClassVar[list[str]] = "sde shape draws classes null_class condition bound units autoencoder".split()

    def __init__(self, model: ScoreModel) -> None:
        super().__init__()
        if not isinstance(model, ScoreModel):
            got = f"got {an(type(model).__name__)}: NetworkModel makes one of a network"
            raise UsageError(f"{type(self).__name__} goes around a ScoreModel, {got}")
        self.model = model
        self._adopt(model)

    def _adopt(self, model: ScoreModel) -> None:
        """Takes over what the inner model is."""
        for name in self.forwarded:
            setattr(self, name, getattr(model, name))

    def around(self, model: ScoreModel) -> Self:
        """The same wrapper around another model.

        Args:
            model: The other model.
        """
        other = object.__new__(type(self))
        vars(other).update(vars(self), _modules={**self._modules, "model": model})
        other._adopt(model)
        return other

    def evaluate(self, x: Tensor, t: Tensor, classes: Tensor | None = None) -> Output:
        return self.model.evaluate(x, t, classes)

    def begin(self, x: Tensor) -> Tensor:
        return self.model.begin(x)

    def finish(self, x: Tensor) -> Tensor:
        return self.model.finish(x)

    def bind(self, known: Known) -> ScoreModel:
        return self.around(self.model.bind(known))

    def observed(self, *observers: Observer) -> ScoreModel:
        return self.around(self.model.observed(*observers))

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.model!r})"


class ObservedModel(WrapperModel):
    """A model that shows each of its evaluations to some observers: counters, guards, recorders, progress bars.

    Args:
        model: The model.
        observers: Called as observer(x, t, eps) after each evaluation.
    """

    def __init__(self, model: ScoreModel, *observers: Observer) -> None:
        super().__init__(model)
        self.observers = observers

    def evaluate(self, x: Tensor, t: Tensor, classes: Tensor | None = None) -> Output:
        out = output_of(self.model.evaluate(x, t, classes))
        for observer in self.observers:
            observer(x, t, out.eps)
        return out
