"""A flow and an EDM model, from training to all that is done with a model, by the commands."""

import json
import math

import pytest

import scoresde
from scoresde.bench.compare import read_rows

SMALL = "network.channels=4 network.multipliers=[1] network.blocks=1 train.batch=16 train.images=64"


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "process", "label"), [("digits-flow", "flow", "scaled:scale=1000.0"), ("digits-edm", "ve", "log-sigma")]
)
def test_from_training_to_every_command(run, tmp_path, name, process, label, monkeypatch):
    monkeypatch.setattr("scoresde.bench.tune.learning.ITERATIONS", 4)
    run(f"train {name} {SMALL} --out run --quiet --device cpu")
    model = scoresde.load(tmp_path / "run")
    assert (model.sde.name, str(model.label)) == (process, label)
    for solver in ("ddim --grid time --steps 4", "edm --steps 4", "dpm --tol 0.1", "adams", "em --steps 8"):
        run(f"sample --model run -n 2 --solver {solver} --out a --quiet --device cpu")
        assert json.loads((tmp_path / "a" / "samples.json").read_text())["nfe"] >= 4
    found = json.loads(run("likelihood run -n 2 --json --quiet --device cpu"))
    assert math.isfinite(found["bits_per_dim"])
    run("bench --model run --solver euler:steps=3 --metric fd -n 16 --likelihood 0 --quiet --out bench")
    assert len(read_rows(tmp_path / "bench")) == 1
    (row,) = json.loads(run("tune run --nfe 3 --trajectories 4 --held-out 4 --json --quiet"))
    assert row["nfe"] == 3 and row["tuned"] <= row["its error"]
