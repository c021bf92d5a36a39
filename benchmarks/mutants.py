"""Seeded bugs, and whether the tests notice them.

    python benchmarks/mutants.py --out benchmarks/results/mutants.md

Each mutant is one edit of a copy of the package. It is caught if the numerical contract (processes, models, solvers,
golden values, faults, predictor-corrector) fails on it. The unchanged copy must pass, or nothing is reported.
"""

import shutil
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import click

from scoresde import checkpoint
from scoresde.provenance import versions

ROOT = Path(__file__).parent.parent
TESTS = ["sde", "model", "golden", "predictor_corrector", "solvers", "faults", "sample"]
S = "solvers/"

MUTANTS = [  # file, the code, what takes its place, what is wrong
    ("sde.py", "torch.sqrt(-torch.expm1(2 * self.log_alpha(t)))", "torch.sqrt(1 - self.alpha(t) ** 2)", "σ cancels"),
    ("sde.py", "return self.beta_min + t * (self", "return self.beta_min + t * 1.02 * (self", "β off by 2 %"),
    ("sde.py", "return self.sigma(t) * math.sqrt(2 * self._rate)", "return self.sigma(t) * math.sqrt(self._rate)", "ve's g"),
    ("sde.py", "-self.beta(t) * torch.expm1(4", "-self.beta(t) * torch.expm1(2", "sub-vp's g"),
    ("model.py", "half_g2 = 0.5 * self", "half_g2 = 1.0 * self", "the drift of the SDE instead of the flow's"),
    ("model.py", "* self.eps(x, t)) / expand(self.sde.alpha(t), x)", "* self.eps(x, t))", "denoise forgets α"),
    ("model.py", "return (after - 1 + share)", "return (after + share)", "discrete label off by one"),
    ("model.py", "return self.sde.prior_std * z", "return z", "the prior's scale"),
    ("gaussian.py", "log_p = -0.5 *", "log_p = -0.4 *", "responsibilities"),
    ("random.py", "generator=g, dtype=dtype) for g in generator]", "generator=generator[0], dtype=dtype) for g in generator]", "one seed for all rows"),
    (S + "base.py", "finite=not self.retries", "finite=False", "no guard against NaN"),
    ("grids.py", "return [start, *times[1:-1].tolist(), stop]", "return [start, *times[1:-1].tolist(), 20 * stop]", "stops early"),
    ("grids.py", "lambda t: torch.exp(-sde.log_snr(t) / self.rho)", "lambda t: torch.exp(-sde.log_snr(t))", "a grid's map"),
    (S + "euler.py", "math.expm1(s.log_snr - t.log_snr)", "(s.log_snr - t.log_snr)", "eʰ - 1 as h"),
    (S + "euler_maruyama.py", "return mean, t.g * span**0.5", "return mean, t.g * span", "noise as √ of nothing"),
    (S + "euler_maruyama.py", "(t.g**2 / t.sigma * span)", "(0.5 * t.g**2 / t.sigma * span)", "half the score"),
    (S + "reverse_diffusion.py", "return (2 - a) * x", "return x / a", "ancestral's factor"),
    (S + "reverse_diffusion.py", "model.eps(x, t.rows(x)), b", "model.eps(x, t.rows(x)), b * 1.05", "noise 5 % too strong"),
    (S + "ancestral.py", "* model.eps(x, t.rows(x))) / a, b", "* model.eps(x, t.rows(x))), b", "no division by a"),
    (S + "dpm_solver.py", "r1 = 1 / 2 if self.order == 2 else 1 / 3", "r1 = 2 / 3", "r1"),
    (S + "dpm_solver.py", "/ (2 * r1), first - e", "/ r1, first - e", "the second-order term"),
    (S + "dpm_solver.py", "(r2 / r1 * excess(r2 * h), first - e)", "(excess(r2 * h), first - e)", "D/r1 at the last stage"),
    (S + "dpm_solver.py", "rms((high - low) / scale, self.control), memory=(low,)", "rms((high - low) / scale, self.control), memory=memory", "x' not kept"),
    (S + "embedded_pair.py", "weighted(row[: len(stages)], stages), u + node * h", "weighted(row[: len(stages)], stages), u + h", "stage times"),
    (S + "embedded_pair.py", "torch.maximum(y.abs(), y_new.abs())", "y.abs()", "error scale"),
    (S + "embedded_pair.py", "SAFETY, SLOWEST, FASTEST = 0.9,", "SAFETY, SLOWEST, FASTEST = 0.8,", "safety factor"),
    (S + "embedded_pair.py", "torch.where(rejected & (trial.error <= 1), factor.clamp(max=1.0), factor)", "factor", "growth after rejection"),
    (S + "embedded_pair.py", "0.01 * e[1] ** 2", "0.1 * e[1] ** 2", "DOP853's blend"),
    (S + "adaptive.py", 'if control == "batch":', 'if control != "max":', "the batch decides for each sample"),
    (S + "adaptive.py", "accepted = active & ~unknown & (trial.error <= 1)", "accepted = active & ~unknown", "nothing rejected"),
    (S + "adaptive.py", "f = torch.where(rows, trial.f, f)", "pass", "stale first stage"),
    (S + "adaptive.py", "h = torch.minimum(h, left)\n", "h = torch.minimum(h, left * 1.01)\n", "runs past the end"),
    (S + "predictor_corrector.py", "torch.sqrt(2 * delta)", "torch.sqrt(delta)", "Langevin noise"),
    (S + "predictor_corrector.py", "model.score(x, s.rows(x))", "model.score(x, t.rows(x))", "Langevin at the old level"),
    (S + "predictor_corrector.py", "* (t.alpha / s.alpha) ** 2", "* (t.alpha / s.alpha)", "Langevin's factor"),
    (S + "torchdiffeq_solver.py", '"step_t": span[1:], ', "", "torchdiffeq runs past the end"),
    ("sample.py", "x = watched.denoise(", "x = model.denoise(", "the last evaluation not counted"),
]  # fmt: skip


