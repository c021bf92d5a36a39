"""Which method and grid end nearest to the converged flow in 3 to 30 steps of one evaluation each.

    OMP_NUM_THREADS=1 python benchmarks/few_steps.py --out benchmarks/results/few-steps.md

Each row that is measured goes into a file beside the table, and is not measured again; the converged ends are kept in
`--cache`. `--problem` measures one problem alone, `--only` a method on a grid, `--steps` some numbers of steps, and
`--problem none` writes the table from the rows that are there.
"""

import bisect
import itertools
import math
import re
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import click
import torch
from safetensors.torch import load_file
from short import Rows, write
from torch import Tensor

import scoresde
from scoresde.bench.problems import PROBLEMS, problem
from scoresde.core.files import write_tensors
from scoresde.core.options import table
from scoresde.core.random import generators
from scoresde.models.base import ObservedModel, Observer, ScoreModel, WrapperModel
from scoresde.models.output import Output
from scoresde.sampling.sample import sample
from scoresde.sampling.value_range import FAR, beyond
from scoresde.solvers import solvers
from scoresde.solvers.few_steps import kind_of, of_steps

COUNTS = {"digits": 16, "photos": 16, "cifar10": 8, "gm192": 32, "gm2": 64}
"""Noises, whose seeds are 0, 1, ..."""
CONVERGED = {"digits": "unipc:steps=400", "photos": "eab:steps=200", "cifar10": "eab:steps=150"}
CONVERGED |= dict.fromkeys(PROBLEMS, "unipc:steps=800")
"""What stands for the converged flow."""
STEPS = (3, 4, 5, 6, 7, 8, 10, 12, 15, 20, 25, 30)
SCREEN = (3, 4, 6, 10, 20, 30)
"""Where every method is measured on the first two grids, and on the others unless it was beaten at the one before."""
BEATEN, KEPT = 2.0, 1.4
"""Times the best error from which a method counts as beaten; up to which it is measured between the screened steps."""
GRIDS = ("logsnr", "quadratic", "karras", "karras:rho=3", "cosine", "time")
METHODS = ["eab:order=2", "eab:order=3", "eab:order=4", "eab:order=2,prediction=data", "eab:order=3,prediction=data"]
METHODS += ["unipc:order=2", "unipc:order=3", "unipc:order=2,prediction=noise", "unipc:order=3,prediction=noise"]
METHODS += ["dpm++:order=2", "dpm++:order=3", "dpm-multi:order=2", "deis:order=2", "deis:order=3", "deis:order=4"]
METHODS += ["ipndm:order=2", "ipndm:order=3", "ipndm:order=4"]
UNSTABLE = ["unipc:order=3,prediction=noise", "unipc:order=3,prediction=noise,corrector=false", "unipc:order=3"]
RANGE = ("unipc:steps=5,prediction=noise", "unipc:steps=10,prediction=noise", "unipc:steps=5", "euler:steps=5")
"""Solvers whose samples show whether the warning of `sampling/value_range.py` is right, besides the chosen ones."""
SCREENED = ("digits", "gm192", "gm2")
"""Problems that are cheap enough for every method; of the others those are measured that `--only` names."""
ABOUT = """\
The same noises go through every solver from the end of the process to its beginning, with the final denoising, which
counts for all alike: N steps are N + 1 evaluations. Errors are root mean square distances of a sample from where the
converged flow ends, over the values of the sample; the table has their median over the noises. A grid is named where it
is not the solver's own, and F is `lower_order_final`. *chosen* is the solver that `sample --steps N` takes, *ratio* its
median over that of the best, *euler* that of `euler` on its own grid. *beyond* is the share of the values of the chosen
solver's samples beyond ±1.05, and in the line "flow" that of the converged ends. Its error is the distance of the
converged ends from those in half as many steps."""


class Remembering(WrapperModel):
    """A model that evaluates a state once: methods on one grid share their first steps, and more with the final ones.

    States are the same within 1e-5, which is far below every error that is measured.
    """

    def __init__(self, model: ScoreModel) -> None:
        super().__init__(model)
        self.seen: dict[float, list[tuple[Tensor, Output]]] = {}

    def evaluate(self, x: Tensor, t: Tensor, classes: Tensor | None = None) -> Output:
        there = self.seen.setdefault(round(float(t[0]), 9), [])
        for before, out in there:
            if float((before - x).abs().max()) < 1e-5:
                return out
        there.append((x.clone(), self.model.evaluate(x, t, classes)))
        return there[-1][1]

    def observed(self, *observers: Observer) -> ScoreModel:
        return ObservedModel(self, *observers)  # which count what the solver asks for


def model_of(name: str) -> ScoreModel:
    return problem(name) if name in PROBLEMS else scoresde.load(name)


