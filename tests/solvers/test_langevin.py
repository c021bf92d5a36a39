"""One Langevin step at the end of any solver, against its law on a Gaussian in closed form and the paper's formula."""

import math

import numpy as np
import pytest
import torch

import scoresde
from scoresde.conditioners import conditioners
from scoresde.core.errors import UsageError
from scoresde.core.options import table
from scoresde.core.random import generators, stream
from scoresde.models.evaluations import Evaluations
from scoresde.models.gaussian import GaussianModel
from scoresde.observations import Pixels
from scoresde.observations.covariance import Covariance
from scoresde.posterior import posteriors
from scoresde.sde import VPSDE
from scoresde.solvers import solvers
from scoresde.solvers.edm import EDM
from scoresde.solvers.euler import Euler

ALL = [name for name in solvers if name != "given"]
R = 0.3


def white(size, mean=0.2, variance=0.3):
    ones = torch.ones(size, dtype=torch.float64)
    return GaussianModel(mean * ones, variance * ones, VPSDE())


@pytest.mark.parametrize("scale", [1.0, 0.8, 1.3])
def test_the_law_after_the_step_is_the_closed_form(scale):
    """With A = |u|², B = |z|², u of variance c: E|u'|² = cD - 4r² D + 4r²(1 + r²) E[B²] E[1/A], as u·z has mean 0."""
    d, count, model = 8, 200_000, white(8)
    (level,) = model.sde.levels([0.5])
    std, centre = math.sqrt(0.3 * level.alpha**2 + level.sigma**2), 0.2 * level.alpha
    u = torch.randn(count, d, generator=torch.Generator().manual_seed(0), dtype=torch.float64) * math.sqrt(scale)
    solver = Euler(steps=1, final_corrector=R)
    x = solver.solve(model, centre + std * u, start=0.5 + 1e-9, stop=0.5, generator=stream(1, "law"))
    squares = ((x - centre) / std).square().sum(1)
    expected = scale * d - 4 * R**2 * d + 4 * R**2 * (1 + R**2) * d * (d + 2) / (scale * (d - 2))
    assert abs(float(squares.mean()) - expected) < 4.892 * float(squares.std()) / math.sqrt(count)
    assert abs(float((x - centre).mean())) < 4.892 * std * math.sqrt(expected / d / (count * d))


