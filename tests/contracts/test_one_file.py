"""The plug-ins of CONTRIBUTING.md, each a file dropped into its folder: they train and sample together."""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
FILES = {
    "sde/edm",
    "networks/tiny",
    "models/predictions/residual",
    "training/weightings/p2",
    "training/time_laws/mode",
    "observations/tasks/sharpen",
    "observations/fourier",
    "conditioners/landweber",
}
CONFIG = """
[data]
name = "digits"
[sde]
name = "edm"
[network]
name = "tiny"
extra_channels = 1
[train]
batch = 16
images = 48
predicts = "residual"
weighting = "p2:k=0.6"
times = "auto"
condition = "sharpen:factor=4"
evaluate_every = 48
"""
SAMPLE = """
import torch
from scoresde import models
from scoresde.conditioners import conditioners
from scoresde.core.random import generators
from scoresde.models.gaussian import GaussianModel
from scoresde.observations import Downsample, observations
from scoresde.sampling.sample import sample
from scoresde.solvers import solvers

model, y = models.load("run"), torch.zeros(3, 1, 2, 2)
around = conditioners["trained"]().condition(model, Downsample(factor=4), y)
out = sample(around, solvers["ddim"](steps=5), around.prior(generators(range(3)))).x
print(model.sde.name, model.predicts, model.condition, tuple(out.shape), bool(out.isfinite().all()))
law, seen = GaussianModel(torch.zeros(1, 8, 8), torch.ones(1, 8, 8), "vp"), observations.parse("fourier:kept=4")
y = seen.forward(torch.linspace(-1, 1, 64).reshape(1, 1, 8, 8)).expand(3, -1, -1, -1, -1)
around = conditioners.parse("landweber:iterations=40").condition(law, seen, y)
out = sample(around, solvers["ddim"](steps=20), around.prior(generators(range(3)))).x
print(bool((seen.forward(out) - y).abs().max() < 1e-4))
"""


def test_eight_files_are_eight_plugins(tmp_path):
    for folder in ("scoresde", "configs"):
        shutil.copytree(ROOT / folder, tmp_path / folder, ignore=shutil.ignore_patterns("__pycache__"))
    text = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    shown = dict(re.findall(r"<!-- scoresde/(\S+)\.py -->\n```python\n(.*?)```", text, re.DOTALL))
    assert FILES < set(shown)
    for name in FILES:
        path = tmp_path / "scoresde" / f"{name}.py"
        assert not path.exists() and len(shown[name].splitlines()) < 60
        path.write_text(shown[name], encoding="utf-8")
    (tmp_path / "all.toml").write_text(CONFIG)

    def run(*arguments):
        environment = os.environ | {"PYTHONPATH": str(tmp_path), "OMP_NUM_THREADS": "1"}
        command = [sys.executable, *arguments]
        done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=120)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    run("-m", "scoresde", "train", "all.toml", "--out", "run", "--device", "cpu", "--quiet")
    rows = [json.loads(line) for line in (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()]
    assert rows[-1]["images"] == 48 and rows[-1]["held_out"] > 0
    assert 'weighting = "p2:k=0.6"' in (tmp_path / "run" / "config.toml").read_text()
    assert run("-c", SAMPLE).splitlines() == ["edm residual sharpen:factor=4 (3, 1, 8, 8) True", "True"]
