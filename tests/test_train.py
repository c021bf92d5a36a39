"""Training: the loss, exact resume, averaging, and a run's folder under interruption and damage."""

import json
import math
import os
import signal
import subprocess
import sys
import time

import pytest
import torch
from click.testing import CliRunner

from scoresde import checkpoint
from scoresde import config as configuration
from scoresde.cli import scoresde
from scoresde.data import Images
from scoresde.errors import CheckpointError, DataError, NumericalError, UsageError
from scoresde.feed import Batch, Feed, order
from scoresde.gaussian import GaussianModel
from scoresde.model import NetworkModel
from scoresde.objective import loss
from scoresde.random import permutation, randn, stream
from scoresde.run import Run, recorded_config
from scoresde.sde import expand
from scoresde.train import average, rate, start, train

SMALL = ["network.channels=8", "network.multipliers=[1,1]", "network.blocks=1", "train.batch=16", "train.images=320"]


def config(*assignments):
    return configuration.load("digits", [*SMALL, *assignments])


def digits():
    return configuration.load("digits").data.load("train")


def finish(chosen, state, images=None):
    for _ in train(chosen, images or digits(), state):
        pass
    return state


def fresh(chosen):
    return start(chosen, (1, 8, 8), torch.device("cpu"))


def given(x0, seed=0):
    """A batch of the images x0 with evenly spread times and fresh noise."""
    places = (torch.arange(len(x0), dtype=torch.float64) + 0.5) / len(x0)
    return Batch(x0, None, torch.zeros(len(x0), dtype=torch.bool), places, randn(x0.shape, stream(seed)))


def weights(state):
    return torch.cat([p.flatten() for p in [*state.model.parameters(), *state.ema.parameters()]])


def test_the_loss_of_the_exact_network_is_the_variance_that_remains():
    """For x_0 ~ N(0, s²): E|z - ε|² = α² s²/(α² s² + σ²) per value, averaged over the times."""

    class Exact(torch.nn.Module):
        def forward(self, x, label):
            return truth.eps(x, label.double() / 999)

    chosen = config()
    truth = GaussianModel(torch.zeros(1, 8, 8), torch.full((1, 8, 8), 0.25), chosen.sde)
    model = NetworkModel(Exact(), chosen.sde, (1, 8, 8))
    x0 = truth.draw(20_000, torch.Generator().manual_seed(0)).float()
    t = torch.linspace(1e-5, 1, 100_001, dtype=torch.float64)
    signal_variance = 0.25 * chosen.sde.alpha(t) ** 2
    expected = (signal_variance / (signal_variance + chosen.sde.sigma(t) ** 2)).mean()
    assert loss(model, given(x0), chosen.train).item() == pytest.approx(expected.item(), rel=0.01)


@pytest.mark.parametrize("predicts", ["eps", "x0", "v"])
def test_the_target_is_what_the_model_reads(predicts):
    """The same network has no loss exactly where `NetworkModel` turns its output into the noise that was drawn."""
    chosen = config(f"train.predicts={predicts}")
    x0, seen = torch.randn(6, 1, 8, 8, generator=torch.Generator().manual_seed(0)).clamp(-1, 1), {}

    class Knowing(torch.nn.Module):
        def forward(self, x, label):
            t = label.double() / 999
            alpha, sigma = expand(chosen.sde.alpha(t), x), expand(chosen.sde.sigma(t), x)
            z = (x - alpha * x0) / sigma
            seen.update(x=x, t=t, z=z)
            return {"eps": z, "x0": x0, "v": alpha * z - sigma * x0}[predicts]

    model = NetworkModel(Knowing(), chosen.sde, (1, 8, 8), predicts=predicts)
    assert loss(model, given(x0), chosen.train).item() < 1e-5
    assert torch.allclose(model.eps(seen["x"], seen["t"]), seen["z"], atol=2e-2, rtol=1e-3)


def test_it_learns():
    """A small network goes well below the loss of predicting nothing, which is 1."""
    chosen = configuration.load("digits", [*SMALL, "train.images=20_000", "train.warmup=1000", "train.batch=64"])
    losses = [state.loss for state in train(chosen, digits(), fresh(chosen))]
    assert losses[0] > 0.9 and sum(losses[-20:]) / 20 < 0.3


