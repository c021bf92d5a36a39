"""Work against precision on analytic problems: the error of every solver at given numbers of evaluations.

    python benchmarks/solvers.py --problem gm192 --out benchmarks/results/solvers-gm192.md

The truth is SciPy's DOP853 at 1e-12 in another variable. The same noise goes through every solver in float64, from
t = 1 to t = 1e-3, without the final denoising; diffusers' schedulers, in float32, go between the ends of their own
chain, with the score at exactly their noise levels, and are measured against the truth between those. Errors are root
mean squares over the values of a sample: their median over the samples, and their root mean square over the samples,
which one sample that ends in another mode dominates.
"""

import json
import time
from pathlib import Path

import click
import torch
from torch import Tensor

from scoresde.bench.figures import Point, curves, render
from scoresde.bench.problems import PROBLEMS, problem, reference
from scoresde.core import files
from scoresde.core.provenance import versions
from scoresde.core.random import generators
from scoresde.models.base import ObservedModel
from scoresde.models.evaluations import Evaluations
from scoresde.models.gaussian import GaussianMixtureModel
from scoresde.solvers import AdaptiveSolver, GridSolver, Solver, solvers

BUDGETS = (5, 10, 15, 20, 30, 50, 100)
TOLERANCES = (1e-1, 3e-2, 1e-2, 3e-3, 1e-3, 3e-4, 1e-4, 1e-5)
VARIANTS: dict[str, list[dict[str, object]]] = {
    "unipc": [
        {"prediction": "noise"},
        {"prediction": "noise", "lower_order_final": True},
        {"prediction": "noise", "order": 2, "lower_order_final": True},
    ],
    "eab": [{"order": 2}, {"order": 4, "grid": "karras:rho=7"}],
    "deis": [{"grid": "logsnr"}],
    "ipndm": [{"grid": "karras:rho=7"}],
    "rk45": [{"controller": "pi"}],
    "rk23": [{"controller": "pi"}],
}
"""Options besides each solver's own examples: published details whose price the tables show."""
PEERS: dict[str, tuple[str, dict[str, object]]] = {
    "diffusers DDIM": ("DDIMScheduler", {"clip_sample": False, "set_alpha_to_one": False}),
    "diffusers DPM-Solver++ 2M": ("DPMSolverMultistepScheduler", {}),
    "diffusers DPM-Solver++ 2M, exponential": ("DPMSolverMultistepScheduler", {"use_exponential_sigmas": True}),
    "diffusers UniPC-3": ("UniPCMultistepScheduler", {"solver_order": 3}),
    "diffusers UniPC-3, exponential": (
        "UniPCMultistepScheduler",
        {"solver_order": 3, "use_exponential_sigmas": True},
    ),
}
PLOTTED = ("euler", "heun", "dpm++", "deis", "unipc prediction=noise", "eab order=4", "adams", "dpm", "rk45")
PLOTTED += ("scipy method=DOP853",)
SAMPLES = {"gm2": 256, "gm192": 64}
STOP = 1e-3


def measure(solver: Solver, model: GaussianMixtureModel, x: Tensor, truth: Tensor) -> dict[str, object]:
    count, info = Evaluations(), dict[str, float]()
    began = time.perf_counter()
    found = solver.solve(ObservedModel(model, count), x, start=1.0, stop=STOP, info=info)
    error = (found - truth).flatten(1).square().mean(1).sqrt()
    own = info["steps"] + info["rejected"] if "rejected" in info else None
    return {
        "solver": solver.name,
        "options": {k: v for k, v in solver.model_dump().items() if k in type(solver).model_fields},
        "nfe": count.calls,
        "steps per sample": own,
        "median": float(error.median()),
        "rms": float(error.square().mean().sqrt()),
        "seconds": round(time.perf_counter() - began, 3),
    }


