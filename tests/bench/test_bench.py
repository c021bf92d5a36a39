"""The benchmark: its numbers against independent ones, and what becomes of them when a run is cut, shared or fails."""

import json
import math
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from statistics import mean

import pytest
import scipy.stats
import torch
from tiny import tiny_model

from scoresde import models
from scoresde.bench import analytic, estimates, network
from scoresde.bench.analytic import DRAWS, SLICED, AnalyticSubject
from scoresde.bench.cells import cells, subjects
from scoresde.bench.facts import facts
from scoresde.bench.network import CONVERGED, NetworkSubject
from scoresde.bench.problems import PROBLEMS
from scoresde.bench.report import Report
from scoresde.bench.run import run
from scoresde.bench.spec import Spec
from scoresde.bench.store import Store
from scoresde.bench.suites import load
from scoresde.core.errors import UsageError
from scoresde.core.parallel import share
from scoresde.core.random import generators
from scoresde.core.units import Units
from scoresde.data import data
from scoresde.likelihood import nll
from scoresde.metrics.base import Estimate
from scoresde.metrics.moments import moments
from scoresde.metrics.normal import factored, frechet
from scoresde.models.base import ScoreModel
from scoresde.networks.mlp import MLPOptions
from scoresde.sampling.sample import sample
from scoresde.sde import VPSDE
from scoresde.solvers import solvers

FIXED = {"dtype": "float64", "likelihood": 0}
LINE = "bench --model gaussian --solver dpm:tol=1e-1/1e-2 --solver em:steps=5/10 -n 20 --batch 8 --likelihood 0 --quiet"


def measured(spec, store, **options):
    todo = cells(spec, subjects(spec, torch.device("cpu")))
    return list(run(todo, store, progress=lambda done: None, **options))


def timeless(rows):
    """Rows without what differs between two runs of the same."""
    timed = {"seconds", "seconds_per_nfe"}
    return sorted(({k: v for k, v in row.items() if k not in timed} for row in rows), key=lambda row: row["key"])


@pytest.fixture(scope="session")
def tiny(tmp_path_factory):
    """The folder of `tiny_model`."""
    return tiny_model(tmp_path_factory.mktemp("tiny"), network="mlp")


@pytest.fixture(name="call")
def command_line(request):
    """What `run` is elsewhere; here that name is the benchmark's."""
    return request.getfixturevalue("run")


class Watched(ScoreModel):
    """Counts the calls of each batch size by itself, and does what it is told at each."""

    def __init__(self, model, act=lambda calls, x: None):
        super().__init__()
        self.model, self.sde, self.shape, self.calls, self.act = model, model.sde, model.shape, 0, act

    def evaluate(self, x, t, classes=None):
        self.calls += 1
        self.act(self.calls, x)
        return self.model.evaluate(x, t, classes)


def subject(spec, act=lambda calls, x: None):
    """The Gaussian under a watch that the benchmark does not know of."""
    found = AnalyticSubject("gaussian", spec)
    found.truth = found.model
    found.model = Watched(found.model, act)
    for name in ("log_prob", "draw", "flow"):
        setattr(found.model, name, getattr(found.truth, name))
    noise = found.truth.prior(generators(range(spec.seed, spec.seed + spec.count)), dtype=torch.float64)
    found.flowed = found.truth.flow(noise, 1.0, found.truth.sde.t_min)
    return found


@pytest.mark.parametrize("name", solvers.all())
def test_nfe_is_that_of_an_independent_count(tmp_path, name):
    budgets = {"steps": 6, "nfe": 6, "tol": 0.05}
    option = next(key for key in budgets if key in solvers[name].model_fields)
    spec = Spec(model="gaussian", solver=[{"name": name, option: budgets[option]}], count=7, batch=4, **FIXED)
    (row,) = measured(spec, Store(tmp_path))
    calls, truth = [], AnalyticSubject("gaussian", spec).model
    for seeds in (range(4), range(4, 7)):
        watched, sources = Watched(truth), generators(seeds)
        x = truth.prior(sources, dtype=torch.float64)
        spec.solver[0].solve(watched, x, start=1.0, stop=truth.sde.t_min, generator=sources)
        calls.append(watched.calls)
    assert row["status"] == "done", row
    assert row["nfe"] == {"mean": mean(calls), "min": min(calls), "max": max(calls)}
    assert row["work"] == (4 * calls[0] + 3 * calls[1]) / 7 and row["vjps"] == 0


