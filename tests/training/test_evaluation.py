"""What is measured while a network trains: against known losses, and by the commands that measure it afterwards."""

import json
import math
import shutil
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from scoresde import models
from scoresde.commands.plot import curves
from scoresde.core.random import generators
from scoresde.images.sheets import to_uint8
from scoresde.likelihood import nll
from scoresde.metrics import metrics
from scoresde.metrics.extractors import BUNDLED
from scoresde.models.network import NetworkModel
from scoresde.observations.masks import holes, masks
from scoresde.sampling.sample import sample
from scoresde.solvers import solvers
from scoresde.training import config as configuration
from scoresde.training.evaluation import Evaluation
from scoresde.training.loop import start, train

SMALL = ["network.channels=4", "network.group_channels=4", "network.multipliers=[1]", "network.blocks=1"]
SMALL += ["train.batch=16", "train.images=160"]
LINE = f"train digits {' '.join(SMALL)} --device cpu --quiet --out run"
CPU = torch.device("cpu")


def config(*assignments):
    return configuration.load("digits", [*SMALL, *assignments])


def evaluation(chosen):
    return Evaluation(chosen, chosen.data.load("train"), CPU)


def lines(folder="run"):
    return [json.loads(line) for line in (Path(folder) / "metrics.jsonl").read_text().splitlines()]


@pytest.mark.parametrize("buckets", [3, 4])
def test_losses_are_told_apart_by_time(buckets):
    """An output of 0 leaves E|z|² = 1 per value, one of 3 leaves E|z - 3|² = 10."""

    class Late(torch.nn.Module):
        def forward(self, x, label):
            return torch.where(label[:, None, None, None] >= 999 / buckets, 3.0, 0.0).expand_as(x)

    chosen = config(f"train.buckets={buckets}", "train.evaluate_images=297")
    found = evaluation(chosen)(NetworkModel(Late(), chosen.sde, (1, 8, 8)))
    # 297 images of 64 values: the standard error of |z - 3|² is √(2 + 36)/√(297 · 64/3) = 0.08.
    assert found["buckets"] == pytest.approx([1.0] + [10.0] * (buckets - 1), rel=0.04)
    assert found["held_out"] == pytest.approx(1 + 9 * (buckets - 1) / buckets, rel=0.04)
    assert set(found) == {"held_out", "buckets"}


def test_the_parts_of_a_chain_are_those_of_its_steps():
    """With the cosine schedule the times of its levels are far from even."""

    class Late(torch.nn.Module):
        def forward(self, x, label):
            return torch.where(label[:, None, None, None] > 99.5, 3.0, 0.0).expand_as(x)

    chosen = config("sde.name=ddpm", "sde.steps=300", "sde.schedule=cosine", "train.evaluate_images=300")
    model = NetworkModel(Late(), chosen.sde, (1, 8, 8))
    assert evaluation(chosen)(model)["buckets"] == pytest.approx([1.0, 10.0, 10.0], rel=0.05)


def test_a_part_of_the_process_without_images_has_no_loss():
    chosen = config("train.buckets=9", "train.evaluate_images=4")
    judge, model = evaluation(chosen), start(chosen, (1, 8, 8), CPU).ema
    buckets = judge(model)["buckets"]
    assert len(buckets) == 9 and buckets.count(None) == 5
    for weight in model.parameters():
        weight.fill_(math.nan)
    assert json.loads(json.dumps(judge(model), allow_nan=False))["held_out"] is None  # JSON knows no NaN


def test_labels_are_shown_and_nothing_is_mirrored():
    chosen = config("network.classes=10", "train.label_dropout=0.9", "train.flip=true", "train.evaluate_images=64")
    batch, held = evaluation(chosen).batch, chosen.data.load("test")
    assert not batch.hidden.any() and batch.labels.bincount().tolist() == held.drawn(64).labels.bincount().tolist()
    assert {x.numpy().tobytes() for x in batch.images} == {x.numpy().tobytes() for x in held.drawn(64).scaled()}


