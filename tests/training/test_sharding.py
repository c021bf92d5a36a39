"""Training with weights that are spread over processes: what one process computes, and checkpoints of many files."""

import json
import logging
import resource
import subprocess
from dataclasses import replace
from pathlib import Path

import forked
import pytest
import torch
from safetensors.torch import load_file
from torch import nn

from scoresde import models
from scoresde.core.errors import CheckpointError, ResourceError, UsageError
from scoresde.networks.basic import BasicOptions
from scoresde.networks.unet import UNetOptions
from scoresde.training import config as configuration
from scoresde.training import sharding
from scoresde.training.checkpoints import read
from scoresde.training.loop import start, train
from scoresde.training.run import Run
from scoresde.training.state import halved, taken

SMALL = ["network.channels=4", "network.group_channels=4", "network.multipliers=[1,1]", "network.blocks=1"]
SMALL += ["train.batch=12", "train.images=36", "train.warmup=24", "train.decay=0"]
BASIC = BasicOptions(widths=(4, 8), embedding=8)


def config(*assignments, shard="true", network=None):
    chosen = configuration.load("digits", [*SMALL, f"train.shard={shard}", *assignments])
    return replace(chosen, network=network) if network else chosen


def fresh(chosen):
    return start(chosen, (1, 8, 8), torch.device("cpu"))


def steps(chosen, state):
    yield from train(chosen, chosen.data.load("train"), state)


def finish(chosen, state):
    for _ in steps(chosen, state):
        pass
    return state


def everything(state):
    """All that a checkpoint would hold, whole."""
    return {name: sharding.everything(x) for name, x in taken(state).items()}


def same(one, other):
    assert one.keys() == other.keys()
    return all(torch.equal(value, other[name]) for name, value in one.items())


def apart(one, other):
    """The largest difference between two trainings, in what is trained, averaged and kept by the optimiser."""
    assert one.keys() == other.keys() and all(x.shape == other[name].shape for name, x in one.items())
    return max(((x.double() - other[name].double()).abs().max().item() for name, x in one.items()), default=0.0)


@pytest.fixture
def group():
    """A process group of this process alone, in which weights are still DTensors."""
    torch.distributed.init_process_group("gloo", rank=0, world_size=1, store=torch.distributed.HashStore())
    yield
    torch.distributed.destroy_process_group()


@pytest.mark.parametrize(("network", "share"), [(UNetOptions(channels=32), 0.15), (BasicOptions(), 0.6)])
def test_blocks_are_small_and_hold_each_layer_once(network, share):
    net = network.build((1, 8, 8))
    found, seen = sharding.blocks(net), set()
    whole = sum(p.numel() for p in net.parameters())
    for block in found:  # inner ones first, so what is seen already has been taken
        own = [p for p in block.parameters() if p not in seen]
        seen |= set(own)
        assert own and sum(p.numel() for p in own) < share * whole
        assert not isinstance(block, nn.ModuleList)
    left = sum(p.numel() for p in net.parameters() if p not in seen)
    assert left < 0.1 * whole  # gathered for the whole pass: the first and the last layer


WAYS = {
    "plain": [],
    "adamw": ["train.optimizer=adamw", "train.weight_decay=0.1", "network.dropout=0.1"],
    "adamax": ["train.optimizer=adamax"],
    "lion": ["train.optimizer=lion", "train.weight_decay=0.1"],
    "parts": ["train.accumulate=3", "train.ema_also=[24]", "train.snapshot_every=12"],
    "float16": ["train.precision=float16", "train.accumulate=2"],
    "bfloat16": ["train.precision=bfloat16"],
    "compiled": ["train.compile=true"],
    "classes": ["network.classes=10", "network.scale_shift=true", "network.stem=inception"],
    "basic": [],
}


FAST = ("plain", "parts", "float16", "classes", "basic")


