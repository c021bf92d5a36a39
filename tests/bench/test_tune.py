"""Tuned solvers: their weights against known methods, what they gain on unseen noise, and how they are kept."""

import json
from functools import partial

import pytest
import torch
from click.testing import CliRunner
from tiny import tiny_model

from scoresde import models
from scoresde.bench.problems import gm2 as gm2_on
from scoresde.bench.problems import problem, reference
from scoresde.bench.tune import flow, learn, learning, paths, store
from scoresde.bench.tune.learning import Parameters, as_linear
from scoresde.cli import scoresde
from scoresde.core.errors import CheckpointError
from scoresde.core.options import table
from scoresde.models.base import WrapperModel
from scoresde.models.gaussian import GaussianModel
from scoresde.models.output import Output
from scoresde.sde import sdes
from scoresde.solvers import solvers
from scoresde.solvers.few_steps import of_steps
from scoresde.solvers.grids import ListedGrid

LEARNED = solvers["linear"](steps=3, grid=ListedGrid(at=(0.6, 0.2)), weights=(1, 1.5, -0.5, 1.6, -0.7, 0.1))


@pytest.fixture(scope="module")
def gm2():
    """Paths to learn from, and paths from other noise."""
    model = problem("gm2")
    return paths(model, range(64), steps=100), paths(model, range(1000, 1128), steps=100)


def loss(given, solver, scale):
    return float(torch.log1p((given.errors(solver) / scale) ** 2).mean())


def test_the_reference_is_the_flow(gm2):
    """SciPy's DOP853 at 1e-10 ends within a thousandth of the errors that are measured with it."""
    _, judge = gm2
    given = paths(judge.model, range(16))
    exact = reference(given.model, given.noise, start=1.0, stop=1e-3, tol=1e-10)
    assert given.stop == 1e-3
    apart = (given.truth - exact).flatten(1).square().mean(1).sqrt()
    assert apart.median() < 1e-3 * given.errors(solvers["eab"](steps=5)).median()


SOLVERS = ["euler", "eab:order=4", "dpm++:order=3", "unipc", "unipc:prediction=noise,order=2", "ipndm", "deis"]


@pytest.mark.parametrize("process", ["vp", "vp-cosine", "ve", "flow", "sub-vp"])
@pytest.mark.parametrize("text", SOLVERS)
def test_weights_of_a_known_method_are_that_method(process, text):
    """As `linear`, as parameters that are learned, and as what they mean, it ends where the method itself does."""
    model = gm2_on(sdes[process]())
    grid = "karras" if process == "ve" else "logsnr"
    solver = solvers.parse(f"{text}{',' if ':' in text else ':'}steps=5,grid={grid}")
    x = model.prior(range(4), dtype=torch.float64)
    stop = model.sde.t_min
    truth = solver.solve(model, x, start=model.sde.t_max, stop=stop)
    linear = as_linear(solver, model.sde, stop)
    found = Parameters.of(linear, model.sde, stop)
    torch.testing.assert_close(linear.solve(model, x, start=model.sde.t_max, stop=stop), truth, rtol=1e-8, atol=1e-8)
    torch.testing.assert_close(found.end(model, x, stop), truth, rtol=1e-8, atol=1e-8)
    kept = found.method(model.sde, stop)  # with five digits
    scale = x.abs().max() / 100
    torch.testing.assert_close(kept.solve(model, x, start=model.sde.t_max, stop=stop), truth, rtol=1e-3, atol=scale)


def test_gradients_are_those_of_finite_differences(gm2):
    given, _ = gm2
    begun = as_linear(solvers["eab"](steps=3, order=2), given.model.sde, given.stop)
    values = [v.detach() + 0.05 for v in Parameters.of(begun, given.model.sde, given.stop)]
    x = given.noise[:4].double()

    def end(*some):
        return Parameters(*some).end(given.model, x, given.stop)

    assert torch.autograd.gradcheck(end, [v.requires_grad_() for v in values], rtol=1e-4, atol=1e-5)


def test_what_is_kept_ends_where_what_was_learned_does(gm2):
    """With times that the network is told, and weights of all predictions."""
    given, _ = gm2
    begun = as_linear(solvers["eab"](steps=4), given.model.sde, given.stop)
    moved = [v.detach() + 0.1 for v in Parameters.of(begun, given.model.sde, given.stop)]
    found = Parameters(*moved)
    kept = found.method(given.model.sde, given.stop)
    assert all(told < on for told, on in zip(kept.times[1:], kept.grid.at, strict=True))
    x = given.noise.double()
    ends = kept.solve(given.model, x, start=1.0, stop=given.stop), found.end(given.model, x, given.stop)
    torch.testing.assert_close(*ends, rtol=1e-3, atol=1e-3)


