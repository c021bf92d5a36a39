"""Devices: names, and that no float64 meets the state, as on devices that have none."""

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from scoresde.core import devices
from scoresde.core.errors import ResourceError, UsageError
from scoresde.core.random import generators
from scoresde.models.clipped import ClippedModel
from scoresde.models.guided import GuidedModel
from scoresde.models.network import NetworkModel
from scoresde.models.tiled import TiledModel
from scoresde.networks import networks
from scoresde.sampling.sample import sample
from scoresde.sampling.trajectory import Trajectory
from scoresde.sde import sdes
from scoresde.solvers import solvers


class NoFloat64(TorchDispatchMode):
    """A device without float64, as far as it can be played here: no operation has a state and a float64 tensor.

    A state is a float32 tensor of images, of four axes. Times, coefficients and errors, of one or two axes, are on the
    CPU on such a machine, and may be anything.
    """

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        out = function(*args, **(kwargs or {}))
        tensors = [leaf for leaf in tree_leaves((args, kwargs, out)) if isinstance(leaf, torch.Tensor)]
        state = any(t.ndim >= 4 and t.dtype == torch.float32 for t in tensors)
        if state and any(t.dtype == torch.float64 and t.ndim for t in tensors):
            raise AssertionError(f"{function} brings float64 to the state")
        return out


@pytest.fixture(scope="module")
def net():
    torch.manual_seed(0)
    options = networks["unet"](channels=4, group_channels=2, multipliers=[1], attention=[], blocks=1, classes=3)
    return options.build((1, 8, 8)).eval().requires_grad_(False)


def model(net, process="vp"):
    sde = sdes[process]()
    return NetworkModel(net, sde, (1, 8, 8), classes=3)


def test_the_mode_notices():
    state, time = torch.zeros(2, 1, 8, 8), torch.zeros(2, 1, 1, 1, dtype=torch.float64)
    with NoFloat64(), pytest.raises(AssertionError, match="float64"):
        state + time
    with NoFloat64(), pytest.raises(AssertionError, match="float64"):
        state.double()


@pytest.mark.parametrize("name", sorted(set(solvers) - {"scipy", "torchdiffeq"}))
@pytest.mark.parametrize("process", ["vp", "ve", "flow", "ddpm"])
def test_no_float64_meets_the_state_of_a_solver(net, name, process):
    cls = solvers[name]
    fixed = {"steps", "nfe"} & set(cls.model_fields)
    if process in ("ve", "flow") and not fixed:
        process = "vp-cosine"  # a random network on a wide process takes adaptive solvers thousands of steps
    options = dict.fromkeys(fixed, 6) or {"tol": 0.5, "atol": 0.5}
    subject, seeds = model(net, process), generators(range(2))
    x = subject.prior(seeds)
    recorder = Trajectory(subject.sde, 3)
    with NoFloat64():
        found = sample(subject, cls(**options), x, generator=seeds, observers=(recorder,))
    assert found.x.dtype == torch.float32


@pytest.mark.parametrize(
    "around",
    [
        ClippedModel,
        lambda inner: GuidedModel(inner, [0, 1], 2.0),
        lambda inner: TiledModel(inner, (1, 12, 12)),
        lambda inner: ClippedModel(GuidedModel(TiledModel(inner, (1, 12, 12)), [0, 1], 2.0)),
    ],
)
def test_no_float64_meets_the_state_of_a_wrapper(net, around):
    subject, seeds = around(model(net)), generators(range(2))
    x = subject.prior(seeds)
    with NoFloat64():
        sample(subject, solvers["unipc"](steps=3), x)


def test_float64_is_computed_on_the_cpu_where_a_device_has_none():
    assert devices.exact(torch.device("cpu")) == torch.device("cpu")
    assert devices.exact(torch.device("cuda")) == torch.device("cuda")
    assert devices.exact(torch.device("mps")) == torch.device("cpu")
    assert devices.double(torch.zeros(2)).dtype == torch.float64


def test_names_of_devices(monkeypatch):
    assert devices.device("cpu") == torch.device("cpu") == devices.device(torch.device("cpu"))
    for name in ("mps", "xpu", "cuda:1"):
        monkeypatch.setitem(devices.THERE, name.partition(":")[0], lambda: False)
        with pytest.raises(ResourceError, match=f"has no device '{name}' that torch can use; use the device cpu"):
            devices.device(name)
        monkeypatch.setitem(devices.THERE, name.partition(":")[0], lambda: True)
        assert devices.device(name) == torch.device(name)
    for name in ("gpu", "meta", "cud"):
        with pytest.raises(UsageError, match=f"no device is called '{name}'"):
            devices.device(name)
