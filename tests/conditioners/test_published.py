"""The published heuristic under solvers that compare or combine evaluations: followed, with a warning.

Truth: independent pixels, of which the hidden ones are those of the unconditional run; the law of the noise that is put
in; and that a sample depends on its own seed.
"""

import subprocess
import sys

import pytest
import scipy.stats
import torch
from PIL import Image

from scoresde.conditioners import conditioners
from scoresde.conditioners.base import ConditionedModel
from scoresde.core.errors import UsageError
from scoresde.core.random import generators
from scoresde.models.clipped import ClippedModel
from scoresde.models.gaussian import GaussianModel
from scoresde.observations import Pixels
from scoresde.sampling.sample import sample
from scoresde.sde import VPSDE
from scoresde.solvers import OneStepSolver, solvers

SHAPE = (1, 4, 4)
SEEN = Pixels((torch.arange(16) < 8).double().reshape(1, *SHAPE))
Y = 0.5 * torch.linspace(-1, 1, 16, dtype=torch.float64).reshape(1, *SHAPE)
MODEL = GaussianModel(torch.zeros(SHAPE, dtype=torch.float64), torch.full(SHAPE, 0.3, dtype=torch.float64), VPSDE())
SLOW = [name for name, cls in solvers.all().items() if not issubclass(cls, OneStepSolver)]


def published(seeds):
    sources = generators(seeds)
    around = conditioners["replace"](as_published=True).condition(MODEL, SEEN, Y.expand(len(seeds), *SHAPE), sources)
    return around, around.prior(sources, dtype=torch.float64), sources


def run(solver, seeds, observers=()):
    around, x, sources = published(seeds)
    with pytest.warns(UserWarning, match="means nothing then, as published"):
        return sample(around, solver, x, generator=sources, observers=observers)


@pytest.mark.parametrize("name", SLOW)
def test_it_is_followed_with_a_warning_and_keeps_what_is_known(name):
    cls = solvers[name]
    options = {"steps": 8} if "steps" in cls.model_fields else {"tol": 0.1} if "tol" in cls.model_fields else {}
    options |= {"atol": 0.1} if "atol" in cls.model_fields else {}
    found = run(cls(**options), range(2))
    assert torch.equal(found.x[:, 0, :2], Y[:, 0, :2].expand(2, -1, -1))
    assert bool(found.x.isfinite().all())


@pytest.mark.parametrize("solver", ["rk45:tol=0.05,atol=0.05", "dpm++:steps=40", "adams:tol=0.01,atol=0.01"])
def test_independent_pixels_are_those_of_the_unconditional_run(solver):
    """The hidden pixels' flow does not see the noise, which only changes the steps."""
    around, x, _ = published(range(6))
    exact = MODEL.flow(x, 1.0, MODEL.sde.t_min)[:, 0, 2:]
    found = run(solver, range(6)).x[:, 0, 2:]
    assert float((found - exact).abs().max()) < 0.03


def test_the_noise_that_is_put_in_is_standard_normal_at_the_level_of_the_evaluation_before():
    """Also where a step was rejected and the time goes up: there the level is that of the time itself."""
    around, x, sources = published(range(16))
    states, times = [], []

    def watch(x, t, eps):
        states.append(x[:, 0, :2].clone())
        times.append(t.clone())

    with pytest.warns(UserWarning):
        sample(around.observed(watch), "rk45:tol=0.05,atol=0.05", x, generator=sources, denoise=False)
    z, again = [], []
    for before, t, state in zip(times, times[1:], states[1:], strict=False):
        level = torch.maximum(before, t)
        alpha, sigma = (part.reshape(-1, 1, 1) for part in (MODEL.sde.alpha(level), MODEL.sde.sigma(level)))
        drawn, inside = (state - alpha * Y[:, 0, :2]) / sigma, t < MODEL.sde.t_max
        z.append(drawn[inside].flatten())
        again.append(drawn[inside & (t > before)].flatten())  # a step was tried again
    assert torch.equal(states[0], Y[:, 0, :2].expand(16, -1, -1))
    for some in (z, again):  # of steps that are tried again there are few among all
        assert len(torch.cat(some)) > 100 and scipy.stats.kstest(torch.cat(some).numpy(), "norm").pvalue > 1e-3


def test_a_sample_depends_on_its_own_seed():
    whole, alone = run("rk45:tol=0.05,atol=0.05", range(5)), run("rk45:tol=0.05,atol=0.05", [3])
    assert torch.allclose(whole.x[3], alone.x[0], rtol=0, atol=1e-12)


def test_any_other_new_noise_is_still_refused():
    """Also where it is around or inside of the published heuristic."""
    around, x, _ = published(range(2))
    outer = ConditionedModel(around, SEEN, Y.expand(2, *SHAPE), lambda model, x, t: model.evaluate(x, t), draws=True)
    noisy = ConditionedModel(MODEL, SEEN, Y.expand(2, *SHAPE), lambda model, x, t: model.evaluate(x, t), draws=True)
    inner = conditioners["replace"](as_published=True).condition(noisy, SEEN, Y.expand(2, *SHAPE))
    for model in (outer, noisy, inner, ClippedModel(inner)):
        with pytest.raises(UsageError, match="draws new noise at each: use em"):
            sample(model, "rk45", x)


def test_the_command_line_says_it_in_one_line(tmp_path):
    """Once for several batches, without the place in the code."""
    line = "inpaint photo.png --box 2,2,6,6 --model digits --conditioner replace:as_published=true --solver dpm++"
    Image.new("L", (8, 8), 128).save(tmp_path / "photo.png")
    command = [sys.executable, "-m", "scoresde", *line.split(), "-n", "4", "--batch", "2", "--quiet", "--steps", "4"]
    said = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert said.returncode == 0, said.stderr
    lines = [text for text in said.stderr.splitlines() if "new noise" in text]
    assert len(lines) == 1 and lines[0].startswith("Warning: dpm++ combines evaluations at different times")
