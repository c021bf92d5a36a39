"""What commands leave in a folder that held an earlier result, or that somebody else uses."""

import json
import multiprocessing
import os
import signal
import time

import numpy as np
import pytest
import torch
from click.testing import CliRunner
from PIL import Image

from scoresde import load, sample
from scoresde.cli import scoresde
from scoresde.core.errors import UsageError
from scoresde.core.folders import only_writer
from scoresde.core.random import generators
from scoresde.core.units import Units
from scoresde.data import Digits
from scoresde.images.samples import find_samples
from scoresde.models import NetworkModel, save
from scoresde.networks import networks
from scoresde.posterior import store
from scoresde.sampling import progress_lines
from scoresde.sde import VPSDE

QUICK = "--solver euler --steps 2 --quiet --out out"


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def pictures(first, last):
    return [f"{seed:06d}.png" for seed in range(first, last + 1)]


def test_fewer_samples_leave_none_of_those_before(run, tmp_path):
    run(f"sample -n 5 --seed 3 {QUICK}")
    (tmp_path / "out" / "notes.txt").write_text("mine")
    run(f"sample -n 2 {QUICK}")
    assert names(tmp_path / "out") == [*pictures(0, 1), "notes.txt", "samples.json", "sheet.png"]
    assert len(find_samples(tmp_path / "out")[0]) == 2, "and so metrics count two"


def test_an_animation_of_before_goes_with_its_samples(run, tmp_path):
    run(f"sample -n 1 --trajectory 2 {QUICK}")
    run(f"sample -n 1 --trajectory 2 --animation webp {QUICK}")
    way = ["trajectory.png", "trajectory.webp"]
    assert names(tmp_path / "out") == [*pictures(0, 0), "samples.json", "sheet.png", *way]
    run(f"sample -n 1 {QUICK.replace('euler', 'unipc')}")
    assert names(tmp_path / "out") == [*pictures(0, 0), "samples.json", "sheet.png"]


UNITS = Units(torch.tensor([5.0, -300.0]), torch.tensor([0.5, 40.0]))
SHAPES = {
    "vectors": ((2,), "mlp", UNITS),
    "numbers": ((1,), "mlp", None),
    "series": ((2, 16), "conv", Units(UNITS.centre[:, None], UNITS.spread[:, None])),
    "volumes": ((2, 4, 4, 4), "conv", None),
    "maps": ((1, 8, 8), "conv", Units(torch.full((1, 1, 1), 50.0), torch.full((1, 1, 1), 3.0))),
}


@pytest.mark.parametrize("kind", SHAPES)
def test_samples_that_are_no_pictures_are_an_array_and_a_drawing(run, tmp_path, kind):
    """In the units of the data. The network's answer is 0, so that a sample is its noise over the first alpha.

    Reference: Song et al. 2021, https://arxiv.org/abs/2010.02502, equation 12: the first-order step with eps = 0.
    """
    shape, name, units = SHAPES[kind]
    options = networks[name](width=8, blocks=1)
    net = options.build(shape)
    for parameter in net.parameters():
        torch.nn.init.zeros_(parameter)
    model = NetworkModel(net, VPSDE(), shape, options=options, units=units)
    save(model, tmp_path / kind)
    line = f"sample --model {kind} --solver ddim --steps 3 -n 3 --seed 2 --quiet --out out"
    run(f"{line} --batch 2 --trajectory 2")
    assert names(tmp_path / "out") == ["samples.json", "samples.npz", "sheet.png", "trajectory.gif", "trajectory.png"]
    found = np.load(tmp_path / "out" / "samples.npz")["samples"]
    alpha = float(VPSDE().log_alpha(torch.tensor(1.0, dtype=torch.float64)).exp())
    own = model.prior(generators([2, 3, 4])).numpy() / alpha
    if units is not None:
        own = units.centre.numpy() + units.spread.numpy() * own
    assert found.shape == (3, *shape) and np.allclose(found, own, rtol=1e-4)
    with Image.open(tmp_path / "out" / "sheet.png") as sheet:
        assert min(sheet.size) > 16 and len(sheet.convert("L").getcolors()) > 2
    sample(load(tmp_path / kind, "cpu"), "ddim", seeds=[2, 3, 4], steps=3, batch=2).save(tmp_path / "python")
    assert np.array_equal(np.load(tmp_path / "python" / "samples.npz")["samples"], found)
    assert (tmp_path / "python" / "sheet.png").read_bytes() == (tmp_path / "out" / "sheet.png").read_bytes()
    assert "are no pictures: drop it" in run(f"{line} --clip", 2)
    run(line)
    assert names(tmp_path / "out") == ["samples.json", "samples.npz", "sheet.png"]
    assert "makes no pictures of 1 or 3 channels" in run(f"encode --model {kind} -n 1", 2)


