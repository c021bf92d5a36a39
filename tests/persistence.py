"""An imitation of how NVIDIA's networks are pickled: each class with its source, which its own reader would run."""

import pickle
import sys
import types

import torch
from torch import nn

SOURCE = "import os\nraise SystemExit('the source of a pickle was run')\n"


class Pickler(pickle.Pickler):
    """Writes modules that are not torch's as `torch_utils.persistence` does: a call with class name and state."""

    def reducer_override(self, obj):
        if not isinstance(obj, nn.Module) or type(obj).__module__.startswith("torch."):
            return NotImplemented
        plain = {key: value for key, value in obj.__dict__.items() if key[0] == "_" or isinstance(value, int | float)}
        name = getattr(obj, "class_name", type(obj).__name__)
        meta = {"type": "class", "version": 6, "module_src": SOURCE, "class_name": name, "state": plain}
        return sys.modules["torch_utils.persistence"]._reconstruct_persistent_obj, (meta,)


def _reconstruct_persistent_obj(meta):
    exec(meta["module_src"], {})  # as the original does; a test that comes here ends


def installed(monkeypatch):
    """Makes the module that the pickles name importable."""
    for name in ("torch_utils", "torch_utils.persistence"):
        monkeypatch.setitem(sys.modules, name, types.ModuleType(name))
    function = _reconstruct_persistent_obj
    monkeypatch.setattr(function, "__module__", "torch_utils.persistence")
    sys.modules["torch_utils.persistence"]._reconstruct_persistent_obj = function


class Module(nn.Module):
    """A module of another class, with the parts of a network and what it was built with."""

    def __init__(self, class_name, parts, **told):
        super().__init__()
        self.class_name, self._init_args, self._init_kwargs = class_name, (), told
        self._modules.update(parts._modules)
        self._parameters.update(parts._parameters)
        self._buffers.update(parts._buffers)


def snapshot(path, net, network, told, kind="EDMPrecond", name="SongUNet", protocol=4):
    """Writes a pickle with a network inside its preconditioning, the way that EDM's snapshots are."""
    inner = Module(name, net, **network)
    parts = nn.Module()
    parts.model = inner
    outer = Module(kind, parts, **told)
    outer.sigma_data = 0.5
    with path.open("wb") as file:
        Pickler(file, protocol).dump(
            {"ema": outer, "loss_fn": None, "dataset_kwargs": {"resolution": torch.Size([8])[0]}}
        )
    return path