def test_two_weights_of_a_gaussian_are_the_best_there_are():
    """For N(0, v) one step from x ends at c x; the flow is linear too, so that one weight makes it exact."""
    model = problem("gm2")
    normal = GaussianModel(torch.zeros(2), torch.tensor([0.25, 0.25]), model.sde)
    given = paths(normal, range(32))
    found = learn(given, 2, start=solvers["euler"](steps=2), iterations=300)
    assert given.errors(found).median() < 0.02 * given.errors(solvers["euler"](steps=2)).median()


@pytest.mark.parametrize(("text", "gain"), [("euler:steps=3", 0.5), ("eab:order=2,steps=5", 0.4)])
def test_unseen_noise_gains(gm2, text, gain):
    given, unseen = gm2
    start = solvers.parse(text)
    found = learn(given, start.steps, start=start, iterations=100)
    before, after = unseen.errors(start), unseen.errors(found)
    assert after.median() < gain * before.median() and after.mean() < 0.7 * before.mean()
    assert found.steps == start.steps and solvers.parse(str(found)) == found == solvers.build(table(found))


def test_it_starts_from_the_solver_that_is_best_untuned_and_is_no_worse(gm2):
    given, _ = gm2
    start = of_steps(4, "closed form")
    linear = as_linear(start, given.model.sde, given.stop)
    scale = float(given.errors(linear).median())
    for iterations in (0, 3):
        assert loss(given, learn(given, 4, iterations=iterations), scale) <= loss(given, linear, scale) * (1 + 1e-9)
    torch.testing.assert_close(given.errors(learn(given, 4, iterations=0)), given.errors(linear), rtol=0.01, atol=1e-5)


def test_what_is_learned_for_the_worse_is_no_worse(gm2, monkeypatch):
    """Steps that are far too long lead away from the start, which is what is left then."""
    given, _ = gm2
    start = as_linear(solvers["euler"](steps=4), given.model.sde, given.stop)
    monkeypatch.setattr(learning, "RATE", 3.0)
    assert learn(given, 4, start=solvers["euler"](steps=4), iterations=3) == start


def test_samples_in_another_mode_do_not_decide(gm2):
    """A quarter of the truths is moved away, as when a sample ends in another mode; the others barely lose by it."""
    given, unseen = gm2
    moved = given.truth.clone()
    moved[:16] *= -1.0
    start = solvers["euler"](steps=3)
    clean, robust = (
        unseen.errors(learn(g, 3, start=start, iterations=150)).median() for g in (given, given._replace(truth=moved))
    )
    assert robust < 1.5 * clean < 0.5 * unseen.errors(start).median()


def test_learning_repeats_and_leaves_the_model_alone(gm2):
    given, _ = gm2
    network = models.load("digits")
    few = paths(network, range(4), steps=20)
    one, two = (learn(few, 2, iterations=3) for _ in range(2))
    assert one == two
    assert all(part.grad is None for part in network.parameters())
    tried = []
    learn(given, 2, iterations=7, progress=lambda: tried.append(1))
    assert len(tried) == 7


class Fails(WrapperModel):
    """Is not finite in one evaluation in three of those that are differentiated."""

    seen = 0

    def evaluate(self, x, t, classes=None):
        out = super().evaluate(x, t, classes)
        self.seen += out.eps.requires_grad
        return Output(out.eps * torch.nan) if out.eps.requires_grad and self.seen % 3 == 0 else out


def test_a_gradient_that_is_not_finite_is_passed_over(gm2):
    given, unseen = gm2
    start = solvers["euler"](steps=2)
    found = learn(given._replace(model=Fails(given.model)), 2, start=start, iterations=40)
    assert unseen.errors(found).median() < 0.9 * unseen.errors(start).median()


def entry(config, steps=3, solver=LEARNED, **changes):
    known = {
        "stop": 1e-3,
        "sha256": config["sha256"],
        "default": f"euler:steps={steps}",
        "errors": {},
        "seeds": (0, 1),
        "held_out": (2, 3),
        "reference": {},
        "environment": {},
    }
    return store.TunedSolver(solver=table(solver), **known | changes)


def test_solvers_are_kept_beside_the_weights_they_are_for(tmp_path):
    config = json.loads((models.locate("digits") / "config.json").read_text())
    (tmp_path / "config.json").write_text(json.dumps(config))
    assert store.found(tmp_path, 3) is None
    store.save(tmp_path, entry(config, solver=LEARNED.model_copy(update={"weights": (1, 1, 0, 1, 0, 0)})))
    store.save(tmp_path, entry(config))  # replaces the first
    store.save(tmp_path, entry(config, stop=1e-2))  # beside it
    assert [kept.stop for kept in store.every(tmp_path)] == [1e-3, 1e-2]
    assert store.found(tmp_path, 3) == LEARNED and store.found(tmp_path, 4) is None
    store.save(tmp_path, entry(config, sha256="0" * 64))
    assert store.found(tmp_path, 3) is None


