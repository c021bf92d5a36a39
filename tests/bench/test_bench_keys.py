"""What a benchmark measures again: data with another content, not data in another place; and no true path twice."""

import hashlib
import importlib
import json
import shutil
from contextlib import suppress
from unittest.mock import Mock

import numpy as np
import pytest
import torch
from tiny import tiny_model

from scoresde.bench import network
from scoresde.bench.cells import cells, left, subjects
from scoresde.bench.report import Report
from scoresde.bench.run import run
from scoresde.bench.spec import Spec
from scoresde.bench.store import Store
from scoresde.bench.subject import foreign
from scoresde.metrics import extractors


@pytest.fixture
def place(tmp_path):
    """A folder with a model, two splits of images and an extractor."""
    tiny_model(tmp_path / "model", network="mlp")
    images = np.random.default_rng(0).integers(0, 256, (2, 9, 8, 8), dtype=np.uint8)
    for name, some in zip(("train", "test"), images, strict=True):
        np.savez(tmp_path / f"{name}.npz", images=some)
    shutil.copytree(extractors.BUNDLED / "digits", tmp_path / "digits")
    return tmp_path


def todo(place, **changes):
    options = {"solver": "ddim:steps=2", "metric": f"fd:extractor={place / 'digits'}", "likelihood": 3, "paths": 3}
    data = {"name": "npz", "path": str(place / "train.npz"), "test_path": str(place / "test.npz")}
    spec = Spec(**{"model": str(place / "model"), "data": data, "count": 4, "batch": 2, **options, **changes})
    return cells(spec, subjects(spec, torch.device("cpu")))


def test_the_place_of_data_and_extractors_is_not_in_a_key_but_their_content_is(place):
    before = [cell.key for cell in todo(place)]
    shutil.copytree(place, elsewhere := place.with_name("elsewhere"))
    assert [cell.key for cell in todo(elsewhere)] == before and before == [cell.key for cell in todo(place)]
    for name, anew in (("train", [True, True]), ("test", [True, False])):  # the likelihood, and the samples
        shutil.copytree(place, other := place.with_name(name))
        images = np.load(place / f"{name}.npz")["images"]
        np.savez(other / f"{name}.npz", images=images ^ 1)
        assert [key != old for key, old in zip((cell.key for cell in todo(other)), before, strict=True)] == anew
    net = extractors.load(elsewhere / "digits")
    net.layers[0].weight += 1
    extractors.save(extractors.FittedExtractor(net, "classifier", 1.0), elsewhere / "digits", {})
    assert [cell.key != old for cell, old in zip(todo(elsewhere), before, strict=True)] == [False, True]


OWN = """
from scoresde.metrics.sliced import SlicedWasserstein
from scoresde.sde import VPSDE
from scoresde.solvers.euler import Euler

class Solver(Euler):
    def step(self, model, x, t, s, generator):
        return x * (lambda: 0.5)()

class Metric(SlicedWasserstein):
    pass

class SDE(VPSDE):
    pass
"""


def test_the_code_of_what_is_of_another_package_is_in_a_key(place, monkeypatch):
    """A solver, a metric, a process: by the bytes of their file; a class of a notebook by its functions."""
    monkeypatch.syspath_prepend(place)
    (place / "own_methods.py").write_text(OWN)
    own = importlib.import_module("own_methods")

    def keys():
        changes = [{}, {"solver": own.Solver(steps=2)}, {"metric": [own.Metric()]}]
        return [todo(place, likelihood=0, **change)[0].key for change in changes] + [foreign(own.SDE())]

    before = keys()
    assert keys() == before and foreign(own.SDE())["plugins"].keys() == {"own_methods.SDE"}
    (place / "own_methods.py").write_text(OWN.replace("0.5", "0.25"))
    assert [new == old for new, old in zip(keys(), before, strict=True)] == [True, False, False, False]

    def in_notebook(text):
        cell = {"__name__": "__main__"}
        exec(text, cell)
        return foreign(cell["Solver"]())

    monkeypatch.setattr("inspect.getfile", Mock(side_effect=OSError))
    assert in_notebook(OWN) == in_notebook("\n" + OWN) != in_notebook(OWN.replace("0.5", "0.25"))


def test_a_row_from_when_the_place_of_data_was_in_the_key_is_still_that_of_its_cell(place):
    """The key is computed here as it was then, from the options alone."""
    own, samples = todo(place)
    config = json.loads((place / "model" / "config.json").read_text())
    data = {"name": "npz", "path": str(place / "train.npz"), "test_path": str(place / "test.npz")}
    data |= {"held_out": 0.1, "reduce": 1, "levels": None}
    model = {key: config[key] for key in ("sha256", "sde", "network", "model")}
    model |= {"data": data, "reference": "train"}
    versions = {key: samples.identity["versions"][key] for key in ("scoresde", "torch")}
    common = {"format": 1, "model": model, "device": "cpu", "versions": versions, "seed": 0}
    solver = {**samples.solver.model_dump(mode="json"), "name": "ddim"}
    metric = [{"name": "fd", "extractor": str(place / "digits")}]
    drawn = {"count": 4, "batch": 2, "dtype": "float32", "denoise": True, "metric": metric, "paths": 3}
    then = [{**common, "likelihood": {"drawn": 3}}, {**common, "solver": solver, **drawn}]
    keys = [hashlib.sha256(json.dumps(part, sort_keys=True).encode()).hexdigest() for part in then]
    store = Store(place / "store")
    for key, kind in zip(keys, ("likelihood", "samples"), strict=True):
        store.append({"key": key, "status": "done", "kind": kind, "n": 1})
    assert left([own, samples], store) == []
    assert [(row["key"], row["n"]) for row in Report.of([own, samples], store.rows()).rows] == [(k, 1) for k in keys]


def test_true_paths_are_solved_once_for_a_folder(place, monkeypatch):
    """Two batches: the second is interrupted, then solved alone; then none. Numbers stay."""
    calls, solve = [], network.sample

    def counted(model, solver, x, **options):
        calls.append(len(x))
        if len(calls) == 2:
            raise KeyboardInterrupt
        return solve(model, solver, x, **options)

    monkeypatch.setattr(network, "sample", counted)
    store, found = Store(place / "store"), []
    with suppress(KeyboardInterrupt):
        list(run(todo(place, likelihood=0), store, progress=lambda done: None))
    for solver in ("ddim:steps=2", "ddim:steps=3", "ddim:steps=2"):
        with suppress(KeyboardInterrupt):
            found += run(todo(place, solver=solver, likelihood=0), store, progress=lambda done: None)
    assert calls == [2, 1, 1] and [row["status"] for row in found] == ["done"] * 2
    (alone,) = run(todo(place, likelihood=0), Store(place / "alone"), progress=lambda done: None)
    assert calls == [2, 1, 1, 2, 1] and alone["metrics"] == found[0]["metrics"]