def fixed(cls: type[Solver], model: GaussianMixtureModel, x: Tensor, truth: Tensor) -> list[dict[str, object]]:
    """Every example of a fixed-grid solver at every budget, with as many steps as the budget allows."""
    rows = []
    for options in ({}, *cls.examples, *VARIANTS.get(cls.name, ())):
        if cls(**options).noisy:
            continue
        per_step = Evaluations()
        cls(steps=2, **options).solve(ObservedModel(model, per_step), x[:1], start=1.0, stop=STOP)
        for budget in BUDGETS:
            steps = max(1, budget // max(1, per_step.calls // 2))
            rows.append({**measure(cls(steps=steps, **options), model, x, truth), "budget": budget})
    return rows


def adaptive(cls: type[Solver], model: GaussianMixtureModel, x: Tensor, truth: Tensor) -> list[dict[str, object]]:
    """Every example of an adaptive solver at every tolerance, with one number for both."""
    return [
        {**measure(cls(tol=tol, atol=tol, **options), model, x, truth), "tol": tol}
        for options in ({}, *cls.examples, *VARIANTS.get(cls.name, ()))
        for tol in TOLERANCES
    ]


def peers(model: GaussianMixtureModel, x: Tensor) -> list[dict[str, object]]:
    """diffusers' schedulers at every budget."""
    import diffusers

    rows: list[dict[str, object]] = []
    truths: dict[tuple[float, float], Tensor] = {}
    for label, (name, options) in PEERS.items():
        for budget in BUDGETS:
            if name != "DDIMScheduler":
                options = {**options, "final_sigmas_type": "sigma_min"}
            scheduler = getattr(diffusers, name)(**options)
            scheduler.set_timesteps(budget)
            if name == "DDIMScheduler":  # it goes on to the first level of its chain after the last evaluation
                alphas = scheduler.alphas_cumprod.double()
                at = torch.cat([alphas[scheduler.timesteps], alphas[:1]])
                log_snr = 0.5 * (at / (1 - at)).log()
            else:
                log_snr = -scheduler.sigmas.double().log()
            times = model.sde.time(log_snr)
            ends = float(times[0]), float(times[-1])
            if ends not in truths:
                truths[ends] = reference(model, x, start=ends[0], stop=ends[1])
            state = x.float()
            for t, now in zip(scheduler.timesteps, times, strict=False):
                eps = model.eps(state.double(), now.expand(len(x))).float()
                state = scheduler.step(eps, t, state).prev_sample
            error = (state.double() - truths[ends]).flatten(1).square().mean(1).sqrt()
            figures = {"median": float(error.median()), "rms": float(error.square().mean().sqrt())}
            rows.append({"peer": label, "nfe": len(scheduler.timesteps), **figures, "budget": budget})
    return rows


def plot(rows: list[dict[str, object]], name: str) -> bytes:
    """Median error against evaluations: what a batch of the adaptive solvers spends, and what the grids were given."""
    series: dict[str, list[Point]] = {title: [] for title in (*PLOTTED, "diffusers UniPC-3, exponential")}
    for row in rows:
        if label(row) in series:
            series[label(row)].append(Point(float(str(row["nfe"])), float(str(row["median"]))))
    return render(curves(series, "evaluations", f"median error on {name}", log_y=True))


def label(row: dict[str, object]) -> str:
    if "peer" in row:
        return str(row["peer"])
    defaults = solvers[str(row["solver"])]().model_dump()
    own = {k: v for k, v in row["options"].items() if k not in ("steps", "tol", "atol") and v != defaults[k]}
    return " ".join([str(row["solver"]), *(f"{k}={v}" for k, v in own.items())])


def tables(rows: list[dict[str, object]]) -> str:
    """Two tables: median error at each budget, and (evaluations: median error) at each tolerance."""
    lines = ["| fixed grid, median error at NFE | " + " | ".join(map(str, BUDGETS)) + " |"]
    lines.append("|---|" + "---|" * len(BUDGETS))
    grids: dict[str, list[str]] = {}
    steps: dict[str, list[str]] = {}
    for row in rows:
        if "budget" in row:
            mark = "" if row["nfe"] == row["budget"] else f" ({row['nfe']})"
            grids.setdefault(label(row), []).append(f"{row['median']:.1e}{mark}")
        else:
            own = row["steps per sample"]
            spent = f"{row['nfe']}" if own is None else f"{own:.0f} / {row['nfe']}"
            steps.setdefault(label(row), []).append(f"{spent}: {row['median']:.1e}")
    lines += [f"| {name} | " + " | ".join(cells) + " |" for name, cells in grids.items()]
    lines += ["", "| adaptive, steps tried per sample / NFE of the batch: median error at tol | "
              + " | ".join(f"{tol:g}" for tol in TOLERANCES) + " |"]  # fmt: skip
    lines.append("|---|" + "---|" * len(TOLERANCES))
    lines += [f"| {name} | " + " | ".join(cells) + " |" for name, cells in steps.items()]
    return "\n".join(lines)


@click.command(help=__doc__)
@click.option("--problem", "name", type=click.Choice(sorted(PROBLEMS)), default="gm192", show_default=True)
@click.option("--only", multiple=True, help="A solver; all by default. Can be given several times.")
@click.option("--out", type=click.Path(path_type=Path), help="Also write the table there, and the rows beside it.")
def main(name: str, only: tuple[str, ...], out: Path | None) -> None:
    torch.set_num_threads(1)
    model = problem(name)
    x = model.prior(generators([1])[0], SAMPLES[name], dtype=torch.float64)
    truth = reference(model, x, start=1.0, stop=STOP)
    rows: list[dict[str, object]] = []
    for cls in solvers.all().values():
        if (only and cls.name not in only) or cls.stochastic:
            continue
        if issubclass(cls, GridSolver):
            rows += fixed(cls, model, x, truth)
        elif issubclass(cls, AdaptiveSolver):
            rows += adaptive(cls, model, x, truth)
        click.echo(cls.name, err=True)
    if not only:
        rows += peers(model, x)
    text = tables(rows)
    click.echo(text)
    if out:
        environment = ", ".join(f"{key} {value}" for key, value in versions()["versions"].items())
        head = [
            f"# Work and precision on {name}",
            f"{SAMPLES[name]} samples, seed 1, float64, one thread, {environment}.",
        ]
        files.write_text(out, "\n\n".join([*head, " ".join(__doc__.split("\n\n")[2].split()), text]) + "\n")
        out.with_suffix(".svg").write_bytes(plot(rows, name))
        files.write_text(out.with_suffix(".jsonl"), "".join(json.dumps(row, default=str) + "\n" for row in rows))


if __name__ == "__main__":
    main()
