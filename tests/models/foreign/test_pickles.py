"""The reader of pickles: what it reads, and that nothing in a pickle is ever run."""

import collections
import copyreg
import io
import os
import pickle
import pickletools
import struct

import pytest
import torch

from scoresde.core.errors import CheckpointError
from scoresde.models.foreign.persistent import weights_of
from scoresde.models.foreign.pickles import Record, read_records, tensor_of


def read(data):
    return read_records(io.BytesIO(data))


class Call:
    """Pickled as a call, which an ordinary reader would make."""

    def __init__(self, function, *args, state=None):
        self.made = (function, args) if state is None else (function, args, state)

    def __reduce__(self):
        return self.made


def opcodes(*parts):
    """A pickle of protocol 4 by its opcodes."""
    return b"\x80\x04" + b"".join(parts) + b"."


def text(value):
    """The opcode of a short text."""
    return b"\x8c" + bytes([len(value)]) + value.encode()


def named(module, name):
    """The opcodes that put what a name stands for on the stack."""
    return text(module) + text(name) + b"\x93"


@pytest.mark.parametrize("protocol", [3, 4, 5])
def test_the_weights_of_a_module_of_torch(protocol):
    sequence = torch.nn.Sequential(
        torch.nn.Linear(3, 2), torch.nn.BatchNorm1d(2), torch.nn.ModuleList([torch.nn.Conv2d(1, 2, 3)])
    )
    sequence.register_buffer("kept", torch.arange(6.0)[::2])
    sequence.register_buffer("passing", torch.ones(2), persistent=False)
    sequence.register_parameter("slim", torch.nn.Parameter(torch.randn(2, 3).half().t()))
    found, truth = weights_of(read(pickle.dumps(sequence, protocol))), sequence.state_dict()
    assert set(found) == set(truth) and all(torch.equal(found[name], truth[name]) for name in truth)
    assert all(found[name].dtype == truth[name].dtype for name in truth)


def test_plain_values_stay_what_they_are():
    value = {"a": [1, 2.5, None, True, "x", b"y", (1,), {3}], "b": {"c": -(10**30)}}
    assert read(pickle.dumps(value)) == value
    ordered = read(pickle.dumps(collections.OrderedDict(a=1)))
    assert isinstance(ordered, Record) and dict(ordered) == {"a": 1}


EVIL = [
    (os.system, "touch ran"),
    (eval, "__import__('os').system('touch ran')"),
    (exec, "open('ran', 'w')"),
    (open, "ran", "w"),
    (getattr, os, "system"),
    (__import__, "os"),
    (copyreg.__newobj__, io.FileIO, "ran", "w"),
    (copyreg._reconstructor, io.BytesIO, object, None),
    (copyreg.add_extension, "os", "system", 240),
    (torch.load, "ran"),
    (pickle.loads, b"cos\nsystem\n(S'touch ran'\ntR."),
    (torch.nn.functional.relu, 1),
    (torch.hub.load, "ran"),
    (bytes, 10**12),
]


@pytest.mark.parametrize("call", EVIL, ids=lambda call: call[0].__name__)
@pytest.mark.parametrize("protocol", range(6))
def test_a_call_of_anything_else_is_refused(call, protocol, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    try:
        data = pickle.dumps({"ema": Call(*call)}, protocol)
    except (pickle.PicklingError, TypeError):
        data = opcodes(named(call[0].__module__, call[0].__qualname__), b")R")
    with pytest.raises(CheckpointError, match="is not opened, since that could run code: it names"):
        read(data)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    "name",
    [
        ("os", "system"),
        ("torch.nn.modules.module", "torch.os.system"),  # a name inside an allowed module
        ("torch.nn.modules.module", "torch.serialization.os.system"),
        ("torch.nn.modules.", "os.system"),
        ("collections", "OrderedDict.__init__"),
        ("torch._utils", "_rebuild_tensor_v2.__globals__"),
        ("torch.storage", "io.open"),
        ("builtins", "getattr"),
        ("builtins", "set.__class__"),
        ("torch", "nn.modules.module.os.system"),
        ("scoresde.models.foreign.pickles", "Record"),
    ],
)
def test_a_name_that_leads_elsewhere_is_refused(name):
    for data in (opcodes(named(*name)), b"c" + "\n".join(name).encode() + b"\n."):
        with pytest.raises(CheckpointError):
            read(data)


def test_what_is_allowed_is_not_run_either(monkeypatch):
    """No function of torch is called while a pickle is read, whatever its arguments are."""
    for function in ("_rebuild_tensor_v2", "_rebuild_parameter"):
        monkeypatch.setattr(torch._utils, function, None)
    monkeypatch.setattr(torch.storage, "_load_from_bytes", None)
    calls = [named("torch._utils", "_rebuild_tensor_v2"), named("torch.nn.modules.module", "Module")]
    for name in calls:
        found = read(opcodes(name, b")R"))
        assert isinstance(found, Record) and found.args == ()


