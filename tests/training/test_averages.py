"""Averages chosen after a training: against SciPy's laws and integrals, closed forms, and averages tracked directly."""

import json
import os
import signal
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy.integrate import quad
from scipy.stats import beta

from scoresde import models
from scoresde.core import files
from scoresde.core.errors import CheckpointError, NumericalError
from scoresde.training import config as configuration
from scoresde.training.averages import averaged
from scoresde.training.checkpoints import read
from scoresde.training.loop import start, train
from scoresde.training.profiles import Profile, combination, exponent, inner, share
from scoresde.training.run import Run
from scoresde.training.state import halved

SMALL = ["network.channels=4", "network.group_channels=4", "network.multipliers=[1]", "network.blocks=1"]
SMALL += ["train.batch=16", "train.images=320", "train.warmup=0", "train.snapshot_every=32"]
LINE = f"train digits {' '.join(SMALL)} --device cpu --quiet --out run"
BATCH_NORM = "train fashion-mnist-basic data.name=digits network.widths=[4,8] network.embedding=8 train.batch=16 "
BATCH_NORM += "train.images=96 train.evaluate_every=0 train.snapshot_every=32 --device cpu --quiet --out "
CPU = torch.device("cpu")


def config(*assignments):
    return configuration.load("digits", [*SMALL, *assignments])


def snapshots(folder="run"):
    return sorted((Path(folder) / "snapshots").glob("step_*"))


def law(width, images=1.0):
    """The profile as SciPy's beta law, whose density is (γ + 1) τ^γ on [0, 1]."""
    return beta(exponent(width) + 1, 1, scale=images)


def spread(width, count, end):
    """Profiles of snapshots at regular intervals of a run of length 1, of the two usual widths, and another."""
    tracked = [Profile(exponent(w), (i + 1) / count) for i in range(count) for w in (0.05, 0.1)]
    return tracked, Profile(exponent(width), end)


@pytest.mark.parametrize("width", [0.001, 0.05, 0.1, 0.2, 0.288])
def test_the_width_is_the_deviation_of_the_profile(width):
    assert law(width).std() == pytest.approx(width, rel=1e-9)
    assert exponent(width) > 0


def test_the_papers_two_exponents():
    assert [round(exponent(width), 2) for width in (0.05, 0.1)] == [16.97, 6.94]


@pytest.mark.parametrize("width", [0.03, 0.1, 0.25])
@pytest.mark.parametrize("batch", [1, 48])
def test_a_step_weighs_the_weights_with_the_profile_over_it(width, batch):
    """Of θ(τ) = τ^k, held for a step, and in the limit of small steps (γ + 1)/(γ + k + 1)."""
    steps, power = 500, 1.7
    mean, held = 123.0, []  # what was there before the first step does not count
    for step in range(1, steps + 1):
        held.append((step / steps) ** power)
        mean += share(width, batch, batch * step) * (held[-1] - mean)
    edges = law(width).cdf(np.linspace(0, 1, steps + 1))
    assert mean == pytest.approx(np.diff(edges) @ held, rel=1e-12)
    γ = exponent(width)
    assert mean == pytest.approx(
        (γ + 1) / (γ + power + 1), rel=1.5 * power / steps / 2
    )  # half a step late, to first order


@pytest.mark.parametrize(("a", "b"), [((0.05, 0.4), (0.1, 1.0)), ((0.1, 1.0), (0.05, 0.4)), ((0.2, 0.7), (0.2, 0.7))])
def test_inner_products_are_integrals(a, b):
    found = inner(*(Profile(exponent(width), images) for width, images in (a, b)))
    end = min(a[1], b[1])
    assert found == pytest.approx(quad(lambda x: law(*a).pdf(x) * law(*b).pdf(x), 0, end, epsrel=1e-11)[0], rel=1e-9)


@pytest.mark.parametrize("images", [1.0, 2.5e5])
@pytest.mark.parametrize("place", [0, 7, 18, 19])
def test_a_tracked_profile_is_found_exactly(place, images):
    profiles = [p._replace(images=p.images * images) for p in spread(0.05, 10, 1.0)[0]]
    shares, error = combination(profiles, profiles[place])
    assert shares == pytest.approx(np.eye(20)[place], abs=1e-9) and error < 1e-6