@pytest.mark.parametrize("way", [name if name in FAST else pytest.param(name, marks=pytest.mark.slow) for name in WAYS])
def test_spread_over_one_process_it_is_the_training_of_one(group, way):
    """To the last bit, which the gradients of what several blocks take, summed up in another order, may change.

    Compiled, a spread network is cut into its blocks and fused otherwise, as one that is compiled is from one that is
    not, whose weights are 1e-7 apart after as many steps.
    """
    network = BASIC if way == "basic" else None
    chosen = [config(*WAYS[way], "train.clip=1e6", shard=shard, network=network) for shard in ("false", "true")]
    whole, state = map(fresh, chosen)
    for expected, now in zip(steps(chosen[0], whole), steps(chosen[1], state), strict=True):
        assert now.loss == pytest.approx(expected.loss, rel=1e-4 if "float16" in way else 1e-6)
        assert now.grad_norm == pytest.approx(expected.grad_norm, rel=1e-2 if "float16" in way else 1e-6)
    kept = [state.model, state.ema, *state.also, *state.powers]
    assert all(sharding.is_share(p) for model in kept for p in model.parameters())
    rounding = 3e-4 if "float16" in way else 1e-6 if way == "compiled" else 1e-7
    assert apart(everything(whole), everything(state)) < rounding
    halves = [{name: sharding.everything(x) for name, x in halved(each).items()} for each in (whole, state)]
    assert apart(*halves) < 1e-3 and len(halves[0]) == len(state.powers) * len(state.model.net.state_dict())


def test_buffers_are_those_of_the_first_process_at_each_pass(group, monkeypatch):
    """As DistributedDataParallel has it, for a network that computes with what it has counted."""
    sent, chosen = [], config(network=BASIC)
    state = fresh(chosen)
    monkeypatch.setattr(torch.distributed, "broadcast", lambda x, source: sent.append((id(x), source)))
    next(steps(chosen, state))
    assert sent == [(id(x), 0) for x in state.model.net.buffers()] and sent


def test_what_is_gathered_is_a_network_of_its_own(group):
    chosen = config()
    state = finish(chosen, fresh(chosen))
    x, label = torch.randn(2, 1, 8, 8, generator=torch.Generator().manual_seed(0)), torch.tensor([3.0, 700.0])
    full, before = sharding.whole(state.ema), everything(state)
    assert not any(map(sharding.is_share, full.parameters())) and sharding.whole(full) is full
    state.model.net.load_state_dict(state.ema.net.state_dict())
    assert torch.equal(full.net(x, label), state.model.net(x, label))
    for parameter in full.parameters():
        parameter.zero_()
    assert all(torch.equal(x, before[name]) for name, x in everything(state).items() if name.startswith("ema."))


@pytest.fixture
def begun(group, tmp_path):
    """A spread run of four steps, saved after the second and the third."""
    chosen = config()
    run, state = Run(tmp_path / "run", chosen, {}), fresh(chosen)
    for now in steps(chosen, state):
        if now.step > 1:
            run.save(now)
    return run, state


def test_a_checkpoint_of_shares_is_whole_tensors_and_sha256sum_agrees(begun):
    run, state = begun
    path = run.checkpoints.all()[-1]
    assert sorted(file.name for file in path.iterdir())[::2] == ["content.json", "state.sha256"]
    assert not any(file.read_bytes().startswith(b"\x80") for file in path.iterdir())  # no pickle
    subprocess.run(["sha256sum", "--check", "--strict", "--quiet", "state.sha256"], cwd=path, check=True)
    found = read(path)
    assert same(everything(state), found.tensors) and found.content["step"] == 3 and found.content["machine"]["shard"]


def test_the_model_folder_is_that_of_any_run(begun):
    run, state = begun
    model, mean = models.load(run.folder), sharding.whole(state.ema)
    assert same(mean.net.state_dict(), model.net.state_dict())


@pytest.mark.parametrize("before", ["true", "false"])
def test_a_run_goes_on_with_or_without_shares_from_a_checkpoint_without_or_with(group, tmp_path, before, caplog):
    after = {"true": "false", "false": "true"}[before]
    chosen, other = (config("train.clip=1e6", shard=shard) for shard in (before, after))
    whole, run = fresh(chosen), Run(tmp_path, chosen, {})
    for state in steps(chosen, whole):
        if state.step == 2:
            run.save(state)
            saved = {name: x.clone() for name, x in everything(state).items()}
    again = fresh(other)
    with caplog.at_level(logging.WARNING, "scoresde"):
        Run(tmp_path, other, {}).resume(again)
    assert "the run had shard = " in caplog.text and again.step == 2
    assert same(saved, everything(again)) and any(map(sharding.is_share, again.model.parameters())) == (after == "true")
    assert apart(everything(whole), everything(finish(other, again))) < 1e-7


