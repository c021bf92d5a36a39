"""One measurement after the other: against products of matrices, and the posterior of a normal law."""

import math

import numpy as np
import pytest
import torch
from drawn import draw

import scoresde
from scoresde.conditioners import conditioners
from scoresde.core.errors import UsageError
from scoresde.core.random import generators, stream
from scoresde.core.units import Units
from scoresde.models.gaussian import GaussianModel
from scoresde.observations import (
    ROUNDING,
    Blur,
    Composed,
    Crop,
    Downsample,
    GaussianBlur,
    LinearOperator,
    Luma,
    NonLinear,
    OrthogonalObservation,
    Pixels,
    covariance,
)
from scoresde.observations.rescaled import rescaled
from scoresde.posterior import posteriors
from scoresde.sde import VPSDE

SHAPE, SIZE = (3, 4, 4), 48
UNIT = torch.eye(SIZE, dtype=torch.float64).reshape(-1, *SHAPE)


SPREAD = draw((SIZE, SIZE), "spd") / math.sqrt(SIZE)
C, MEAN = 0.3 * SPREAD @ SPREAD.T + 0.02 * torch.eye(SIZE).double(), 0.2 * draw((SIZE,), "mean")
PRIOR, SIGMA = GaussianModel(MEAN.reshape(SHAPE), C, VPSDE()), covariance.full(C, SHAPE)
TRUTH = PRIOR.draw(1, stream(0, "truth"))
SCRATCH = torch.ones(4, 4)
SCRATCH[1] = 0
EVERY = {
    "grey and scratched": (Composed(Luma(noise=0.1), Pixels(SCRATCH)), True),
    "scratched, then grey": (Composed(Pixels(SCRATCH), Luma(noise=0.1)), True),
    "small and grey": (Composed(Downsample(factor=2), Luma(noise=0.1)), True),
    "grey and small, both noisy": (Composed(Luma(noise=0.2), Downsample(factor=2, noise=0.1)), True),
    "cut, blurred, grey": (Composed(Crop(left=1), GaussianBlur(sigma=0.7), Luma(noise=0.1)), False),
    "holes in channels, then grey": (Composed(Pixels(draw(SHAPE, "m") > 0), Luma(noise=0.1)), False),
}
every = pytest.mark.parametrize(("seen", "is_orthogonal"), EVERY.values(), ids=EVERY)


def matrix_of(seen):
    """The product of the matrices of the parts, each written out by itself, and the covariance of its noise."""
    shape, a, noise = SHAPE, np.eye(SIZE), np.zeros((SIZE, SIZE))
    for part in seen.parts:
        size = math.prod(shape)
        out = part.forward(torch.eye(size, dtype=torch.float64).reshape(-1, *shape))
        own, shape = out.flatten(1).T.numpy(), tuple(out.shape[1:])
        a, noise = own @ a, own @ noise @ own.T + part.noise**2 * np.eye(len(own))
    return a, noise


@every
def test_it_is_the_product(seen, is_orthogonal):
    a, noise = matrix_of(seen)
    placed = seen.of_shape(SHAPE)
    out = placed.forward(UNIT)
    assert np.allclose(out.flatten(1).T.numpy(), a)
    y = draw((2, *out.shape[1:]), "y")
    assert np.allclose(placed.adjoint(y).flatten(1).numpy(), y.flatten(1).numpy() @ a)
    assert np.allclose(placed.pinv(y).flatten(1).numpy(), y.flatten(1).numpy() @ np.linalg.pinv(a).T, atol=1e-6)
    assert isinstance(placed, OrthogonalObservation) == is_orthogonal
    if is_orthogonal:
        b = (placed.forward(UNIT) / placed.gain).flatten(1).T
        b = b[b.any(1)]
        assert torch.allclose(b @ b.T, torch.eye(len(b)).double())
    rows = a.any(1)
    blurred = EVERY["cut, blurred, grey"][0].noise ** 2 - 0.01  # the blur's own rounding, which is taken for white
    assert np.allclose(noise[rows][:, rows], seen.noise**2 * np.eye(rows.sum()), atol=1e-12 + blurred)


