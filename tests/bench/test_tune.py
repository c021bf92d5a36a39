"""Tuned grids: the search against an exhaustive one, what it gains on unseen noise, and how grids are kept."""

import json
from functools import partial

import numpy as np
import pytest
import torch
from click.testing import CliRunner

from scoresde import models
from scoresde.bench.problems import problem, reference
from scoresde.bench.tune import paths, search, store, tune, tuned, with_budget
from scoresde.cli import scoresde
from scoresde.core.errors import CheckpointError, NumericalError, UsageError
from scoresde.sde import VPSDE, sdes
from scoresde.solvers import GridSolver, solvers
from scoresde.solvers.grids import ListedGrid, grids


@pytest.fixture(scope="module")
def gm2():
    """Paths to tune on, and paths from other noise."""
    model = problem("gm2")
    return paths(model, range(32)), paths(model, range(1000, 1128))


def test_the_reference_is_the_flow(gm2):
    """SciPy's DOP853 at 1e-10 ends within a thousandth of the errors that are measured with it."""
    given, _ = gm2
    exact = reference(given.model, given.noise, start=1.0, stop=1e-3, tol=1e-10)
    assert given.stop == 1e-3
    apart = (given.truth - exact).flatten(1).square().mean(1).sqrt()
    assert apart.median() < 1e-3 * given.errors(solvers["eab"](steps=5)).median()


def test_one_time_is_the_best_of_an_exhaustive_scan(gm2):
    """Two Euler steps have one time to choose; 400 of them are tried."""
    given, _ = gm2
    task = solvers["euler"](steps=2)
    scale = float(given.errors(search.ranked(task, given)[0]).median())

    def loss(solver):
        return float(torch.log1p((given.errors(solver) / scale) ** 2).mean())

    scanned = min(loss(search.changed(task, grid=ListedGrid(at=(t,)))) for t in np.linspace(0.005, 0.95, 400))
    assert loss(tune(task, given)) <= scanned * 1.002


@pytest.mark.parametrize(("name", "steps"), [("euler", 5), ("dpm++", 5), ("heun", 4)])
def test_unseen_noise_gains(gm2, name, steps):
    given, unseen = gm2
    task = solvers[name](steps=steps)
    found = tune(task, given, starts=2, evaluations=60)
    before, after = unseen.errors(task), unseen.errors(found)
    assert after.median() < 0.6 * before.median() and after.mean() < 0.7 * before.mean()
    assert found.steps == steps and type(found) is type(task)


@pytest.mark.parametrize("grid", ["karras", "quadratic"])
@pytest.mark.parametrize("process", ["vp", "vp-cosine", "ve", "flow"])
def test_parameters_mean_the_grid_they_were_taken_from(process, grid):
    sde = sdes[process]()
    task, ends = solvers["euler"](steps=6, grid=grid), (sde.t_max, 1e-3)
    again = search._times(search._parameters(task, sde, ends), sde, ends)
    assert again == pytest.approx(task.grid.times(sde, *ends, 6)[1:-1], rel=1e-9)


def test_the_search_begins_at_the_best_known_grids_and_keeps_the_best_of_all(gm2):
    """After a few tries from one start it is no worse than where it began, and more starts only help."""
    given, _ = gm2
    task = solvers["euler"](steps=6)
    best = search.ranked(task, given)[0]
    scale = float(given.errors(best).median())

    def loss(solver):
        return float(torch.log1p((given.errors(solver) / scale) ** 2).mean())

    one, more = (loss(tune(task, given, starts=starts, evaluations=15)) for starts in (1, 6))
    assert one <= loss(best) * (1 + 1e-9) and more <= one


def test_samples_in_another_mode_do_not_decide(gm2):
    """A quarter of the truths is moved away, as when a sample ends in another mode; the others barely lose by it."""
    given, unseen = gm2
    moved = given.truth.clone()
    moved[:8] *= -1.0
    task = solvers["euler"](steps=3)
    clean = unseen.errors(tune(task, given)).median()
    assert (
        unseen.errors(tune(task, given._replace(truth=moved))).median()
        < 1.1 * clean
        < 0.6 * unseen.errors(task).median()
    )


