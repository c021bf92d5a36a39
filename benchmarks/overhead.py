"""Overhead: the time of a solver beyond the network's own, per evaluation, beside diffusers, torchdiffeq and SciPy.

    python benchmarks/overhead.py --out benchmarks/results/overhead.md

The network is 0.9 x, so that nearly all of the time is the solver's. Each figure is the processor time of one thread
for a run of 20 steps, less that of as many bare calls of the network, over the evaluations: the least of all rounds, in
which every solver has its turn. Fixed costs of a run are in it.
"""

import time
from collections.abc import Callable
from pathlib import Path

import click
import numpy as np
import scipy.integrate
import torch
from torch import Tensor

from scoresde.core import files
from scoresde.core.provenance import versions
from scoresde.core.random import stream
from scoresde.models.base import ScoreModel
from scoresde.models.output import Output
from scoresde.sde import VPSDE
from scoresde.solvers import solvers

SHAPES = {"1x3x32x32": (1, 3, 32, 32), "64x3x32x32": (64, 3, 32, 32)}
STEPS = 20
OURS: dict[str, dict[str, object]] = {
    "euler": {"steps": STEPS},
    "dpm++": {"steps": STEPS},
    "dpm-multi": {"steps": STEPS},
    "unipc": {"steps": STEPS},
    "eab": {"steps": STEPS, "order": 4},
    "heun": {"steps": STEPS // 2},
    "dpm-single": {"steps": STEPS // 2, "order": 2},
    "adams": {"tol": 1e-2},
    "dpm": {"tol": 1e-2},
    "rk45": {"tol": 1e-3},
}
Run = Callable[[Tensor], int]
"""Solves from the noise and returns the number of evaluations."""


class Trivial(ScoreModel):
    """Predicts 0.9 x, and counts."""

    def __init__(self) -> None:
        super().__init__()
        self.sde, self.shape, self.calls = VPSDE(), (3, 32, 32), 0

    def evaluate(self, x: Tensor, t: Tensor, classes: Tensor | None = None) -> Output:
        self.calls += 1
        return Output(0.9 * x)


def ours(name: str) -> Run:
    solver, model = solvers[name](**OURS[name]), Trivial()

    def run(x: Tensor) -> int:
        model.calls = 0
        solver.solve(model, x, start=1.0, stop=1e-3)
        return model.calls

    return run


def diffusers_scheduler(name: str, **options: object) -> Run:
    import diffusers

    scheduler = getattr(diffusers, name)(**options)

    def run(x: Tensor) -> int:
        scheduler.set_timesteps(STEPS)
        for t in scheduler.timesteps:
            x = scheduler.step(0.9 * scheduler.scale_model_input(x, t), t, x).prev_sample
        return len(scheduler.timesteps)

    return run


def torchdiffeq_dopri5(x: Tensor) -> int:
    import torchdiffeq

    model = Trivial()

    def velocity(t: Tensor, x: Tensor) -> Tensor:
        return model.velocity(x, t.expand(len(x)))

    span = torch.tensor([1.0, 1e-3], dtype=torch.float64)
    torchdiffeq.odeint(velocity, x, span, rtol=1e-3, atol=1e-3, method="dopri5", options={"step_t": span[1:]})
    return model.calls


def scipy_rk45(x: Tensor) -> int:
    """As score_sde calls it: the flattened batch in float64, the network in float32."""
    model = Trivial()

    def velocity(t: float, y: np.ndarray) -> np.ndarray:
        state = torch.from_numpy(y.reshape(x.shape)).to(torch.float32)
        return model.velocity(state, torch.full((len(x),), t)).numpy().reshape(-1)

    scipy.integrate.solve_ivp(velocity, (1.0, 1e-3), x.numpy().reshape(-1), rtol=1e-3, atol=1e-3, method="RK45")
    return model.calls


def contestants() -> dict[str, Run]:
    runs = {" ".join([name, *(f"{k}={v}" for k, v in OURS[name].items() if k != "steps")]): ours(name) for name in OURS}
    for name, options in {
        "DDIMScheduler": {"clip_sample": False},
        "DPMSolverMultistepScheduler": {},
        "UniPCMultistepScheduler": {"solver_order": 3},
        "DEISMultistepScheduler": {},
    }.items():
        runs[f"diffusers {name}"] = diffusers_scheduler(name, **options)
    return runs | {"torchdiffeq dopri5 tol=0.001": torchdiffeq_dopri5, "SciPy RK45 tol=0.001": scipy_rk45}


def measure(runs: dict[str, Run], x: Tensor, rounds: int) -> dict[str, float]:
    """Microseconds per evaluation beyond the bare network."""
    least: dict[str, float] = {}
    for _ in range(rounds):
        for name, run in runs.items():
            began = time.process_time()
            calls = run(x)
            spent = time.process_time() - began
            began = time.process_time()
            for _ in range(calls):
                0.9 * x
            bare = time.process_time() - began
            least[name] = min(least.get(name, np.inf), 1e6 * (spent - bare) / calls)
    return least


@click.command(help=__doc__)
@click.option("--rounds", default=30, show_default=True)
@click.option("--out", type=click.Path(path_type=Path), help="Also write the table there.")
@torch.no_grad()
def main(rounds: int, out: Path | None) -> None:
    torch.set_num_threads(1)
    runs = contestants()
    results = {}
    for label, shape in SHAPES.items():
        x = torch.randn(shape, generator=stream(0, "overhead"))
        measure(runs, x, 2)  # warms up
        results[label] = measure(runs, x, rounds)
    lines = ["| solver | " + " | ".join(f"µs per evaluation, {label}" for label in SHAPES) + " |", "|---|---|---|"]
    lines += [f"| {name} | " + " | ".join(f"{results[label][name]:.0f}" for label in SHAPES) + " |" for name in runs]
    text = "\n".join(lines)
    click.echo(text)
    if out:
        environment = ", ".join(f"{key} {value}" for key, value in versions()["versions"].items())
        head = ["# Overhead of the solvers", f"One thread, {rounds} rounds, {environment}."]
        files.write_text(out, "\n\n".join([*head, " ".join(__doc__.split("\n\n")[2].split()), text]) + "\n")


if __name__ == "__main__":
    main()
