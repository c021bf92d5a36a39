"""The solver for a number of steps is the one that the committed measurements put first."""

import json
from functools import cache
from pathlib import Path

import pytest
import torch

import scoresde
from scoresde.core.errors import UsageError
from scoresde.sampling.sample import sample
from scoresde.sde import VPSDE
from scoresde.solvers import solvers
from scoresde.solvers.few_steps import CHOSEN, LARGE, kind_of, of_steps

ROWS = Path(__file__).parents[2] / "benchmarks" / "results" / "few-steps.jsonl"
MEASURED = {"small network": ("digits", "photos"), "large network": ("cifar10",), "closed form": ("gm192",)}
NUMBERS = (3, 4, 5, 6, 7, 8, 10, 12, 15, 20, 25, 30)


@cache
def medians(problem, steps):
    """The median error of each solver that was measured, by its text; those of most noises count."""
    rows = [json.loads(line) for line in ROWS.read_text(encoding="utf-8").splitlines()]
    rows = [row for row in rows if (row["problem"], row.get("steps")) == (problem, steps)]
    most = max(row["noises"] for row in rows)
    return {row["solver"]: row["median"] for row in rows if row["noises"] == most}


@pytest.mark.parametrize("steps", NUMBERS)
@pytest.mark.parametrize("kind", MEASURED)
def test_it_is_within_a_tenth_of_the_best(kind, steps):
    """Where a kind was measured on two models, of the best compromise: the one whose larger ratio is the smallest."""
    found = [medians(problem, steps) for problem in MEASURED[kind]]
    both = set(found[0]).intersection(*found[1:])
    worst = {solver: max(each[solver] / min(each.values()) for each in found) for solver in both}
    assert worst[str(of_steps(steps, kind))] <= 1.1 * min(worst.values()), min(worst, key=worst.get)


@pytest.mark.parametrize("steps", NUMBERS)
@pytest.mark.parametrize("kind", CHOSEN)
def test_it_is_never_worse_than_euler_nor_far_from_the_best(kind, steps):
    for problem in MEASURED[kind]:
        found, chosen = medians(problem, steps), str(of_steps(steps, kind))
        assert found[chosen] < found[str(solvers["euler"](steps=steps))]
        assert found[chosen] <= 1.55 * min(found.values())
    if kind == "closed form":
        found = medians("gm2", steps)
        assert found[chosen] < found[str(solvers["euler"](steps=steps))]


@pytest.mark.parametrize(("kind", "name"), [(kind, name) for kind in MEASURED for name in MEASURED[kind]])
def test_the_kind_of_what_was_measured(kind, name, mixture):
    model = mixture if kind == "closed form" else scoresde.load(name)
    assert kind_of(model) == kind_of(scoresde.ClippedModel(model)) == kind


def test_a_network_counts_as_large_from_a_number_of_parameters_on():
    for size, kind in ((LARGE - 1, "small network"), (LARGE, "large network")):
        net = torch.nn.ParameterList([torch.empty(size)])
        assert kind_of(scoresde.NetworkModel(net, VPSDE(), (1, 4, 4))) == kind


@pytest.mark.parametrize("kind", CHOSEN)
def test_every_number_of_steps_has_a_solver_of_one_evaluation_each(kind, gaussian):
    """Beyond the last number that was measured it is the last solver; between two, that of the lower one."""
    for steps in (1, 2, 3, 9, 11, 31):
        solver = of_steps(steps, kind)
        assert solver.steps == steps and not solver.noisy
        assert sample(gaussian, solver, gaussian.prior(range(2))).nfe == steps + 1
    first = list(CHOSEN[kind])
    assert first == sorted(first) and first[0] == 1
    for low, high in zip(first, [*first[1:], 1000], strict=True):
        same = of_steps(low, kind)
        assert of_steps(high - 1, kind) == type(same)(**{**same.model_dump(), "steps": high - 1})


@pytest.mark.parametrize("steps", [0, -1, 2.5, "many", 10_000_000])
def test_a_number_that_is_none_is_refused(steps):
    with pytest.raises(UsageError, match="steps must be"):
        of_steps(steps, "small network")