def test_the_search_repeats_and_keeps_its_budget(gm2):
    given, _ = gm2
    tried = []
    task = solvers["euler"](steps=4)
    found = tune(task, given, starts=2, evaluations=30, progress=lambda: tried.append(1))
    assert found == tune(task, given, starts=2, evaluations=30) and 30 < len(tried) <= 60
    assert solvers.build({**store.essential(found), "grid": str(found.grid)}) == found  # to the last bit


def test_grids_on_which_the_solver_fails_are_passed_over(gm2):
    given, _ = gm2

    class Fussy(solvers["euler"]):
        def walk(self, model, x, levels, generator):
            if levels[1].time > 0.5:
                raise NumericalError("too far")
            return super().walk(model, x, levels, generator)

    task = Fussy(steps=3)
    assert task.grid.times(VPSDE(), 1.0, 1e-3, 3)[1] > 0.5  # its default grid is one of them
    found = tune(task, given, starts=8, evaluations=20)  # some starts too
    assert given.errors(found).median() < given.errors(search.changed(task, grid=grids["quadratic"]())).median()
    with pytest.raises(NumericalError, match="too far"):
        tune(Fussy(steps=1000), given)


@pytest.mark.parametrize(
    ("name", "options", "nfe", "steps"),
    [("euler", {}, 7, 7), ("heun", {}, 10, 5), ("rk4", {}, 8, 2), ("dpm++", {"singlestep": True, "order": 3}, 9, 3)],
)
def test_budgets_are_counted(name, options, nfe, steps):
    found = with_budget(solvers[name](**options), nfe, VPSDE())
    assert found.steps == steps and search.spent(found, VPSDE()) == nfe


def test_what_has_no_grid_to_tune_is_refused(gm2):
    given, _ = gm2
    with pytest.raises(UsageError, match="heun cannot spend 5 evaluations, its steps cost several: tune for 4 or 6"):
        with_budget(solvers["heun"](), 5, VPSDE())
    with pytest.raises(UsageError, match="euler spends 1 evaluations on one step"):
        with_budget(solvers["euler"](), 1, VPSDE())
    with pytest.raises(UsageError, match="a grid of 1 step"):
        tune(solvers["euler"](steps=1), given)
    for solver in (solvers["dpm"](), solvers["em"](), solvers["ddim"](eta=1.0), solvers["dpm-fast"]()):
        with pytest.raises(UsageError, match=f"{solver.name} has no grid to tune"):
            search.tunable(solver)


def test_grids_are_kept_beside_the_weights_they_are_for(tmp_path):
    bundled = models.locate("digits")
    config = json.loads((bundled / "config.json").read_text())
    (tmp_path / "config.json").write_text(json.dumps(config))

    def entry(at, sha256=config["sha256"], **options):
        solver = solvers["unipc"](steps=3, **options)
        return store.TunedGrid(
            solver=store.essential(solver),
            nfe=3,
            stop=1e-3,
            sha256=sha256,
            grid=f"list:at={at}",
            errors={},
            best_known="time",
            seeds=(0, 1),
            held_out=(2, 3),
            reference={},
            environment={},
        )

    task = solvers["unipc"](steps=3)
    with pytest.raises(UsageError, match=r"there: none.*scoresde tune \S+ --solver unipc --nfe 3`"):
        tuned(task, tmp_path)
    store.save(tmp_path, entry("0.5/0.1"))
    store.save(tmp_path, entry("0.6/0.2", order=2))
    store.save(tmp_path, entry("0.7/0.1234567890123456"))  # replaces the first
    assert len(store.read_grids(tmp_path)) == 2
    assert tuned(task, tmp_path) == solvers["unipc"](steps=3, grid=ListedGrid(at=(0.7, 0.1234567890123456)))
    assert tuned(solvers["unipc"](steps=3, order=2), tmp_path).grid == ListedGrid(at=(0.6, 0.2))
    with pytest.raises(
        UsageError, match="no tuned grid for unipc corrector=False steps=3 in .* --corrector False --nfe 3"
    ):
        tuned(solvers["unipc"](steps=3, corrector=False), tmp_path)
    with pytest.raises(UsageError, match="no tuned grid for unipc steps=3"):
        tuned(task, tmp_path, stop=1e-2)
    store.save(tmp_path, entry("0.7/0.1", sha256="0" * 64))
    with pytest.raises(CheckpointError, match="is for other weights; make it anew with: `scoresde tune"):
        tuned(task, tmp_path)
    for text in ("{", '{"format": 2, "grids": []}', '{"format": 1, "grids": [{"nfe": 3}]}'):
        (tmp_path / "grids.json").write_text(text)
        with pytest.raises(CheckpointError, match="grids.json"):
            tuned(task, tmp_path)