def test_errors_and_laws_have_closed_forms(monkeypatch):
    """Gaussian samples spread by 1.2 and shifted by v: the gap is (1.2² - 1)/2, and SW² grows by |v|²/D."""
    monkeypatch.setattr(analytic, "SLICED", SLICED)
    spec = Spec(model="gaussian", solver="ddim", count=4000, paths=4000, seed=9, **FIXED)
    judge = AnalyticSubject("gaussian", spec)
    centre, _ = judge.model.marginal(judge.model.sde.t_min)
    exact = judge.model.draw(4000, torch.Generator().manual_seed(1), judge.model.sde.t_min)
    (*_, gap, _) = judge.measure(centre + 1.2 * (exact - centre), exact, solvers["em"]())
    assert gap.low < 0.22 < gap.high and gap.high - gap.low < 0.1
    shift = torch.tensor([0.6, 0.0, -0.3], dtype=torch.float64)
    sliced = judge.measure(exact + shift, exact, solvers["em"]())[-1]
    assert sliced.value == pytest.approx((float(shift.square().sum()) / 3) ** 0.5, rel=0.1)
    assert sliced.floor < 0.1 * sliced.value and sliced.low < sliced.value < sliced.high
    error, rms, *_ = judge.measure(exact, judge.flowed + shift, solvers["ddim"]())
    assert error.value == pytest.approx(0.15**0.5) and rms.value == pytest.approx(0.15**0.5)
    assert len(judge.exact) == DRAWS


def test_a_networks_error_is_the_distance_from_its_own_flow(tmp_path, tiny, monkeypatch):
    """Against SciPy's DOP853 on the same noise, and falling with the tolerance; noisy solvers have none."""
    monkeypatch.setattr(network, "CONVERGED", CONVERGED)
    solver = ["rk45:tol=1e-2/1e-4", "em:steps=5"]
    spec = Spec(model=tiny, solver=solver, count=4, batch=4, paths=3, likelihood=0, denoise=False)
    loose, tight, noisy = measured(spec, Store(tmp_path))
    model, x = models.load(tiny), []
    for tool in (spec.solver[0], solvers["scipy"](method="DOP853", tol=1e-7)):
        noise = model.prior(generators(range(3)))
        noise = noise if tool is spec.solver[0] else noise.double()
        x.append(sample(model, tool, noise, denoise=False).x.double())
    distance = (x[0] - x[1]).flatten(1).square().mean(1).sqrt()
    assert loose["metrics"][0]["name"] == "error"
    assert loose["metrics"][0]["value"] == pytest.approx(float(distance.median()), rel=1e-2)
    assert tight["metrics"][0]["value"] < 0.1 * loose["metrics"][0]["value"] and noisy["metrics"] == []


