"""A configuration chosen for data of one's own: from the command line and from Python, begun, gone on with, changed."""

import logging
import math
import re
import shutil
import time
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from scoresde import models
from scoresde.core.errors import CheckpointError, DataError, UsageError
from scoresde.core.random import numpy_stream
from scoresde.data import Images, Tensors, data
from scoresde.models.record import recipe as recipe_of
from scoresde.training import config as configuration
from scoresde.training import plan, trainer
from scoresde.training.adapt import adapted
from scoresde.training.choice import chosen, folder_for, is_data
from scoresde.training.fit import _kept, fit
from scoresde.training.options import TrainOptions
from scoresde.training.plan import Facts, planned, side_for, with_length
from scoresde.training.recorded import recorded_config
from scoresde.training.trainer import early

CPU = torch.device("cpu")
SMALL = "network.channels=4 network.group_channels=4 network.blocks=1 train.images=64 train.batch=16".split()


@pytest.fixture(autouse=True)
def elsewhere(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(plan, "TRIAL", 0.01)


def pictures(folder, count, size=(40, 30), colour=True, seed=0):
    """Files of random pictures in a folder."""
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    draw = numpy_stream(seed)
    for i in range(count):
        shape = (size[1], size[0], 3) if colour else (size[1], size[0])
        Image.fromarray(draw.integers(0, 256, shape, dtype=np.uint8)).save(folder / f"{i:03d}.png")
    return folder


def test_a_folder_of_pictures_is_trained_on_by_one_command(run):
    pictures("mine 🐱/cats", 12)
    pictures("mine 🐱/dogs", 12, seed=1)
    Path("mine 🐱/dogs/broken.jpg").write_bytes(b"no picture")
    Path("mine 🐱/notes.txt").write_text("x")
    from click.testing import CliRunner

    from scoresde.cli import scoresde

    line = ["train", "mine 🐱", *SMALL, "data.size=8", "--out", "run", "--device", "cpu"]
    result = CliRunner().invoke(scoresde, line)
    assert result.exit_code == 0, result.output
    for said in ("24 pictures", "2 classes", "broken.jpg", "pictures are few", "[network]", "Trained on 64 images"):
        assert said in result.output
    config = recorded_config(Path("run"))
    assert config.data.path == "mine 🐱" and config.network.classes == 2 and config.train.flip
    with Image.open("run/data.png") as sheet:
        assert sheet.width > 8
    assert list(Path("run/samples").glob("*.png"))
    assert models.load("run").classes == 2
    assert "images" in Path("run/log.txt").read_text()


def test_the_classes_of_a_table_reach_the_network():
    pictures("mine", 8)
    rows = [f'{{"file_name": "{i:03d}.png", "label": "{"ab"[i % 2]}", "text": "x"}}\n' for i in range(8)]
    Path("mine/metadata.jsonl").write_text("".join(rows))
    for extra, classes in (([], 2), (["data.labels=table"], 2), (["data.labels=false"], 0)):
        found = chosen("mine/", Path("run"), CPU, ["data.size=8", *SMALL, *extra])
        labels = found.config.data.load("train").labels
        assert found.config.network.classes == classes and (labels is None) == (not classes)
    assert "2 classes, by the column label of metadata.jsonl: a (4); b (4)" in str(chosen("mine/", Path(), CPU).said)
    state = fit("mine/", "run", overrides=["data.size=8", *SMALL], progress=False).state
    assert state.images == 64 and state.model.classes == 2
    Path("mine/000.png").unlink()
    with pytest.raises(DataError, match="metadata.jsonl, line 1 names the picture '000.png', which is not there"):
        chosen("mine/", Path(), CPU)


def test_zip_and_npz_are_data_and_names_are_configurations(run):
    pictures("mine", 6, colour=False)
    with zipfile.ZipFile("mine.zip", "w") as archive:
        for file in Path("mine").iterdir():
            archive.write(file)
    np.savez("set.npz", images=numpy_stream(0).integers(0, 256, (20, 90, 96), dtype=np.uint8), labels=np.arange(20) % 4)
    assert all(map(is_data, ("mine", "mine.zip", "set.npz", np.zeros((4, 2)))))
    Path("digits").mkdir()
    assert not is_data("digits") and is_data("./digits") and not is_data("mine.toml")
    zipped = chosen("mine.zip", Path("a"), CPU, SMALL).config
    assert zipped.data.name == "zip" and zipped.data.channels == 1 and not zipped.train.flip
    large = chosen("set.npz", Path("a"), CPU, SMALL).config
    assert large.data.reduce == 3 and large.network.classes == 4
    assert large.data.load("train").shape == (1, 30, 32)
    assert large.network.attention == (8,)  # a quarter of 30, rounded up
    assert folder_for("set.npz", None) == Path("runs/set") and folder_for("mine/", None) == Path("runs/mine")
    with pytest.raises(UsageError, match="give the folder"):
        folder_for(np.zeros((4, 2)), None)
    assert "nothing is named" in run("train", 2)
    assert "no file, folder or configuration is called 'nothing-here'" in run("train nothing-here", 2)
    assert "Did you mean 'mine.zip'?" in run("train mien.zip", 2) and "Did you mean 'mine'?" in run("train minne/", 2)


def test_what_the_user_sets_is_kept_and_the_rest_follows_from_it():
    pictures("mine", 40)
    config = chosen(
        "mine", Path("a"), CPU, ["data.size=64", "train.batch=7", "train.ema=123", "train.images=9000"]
    ).config
    assert config.data.size == 64 and config.network.multipliers == (1, 2, 2, 4) and config.network.attention == (8,)
    assert (config.train.batch, config.train.ema, config.train.images) == (7, 123, 9000)
    assert config.train.warmup < 9000
    other = chosen("mine", Path("a"), CPU, ["network.name=basic", "sde.name=sub-vp", *SMALL[3:]]).config
    assert other.network.name == "basic" and other.sde.name == "sub-vp"
    held = chosen("mine", Path("a"), CPU, ["data.held_out=0.5", *SMALL[3:]]).config
    assert len(held.data.load("test")) == 20


@pytest.mark.parametrize("side", [8, 12, 16, 28, 32, 48, 64, 100, 128, 256])
@pytest.mark.parametrize("device", ["cpu", "cuda"])
@pytest.mark.parametrize("channels", [1, 3])
def test_a_network_for_every_size_ends_at_8_pixels_or_fewer(side, device, channels):
    facts = Facts(data["digits"](), (channels, side, side), 5000, 0, True)
    tables = planned(facts, torch.device(device))
    config = configuration.parse({"data": {"name": "digits"}, **tables}, "")
    levels = len(config.network.multipliers)
    assert math.ceil(side / 2 ** (levels - 1)) <= 8
    if config.network.attention:
        assert config.network.attention == (math.ceil(side / 2 ** (levels - 1)),)


@pytest.mark.parametrize("shape", [(1, 1), (3, 64), (1, 1000), (1, 8, 8, 8), (2, 4, 40, 30), (5, 28, 28), (2,) * 5])
@pytest.mark.parametrize("device", ["cpu", "cuda"])
def test_series_maps_and_volumes_of_every_size_have_a_network(shape, device):
    tables = planned(Facts(data["digits"](), shape, 2000, 3, False), torch.device(device))
    config = configuration.parse({"data": {"name": "digits"}, **tables}, "")
    with torch.device("meta"):
        net = config.network.build(shape)
        assert net(torch.empty(2, *shape), torch.ones(2)).shape == (2, *shape)
    assert config.network.name == ("unet" if len(shape) < 5 else "mlp")


def test_sizes_are_those_of_the_device_and_never_above_those_of_the_pictures():
    assert [side_for(n, CPU) for n in (5, 9, 28, 30, 32, 500)] == [8, 8, 28, 28, 32, 32]
    assert [side_for(n, torch.device("cuda")) for n in (28, 500)] == [28, 64]


@pytest.mark.parametrize("images", [1, 10, 300, 7_000, 50_000, 10**7])
@pytest.mark.parametrize("speed", [1.0, 50.0, 5000.0, math.nan])
def test_every_length_of_a_run_has_intervals_that_fit_it(images, speed):
    config = configuration.load("digits", [])
    free = configuration.Config(config.data, config.sde, config.network, TrainOptions(batch=64))
    options = with_length(free, images, speed).train
    assert images / 2 <= options.images <= max(images, 64)
    assert options.warmup <= options.images and options.ema <= max(options.images, 64)
    assert options.log_every <= options.images and options.save_every <= options.images
    regular = options.images // options.sample_every
    first = sum(early(options, n) for n in range(64, min(options.sample_every, options.images) + 64, 64))
    if images <= 50_000 and math.isfinite(speed):  # the sheets take no more time than is planned beside the steps
        assert (regular + first) * plan.SHEET <= 0.3 * options.images / plan.SHARE, (regular, first)


def test_early_sheets_double_until_the_regular_ones_begin():
    options = TrainOptions(batch=10, sample_first=25, sample_every=150)
    assert [n for n in range(10, 400, 10) if early(options, n)] == [30, 50, 100]
    assert not any(early(TrainOptions(batch=10), n) for n in range(10, 10**6, 100_000))


def test_a_run_ends_within_its_time(run):
    pictures("mine", 30)
    begun = time.monotonic()
    text = run("train mine --time 6s data.size=8 network.channels=4 network.group_channels=4 --out run --device cpu")
    passed = time.monotonic() - begun
    assert passed < 30, passed  # which would be days without the limit; a busy machine pauses for seconds
    assert "Trained on" in text
    assert Path("run/model.safetensors").exists()
    seen = recorded_config(Path("run")).train.images
    assert seen >= 16


def test_the_time_ends_a_run_that_is_slower_than_was_measured(monkeypatch):
    pictures("mine", 30)
    monkeypatch.setattr(plan, "speed_of", lambda *_: 1e6)
    monkeypatch.setattr(trainer, "SPARE", 0.97)  # two seconds of training, and enough for a sheet on a busy machine
    begun = time.monotonic()
    overrides = ["data.size=8", "network.channels=4", "network.group_channels=4"]
    run = fit("mine", "run", seconds=60, overrides=overrides, device="cpu", progress=False)
    assert time.monotonic() - begun < 70
    assert run.state.images < run.config.train.images and run.checkpoints.any() and run.code == 0
    assert Path(f"run/samples/images_{run.state.images:09d}.png").exists()  # what it ended with is seen
    again = fit("run", overrides=[f"train.images={run.state.images + 64}"], device="cpu", progress=False)
    assert again.folder == Path("run") and again.state.images >= run.state.images + 64


def test_times_are_read(run):
    from scoresde.commands.train import seconds_of

    assert [seconds_of(t) for t in ("20m", "1h30m", "90s", "1H", None)] == [1200, 5400, 90, 3600, None]
    for bad in ("20", "m", "0m", "-5m", "1.5h", ""):
        with pytest.raises(UsageError, match="such as 20m"):
            seconds_of(bad)


def test_a_configuration_is_shortened_to_a_time(monkeypatch):
    monkeypatch.setattr(plan, "speed_of", lambda *_: 100.0)
    found = chosen("digits", Path("a"), CPU, [], seconds=60)
    assert found.config.train.images == 4000 and "4000 of 250000 images fit" in found.said[0]
    assert chosen("digits", Path("a"), CPU, [], seconds=1e6).config == configuration.load("digits")


def test_resume_names_a_run_and_takes_everything_from_it(run):
    pictures("mine", 24)
    run(f"train mine {' '.join(SMALL)} data.size=8 --out elsewhere/run --device cpu --quiet")
    before = recorded_config(Path("elsewhere/run"))
    assert "Trained on 128 images" in run("train --resume elsewhere/run train.images=128 --device cpu --quiet")
    assert "Trained on 192 images" in run("train --set train.images=192 --resume elsewhere/run --device cpu --quiet")
    after = recorded_config(Path("elsewhere/run"))
    assert after.train.images == 192 and after.network == before.network and after.data == before.data
    assert "leave out mine" in run("train mine --resume elsewhere/run", 2)
    assert "already holds a run" in run("train elsewhere/run --device cpu", 2)
    with pytest.MonkeyPatch.context() as patch:  # nothing is read or measured before
        patch.setattr("scoresde.commands.train.chosen", None)
        assert "already holds a run" in run("train mine --out elsewhere/run --device cpu", 2)
    text = run("train --resume elsewhere/run train.clip=3 train.images=256 --device cpu", 4)
    assert "other values of train.clip" in text and "--change" in text
    assert "Trained on 256" in run(
        "train --resume elsewhere/run train.clip=3 train.images=256 --change --device cpu --quiet"
    )
    assert "Trained on 256" in run("train mine --out elsewhere/run --resume --device cpu --quiet")


CHANGES = {
    "added": lambda: pictures("mine/more", 1, seed=5),
    "replaced": lambda: Image.new("RGB", (40, 30)).save("mine/000.png"),
    "one pixel": lambda: _touch("mine/003.png"),
    "taken away": lambda: Path("mine/000.png").unlink(),
    "renamed": lambda: Path("mine/000.png").rename("mine/999.png"),
}


def _touch(path):
    picture = Image.open(path).convert("RGB")
    picture.paste((0, 255, 0), (10, 10, 30, 20))
    picture.save(path)


def test_a_resume_notices_that_the_data_are_others(run, caplog):
    pictures("mine", 40)
    run(f"train mine {' '.join(SMALL)} data.size=8 data.held_out=0 --out run --device cpu --quiet")
    weights = Path("run/model.safetensors").read_bytes()
    line = "train --resume run train.images=80 --device cpu --quiet"
    shutil.copytree("mine", "whole")
    for what, change in CHANGES.items():
        shutil.rmtree("mine")
        shutil.copytree("whole", "mine")
        change()
        assert "the training images are not those" in run(line, 4), what
    assert Path("run/model.safetensors").read_bytes() == weights
    assert "Trained on 80" in run(f"{line} --change")
    assert "the run goes on with these" in caplog.text


def test_an_npz_written_anew_is_noticed_and_the_same_pixels_are_not(run):
    images = numpy_stream(0).integers(0, 256, (40, 8, 8), dtype=np.uint8)
    np.savez("set.npz", images=images)
    run(f"train set.npz {' '.join(SMALL)} --out run --device cpu --quiet")
    np.savez_compressed("set.npz", images=images)
    run("train --resume run train.images=80 --device cpu --quiet")
    np.savez("set.npz", images=images[::-1])
    assert "not those" in run("train --resume run train.images=96 --device cpu --quiet", 4)


def test_a_run_begins_with_the_weights_of_a_model(run):
    pictures("mine", 24, colour=False)
    said = run("train mine --init-from digits train.images=64 train.learning_rate=1e-9 --out run --device cpu")
    assert "24 pictures" in said and "are few" not in said  # whose advice is what was done
    bundled, ours = models.load("digits"), models.load("run")
    assert ours.options == bundled.options and ours.sde == bundled.sde and str(ours.predicts) == str(bundled.predicts)
    for name, value in bundled.net.state_dict().items():
        assert torch.allclose(ours.net.state_dict()[name], value, atol=1e-6)
    recipe = recipe_of("run")
    assert recipe["init_from"]["name"] == "digits"
    # A fresh run of the same options is elsewhere.
    network = "network.multipliers=[1,3] network.blocks=2"
    run(f"train mine train.images=64 {network} data.size=8 --out fresh --device cpu --quiet")
    a, b = models.load("fresh").net.state_dict(), bundled.net.state_dict()
    assert any(not torch.allclose(a[name], b[name], atol=1e-2) for name in b)


def test_a_model_that_does_not_fit_cannot_begin_a_run(run):
    pictures("mine", 24)
    assert "makes items of shape (1, 8, 8)" in run("train mine --init-from digits data.size=16 --device cpu", 2)
    text = run("train mine --init-from fashion --device cpu", 2)
    assert "fashion was trained with 10 classes, and the data have none" in text
    assert "its shape is" in run("train photos --init-from digits --out a --device cpu --quiet", 2)
    text = run("train digits --init-from digits network.channels=8 --out b --device cpu --quiet", 2)
    assert "its network is another" in text
    assert "its predicts is" in run("train digits --init-from digits train.predicts=v --out c --device cpu --quiet", 2)
    assert "no model folder or bundled model is called 'digit'" in run("train digits --init-from digit --out d", 2)


def test_python_takes_arrays_and_paths_as_data():
    images = numpy_stream(0).integers(0, 256, (40, 1, 8, 8), dtype=np.uint8)
    run = fit(images, "array", overrides=SMALL, device="cpu", progress=False)
    assert run.model.shape == (1, 8, 8) and run.state.images == 64
    again = fit(images, "array", overrides=["train.images=128"], device="cpu", progress=False)
    assert again.state.images == 128
    with pytest.raises(CheckpointError, match="the training images are not those"):
        fit(images[::-1].copy(), "array", overrides=["train.images=160"], device="cpu", progress=False)
    pictures("mine", 24)
    assert fit("mine", overrides=[*SMALL, "data.size=8"], device="cpu", progress=False).folder == Path("runs/mine")


def test_what_does_not_fit_the_images_is_adapted_with_a_word(caplog):
    config = configuration.load("digits", ["train.images=500"])
    few, many = (Tensors(np.arange(2.0 * n).reshape(n, 2), np.arange(n) % 9) for n in (50, 1500))
    assert adapted(configuration.load("digits"), many, 1) == configuration.load("digits") and not caplog.records
    with caplog.at_level(logging.WARNING):
        options = adapted(config, few, 1).train
    assert (options.batch, options.warmup) == (32, 50)
    assert "train.batch is 32 instead of 128" in caplog.text and "train.warmup is 50 instead of 10000" in caplog.text
    caplog.clear()
    for dropout, said in ((0.1, False), (0, True)):
        adapted(configuration.load("digits", ["network.classes=10", f"train.label_dropout={dropout}"]), many, 1)
        assert ("never sees an item without its class" in caplog.text) == said
    assert "1 of 10 classes have no training item (9)" in caplog.text
    assert adapted(configuration.load("digits", ["train.accumulate=4"]), few, 3).train.batch == 48
    assert adapted(configuration.load("digits", ["train.accumulate=64"]), few, 1).train.batch == 128  # cannot be


def test_warnings_are_kept_with_the_run_and_shown(monkeypatch, capsys):
    """Where nobody else listens, as on the command line and in most notebooks."""
    monkeypatch.setattr(logging.getLogger("scoresde"), "propagate", False)
    fit("digits", "run", overrides=[*SMALL, "train.warmup=100"], device="cpu", progress=False)
    for text in (Path("run/log.txt").read_text(), capsys.readouterr().err):
        assert text.count("train.warmup is 6 instead of 100") == 1
    assert not logging.getLogger("scoresde").handlers
    monkeypatch.setattr(logging.getLogger("scoresde"), "propagate", True)
    with _kept(Path("log.txt")):  # where someone listens, they print it, if anybody does
        logging.getLogger("scoresde").warning("once")
    assert re.fullmatch(r"[\d-]{10} [\d:]{8}[+-]\d\d:\d\d once\n", Path("log.txt").read_text())  # as lines of progress
    assert not capsys.readouterr().err


def test_a_dry_run_prints_what_would_be_trained(run):
    pictures("mine", 12)
    text = run(f"train mine {' '.join(SMALL)} --dry-run --device cpu")
    assert not Path("runs").exists()
    toml = text[text.index("[data]") :]
    Path("mine.toml").write_text(toml)
    assert configuration.load("mine.toml").train.images == 64


@pytest.mark.parametrize("name", configuration.names())
def test_a_configuration_explained_is_the_same_configuration(run, name):
    Path("explained.toml").write_text(run(f"configs {name}"), encoding="utf-8")
    assert configuration.load("explained.toml") == configuration.load(name)


def test_the_list_of_configurations(run):
    text = run("configs")
    assert all(name in text for name in configuration.names())
    assert "Did you mean 'digits'" in run("configs digit", 2)


def test_images_keep_their_class():
    assert isinstance(data["digits"]().load("train"), Images)


@pytest.mark.parametrize(
    ("instructions", "speeds", "overrides", "precision"),
    [
        (True, {"float32": 10.0, "bfloat16": 20.0}, [], "bfloat16"),
        (True, {"float32": 10.0, "bfloat16": 9.0}, [], "float32"),
        (False, {"float32": 10.0, "bfloat16": 20.0}, [], "float32"),
        (True, {"float32": 10.0, "bfloat16": 20.0}, ["train.precision=float32"], "float32"),
    ],
)
def test_16_bits_are_taken_where_they_are_faster(monkeypatch, instructions, speeds, overrides, precision):
    pictures("mine", 24)
    monkeypatch.setattr(plan, "has_bfloat16", lambda device: instructions)
    monkeypatch.setattr(plan, "speed_of", lambda config, *_: speeds[config.train.precision])
    found = chosen("mine", Path("run"), CPU, overrides, seconds=60)
    assert found.config.train.precision == precision and found.speed == speeds[precision]


def test_a_folder_that_is_called_like_a_configuration_is_named():
    pictures("photos", 3)
    found = chosen("photos", Path("run"), CPU, [])
    assert found.config == configuration.load("photos") and "folder is meant by photos/" in found.said[0]
    assert is_data("photos/") and not chosen("digits", Path("run"), CPU, []).said