@pytest.fixture
def run(tmp_path, monkeypatch):
    """Runs a command line in an empty folder, with a search of a few grids and a cheap reference."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("scoresde.bench.tune.search.paths", partial(search.paths, steps=40))
    monkeypatch.setattr("scoresde.bench.tune.run.STARTS", 1)
    monkeypatch.setattr("scoresde.bench.tune.run.EVALUATIONS", 12)

    def call(line, code=0):
        result = CliRunner().invoke(scoresde, line.split(), prog_name="scoresde")
        assert result.exit_code == code, f"{result.output}\n{result.exception!r}"
        return " ".join(result.output.split())

    return call


def test_tune_then_sample(run, tmp_path):
    small = "--trajectories 4 --held-out 8 --quiet"
    before = sorted(path.name for path in models.locate("digits").iterdir())
    (row,) = json.loads(run(f"tune digits --solver euler --nfe 3 --json {small}"))
    assert row["solver"] == "euler steps=3" and row["tuned"] < row["default"] and row["change"].startswith("-")
    assert sorted(path.name for path in models.locate("digits").iterdir()) == before
    said = run(f"tune models/digits --solver dpm++ --order 1 --nfe 2 {small}")
    assert "scoresde sample --model models/digits --solver dpm++ --order 1 --steps 2 --grid tuned" in said
    run("sample --model models/digits --solver euler --steps 3 --grid tuned -n 2 --quiet --out a")
    (kept, _) = json.loads((tmp_path / "models/digits/grids.json").read_text())["grids"]
    record = json.loads((tmp_path / "a/samples.json").read_text())
    assert record["solver"]["grid"] == kept["grid"] and kept["grid"].startswith("list:at=") and record["nfe"] == 4
    assert kept["seeds"] == [1_000_000, 1_000_003] and kept["held_out"] == [2_000_000, 2_000_007]
    # The recorded grid alone draws the same images from the bundled model.
    run(f"sample --solver euler --steps 3 --grid {kept['grid']} -n 2 --quiet --out b")
    assert (tmp_path / "a/000001.png").read_bytes() == (tmp_path / "b/000001.png").read_bytes()
    assert "(there: euler steps=3; dpm++ order=1 steps=2)" in run(
        "sample --model models/digits --solver euler --steps 4 --grid tuned --quiet", 2
    )


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("tune digits --solver dpm --nfe 5", "dpm has no grid to tune: give a solver without noise that takes --steps"),
        ("tune digits --solver heun --nfe 5", "heun cannot spend 5 evaluations"),
        ("tune digits --nfe 5,x", "--nfe must be whole numbers above 0, such as 5,8,10, got '5,x'"),
        ("tune digits --nfe 0", "--nfe must be whole numbers above 0"),
        ("tune digitz", "no model folder or bundled model is called 'digitz'. Did you mean 'digits'?"),
        ("tune digits --out other", "other holds another model than"),
        ("sample --solver dpm --grid tuned", "dpm has no grid to tune"),
        ("sample --solver unipc --grid tuned --steps 5", "make it with: `scoresde tune digits --solver unipc --nfe 5`"),
    ],
)
def test_bad_input_is_one_clear_sentence(run, tmp_path, line, message):
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "config.json").write_text("{}")
    assert message in run(line, 2)
    assert not list(tmp_path.rglob("grids.json"))


def test_every_solver_with_a_grid_can_be_tuned():
    """What two or three steps of it spend leads back to a number of steps."""
    for cls in solvers.all().values():
        if issubclass(cls, GridSolver) and not cls().noisy:
            budgets = {search.spent(cls(steps=steps), VPSDE()) for steps in (2, 3)}
            assert all(search.spent(with_budget(cls(), nfe, VPSDE()), VPSDE()) == nfe for nfe in budgets)
