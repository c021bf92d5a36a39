"""Time grids: exact ends, strict order, the map each claims, and a text that survives."""

import inspect
import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from processes import process

from scoresde.core.errors import UsageError
from scoresde.core.options import table
from scoresde.sde import VPSDE, sdes
from scoresde.solvers import solvers
from scoresde.solvers.grids import ListedGrid, grids

RULES = {name: cls() for name, cls in grids.all().items() if name != "list"}


@pytest.mark.parametrize("name", RULES)
@settings(max_examples=60, deadline=None, derandomize=True)
@given(data=st.data())
def test_ends_are_exact_and_order_is_strict(name, data):
    sde = process(data.draw(st.sampled_from(sorted(sdes.all()))))
    stop = data.draw(st.floats(1e-5, 0.5))
    steps = data.draw(st.integers(1, 300))
    for start, end in ((sde.t_max, stop), (stop, sde.t_max)):
        times = RULES[name].times(sde, start, end, steps)
        assert (len(times), times[0], times[-1]) == (steps + 1, start, end)
        sign = 1 if end > start else -1
        assert all((b - a) * sign > 0 for a, b in zip(times, times[1:], strict=False))


@pytest.mark.parametrize(
    ("text", "even"),
    [
        ("time", lambda sde, t: t),
        ("quadratic", lambda sde, t: t.sqrt()),
        ("logsnr", lambda sde, t: (sde.alpha(t) / sde.sigma(t)).log()),
        ("karras", lambda sde, t: (sde.sigma(t) / sde.alpha(t)) ** (1 / 7)),
        ("karras:rho=3", lambda sde, t: (sde.sigma(t) / sde.alpha(t)) ** (1 / 3)),
        ("cosine", lambda sde, t: torch.atan2(sde.sigma(t), sde.alpha(t))),
    ],
)
def test_a_grid_is_even_where_it_says(text, even):
    sde = VPSDE()
    gaps = even(sde, torch.tensor(grids.parse(text).times(sde, 1.0, 1e-3, 50), dtype=torch.float64)).diff()
    assert torch.allclose(gaps, gaps[0].expand(50), rtol=1e-7)


def test_karras_is_the_papers_formula():
    """σ_i = (σ_max^(1/ρ) + i/N (σ_min^(1/ρ) - σ_max^(1/ρ)))^ρ, in the variance-exploding frame."""
    sde = sdes["ve"]()
    times = torch.tensor(grids.parse("karras").times(sde, 1.0, 1e-5, 18), dtype=torch.float64)
    low, high = sde.sigma(times[-1:]).item(), sde.sigma(times[:1]).item()
    expected = [(high ** (1 / 7) + i / 18 * (low ** (1 / 7) - high ** (1 / 7))) ** 7 for i in range(19)]
    assert sde.sigma(times).tolist() == pytest.approx(expected, rel=1e-10)


def test_texts():
    for text in ("karras:rho=5.0", "logsnr", "list:at=0.7/0.3", "list:at=0.5"):
        assert str(grids.parse(text)) == text
        solver = solvers["euler"](steps=3, grid=text)
        assert solvers.build(table(solver)) == solver and table(solver)["grid"] == text
    assert grids.parse("list:at=0.7/0.3") == ListedGrid(at=(0.7, 0.3))
    for text, message in (
        ("karas", "Did you mean 'karras'"),
        ("karras:7", "written as name:key=value"),
        ("karras:rho=-1", "rho must be greater than 0"),
        ("karras:roh=1", "roh is not an option of karras. Did you mean 'rho'"),
    ):
        with pytest.raises(UsageError, match=message):
            solvers["euler"](grid=text)
    assert solvers["euler"](grid={"name": "list", "at": [0.7, 0.3]}).grid == ListedGrid(at=(0.7, 0.3))
    for wrong in ({}, {"rho": 5}, {"name": "karras", "self": 1}):
        with pytest.raises(UsageError):
            solvers["euler"](grid=wrong)
    assert solvers["euler"](grid=grids["karras"]) == solvers["euler"](grid="karras")
    with pytest.raises(UsageError, match="a grid is a name such as 'chain', an object or its class, got"):
        solvers["euler"](grid=[0.7, 0.3])
    with pytest.raises(UsageError, match="a controller is a name such as 'i', an object or its class, got 3"):
        solvers["rk45"](controller=3)
    assert "karras" not in str(inspect.signature(solvers["euler"]))  # the registry with all grids, on eight lines
    grid = ListedGrid(at=(0.7, 0.3))
    with pytest.raises(UsageError, match="a grid of 2 steps lists 1 between its ends, got 2"):
        grid.times(VPSDE(), 1.0, 1e-3, 2)
    with pytest.raises(UsageError, match="must run from 1 to 0.5"):
        grid.times(VPSDE(), 1.0, 0.5, 3)
    assert grid.times(VPSDE(), 1.0, 1e-3, 3) == [1.0, 0.7, 0.3, 1e-3] and math.isfinite(grid.at[0])