def test_samples_saved_from_python_follow_the_same_rule(run, tmp_path):
    run(f"sample -n 3 {QUICK}")
    sample("digits", "euler", n=1, steps=2).save(tmp_path / "out")
    assert names(tmp_path / "out") == [*pictures(0, 0), "samples.json", "sheet.png"]
    record = json.loads((tmp_path / "out" / "samples.json").read_text())
    assert record["files"] == names(tmp_path / "out")
    (tmp_path / "own").mkdir()
    Image.new("L", (8, 8), 99).save(tmp_path / "own" / "000000.png")
    with pytest.raises(UsageError, match=r"holds a file 000000.png that is not of an earlier result"):
        sample("digits", "euler", n=1, steps=2).save(tmp_path / "own")


@pytest.mark.parametrize("name", ["000001.png", "sheet.png", "trajectory.gif", "samples.json"])
def test_pictures_of_somebody_else_are_kept_and_named(run, tmp_path, name):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / name).write_bytes(b"mine")
    said = run(f"sample -n 2 --trajectory 2 {QUICK}", 2)
    assert f"out holds a file {name} that is not of an earlier result" in said and said.count("Error") == 1
    assert names(tmp_path / "out") == [name] and (tmp_path / "out" / name).read_bytes() == b"mine"


def test_codes_and_ways_do_not_mix_with_samples(run, tmp_path):
    """Each command replaces its own files alone: the sheet of another is not one of them."""
    run("encode -n 2 --tol 1e-1 --out out --quiet")
    before = {path: path.read_bytes() for path in (tmp_path / "out").iterdir()}
    for line in (f"sample -n 1 {QUICK}", "interpolate -n 1 --frames 2 --tol 1e-1 --out out --quiet"):
        assert "out holds a file sheet.png" in run(line, 2)
    assert {path: path.read_bytes() for path in (tmp_path / "out").iterdir()} == before
    run("encode -n 1 --tol 1e-1 --out out --quiet")
    assert names(tmp_path / "out") == ["codes.safetensors", "encode.json", "sheet.png"]


@pytest.mark.parametrize(
    "line",
    [
        f"sample -n 1 {QUICK}",
        "encode -n 1 --tol 1e-1 --out out --quiet",
        "interpolate -n 1 --frames 2 --tol 1e-1 --out out --quiet",
        "bench spec.toml --out out --quiet",
        "features fit --data digits --images 100 --batch 10 --dimension 2 --width 2 --out out --quiet",
        "stats digits --kinds channel --out out --quiet",
        "prune digits --samples 0 --out out --quiet",
        "average run --width 0.1 --out out --quiet",
    ],
)
def test_a_second_command_in_one_folder_is_refused(run, tmp_path, line):
    spec = 'model = "gm2"\nsolver = ["euler:steps=2"]\npaths = 0\nlikelihood = 0\ncount = 8\n'
    (tmp_path / "spec.toml").write_text(spec)
    (tmp_path / "out").mkdir()
    if line.startswith("average"):
        small = "network.channels=4 network.group_channels=4 network.multipliers=[1] network.blocks=1 train.images=64"
        run(f"train digits {small} train.batch=16 train.snapshot_every=16 --out run --quiet")
    with only_writer(tmp_path / "out", ".lock-0" if line.startswith("bench") else ".lock"):
        assert f"out is in use by process {os.getpid()}; wait for its end" in run(line, 2)
    run(line)
    assert not [name for name in names(tmp_path / "out") if name.startswith(".")]


