"""Observations made from a blur kernel, or from functions of the user."""

from collections.abc import Callable
from typing import Literal

import torch
from torch import Tensor

from ..core.errors import UsageError
from ..core.sentences import an
from .base import LinearObservation, Observation, Precision
from .borders import Border, convolved, correlated, cosine_gains
from .krylov import reciprocal


def not_negative(noise: float) -> float:
    """The standard deviation of an error, if it is a finite number of at least 0.

    Args:
        noise: The number that was given.

    Raises:
        UsageError: It is negative or not a finite number.
    """
    if not 0 <= noise < float("inf"):
        raise UsageError(f"the noise of an observation must be a number of at least 0, got {noise}")
    return float(noise)


def called(function: object) -> None:
    """Checks that a measurement is made by a function.

    Args:
        function: What was given for it.

    Raises:
        UsageError: It is something else, such as a matrix.
    """
    if not callable(function):
        raise UsageError(
            f"a measurement is made by functions, got {an(type(function).__name__)}: of a matrix A, it is "
            "lambda x: x.flatten(1) @ A.T.to(x), and its adjoint lambda y: y @ A.to(y) in the shape of x"
        )


class LinearOperator(LinearObservation):
    """Any linear measurement.

    Args:
        forward: A, from (B, *) to (B, *m), in the dtype that it is given; linear systems are solved in float64.
        adjoint: Aᵀ, back from (B, *m) to (B, *).
        noise: σ_y, the standard deviation of the measurement's error.

    Example:
        >>> import scoresde, torch
        >>> half = scoresde.LinearOperator(lambda x: x / 2, lambda y: y / 2, noise=0.1)
        >>> half.forward(torch.ones(1, 2))
        tensor([[0.5000, 0.5000]])
    """

    def __init__(
        self, forward: Callable[[Tensor], Tensor], adjoint: Callable[[Tensor], Tensor], noise: float = 0.0
    ) -> None:
        for part in (forward, adjoint):
            called(part)
        self._forward, self._adjoint, self.noise = forward, adjoint, not_negative(noise)

    def forward(self, x: Tensor) -> Tensor:
        return self._forward(x)

    def adjoint(self, y: Tensor) -> Tensor:
        return self._adjoint(y)


class Blur(LinearObservation):
    """Convolution of each channel with a kernel.

    Beyond its edge a picture is repeated, or with `border` mirrored or 0. Frequencies of which a periodic kernel leaves
    less than `cut` of the strongest count as removed altogether.

    Args:
        kernel: (h, w), both odd, centred.
        noise: σ_y, the standard deviation of the measurement's error.
        border: "periodic", "reflect" or "zero".

    Raises:
        UsageError: The kernel has another shape or no weight, or there is no such border.
    """

    cut = 1e-3

    def __init__(self, kernel: Tensor, noise: float = 0.0, border: Border | Literal["periodic"] = "periodic") -> None:
        if kernel.ndim != 2 or not all(n % 2 for n in kernel.shape) or not bool(kernel.any()):
            raise UsageError(f"the kernel of a blur is (h, w), both odd, and not 0, got shape {tuple(kernel.shape)}")
        if border not in ("periodic", "reflect", "zero"):
            raise UsageError(f"the border of a blur is 'periodic', 'reflect' or 'zero', got {border!r}")
        self.kernel, self.noise, self.border = kernel.double(), not_negative(noise), border

    def _transfer(self, x: Tensor) -> Tensor:
        """The factor of each frequency of images of the size of x, (H, W/2 + 1), complex."""
        (h, w), (height, width) = self.kernel.shape, pictures(x).shape[-2:]
        if h > height or w > width:
            raise UsageError(f"a kernel of {h}x{w} does not fit images of {height}x{width}")
        padded = torch.nn.functional.pad(self.kernel, (0, width - w, 0, height - h))
        transfer = torch.fft.rfft2(padded.roll((-(h // 2), -(w // 2)), (0, 1)))
        kept = transfer.abs() >= self.cut * transfer.abs().max()
        return torch.where(kept, transfer, 0).to(x.device, torch.promote_types(x.dtype, torch.complex64))

    def _filtered(self, x: Tensor, factor: Tensor) -> Tensor:
        filtered: Tensor = torch.fft.irfft2(torch.fft.rfft2(x) * factor, s=x.shape[-2:])
        return filtered

    def forward(self, x: Tensor) -> Tensor:
        if self.border == "periodic":
            return self._filtered(x, self._transfer(x))
        return convolved(pictures(x), self.kernel, self.border)

    def adjoint(self, y: Tensor) -> Tensor:
        if self.border == "periodic":
            return self._filtered(y, self._transfer(y).conj())
        return correlated(pictures(y), self.kernel, self.border)

    def consistent(self, y: Tensor) -> Tensor:
        return self.forward(self.pinv(y)) if self.border == "periodic" else y

    def near_inverse(self, b: Tensor, precision: Precision) -> Tensor:
        return b if self.border == "periodic" else precision(b, cosine_gains(self.kernel, b))

    def pinv(self, y: Tensor) -> Tensor:
        if self.border != "periodic":
            return super().pinv(y)
        return self._filtered(y, reciprocal(self._transfer(y)))


class NonLinear(Observation):
    """y = f(x) + noise for any differentiable f.

    Args:
        function: f, from (B, *) to (B, *m), differentiable.
        noise: σ_y, the standard deviation of the measurement's error.

    Example:
        >>> import scoresde, torch
        >>> scoresde.NonLinear(torch.abs, noise=0.1).forward(-torch.ones(1, 2))
        tensor([[1., 1.]])
    """

    def __init__(self, function: Callable[[Tensor], Tensor], noise: float = 0.0) -> None:
        called(function)
        self.function, self.noise = function, not_negative(noise)

    def forward(self, x: Tensor) -> Tensor:
        return self.function(x)


def pictures(x: Tensor) -> Tensor:
    """x itself, if it is what a blur sees.

    Args:
        x: (B, C, H, W).

    Raises:
        UsageError: It has another shape.
    """
    if x.ndim != 4:
        raise UsageError(f"a blur sees pictures, (B, C, H, W), got shape {tuple(x.shape)}: write a LinearOperator")
    return x