def noises(name: str, model: ScoreModel) -> Tensor:
    dtype = torch.float64 if name in PROBLEMS else torch.float32
    return model.prior(generators(range(COUNTS[name])), dtype=dtype)


def converged(name: str, model: ScoreModel, cache: Path) -> dict[str, Tensor]:
    """Where the flow ends, and where half as many steps end."""
    path = cache / f"{name}-{COUNTS[name]}-{CONVERGED[name].replace(':', '-')}.safetensors"
    if not path.exists():
        x, exact = noises(name, model).double(), solvers.parse(CONVERGED[name])
        half = solvers.build({**table(exact), "steps": exact.steps // 2})
        cache.mkdir(parents=True, exist_ok=True)
        write_tensors(path, {"end": sample(model, exact, x).x, "half": sample(model, half, x).x})
    return load_file(path)


def figures(found: Tensor, truth: Tensor) -> dict[str, float]:
    error = (found.double() - truth).flatten(1).square().mean(1).sqrt()
    values = {
        "median": error.median(),
        "mean": error.mean(),
        "beyond": (found.abs() > 1.05).double().mean(),
        "most": found.abs().max(),
    }
    return {name: float(f"{float(value):.4g}") for name, value in values.items()}


def measure(solver: str, model: ScoreModel, x: Tensor, truth: Tensor) -> dict[str, Any]:
    found = sample(model, solver, x)
    return {"solver": solver, "nfe": found.nfe, **figures(found.x, truth)}


def written(method: str, grid: str, final: bool, steps: int) -> str:
    """The text of a solver with that many evaluations, before the final denoising."""
    name, _, options = method.partition(":")
    budget = {"dpm-fast": f"nfe={steps}", "heun": f"steps={steps // 2}"}.get(name, f"steps={steps}")
    parts = [*filter(None, [options]), f"grid={grid}", *(["lower_order_final=true"] if final else []), budget]
    return str(solvers.parse(f"{name}:{','.join(parts)}"))


def choices(steps: int) -> Iterator[tuple[str, str, bool]]:
    """Every method on every grid, but for those that take the same steps as one of lower order."""
    for grid in GRIDS:
        seen: set[tuple[str, ...]] = set()
        for method, final in itertools.product([*METHODS, UNSTABLE[1]], (False, True)):
            orders = solvers.parse(written(method, grid, final, steps)).step_orders(steps)
            same = re.sub(r"order=\d,?", "", method), *map(str, orders)
            if same not in seen:
                yield method, grid, final
            seen.add(same)
        yield "euler", grid, False
    for grid in GRIDS[:2]:
        yield "dpm-fast", grid, False
        if steps % 2 == 0:
            yield "heun", grid, False


def within(rows: Rows, name: str, steps: int, factor: float) -> set[tuple[str, str, bool]]:
    """What was within that factor of the best at that number of steps."""
    found = rows.found(problem=name, noises=COUNTS[name], steps=steps)
    best = min((row["median"] for row in found), default=math.inf)
    return {(row["method"], row["grid"], row["final"]) for row in found if row["median"] <= factor * best}


def wanted(rows: Rows, name: str, steps: int, only: Sequence[str]) -> Iterator[tuple[str, str, bool]]:
    """What is measured at that number of steps."""
    place = bisect.bisect_left(SCREEN, steps)
    before = within(rows, name, SCREEN[place - 1], BEATEN) if place else set()
    beside = before if steps in SCREEN else within(rows, name, SCREEN[place - 1], KEPT)
    beside = beside if steps in SCREEN else beside | within(rows, name, SCREEN[place], KEPT)
    for method, grid, final in choices(steps):
        if only:
            if named(method, grid, final) in only:
                yield method, grid, final
        elif name in SCREENED and (
            (steps in SCREEN and (place == 0 or grid in GRIDS[:2]))
            or (method, grid, final) in beside
            or (method == "euler" and grid in GRIDS[:2])
        ):
            yield method, grid, final


def named(method: str, grid: str, final: bool) -> str:
    return f"{method} {grid}{' F' * final}"


def fill(rows: Rows, name: str, cache: Path, only: Sequence[str], numbers: Sequence[int]) -> None:
    """Measures the rows of a problem that are not there."""
    model = Remembering(model_of(name))
    x, truth = noises(name, model), converged(name, model.model, cache)
    own = {"problem": name, "noises": COUNTS[name]}
    rows.measure({**own, "steps": 0}, lambda: {**figures(truth["half"], truth["end"]), **ends(truth["end"])})
    for steps in numbers or (*SCREEN, *(n for n in STEPS if n not in SCREEN)):
        model.seen.clear()
        for method, grid, final in list(wanted(rows, name, steps, only)):
            key = {**own, "steps": steps, "method": method, "grid": grid, "final": final}
            solver = written(method, grid, final, steps)
            rows.measure(key, partial(measure, solver, model, x, truth["end"]))


def ranges(rows: Rows, name: str, cache: Path) -> None:
    """How far samples leave the range of pictures."""
    model = model_of(name)
    x, end = noises(name, model), converged(name, model, cache)["end"]
    for solver in ("flow", *(str(of_steps(n, kind_of(model))) for n in (3, 5, 10)), *RANGE):

        def far(solver: str = solver) -> dict[str, Any]:
            distance = beyond(end if solver == "flow" else sample(model, solver, x).x).double()
            named = float((distance > FAR).double().mean())
            return {"mean": float(distance.mean()), "most": float(distance.max()), "far": named}

        rows.measure({"problem": name, "noises": COUNTS[name], "range": solver}, far)


def ends(truth: Tensor) -> dict[str, float]:
    """What is said of the converged ends themselves."""
    return {name: value for name, value in figures(truth, truth).items() if name in ("beyond", "most")}


def tables(rows: Rows) -> Iterator[str]:
    for name, count in COUNTS.items():
        kind = kind_of(model_of(name))
        here = [row for row in rows.found(problem=name, noises=count) if row.get("steps")]
        (flow,) = rows.found(problem=name, noises=count, steps=0)
        yield from ["", f"## {name}, {count} noises, a {kind}", ""]
        yield "| steps | best | median | chosen | median | mean | ratio | euler | beyond | measured |"
        yield "|---" * 10 + "|"
        for steps in STEPS:
            found = {row["solver"]: row for row in here if row["steps"] == steps}
            if not found:
                continue
            best = min(found.values(), key=lambda row: row["median"])
            mine, euler = found[str(of_steps(steps, kind))], found[f"euler:steps={steps}"]["median"]
            yield (
                f"| {steps} | {named(best['method'], best['grid'], best['final'])} | {best['median']:.3g} "
                f"| {named(mine['method'], mine['grid'], mine['final'])} | {mine['median']:.3g} | {mine['mean']:.3g} "
                f"| {mine['median'] / best['median']:.2f} | {euler:.3g} "
                f"| {mine['beyond']:.3g} | {len(found)} |"
            )
        end = f"{flow['median']:.2g} | | | {flow['mean']:.2g} | | | {flow['beyond']:.3g} | |"
        yield f"| flow | {CONVERGED[name]} | {end}"
    yield from ["", "## `unipc` on digits, logsnr: median, and share of values beyond ±1.05", ""]
    yield "| steps | " + " | ".join(UNSTABLE) + " |"
    yield "|---" * (1 + len(UNSTABLE)) + "|"
    for steps in (4, 6, 10, 20):
        key = {"problem": "digits", "noises": COUNTS["digits"], "steps": steps, "grid": "logsnr", "final": False}
        cells = [rows.found(**key, method=method)[0] for method in UNSTABLE]
        yield f"| {steps} | " + " | ".join(f"{row['median']:.3g}, {row['beyond']:.2g}" for row in cells) + " |"
    yield from ["", f"## The range of pictures: rms distance from [-1, 1], and the share of samples above {FAR}", ""]
    yield "| model | solver | mean | most | share |"
    yield "|---" * 5 + "|"
    for row in (row for row in rows.rows if "range" in row):
        cells = f"{row['mean']:.2g} | {row['most']:.2g} | {row['far']:.2f}"
        yield f"| {row['problem']} | {row['range']} | {cells} |"


@click.command(help=__doc__)
@click.option("--problem", "names", multiple=True, default=list(COUNTS), show_default=True)
@click.option("--only", multiple=True, metavar="METHOD GRID [F]", help="As in the table. Can be given several times.")
@click.option("--steps", "numbers", type=int, multiple=True, help="Can be given several times.")
@click.option("--cache", type=click.Path(path_type=Path), default=Path("few-steps"), show_default=True)
@click.option("--out", type=click.Path(path_type=Path), default=Path("few-steps.md"), show_default=True)
def main(names: Sequence[str], only: Sequence[str], numbers: Sequence[int], cache: Path, out: Path) -> None:
    torch.set_num_threads(1)
    rows = Rows(out.with_suffix(".jsonl"))
    for name in (name for name in names if name in COUNTS):
        fill(rows, name, cache, only, numbers)
        if name not in PROBLEMS:
            ranges(rows, name, cache)
    command = "python benchmarks/few_steps.py --out benchmarks/results/few-steps.md"
    write(out, "Few steps: which method and grid", command, ABOUT, tables(rows))


if __name__ == "__main__":
    main()
