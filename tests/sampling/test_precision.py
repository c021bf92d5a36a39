"""The choice of a precision: by a clock and a tolerance, kept for a model and a machine; and --precision everywhere."""

import json

import click
import pytest
import torch
from tiny import tiny_model

import scoresde
from scoresde import cli, models
from scoresde.core.errors import ResourceError, UsageError
from scoresde.models.inference import Inference
from scoresde.sampling import precision
from scoresde.sampling.precision import inferring
from scoresde.solvers import solvers

LAST, LOW, BOTH = Inference(channels_last=True), Inference("bfloat16"), Inference("bfloat16", channels_last=True)
DEFAULTS = {name: getattr(precision, name) for name in ("SOLVER", "TOLERANCE")}
ELSEWHERE = {
    ("train",): "computes in train.precision, and compiles by train.compile",
    ("classifier",): "trains a network of its own, and takes the process of the model alone",
    ("metrics",): "evaluates a network of features, whose figures have to be those of others",
}


@pytest.fixture
def clock(tmp_path, monkeypatch):
    """A machine on which each way takes the time that is written here; and a cache of its own."""
    monkeypatch.setenv("SCORESDE_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(precision, "has_bfloat16", lambda device: True)
    monkeypatch.setattr(precision, "SOLVER", solvers["unipc"](steps=4))
    monkeypatch.setattr(precision, "TOLERANCE", 0.1)  # four steps enlarge the roundings of bfloat16 to 0.01
    times = {Inference(): 1.0, LAST: 0.8, LOW: 0.5, BOTH: 0.6}

    def clocked(function, device):
        model = function.func.__self__
        return times[getattr(model, "model", model).inference]  # of a model with classes, the one inside

    monkeypatch.setattr(precision, "clocked", clocked)
    return times


@pytest.fixture
def tiny(tmp_path):
    return models.load(tiny_model(tmp_path / "tiny"))


def test_auto_takes_the_fastest(clock, tiny, caplog, monkeypatch):
    for name, value in DEFAULTS.items():
        monkeypatch.setattr(precision, name, value)
    found = inferring(tiny, "auto")
    assert found.inference == LOW and "bfloat16 takes 0.50 of the time" in caplog.text
    assert found.net is tiny.net and next(found.net.parameters()).dtype == torch.float32
    x = scoresde.sample(found, "unipc", n=4, steps=5).x
    assert x.dtype == torch.float32 and not torch.equal(x, scoresde.sample(tiny, "unipc", n=4, steps=5).x)


@pytest.mark.parametrize(
    ("times", "expected"),
    [
        ({LOW: 3.0, BOTH: 2.0}, LAST),
        ({LOW: 3.0, BOTH: 2.0, LAST: 0.99}, Inference()),  # less than a clock can tell
        ({BOTH: 0.1}, BOTH),
    ],
)
def test_what_is_slower_is_left_out(times, expected, clock, tiny):
    clock |= times
    assert inferring(tiny, "auto").inference == expected


def test_what_changes_samples_is_left_out(clock, tiny, monkeypatch):
    """By more than the tolerance, which the roundings of float32 alone do not reach, and those of bfloat16 do."""
    monkeypatch.setattr(precision, "TOLERANCE", 1e-5)
    rms = {way: float(error) for way, _, error in precision.measured(tiny)}
    assert rms[LAST] < 1e-5 < rms[LOW] and inferring(tiny, "auto").inference == LAST


def test_a_likelihood_takes_only_float32(clock, tiny, run, tmp_path):
    """Whose errors bfloat16 would hide: 0.02 bits per dimension, and steps that no tolerance can make small enough."""
    assert inferring(tiny, "auto", exact=True).inference == LAST and inferring(tiny, "auto").inference == LOW
    text = run(f"likelihood {tmp_path / 'tiny'} -n 2 --precision bfloat16", code=2)
    assert "computed in float32" in text
    for model in (tiny.inferring(LOW), scoresde.ClippedModel(tiny.inferring(LOW))):
        with pytest.raises(UsageError, match="in float32, got a model in bfloat16"):
            scoresde.log_likelihood(model, torch.zeros(1, 1, 8, 8))
    record = run(f"likelihood {tmp_path / 'tiny'} -n 2 --tol 1e-2 --precision auto --json --quiet")
    assert json.loads(record[record.index("{") :])["channels_last"] is True


def test_the_difference_is_that_of_the_samples(clock, tiny):
    x = tiny.prior(range(precision.SAMPLES))
    plain, low = (scoresde.sample(m, "unipc", seeds=range(4), steps=4).x for m in (tiny, tiny.inferring(LOW)))
    rms = {way: error for way, _, error in precision.measured(tiny)}[LOW]
    assert len(x) == 4 and rms == pytest.approx(float((plain - low).square().mean().sqrt()), rel=1e-4)


def refuse(*given):
    raise AssertionError("it was measured again")


def test_it_is_measured_once_for_each_model(clock, tiny, tmp_path, monkeypatch):
    inferring(tiny, "auto")
    monkeypatch.setattr(precision, "measured", refuse)
    again = models.load(tmp_path / "tiny")
    assert inferring(again, "auto").inference == LOW
    with torch.no_grad():
        again.net.conv_in.bias[0] += 1e-6
    with pytest.raises(AssertionError, match="measured again"):
        inferring(again, "auto")


@pytest.mark.parametrize("what", ["threads", "torch", "machine"])
def test_it_is_measured_again_elsewhere(what, clock, tiny, monkeypatch):
    before = precision.identity(tiny)
    assert before == precision.identity(tiny)
    if what == "threads":
        monkeypatch.setattr(torch, "get_num_threads", lambda: 77)
    elif what == "torch":
        monkeypatch.setattr(torch, "__version__", "9.9")
    else:
        monkeypatch.setattr(precision, "machine", lambda device: "another")
    assert before != precision.identity(tiny)


def test_a_damaged_cache_is_as_none(clock, tiny):
    inferring(tiny, "auto")
    (path,) = precision.home().joinpath("precision").iterdir()
    whole, bad = path.read_text(), ["3", '[[{"precision": "int8"}, 1, 1]]', '[[{}, "quick", 1]]']
    for content in ("", "{", "[]", "{}", *(f'{{"others": {rows}}}' for rows in bad)):
        path.write_text(content)
        assert inferring(tiny, "auto").inference == LOW, content
        assert path.read_text() == whole, content


def test_a_cache_that_cannot_be_written_is_done_without(clock, tiny, tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("SCORESDE_CACHE", str(tmp_path / "file/below"))
    assert inferring(tiny, "auto").inference == LOW


@pytest.mark.parametrize("kind", [{"classes": 3}, {"condition": "inpaint"}, {"condition": "colour"}], ids=str)
def test_networks_that_are_given_more_are_measured_too(kind, clock, tmp_path):
    model = models.load(tiny_model(tmp_path / "other", channels=3, **kind))
    assert inferring(model, "auto").inference != Inference()


def test_without_the_option_the_model_is_the_one_that_was_loaded(tiny):
    assert inferring(tiny) is tiny and inferring(tiny, "float32") is tiny


def test_a_precision_that_does_not_exist_is_refused(tiny):
    with pytest.raises(UsageError, match="auto or one of float32, bfloat16, float16, got 'int8'"):
        inferring(tiny, "int8")


def test_a_processor_is_tried_before_a_network(tiny, monkeypatch):
    """One without instructions for bfloat16 takes tens of times longer, and a network would take hours."""
    for low, expected in ((2.0, [LAST]), (1.2, [LAST, LOW, BOTH])):
        each = {torch.bfloat16: low, torch.float32: 1.0}
        monkeypatch.setattr(precision, "clocked", lambda conv, device, each=each: each[conv.args[0].dtype])
        assert precision.ways(tiny) == expected


def test_what_cannot_be_compiled_is_an_error_of_one_sentence(tiny, monkeypatch):
    def broken(*inputs):
        raise RuntimeError("No working\nC++ compiler found")

    monkeypatch.setattr(torch, "compile", lambda net: broken)
    with pytest.raises(ResourceError, match=r"cannot be compiled here: No working C\+\+ compiler found; leave out"):
        inferring(tiny, compile=True)


def commands(group, ctx, path=()):
    for name in group.list_commands(ctx):
        found = group.get_command(ctx, name)
        if isinstance(found, click.Group):
            yield from commands(found, ctx, (*path, name))
        yield (*path, name), {word for param in found.params for word in param.opts + param.secondary_opts}


def test_every_command_that_evaluates_a_network_has_the_options():
    """Those with a device, but for two that have reasons."""
    found = {path for path, words in commands(cli.scoresde, click.Context(cli.scoresde)) if "--device" in words}
    assert {("sample",), ("likelihood",), ("bench", "run"), ("tune",), ("web",), ("inpaint",)} <= found
    for path, words in commands(cli.scoresde, click.Context(cli.scoresde)):
        wanted = path in found and path not in ELSEWHERE
        assert {"--precision", "--compile", "--no-compile"} <= words if wanted else "--precision" not in words, path


def test_samples_say_their_precision(run, tmp_path):
    name = tiny_model(tmp_path / "m")
    for option, expected in (("", Inference()), (" --precision bfloat16", LOW)):
        run(f"sample --model {name} --solver euler --steps 3 -n 2 --quiet --out out{option}")
        record = json.loads((tmp_path / "out/samples.json").read_text())
        assert {key: record[key] for key in expected.record} == expected.record


@pytest.mark.parametrize("method", ["dps", "moment"])
def test_a_condition_by_gradients_works_in_a_low_precision(method):
    """What is imposed through the network's Jacobian is what float32 imposes, but for the network's roundings."""
    y, t = torch.zeros(2, 1, 2, 2), torch.full((2,), 0.4, dtype=torch.float64)
    plain = scoresde.load("digits", "cpu")
    x = plain.prior(2)
    exact, found = (
        scoresde.condition(model, "downsample:factor=4", y, method).eps(x, t) for model in (plain, plain.inferring(LOW))
    )
    assert found.dtype == torch.float32
    assert 1e-4 < float((found - exact).norm() / exact.norm()) < 0.1


def test_a_benchmark_notes_the_precision_and_keeps_its_rows_apart(run, tmp_path):
    name = tiny_model(tmp_path / "m")
    line = f"bench --model {name} --solver euler:steps=3 -n 4 --likelihood 0 --quiet --out out"
    run(line)
    run(f"{line} --precision bfloat16")
    rows = [json.loads(text) for each in (tmp_path / "out").glob("*.jsonl") for text in each.read_text().splitlines()]
    assert [row["precision"] for row in rows] == ["float32", "bfloat16"] and len({row["key"] for row in rows}) == 2
    (low,) = (row for row in rows if row["precision"] == "bfloat16")
    assert low["compile"] is False and low["status"] == "done"
    errors = {metric["name"]: metric["value"] for metric in low["metrics"]}
    assert errors["error"] > 0  # from the paths of float32
    assert "is a law in closed form" in run("bench --model gm2 --solver euler --precision bfloat16", code=2)