@pytest.mark.parametrize(("width", "end"), [(0.03, 1.0), (0.07, 1.0), (0.15, 0.8), (0.25, 1.0), (0.12, 0.77)])
def test_a_combination_is_the_nearest_of_those_that_keep_constants(width, end):
    """By least squares on a grid of 50,000 points, with the last share as 1 minus the others."""
    profiles, target = spread(width, 10, end)
    shares, error = combination(profiles, target)
    assert sum(shares) == pytest.approx(1.0, abs=1e-9)
    x = (np.arange(50_000) + 0.5) / 50_000
    p, *parts = (beta(each.exponent + 1, 1, scale=each.images).pdf(x) for each in (target, *profiles))
    rest = np.array(parts[:-1]).T - parts[-1][:, None]
    expected = np.linalg.lstsq(rest, p - parts[-1], rcond=None)[0]
    assert shares[:-1] == pytest.approx(expected, abs=0.01 * np.abs(expected).max())
    off = np.array(parts).T @ shares - p
    assert error == pytest.approx(np.sqrt((off @ off) / (p @ p)), rel=5e-3)


@pytest.mark.parametrize("power", [0.0, 0.5, 1.0, 3.0])
@pytest.mark.parametrize(("width", "most"), [(0.03, 0.03), (0.07, 3e-3), (0.15, 6e-3), (0.2, 0.016)])
def test_widths_that_were_not_tracked_average_a_known_trajectory(width, most, power):
    """Of θ(τ) = τ^k the average is (γ + 1)/(γ + k + 1) n^k; the error is at most that of the profile, by Schwarz.

    The profile's error with 20 snapshots is a float64 calculation of its own, rounded up.
    """
    profiles, target = spread(width, 20, 1.0)
    shares, error = combination(profiles, target)

    def mean(p):
        return (p.exponent + 1) / (p.exponent + power + 1) * p.images**power

    found = sum(x * mean(p) for x, p in zip(shares, profiles, strict=True))
    deviation = np.sqrt(1 / (2 * power + 1) - 1 / (power + 1) ** 2)  # of τ^k on [0, 1]
    assert error < most
    assert abs(found - mean(target)) <= error * np.sqrt(inner(target, target)) * deviation + 1e-9


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A run with snapshots, and the weights after each of its steps in float64, (steps, weights)."""
    folder, chosen = (
        tmp_path_factory.mktemp("averages") / "run",
        config("train.widths=[0.05,0.1,0.2]", "train.learning_rate=0.03"),
    )
    run, held = Run(folder, chosen, {}), []
    state = start(chosen, (1, 8, 8), CPU)
    run.open(state)
    for _ in train(chosen, chosen.data.load("train"), state):
        held.append(flat(state.model))
        if state.step % 2 == 0:
            run.take(state)
    run.save(state)
    return folder, state, torch.stack(held)


def flat(model):
    return torch.cat([p.detach().flatten().double() for p in model.net.parameters()])


def test_a_training_tracks_the_profiles(trained):
    _, state, held = trained
    for width, mean in zip((0.05, 0.1, 0.2), state.powers, strict=True):
        edges = torch.from_numpy(np.diff(law(width).cdf(np.linspace(0, 1, len(held) + 1))))
        # 20 steps, each rounded to float32
        assert torch.allclose(flat(mean), edges @ held, rtol=0, atol=20 * 2**-24 * held.abs().max().item())


@pytest.mark.parametrize(("width", "end", "place"), [(0.05, None, 0), (0.1, 160, 1), (0.2, 320, 2)])
def test_a_tracked_average_is_that_of_its_snapshot(trained, width, end, place):
    folder, _, held = trained
    found = averaged(folder, width, end)
    count = (end or 320) // 16
    edges = torch.from_numpy(np.diff(law(width).cdf(np.linspace(0, 1, count + 1))))
    expected = edges @ held[:count]
    assert found.images == 16 * count and found.error < 1e-6
    # Half precision: 11 bits, or the step of its smallest numbers.
    assert ((flat(found.model) - expected).abs() <= 2**-11 * expected.abs() + 2**-24).all()


@pytest.mark.parametrize(("width", "end"), [(0.07, 320), (0.14, 320), (0.08, 160), (0.15, 200)])
def test_other_averages_are_near_what_tracking_them_gives(trained, width, end):
    folder, _, held = trained
    found = averaged(folder, width, end)
    edges = torch.from_numpy(np.diff(law(width, end).cdf(np.linspace(0, 320, len(held) + 1))))
    expected, p = edges @ held, law(width).pdf
    length = np.sqrt(quad(lambda x: p(x) ** 2, 0, 1)[0] / end * 320)  # of the profile, in shares of the run
    bound = found.error * length * held.std(dim=0, correction=0)
    rounding = 2**-11 * 10 * held.abs().amax(dim=0) + 2**-20  # the shares of the snapshots are at most ten in all
    assert ((flat(found.model) - expected).abs() <= bound + rounding).all()
    assert (expected - held[-1]).abs().max() > 3 * (flat(found.model) - expected).abs().max()


def test_weights_too_large_for_half_precision_are_kept_whole():
    state = start(config(), (1, 8, 8), CPU)
    large, weight = next(state.powers[0].net.named_parameters())
    weight.data.view(-1)[0] = 1e5
    found = halved(state)
    assert {str(x.dtype) for x in found.values()} == {"torch.float16", "torch.float32"}
    assert [name for name, x in found.items() if x.dtype == torch.float32] == [f"power1.{large}"]
    assert found[f"power1.{large}"].view(-1)[0] == 1e5


def test_buffers_are_those_of_the_weights_at_the_end(run):
    run(f"{BATCH_NORM} run")
    held = [read(path).tensors for path in snapshots()]
    names = [name for name in held[0] if "running" in name or "tracked" in name]
    assert names and all(held[0][name].dtype != torch.float16 for name in names)
    for at, place in ((64, 1), (80, 1), (96, 2), (9, 0)):
        state = averaged("run", 0.1, at).model.net.state_dict()
        assert all(
            torch.equal(state[n.removeprefix("power1.")], held[place][n]) for n in names if n.startswith("power1.")
        )


def test_a_kill_between_a_snapshot_and_a_checkpoint_changes_nothing(run, monkeypatch):
    """As if killed there: the run goes on from the checkpoint before, and writes the same snapshots, each once."""
    run(f"{LINE.replace('--out run', '--out whole')} train.save_every=96")
    save = Run.save

    def killed(self, state):
        if state.images == 288:
            raise NumericalError("killed")
        save(self, state)

    monkeypatch.setattr(Run, "save", killed)
    run(f"{LINE} train.save_every=96", 5)
    (snapshots()[-1].with_name("step_000000099.tmp")).mkdir()
    assert [path.name for path in snapshots()][-2:] == ["step_000000018", "step_000000099.tmp"]
    monkeypatch.setattr(Run, "save", save)
    run(f"{LINE} train.save_every=96 --resume")
    assert [path.name for path in snapshots()] == [path.name for path in snapshots("whole")]
    assert len(snapshots()) == 10
    for mine, theirs in zip(snapshots(), snapshots("whole"), strict=True):
        assert (mine / "state.sha256").read_text() == (theirs / "state.sha256").read_text()
        read(mine)


def test_an_interrupted_run_takes_no_snapshot_between_two(run, monkeypatch):
    """What it leaves is what a run that went through would have left by then."""

    def stopped(self, state, loss):
        if state.images == 80:
            os.kill(os.getpid(), signal.SIGTERM)

    monkeypatch.setattr(Run, "log", stopped)
    assert "Stopped at 96 images" in run(f"{LINE} train.log_every=16 train.snapshot_every=64", 143)
    assert [path.name for path in snapshots()] == ["step_000000004"]


def test_snapshots_later_than_the_checkpoint_are_removed(run):
    run(LINE)
    chosen = config()
    state = start(chosen, (1, 8, 8), CPU)
    state.step, state.images = 5, 80
    Run(Path("run"), chosen, {}).open(state)
    assert [path.name for path in snapshots()] == ["step_000000002", "step_000000004"]


def test_the_end_is_a_snapshot_and_without_the_option_there_is_none(run):
    run(f"{LINE} train.images=160 train.snapshot_every=96")
    assert [path.name for path in snapshots()] == ["step_000000006", "step_000000010"]
    run(f"{LINE.replace('--out run', '--out plain')} train.images=160 train.snapshot_every=0")
    assert not Path("plain/snapshots").exists()
    plain, watched = (read(next(Path(f).glob("checkpoints/*"))).tensors for f in ("plain", "run"))
    assert plain.keys() == {name for name in watched if not name.startswith("power")}
    assert all(torch.equal(watched[name], value) for name, value in plain.items())


def test_damage_is_seen(run):
    run(LINE)
    state = snapshots()[3] / "state.safetensors"
    content = bytearray(state.read_bytes())
    content[len(content) // 2] ^= 1
    state.write_bytes(content)
    assert "is damaged: its sha256 is not the one" in run("average run --width 0.1", 4)
    assert not list(Path("run").glob("width*"))


def test_another_network_is_refused(run):
    run(LINE)
    run(f"{BATCH_NORM} other")
    snapshots("other")[-1].rename("run/snapshots/step_000000099")
    with pytest.raises(CheckpointError, match="is of another network than the model of run"):
        averaged("run", 0.1)


def test_the_command_writes_models_and_measures_them(run):
    run(LINE)
    said = json.loads(run("average run --width 0.05 --width 0.15 --metric fd --samples 20 --json --device cpu"))
    assert [(row["width"], row["images"], row["model"]) for row in said] == [
        (0.05, 320, "run/width_0.05"),
        (0.15, 320, "run/width_0.15"),
    ]
    distances = [row[key] for row in said for key in row if key.startswith("FD[digits@")]
    assert len(set(distances)) == 2
    assert torch.equal(flat(models.load("run/width_0.15")), flat(averaged("run", 0.15).model))
    recipe = files.read_json(Path("run/width_0.15/config.json"))["recipe"]
    assert recipe["average"]["width"] == 0.15 and recipe["images"] == 320 and recipe["data"]["name"] == "digits"
    run("average run --width 0.1 --at 160")
    assert torch.equal(flat(models.load("run/width_0.1_at_160")), flat(averaged("run", 0.1, 160).model))
    run("average run --width 0.1 --out mine")
    assert models.load("mine").shape == (1, 8, 8)


def test_what_cannot_be_averaged_is_refused(run):
    run(f"{LINE} train.images=64")
    assert "must be above 0 and below 0.289, got 0.3" in run("average run --width 0.07 --width 0.3", 2)
    assert not Path("run/width_0.07").exists()
    assert "reach from 1 to 64 images, got 65" in run("average run --width 0.1 --at 65", 2)
    assert "is the folder of one width, got 2" in run("average run --width 0.1 --width 0.2 --out x", 2)
    assert "is the run itself" in run("average run --width 0.1 --out ./run", 2)
    models.save(models.load("digits"), Path("other"))
    assert "other holds another model" in run("average run --width 0.1 --out other", 2)
    assert "needs at least 3 samples" in run("average run --width 0.1 --samples 2 --metric fd", 2)
    assert "widths.0 must be less than 0.288675, got 0.3" in run(
        f"{LINE.replace('--out run', '--out wide')} train.widths=[0.3]", 2
    )
    for change in ("train.snapshot_every=0", "train.widths=[0.05]"):
        assert "other values of train." in run(f"{LINE} train.images=128 {change} --resume --change", 4)
    run(f"{LINE.replace('--out run', '--out given')} train.images=64 train.condition=inpaint network.extra_channels=2")
    assert "are of networks without a condition, and given has inpaint" in run(
        "average given --width 0.1 --samples 9", 2
    )
    run(f"{LINE.replace('--out run', '--out plain')} train.images=64 train.snapshot_every=0")
    assert "holds no snapshots: train with train.snapshot_every, such as 16" in run("average plain --width 0.1", 2)
