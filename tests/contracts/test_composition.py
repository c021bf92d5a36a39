"""What is built around a model composes with what is asked of a model: adaptive steps, likelihoods, more conditions."""

import math

import numpy as np
import pytest
import torch

from scoresde.bench.problems import problem
from scoresde.conditioners import conditioners
from scoresde.core.errors import UsageError
from scoresde.core.random import generators, stream
from scoresde.likelihood import Exact, log_likelihood
from scoresde.models.gaussian import GaussianModel
from scoresde.observations import Downsample, Luma, Pixels, covariance
from scoresde.sampling.sample import sample
from scoresde.sde import VPSDE
from scoresde.solvers import solvers

HOLE = torch.ones(1, 1, 8, 8)
HOLE[..., 2:6, 2:6] = 0


@pytest.mark.parametrize("name", ["adams", "dop853", "dpm", "rk23", "rk45"])
@pytest.mark.parametrize("seen", [Luma(), Pixels(HOLE, noise=1 / 255)], ids=["luma", "hole"])
def test_a_condition_costs_an_adaptive_solver_what_the_exact_posterior_costs(name, seen):
    """At most 1.3 times the evaluations of the posterior's own flow, and for adams and dpm of the unconditional one.

    What is known to less than σ at the end makes any flow to it as steep as 1/σ. Runge-Kutta methods need up to twice
    the unconditional evaluations for that, with the exact score too; exponential ones solve that part exactly.
    """
    model = problem("gm192")
    full = covariance.estimate(model.draw(2000, stream(0, "images")), "full")
    y = seen.forward(model.draw(2, stream(0, "truth")))
    x, solver = model.prior(generators(range(2)), dtype=torch.float64), solvers[name](tol=1e-2)

    def evaluations(around):
        return sample(around, solver, x).nfe

    conditioned = evaluations(conditioners["covariance"](covariance=full).condition(model, seen, y))
    assert conditioned <= 1.3 * evaluations(conditioners["oracle"]().condition(model, seen, y))
    if name in ("adams", "dpm"):
        assert conditioned <= 1.3 * evaluations(model)


def test_the_likelihood_of_a_conditioned_model_is_the_posteriors():
    """For normal data the covariance conditioner is exact: log N(x; m + G (y - A m), C - G A C) by NumPy."""
    shape, size = (3, 2, 2), 12
    a = torch.randn(size, size, generator=stream(0, "a"), dtype=torch.float64) / math.sqrt(size)
    c = 0.3 * a @ a.T + 0.02 * torch.eye(size, dtype=torch.float64)
    model = GaussianModel(torch.full(shape, 0.2, dtype=torch.float64), c, VPSDE())
    seen = Downsample(factor=2, noise=0.1)
    y = seen.forward(model.draw(4, stream(0, "truth")))
    given = {"covariance": covariance.full(c, shape)}
    around = conditioners["covariance"](**given).condition(model, seen, y)
    x = model.draw(4, stream(0, "x"))
    found = log_likelihood(around, x, divergence=Exact())
    operator = seen.forward(torch.eye(size, dtype=torch.float64).reshape(size, *shape)).flatten(1).T.numpy()
    prior, mean = c.numpy(), np.full(size, 0.2)
    gain = prior @ operator.T @ np.linalg.inv(operator @ prior @ operator.T + 0.1**2 * np.eye(3))
    spread = prior - gain @ operator @ prior
    end = torch.ones(1, dtype=torch.float64)
    alpha, sigma = float(model.sde.alpha(end)), float(model.sde.sigma(end))

    def log_normal(at, centre, matrix):
        off = at.flatten().numpy() - centre
        return -0.5 * (off @ np.linalg.solve(matrix, off) + np.linalg.slogdet(2 * np.pi * matrix)[1])

    for row in range(4):
        centre = mean + gain @ (y[row].flatten().numpy() - operator @ mean)
        # The flow ends in N(0, I), which p_1 is but nearly: the difference is known here, and taken out.
        ideal = log_normal(found.latent[row], alpha * centre, alpha**2 * spread + sigma**2 * np.eye(size))
        value = (found.at_zero - found.prior)[row].item() + ideal
        assert value == pytest.approx(log_normal(x[row], centre, spread), abs=2e-3)  # nats, rk45 at 1e-5
    with pytest.raises(UsageError, match="takes derivatives and has none itself; use covariance"):
        log_likelihood(conditioners["moment"](**given).condition(model, seen, y), x)
