"""Training: the loss, exact resume, averaging, and a run's folder under interruption and damage."""

import math
from itertools import islice

import pytest
import torch

from scoresde.core.errors import DataError, NumericalError, UsageError
from scoresde.core.random import permutation, randn, stream
from scoresde.data import Images
from scoresde.models.gaussian import GaussianModel
from scoresde.models.network import NetworkModel
from scoresde.sde import expand
from scoresde.training import config as configuration
from scoresde.training.batches import Batch, Feed, order
from scoresde.training.loop import average, rate, start, train
from scoresde.training.objective import terms
from scoresde.training.run import Run

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
    assert terms(model, given(x0), chosen.train).losses.mean().item() == pytest.approx(expected.item(), rel=0.01)


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
    assert terms(model, given(x0), chosen.train).losses.mean().item() < 1e-5
    assert torch.allclose(model.eps(seen["x"], seen["t"]), seen["z"], atol=2e-2, rtol=1e-3)


def test_it_learns():
    """A small network goes well below the loss of predicting nothing, which is 1."""
    chosen = configuration.load("digits", [*SMALL, "train.images=4_000", "train.warmup=500", "train.batch=32"])
    losses = [state.loss for state in train(chosen, digits(), fresh(chosen))]
    assert losses[0] > 0.9 and sum(losses[-20:]) / 20 < 0.3


def test_a_batch_is_a_function_of_its_step():
    """However far a run has come, and whichever thread draws: the data order, the mirroring, the times, the noise."""
    chosen = config("train.flip=true")
    feed = Feed(digits(), chosen.train, torch.device("cpu"))
    first = list(islice(feed.steps(0), 6))
    feed.ahead = 2  # as for a GPU
    later = list(islice(feed.steps(3), 3))
    for a, b in zip(first[3:], later, strict=True):
        for name in ("images", "labels", "hidden", "uniform", "noise"):
            assert torch.equal(getattr(a, name), getattr(b, name))
    x, source = first[0].images, digits().scaled(order(len(digits()), 0, 0, 16))
    mirrored = (x != source).flatten(1).any(1)
    assert 2 < mirrored.sum() < 14 and torch.equal(x[mirrored], source[mirrored].flip(-1))
    labels = torch.cat([batch.labels for batch in first])
    assert torch.equal(labels, digits().labels[order(len(digits()), 0, 0, 96)])  # each image in its turn
    assert torch.equal(torch.sort(first[0].uniform).values.diff().mul(16).round(decimals=9), torch.ones(15).double())


def test_products_in_16_bits_change_the_loss_by_their_rounding_only():
    x0, losses = digits().scaled(slice(0, 64)), {}
    for precision in ("float32", "bfloat16"):
        chosen = config(f"train.precision={precision}", "train.images=320")
        state = finish(chosen, fresh(chosen))
        losses[precision] = terms(state.model, given(x0), chosen.train).losses.mean().item()
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


def test_bad_runs_stop_with_a_sentence():
    chosen = config()
    with pytest.raises(DataError, match=r"the images have the shape \(3, 8, 8\), the model takes \(1, 8, 8\)"):
        next(train(chosen, Images(torch.zeros(4, 3, 8, 8, dtype=torch.uint8)), fresh(chosen)))
    with pytest.raises(DataError, match="train.batch = 16 is more than the images, 4: choose"):
        next(train(chosen, Images(torch.zeros(4, 1, 8, 8, dtype=torch.uint8)), fresh(chosen)))
    with pytest.raises(
        UsageError, match="train.batch = 16 cannot be cut into train.accumulate = 3 equal parts: choose a multiple of 3"
    ):
        next(train(config("train.accumulate=3"), digits(), fresh(chosen)))


class Faulty(torch.nn.Module):
    """A network whose output is not a number at the given steps, in the second half of the process."""

    def __init__(self, net, steps):
        super().__init__()
        self.net, self.steps, self.calls = net, steps, 0

    def forward(self, x, label):
        bad = (label > 500) & (self.calls in self.steps)
        self.calls += 1
        return self.net(x, label) * torch.where(bad, math.nan, 1.0)[:, None, None, None]


def test_a_loss_that_is_not_finite_stops_before_the_step():
    chosen = config("train.seed=3")
    state = fresh(chosen)
    state.model.net = Faulty(state.model.net, {1})
    next(train(chosen, digits(), state))
    before = weights(state).clone()
    message = (
        r"the loss is nan and the gradient's length nan at step 1 \(seed 3\), at t from 0\.5\d* to 0\.9\d*: "
        r"lower train\.learning_rate"
    )
    with pytest.raises(NumericalError, match=message):
        next(train(chosen, digits(), state))
    assert torch.equal(weights(state), before) and state.step == 1


def test_some_such_steps_may_be_left_out_and_no_more():
    """A step left out changes nothing but the place in the data order."""
    chosen = config("train.skip_nonfinite=2")
    state, before = fresh(chosen), None
    state.model.net = Faulty(state.model.net, {1, 4, 6})
    with pytest.raises(NumericalError, match="at step 6 "):
        for _ in train(chosen, digits(), state):
            assert math.isnan(state.loss) == (state.step in (2, 5))
            if state.step in (2, 5):
                assert torch.equal(weights(state), before)
            before = weights(state).clone()
    assert state.skipped == 2 and state.step == 6 and torch.isfinite(weights(state)).all()


def test_parts_of_a_batch_give_the_gradient_of_the_whole():
    """To the rounding of sums in another order; the clipped length, too, is that of the whole."""
    gradients = {}
    for count in (1, 4):
        chosen = config(f"train.accumulate={count}", "train.clip=1e6")
        state = fresh(chosen)
        next(train(chosen, digits(), state))
        gradients[count] = torch.cat([p.grad.flatten() for p in state.model.parameters()]), state.loss, state.grad_norm
    (one, loss_of_one, norm_of_one), (four, loss_of_four, norm_of_four) = gradients[1], gradients[4]
    assert (four - one).norm() < 1e-6 * one.norm() > 0
    assert loss_of_four == pytest.approx(loss_of_one, rel=1e-6)
    assert norm_of_four == pytest.approx(norm_of_one, rel=1e-6)
