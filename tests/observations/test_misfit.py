"""rms(y - A x)/σ_y: a χ² law for exact draws, no false alarm, and named where samples miss their measurement."""

import json
import logging
import math
from dataclasses import replace

import numpy as np
import pytest
import scipy.stats
import torch
from drawn import draw

import scoresde
from scoresde.conditioners import conditioners
from scoresde.conditioners.oracle import PosteriorMixture
from scoresde.core.random import generators, stream
from scoresde.models.gaussian import GaussianModel
from scoresde.observations import Downsample, GaussianBlur, LinearOperator, Luma, NonLinear, Pixels, Stacked
from scoresde.observations.misfit import misfit
from scoresde.posterior import posteriors
from scoresde.sampling.misfit import ALARMS, Misfit, noted
from scoresde.sampling.sample import sample
from scoresde.sde import VPSDE
from scoresde.solvers import solvers

SHAPE = (3, 4, 4)
SIZE = 48


A = draw((SIZE, SIZE), "spd") / math.sqrt(SIZE)
PRIOR = GaussianModel(0.2 * draw(SHAPE, "mean"), 0.3 * A @ A.T + 0.02 * torch.eye(SIZE).double(), VPSDE())
HALF = torch.zeros(1, 1, 4, 4)
HALF[..., :2] = 1
MATRIX = draw((5, SIZE), "matrix")
EVERY = {
    "luma": (Luma(noise=0.05), 16),
    "pixels": (Pixels(HALF, 0.1), 24),
    "blur": (GaussianBlur(sigma=0.7, noise=0.1), 48),
    "matrix": (LinearOperator(lambda x: x.flatten(1) @ MATRIX.T, lambda y: (y @ MATRIX).reshape(-1, *SHAPE), 0.3), 5),
    "stack": (Stacked(Luma(noise=0.05), Downsample(factor=2, noise=0.2)), 28),
    "stack with exact pixels": (Stacked(Luma(noise=0.05), Pixels(HALF)), 16),
}


def measurements(seen, count):
    """One measurement with its noise for each of as many truths."""
    truth = PRIOR.draw(count, stream(0, "truth"))
    if isinstance(seen, Stacked):
        return seen.join(*(part.forward(truth) + part.noise * draw(part.forward(truth).shape, i)
                           for i, part in enumerate(seen.parts)))  # fmt: skip
    clean = seen.forward(truth)
    return clean + seen.noise * draw(clean.shape, "noise")


@pytest.mark.parametrize("name", [name for name in EVERY if "exact" not in name])
def test_it_has_the_law_of_chi_square_for_exact_draws(name):
    """2,000 pairs of a truth and one exact draw given its measurement: Kolmogorov and Smirnov's test, by SciPy."""
    seen, numbers = EVERY[name]
    seen, y = seen.of_shape(SHAPE), measurements(seen, 2000)
    x = PosteriorMixture(PRIOR, seen, y).draw(2000, stream(0, "draws"))
    found = misfit(seen, x, y)
    assert (found.numbers == numbers).all() and found.noisy
    squares = found.values.square().numpy() * numbers
    assert scipy.stats.kstest(squares, scipy.stats.chi2(numbers).cdf).pvalue > 1e-4
    below, above = found.beyond()
    assert not below.any() and not above.any()


@pytest.mark.parametrize("numbers", [1, 2, 5, 30, 1000])
def test_exact_draws_are_named_as_seldom_as_is_said(numbers):
    """By SciPy's law of their squares, whatever the batch: one in a million at most."""
    ends = [bounds_of(Misfit(torch.ones(b), torch.full((b,), float(numbers)), True, 1.0)) for b in (1, 64)]
    assert ends[0] == ends[1]
    law, (low, high) = scipy.stats.chi2(numbers), ends[0]
    named = law.cdf(numbers * low**2) + law.sf(numbers * high**2)
    assert named <= ALARMS == 1e-6 and (named > 1e-7 or numbers == 1000)


def bounds_of(made):
    """Between which values nothing is named, by bisection of `beyond` itself."""
    ends = []
    for which, (inside, outside) in ((0, (1.0, 0.0)), (1, (1.0, 100.0))):
        for _ in range(60):
            middle = (inside + outside) / 2
            named = Misfit(torch.full_like(made.values, middle), made.numbers, True, 1.0).beyond()[which]
            inside, outside = (inside, middle) if bool(named.any()) else (middle, outside)
        ends.append(inside)
    return ends