@pytest.mark.parametrize("line", ["stats digits --data nothing", "stats digits --out x/y --data npz:path=no.npz"])
def test_a_command_that_fails_leaves_no_folder(run, tmp_path, line):
    run(line, 2 if "nothing" in line else 3)
    assert not names(tmp_path)


@pytest.mark.parametrize(
    "line",
    [
        "likelihood -n 1 --solver rk23 --tol 0.1",
        "stats digits --kinds channel --out out",
        "prune digits --samples 4 --metric sw --out out",
        "metrics drawn --data digits --metric sw",
    ],
)
def test_a_line_is_written_while_images_are_read(run, monkeypatch, line):
    if line.startswith("metrics"):
        run("sample -n 4 --solver euler --steps 2 --quiet --out drawn")
    load = Digits.load
    monkeypatch.setattr(Digits, "load", lambda self, split: (time.sleep(0.5), load(self, split))[1])
    monkeypatch.setattr(progress_lines, "FIRST", (0.05,))
    assert "reading" in run(line)
    assert "reading" not in run(f"{line} --quiet")


def test_a_run_at_work_keeps_others_out_of_its_folder(run, tmp_path):
    """Kinds of covariance, and tuned solvers, of a model whose weights are being written over."""
    run("stats digits --out models/own --kinds channel --quiet")
    with only_writer(tmp_path / "models" / "own"):
        for line in ("stats models/own --kinds dct --data digits", "tune models/own --nfe 5 --trajectories 1"):
            assert "models/own is in use by process" in run(f"{line} --quiet", 2)
    assert set(store.every(tmp_path / "models" / "own")) == {"channel"}


def test_fewer_fillings_and_fewer_pictures_leave_none_of_those_before(run, tmp_path):
    (tmp_path / "album").mkdir()
    for name in ("a", "b"):
        Image.new("RGB", (32, 32), "teal").save(tmp_path / "album" / f"{name}.png")
    line = "inpaint album{} --box 8,8,24,24 --steps 1 --quiet --out out"
    run(f"{line.format('')} -n 2 --seed 4")
    assert len(names(tmp_path / "out")) == 2 * 3 + 2
    run(f"{line.format('/b.png')} -n 1")
    assert names(tmp_path / "out") == ["b-000000.png", "b-mask.png", "inpaint.json", "sheet.png"]
    (tmp_path / "out" / "a-000000.png").write_bytes(b"mine")
    assert "out holds a file a-000000.png" in run(f"{line.format('')} -n 1", 2)
    run(f"{line.format('/b.png')} -n 1 --seed 1")
    assert names(tmp_path / "out") == ["a-000000.png", "b-000001.png", "b-mask.png", "inpaint.json", "sheet.png"]


def test_pictures_of_any_name_are_done_and_recorded(run, tmp_path):
    """Names that are no UTF-8, hold a line feed, are as long as a file system allows, or look alike when cut."""
    (tmp_path / "album").mkdir()
    given = [os.fsdecode(b"caf\xe9.png"), "two\nlines.png", "😀.png", "x" * 251 + ".png", "x" * 250 + "y.png"]
    for name in given:
        Image.new("RGB", (32, 32), "teal").save(tmp_path / "album" / name)
    said = run("inpaint album --box 8,8,24,24 --steps 1 -n 1 --quiet --out out")
    assert "two\\nlines.png: 32x32" in said and "caf\\udce9.png: 32x32" in said
    record = json.loads((tmp_path / "out" / "inpaint.json").read_text())
    assert {os.path.basename(row["picture"]) for row in record["pictures"]} == set(given)
    drawn = {row["picture"]: row["files"] for row in record["pictures"]}
    assert all((tmp_path / "out" / name).is_file() for files in drawn.values() for name in files)
    assert len({name for files in drawn.values() for name in files}) == 10


