"""The pictures that the web page shows while it draws for the first time, and how they came about.

    python benchmarks/film.py

draws what `FILM` of `scoresde/web/tabs/generate.py` says and writes it to `scoresde/web/static/film.png`: a row for
each frame, the pictures side by side. The seeds were chosen by eye, among the first 128.
"""

import base64
from pathlib import Path

import torch

import scoresde
from scoresde.core.random import generators
from scoresde.sampling.sample import sample
from scoresde.sampling.trajectory import Trajectory
from scoresde.solvers import solvers
from scoresde.web.encoding import FRAMES
from scoresde.web.tabs.generate import FILM, path

PLACE = Path(__file__).parents[1] / "scoresde/web/static/film.png"


def film() -> bytes:
    """The strip as PNG."""
    torch.set_num_threads(1)
    model, sources = scoresde.load("cifar10"), generators(range(FILM["seed"], FILM["seed"] + FILM["count"]))
    way = Trajectory(model.sde, FRAMES)
    done = sample(model, solvers.build(FILM["solver"]), model.prior(sources), generator=sources, observers=(way,))
    made = path(model, way, done.x)
    return base64.b64decode(made["denoised"])


if __name__ == "__main__":
    PLACE.write_bytes(film())
    print(f"{PLACE.stat().st_size} bytes in {PLACE}")