def test_a_set_that_is_sorted_by_class_is_judged_by_all_classes(tmp_path, monkeypatch):
    """Of 300 images of ten classes in order, 60 are drawn: each class has 6 ± 2.1; the first 60 have two."""
    labels = np.arange(300) // 30
    np.savez(tmp_path / "set.npz", images=np.broadcast_to(labels[:, None, None] * 20, (300, 8, 8)).astype(np.uint8))
    monkeypatch.setattr("scoresde.training.evaluation.REFERENCE", 60)
    path = f"{tmp_path}/set.npz"
    there = ["data.name=npz", f"data.path={path}", f"data.test_path={path}", "train.evaluate_images=60"]
    found = evaluation(config(*there, "train.evaluate_samples=9"))
    for images in (found.batch.images, found.reference.float() / 127.5 - 1):
        each = ((images[:, 0, 0, 0] + 1) * 127.5 / 20).round().long().bincount(minlength=10)
        assert len(images) == 60 and 1 <= each.min() and each.max() <= 12


def test_distance_and_likelihood_are_those_of_the_functions_that_measure_them():
    chosen = config("train.evaluate_samples=70", "train.evaluate_nll=2")
    model = start(chosen, (1, 8, 8), CPU).ema
    found = evaluation(chosen)(model)
    x = torch.cat([sample(model, solvers["adams"](), model.prior(generators(r))).x for r in (range(64), range(64, 70))])
    train_images, held = (chosen.data.load(split) for split in ("train", "test"))
    (distance,) = metrics["fd"]().measure(to_uint8(x), to_uint8(train_images.scaled()))
    assert found[distance.name] == pytest.approx(distance.value, rel=1e-5) and distance.name.startswith("FD[digits@")
    assert found["bits_per_dim"] == pytest.approx(nll(model, held.drawn(2).pixels, levels=held.levels).value, rel=1e-5)


def test_further_metrics_are_of_the_same_samples():
    chosen = config("train.evaluate_samples=20", 'train.evaluate_metrics=["sw","kd"]')
    model = start(chosen, (1, 8, 8), CPU).ema
    found = evaluation(chosen)(model)
    x = to_uint8(sample(model, solvers["adams"](), model.prior(generators(range(20)))).x)
    real = to_uint8(chosen.data.load("train").scaled())
    for (theirs,) in (metrics["sw"]().measure(x, real), metrics["kd"]().measure(x, real)):
        assert found[theirs.name] == pytest.approx(theirs.value, rel=1e-4, abs=1e-6)
    assert [name.split("[")[0] for name in found] == ["held_out", "buckets", "FD", "SW", "KD"]


def test_an_extractor_is_named_or_fits_or_the_pixels_are_compared(tmp_path):
    asked = "train.evaluate_samples=9"
    assert evaluation(config(asked)).metrics[0].source().startswith("digits@")
    shutil.copytree(BUNDLED / "digits", tmp_path / "mine")
    assert evaluation(config(asked, f"train.extractor={tmp_path / 'mine'}")).metrics[0].source().startswith("mine@")
    photos = configuration.load("photos", [asked])
    assert Evaluation(photos, photos.data.load("test"), CPU).metrics[0].source() == "pixels"


def test_a_run_that_evaluates_ends_with_the_weights_of_one_that_does_not(run):
    run(LINE.replace("run", "plain"))
    run(f"{LINE} train.evaluate_every=96 train.evaluate_samples=5 train.evaluate_nll=1")
    plain, watched = (models.load(folder).net.state_dict() for folder in ("plain", "run"))
    assert all(torch.equal(watched[name], value) for name, value in plain.items())
    rows = [line for line in lines() if "held_out" in line]
    assert [line["images"] for line in rows] == [96, 160]
    assert all(len(line["buckets"]) == 3 and line["bits_per_dim"] > 0 for line in rows)


def test_what_cannot_be_measured_is_refused_before_the_first_step(run):
    asked = "train.evaluate_every=16 train.evaluate_samples"
    assert "needs at least 3 samples" in run(f"{LINE} {asked}=2", 2)
    assert "no folder or bundled extractor is called 'digit'" in run(f"{LINE} {asked}=9 train.extractor=digit", 2)
    fid = 'train.evaluate_metrics=["fid:weights=nowhere.pth"]'
    assert "nowhere.pth" in run(f"{LINE} {asked}=9 {fid}", 4)
    assert "no metric is called 'fidd'" in run(f'{LINE} {asked}=9 train.evaluate_metrics=["fidd"]', 2)
    assert "say how many by train.evaluate_samples" in run(f'{LINE} {asked}=0 train.evaluate_metrics=["sw"]', 2)
    assert not Path("run/checkpoints").exists()


