"""dps: its two weights against densities written out, the posterior of a normal law, and measurements without slope."""

import math

import numpy as np
import pytest
import torch
from drawn import draw

from scoresde.conditioners import conditioners
from scoresde.core.errors import UsageError
from scoresde.core.random import generators, stream
from scoresde.models.gaussian import GaussianModel
from scoresde.observations import LinearOperator, Luma, NonLinear, Pixels, Stacked
from scoresde.sampling.sample import sample
from scoresde.sde import VPSDE
from scoresde.solvers import solvers

SHAPE, SIZE = (3, 4, 4), 48


A = draw((SIZE, SIZE), "spd") / math.sqrt(SIZE)
C, MEAN = 0.3 * A @ A.T + 0.02 * torch.eye(SIZE).double(), 0.2 * draw((SIZE,), "mean")
PRIOR = GaussianModel(MEAN.reshape(SHAPE), C, VPSDE())
TRUTH = PRIOR.draw(1, stream(0, "truth"))
HALF = torch.zeros(1, 1, 4, 4)
HALF[..., :2] = 1


@pytest.mark.parametrize("seen", [NonLinear(torch.sin, 0.3), NonLinear(torch.sin, 3.0), Pixels(HALF, 0.3)])
def test_the_score_is_the_gradient_of_what_it_says(seen):
    """Of log N(y; f(x̂_0), s² I) with s² held fixed, or of -r/g² |y - f(x̂_0)|, added to that of the law itself."""
    x, t = draw((2, *SHAPE), "x"), torch.tensor([0.2, 0.7]).double()
    y = seen.forward(TRUTH.expand(2, -1, -1, -1)) + 0.1 * draw((2, *SHAPE), "n")
    numbers = 24 if isinstance(seen, Pixels) else 48
    state = x.clone().requires_grad_()
    norm = seen.residual(PRIOR.denoise(state, t), y).flatten(1).norm(dim=1)
    (slope,) = torch.autograd.grad(norm.sum(), state)
    norm = norm.detach()
    spread = torch.maximum(norm**2 / numbers, torch.tensor(seen.noise**2))
    for weight, factor in (("rate", 30 / PRIOR.sde.g(t) ** 2), ("likelihood", norm / spread)):
        found = conditioners["dps"](weight=weight).condition(PRIOR, seen, y).score(x, t)
        assert torch.allclose(found, PRIOR.score(x, t) - factor.reshape(-1, 1, 1, 1) * slope, rtol=1e-8, atol=1e-8)


@pytest.mark.parametrize("noise", [0.1, 0.5])
def test_by_the_likelihood_samples_have_the_posterior_of_a_normal_law(noise):
    """Mean to 0.2 and spread to 10 % of the posterior's deviation at any noise, where a rate misses by 0.3 and 20 %."""
    seen, count = Luma(noise=noise), 300
    clean = seen.forward(TRUTH)
    y = (clean + noise * draw(clean.shape, "n")).expand(count, -1, -1, -1)
    a = seen.forward(torch.eye(SIZE).double().reshape(-1, *SHAPE)).flatten(1).T.numpy()
    gain = C.numpy() @ a.T @ np.linalg.inv(a @ C.numpy() @ a.T + noise**2 * np.eye(16))
    mean = MEAN.numpy() + gain @ (y[0].flatten().numpy() - a @ MEAN.numpy())
    deviation = np.sqrt(np.diag(C.numpy() - gain @ a @ C.numpy()))

    def off(weight):
        sources = generators(range(count))
        around = conditioners["dps"](weight=weight).condition(PRIOR, seen, y)
        x = around.prior(sources, dtype=torch.float64)
        out = sample(around, solvers["ancestral"](steps=80), x, generator=sources)
        x = out.x.flatten(1).numpy()
        ratio = (x.std(0) / deviation).mean()
        return np.sqrt(np.square((x.mean(0) - mean) / deviation).mean()), abs(ratio - 1), out.info["misfit"]

    miss, ratio, misfit = off("likelihood")
    assert miss < 0.2 and ratio < 0.1 and 0.7 < misfit < 1.2
    assert off("rate")[0] > 1.3 * miss