def test_the_interval_of_the_median_is_scipys():
    x = torch.rand(57, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    ours = estimates.median("error", x)
    theirs = scipy.stats.quantile_test(x.numpy(), p=0.5).confidence_interval(0.95)
    assert (ours.low, ours.high) == (theirs.low, theirs.high)


def test_the_jackknife_of_a_mean_is_its_standard_error():
    """For a mean with one value per block the jackknife is exact: t times the standard error."""
    x = torch.rand(20, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    (ours,) = estimates.jackknife(("mean",), lambda part: part.mean(0, keepdim=True), x, (0.0,))
    theirs = scipy.stats.ttest_1samp(x.numpy(), 0.0).confidence_interval(0.95)
    assert (ours.low, ours.high) == pytest.approx((theirs.low, theirs.high), rel=1e-12)


@pytest.mark.parametrize("count", [64, 128, 256])
def test_intervals_of_skewed_means_hold_the_truth_on_both_sides(count):
    """-log p of a normal law in the plane is exponential. 2,000 draws: each side misses 2.5 % ± 0.35 % (one sigma)."""
    source, total = torch.Generator().manual_seed(count), 2000
    values = -torch.log1p(-torch.rand((total, count), generator=source, dtype=torch.float64))
    exact = -torch.log1p(-torch.rand((total, 4096), generator=source, dtype=torch.float64))
    gaps = [estimates.difference("gap", ours, theirs) for ours, theirs in zip(exact, values, strict=True)]
    roots = [estimates.root("rms error", squares) for squares in values]
    for found, truth in ((gaps, 0.0), (roots, 1.0)):
        above, below = (sum(e.low > truth for e in found) / total, sum(e.high < truth for e in found) / total)
        assert 0.012 < above < 0.04 and 0.012 < below < 0.04 and above + below < 0.066, (above, below)


def test_the_interval_of_a_mean_without_skewness_is_scipys():
    x = torch.tensor([-2.0, -1.0, 0.5, 1.0, 2.0, -0.5], dtype=torch.float64)  # symmetric about 0
    exact = torch.zeros(9, dtype=torch.float64)
    found = estimates.difference("gap", exact, x)
    low, high = scipy.stats.ttest_ind(exact.numpy(), x.numpy(), equal_var=False).confidence_interval(0.95)
    assert (found.low, found.high) == pytest.approx((low, high), rel=1e-9)


@pytest.mark.slow
@pytest.mark.parametrize("count", [64, 128, 256])
def test_intervals_of_gm2_hold_the_truth(count, monkeypatch):
    """Of the gap 0 of exact samples, the median error of a few steps, and the means of SW and of the Frechet distance.

    At 95 % a coverage of 200 draws below 90 % has a probability of 0.2 %.
    """
    monkeypatch.setattr(analytic, "SLICED", SLICED)
    spec = Spec(model="gm2", solver="unipc:steps=6", count=count, likelihood=0)
    judge, total, real = AnalyticSubject("gm2", spec), 200, PROBLEMS["gm2"]()
    x = real.draw(20_000, torch.Generator().manual_seed(1), real.sde.t_min)
    errors = x.flatten(1).square().mean(1).sqrt()  # a law like that of errors, skewed and with modes
    law, reference = judge._log_prob(x), factored(moments(x.flatten(1)))
    source, held, found = torch.Generator().manual_seed(2), {"gap": 0, "error": 0}, {"SW": [], "FD": []}
    for _ in range(total):
        index = torch.randint(len(x), (count,), generator=source)
        gap, error = estimates.difference("gap", law, law[index]), estimates.median("error", errors[index])
        held["gap"] += gap.low <= 0 <= gap.high
        held["error"] += error.low <= errors.median() <= error.high
        found["SW"].append(judge._sliced(x[index]))
        distance = estimates.jackknife(
            ("FD",), lambda part: torch.tensor([frechet(part, reference)]), x[index].flatten(1), (0.0,)
        )
        found["FD"] += distance
    for name, rows in found.items():
        truth = mean(row.value for row in rows)
        held[name] = sum(row.low <= truth <= row.high for row in rows)
    assert all(times >= 0.9 * total for times in held.values()), held


def test_the_warm_up_is_not_timed(tmp_path):
    spec = Spec(model="gaussian", solver="ddim:steps=4", count=6, batch=3, **FIXED)
    slow = subject(spec, lambda calls, x: time.sleep(0.2 if calls <= 3 else 0))
    (row,) = run(cells(spec, [slow]), Store(tmp_path), progress=lambda done: None)
    assert row["seconds"]["mean"] < 0.1 and row["seconds"]["batches"] == 2
    assert slow.model.calls == 3 + 2 * 4


def test_the_last_short_batch_does_not_count_as_a_batch(tmp_path):
    spec = Spec(model="gaussian", solver="ddim:steps=4", count=7, batch=3, **FIXED)
    late = subject(spec, lambda calls, x: time.sleep(0.2 if len(x) == 1 else 0))
    (row,) = run(cells(spec, [late]), Store(tmp_path), progress=lambda done: None)
    assert row["seconds"]["batches"] == 2 and row["seconds"]["mean"] < 0.1 and row["seconds_per_nfe"] > 0.05


def test_fewer_samples_than_a_batch_are_a_batch_of_their_number(tmp_path):
    spec = Spec(model="gaussian", solver="ddim:steps=4", count=4, batch=64, **FIXED)
    slow = subject(spec, lambda calls, x: time.sleep(0.01))
    (row,) = run(cells(spec, [slow]), Store(tmp_path), progress=lambda done: None)
    assert row["batch"] == 4 and row["seconds"]["batches"] == 1 and row["seconds"]["mean"] >= 0.04


@pytest.mark.parametrize("end", ["low", "high", "floor"])
def test_an_interval_that_is_not_finite_fails_its_cell_alone(tmp_path, monkeypatch, end):
    spec = Spec(model="gaussian", solver="ddim:steps=4/5", count=4, **FIXED)
    todo = cells(spec, [subject(spec)])
    known = {"name": "own", "value": 1.0, "low": 0.5, "high": 2.0, "floor": 0.1, "n": 4}
    found = [[Estimate(**known | {end: math.nan})], [Estimate(**known)]]
    monkeypatch.setattr(AnalyticSubject, "measure", lambda *given: found.pop(0))
    store = Store(tmp_path)
    first, second = run(todo, store, progress=lambda done: None)
    assert first["status"] == "failed" and "own has an interval" in first["reason"] and second["status"] == "done"
    assert {row["status"] for row in store.rows().values()} == {"failed", "done"}


FULL = [torch.OutOfMemoryError("full"), RuntimeError("can't allocate memory"), MemoryError()]


@pytest.mark.parametrize("error", FULL)
def test_without_memory_the_batch_is_halved_and_the_samples_stay(tmp_path, error):
    spec = Spec(model="gaussian", solver="em:steps=5", count=8, batch=8, **FIXED)

    def act(calls, x):
        if len(x) > 2:
            raise error

    (row,) = run(cells(spec, [subject(spec, act)]), Store(tmp_path / "a"), progress=lambda done: None)
    (whole,) = run(cells(spec, [subject(spec)]), Store(tmp_path / "b"), progress=lambda done: None)
    assert row["status"] == "done" and row["batch"] == 2 and whole["batch"] == 8 and row["metrics"] == whole["metrics"]

    def never(calls, x):
        raise error

    (row,) = run(cells(spec, [subject(spec, never)]), Store(tmp_path / "c"), progress=lambda done: None)
    assert row["status"] == "failed" and "does not hold a single sample" in row["reason"]


def test_sweeps_are_products_in_texts_and_tables():
    text = Spec(solver="dpm:tol=1e-1/1e-2,order=2/3")
    table = Spec(solver=[{"name": "dpm", "tol": [1e-1, 1e-2], "order": [2, 3]}])
    assert text == table and [(s.tol, s.order) for s in text.solver] == [(0.1, 2), (0.1, 3), (0.01, 2), (0.01, 3)]
    assert Spec(**json.loads(json.dumps(text.model_dump(mode="json")))) == text
    grids = Spec(solver="ddim:steps=5,grid=karras:rho=5/time").solver
    assert [str(s.grid) for s in grids] == ["karras:rho=5.0", "time"]


def test_the_key_is_of_what_the_numbers_depend_on():
    def keys(**changes):
        spec = Spec(**{"model": "gaussian", "solver": ["em:steps=5", "em:steps=5"], "count": 9, **FIXED, **changes})
        return {cell.key for cell in cells(spec, subjects(spec, torch.device("cpu")))}

    assert len(keys()) == 1 and keys() == keys()
    changes = [{"count": 8}, {"batch": 3}, {"seed": 1}, {"dtype": "float32"}, {"solver": "em:steps=6"}, {"paths": 2}]
    assert len(set.union(keys(), *(keys(**change) for change in changes))) == 1 + len(changes)
    assert keys(metric="pixel-frechet") == keys()  # which does not judge this model


@pytest.mark.parametrize(
    ("line", "code", "message"),
    [
        ("--solver dmp", 2, "no solver is called 'dmp'"),
        ("--solver dpm:tolx=1", 2, "tolx is not an option of dpm. Did you mean 'tol'?"),
        ("--solver dpm:tol=-1/2", 2, "tol must be greater than 0, got -1"),
        ("--solver dpm:tol", 2, "'tol' in 'dpm:tol' has no value"),
        ("--solver dpm --solver emm --metric fdd", 2, "2 mistakes"),
        ("--model gaus", 2, "no run, bundled or analytic model is called 'gaus'. Did you mean 'gaussian'?"),
        ("-n 1", 2, "count must be at least 2, got 1"),
        ("--likelihood 1", 2, "must be 0 or at least 2, since one value has no interval, got 1"),
        ("nowhere.toml", 2, "no benchmark file is called 'nowhere.toml'"),
        ("bad.toml", 2, "cout is not an option of benchmark. Did you mean 'count'?"),
        ("denoised.toml", 2, "the law of gaussian is known where a solver stops"),
        ("broken.toml", 2, "is not a benchmark"),
        ("--out file/out", 2, "cannot write into file/out"),
        ("--model digits --metric is --metric fid", 4, "weights"),
        ("--model digits --metric is --metric fid --weights no.pth", 4, "there is no file of Inception weights no.pth"),
        ("--model digits --metric pixel-frechet --weights no.pth", 2, "--weights no.pth is of no metric here"),
        ("--suite posterior --weights no.pth", 2, "which the suite posterior does not measure"),
        ("--model digits --metric fd:extractor=nowhere", 2, "nowhere"),
        ("--model digits --metric pixel-frechet -n 2", 2, "needs at least 3 samples, got 2"),
        ("photos.toml", 3, "digits makes images of 1x8x8, and the data photos are of 3x32x32"),
        ("compare file file", 2, "does not hold the results of a benchmark"),
        ("compare nowhere nowhere", 2, "holds no results"),
    ],
)
def test_a_mistake_is_one_sentence_before_anything_is_sampled(call, tmp_path, line, code, message):
    (tmp_path / "file").touch()
    (tmp_path / "bad.toml").write_text('cout = 3\nmodel = "gaussian"\nsolver = "ddim"\n')
    (tmp_path / "denoised.toml").write_text('model = "gaussian"\nsolver = "ddim"\ndenoise = true\n')
    (tmp_path / "photos.toml").write_text('model = "digits"\nsolver = "ddim"\ndata = "photos"\n')
    (tmp_path / "broken.toml").write_text("model = [")
    own = (
        ""
        if line.endswith("toml") or any(word in line for word in ("compare", "--model", "--suite"))
        else "--model gaussian "
    )
    text = " ".join(call(f"bench {own if 'compare' not in line else ''}{line}", code).split())
    assert message in text
    assert not list(tmp_path.rglob("rows-*")) and not (tmp_path / "bench").exists()


@pytest.mark.parametrize("shape", [(2,), (3, 4, 4)])
def test_a_model_of_other_numbers_is_refused(tmp_path, shape):
    """Vectors were an error of Python."""
    each = (shape[0], *[1] * (len(shape) - 1))
    units, options = Units(torch.zeros(each), torch.ones(each)), MLPOptions(width=8)
    model = models.NetworkModel(options.build(shape), VPSDE(), shape, options=options, units=units)
    models.save(model, tmp_path)
    with pytest.raises(UsageError, match="compares images, and .* makes numbers of shape"):
        NetworkSubject(str(tmp_path), Spec(model=str(tmp_path), solver="euler:steps=2", count=2), torch.device("cpu"))


def test_weights_are_of_the_metrics_that_name_none():
    spec = Spec(solver="ddim", metric=["fid", "kid:weights=own.pth", "pixel-frechet"]).with_weights(Path("a/b.pth"))
    assert [getattr(metric, "weights", "none") for metric in spec.metric] == ["a/b.pth", "own.pth", "none"]
    assert Spec(**spec.model_dump(mode="json")) == spec


def test_the_second_run_does_nothing(call, tmp_path):
    call(f"{LINE} --out out")
    before = {path.name: path.read_bytes() for path in (tmp_path / "out").iterdir()}
    assert len(before["rows-0.jsonl"].splitlines()) == 4
    call(f"{LINE} --out out")
    assert before == {path.name: path.read_bytes() for path in (tmp_path / "out").iterdir()}
    call(f"{LINE.replace('-n 20', '-n 10')} --out out")
    assert len((tmp_path / "out" / "rows-0.jsonl").read_bytes().splitlines()) == 8  # another benchmark's rows stay


def test_a_failed_cell_leaves_the_others_and_is_tried_again(call, tmp_path):
    line = "bench --model gaussian --solver rk45:max_nfe=20 --solver ddim:steps=5 -n 4 --likelihood 0 --out out"
    said = call(line, 5)
    assert "1 of 2 cells failed, the others stand: gaussian rk45 tol=0.001 max_nfe=20" in said
    table = (tmp_path / "out" / "table.md").read_text()
    lines = [[cell.strip() for cell in line.split("|")[1:4]] for line in table.splitlines()[2:4]]
    assert lines == [["rk45", "tol=0.001 max_nfe=20", "failed"], ["ddim", "steps=5", "5"]]
    assert "has not ended after max_nfe = 20 evaluations" in table
    call(line, 5)
    rows = [json.loads(text) for text in (tmp_path / "out" / "rows-0.jsonl").read_text().splitlines()]
    assert [row["status"] for row in rows] == ["failed", "done", "failed"]


def test_a_strange_error_fails_its_cell_alone(tmp_path):
    spec = Spec(model="gaussian", solver=["ddim:steps=3", "ddim:steps=4"], count=4, **FIXED)

    def act(calls, x):
        if calls == 5:
            raise ZeroDivisionError("of a stranger")

    rows = list(run(cells(spec, [subject(spec, act)]), Store(tmp_path), progress=lambda done: None))
    assert [row["status"] for row in rows] == ["failed", "done"]
    assert rows[0]["reason"] == "ZeroDivisionError: of a stranger"


def test_a_run_cut_anywhere_goes_on_to_the_same_rows(tmp_path):
    """After every row, and in the middle of the line of every row."""
    spec = Spec(model="gaussian", solver=["em:steps=4", "dpm:tol=1e-1", "ddim:steps=3/5"], count=10, batch=4, **FIXED)
    whole = Store(tmp_path / "whole")
    measured(spec, whole)
    content = whole.path.read_bytes()
    ends = [i + 1 for i, byte in enumerate(content) if byte == ord("\n")]
    for number, cut in enumerate([0, *ends, *(end - 40 for end in ends), *(end - 1 for end in ends)]):
        store = Store(tmp_path / str(number))
        store.folder.mkdir()
        store.path.write_bytes(content[:cut])
        measured(spec, store)
        assert timeless(store.rows().values()) == timeless(whole.rows().values())


@pytest.mark.parametrize("damage", [False, True])
def test_a_cell_goes_on_after_its_last_finished_batch(tmp_path, damage):
    """em draws 4 batches of 5 evaluations; it is interrupted in the third one, and later the fourth is not drawn."""
    spec = Spec(model="gaussian", solver="em:steps=5", count=10, batch=3, paths=4, **FIXED)
    (whole,) = run(cells(spec, [subject(spec)]), Store(tmp_path / "whole"), progress=lambda done: None)

    def act(calls, x):
        if calls == 3 + 2 * 5 + 2:  # the warm-up, two batches, and a part of one
            raise KeyboardInterrupt

    store = Store(tmp_path / "cut")
    with pytest.raises(KeyboardInterrupt):
        list(run(cells(spec, [subject(spec, act)]), store, progress=lambda done: None))
    assert not store.rows()
    (folder,) = store.folder.iterdir()
    assert sorted(path.stem for path in folder.iterdir()) == ["samples-0-2", "samples-3-5"]
    if damage:
        (path := folder / "samples-3-5.safetensors").write_bytes(path.read_bytes()[:-1])
    rest, done = subject(spec), []
    (row,) = run(cells(spec, [rest]), store, progress=done.append)
    assert rest.model.calls == 3 + (3 if damage else 2) * 5 and sum(done) == 5 * 10
    assert timeless([row]) == timeless([whole]) and row["seconds"]["batches"] == 3
    assert not list(store.folder.glob("unfinished-*")), "they go once the row is written"


def test_a_likelihood_goes_on_after_its_last_finished_batch(tmp_path, tiny, monkeypatch):
    """The model's own, and a row's at its tolerance, each interrupted in the second of two batches."""
    spec = Spec(model=tiny, solver="rk23:tol=1e-1", count=4, batch=2, likelihood=4, likelihood_tol=1e-2, paths=0)
    whole, store = measured(spec, Store(tmp_path / "whole")), Store(tmp_path / "cut")
    real, calls = NetworkSubject.likelihood, []

    def likelihood(self, rows, **options):
        calls.append(rows)
        if len(calls) in (2, 5):  # 0 to 1, (2 to 3), 2 to 3; 0 to 1, (2 to 3), 2 to 3
            raise KeyboardInterrupt
        return real(self, rows, **options)

    monkeypatch.setattr(NetworkSubject, "likelihood", likelihood)
    for _ in range(2):
        with pytest.raises(KeyboardInterrupt):
            measured(spec, store)
    measured(spec, store)
    assert [rows.start for rows in calls] == [0, 2, 2, 0, 2, 2]
    for row, expected in zip(store.rows().values(), whole, strict=True):
        assert row["bits_per_dim"] == expected["bits_per_dim"]
        assert row["likelihood"]["nfe"] == expected["likelihood"]["nfe"]
    assert not list(store.folder.glob("unfinished-*"))


def test_seconds_are_of_one_machine(tmp_path, monkeypatch):
    """After a move to another machine its own batches are timed alone, and the row names it."""
    spec = Spec(model="gaussian", solver="em:steps=5", count=8, batch=2, **FIXED)
    store = Store(tmp_path)

    def act(calls, x):
        if calls > 3 + 3 * 5:
            raise KeyboardInterrupt
        time.sleep(0.1)  # 0.5 s for a batch, far above the same without it on a machine that is busy

    with pytest.raises(KeyboardInterrupt):
        list(run(cells(spec, [subject(spec, act)]), store, progress=lambda done: None))
    monkeypatch.setattr("scoresde.bench.draws.machine", lambda device: "elsewhere")
    (row,) = run(cells(spec, [subject(spec)]), store, progress=lambda done: None)
    assert row["machine"] == "elsewhere" and row["seconds"]["batches"] == 1 and row["seconds"]["mean"] < 0.5


def test_shares_of_two_processes_are_the_rows_of_one(tmp_path, call, monkeypatch):
    call(f"{LINE} --out one")
    for rank in ("1", "0"):
        monkeypatch.setenv("RANK", rank)
        monkeypatch.setenv("WORLD_SIZE", "2")
        call(f"{LINE} --out two")
        ours = [json.loads(line)["key"] for line in (tmp_path / f"two/rows-{rank}.jsonl").read_text().splitlines()]
        assert len(ours) == 2
    one, two = (json.loads((tmp_path / name / "results.json").read_text())["rows"] for name in ("one", "two"))
    assert [row["key"] for row in one] == [row["key"] for row in two] and timeless(one) == timeless(two)


def test_only_the_last_process_ends_with_the_error(call, monkeypatch):
    """Torchrun ends all processes when one fails, and their cells would be lost for this run."""
    line = "bench --model gaussian --solver rk45:max_nfe=20 --solver ddim:steps=5 -n 4 --likelihood 0 --out out --quiet"
    monkeypatch.setenv("WORLD_SIZE", "2")
    for rank, code in (("0", 0), ("1", 5)):
        monkeypatch.setenv("RANK", rank)
        call(line, code)


@pytest.mark.parametrize(
    ("environment", "expected"),
    [
        ({}, (0, 1)),
        ({"RANK": "3", "WORLD_SIZE": "4"}, (3, 4)),
        ({"SLURM_ARRAY_TASK_ID": "7", "SLURM_ARRAY_TASK_COUNT": "4", "SLURM_ARRAY_TASK_MIN": "4"}, (3, 4)),
        (
            {
                "SLURM_ARRAY_TASK_ID": "11",
                "SLURM_ARRAY_TASK_COUNT": "3",
                "SLURM_ARRAY_TASK_MIN": "1",
                "SLURM_ARRAY_TASK_STEP": "5",
                "RANK": "1",
                "WORLD_SIZE": "2",
            },
            (5, 6),
        ),
    ],
)
def test_the_share_follows_the_launcher(monkeypatch, environment, expected):
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    assert share() == expected


@pytest.mark.parametrize("number", ["3", "7", "x"])
def test_an_array_with_gaps_has_no_shares(monkeypatch, number):
    """The variables of `sbatch --array=3,7`, as when two tasks of ten are repeated: https://slurm.schedmd.com/job_array.html"""
    for name, value in {"ID": number, "COUNT": "2", "MIN": "3", "MAX": "7", "STEP": "1"}.items():
        monkeypatch.setenv(f"SLURM_ARRAY_TASK_{name}", value)
    with pytest.raises(UsageError, match="array have gaps|must be a whole number, got 'x'"):
        share()


def test_a_done_row_stands_against_a_failed_one(tmp_path, caplog):
    first, second = Store(tmp_path, 0), Store(tmp_path, 1)
    first.append({"key": "a", "status": "done", "n": 1})
    second.append({"key": "a", "status": "failed", "n": 2})
    second.append({"key": "b", "status": "failed"})
    with second.path.open("ab") as file:
        file.write(b'{"key": "c", "sta')
    assert first.rows() == {"a": {"key": "a", "status": "done", "n": 1}, "b": {"key": "b", "status": "failed"}}
    second.append({"key": "b", "status": "done"})
    assert first.rows()["b"]["status"] == "done" and "line 3, is not a whole result" in caplog.text


def test_the_default_benchmark_is_sound():
    spec = load(None)
    names = {solver.name for solver in spec.solver}
    assert spec.model == ("digits",) and {"em", "pc", "rk23", "rk45", "dop853", "dpm"} < names
    assert len(cells(spec, subjects(spec, torch.device("cpu")))) == len(spec.solver) + 1


def test_the_likelihood_is_that_of_the_package(tmp_path, tiny):
    """The mean of the images' bits/dim is `nll`'s; a Runge-Kutta row's error is the difference of two such means."""
    spec = Spec(model=tiny, solver=["rk23:tol=1e-1", "ddim:steps=2"], count=4, batch=2, likelihood=3, seed=2, paths=0)
    converged, loose, other = measured(spec, Store(tmp_path))
    model, held_out = models.load(tiny), data["digits"]().load("test")
    exact, rough = (
        nll(model, held_out.stratified(3, seed=2).pixels, levels=17, solver=solver, seed=2, batch=2)
        for solver in (None, solvers["rk23"](tol=0.1))
    )
    assert mean(converged["bits_per_dim"]) == pytest.approx(exact.value, rel=1e-9)
    assert (converged["likelihood"]["nfe"], converged["likelihood"]["vjps"]) == (exact.nfe, exact.vjps)
    error = Report([converged, loose, other]).nll_error(loose)
    assert error["value"] == pytest.approx(rough.value - exact.value, rel=1e-6)
    assert error["low"] < error["value"] < error["high"] and "bits_per_dim" not in other
    assert "truth" not in converged and converged["classes"] == held_out.stratified(3, seed=2).labels.tolist()


def test_the_bar_moves_with_every_batch_of_a_likelihood_and_ends_at_the_whole(tmp_path, tiny):
    solver = ["ddim:steps=2", "rk23:tol=1e-1"]
    spec = Spec(model=tiny, solver=solver, count=4, batch=2, likelihood=6, likelihood_tol=1e-1, paths=0)
    todo, done = cells(spec, subjects(spec, torch.device("cpu"))), list[float]()
    list(run(todo, Store(tmp_path), progress=done.append))
    assert len(done) == 3 + 2 + (2 + 3) and sum(done) == pytest.approx(sum(cell.effort for cell in todo))


def test_a_models_own_likelihood_can_have_a_looser_tolerance(tmp_path, tiny):
    """It is `nll` at that tolerance, a row of its own, and the table says which tolerance it was."""
    spec = Spec(model=tiny, solver="ddim:steps=2", count=2, likelihood=3, paths=0)
    other = spec.model_copy(update={"likelihood_tol": 1e-2})
    own, loose = (cells(s, subjects(s, torch.device("cpu")))[0] for s in (spec, other))
    assert own.key != loose.key and "tol" not in own.identity["likelihood"]  # rows measured before keep their keys
    (row,) = (row for row in measured(other, Store(tmp_path)) if row["kind"] == "likelihood")
    held_out = data["digits"]().load("test").stratified(3, seed=0)
    found = nll(models.load(tiny), held_out.pixels, levels=17, solver=solvers["rk45"](tol=1e-2, controller="pi"))
    assert mean(row["bits_per_dim"]) == pytest.approx(found.value, rel=1e-9) and row["likelihood"]["nfe"] == found.nfe
    (line,) = (line for line in facts(Report([row])) if line.startswith("NLL"))
    assert "by rk45 at 0.01 in" in line


def test_the_likelihood_is_of_all_classes_alike(tmp_path, tiny):
    """Two of each digit, though the set could be sorted; the report gives the mean and standard error of each."""
    spec = Spec(model=tiny, solver="ddim:steps=2", count=2, likelihood=20, paths=0)
    (own, _), (row, *_) = subjects(spec, torch.device("cpu"))[0].own, cells(spec, subjects(spec, torch.device("cpu")))
    assert len(own) == 20 and sorted(row.subject.classes) == sorted([*range(10)] * 2)
    found = {"kind": "likelihood", "status": "done", "subject": "a", "model": "a", "classes": [0, 1, 0, 1]}
    found |= {"bits_per_dim": [1.0, 5.0, 3.0, 5.0], "likelihood": {"nfe": 9, "vjps": 9, "seconds": 1.0}}
    (line,) = facts(Report([found]))
    assert line.endswith("for 4 held-out images; by class 0: 2.00 ± 1.00, 1: 5.00 ± 0.00.")


def test_the_likelihood_of_an_analytic_model_is_its_density(tmp_path):
    """The one known difference: the flow's end is taken to have the law N(0, I), and has almost that."""
    spec = Spec(model="gaussian", solver="rk45:tol=1e-1", count=4, likelihood=6)
    converged, loose = measured(spec, Store(tmp_path))
    judge = AnalyticSubject("gaussian", spec)
    laws = [scipy.stats.multivariate_normal(*(part.numpy() for part in judge.model.marginal(t))) for t in (0.0, 1.0)]
    x, end = judge.own[0], judge.model.flow(judge.own[0], 1e-5, 1.0).numpy()
    density = -laws[0].logpdf(x.numpy()) / (3 * math.log(2))
    mismatch = (laws[1].logpdf(end) - scipy.stats.norm.logpdf(end).sum(1)) / (3 * math.log(2))
    assert converged["truth"] == pytest.approx(list(density), rel=1e-9)
    assert converged["bits_per_dim"] == pytest.approx(list(density + mismatch), abs=1e-4)
    assert abs(mean(loose["bits_per_dim"]) - mean(converged["bits_per_dim"])) > 1e-3


def command(line, **environment):
    return [sys.executable, "-m", "scoresde", *line.split()], {**os.environ, "OMP_NUM_THREADS": "1", **environment}


@pytest.mark.slow
def test_killed_at_any_moment_it_ends_in_the_same_table(tmp_path):
    line = LINE.replace("-n 20", "-n 400").replace("em:steps=5/10", "em:steps=100/200")
    args, env = command(f"{line} --out whole")
    subprocess.run(args, cwd=tmp_path, env=env, check=True, capture_output=True)
    for wait in (0.3, 1.0, 2.5):  # from the first sample on
        folder = f"cut-{wait}"
        args, env = command(f"{line} --out {folder}")
        process = subprocess.Popen(args, cwd=tmp_path, env=env, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        while not (tmp_path / folder).exists():
            time.sleep(0.02)
        time.sleep(wait)
        process.send_signal(signal.SIGKILL)
        process.wait()
        subprocess.run(args, cwd=tmp_path, env=env, check=True, capture_output=True)
        whole, cut = (json.loads((tmp_path / n / "results.json").read_text())["rows"] for n in ("whole", folder))
        assert timeless(whole) == timeless(cut) and not list((tmp_path / folder).glob("unfinished-*"))


@pytest.mark.slow
def test_two_ranks_of_torchrun_make_the_table_of_one(tmp_path):
    args, env = command(f"{LINE} --out one")
    subprocess.run(args, cwd=tmp_path, env=env, check=True, capture_output=True)
    run = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    line = [*run, "-m", "scoresde", *f"{LINE} --out two".split()]
    subprocess.run(line, cwd=tmp_path, env=env, check=True, capture_output=True)
    assert {path.name for path in (tmp_path / "two").glob("rows-*")} == {"rows-0.jsonl", "rows-1.jsonl"}
    one, two = (json.loads((tmp_path / name / "results.json").read_text())["rows"] for name in ("one", "two"))
    assert timeless(one) == timeless(two)


def test_the_message_of_many_mistakes_lists_them():
    with pytest.raises(UsageError, match=r"2 mistakes in the default benchmark as the options change it:\n.*\n"):
        load(None, {"count": 1, "batch": 0})


@pytest.mark.parametrize("entry", [{"solver": 3}, {"metric": 3}, {"data": 3}, {"solver": [3]}])
def test_a_number_in_place_of_a_table_is_said(entry):
    with pytest.raises(UsageError, match=r"1 mistake.*\n.*3 is neither a table nor a text"):
        load(None, entry)
