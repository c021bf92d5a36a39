"""Training from Python: on arrays and modules of one's own, the same as by the command, interrupted or not."""

import json
import os
import signal
import threading
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from scoresde import models
from scoresde.core import threads
from scoresde.core.errors import CheckpointError, DataError, UsageError
from scoresde.core.random import generators, numpy_stream
from scoresde.data import Images, data
from scoresde.data.given import GivenData, as_dataset, digest
from scoresde.sampling.sample import sample
from scoresde.solvers import solvers
from scoresde.training import config as configuration
from scoresde.training.fit import fit
from scoresde.training.recorded import recorded_config
from scoresde.training.run import Run

SMALL = ["network.channels=4", "network.group_channels=4", "network.multipliers=[1]", "network.blocks=1"]
SMALL += ["train.batch=16", "train.images=160", "train.log_every=32", "train.warmup=64"]


@pytest.fixture(autouse=True)
def elsewhere(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


@pytest.fixture(scope="module")
def pixels():
    """64 images of noise, (N, C, H, W) uint8."""
    return numpy_stream(0).integers(0, 256, (64, 1, 8, 8), dtype=np.uint8)


class Net(nn.Module):
    """A network that knows nothing of this package."""

    def __init__(self, channels=1, width=8):
        super().__init__()
        self.first, self.last = nn.Conv2d(channels, width, 3, padding=1), nn.Conv2d(width, channels, 3, padding=1)
        self.label = nn.Linear(1, width)

    def forward(self, x, label):
        return self.last(torch.tanh(self.first(x) + self.label(label[:, None] / 1000)[:, :, None, None]))


class Partly(Net):
    """One of which a part is not trained, and another one is never used."""

    def __init__(self):
        super().__init__()
        self.label.requires_grad_(False)
        self.unused = nn.Parameter(torch.ones(3))


def short(*overrides, **options):
    return fit("digits", overrides=[*SMALL, *overrides], progress=False, device="cpu", **options)


def tensors(run):
    """All that the last checkpoint of a run holds."""
    newest = run.checkpoints.newest()
    return newest.tensors


def same(a, b):
    return a.keys() == b.keys() and all(torch.equal(a[name], b[name]) for name in a)


def without_seconds(run):
    return [{key: value for key, value in row.items() if key != "seconds"} for row in run.metrics]


def test_training_on_an_array_takes_six_lines(pixels):
    lines = """
import numpy as np
from scoresde.training.fit import fit
pixels = np.load("pixels.npy")  # (N, C, H, W) of uint8
run = fit("digits", "runs/mine", images=pixels, overrides=["train.images=128", "train.batch=32"], device="cpu")
print(run.metrics[-1]["loss"])
model = run.model
""".strip().splitlines()
    assert len(lines) <= 6
    np.save("pixels.npy", pixels)
    found = dict[str, object]()
    exec("\n".join(lines), found)
    run = found["run"]
    assert run.state.images == 128 and run.code == 0 and run.folder == Path("runs/mine")
    x = sample(run.model, solvers["euler"](steps=3), run.model.prior(generators(range(2)))).x
    assert x.shape == (2, 1, 8, 8)
    assert torch.equal(torch.cat([p.flatten() for p in models.load(run.folder).parameters()]),
                       torch.cat([p.flatten() for p in run.model.parameters()]))  # fmt: skip


def test_it_gives_what_the_command_gives(run):
    run(f"train digits {' '.join(SMALL)} train.evaluate_every=96 --device cpu --quiet --out command")
    ours = short("train.evaluate_every=96", folder="python")
    theirs = Run(Path("command"), ours.config, {})
    assert same(tensors(ours), tensors(theirs))
    assert without_seconds(ours) == without_seconds(theirs)
    assert any("held_out" in row for row in ours.metrics)
    names = {path.relative_to("command") for path in Path("command").rglob("*")}
    assert names == {path.relative_to("python") for path in Path("python").rglob("*")}
    for name in ("config.toml", "model.safetensors"):
        assert Path("command", name).read_bytes() == Path("python", name).read_bytes()
    assert json.loads(Path("python/meta.json").read_text())["command"] == "scoresde.fit"


def test_images_of_the_set_that_is_named_train_the_same_weights():
    named = short(folder="named")
    given = short(folder="given", images=data["digits"]().load("train"))
    assert same(tensors(named), tensors(given))


@pytest.mark.parametrize("kind", ["signal", "callback"])
def test_an_interrupted_run_goes_on_to_the_same_bits(kind, pixels):
    def interrupt(state):
        if state.step == 4:
            if kind == "callback":
                raise StopIteration
            os.kill(os.getpid(), signal.SIGINT)

    net = Net() if kind == "signal" else Partly()
    through = short(folder="through", images=pixels, net=net)
    stopped = short(folder="stopped", images=pixels, net=net, callbacks=[interrupt])
    assert stopped.code == (130 if kind == "signal" else 0)
    assert stopped.state.step == 4 and stopped.metrics[-1]["step"] == 4
    assert [path.name for path in stopped.checkpoints.all()] == ["step_000000004"]
    again = short(folder="stopped", images=pixels, net=type(net)())  # whose weights are those of the checkpoint
    assert again.code == 0 and again.state.images == 160
    assert same(tensors(again), tensors(through))
    finished = short(folder="stopped", images=pixels, net=type(net)(), resume=True)
    assert finished.state.step == 10 and same(finished.model.state_dict(), again.model.state_dict())


@pytest.mark.parametrize(("chosen", "takes"), [([4], 1), ([], 3)])
def test_a_command_goes_on_with_the_threads_of_the_run_and_python_with_its_own(chosen, takes, pixels, monkeypatch):
    monkeypatch.setattr(threads, "_most", chosen)  # of a command that had four
    before = torch.get_num_threads()
    fit(pixels, "run", overrides=SMALL, device="cpu", progress=False)
    try:
        torch.set_num_threads(3)
        fit(pixels, "run", overrides=["train.images=192"], device="cpu", progress=False)
        assert torch.get_num_threads() == (before if takes == 1 else takes)
    finally:
        torch.set_num_threads(before)


def test_any_module_is_trained_and_stays_as_it_was(pixels):
    torch.manual_seed(0)
    net = Net()
    before = {name: value.clone() for name, value in net.state_dict().items()}
    run = short(folder="run", images=pixels, net=net)
    assert same(before, net.state_dict()) and isinstance(run.model.net, Net)
    assert not same(before, run.model.net.state_dict())
    assert sample(run.model, solvers["euler"](steps=2), run.model.prior(generators([0]))).x.shape == (1, 1, 8, 8)
    table = recorded_config(run.folder).tables()["network"]
    assert table["name"] == "given" and table["kind"].endswith("test_fit.Net")
    with pytest.raises(CheckpointError, match=r"a \S*test_fit\.Net, was given in Python.*give it again as net"):
        models.load(run.folder)
    assert same(models.load(run.folder, net=Net()).state_dict(), run.model.state_dict())


def test_another_module_does_not_go_on_with_a_run(pixels):
    short(folder="run", images=pixels, net=Net())
    with pytest.raises(CheckpointError, match=r"other values of network\.kind"):
        short(folder="run", images=pixels, net=nn.Sequential(Net()))
    with pytest.raises(CheckpointError, match="does not fit the configuration"):
        short(folder="run", images=pixels, net=Net(width=4))
    with pytest.raises(CheckpointError, match=r"other values of .*network\.name"):
        short(folder="run", images=pixels)


def test_other_images_do_not_go_on_with_a_run(pixels):
    short(folder="run", images=pixels)
    with pytest.raises(CheckpointError, match=r"images are not those that the run was started with: .*add --change"):
        short(folder="run", images=255 - pixels)
    with pytest.raises(CheckpointError, match=r"images are not those .* or choose another folder"):
        short(folder="run", images=pixels[:8])  # so few that the batch is another one, too
    with pytest.raises(CheckpointError, match=r"other values of data\.name"):
        short(folder="run")


def test_other_images_go_on_with_a_run_if_that_is_wanted(pixels, caplog):
    begun = short(folder="run", images=pixels)
    more = np.concatenate([pixels, 255 - pixels])
    run = short("train.images=320", folder="run", images=more, change=True)
    assert begun.state.images == 160 and run.state.images == 320 and run.config.data.count == len(more)
    assert "the training images are not those that the run was started with" in caplog.text


def test_commands_say_that_images_were_given(run, pixels):
    short(folder="run", images=pixels)
    said = run("likelihood run", 2)
    assert "the 64 items were given in Python and are in no file: name another data set" in " ".join(said.split())
    run("sample --model run -n 1 --solver euler --steps 2 --quiet")


def test_callbacks_see_every_step_and_change_nothing(pixels):
    seen = []

    def watch(state):
        torch.manual_seed(1)
        seen.append((state.step, state.images))

    watched = short(folder="watched", images=pixels, callbacks=[watch])
    assert seen == [(step, 16 * step) for step in range(1, 11)]
    assert same(tensors(watched), tensors(short(folder="alone", images=pixels)))


def test_an_error_of_a_callback_is_not_swallowed(pixels):
    def broken(state):
        raise KeyError("mine")

    with pytest.raises(KeyError, match="mine"):
        short(folder="run", images=pixels, callbacks=[broken])


def test_evaluation_of_given_images_needs_held_out_ones(pixels):
    with pytest.raises(UsageError, match="there are no held-out data to measure with: give held_out"):
        short("train.evaluate_every=80", folder="run", images=pixels)
    assert not [*Path("run").iterdir()]
    run = short("train.evaluate_every=80", folder="run", images=pixels, held_out=pixels[:16])
    assert [row["images"] for row in run.metrics if "held_out" in row] == [80, 160]


def test_a_thread_trains_as_well(pixels):
    """Only the main thread can be told of signals."""
    found = []
    thread = threading.Thread(target=lambda: found.append(short(folder="run", images=pixels)))
    thread.start()
    thread.join()
    assert found[0].state.images == 160


def test_the_folder_is_that_of_the_configuration_unless_named(pixels):
    assert short(images=pixels).folder == Path("runs/digits")
    chosen = configuration.load("digits", SMALL)
    with pytest.raises(UsageError, match="has no name that a run folder could have: give the folder"):
        fit(chosen)
    run = fit(chosen, "here", overrides=["train.images=16"], device="cpu", progress=False)
    assert run.state.images == 16 and recorded_config(Path("here")) == run.config


def test_what_cannot_be_done_is_said_in_a_sentence(pixels):
    with pytest.raises(UsageError, match="no file, folder or configuration is called 'digit'"):
        fit("digit")
    with pytest.raises(UsageError, match="resume must be 'auto', 'must' or 'never', got 'yes'"):
        short(resume="yes")
    with pytest.raises(UsageError, match="holds no checkpoint to resume from"):
        short(resume="must")
    with pytest.raises(UsageError, match="held_out goes with images"):
        short(held_out=pixels)
    with pytest.raises(UsageError, match="no device is called 'gpu'"):
        fit("digits", overrides=SMALL, device="gpu")
    with pytest.raises(DataError, match=r"could be \(N, C, H, W\) or \(N, H, W, C\)"):
        short(images=np.zeros((64, 3, 8, 3), dtype=np.uint8))
    with pytest.raises(DataError, match="more than the images, 8"):
        short("train.accumulate=16", images=pixels[:8])
    short(folder="run", images=pixels)
    with pytest.raises(UsageError, match="run already holds a run"):
        short(folder="run", images=pixels, resume=False)


def test_a_folder_whose_checkpoints_were_all_set_aside_begins_anew(pixels):
    whole = short(folder="run", images=pixels)
    for path in whole.checkpoints.all():
        path.rename(path.with_name(path.name + ".bad"))
    assert same(tensors(short(folder="run", images=pixels)), tensors(short(folder="other", images=pixels)))


class ClassNet(Net):
    """A network that is always given a class, of as many as it embeds."""

    def __init__(self, embedded):
        super().__init__()
        self.kind = nn.Embedding(embedded, 1)

    def forward(self, x, label, classes):
        return super().forward(x, label) + self.kind(classes)[:, :, None, None]


def test_a_module_with_classes_is_given_one_more_for_no_class(pixels):
    """In samples without a class, too, it is the one that hides labels in training; numbers tell what was embedded."""
    images = Images(torch.from_numpy(pixels), labels=torch.arange(64) % 2)
    run = short("network.classes=2", folder="three", images=images, net=ClassNet(3))
    assert list(Path("three/samples").glob("*.png"))  # which are of no class
    x, t = torch.zeros(1, 1, 8, 8), torch.tensor([0.5], dtype=torch.float64)
    means = [run.model.evaluate(x, t, classes).eps.mean().item() for classes in (None, torch.tensor([2]))]
    with torch.no_grad():
        run.model.net.kind.weight.copy_(run.model.net.kind.weight + torch.tensor([[10.0], [20.0], [30.0]]))
    moved = [run.model.evaluate(x, t, classes).eps.mean().item() for classes in (None, torch.tensor([2]))]
    assert means[0] == means[1] and moved == pytest.approx([means[0] + 30] * 2, rel=1e-5)
    with pytest.raises(UsageError, match="is given 2 for no class, besides the classes from 0 to 1: let it embed 3"):
        short("network.classes=2", folder="two", images=images, net=ClassNet(2))


def test_a_module_without_what_is_trained_is_said_in_a_sentence(pixels):
    for net in (nn.Identity(), Net().requires_grad_(False)):
        with pytest.raises(UsageError, match="no weights that are trained"):
            short(folder="none", images=pixels, net=net)
    hybrid = ("sde.name=ddpm", "train.loss=hybrid", "network.learned_variance=true")
    with pytest.raises(UsageError, match="return 2 channels, the last half for the variance, got 1"):
        short(*hybrid, folder="one", images=pixels, net=Net())


def test_a_digest_tells_images_apart(pixels):
    images = as_dataset(pixels)
    labelled = Images(images.pixels, labels=torch.zeros(64, dtype=torch.int64))
    found = {
        digest(each) for each in (images, as_dataset(pixels[::-1]), labelled, as_dataset(pixels.reshape(32, 2, 8, 8)))
    }
    assert len(found) == 4 and digest(as_dataset(torch.from_numpy(pixels))) == digest(images)
    assert GivenData.of(images).shape == (1, 8, 8)


def test_a_run_is_not_written_among_its_pictures(run):
    """Its sheets would be pictures that it learns from, once it is resumed."""
    Path("album").mkdir()
    for i, each in enumerate(numpy_stream(1).integers(0, 256, (4, 8, 8), dtype=np.uint8)):
        Image.fromarray(each).save(f"album/{i}.png")
    said = run("train digits data.name=folder data.path=album data.size=8 --out album/../album --device cpu", 2)
    assert "is the folder of album/*, beside which nothing is written" in " ".join(said.split())
    assert sorted(os.listdir("album")) == [f"{i}.png" for i in range(4)]
