"""The twist of `smc`, which weights and guides its particles: a normal approximation to p(y | x_t)."""

import math
from typing import NamedTuple

import torch
from torch import Tensor

from ..conditioners.base import linear, shifted
from ..conditioners.dense import LARGEST, dense
from ..core.errors import UsageError
from ..core.options import Options
from ..models.base import ScoreModel
from ..models.border import differentiable
from ..models.output import Output, denoised
from ..observations import ROUNDING
from ..observations.covariance import Covariance
from ..sde import Level, expand
from .base import Problem


class TwistOutput(NamedTuple):
    """The model's prediction for some particles, and its correction by y."""

    eps: Tensor
    """ε, (N, *)."""
    guided: Tensor
    """ε - σ ∇ log p(y | x_t), (N, *)."""
    log_p: Tensor
    """log p(y | x_t) in nats, (N,), float64."""
    x0: Tensor
    """E[x_0 | x_t, y] for normal x_0, (N, *)."""


class Twist:
    """p(y | x_t) ≈ N(y; A x̂_0, S), S = σ_y² I + A (V + error² σ²/α² I) Aᵀ, V = (Σ⁻¹ + α²/σ² I)⁻¹.

    It is exact for normal data and an exact score, of `error` 0. At the last level a network counts as exact too.

    Args:
        method: The sampler, for error messages.
        problem: The samples that are wanted.
        covariance: Σ, the covariance of the data.
        copies: Particles for each sample: row i of y belongs to rows i copies .. (i + 1) copies - 1 of x.
        error: Root mean square error of the model's ε; 0 for an exact score.
        gradient: Whether ∇ is the derivative, a backward pass, or takes σ²/α ∂x̂_0/∂x_t for V, which needs none.

    Raises:
        UsageError: A is not linear, has too many rows, or is not the same for all samples; derivatives are ruled out.
    """

    def __init__(
        self, method: Options, problem: Problem, covariance: Covariance, *, copies: int, error: float, gradient: bool
    ) -> None:
        if gradient:
            differentiable(method.name)
        self.observation, self.covariance = linear(method, problem.observation), covariance
        self.y = problem.y.repeat_interleave(copies, 0)
        self.noise, self.error, self.gradient = max(problem.observation.noise, ROUNDING), error, gradient
        self.a, self.seen = dense(method.name, self.observation, problem.model.shape, problem.y.device)
        if len(self.a) > LARGEST:
            raise UsageError(
                f"{method.name} factorises a matrix as large as y, of at most {LARGEST} numbers, got {len(self.a)}: "
                "use travel, langevin or gibbs"
            )

    def __call__(self, model: ScoreModel, x: Tensor, level: Level, last: bool = False) -> TwistOutput:
        """The prediction at particles, and its correction by y.

        Args:
            model: The score model.
            x: Particles, (N, *).
            level: Their level.
            last: Whether this is the last level, where no guidance follows and no derivative is needed.
        """
        t, gradient = level.rows(x), self.gradient and not last
        with torch.set_grad_enabled(gradient):
            x = x.detach().requires_grad_(gradient)
            eps = model.eps(x, t)
            x0 = denoised(model.sde, x, t, eps)
        variance, size = math.exp(-2 * level.log_snr), len(self.a)
        each = torch.full((size,), variance, dtype=torch.float64, device=x.device)
        spread = self.covariance.posterior(self.a.reshape(-1, *model.shape), each).flatten(1)  # A V, (m, D)
        wrong = 0.0 if last else self.error**2 * variance
        s = self.a @ (spread + wrong * self.a).T
        s = s + self.noise**2 * torch.eye(size, dtype=torch.float64, device=x.device)
        factor = torch.linalg.cholesky(s)
        residual = self.observation.residual(x0.detach(), self.y.to(x)).flatten(1)[:, self.seen].double().T
        white = torch.linalg.solve_triangular(factor, residual, upper=False)
        u = torch.linalg.solve_triangular(factor.T, white, upper=True).T  # S⁻¹ (y - A x̂_0), (N, m)
        log_p = -0.5 * (white.square().sum(0) + size * math.log(2 * math.pi)) - factor.diagonal().log().sum()
        shift = (u @ spread).reshape(x.shape)
        if gradient:
            (slope,) = torch.autograd.grad(x0, x, (u @ self.a).reshape(x.shape).to(x0))
            guided = eps.detach() - expand(model.sde.sigma(t), x) * slope
        else:
            guided = shifted(model, x, t, Output(eps), shift).eps
        return TwistOutput(eps.detach(), guided, log_p, x0.detach() + shift.to(x0))


class StoredPrediction(ScoreModel):
    """A model that returns a prediction made before: the transition of a solver then costs no evaluation.

    Args:
        model: The model that made the prediction.
        x: The state of the prediction, (N, *); no other state is accepted.
        eps: The prediction, (N, *).
    """

    def __init__(self, model: ScoreModel, x: Tensor, eps: Tensor) -> None:
        super().__init__()
        self.sde, self.shape, self.at, self.answer = model.sde, model.shape, x, eps

    def evaluate(self, x: Tensor, t: Tensor, classes: Tensor | None = None) -> Output:
        if x is not self.at:
            raise UsageError("smc takes solvers whose transition evaluates the model once, where it begins: ancestral")
        return Output(self.answer)
