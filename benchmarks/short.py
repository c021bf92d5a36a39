"""What the benchmarks of short trainings share: a training, rows that are measured once, intervals over seeds."""

import json
import math
import textwrap
from collections.abc import Callable, Iterable, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import click
import numpy as np
from scipy.stats import t as student
from torch import Tensor

import scoresde
from scoresde.core.provenance import versions
from scoresde.core.random import generators
from scoresde.data import Images, data
from scoresde.images.sheets import to_uint8
from scoresde.metrics import metrics
from scoresde.models.clipped import ClippedModel
from scoresde.models.network import NetworkModel
from scoresde.sampling.sample import sample
from scoresde.solvers import solvers
from scoresde.training import config

QUIET = [f"train.{key}=1_000_000_000" for key in ("log_every", "sample_every", "save_every")]

SMALL = ["network.channels=8", "network.multipliers=[1,2]", "network.blocks=1", "train.images=40_000"]
SMALL += ["train.batch=32", "train.warmup=4_000", "train.ema=4_000"]
"""Of the trainings on digits, beside a configuration of theirs: 41,609 parameters for one channel out."""


def trained(name: str, overrides: Iterable[str], folder: Path, images: Images | None = None) -> NetworkModel:
    """The averaged model of a configuration with overrides; a run that is in the folder goes on, or is returned."""
    run = scoresde.fit(config.load(name, [*QUIET, *overrides]), folder, images=images, progress=False)
    if run.code:  # a signal ended it: what is measured would be that of a shorter training
        raise SystemExit(run.code)
    return run.model


@cache
def digits() -> Tensor:
    """The training digits, uint8."""
    return to_uint8(data["digits"]().load("train").scaled())


def distance(model: NetworkModel, how: str, count: int) -> dict[str, float]:
    """FD of `count` samples from the training digits, in the features of the bundled classifier.

    With the half-width of its jackknife over the samples, its floor, FD of as many real digits, and evaluations.
    """
    seeds = generators(range(count))
    around = ClippedModel(model) if how.startswith("ddpm") else model  # as published code has it
    found = sample(around, solvers.parse(how), model.prior(seeds), generator=seeds)
    fd = metrics["fd"]().measure(to_uint8(found.x), digits())[0]
    return {"fd": fd.value, "half": fd.high - fd.value, "floor": fd.floor or math.nan, "nfe": found.nfe}


class Rows:
    """The lines of a JSON Lines file. What is there is not measured again."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.rows: list[dict[str, Any]] = []
        if path.exists():
            self.rows = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]

    def found(self, **key: Any) -> list[dict[str, Any]]:
        return [row for row in self.rows if key.items() <= row.items()]

    def measure(self, key: dict[str, Any], figures: Callable[[], dict[str, Any]]) -> None:
        if self.found(**key):
            return
        self.rows.append({**key, **figures()})
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with self.path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(self.rows[-1]) + "\n")
        click.echo(json.dumps(self.rows[-1]))


SPREAD = """\
± is the 95 % interval of the mean over trainings of as many seeds, by Student's t; that of a single one is a jackknife
over what was drawn, which says nothing of other trainings."""


def interval(values: Sequence[float], digits: int = 3, sign: str = "", alone: float | None = None) -> str:
    """Mean and half the 95 % interval of the mean, by Student's t; a single value has that of another kind, if any."""
    if not values:
        return ""
    if len(values) == 1:
        return f"{values[0]:{sign}.{digits}f}" + ("" if alone is None else f" ± {alone:.{digits}f}")
    half = student.ppf(0.975, len(values) - 1) * np.std(values, ddof=1) / math.sqrt(len(values))
    return f"{np.mean(values):{sign}.{digits}f} ± {half:.{digits}f}"


def write(out: Path, title: str, command: str, about: str, tables: Iterable[str]) -> None:
    """A report whose words below "## What it shows" are kept, for they are written by hand."""
    made_with = ", ".join(f"{name} {version}" for name, version in versions()["versions"].items())
    read = out.read_text(encoding="utf-8").partition("\n## What it shows")[1:] if out.exists() else ()
    texts = [f"`OMP_NUM_THREADS=1 {command}`; {made_with}; one thread.", about]
    filled = [textwrap.fill(" ".join(text.split()), 120, break_on_hyphens=False) for text in texts]
    parts = [f"# {title}", "", "\n\n".join(filled), "", *tables, ""]
    out.write_text("\n".join(parts) + "".join(read), encoding="utf-8")
