"""Learning the method that ends nearest to the exact probability flow of a model in a given number of evaluations."""

import math
from collections.abc import Callable, Iterable
from itertools import pairwise
from typing import NamedTuple

import torch
from torch import Tensor

from ...core.random import permutation, stream
from ...models.base import ScoreModel
from ...models.output import Output
from ...sde import SDE
from ...solvers import GridSolver
from ...solvers.few_steps import kind_of, of_steps
from ...solvers.grids import ListedGrid
from ...solvers.linear import Linear
from .flow import Paths, squares

ITERATIONS, ROWS, RATE = 100, 32, 0.02
"""Steps of Adam, samples in each, and its first step size, which falls to 0 as a cosine does."""
DIGITS = 5
"""Significant digits of what is learned."""


class _Marked(ScoreModel):
    """Predicts the i-th unit vector in its i-th evaluation, so that a state shows the weight of each prediction."""

    def __init__(self, sde: SDE, count: int) -> None:
        super().__init__()
        self.sde, self.shape = sde, (count,)
        self.states: list[Tensor] = []

    def evaluate(self, x: Tensor, t: Tensor, classes: Tensor | None = None) -> Output:
        self.states.append(x)
        return Output(torch.eye(*self.shape, dtype=x.dtype)[None, len(self.states) - 1])


def as_linear(solver: GridSolver, sde: SDE, stop: float) -> Linear:
    """The same method with its weights written out: on any model it ends where the solver does, but for rounding.

    Args:
        solver: A solver without noise that evaluates once per step, at its start.
        sde: The process.
        stop: Time at which it ends.
    """
    levels = solver.grid.levels(sde, sde.t_max, stop, solver.steps)
    marked = _Marked(sde, solver.steps)
    end = solver.walk(marked, torch.zeros(1, solver.steps, dtype=torch.float64), levels, None)
    scaled = torch.cat([x / level.alpha for x, level in zip([*marked.states, end], levels, strict=True)])
    rises = [math.exp(-s.log_snr) - math.exp(-t.log_snr) for t, s in pairwise(levels)]
    table = scaled.diff(dim=0) / torch.tensor(rises, dtype=torch.float64)[:, None]
    weights = [w for i, row in enumerate(table.tolist()) for w in row[i::-1]]
    return Linear(steps=solver.steps, grid=solver.grid, weights=tuple(weights))


class Parameters(NamedTuple):
    """What is learned, all float64: any values are a method."""

    lengths: Tensor
    """Logarithms of the steps in log-SNR, but for their sum, (N,)."""
    weights: Tensor
    """Weights of the predictions, the oldest first, of which each step uses those that there are, (N, N)."""
    shifts: Tensor
    """How far into its step, as a share of it, each evaluation's time is moved, (N,)."""

    @classmethod
    def of(cls, method: Linear, sde: SDE, stop: float) -> "Parameters":
        """The parameters that mean a method.

        Args:
            method: The method, whose evaluations are at the grid's times.
            sde: The process.
            stop: Time at which it ends.
        """
        levels = method.grid.levels(sde, sde.t_max, stop, method.steps)
        lengths = torch.tensor([s.log_snr - t.log_snr for t, s in pairwise(levels)], dtype=torch.float64).log()
        weights = torch.zeros(method.steps, method.steps, dtype=torch.float64)
        for i, row in enumerate(method.rows(method.steps)):
            weights[i, : i + 1] = torch.tensor([*row, *[0.0] * i][i::-1], dtype=torch.float64)
        found = cls(lengths, weights, torch.zeros_like(lengths))
        return cls(*(value.requires_grad_() for value in found))

    def times(self, sde: SDE, stop: float) -> tuple[Tensor, Tensor]:
        """log-SNR at the ends of the steps, (N + 1,), and at the evaluations, (N,).

        Args:
            sde: The process.
            stop: Time at which the method ends.
        """
        first, last = sde.log_snr(torch.tensor([sde.t_max, stop], dtype=torch.float64)).tolist()
        shares = torch.cat([torch.zeros(1, dtype=torch.float64), torch.softmax(self.lengths, 0).cumsum(0)])
        places = first + (last - first) * shares
        return places, (places[:-1] + self.shifts * places.diff()).clamp(first, last)

    def end(self, model: ScoreModel, x: Tensor, stop: float) -> Tensor:
        """Where the method carries noise, (B, *), as `Linear` does, with gradients by the parameters.

        Args:
            model: The score model.
            x: Noise at the end of the process, (B, *).
            stop: Time at which the method ends.
        """
        sde = model.sde
        places, told = self.times(sde, stop)
        alpha, told = sde.alpha(sde.time(places)), sde.time(told)
        gains = alpha[1:] * torch.exp(-places).diff()
        history: list[Tensor] = []
        for i, row in enumerate(self.weights):
            history.append(model.eps(x, told[i].expand(len(x))))
            x = (alpha[i + 1] / alpha[i]).to(x.dtype) * x
            for weight, eps in zip(gains[i] * row, history, strict=False):
                x = x + weight.to(x.dtype) * eps
        return x

    @torch.no_grad()
    def method(self, sde: SDE, stop: float) -> Linear:
        """The method that the parameters mean, to `DIGITS` digits.

        Args:
            sde: The process.
            stop: Time at which it ends.
        """
        places, told = (sde.time(value) for value in self.times(sde, stop))
        weights = [w for i, row in enumerate(self.weights.tolist()) for w in row[i::-1]]
        grid = ListedGrid(at=rounded(places[1:-1].tolist()))
        times = tuple(min(t, sde.t_max) for t in rounded(told.tolist()))
        return Linear(steps=len(self.lengths), grid=grid, weights=rounded(weights), times=times)


