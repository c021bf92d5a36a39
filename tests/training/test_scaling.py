"""Training in float16: gradients scaled into its range, and back out of it bit for bit."""

import math

import pytest
import torch

from scoresde.core.errors import NumericalError
from scoresde.training import config as configuration
from scoresde.training.loop import start, train
from scoresde.training.run import Run
from scoresde.training.state import taken

SMALL = ["network.channels=4", "network.group_channels=4", "network.multipliers=[1]", "network.blocks=1"]
SMALL += ["train.batch=16", "train.images=192"]


def config(*assignments, precision="float16"):
    return configuration.load("digits", [*SMALL, f"train.precision={precision}", *assignments])


def digits():
    return configuration.load("digits").data.load("train")


def fresh(chosen, **scaling):
    """A state, with another scale to begin with if one is given."""
    state = start(chosen, (1, 8, 8), torch.device("cpu"))
    if scaling:
        state.scaler = torch.amp.GradScaler("cpu", **scaling)
    return state


def finish(chosen, state):
    for _ in train(chosen, digits(), state):
        pass
    return state


def weights(state):
    """Those that are trained and averaged, and the moments of the optimiser."""
    return torch.cat([x.flatten() for name, x in sorted(taken(state).items()) if not name.startswith("scaler")])


def gradient(chosen, net):
    """The gradient of the first step, not clipped, at the weights of a network."""
    state = fresh(chosen)
    state.model.net.load_state_dict(net.state_dict())
    next(train(chosen, digits(), state))
    return torch.cat([p.grad.flatten() for p in state.model.parameters()]), state


@pytest.fixture(scope="module")
def trained():
    """A network of which no layer is zero any more."""
    chosen = config("train.learning_rate=1e-2", precision="float32")
    return finish(chosen, fresh(chosen)).model.net


@pytest.mark.parametrize("parts", [1, 4])
def test_the_gradient_is_that_of_float32_to_the_precision_of_float16(trained, parts):
    """Each layer rounds by 2⁻¹¹ at most, and ten errors add up like √10; those of bfloat16 are eight times as large."""
    full, other = gradient(config("train.clip=1e6", precision="float32"), trained)
    half, state = gradient(config("train.clip=1e6", f"train.accumulate={parts}"), trained)
    assert 1e-5 < (half - full).norm() / full.norm() < 3 * 2**-11
    assert state.grad_norm == pytest.approx(other.grad_norm, rel=3 * 2**-11)
    assert state.loss == pytest.approx(other.loss, rel=3 * 2**-11)
    kept = [*state.model.parameters(), *state.ema.parameters(), *(p.grad for p in state.model.parameters())]
    assert {x.dtype for x in kept} == {torch.float32}


class Faint(torch.nn.Module):
    """A network whose output, and so the gradient that comes back into it, is made small."""

    def __init__(self, net):
        super().__init__()
        self.net = net

    def forward(self, x, label):
        return self.net(x, label) * 1e-5


def test_gradients_below_the_range_of_float16_reach_the_weights():
    """2 (ε̂ - z)/1024 · 10⁻⁵ is some 10⁻⁸, which float16 rounds to 0: its smallest number is 6·10⁻⁸."""
    found = {}
    for precision in ("float32", "float16"):
        chosen = config("train.clip=1e6", precision=precision)
        state = fresh(chosen)
        state.model.net = Faint(state.model.net)
        next(train(chosen, digits(), state))
        found[precision] = state.grad_norm
    assert found["float16"] == pytest.approx(found["float32"], rel=0.01) and found["float32"] > 0


def test_an_overflow_leaves_out_the_step_and_halves_the_scale():
    """Nothing but the place in the data order moves, and it does not count as a loss that is not finite."""
    chosen, over = config(), 0
    state = fresh(chosen, init_scale=2.0**24)
    state.model.net.load_state_dict(finish(chosen, fresh(chosen)).model.net.state_dict())
    before = None
    for now in train(chosen, digits(), state):
        if not math.isfinite(now.grad_norm):
            over += 1
            assert over == now.step and now.scaler.get_scale() == 2.0 ** (24 - over) and math.isfinite(now.loss)
            assert before is None or torch.equal(weights(now), before)
        before = weights(now)
    assert 3 < over < 10 and now.step == 12 and now.skipped == 0
    assert now.scaler.get_scale() == 2.0 ** (24 - over) and torch.isfinite(weights(now)).all()


class Broken(torch.nn.Module):
    """A network with a finite output and no derivative."""

    def __init__(self, net):
        super().__init__()
        self.net = net

    def forward(self, x, label):
        out = self.net(x, label)
        return out + (out - out).sqrt()


@pytest.mark.parametrize("allowed", [0, 1])
def test_an_overflow_at_every_scale_is_an_error(allowed):
    chosen = config(f"train.skip_nonfinite={allowed}")
    state = fresh(chosen, init_scale=4.0)
    state.model.net = Broken(state.model.net)
    message = rf"the loss is [\d.]+ and the gradient's length nan at step {2 + allowed} .* though every loss is finite"
    with pytest.raises(NumericalError, match=message):
        finish(chosen, state)
    assert state.skipped == allowed


class Faulty(torch.nn.Module):
    """A network whose output is not a number at its second call."""

    def __init__(self, net):
        super().__init__()
        self.net, self.calls = net, 0

    def forward(self, x, label):
        self.calls += 1
        return self.net(x, label) * (math.nan if self.calls == 2 else 1.0)


def test_a_loss_that_is_not_finite_is_no_matter_of_scale():
    for allowed in (0, 1):
        chosen = config(f"train.skip_nonfinite={allowed}")
        state = fresh(chosen)
        state.model.net = Faulty(state.model.net)
        if allowed:
            assert finish(chosen, state).skipped == 1
        else:
            with pytest.raises(NumericalError, match="the loss is nan .* at step 1 "):
                finish(chosen, state)


def test_a_resumed_run_keeps_its_scale_and_ends_bit_for_bit(tmp_path):
    """The scale falls at first and later rises every second step, of which some are after the stop."""
    chosen, scaling = config("network.dropout=0.1"), {"init_scale": 2.0**20, "growth_interval": 2}
    whole = finish(chosen, fresh(chosen, **scaling))
    part, run = fresh(chosen, **scaling), Run(tmp_path, chosen, {})
    for state in train(chosen, digits(), part):
        if state.step == 8:
            assert state.scaler.state_dict()["_growth_tracker"] != 0
            run.log(state, state.loss)
            run.save(state)
            break
    again = fresh(chosen, growth_interval=2)
    run.resume(again)
    assert again.scaler.state_dict() == part.scaler.state_dict()
    assert f'"scale": {part.scaler.get_scale()}' in (tmp_path / "metrics.jsonl").read_text()
    finish(chosen, again)
    assert torch.equal(weights(again), weights(whole)) and again.scaler.state_dict() == whole.scaler.state_dict()


def test_a_run_may_go_on_in_another_precision(tmp_path):
    for before, after in (("float16", "float32"), ("float32", "float16")):
        chosen = config("train.images=16", precision=before)
        Run(tmp_path / before, chosen, {}).save(finish(chosen, fresh(chosen)))
        chosen = config("train.images=32", precision=after)
        state = fresh(chosen)
        Run(tmp_path / before, chosen, {}).resume(state, changed=True)
        assert finish(chosen, state).step == 2 and state.scaler.get_scale() == (2.0**16 if after == "float16" else 1)
