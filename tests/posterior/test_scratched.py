"""`restore` with several tasks and a hole: old photographs are grey and scratched."""

import json

import numpy as np
import pytest
import torch
from click.testing import CliRunner
from PIL import Image

from scoresde.cli import scoresde
from scoresde.core.errors import UsageError
from scoresde.observations import ROUNDING, Composed, Downsample, Luma, Pixels
from scoresde.observations.holes import Hole
from scoresde.observations.masks import masks
from scoresde.posterior.reading import done_to, read_measured

COLOURS = np.random.default_rng(0).integers(0, 256, (32, 32, 3), dtype=np.uint8)
SCRATCH = np.zeros((32, 32), dtype=np.uint8)
SCRATCH[10:13] = 255


@pytest.fixture
def old(tmp_path):
    Image.fromarray(COLOURS).convert("L").save(tmp_path / "old.png")
    Image.fromarray(COLOURS).save(tmp_path / "new.png")
    Image.fromarray(SCRATCH).save(tmp_path / "mask.png")
    return tmp_path


def test_tasks_are_done_in_their_order():
    assert done_to(["downsample:4"], None) == Downsample(factor=4)
    found = done_to(["downsample:2", "luma"], 0.1)
    assert isinstance(found, Composed) and found.parts == (Downsample(factor=2), Luma(noise=0.1)) and found.noise == 0.1
    with pytest.raises(UsageError, match="let it come first"):
        done_to(["luma", "blur:1"], None)


def test_the_hole_is_not_read(old):
    """The observation is grey but for the scratch; with other levels in the scratch it is the same."""
    grey = np.asarray(Image.open(old / "old.png")) / 127.5 - 1
    case = read_measured(old / "old.png", (3, 32, 32), Luma(), where=Hole(old / "mask.png"))
    assert isinstance(case.observation, Composed) and case.observation.noise == ROUNDING and case.shape == (3, 32, 32)
    x = torch.zeros(1, 3, 32, 32)
    rest = case.observation.residual(x, case.y)[0, 0].numpy()
    assert np.allclose(rest, np.where(SCRATCH == 255, 0, grey), atol=1e-6)
    assert np.array_equal(np.asarray(case.beside["mask.png"]), SCRATCH)
    changed = np.where(SCRATCH == 255, 77, np.asarray(Image.open(old / "old.png"))).astype(np.uint8)
    Image.fromarray(changed).save(old / "old.png")
    again = read_measured(old / "old.png", (3, 32, 32), Luma(), where=Hole(old / "mask.png"))
    assert torch.equal(again.y, case.y)


def test_originals_and_holes_by_chance(old):
    """With --degrade the truth is kept; a hole by the seed is one of what is left, whatever its size."""
    seen = done_to(["downsample:2", "luma"], None)
    case = read_measured(old / "new.png", (3, 32, 32), seen, where=Hole(masks["rectangle"]()), degrade=True)
    assert case.truth is not None and case.shape == (3, 32, 32) and case.y.shape == (1, 1, 16, 16)
    assert isinstance(case.observation.parts[-1], Pixels)
    with pytest.raises(UsageError, match="leaves another size"):
        read_measured(old / "new.png", (3, 32, 32), seen, where=Hole(old / "mask.png"), degrade=True)


def test_what_is_left_after_a_blur_is_shown_at_the_size_of_the_original(old):
    """The pixels that are left, larger or within an empty margin: the blur is not undone for it."""
    left = np.asarray(Image.open(old / "old.png").convert("RGB")).transpose(2, 0, 1) / 127.5 - 1
    twice = read_measured(old / "old.png", (3, 32, 32), done_to(["blur:1", "downsample:2"], None))
    assert twice.shape == (3, 64, 64) and np.allclose(twice.seen, np.kron(left, np.ones((1, 2, 2))), atol=1e-6)
    wider = read_measured(old / "old.png", (3, 32, 32), done_to(["blur:2", "crop:top=4"], None))
    assert wider.shape == (3, 36, 32) and np.allclose(wider.seen, np.pad(left, ((0, 0), (4, 0), (0, 0))), atol=1e-6)


def test_the_command(old):
    """Luma is kept outside of the scratch, to the level, and drawn in it."""
    line = f"restore {old}/old.png --task luma --mask {old}/mask.png -n 1 --steps 3 --quiet --out {old}/out"
    found = CliRunner().invoke(scoresde, line.split())
    assert found.exit_code == 0, found.output
    (file,) = (path for path in (old / "out").glob("old-0*.png"))
    luma, grey = (np.asarray(Image.open(path).convert("L"), dtype=float) for path in (file, old / "old.png"))
    off = np.abs(luma - grey)
    assert np.median(off[SCRATCH == 0]) <= 2 and np.median(off[SCRATCH == 255]) > 10
    record = json.loads((old / "out" / "restore.json").read_text())["pictures"][0]
    assert record["misfit"] and "luma" in record["observation"]
