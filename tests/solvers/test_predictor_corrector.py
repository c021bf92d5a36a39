"""The Langevin corrector against an independent account of its step and of its stationary law."""

import math

import numpy as np
import pytest
import torch

from scoresde.core.random import generators
from scoresde.models.base import ScoreModel
from scoresde.models.gaussian import GaussianModel
from scoresde.models.output import Output
from scoresde.sde import VESDE, VPSDE
from scoresde.solvers import solvers
from scoresde.solvers.langevin import warn_of_few


@pytest.mark.parametrize("predictor", ["em", "reverse-diffusion", "ancestral"])
@pytest.mark.parametrize("control", ["sample", "batch", "max"])
@pytest.mark.parametrize("dynamics", ["langevin", "annealed"])
@pytest.mark.parametrize("sde", [VPSDE(), VESDE()], ids=lambda sde: sde.name)
def test_a_step_is_the_papers(predictor, control, dynamics, sde):
    """One predictor step and two Langevin steps, recomputed in NumPy from the paper's formulas with the same noise."""
    mean, variance, rows, size, r = 0.2, 0.3, 5, 6, 0.11
    ones = torch.ones(size, dtype=torch.float64)
    model = GaussianModel(mean * ones, variance * ones, sde)
    x = torch.randn(rows, size, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    solver = solvers["pc"](steps=1, predictor=predictor, snr=r, corrector_steps=2, control=control, dynamics=dynamics)
    found = solver.solve(model, x, start=0.5, stop=0.45, generator=generators(range(rows))).numpy()

    draws = [torch.Generator().manual_seed(i) for i in range(rows)]
    noise = [np.stack([torch.randn(size, generator=g, dtype=torch.float64).numpy() for g in draws]) for _ in range(3)]
    if sde.name == "vp":
        integral = lambda t: 0.1 * t + 0.5 * 19.9 * t**2
        alpha, var = (lambda t: math.exp(-0.5 * integral(t))), (lambda t: 1 - math.exp(-integral(t)))
        f, g2 = (lambda t: -0.5 * (0.1 + 19.9 * t)), (lambda t: 0.1 + 19.9 * t)
    else:
        alpha, var = (lambda t: 1.0), (lambda t: (0.01 * 5000**t) ** 2)
        f, g2 = (lambda t: 0.0), (lambda t: var(t) * 2 * math.log(5000))
    score = lambda y, t: -(y - alpha(t) * mean) / (alpha(t) ** 2 * variance + var(t))
    t, s, y = 0.5, 0.45, x.numpy()
    a = alpha(t) / alpha(s)
    b2 = var(t) - a**2 * var(s)  # x_t = a x_s + b z
    if predictor == "em":
        y = y + (f(t) * y - g2(t) * score(y, t)) * (s - t) + math.sqrt(g2(t) * (t - s)) * noise[0]
    elif predictor == "reverse-diffusion":
        y = y - (a * y - y) + b2 * score(y, t) + math.sqrt(b2) * noise[0]
    else:
        y = (y + b2 * score(y, t)) / a + math.sqrt(b2) * noise[0]
    for z in noise[1:]:
        gradient = score(y, s)
        length = lambda v: np.sqrt((v**2).sum(1, keepdims=True))
        join = {"sample": lambda v: v, "batch": lambda v: v.mean(), "max": lambda v: v.max()}[control]
        scale = math.sqrt(var(s)) if dynamics == "annealed" else join(length(z)) / join(length(gradient))
        delta = 2 * a**2 * (r * scale) ** 2
        y = y + delta * gradient + np.sqrt(2 * delta) * z
    assert np.abs(found - y).max() < 1e-12


def test_many_corrections_reach_the_stationary_law_of_langevin():
    """With step δ on N(0, v) the chain's variance is v/(1 - δ/(2v)); in 4,000 dimensions δ hardly varies."""
    sde, size, r = VPSDE(), 4000, 0.3
    level = sde.levels([0.5])[0]

    class White(ScoreModel):  # a GaussianModel of this size would hold a matrix of 16 million numbers
        def __init__(self):
            super().__init__()
            self.sde, self.shape = sde, (size,)

        def evaluate(self, x, t, classes=None):
            return Output(level.sigma * x / v)

    v = 0.25 * level.alpha**2 + level.sigma**2
    x = torch.randn(2, size, generator=torch.Generator().manual_seed(0), dtype=torch.float64) * math.sqrt(v)
    solver = solvers["pc"](steps=1, snr=r, corrector_steps=300)
    out = solver.solve(White(), x, start=0.5 + 1e-9, stop=0.5, generator=generators([1, 2]))
    # δ solves δ = 2 r² |z|²/|∇log p|² with |∇log p|² = D V/v², V the chain's own variance v/(1 - δ/(2v)).
    delta = 0.0
    for _ in range(100):
        delta = 2 * r**2 * v * (1 - delta / (2 * v))
    expected = v / (1 - delta / (2 * v))
    assert out.var().item() == pytest.approx(expected, rel=4.892 * math.sqrt(2 / (2 * size)))
    assert expected / v > 1.05  # far enough from v that the test would see a chain without the bias


@pytest.mark.parametrize("size", [4, 16])
def test_own_norms_widen_the_law_of_few_values_as_the_docs_say(size):
    """On N(0, v I) short steps δ = c v² |z|²/r² have the drift -c D v x/r² and the diffusion c (D + 2) v²/r², because
    E |z|² z zᵀ = (D + 2) I. No flux leaves q = r² h, h normal of variance w = v (1 + 2/D), and E r² = (D + 2) w.
    """
    model = GaussianModel(torch.zeros(size), torch.full((size,), 0.25), VPSDE())
    count = 4000
    x = model.prior(torch.Generator().manual_seed(0), count, dtype=torch.float64)
    options = {"steps": 1, "snr": 0.1, "corrector_steps": 400}
    spread = {}
    for key, extra in {"own": {}, "annealed": {"dynamics": "annealed"}, "batch": {"control": "batch"}}.items():
        solver = solvers["pc"](**options, **extra)
        out = solver.solve(model, x, start=0.9 + 1e-9, stop=0.9, generator=torch.Generator().manual_seed(1))
        spread[key] = float(out.std() / model.marginal(0.9)[1][0, 0].sqrt())
    assert spread["own"] == pytest.approx(1 + 2 / size, rel=0.03)
    assert spread["annealed"] == pytest.approx(1, rel=0.03)
    assert spread["batch"] == pytest.approx(1, rel=0.03)


@pytest.mark.parametrize(
    ("text", "size", "advice"),
    [
        ("pc:steps=2", 2, "take pc with dynamics=annealed or control=batch"),
        ("euler:steps=2,final_corrector=0.16", 2, "leave final_corrector out"),
        ("pc:steps=2", 40, ""),
        ("euler:steps=2,final_corrector=0.16", 8, ""),
        ("pc:steps=2,dynamics=annealed", 2, ""),
        ("pc:steps=2,control=batch", 2, ""),
        ("pc:steps=2,corrector_steps=0", 2, ""),
        ("euler:steps=2", 2, ""),
    ],
)
def test_few_values_are_named_once(text, size, advice, caplog):
    warn_of_few.cache_clear()
    model = GaussianModel(torch.zeros(size), torch.ones(size), VPSDE())
    for _ in range(2):
        solvers.parse(text).solve(model, model.prior(2), start=1.0, stop=0.1)
    assert [record.message.split(": ")[-1] for record in caplog.records] == [advice] * bool(advice)