def test_attributes_that_a_pickle_sets_stay_in_it():
    """BUILD on an object keeps the state; on a class or a list it fails; neither changes what the next pickle gets."""
    module = named("torch.nn.modules.module", "Module")
    state = b"}" + text("path") + text("evil") + b"s"
    found = read(opcodes(module, b")R", state, b"b"))
    assert found.path == "torch.nn.modules.module.Module" and found.state == {"path": "evil"}
    for target in (module, b"]", b"}", named("torch._utils", "_rebuild_tensor_v2")):
        with pytest.raises(CheckpointError):
            read(opcodes(target, state, b"b"))
        with pytest.raises(CheckpointError):
            read(opcodes(target, b"N", state, b"\x86b"))  # (None, slots), which would be set one by one
    assert read(opcodes(module, b")R")).path == "torch.nn.modules.module.Module"


def test_a_state_that_would_set_itself_is_kept():
    class Evil:
        def __setstate__(self, state):
            raise SystemExit(state)

    Evil.__module__, Evil.__qualname__ = "torch.nn.modules.module", "Module"
    data = opcodes(named("torch.nn.modules.module", "Module"), b")\x81", text("x"), b"b")
    assert read(data).state == "x"


@pytest.mark.parametrize("data", [b"\x80\x04\x82\x01.", b"\x80\x04\x84\xff\xff\xff\x7f.", b"\x80\x04K\x01Q.", b"P1\n."])
def test_extensions_and_persistent_names_are_refused(data):
    with pytest.raises(CheckpointError):
        read(data)


def test_a_pickle_that_is_cut_off_is_damaged():
    data = pickle.dumps(torch.nn.Linear(2, 2))
    for end in range(0, len(data) - 1, 37):
        with pytest.raises(CheckpointError):
            read(data[:end])


def test_bytes_that_were_changed_are_read_or_refused_but_never_run():
    """One byte of each opcode in turn."""
    data = pickle.dumps(torch.nn.Linear(2, 2))
    places = [place for _, _, place in pickletools.genops(data)]
    for place in places[::3]:
        for value in (0x52, 0x93, 0x62, 0x81, 0x00):
            changed = data[:place] + bytes([value]) + data[place + 1 :]
            try:
                weights_of(read(changed))
            except CheckpointError:
                pass


def test_deep_nesting_ends_in_an_error():
    with pytest.raises(CheckpointError, match="a list where a module should be|damaged"):
        weights_of(read(b"\x80\x04" + b"]" * 200_000 + b"a" * 199_999 + b"."))
    with pytest.raises(CheckpointError):
        read(opcodes(b"(" * 100_000))


MODULE = named("torch.nn.modules.module", "Module")


def modules(*parts):
    """A pickle of a module with empty weights whose parts are given as opcodes, in which h0 is the module itself."""
    empty = text("_parameters") + b"}s" + text("_buffers") + b"}s"
    return opcodes(MODULE, b")Rq\x00}", empty, text("_modules"), b"}", *parts, b"sb")


def test_a_network_that_contains_itself_is_refused():
    with pytest.raises(CheckpointError, match="there twice"):
        weights_of(read(modules(text("a"), b"h\x00s")))


def test_a_tensor_stays_inside_its_storage():
    x = torch.arange(12.0).reshape(3, 4)
    found = read(pickle.dumps([x[1:, ::2], x.t()]))
    assert torch.equal(tensor_of(found[0]), x[1:, ::2]) and torch.equal(tensor_of(found[1]), x.t())
    record = found[0]
    for size, stride, offset in (
        ((5, 4), (4, 1), 0),
        ((2,), (1,), 11),
        ((2,), (-1,), 3),
        ((10**12,), (0,), 0),
        ("ab", (1, 1), 0),
    ):
        record.args = (record.args[0], offset, size, stride)
        with pytest.raises(CheckpointError, match="a tensor of the pickle cannot be read"):
            tensor_of(record)


def test_a_storage_that_holds_a_program_is_refused(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    record = read(pickle.dumps(torch.arange(4.0)))
    for evil in (pickle.dumps(Call(os.system, "touch ran")), b"", struct.pack("<q", -1)):
        storage = record.args[0]
        storage.args = (evil,)
        with pytest.raises(CheckpointError, match="a tensor of the pickle cannot be read"):
            tensor_of(record)
    buffer = io.BytesIO()
    torch.save({"a": Call(os.system, "touch ran")}, buffer)
    record.args[0].args = (buffer.getvalue(),)
    with pytest.raises(CheckpointError, match="cannot be read"):
        tensor_of(record)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("other", [1, None, [], "x", Record(), {"a": 1}])
def test_what_is_no_tensor_or_module_says_so(other):
    with pytest.raises(CheckpointError, match="cannot be read"):
        tensor_of(other)
    with pytest.raises(CheckpointError, match="where a module should be"):
        weights_of(other)