def test_a_rate_does_not_see_the_noise_and_says_so(caplog):
    """The samples of two noises have the same bits, by the rate; by the likelihood they differ."""
    y = TRUTH.expand(2, -1, -1, -1)

    def drawn(noise, weight):
        around = conditioners["dps"](weight=weight).condition(PRIOR, NonLinear(torch.sin, noise), y.sin())
        return sample(around, solvers["ancestral"](steps=60), around.prior([0, 1]), generator=generators([0, 1])).x

    assert torch.equal(drawn(0.02, "rate"), drawn(0.5, "rate"))
    assert "dps at a rate does not see the noise of the measurement, here 0.5" in caplog.text
    caplog.clear()
    assert (drawn(0.02, "likelihood") - drawn(0.5, "likelihood")).abs().max() > 0.05
    assert "does not see" not in caplog.text
    caplog.clear()
    conditioners["dps"]().condition(PRIOR, Luma(), Luma().forward(TRUTH))
    assert not caplog.records  # the noise of rounding is none that anybody asked for


def test_two_masks_side_by_side_are_one_mask():
    """What is in their holes counts for nothing: Stacked(Pixels(a), Pixels(b)) and Pixels(a or b) have one law."""
    above, rest = torch.zeros(2, 4, 4)
    above[0], rest[1, :2] = 1, 1
    x, t, y = draw((2, *SHAPE), "x"), torch.tensor([0.1, 0.7], dtype=torch.float64), TRUTH.expand(2, -1, -1, -1)
    two = Stacked(Pixels(above, 0.1), Pixels(rest, 0.1)).of_shape(SHAPE)
    dps = conditioners["dps"](weight="likelihood")
    found = dps.condition(PRIOR, two, two.join(above * y, rest * y)).eps(x, t)
    assert torch.allclose(found, dps.condition(PRIOR, Pixels(above + rest, 0.1), y).eps(x, t), atol=1e-12)


@pytest.mark.parametrize(
    "function", [torch.round, torch.sign, lambda x: (x > 0.2).to(x), lambda x: x.detach() + 1, torch.zeros_like]
)
def test_what_has_no_gradient_is_refused(function):
    with pytest.raises(UsageError, match="this one has none, as that of round, sign or a threshold"):
        conditioners["dps"]().condition(PRIOR, NonLinear(function, 0.1), torch.ones_like(TRUTH))


@pytest.mark.parametrize("function", [torch.abs, lambda x: x.clamp(-1, 1), lambda x: x + (x.round() - x).detach()])
def test_what_has_one_in_places_is_not(function):
    seen = NonLinear(function)
    conditioners["dps"]().condition(PRIOR, seen, seen.forward(TRUTH))
    flat = LinearOperator(lambda x: 0 * x, lambda y: 0 * y)
    conditioners["dps"]().condition(PRIOR, flat, 0 * TRUTH)  # which y agrees with


def test_one_number_for_each_sample_is_a_measurement():
    """y (B,): alone, and in a stack, with the misfit of each."""
    total = NonLinear(lambda x: x.sum((1, 2, 3)), noise=0.5)
    y = total.forward(TRUTH).expand(2)
    around = conditioners["dps"](weight="likelihood").condition(PRIOR, total, y)
    out = sample(around, solvers["ancestral"](steps=60), around.prior([0, 1], dtype=torch.float64))
    assert out.x.isfinite().all() and len(out.misfit) == 2
    stack = Stacked(total, Luma(noise=0.1))
    both = stack.join(y, Luma().forward(TRUTH))
    around = conditioners["dps"](weight="likelihood").condition(PRIOR, stack, both)
    assert sample(around, solvers["ancestral"](steps=20), around.prior([0, 1])).x.isfinite().all()