def drawn(seen, solver, conditioner="oracle", model=PRIOR, count=16):
    y, sources = measurements(seen, count), generators(range(count))
    around = conditioners[conditioner]().condition(model, seen, y, sources)
    return sample(around, solver, around.prior(sources, dtype=torch.float64), generator=sources)


@pytest.mark.parametrize("name", [name for name in EVERY if "exact" not in name])
def test_a_solver_that_is_accurate_is_not_named(name, caplog):
    """Nor for noise far below that of the last level, of which the final denoising leaves little."""
    out = drawn(EVERY[name][0], solvers["dpm++"](steps=30))
    assert len(out.misfit) == 16 and out.info["misfit"] == pytest.approx(np.mean(out.misfit))
    assert 0.75 < out.info["misfit"] < 1.15 and not caplog.records
    assert drawn(Luma(), solvers["dpm++"](steps=30)).info["misfit"] < 0.6 and not caplog.records


def test_what_misses_the_measurement_is_named(caplog):
    """Few steps of a stochastic solver; a rate of dps that is too small; pixels that contradict what is exact."""
    assert drawn(Luma(), solvers["ancestral"](steps=10)).info["misfit"] > 1.3
    assert "samples do not have the measurement: rms(y - A x) is" in caplog.text
    caplog.clear()
    seen = NonLinear(lambda x: x.square(), noise=0.05)
    y, sources = measurements(seen, 4), generators(range(4))
    weak = conditioners["dps"](rate=0.01).condition(PRIOR, seen, y, sources)
    sample(weak, solvers["em"](steps=50), weak.prior(sources, dtype=torch.float64), generator=sources)
    assert "4 of 4 samples do not have" in caplog.text and "another solver such as dpm++" in caplog.text
    caplog.clear()
    sample(weak, solvers["dpm++"](steps=20), weak.prior(sources, dtype=torch.float64), generator=sources)
    assert "4 of 4 samples do not have" in caplog.text and "another solver" not in caplog.text
    caplog.clear()
    both = Stacked(Pixels(HALF), Pixels(HALF))
    y = both.join(torch.zeros(2, *SHAPE), torch.ones(2, *SHAPE)).double()
    twice = conditioners["projection"]().condition(PRIOR, both, y)
    out = sample(twice, solvers["dpm++"](steps=5), twice.prior([0, 1], dtype=torch.float64))
    assert "2 of 2 samples do not have the measurement that was given as exact" in caplog.text
    assert out.misfit == pytest.approx([1 / math.sqrt(2) / math.sqrt(0.5)] * 2, rel=0.5)


@pytest.mark.parametrize("far", [3.0, 0.01])
def test_the_figure_is_that_of_the_samples_that_are_named(far, caplog):
    """And not the mean of all, which is that of the others."""
    out = drawn(Luma(), solvers["dpm++"](steps=30))
    values = torch.ones(16, dtype=torch.float64)
    values[3] = far
    noted(out, Misfit(values, torch.full((16,), 192.0), True, 1.0), PRIOR)
    assert "1 of 16 samples" in caplog.text and f"is {far:.2g} times" in caplog.text


@pytest.mark.parametrize(("solver", "ddpm"), [("dpm++:steps=20", True), ("ddpm:steps=20", False)])
def test_a_network_that_was_trained_for_the_task_is_clipped_rather_than_given_steps(solver, ddpm, caplog):
    """More steps do not take away what its first predictions are off by; clipping does (cifar8-tasks/table.md)."""
    network = scoresde.NetworkModel(torch.nn.Identity(), VPSDE(), SHAPE, condition="colour")
    out = replace(drawn(Luma(), solvers["dpm++"](steps=5)), solver=solver)
    far = Misfit(torch.full((16,), 3.0, dtype=torch.float64), torch.full((16,), 192.0), True, 1.0)
    noted(out, far, scoresde.ClippedModel(network))
    assert "--clip" in caplog.text and "more steps" not in caplog.text and ("solver ddpm" in caplog.text) == ddpm


