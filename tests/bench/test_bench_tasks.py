"""A network that was trained for a task in a benchmark: its samples beside their own originals."""

import numpy as np
import pytest
import torch

from scoresde.bench.network import NetworkSubject
from scoresde.bench.spec import Spec
from scoresde.images.sheets import to_uint8
from scoresde.training import config as configuration
from scoresde.training.loop import start, train
from scoresde.training.run import Run

CPU = torch.device("cpu")
SMALL = ["network.channels=4", "network.multipliers=[1]", "network.blocks=1", "network.group_channels=4"]
SMALL += ["train.batch=8", "train.images=8", "network.extra_channels=2"]


@pytest.mark.parametrize("side", [8, 12])
def test_samples_stand_beside_their_own_originals(side, tmp_path):
    """The known pixels of each are those of its original, so the pairs are right; PSNR by NumPy."""
    rows = np.random.default_rng(0).integers(0, 256, (40, 1, side, side), dtype=np.uint8)
    np.savez(tmp_path / "set.npz", x_train=rows, x_test=rows[:10][::-1])
    chosen = configuration.load("digits-inpaint", [*SMALL, f"data.path={tmp_path}/set.npz", "data.name=npz"])
    images = chosen.data.load("train")
    run, state = Run(tmp_path / "run", chosen, {}), start(chosen, images.shape, CPU)
    run.open(state, images)
    for _ in train(chosen, images, state):
        pass
    run.save(state)
    spec = Spec(model=[str(tmp_path / "run")], solver=["euler:steps=2"], count=12, likelihood=0, paths=0)
    subject = NetworkSubject(str(tmp_path / "run"), spec, CPU)
    x = subject.keep(subject.sample(spec.solver[0], range(12)).x)
    originals = to_uint8(subject.held_out.scaled())[np.arange(12) % 10].numpy()
    known = subject.known[np.arange(12) % 10].numpy()
    assert (np.where(known, x.numpy(), 0) == np.where(known, originals, 0)).all() and known.any() and not known.all()
    found = {e.name: e for e in subject.measure(x, torch.empty(0), spec.solver[0])}
    errors = ((x.numpy().astype(float) - originals) ** 2).reshape(12, -1).mean(1)
    assert found["PSNR"].value == pytest.approx((10 * np.log10(255**2 / errors)).mean())
    assert ("SSIM" in found) == (side == 12) and "rank nothing" in found["PSNR"].marks[0]