def test_a_changed_byte_in_any_file_is_found(begun, caplog):
    run, _ = begun
    older, newest = run.checkpoints.all()
    for file in sorted(newest.iterdir()):
        content = file.read_bytes()
        for place in {0, 9, 70, len(content) // 2, len(content) - 1} & set(range(len(content))):
            bad = bytearray(content)
            bad[place] ^= 4
            file.write_bytes(bad)
            with pytest.raises(CheckpointError, match=r"is damaged: its sha256 is not the one in state\.sha256"):
                read(newest)
        file.unlink()
        with pytest.raises(CheckpointError, match=f"is incomplete: {file.name} is missing"):
            read(newest)
        file.write_bytes(content)
    read(newest)
    (file,) = newest.glob("*.safetensors")
    file.write_bytes(bad)
    again = fresh(run.config)
    with caplog.at_level(logging.WARNING, "scoresde"):
        run.resume(again)
    assert f"goes on from {older.name}, and the damaged one is kept as {newest.name}.bad" in caplog.text
    assert again.step == 2
    for file in older.glob("*.safetensors"):
        file.write_bytes(b"")
    with pytest.raises(CheckpointError, match="no checkpoint is whole, so the run cannot go on"):
        run.resume(again)


def test_numbers_that_are_not_finite_are_never_resumed(begun, caplog):
    run, state = begun
    with torch.no_grad():
        sharding.local(next(state.ema.parameters())).view(-1)[0] = torch.nan
    run.save(state)
    again = fresh(run.config)
    with caplog.at_level(logging.WARNING, "scoresde"):
        run.resume(again)
    assert again.step == 2 and "holds numbers that are not finite" in caplog.text


def test_a_full_disk_leaves_the_old_ones(begun):
    run, state = begun
    before = {path: path.read_bytes() for path in run.folder.rglob("*") if path.is_file()}
    state.step = 9
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, limits[1]))
    try:
        with pytest.raises(ResourceError, match=r"cannot write .*step_000000009: process 0: .*File too large"):
            run.save(state)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert {path: path.read_bytes() for path in run.folder.rglob("*") if path.is_file()} == before


def test_a_sheet_and_an_evaluation_are_of_the_whole_average(group, tmp_path, monkeypatch):
    monkeypatch.setattr("scoresde.training.gallery.SHEET", 2)
    asked = ["train.evaluate_every=36", "train.evaluate_images=24", "train.clip=1e6"]
    for name in ("false", "true"):
        chosen = config(*asked, shard=name)
        run, state = Run(tmp_path / name, chosen, {}), fresh(chosen)
        run.open(state, chosen.data.load("train"))
        finish(chosen, state)
        run.draw(state)
        run.evaluate(state, lambda *_: None)
    lines = [json.loads((tmp_path / name / "metrics.jsonl").read_text()) for name in ("false", "true")]
    assert lines[0]["held_out"] == lines[1]["held_out"]
    sheets = [next((tmp_path / name / "samples").iterdir()).read_bytes() for name in ("false", "true")]
    assert sheets[0] == sheets[1]


def test_what_cannot_be_combined_is_refused():
    with pytest.raises(UsageError, match=r"train\.shard = true cuts .* so train\.channels_last must be false"):
        config("train.channels_last=true")


LINE = ["train", "digits", *SMALL, "train.images=72", "train.clip=1", "train.log_every=12", "train.ema_also=[24]"]
LINE += ["train.shard=true", "train.save_every=1000000", "train.sample_every=1000000", "--device", "cpu", "--out"]


def ran(folder, *jobs):
    """What came of command lines in so many processes, one after the other: exit codes and what was said."""
    done = forked.run(Path(__file__).parents[1] / "ranks.py", json.dumps(jobs), cwd=folder, timeout=600)
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


def newest(folder):
    return read(sorted((folder / "checkpoints").iterdir())[-1]).tensors


