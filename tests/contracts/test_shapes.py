"""Vectors, series and volumes: solvers, codes and likelihoods do not know how values are arranged."""

import pytest
import torch

from scoresde.core.errors import UsageError
from scoresde.core.random import generators
from scoresde.likelihood import Exact, Hutchinson, interleaved, log_likelihood
from scoresde.models.gaussian import GaussianModel
from scoresde.sampling.latent import round_trip
from scoresde.sampling.sample import sample
from scoresde.sde import VPSDE
from scoresde.solvers import solvers

SHAPES = [(2, 6), (1, 2, 3, 2)]
VALUES = 12


def gaussian(shape):
    """Twelve correlated values with means of their own, arranged in a shape."""
    generator = torch.Generator().manual_seed(0)
    a = 0.3 * torch.randn(VALUES, VALUES, generator=generator, dtype=torch.float64)
    return GaussianModel(torch.linspace(-1, 1, VALUES, dtype=torch.float64).reshape(shape), a @ a.T, VPSDE())


def few(name):
    """A solver that is fast rather than accurate."""
    fields = solvers[name].model_fields
    return solvers[name](**({"steps": 6} if "steps" in fields else {"tol": 0.1} if "tol" in fields else {}))


@pytest.mark.parametrize("name", sorted(solvers))
def test_a_solver_gives_the_same_for_any_arrangement_of_the_values(name):
    """Norms, errors and noise are those of one sample, whatever its shape."""

    def drawn(shape):
        model, sources = gaussian(shape), generators(range(3))
        x = model.prior(sources, dtype=torch.float64)
        return sample(model, few(name), x, generator=sources).x

    flat = drawn((VALUES,))
    for shape in SHAPES:
        found = drawn(shape)
        assert found.shape == (3, *shape) and torch.allclose(found.flatten(1), flat, atol=1e-9)


@pytest.mark.parametrize("shape", [(VALUES,), *SHAPES])
def test_the_likelihood_is_the_density_of_a_gaussian(shape):
    model = gaussian(shape)
    x = model.draw(4, torch.Generator().manual_seed(1))
    truth = model.log_prob(x, torch.full((4,), 1e-5, dtype=torch.float64))
    law = torch.distributions.MultivariateNormal(*model.marginal(1e-5))
    assert torch.allclose(truth, law.log_prob(x.flatten(1)))

    def found(divergence):
        """With the law at the end of the process in place of N(0, I), from which it differs by some hundredths."""
        each = log_likelihood(model, x, divergence=divergence, generator=generators(range(4)))
        end = model.log_prob(each.latent, torch.full((4,), model.sde.t_max, dtype=torch.float64))
        return each.log_prob - each.prior + end, each.standard_error

    assert torch.allclose(found(Exact())[0], truth, atol=2e-3)
    assert torch.allclose(found(Hutchinson(classes=VALUES))[0], truth, atol=2e-3)  # a class for each value: no chance
    some, error = found(Hutchinson(probes=40, classes=3))
    assert ((some - truth).abs() < 5 * error + 2e-3).all()


@pytest.mark.parametrize("shape", [(VALUES,), *SHAPES])
def test_latent_codes_are_the_exact_flow_and_lead_back(shape):
    model = gaussian(shape)
    x = model.draw(3, torch.Generator().manual_seed(2))
    way = round_trip(model, solvers["rk45"](tol=1e-7), x)
    assert torch.allclose(way.codes.x, model.flow(x, model.sde.t_min, model.sde.t_max), atol=1e-4)
    assert way.rms < 1e-4 and way.errors.shape == (3,)


@pytest.mark.parametrize("shape", [(7,), (2, 9), (1, 3, 4, 5)])
def test_classes_of_values_are_of_equal_size_in_any_shape(shape):
    found = interleaved(shape, 3)
    counts = torch.bincount(found.flatten(), minlength=3)
    assert found.shape == shape and counts.min() > 0 and counts.max() <= counts.min() + max(shape)


def test_samples_that_are_no_pictures_say_so():
    model, sources = gaussian((2, 6)), generators(range(3))
    found = sample(model, few("euler"), model.prior(sources))
    assert "3 of 2 x 6" in repr(found) and not found.pictures
    for use in (lambda: found.images, lambda: found.sheet()):
        with pytest.raises(UsageError, match="no pictures"):
            use()