@pytest.mark.parametrize(
    "text",
    ["{", '{"format": 2, "solvers": []}', '{"format": 1, "solvers": [{"nfe": 3}]}', "[]"],
)
def test_a_damaged_file_is_named(tmp_path, text):
    (tmp_path / "tuned.json").write_text(text)
    with pytest.raises(CheckpointError, match="tuned.json"):
        store.found(tmp_path, 3)


@pytest.mark.parametrize("solver", [{"name": "euler", "steps": 3}, {"name": "linear", "steps": 0}, {"steps": 3}])
def test_a_solver_that_is_none_is_named(tmp_path, solver):
    config = json.loads((models.locate("digits") / "config.json").read_text())
    (tmp_path / "config.json").write_text(json.dumps(config))
    with pytest.raises(CheckpointError, match="tuned.json"):
        store.save(tmp_path, entry(config).model_copy(update={"solver": solver}))
        store.found(tmp_path, solver["steps"])


@pytest.fixture
def run(tmp_path, monkeypatch):
    """Runs a command line in an empty folder, with few steps of learning and a cheap reference."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(flow, "paths", partial(flow.paths, steps=40))
    monkeypatch.setattr(learning, "ITERATIONS", 12)

    def call(line, code=0):
        result = CliRunner().invoke(scoresde, line.split(), prog_name="scoresde")
        assert result.exit_code == code, f"{result.output}\n{result.exception!r}"
        return " ".join(result.output.split())

    return call


def test_tune_then_sample(run, tmp_path):
    small = "--trajectories 4 --held-out 4 --quiet"
    before = sorted(path.name for path in models.locate("digits").iterdir())
    (row,) = json.loads(run(f"tune digits --nfe 3 --json {small}"))
    assert row["nfe"] == 3 and row["tuned"] <= row["its error"] and row["default solver"].startswith("eab")
    assert sorted(path.name for path in models.locate("digits").iterdir()) == before
    said = run(f"tune models/digits --nfe 2 {small}")
    assert "scoresde sample --model models/digits --steps 2" in said
    run("sample --model models/digits --steps 3 -n 2 --quiet --out a")
    kept, _ = store.every(tmp_path / "models/digits")
    record = json.loads((tmp_path / "a/samples.json").read_text())
    assert solvers.build(record["solver"]) == kept.build() == store.found(tmp_path / "models/digits", 3)
    assert record["nfe"] == 4 and kept.errors["tuned"]["median"] <= kept.errors["default"]["median"]
    assert kept.seeds == (1_000_000, 1_000_003) and kept.held_out == (2_000_000, 2_000_003)
    # The recorded solver alone draws the same images from the bundled model.
    options = record["solver"]
    lists = {name: "/".join(map(str, options[name])) for name in ("weights", "times")}
    run(
        f"sample --solver linear --steps 3 --grid {options['grid']} --weights {lists['weights']} "
        f"--times {lists['times']} -n 2 --quiet --out b"
    )
    assert (tmp_path / "a/000001.png").read_bytes() == (tmp_path / "b/000001.png").read_bytes()


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("tune digits --nfe 5,x", "--nfe must be whole numbers above 0, such as 5,8,10, got '5,x'"),
        ("tune digits --nfe 0", "--nfe must be whole numbers above 0"),
        ("tune digitz", "no model folder or bundled model is called 'digitz'. Did you mean 'digits'?"),
        ("tune digits --out other", "other holds another model than"),
        (
            "tune coloured --out new",
            "coloured is trained for colour: solvers are tuned for samples of noise alone",
        ),
        ("sample --solver linear --steps 3 --weights 1/1", "linear with 3 steps takes 6 weights or none, got 2"),
        ("sample --solver linear --steps 3 --times 1/1", "linear with 3 steps takes 3 times or none, got 2"),
        ("sample --solver linear --steps 1 --times 2", "times must lie in (0, 1], got 2"),
    ],
)
def test_bad_input_is_one_clear_sentence(run, tmp_path, line, message):
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "config.json").write_text("{}")
    tiny_model(tmp_path / "coloured", channels=3, condition="colour")
    assert message in run(line, 2) and not (tmp_path / "new").exists()
    assert not list(tmp_path.rglob("tuned.json"))