def test_a_batch_is_a_function_of_its_step():
    """However far a run has come, and whichever thread draws: the data order, the mirroring, the times, the noise."""
    chosen = config("train.flip=true")
    feed = Feed(digits(), chosen.train, torch.device("cpu"))
    first = [batch for batch, _ in zip(feed.steps(0), range(6), strict=False)]
    later = [batch for batch, _ in zip(feed.steps(3), range(3), strict=False)]
    for a, b in zip(first[3:], later, strict=True):
        for name in ("images", "labels", "hidden", "uniform", "noise"):
            assert torch.equal(getattr(a, name), getattr(b, name))
    x, source = first[0].images, digits().scaled(order(len(digits()), 0, 0, 16))
    mirrored = (x != source).flatten(1).any(1)
    assert 2 < mirrored.sum() < 14 and torch.equal(x[mirrored], source[mirrored].flip(-1))
    assert torch.equal(torch.sort(first[0].uniform).values.diff().mul(16).round(decimals=9), torch.ones(15).double())


def test_products_in_16_bits_change_the_loss_by_their_rounding_only():
    x0, losses = digits().scaled(slice(0, 64)), {}
    for precision in ("float32", "bfloat16"):
        chosen = config(f"train.precision={precision}", "train.images=320")
        state = finish(chosen, fresh(chosen))
        losses[precision] = loss(state.model, given(x0), chosen.train).item()
        assert all(p.dtype == torch.float32 for p in state.model.parameters())
    assert losses["float32"] != losses["bfloat16"] == pytest.approx(losses["float32"], rel=0.03)


def test_every_epoch_is_a_permutation():
    index = order(10, 0, 7, 25)
    assert sorted(index[3:13].tolist()) == list(range(10)) == sorted(index[13:23].tolist())
    assert index[3:13].tolist() != index[13:23].tolist()
    assert torch.equal(torch.cat([order(10, 0, 7, 5), order(10, 0, 12, 20)]), index)
    assert torch.equal(index[3:13], permutation(10, stream(0, "order", 1)))


def test_rate_rises_rests_and_falls():
    options = config("train.images=1000", "train.batch=10", "train.warmup=100", "train.decay=0.5").train
    assert rate(options, 0) == pytest.approx(0.1 * options.learning_rate)
    assert rate(options, 90) == rate(options, 500) == options.learning_rate
    assert rate(options, 750) == pytest.approx(0.5 * options.learning_rate)


def test_averaged_weights_forget_with_the_half_life():
    chosen = config("train.ema=160")
    state = fresh(chosen)
    for p in state.model.parameters():
        p.data.fill_(1.0)
    for p in state.ema.parameters():
        p.data.fill_(0.0)
    state.images = 10**6
    for _ in range(10):  # 160 images
        average(state, chosen.train)
    assert next(state.ema.parameters()).flatten()[0].item() == pytest.approx(0.5, rel=1e-5)


@pytest.mark.parametrize("channels_last", ["false", "true"])
def test_a_resumed_run_ends_bit_for_bit_as_an_uninterrupted_one(tmp_path, channels_last):
    chosen = config("network.dropout=0.1", "train.flip=true", f"train.channels_last={channels_last}")
    whole = finish(chosen, fresh(chosen))
    part, run = fresh(chosen), Run(tmp_path, chosen, {})
    for state in train(chosen, digits(), part):
        if state.step == 7:
            run.save(state)
            break
    again = fresh(chosen)
    run.resume(again)
    assert again.step == 7 and again.images == 112
    assert torch.equal(weights(finish(chosen, again)), weights(whole))


