"""The covariance that a training keeps: that of `scoresde stats`, at once usable, and never in anybody's way."""

import logging
import signal
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

import scoresde
from scoresde.core.errors import ResourceError
from scoresde.core.files import read_json
from scoresde.core.random import numpy_stream
from scoresde.data import Tensors, data
from scoresde.data.recipes import images_of
from scoresde.posterior import store
from scoresde.training import covariances
from scoresde.training.fit import fit

SMALL = "network.channels=4 network.group_channels=4 network.multipliers=[1] network.blocks=1".split()
SMALL += "train.batch=16 train.images=64 train.log_every=32 train.warmup=16".split()


@pytest.fixture(autouse=True)
def elsewhere(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def short(*overrides, folder="out", **options):
    return fit("digits", folder, overrides=[*SMALL, *overrides], progress=False, device="cpu", **options)


def noise(count=32, channels=1, seed=0):
    return numpy_stream(seed).integers(0, 256, (count, channels, 8, 8), dtype=np.uint8)


def same(one, two):
    return one.keys() == two.keys() and all(
        torch.equal(a, b)
        for kind in one
        for a, b in zip(
            (one[kind].variances, *one[kind].factors), (two[kind].variances, *two[kind].factors), strict=True
        )
    )


def test_it_is_what_stats_writes_and_what_numpy_says(run):
    short("train.ema_also=[100]")
    found = store.every(Path("out"))
    assert set(found) == {"channel", "dct"} and same(found, store.every(Path("out/ema_100")))
    record = read_json(Path("out/covariance.json"))
    assert record["data"] == "digits train" and record["images"] == len(data["digits"]().load("train"))
    x = data["digits"]().load("train").scaled().double().numpy()
    (variance,) = found["channel"].variances.flatten().tolist()
    assert abs(variance - x.var(0).mean()) < 1e-6
    run("stats out --quiet")
    assert same(found, store.every(Path("out")))


def test_run_and_folder_are_conditioned_at_once(run):
    trained = short()
    top = torch.zeros(8, 8)
    top[:4] = 1
    image = scoresde.sample("digits", n=1).images
    drawn = [
        scoresde.sample(scoresde.condition(model, top, image), "dpm++", n=2, steps=3)
        for model in (trained.model, "out", scoresde.load("out", "cpu"))
    ]
    assert all(torch.equal(one.x, drawn[0].x) for one in drawn) and bool(drawn[0].x.isfinite().all())
    Image.fromarray(noise(1)[0, 0]).save("a.png")
    run("inpaint a.png --model out --box 2,2,6,6 -n 1 --out filled --quiet")
    assert Path("filled/inpaint.json").exists()


def test_colour_comes_at_once(run):
    short(images=noise(channels=3))
    Image.fromarray(noise(1)[0, 0]).save("a.png")
    run("colourise a.png --model out -n 1 --out coloured --quiet")
    assert Path("coloured/colourise.json").exists()


def test_what_stats_has_written_stays_and_what_is_of_other_images_goes(run):
    def on(images, seed, **options):
        np.savez("a.npz", images=noise(seed=seed))
        short("data.name=npz", "data.path=a.npz", f"train.images={images}", **options)
        return store.every(Path("out"))

    first = on(64, 0)
    written = Path("out/covariance.safetensors").stat().st_mtime_ns
    assert same(first, on(96, 0)) and Path("out/covariance.safetensors").stat().st_mtime_ns == written
    assert not same(first, on(128, 1, change=True))
    run("stats out --data digits --kinds full --quiet")
    assert set(on(160, 2, change=True)) == {"full"}


def test_data_that_were_changed_since_the_training_are_warned_of(caplog):
    """One more image of a file deals the held-out ones anew, so that most of them were trained on."""
    np.savez("a.npz", images=noise())
    short("data.name=npz", "data.path=a.npz", "train.images=16")
    recipe = read_json(Path("out/config.json"))["recipe"]
    before = {split: images_of(recipe, "out", None, split)[1].pixels for split in ("train", "test")}
    assert not caplog.messages
    np.savez("a.npz", images=np.concatenate([noise(), noise(1, seed=1)]))
    learned = {bytes(x.numpy()) for x in before["train"]}
    assert learned & {bytes(x.numpy()) for x in images_of(recipe, "out", None, "test")[1].pixels}
    assert [message.endswith("now; some may have been trained on") for message in caplog.messages] == [True]
    images_of(recipe, "out", None, "train")
    assert "the training data of a.npz are not those of the training of out" in caplog.messages[1]
    images_of(recipe, "out", "npz:path=a.npz,held_out=0.5", "test")
    assert len(caplog.messages) == 2


def test_a_run_without_a_step_writes_none():
    short()
    Path("out/covariance.json").unlink()
    assert short().code == 0 and not Path("out/covariance.json").exists()
    stopped = short(folder="stopped", callbacks=[lambda state: signal.raise_signal(signal.SIGTERM)])
    assert stopped.code and not Path("stopped/covariance.json").exists()
    assert not short(folder="stopped").code and Path("stopped/covariance.json").exists()


def test_no_failure_ends_a_training(monkeypatch, caplog):
    for number, error in enumerate([ResourceError("the disk is full"), RuntimeError("no convergence"), MemoryError()]):

        def fails(*_, error=error):
            raise error

        monkeypatch.setattr(store, "save", fails)
        with caplog.at_level(logging.WARNING):
            assert short(folder=str(number)).state.images == 64
        assert "the covariance of the images was not kept, and `scoresde stats` can make it" in caplog.text
        caplog.clear()


def test_few_values_of_many_images_are_enough(monkeypatch):
    monkeypatch.setattr(covariances, "VALUES", 640)
    short(images=noise(64))
    assert read_json(Path("out/covariance.json"))["images"] == 10
    monkeypatch.setattr(covariances, "VALUES", 1)
    short(images=noise(64), folder="least")
    assert read_json(Path("least/covariance.json"))["images"] == 2


def test_other_data_have_none(caplog):
    draw = torch.from_numpy(numpy_stream(0).normal(size=(32, 1, 8, 8)))
    short(images=Tensors(draw))
    short(images=noise(1), folder="one")
    short("train.condition=inpaint", "network.extra_channels=2", images=noise(), folder="trained")
    assert not list(Path().rglob("covariance.*")) and "covariance" not in caplog.text