def rounded(values: Iterable[float]) -> tuple[float, ...]:
    """The values to `DIGITS` significant digits.

    Args:
        values: Numbers.
    """
    return tuple(float(f"{value:.{DIGITS}g}") for value in values)


def learn(
    given: Paths,
    steps: int,
    *,
    start: GridSolver | None = None,
    iterations: int = ITERATIONS,
    progress: Callable[[], object] = lambda: None,
) -> Linear:
    """The weights and times of so many evaluations that minimise mean log(1 + (e/c)²), e the samples' errors.

    c is the median error of the solver that it starts from. The loss grows like e² for samples within it and like
    log e beyond, so that the few that end in another mode do not decide. Adam follows its gradient, through the solver.

    Args:
        given: Noise, and where the exact flow carries it.
        steps: Number of steps, and of evaluations.
        start: Solver of one evaluation per step to start from; by default the best one that was measured.
        iterations: Steps of Adam, of `ROWS` samples each.
        progress: Called after each of them.

    Raises:
        UsageError: The number of steps is not allowed.
        NumericalError: The solver that it starts from fails.
    """
    model, stop = given.model, given.stop
    begun = as_linear(of_steps(steps, kind_of(model)) if start is None else start, model.sde, stop)
    scale = float(given.errors(begun).median())
    if scale == 0:
        return begun

    def loss(squares: Tensor) -> Tensor:
        return torch.log1p(squares / scale**2).mean()

    learned = Parameters.of(begun, model.sde, stop)
    adam = torch.optim.Adam(learned, lr=RATE, betas=(0.9, 0.99))
    order = torch.empty(0, dtype=torch.long)
    for i in range(iterations):
        if not len(order):
            order = permutation(len(given.noise), stream(0, "tune", i))
        rows, order = order[:ROWS], order[ROWS:]
        ends = learned.end(model, given.noise[rows], stop)
        found = torch.autograd.grad(loss(squares(ends, given.truth[rows])), learned, allow_unused=True)
        adam.param_groups[0]["lr"] = RATE * (1 + math.cos(math.pi * i / iterations)) / 2
        if all(gradient is None or bool(gradient.isfinite().all()) for gradient in found):
            for value, gradient in zip(learned, found, strict=True):
                value.grad = gradient
            adam.step()
        progress()
    return min((begun, learned.method(model.sde, stop)), key=lambda method: float(loss(given.errors(method) ** 2)))