def test_the_last_checkpoints_are_kept_and_a_damaged_one_is_passed_over(tmp_path):
    chosen = config()
    run = Run(tmp_path, chosen, {})
    for state in train(chosen, digits(), fresh(chosen)):
        if state.step in (5, 10, 15):
            run.save(state)
    assert [p.name for p in run.checkpoints()] == ["step_000000010", "step_000000015"]
    newest = run.checkpoints()[-1] / "state.safetensors"
    content = bytearray(newest.read_bytes())
    content[len(content) // 2] ^= 1
    newest.write_bytes(content)
    state = fresh(chosen)
    run.resume(state)
    assert state.step == 10
    (run.checkpoints()[0] / "state.safetensors").write_bytes(b"")
    with pytest.raises(CheckpointError, match="no checkpoint is whole: .*damaged.*damaged"):
        run.resume(fresh(chosen))


def test_resume_refuses_another_configuration_or_an_empty_folder(tmp_path):
    run = Run(tmp_path, config(), {})
    with pytest.raises(UsageError, match="holds no checkpoint to resume from"):
        run.resume(fresh(config()))
    state = fresh(config())
    next(train(config(), digits(), state))
    run.save(state)
    other = Run(tmp_path, config("train.learning_rate=0.5", "train.images=640"), {})
    with pytest.raises(CheckpointError, match="other values of train.learning_rate; give"):
        other.resume(fresh(other.config))


def test_the_run_folder_is_a_model_folder(tmp_path):
    chosen = config()
    state = finish(chosen, fresh(chosen))
    run = Run(tmp_path, chosen, {"command": "scoresde train digits", "seed": 0})
    run.open()
    run.log(state, 0.5)
    run.draw(state)
    run.save(state)
    model = checkpoint.load(tmp_path)
    x, t = torch.randn(2, 1, 8, 8), torch.tensor([0.1, 0.9]).double()
    assert torch.equal(model.eps(x, t), state.ema.eps(x, t))
    assert recorded_config(tmp_path) == chosen
    assert json.loads((tmp_path / "metrics.jsonl").read_text())["images"] == 320
    assert json.loads((tmp_path / "meta.json").read_text())["versions"]["torch"] == torch.__version__
    assert len(list((tmp_path / "samples").glob("*.png"))) == 1
    assert not list(tmp_path.rglob("*.tmp"))


def test_bad_runs_stop_with_a_sentence():
    chosen = config()
    with pytest.raises(DataError, match=r"the images have the shape \(3, 8, 8\), the model takes \(1, 8, 8\)"):
        next(train(chosen, Images(torch.zeros(4, 3, 8, 8, dtype=torch.uint8)), fresh(chosen)))
    state = fresh(chosen)
    next(train(chosen, digits(), state))
    before = weights(state).clone()
    state.model.net.conv_in.weight.data[0, 0, 0, 0] = math.nan
    before[torch.isnan(weights(state))] = math.nan
    with pytest.raises(NumericalError, match="the loss is nan .* at step 1 .*lower train.learning_rate"):
        next(train(chosen, digits(), state))
    assert torch.equal(weights(state).nan_to_num(), before.nan_to_num())  # nothing else was touched


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_saves_and_the_run_goes_on_to_the_same_weights(tmp_path, number, code):
    """The command, interrupted after its first log line and resumed, against one that ran through in this process."""
    assignments = [*SMALL, "train.images=6400", "train.log_every=160"]
    command = [sys.executable, "-m", "scoresde", "train", "digits", *assignments, "--out", str(tmp_path), "--quiet"]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    process = subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True)
    for _ in range(6000):
        if (tmp_path / "metrics.jsonl").exists():
            break
        time.sleep(0.05)
    process.send_signal(number)
    _, said = process.communicate(timeout=60)
    assert process.returncode == code and "--resume" in said
    assert 0 < recorded(tmp_path)["images"] < 6400
    subprocess.run([*command, "--resume"], env=environment, check=True, timeout=120, stdout=subprocess.DEVNULL)
    assert recorded(tmp_path)["images"] == 6400
    chosen = configuration.load("digits", assignments)
    state = finish(chosen, fresh(chosen))
    tensors = checkpoint.load(tmp_path).net.state_dict()
    assert all(torch.equal(tensors[name], value) for name, value in state.ema.net.state_dict().items())


def recorded(folder):
    return checkpoint.read_json(sorted(folder.glob("checkpoints/*/state.json"))[-1])


def test_an_error_while_sampling_does_not_cost_the_checkpoint(tmp_path, monkeypatch):
    def broken(self, state):
        raise NumericalError("the samples are not finite")

    monkeypatch.setattr(Run, "draw", broken)
    arguments = ["train", "digits", *SMALL, "--out", str(tmp_path), "--quiet", "--device", "cpu"]
    result = CliRunner().invoke(scoresde, arguments)
    assert result.exit_code == 5 and "not finite" in result.output
    assert checkpoint.load(tmp_path).shape == (1, 8, 8) and any(tmp_path.glob("checkpoints/step_000000020"))