def build(folder: Path, mutant: tuple[str, str, str, str] | None) -> None:
    """A copy of the package and its tests, with one edit."""
    for name in ("scoresde", "tests", "configs"):
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", folder)
    if mutant:
        path = folder / "scoresde" / mutant[0]
        text = path.read_text()
        if text.count(mutant[1]) != 1:
            raise click.ClickException(f"{mutant[0]} holds {text.count(mutant[1])} times: {mutant[1]}")
        path.write_text(text.replace(mutant[1], mutant[2]))


def judge(mutant: tuple[str, str, str, str] | None) -> tuple[str, float]:
    """The first test that fails, or "", and the seconds it took."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        build(folder, mutant)
        began = time.perf_counter()
        files = [f"tests/test_{test}.py" for test in TESTS]
        command = [sys.executable, "-m", "pytest", "-x", "-q", "-p", "no:cacheprovider", "-p", "no:xdist", *files]
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=600)
        failures = [line for line in done.stdout.splitlines() if line.startswith(("FAILED", "ERROR"))]
        if done.returncode == 0:
            return "", time.perf_counter() - began
        first = failures[0] if failures else done.stdout.strip().splitlines()[-1]
        return first.split(" - ")[0].removeprefix("FAILED tests/"), time.perf_counter() - began


@click.command(help=__doc__)
@click.option("--out", type=click.Path(path_type=Path), help="Also write the table there.")
@click.option("--jobs", default=2, show_default=True, help="Mutants at a time.")
def main(out: Path | None, jobs: int) -> None:
    failure, seconds = judge(None)
    if failure:
        raise click.ClickException(f"the unchanged package fails {failure}")
    click.echo(f"the unchanged package passes in {seconds:.0f} s")
    lines = ["| file | what is wrong | caught by |", "|---|---|---|"]
    caught = 0
    with ThreadPoolExecutor(jobs) as pool:
        for mutant, (failure, _) in zip(MUTANTS, pool.map(judge, MUTANTS), strict=True):
            caught += bool(failure)
            lines.append(f"| {mutant[0]} | {mutant[3]} | {f'`{failure}`' if failure else '**nothing**'} |")
            click.echo(lines[-1])
    total = f"{caught} of {len(MUTANTS)} seeded bugs caught; the unchanged package passes."
    click.echo(total)
    if out:
        environment = ", ".join(f"{name} {version}" for name, version in versions()["versions"].items())
        head = ["# Seeded bugs", total, f"`python benchmarks/mutants.py` with {environment}."]
        checkpoint.write_text(out, "\n\n".join([*head, "\n".join(lines)]) + "\n")


if __name__ == "__main__":
    main()