@pytest.mark.parametrize("name", ALL)
def test_after_any_solver_it_is_the_papers_step_and_costs_one_evaluation(name, gaussian):
    """The run without it, then the step by NumPy with the noise that comes next; the score is the Gaussian's own."""
    cls = solvers[name]
    budget = {"steps": 12} if "steps" in cls.model_fields else {}
    noise = torch.randn(4, 3, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    seen, stop = [Evaluations(), Evaluations()], 1e-2
    sources = generators(range(4))
    before = cls(**budget).solve(gaussian.observed(seen[0]), noise, start=1.0, stop=stop, generator=sources)
    z = np.stack([torch.randn(3, generator=g, dtype=torch.float64).numpy() for g in sources])
    solver = cls(**budget, final_corrector=R)
    found = solver.solve(gaussian.observed(seen[1]), noise, start=1.0, stop=stop, generator=generators(range(4)))
    factor = np.array([[0.5, 0, 0], [0.3, 0.4, 0], [-0.2, 0.1, 0.3]])  # of the fixture
    integral = 0.1 * stop + 0.5 * 19.9 * stop**2
    covariance = math.exp(-integral) * (factor @ factor.T) + (1 - math.exp(-integral)) * np.eye(3)
    off = before.numpy() - math.exp(-0.5 * integral) * np.array([0.3, -0.2, 0.5])
    score = -np.linalg.solve(covariance, off.T).T
    delta = 2 * (R * np.linalg.norm(z, axis=1, keepdims=True) / np.linalg.norm(score, axis=1, keepdims=True)) ** 2
    assert np.abs(found.numpy() - (before.numpy() + delta * score + np.sqrt(2 * delta) * z)).max() < 1e-11
    assert seen[1].calls == seen[0].calls + 1
    assert solver.noisy


def test_a_sample_depends_on_its_seed_alone(gaussian):
    whole = scoresde.sample(gaussian, "rk45:final_corrector=0.16", n=5, dtype=torch.float64)
    alone = scoresde.sample(gaussian, "rk45:final_corrector=0.16", seeds=[3], dtype=torch.float64)
    plain = scoresde.sample(gaussian, "rk45", n=5, dtype=torch.float64)
    assert torch.allclose(whole.x[3:4], alone.x, rtol=0, atol=1e-12)
    assert whole.nfe == plain.nfe + 1
    assert not torch.equal(whole.x, plain.x)


def test_what_is_written_of_a_run_without_it_is_what_it_was():
    """So the keys of benchmarks that were run before stay the same."""
    assert "final_corrector" not in table(Euler())
    assert table(Euler(final_corrector=0.16))["final_corrector"] == 0.16
    assert solvers.build(table(Euler(final_corrector=0.16))) == solvers.parse("euler:final_corrector=0.16")
    assert str(Euler(final_corrector=0.16)) == "euler:final_corrector=0.16"


@pytest.mark.parametrize("name", ["euler", "ddim", "edm", "dpm++", "rk45"])
def test_where_noise_has_no_place_it_is_refused(name, gaussian):
    options = {"churn": 0} if name == "edm" else {}
    assert not solvers[name](**options).noisy
    with pytest.raises(UsageError, match="adds noise"):
        scoresde.encode(gaussian, torch.zeros(1, 3), solvers[name](**options, final_corrector=0.16))
    with pytest.raises(UsageError, match="adds noise"):
        scoresde.decode(gaussian, torch.zeros(1, 3), solvers[name](**options, final_corrector=0.16))


@pytest.mark.parametrize("name", [n for n in posteriors if "solver" in posteriors[n].model_fields])
def test_a_posterior_sampler_that_takes_the_steps_itself_refuses_it(name):
    with pytest.raises(UsageError, match="which ancestral:steps=5,final_corrector=0.16 does not|final_corrector"):
        posteriors[name](solver="ancestral:steps=5,final_corrector=0.16")


def test_a_condition_is_kept():
    """Under the exact conditioner of a Gaussian the free coordinate keeps its posterior, the known one its value."""
    covariance = torch.tensor([[0.5, 0.3], [0.3, 0.4]], dtype=torch.float64)
    model = GaussianModel(torch.zeros(2, dtype=torch.float64), covariance, VPSDE())
    seen = Pixels(torch.tensor([True, False]))
    variances, axes = torch.linalg.eigh(covariance)
    y, count = torch.tensor([[0.7, 0.0]], dtype=torch.float64), 20_000
    exact = conditioners["covariance"](covariance=Covariance("full", (2,), variances, (axes,)))
    bound = exact.condition(model, seen, y.expand(count, 2))
    found = scoresde.sample(bound, "dpm++:steps=20,final_corrector=0.05", n=count, batch=count, dtype=torch.float64)
    assert bool((found.x[:, 0] == 0.7).all())
    mean, variance = 0.3 / 0.5 * 0.7, 0.4 - 0.3**2 / 0.5
    assert abs(float(found.x[:, 1].mean()) - mean) < 0.02
    assert float(found.x[:, 1].var()) == pytest.approx(variance, rel=0.06)


def test_on_the_command_line_it_is_counted_and_recorded(run, tmp_path):
    run("sample --solver em --steps 5 --final-corrector 0.16 -n 2 --quiet --out out")
    record = scoresde.core.files.read_json(tmp_path / "out/samples.json")
    assert record["solver"]["final_corrector"] == 0.16
    assert record["nfe"] == 5 + 1 + 1
    assert "--final-corrector" in run("sample --help")
    assert "final_corrector must be at most 10, got 11" in run("sample --solver em --final-corrector 11", code=2)


def test_churn_and_the_final_step_are_both_noise():
    assert EDM(churn=0, final_corrector=0.1).noisy and EDM(churn=1).noisy