@every
@pytest.mark.parametrize("name", ["covariance", "oracle"])
def test_it_is_exact_for_normal_data(seen, is_orthogonal, name):
    a, _ = matrix_of(seen)
    y = seen.forward(TRUTH)
    y = y + seen.noise * draw(y.shape, "n")
    made = conditioners[name](**({"covariance": SIGMA} if name == "covariance" else {}))
    x, t = draw((2, *SHAPE), "x"), torch.tensor([0.3, 0.5]).double()  # two times: no matrix is factorised
    found = made.condition(PRIOR, seen, y.expand(2, *y.shape[1:])).denoise(x, t).flatten(1).numpy()
    inverse, rows = np.linalg.inv(C.numpy()), a.any(1)
    for k, level in enumerate(PRIOR.sde.levels(t.tolist())):
        precision = inverse + (level.alpha / level.sigma) ** 2 * np.eye(SIZE) + a.T @ a / seen.noise**2
        pull = level.alpha / level.sigma**2 * x[k].flatten().numpy()
        pull = pull + a[rows].T @ y.flatten().numpy()[rows] / seen.noise**2
        assert np.allclose(found[k], np.linalg.solve(precision, inverse @ MEAN.numpy() + pull), atol=1e-5)


def test_an_old_photograph_is_taken_by_all():
    """What is in the scratch is not read; conditioners, and samplers that need orthogonal rows."""
    seen = Composed(Luma(), Pixels(SCRATCH))
    y = Luma().forward(TRUTH)
    y[..., 1, :] = math.nan
    for name in ("langevin", "travel", "gibbs"):
        few = {"rounds": 3} if name == "gibbs" else {"solver": "ancestral:steps=20"}
        out = posteriors[name](**few).draw(PRIOR, seen, y, generator=generators([0]))
        assert out.x.isfinite().all()
        assert (Luma().forward(out.x) - y)[..., [0, 2, 3], :].abs().max() < 0.2
    for name in ("projection", "replace", "dps", "moment"):
        out = scoresde.sample(scoresde.condition(PRIOR, seen, y, name), "ancestral:steps=80", n=2)
        assert out.x.isfinite().all() and len(out.misfit) == 2
    out = scoresde.sample(scoresde.condition(PRIOR, Composed(Luma(noise=0), Pixels(SCRATCH)), y, "projection"), n=2)
    assert (Luma().forward(out.x.double()) - y)[..., [0, 2, 3], :].abs().max() < 1e-5


def test_noise_names_and_masks_of_each_sample():
    assert Composed(Luma(), Pixels(SCRATCH)).noise == ROUNDING
    assert Composed(Luma(noise=0.2), Downsample(factor=2, noise=0.1)).noise == pytest.approx(math.hypot(0.1, 0.1))
    assert str(Composed(Luma(), Pixels(SCRATCH))) == "luma, then pixels"
    masks = torch.rand(3, 1, 4, 4, generator=stream(0, "masks")) < 0.5
    seen = Composed(Luma(), Pixels(masks)).of_shape(SHAPE)
    x = draw((3, *SHAPE), "x")
    assert seen.bound == 3 and torch.equal(seen.of_rows([2, 0]).forward(x[[2, 0]]), seen.forward(x)[[2, 0]])
    units = Units(torch.full((1, 1, 1), 5.0), torch.full((1, 1, 1), 4.0))  # x = 5 + 4 u: σ_y of x is σ_y/4 of u
    for one in (seen, Composed(Luma(), Downsample(factor=2)).of_shape(SHAPE)):
        inner, _ = rescaled(one, one.forward(x), units, SHAPE)
        assert inner.of_rows([2, 0]).noise == pytest.approx(one.noise / 4)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Composed(), "at least one"),
        (lambda: Composed(Luma(), NonLinear(torch.abs)), "what is composed are linear observations"),
        (lambda: Composed(Luma(), GaussianBlur()), "GaussianBlur after a noisy observation .* let it come first"),
        (lambda: Composed(Pixels(SCRATCH, 0.1), LinearOperator(lambda x: x, lambda y: y)), "is not white"),
        (lambda: Composed(Luma(), Luma()).of_shape(SHAPE), "luma sees images of 3 channels"),
        (lambda: Composed(Luma(), Blur(torch.ones(1, 1))).check(torch.zeros(1, 1, 4, 4), SHAPE), "is not white"),
    ],
)
def test_what_cannot_be_composed_is_refused(make, message):
    with pytest.raises(UsageError, match=message):
        make()