def test_what_follows_the_noise_is_named(caplog):
    """`replace` ends on y itself, however large its noise is."""
    out = drawn(Pixels(HALF, 0.3), solvers["dpm++"](steps=10), "replace")
    assert out.info["misfit"] < 1e-6 and "samples follow the noise of the measurement" in caplog.text
    grey = torch.zeros(2, *SHAPE)  # whose luma is a whole level: rounding has left no error that draws could keep
    for seen, named in ((Luma(), False), (Luma(noise=0.01), True)):
        assert misfit(seen, grey, seen.forward(grey), 0.01).beyond()[0].tolist() == [named] * 2


def test_what_is_exact_and_written_has_none(caplog):
    out = drawn(Pixels(HALF), solvers["dpm++"](steps=10), "projection")
    assert out.misfit == [0.0] * 16 and not caplog.records
    out = drawn(EVERY["stack with exact pixels"][0], solvers["dpm++"](steps=10), "projection")
    assert all(0.3 < value < 2 for value in out.misfit)


def test_posterior_samplers_and_records_have_it(tmp_path, caplog):
    """And batches keep the order of the samples; what was not conditioned has none."""
    y = measurements(Luma(noise=0.1), 8)
    out = posteriors["gibbs"](rounds=5).draw(PRIOR, Luma(noise=0.1), y, generator=generators(range(8)))
    assert len(out.misfit) == 8 and out.info["misfit"] == pytest.approx(np.mean(out.misfit))
    top = torch.zeros(8, 8)
    top[:4] = 1
    seen = Pixels(top, 0.05)
    model = scoresde.condition("digits", seen, scoresde.sample("digits", n=1, steps=5, solver="dpm++").images)
    whole = scoresde.sample(model, "dpm++:steps=10", n=5)
    parts = scoresde.sample(model, "dpm++:steps=10", n=5, batch=2)
    assert whole.misfit == pytest.approx(parts.misfit, rel=1e-3) and len(whole.misfit) == 5
    record = json.loads((whole.save(tmp_path / "out") / "samples.json").read_text())
    assert record["misfit"] == list(whole.misfit) and record["info"]["misfit"] == whole.info["misfit"]
    plain = scoresde.sample("digits", "dpm++:steps=3", n=1)
    assert plain.misfit == [] and "misfit" not in plain.info
    assert "misfit" not in json.loads((plain.save(tmp_path / "plain") / "samples.json").read_text())


def test_units_of_the_data_make_no_difference():
    """x = 5 + 2 u: the same values as for u itself."""
    seen = Pixels([True, True, False], noise=0.4)
    model = GaussianModel(torch.zeros(3), torch.eye(3), VPSDE())
    y = torch.tensor([[5.5, 4.0, 0.0]])
    own = scoresde.sample(scoresde.condition(model, Pixels([True, True, False], 0.2), (y - 5) / 2), "dpm++", n=3)
    model.units = scoresde.core.units.Units(torch.tensor([5.0]), torch.tensor([2.0]))
    theirs = scoresde.sample(scoresde.condition(model, seen, y), "dpm++", n=3)
    assert theirs.misfit == pytest.approx(own.misfit, rel=1e-4)


def test_the_warning_is_one_that_can_be_silenced(caplog):
    with caplog.at_level(logging.ERROR, "scoresde"):
        drawn(Luma(), solvers["ancestral"](steps=5))
    assert not caplog.records


@pytest.mark.parametrize("scale", [0.0, 1e-6, 0.5])
def test_rounding_is_no_misfit_of_a_measurement_of_zeros(scale, caplog):
    """Of a y of zeros any error is infinitely much, and of an exact one in float32 there is always one of rounding."""
    flat = GaussianModel(torch.zeros(1, 8, 8), torch.full((1, 8, 8), 0.2), "vp")
    y = scale * torch.ones(1, 1, 4, 4)
    found = scoresde.sample(scoresde.condition(flat, Downsample(factor=2), y, "oracle"), "dpm++", n=2, steps=10)
    assert max(found.misfit) < 1e-3 and not caplog.records
    missed = misfit(Downsample(factor=2), found.x + 0.1, y.expand(2, -1, -1, -1))
    assert missed.beyond()[1].all()