def curve(folder):
    lines = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    return torch.tensor([[line["loss"], line["grad_norm"]] for line in lines])


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Runs of one and of two processes."""
    place = tmp_path_factory.mktemp("shards")
    for job in ran(place, [1, [*LINE, "one"]], [2, [*LINE, "two"]]):
        assert set(job["codes"]) == {0} and not any(job["said"][1:]), job
    return place


@pytest.mark.parametrize("other", ["two", pytest.param("moved", marks=pytest.mark.slow)])
def test_two_processes_with_half_of_it_each_train_as_one_does(folder, other):
    """Losses, lengths of gradients that are cut to 1, weights, averages and moments, to the rounding of sums.

    The second run changed from two processes to one and back.
    """
    if other == "moved":
        line = [*LINE, "moved"]
        changes = [
            [2, [*line, "train.images=36"]],
            [1, [*line, "train.images=48", "--resume"]],
            [2, [*line, "--resume"]],
        ]
        assert all(set(job["codes"]) == {0} for job in ran(folder, *changes))
    one = curve(folder / "one")
    assert torch.allclose(curve(folder / other), one, rtol=1e-5, atol=0) and len(one) == 6 and one[:, 1].min() > 1
    assert apart(newest(folder / "one"), newest(folder / other)) < 1e-5
    means = [models.load(folder / name / "ema_24").net.state_dict() for name in ("one", other)]
    assert apart(*means) < 1e-5


def test_each_process_holds_about_half(folder):
    """Weights, two averages and two moments: the elements of its file are those that it held."""
    files = sorted((folder / "two" / "checkpoints" / "step_000000006").glob("shard-*"))
    counts = [sum(x.numel() for x in load_file(file).values()) for file in files]
    whole = sum(x.numel() for x in newest(folder / "one").values())
    assert sum(counts) == whole and len(counts) == 2
    assert 0.47 < counts[1] / whole < 0.5  # what does not divide by two is in the first process


@pytest.mark.slow
def test_statistics_of_batch_normalisation_are_those_of_the_first_process(tmp_path):
    """As DistributedDataParallel has them, so that a resumed run ends with the same bits, too."""
    (tmp_path / "basic.toml").write_text(
        '[data]\nname = "digits"\n[sde]\nname = "vp"\n[network]\nname = "basic"\nwidths = [4, 8]\nembedding = 8\n'
        "[train]\nbatch = 12\nimages = 48\nclip = 1\n"
    )
    line = ["train", "basic.toml", "train.sample_every=1000000", "--device", "cpu", "--out"]
    jobs = ["whole"], ["shares", "train.shard=true"], ["cut", "train.shard=true", "train.images=24"]
    done = ran(tmp_path, *([2, [*line, *more]] for more in (*jobs, ["cut", "train.shard=true", "--resume"])))
    assert all(set(job["codes"]) == {0} for job in done), done
    assert apart(newest(tmp_path / "whole"), newest(tmp_path / "shares")) < 1e-5
    assert same(newest(tmp_path / "shares"), newest(tmp_path / "cut"))


@pytest.mark.slow
def test_a_failed_write_ends_all_processes_with_one_sentence(folder):
    (folder / "unwritable").mkdir()
    (folder / "unwritable" / "checkpoints").touch()
    (job,) = ran(folder, [2, [*LINE, "unwritable", "train.images=12"]])
    assert job["codes"] == [6, 6] and "cannot write" in job["said"][0] and not job["said"][1], job


@pytest.mark.slow
@pytest.mark.parametrize("way", [["train.accumulate=2", "train.optimizer=lion"], ["train.precision=float16"]])
def test_a_resumed_run_of_three_ends_bit_for_bit(tmp_path, way):
    """What cannot be cut into three equal parts too, such as the last layer's one output, and sums of three."""
    line = [*LINE, "run", *way, "train.flip=true", "network.dropout=0.1"]
    whole, cut, resumed = ran(
        tmp_path,
        [3, [*LINE, "whole", *way, "train.flip=true", "network.dropout=0.1"]],
        [3, [*line, "train.images=36"]],
        [3, [*line, "--resume"]],
    )
    assert whole["codes"] == cut["codes"] == resumed["codes"] == [0] * 3, (whole, cut, resumed)
    assert same(newest(tmp_path / "whole"), newest(tmp_path / "run"))
    assert "bit for bit" not in resumed["said"][0]


@pytest.mark.slow
@pytest.mark.parametrize("shard", ["false", "true"])
def test_compiled_networks_of_two_processes_train_as_one_that_is_not(folder, shard):
    """Whole in each process or spread over both: the compiler sums in other orders, and no more."""
    name = f"compiled-{shard}"
    (job,) = ran(folder, [2, [*LINE, name, f"train.shard={shard}", "train.compile=true"]])
    assert job["codes"] == [0, 0], job
    assert torch.allclose(curve(folder / name), curve(folder / "one"), rtol=1e-5, atol=0)
    assert apart(newest(folder / "one"), newest(folder / name)) < 1e-5
