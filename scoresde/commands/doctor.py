"""`scoresde doctor`: checks an installation."""

import importlib
import sys
import time
from collections.abc import Callable
from importlib import metadata
from pathlib import Path
from tempfile import TemporaryDirectory

import click
import torch

from .. import models
from ..core.random import generators
from ..core.sentences import many
from ..models.gaussian import GaussianModel
from ..sampling.sample import sample
from ..sde import VPSDE
from ..solvers import solvers
from ..solvers.runge_kutta import RK45
from .options import json_option, print_table

PACKAGES = ("numpy", "scipy", "sklearn", "torchvision", "torchdiffeq", "PIL", "safetensors", "pydantic")


def package(name: str) -> str:
    """Imports a package, which a mismatched pair of torch and torchvision does not survive, and tells its version."""
    module = importlib.import_module(name)
    return str(getattr(module, "__version__", "present"))


def accuracy() -> str:
    """Solves a problem with a closed form and tells the error."""
    model = GaussianModel(torch.tensor([0.3, -0.2]), torch.tensor([0.25, 0.0025]), VPSDE())
    x = torch.tensor([[1.0, -0.7]], dtype=torch.float64)
    found = RK45(tol=1e-6).solve(model, x, start=1.0, stop=1e-3)
    error = float((found - model.flow(x, 1.0, 1e-3)).abs().max())
    if not error < 1e-4:
        raise ArithmeticError(f"rk45 at tol 1e-6 is {error:.1e} off the closed form")
    return f"rk45 at tol 1e-6 is {error:.1e} off the closed form"


def bundled() -> str:
    """Samples from each bundled model."""
    found = []
    for name in models.bundled():
        model, began = models.load(name), time.perf_counter()
        sources = generators(range(4))
        nfe = sample(model, solvers["adams"](), model.prior(sources), generator=sources).nfe
        found.append(f"{name}: 4 samples, {nfe} NFE, {time.perf_counter() - began:.2f} s")
    return "; ".join(found) or "none"


def page() -> str:
    """Decodes a picture and opens a catalogue as the web page does, in a process of its own and with its search."""
    import sqlite3  # some builds of Python lack it

    import numpy as np

    from ..web import uploads
    from ..web.catalogue import Catalogue

    began = time.perf_counter()
    uploads.decode(uploads.png(np.zeros((2, 2, 3), np.uint8)))
    found = f"a picture decoded in {time.perf_counter() - began:.2f} s, SQLite {sqlite3.sqlite_version}"
    with TemporaryDirectory() as folder:
        Catalogue(Path(folder, "catalogue.sqlite")).close()
    return found


def checks() -> dict[str, Callable[[], str]]:
    """What is checked, in order."""
    return {
        "python": lambda: sys.version.split()[0],
        "torch": lambda: f"{torch.__version__}, {many(torch.get_num_threads(), 'thread')}",
        "gpu": lambda: torch.cuda.get_device_name() if torch.cuda.is_available() else "none, the CPU is used",
        **{name: (lambda name=name: package(name)) for name in PACKAGES},  # type: ignore[misc]
        "plug-ins": lambda: ", ".join(p.name for p in metadata.entry_points(group=solvers.package)) or "none",
        "accuracy": accuracy,
        "bundled models": bundled,
        "web page": page,
    }


@click.command(epilog="\b\nExamples:\n  scoresde doctor\n  scoresde doctor --json")
@json_option
def doctor(as_json: bool) -> None:
    """Check the installation: versions, a known problem, the bundled models, the web page. Exit with 1 on failure."""
    rows, failed = [], False
    for name, check in checks().items():
        try:
            rows.append({"check": name, "result": "ok", "detail": check()})
        except Exception as error:  # a broken installation fails in any way
            failed = True
            rows.append({"check": name, "result": "FAILED", "detail": f"{type(error).__name__}: {error}"})
    print_table(rows, as_json)
    if failed:
        sys.exit(1)