LONG = "x" * 300


@pytest.mark.parametrize(
    "line",
    [
        f"sample --out {LONG}",
        f"sample --model {LONG}",
        f"inpaint {LONG} --box 0,0,4,4",
        f"inpaint a.png --mask {LONG}",
        f"encode {LONG}",
        f"plot {LONG}",
        f"describe {LONG}",
        f"train {LONG}",
        f"bench {LONG}",
        f"bench compare {LONG} {LONG}",
        f"metrics {LONG} --data digits",
        f"likelihood {LONG}",
        f"stats {LONG}",
    ],
)
def test_a_path_that_no_file_system_takes_is_one_sentence(run, tmp_path, line):
    Image.new("RGB", (32, 32), "teal").save(tmp_path / "a.png")
    result = CliRunner().invoke(scoresde, line.split(), prog_name="scoresde")
    assert result.exit_code in (2, 3) and result.output.count("Error: ") == 1, result.output
    assert isinstance(result.exception, SystemExit) and [path.name for path in tmp_path.iterdir()] == ["a.png"]


@pytest.mark.parametrize("sign", [signal.SIGINT, signal.SIGKILL])
def test_a_run_that_is_stopped_leaves_the_samples_of_the_one_before(run, tmp_path, sign):
    run(f"sample -n 2 {QUICK}")
    before = {path: path.read_bytes() for path in (tmp_path / "out").iterdir()}
    line = "sample --solver euler --steps 1000000 -n 3 --out out --quiet".split()
    child = multiprocessing.get_context("fork").Process(target=scoresde, args=(line,), kwargs={"prog_name": "scoresde"})
    child.start()
    while not (tmp_path / "out" / ".unfinished").exists() and child.is_alive():
        time.sleep(0.02)
    time.sleep(0.2)
    os.kill(child.pid, sign)
    child.join()
    assert child.exitcode == (130 if sign == signal.SIGINT else -sign)
    assert {path: path.read_bytes() for path in (tmp_path / "out").iterdir() if not path.name.startswith(".")} == before
    run(f"sample -n 1 {QUICK}")
    assert names(tmp_path / "out") == [*pictures(0, 0), "samples.json", "sheet.png"]


def test_the_plots_of_models_that_are_compared_no_more_go(run, tmp_path):
    (tmp_path / "spec.toml").write_text('solver = ["euler:steps=2"]\npaths = 0\nlikelihood = 0\ncount = 8\n')
    line = "bench spec.toml --out out --quiet --device cpu"
    run(f"{line} --model gm2 --model gaussian")
    assert {"gm2.svg", "gaussian.svg"} <= set(names(tmp_path / "out"))
    (tmp_path / "out" / "mine.svg").write_text("mine")
    run(f"{line} --model gaussian")
    assert [name for name in names(tmp_path / "out") if name.endswith(".svg")] == ["gaussian.svg", "mine.svg"]


def test_a_photograph_is_encoded_by_the_model_of_photographs_and_its_size_is_said(tmp_path, run):
    Image.new("RGB", (60, 40), "red").save(tmp_path / "red.png")
    Image.new("RGB", (8, 8), "red").save(tmp_path / "small.png")
    said = run("encode red.png --solver euler --steps 1 --quiet")
    assert "red.png: 60x40 reduced to 48x32, its middle 32x32 cut out, for cifar10" in said
    assert json.loads((tmp_path / "latent/cifar10-encode/encode.json").read_text())["pictures"] == ["red.png"]
    said = run("encode red.png small.png --model digits --solver euler --steps 1 --quiet")
    assert "red.png: 60x40 reduced to 12x8, its middle 8x8 cut out, without its colours, for digits" in said
    assert "small.png: 8x8, without its colours, for digits" in said