def test_a_conditional_network_is_drawn_and_measured_with_what_it_is_given(run):
    asked = "train.evaluate_every=160 train.evaluate_samples=5 train.evaluate_nll=1"
    run(f"{LINE} train.condition=inpaint network.extra_channels=2 {asked}")
    assert list(Path("run/samples").glob("*.png")) and any(key.startswith("FD[") for key in lines()[-1])
    model, one = models.load("run"), config().data.load("test").drawn(1)
    found = nll(model, one.pixels, levels=17, known=holes(masks["freeform"](), (1, 8, 8), 1, 0))
    assert lines()[-1]["bits_per_dim"] == pytest.approx(found.value, rel=1e-4)


def test_every_average_is_what_it_would_be_alone(run):
    run(f"{LINE} train.ema=4000 train.ema_also=[20,400]")
    assert [line["images"] for line in lines()] == [160]
    for half_life in (20, 400):
        run(f"{LINE.replace('--out run', f'--out alone{half_life}')} train.ema={half_life}")
        alone = models.load(f"alone{half_life}").net.state_dict()
        among = models.load(f"run/ema_{half_life}").net.state_dict()
        assert all(torch.equal(among[name], value) for name, value in alone.items())
    run(f"{LINE} train.ema=4000 train.ema_also=[20,400] train.images=320 --resume")
    before = among["conv_in.weight"]
    assert not torch.equal(models.load("run/ema_400").net.state_dict()["conv_in.weight"], before)
    assert "train.ema_also" in run(f"{LINE} train.ema=4000 train.ema_also=[20] train.images=320 --resume --change", 4)


def test_averages_survive_a_resume(tmp_path):
    from scoresde.training.run import Run

    chosen = config("train.ema_also=[20,400]")
    whole = start(chosen, (1, 8, 8), CPU)
    images = chosen.data.load("train")
    for state in train(chosen, images, whole):
        if state.step == 4:
            Run(tmp_path, chosen, {}).save(state)
    again = start(chosen, (1, 8, 8), CPU)
    Run(tmp_path, chosen, {}).resume(again)
    for _ in train(chosen, images, again):
        pass
    for mean, expected in zip(again.also, whole.also, strict=True):
        assert all(map(torch.equal, mean.parameters(), expected.parameters()))


def test_tensorboard_reads_what_the_log_says(run):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    run(f"{LINE} train.tensorboard=true train.log_every=32 train.evaluate_every=80")
    events = EventAccumulator("run/tensorboard").Reload()
    logged = [line for line in lines() if "loss" in line]
    assert [(e.step, pytest.approx(e.value)) for e in events.Scalars("loss")] == [
        (line["images"], line["loss"]) for line in logged
    ]
    assert [e.step for e in events.Scalars("buckets/2")] == [80, 160] and len(events.Images("samples")) == 1


def test_a_missing_tensorboard_is_named(run, monkeypatch):
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", None)
    assert "pip install 'scoresde[tensorboard]'" in run(f"{LINE} train.tensorboard=true", 2)


def test_the_curves_of_a_run_are_drawn(run):
    run(f"{LINE} train.log_every=16 train.evaluate_every=80")
    assert "loss, gradient norm, learning rate, held-out loss by time over images" in run("plot run")
    with Image.open("run/curves.png") as picture:
        assert picture.format == "PNG" and picture.width > 500
    assert "--out must end in .png, got run/curves.pdf" in run("plot run --out run/curves.pdf", 2)
    found = curves(lines())
    assert [point.x for point in found["loss"]["loss"]] == list(range(16, 161, 16))
    assert [point.y for point in found["loss"]["held out"]] == [x["held_out"] for x in lines() if "held_out" in x]
    assert list(found["held-out loss by time"]) == ["t in 0 to 0.33", "t in 0.33 to 0.67", "t in 0.67 to 1"]
    assert "has no metrics.jsonl" in run("plot nothing", 3)
