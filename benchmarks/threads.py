"""How threads wait: the time of one evaluation of the digits model by one process, and by two at the same time.

    python benchmarks/threads.py --out benchmarks/results/threads.md

Two processes for each setting of the environment are started and told in turn to evaluate 16 digits 20 times, at most
for 1.5 s: one of them alone, then both at once, of which the slower counts. A ratio is the median over the rounds of
the setting's time over that of torch's default in the same round; in brackets are the least and the greatest.
"""

import os
import statistics
import subprocess
import sys
from pathlib import Path

import click

from scoresde.core import files
from scoresde.core.provenance import versions
from scoresde.core.threads import CHOSEN, SPINS

SETTINGS: dict[str, dict[str, str]] = {
    "torch's default": {},
    f"GOMP_SPINCOUNT={SPINS}": {"GOMP_SPINCOUNT": str(SPINS)},
    "OMP_WAIT_POLICY=PASSIVE": {"OMP_WAIT_POLICY": "PASSIVE"},
    "OMP_NUM_THREADS=1": {"OMP_NUM_THREADS": "1"},
}
WORKER = """
import sys, time
import torch
from scoresde import load
model = load("digits")
x, t = torch.zeros(16, *model.shape), torch.full((16,), 0.5, dtype=torch.float64)
with torch.no_grad():
    model.eps(x, t)
    print("ready", flush=True)
    for line in sys.stdin:
        began, done = time.perf_counter(), 0
        while done < 20 and time.perf_counter() - began < 1.5:
            model.eps(x, t)
            done += 1
        print(1e3 * (time.perf_counter() - began) / done, flush=True)
"""


def slowest(workers: list[subprocess.Popen[str]]) -> float:
    """Milliseconds of an evaluation by the slower of some workers that begin together."""
    for each in workers:
        each.stdin.write("\n")
        each.stdin.flush()
    return max(float(each.stdout.readline()) for each in workers)


@click.command(help=__doc__)
@click.option("--rounds", default=9, show_default=True)
@click.option("--out", type=click.Path(path_type=Path), help="Also write the table there.")
def main(rounds: int, out: Path | None) -> None:
    clean = {name: value for name, value in os.environ.items() if name not in CHOSEN}
    start = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    workers = {
        name: [subprocess.Popen([sys.executable, "-c", WORKER], env={**clean, **own}, **start) for _ in range(2)]
        for name, own in SETTINGS.items()
    }
    for each in sum(workers.values(), []):
        each.stdout.readline()
    times: dict[str, list[tuple[float, float]]] = {name: [] for name in SETTINGS}
    for _ in range(rounds + 1):  # the first one warms up
        for name, pair in workers.items():
            times[name].append((slowest(pair[:1]), slowest(pair)))
    for each in sum(workers.values(), []):
        each.stdin.close()
        each.wait()
    lines = ["| setting | ratio, one process | ratio, two processes |", "|---|---|---|"]
    for name, own in times.items():
        cells = []
        for at in range(2):
            ratios = [a[at] / b[at] for a, b in zip(own[1:], times["torch's default"][1:], strict=True)]
            cells.append(f"{statistics.median(ratios):.3g} [{min(ratios):.3g}, {max(ratios):.3g}]")
        lines.append(f"| {name} | {cells[0]} | {cells[1]} |")
    text = "\n".join(lines)
    click.echo(text)
    if out:
        environment = ", ".join(f"{key} {value}" for key, value in versions()["versions"].items())
        load = f"At the end {os.getloadavg()[0]:.0f} processes wanted one of the {os.cpu_count()} processors."
        head = ["# How threads wait", f"{rounds} rounds, {environment}. {load}"]
        files.write_text(out, "\n\n".join([*head, " ".join(__doc__.split("\n\n")[2].split()), text]) + "\n")


if __name__ == "__main__":
    main()
