"""An adjoint that is not the transpose, and a map that is not linear, are found before anything is drawn."""

import math

import pytest
import torch
from torch import Tensor

import scoresde
from scoresde.conditioners import conditioners
from scoresde.core.errors import NumericalError, UsageError
from scoresde.core.random import generators, stream
from scoresde.models.gaussian import GaussianModel
from scoresde.observations import (
    Blur,
    Downsample,
    GaussianBlur,
    LinearOperator,
    Luma,
    Pixels,
    Stacked,
    covariance,
    observations,
)
from scoresde.posterior import posteriors
from scoresde.sde import VPSDE

SHAPE = (3, 8, 8)
MODEL = GaussianModel(torch.zeros(SHAPE), 0.2 * torch.eye(192).double(), VPSDE())
SIGMA = covariance.full(0.2 * torch.eye(192).double(), SHAPE)
MATRIX = torch.randn(60, 192, generator=stream(0, "matrix"), dtype=torch.float64) / math.sqrt(192)
MASKS = torch.rand(4, 1, 8, 8, generator=stream(0, "masks")) < 0.5


def times(x) -> Tensor:
    return x.flatten(1) @ MATRIX.T.to(x)


def back(y) -> Tensor:
    return (y @ MATRIX.to(y)).reshape(-1, *SHAPE)


WRONG = {
    "scaled": lambda y: 1.05 * back(y),
    "sign": lambda y: -back(y),
    "permuted": lambda y: back(y.flip(1)),
    "one row": lambda y: back(torch.cat([y[:, :-1], 0 * y[:, -1:]], 1)),
    "transposed pictures": lambda y: back(y).mT,
    "pseudo-inverse": lambda y: y @ torch.linalg.pinv(MATRIX).T.to(y) @ torch.eye(192).to(y),
}


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("wrong", WRONG)
def test_a_wrong_adjoint_is_found_wherever_it_is_used(wrong, dtype):
    adjoint = WRONG[wrong]
    seen = LinearOperator(times, lambda y: adjoint(y).reshape(-1, *SHAPE), noise=0.1)
    y = torch.zeros(2, 60, dtype=dtype)
    for name in ("covariance", "moment", "projection", "replace", "dps"):
        method = conditioners[name](**({"covariance": SIGMA} if name == "covariance" else {}))
        with pytest.raises(NumericalError, match="LinearOperator: its adjoint is not the transpose of its forward"):
            method.condition(MODEL, seen, y)
    for name in ("gibbs", "smc"):
        method = posteriors[name](**({"covariance": SIGMA} if name == "smc" else {}))
        with pytest.raises(NumericalError, match="adjoint is not the transpose"):
            method.draw(MODEL, seen, y, generator=generators(range(2)))
    with pytest.raises(NumericalError, match="adjoint is not the transpose"):
        Stacked(Luma(), seen).check(torch.zeros(1, 64 + 60, dtype=dtype), SHAPE)
    if wrong != "scaled":
        with pytest.raises(NumericalError, match="adjoint is not the transpose"):
            scoresde.condition(MODEL, seen, y)


@pytest.mark.parametrize(
    "function", [lambda x: times(x) + 1, lambda x: times(x).abs(), lambda x: times(x) ** 3, lambda x: times(x).round()]
)
def test_what_is_not_linear_is_no_linear_operator(function):
    with pytest.raises((UsageError, NumericalError), match="is not linear|not the transpose"):
        conditioners["projection"]().condition(MODEL, LinearOperator(function, back), torch.zeros(1, 60))
    odd = LinearOperator(lambda x: x.pow(3), lambda y: y * odd_slope(y))
    with pytest.raises((UsageError, NumericalError)):
        odd.check(torch.zeros(1, *SHAPE), SHAPE)


def odd_slope(y):
    return y.abs().clamp_min(1e-9).pow(-2 / 3)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_what_is_right_passes(dtype):
    """Every observation of the package, any size, a scale far from 1, and one that sees nothing."""
    shape = (3, 40, 48)
    large = [made() if name != "crop" else made(top=3) for name, made in observations.items()]
    large += [Blur(torch.ones(5, 3)), Stacked(Luma(), Downsample(factor=2)), GaussianBlur(sigma=3.0)]
    for seen in large:
        seen = seen.of_shape(shape)
        y = seen.measure(torch.zeros(1, *shape, dtype=dtype), stream(0, "y"))
        seen.check(y.to(dtype), shape)
    small = [LinearOperator(times, back), LinearOperator(lambda x: 0 * x, lambda y: 0 * y), Pixels(MASKS)]
    small += [LinearOperator(lambda x: 1e6 * times(x), lambda y: 1e6 * back(y)), Pixels(torch.zeros(8, 8))]
    for seen in small:
        x = torch.zeros(4, *SHAPE, dtype=dtype)
        seen.of_shape(SHAPE).check(seen.forward(x), SHAPE)
