"""The front of the package: names, examples, programs of a few lines, and that it draws what the command line draws."""

import ast
import doctest
import importlib
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from tiny import tiny_model

import scoresde
from scoresde.api import measuring as api_measuring
from scoresde.api import sampling as api_sampling
from scoresde.conditioners.posterior_model import PosteriorModel
from scoresde.core.errors import ResourceError, UsageError
from scoresde.core.parallel import Processes
from scoresde.core.random import generators
from scoresde.images.sheets import to_uint8
from scoresde.models.base import WrapperModel
from scoresde.models.clipped import ClippedModel
from scoresde.models.guided import GuidedModel
from scoresde.sampling import progress_lines
from scoresde.sampling.sample import sample as solved
from scoresde.solvers import DPMSolver, Euler, Solver

ROOT = Path(scoresde.__file__).parent
REGISTRIES = {
    "solvers": "solvers",
    "conditioners": "conditioners",
    "observations": "observations",
    "sde": "sdes",
    "data": "data",
    "metrics": "metrics",
    "networks": "networks",
    "posterior": "posteriors",
}
PROGRAMS = {
    "sample and show": (
        3,
        """
import scoresde
samples = scoresde.sample("digits", n=16)
samples.sheet().save("digits.png")
""",
    ),
    "train on a numpy array": (
        6,
        """
import numpy as np
import scoresde
pixels = np.load("pixels.npy")
run = scoresde.fit("digits", images=pixels, overrides=["train.images=256"])
samples = scoresde.sample(run.model, n=4)
samples.save("mine")
""",
    ),
    "inpaint with a mask array": (
        6,
        """
import numpy as np
import scoresde
mask = np.ones((8, 8), dtype=bool)
mask[2:6, 2:6] = False
model = scoresde.condition("digits", scoresde.Pixels(mask), np.load("pixels.npy")[:1])
samples = scoresde.sample(model, "dpm++", n=4, steps=10)
""",
    ),
    "compare three solvers on the same noise": (
        10,
        """
import matplotlib.pyplot as plt
import scoresde
model, seeds = scoresde.load("digits"), range(4)
truth = scoresde.sample(model, "unipc", seeds=seeds, steps=30).x
for solver in ("euler", "dpm++", "deis"):
    found = [scoresde.sample(model, solver, seeds=seeds, steps=steps) for steps in (5, 10)]
    errors = [(samples.x - truth).square().mean().sqrt() for samples in found]
    plt.loglog([samples.nfe for samples in found], errors, label=solver)
plt.legend()
plt.savefig("solvers.png")
""",
    ),
    "bits/dim of a test set": (
        4,
        """
import scoresde
digits = scoresde.data.Digits().load("test").drawn(8)
found = scoresde.bits_per_dim("digits", digits, solver="rk23:tol=1e-2")
print(f"{found.value:.2f} ± {found.standard_error:.2f} bits/dim")
""",
    ),
}


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """An empty folder to work in, and a backend of Matplotlib that opens no window."""
    monkeypatch.setenv("MPLBACKEND", "agg")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def read(path):
    """The pixels of a picture."""
    with Image.open(path) as picture:
        return np.array(picture)


def stub(path):
    """The names that a TYPE_CHECKING block imports, with their modules."""
    for node in ast.parse(path.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            for line in node.body:
                if isinstance(line, ast.ImportFrom):
                    yield from ((alias.asname, line.module) for alias in line.names)


@pytest.mark.parametrize("name", scoresde.__all__)
def test_every_name_has_an_example_that_runs(name, folder):
    found = doctest.DocTestFinder(recurse=False).find(getattr(scoresde, name), name, globs={})
    examples = [test for test in found if test.examples]
    assert examples, f"the docstring of {name} has no example"
    ran = doctest.DocTestRunner(optionflags=doctest.REPORT_ONLY_FIRST_FAILURE).run(examples[0])
    assert ran.failed == 0 and ran.attempted >= 2
    assert not any(doctest.SKIP in example.options for example in examples[0].examples)


def test_the_example_of_the_package_runs():
    assert doctest.testmod(scoresde).attempted == 3 and doctest.testmod(scoresde).failed == 0


@pytest.mark.parametrize("title", PROGRAMS)
def test_what_a_newcomer_wants_takes_a_few_lines(title, folder, capsys):
    lines, program = PROGRAMS[title]
    assert len(program.strip().splitlines()) == lines
    np.save("pixels.npy", to_uint8(scoresde.data.Digits().load("train").drawn(128).scaled()).numpy())
    names = {}
    exec(compile(program, title, "exec"), names)
    if title == "sample and show":
        assert read("digits.png").shape == (296, 296, 3)  # four pictures of eight pixels, enlarged eight times
    if title.startswith("train"):
        assert len(list((folder / "mine").glob("0*.png"))) == 4 and (folder / "runs/digits/config.json").exists()
    if title.startswith("inpaint"):
        known = names["mask"]
        assert np.array_equal(names["samples"].images[:, 0, known], np.load("pixels.npy")[[0] * 4, 0][:, known])
    if title.startswith("compare"):
        assert read("solvers.png").std() > 1 and names["errors"][-1] < names["errors"][0] < 0.5
    if title.startswith("bits"):
        value, _, error, unit = capsys.readouterr().out.split()
        assert 2 < float(value) < 2.8 and 0 < float(error) < 0.3 and unit == "bits/dim"


def test_each_of_these_failed_before(folder):
    """What a new user tried first."""
    from scoresde.solvers import solvers

    model = scoresde.load()
    assert scoresde.sample(model, "dpm", 4, tol=0.1).x.shape == (4, 1, 8, 8)
    assert list(solvers) and "dpm" in solvers and len(solvers) == len(list(solvers))
    x = model.prior(generators(range(2)))
    assert torch.equal(solved(model, "euler", x).x, solved(model, Euler(), x).x)


def test_it_is_imported_in_a_tenth_of_a_second():
    code = "import time; t = time.perf_counter(); import scoresde; print(time.perf_counter() - t)"
    taken = [float(subprocess.check_output([sys.executable, "-c", code])) for _ in range(5)]
    assert min(taken) < 0.1


def test_the_names_for_editors_are_those_that_are_imported():
    names, rooms = {}, set()
    for name, module in stub(ROOT / "__init__.py"):
        if module:
            names[name] = module
        else:
            rooms.add(name)
    assert names == scoresde._PLACE and sorted(names) == scoresde.__all__ and rooms == set(scoresde._ROOMS.split())
    assert {*names, *rooms, "__version__"} <= set(dir(scoresde)) and scoresde.solvers.solvers["dpm"] is DPMSolver
    assert not {path.stem for path in ROOT.iterdir()} & set(scoresde.__all__), "a verb is named like a room"
    with pytest.raises(AttributeError, match="module 'scoresde' has no attribute 'smaple'") as caught:
        scoresde.smaple  # noqa: B018
    assert caught.value.name == "smaple" and caught.value.obj is scoresde  # from which Python makes its suggestion


@pytest.mark.parametrize("room", REGISTRIES)
def test_plugins_are_imported_by_class_name_and_known_to_editors(room):
    module = importlib.import_module(f"scoresde.{room}")
    registry = getattr(module, REGISTRIES[room])
    own = {cls.__name__: cls for cls in registry.values() if cls.__module__.startswith(module.__name__)}
    assert len(own) == sum(cls.__module__.startswith(module.__name__) for cls in registry.values())
    assert all(getattr(module, name) is cls for name, cls in own.items()) and own.keys() <= set(dir(module))
    named = dict(stub(Path(module.__file__)))  # a new plug-in works without such a line: it is one file
    assert all(own[name].__module__ == f"{module.__name__}.{place}" for name, place in named.items())


@pytest.mark.parametrize("options", ["em --steps 8", "dpm --tol 0.1", "pc --steps 4"])
def test_it_draws_what_the_command_line_draws(run, tmp_path, options):
    """Bit for bit, whatever the batches are: noise at the start and noise of the solver are of the seed alone."""
    run(f"sample --solver {options} -n 5 --seed 7 --batch 2 --out out --quiet")
    solver, option, value = options.split()
    for batch in (2, 64):
        text = f"{solver}:{option[2:]}={value}"
        scoresde.sample("digits", text, 5, seeds=7, batch=batch, progress=False).save(f"ours{batch}")
        for name in [f"{seed:06d}.png" for seed in range(7, 12)] + ["sheet.png"]:
            theirs, ours = (read(tmp_path / where / name) for where in ("out", f"ours{batch}"))
            assert np.abs(theirs.astype(int) - ours).max() <= (0 if batch == 2 else 1)  # sums of another batch


@pytest.mark.parametrize("method", ["replace", "projection", "covariance"])
def test_it_fills_holes_as_the_command_line_does(run, tmp_path, method):
    """Bit for bit, and so the noise of the conditioner is of the seed alone, too."""
    picture = to_uint8(scoresde.data.Digits().load("test").scaled(slice(3, 4)))[0, 0].numpy()
    Image.fromarray(picture).save("digit.png")
    line = f"inpaint digit.png --model digits --box 2,2,6,6 --conditioner {method} --solver em --steps 4"
    run(f"{line} -n 3 --seed 7 --batch 2 --out out --quiet")
    mask = np.ones((8, 8))
    mask[2:6, 2:6] = 0
    for image in (picture, Image.fromarray(picture), torch.from_numpy(picture)):
        model = scoresde.condition("digits", scoresde.Pixels(mask), image, method)
        ours = scoresde.sample(model, "em:steps=4", 3, 7, batch=2).images
        theirs = [read(tmp_path / f"out/digit-{seed:06d}.png") for seed in range(7, 10)]
        assert np.array_equal(ours[:, 0].numpy(), np.stack(theirs))


def test_seeds_mean_the_same_each_time(mixture):
    first, again = (scoresde.sample(mixture, "em", seeds=range(4), steps=5) for _ in range(2))
    assert torch.equal(first.x, again.x) and list(first.seeds) == [0, 1, 2, 3]
    assert torch.equal(first.x, scoresde.sample(mixture, "em", 4, steps=5).x)
    backwards = scoresde.sample(mixture, "em", seeds=[3, 2, 1, 0], steps=5)
    assert torch.equal(first.x, backwards.x.flip(0))
    for dtype in (torch.int32, torch.complex64):
        with pytest.raises(UsageError, match=f"samples are real numbers, .* got {dtype}"):
            scoresde.sample("digits", "euler", n=2, dtype=dtype)
    with pytest.raises(UsageError, match="a generator is a stream"):
        scoresde.sample(mixture, "em", seeds=generators(range(4)))
    for wrong in ({"n": 0}, {"n": 2.5}, {"batch": 0}, {"seeds": []}):
        with pytest.raises(UsageError, match="at least 1"):
            scoresde.sample(mixture, "em", **wrong)
    assert len(scoresde.sample(mixture, "euler", steps=2)) == 16


@pytest.mark.parametrize("wrong", [{"n": 0}, {"n": -1}, {"n": 2.5}, {"batch": 0}])
def test_numbers_below_one_are_refused_by_all(wrong):
    grey = np.zeros((12, 12), dtype=np.uint8)
    images = scoresde.Images(torch.zeros(2, 1, 8, 8, dtype=torch.uint8))
    for call in (
        lambda: scoresde.restore(Image.fromarray(grey), grey == 0, "digits", **wrong),
        lambda: scoresde.bits_per_dim("digits", images, **wrong),
    ):
        with pytest.raises(UsageError, match="is a whole number of at least 1, got"):
            call()


def test_images_that_are_drawn_at_random_have_no_masks_or_classes_of_their_own(tmp_path):
    """Which image a mask belongs to could not be told; one mask for all is that of any."""
    images = scoresde.Images(torch.zeros(2, 1, 8, 8, dtype=torch.uint8))
    model = scoresde.load(tiny_model(tmp_path, classes=10))
    masks = torch.zeros(2, 1, 8, 8, dtype=torch.bool)
    masks[1, :, :4] = True
    for around, known in ((GuidedModel(model, [3, 5]), None), (model, masks)):
        with pytest.raises(UsageError, match="2 images would be drawn at random, and each mask, class or measurement"):
            scoresde.bits_per_dim(around, images, n=2, known=known)
    with pytest.raises(UsageError, match="takes no masks"):
        scoresde.bits_per_dim(model, images, n=2, known=masks[:1].expand(2, 1, 8, 8))


def test_measurements_belong_to_samples_and_not_to_batches():
    """Two measurements with a mask each: sample i has measurement i mod 2, in batches of any size."""
    image = scoresde.data.Digits().load("test").scaled(slice(0, 2))
    masks = torch.ones(2, 1, 8, 8)
    masks[0, :, :4], masks[1, :, :, :4] = 0, 0
    model = scoresde.condition("digits", scoresde.Pixels(masks), image, "projection")
    assert model.bound == 2 and len(scoresde.sample(model, "euler", steps=2)) == 2
    whole = scoresde.sample(model, "em", 5, steps=5).x
    parts = scoresde.sample(model, "em", 5, steps=5, batch=3).x
    assert torch.allclose(whole, parts, atol=1e-5)
    for i, x in enumerate(whole):
        known = masks[i % 2].bool()
        assert torch.equal(x[known], image[i % 2][known]) and not torch.equal(x[~known], image[i % 2][~known])


def test_what_is_around_a_posed_model_stays_there():
    class Shown(WrapperModel):
        rows = ()

        def evaluate(self, x, t, classes=None):
            Shown.rows += (len(x),)
            return super().evaluate(x, t, classes)

    top = torch.zeros(8, 8)
    top[:4] = 1
    model = scoresde.condition("digits", scoresde.Pixels(top), torch.zeros(1, 1, 8, 8), "projection")
    assert isinstance(model, PosteriorModel) and str(model).startswith("PosteriorModel(")
    found = scoresde.sample(Shown(model), "euler", 3, steps=4, batch=2)
    assert Shown.rows == (2,) * 5 + (1,) * 5
    assert torch.allclose(found.x, scoresde.sample(model, "euler", 3, steps=4).x, atol=1e-5)


def test_classes_guidance_and_clipping(tmp_path):
    """As the wrappers by hand, with classes taken in turn; a condition goes around both."""
    model = scoresde.load(tiny_model(tmp_path, classes=10))
    found = scoresde.sample(model, "euler", 4, steps=3, classes=[1, 2], guidance=2.0, clip=True, batch=3)
    again = scoresde.sample(model, "euler", 4, steps=3, classes=torch.tensor([1, 2]), guidance=2.0, clip=True, batch=3)
    assert torch.equal(found.x, again.x)
    by_hand = ClippedModel(GuidedModel(model, [1, 2, 1, 2], 2.0))
    assert torch.allclose(found.x, solved(by_hand, Euler(steps=3), model.prior(generators(range(4)))).x, atol=1e-5)
    one = scoresde.sample(model, "euler", 2, steps=3, classes=3).x
    assert torch.allclose(one, solved(GuidedModel(model, [3, 3]), Euler(steps=3), model.prior(generators(range(2)))).x)
    bound = scoresde.sample(GuidedModel(model, [3, 3]), "euler", steps=3, batch=1)  # knows itself for how many
    assert torch.allclose(one, bound.x, atol=1e-5)
    assert torch.allclose(one[:1], scoresde.sample(GuidedModel(model, [3]), "euler", steps=3).x, atol=1e-5)
    image, top = torch.zeros(1, 1, 8, 8), torch.zeros(8, 8)
    top[:4] = 1
    posed = scoresde.condition(model, scoresde.Pixels(top), image, "projection")
    assert (scoresde.sample(posed, "euler", 2, steps=3, classes=3, guidance=2.0, clip=True).x[:, :, :4] == 0).all()
    # Guidance around a condition keeps its classes in any batch, and knows for how many it is.
    two = scoresde.condition(model, scoresde.Pixels(top), torch.stack([image, image + 0.5])[:, 0], "projection")
    inside = scoresde.sample(two, "euler", 2, steps=3, classes=[3, 5], guidance=2.0).x
    around = scoresde.sample(GuidedModel(two, [3, 5], 2.0), "euler", steps=3, batch=1).x
    assert torch.allclose(inside, around, atol=1e-5)
    assert len(scoresde.sample(GuidedModel(posed, [3], 2.0), "euler", steps=3)) == 1
    with pytest.raises(UsageError, match="guidance needs classes"):
        scoresde.sample(model, guidance=2.0)


def test_names_are_answered_with_the_nearest(mixture):
    for call, message in [
        (lambda: scoresde.sample("digitz"), "Did you mean 'digits'"),
        (lambda: scoresde.sample(mixture, "dppm"), "no solver is called 'dppm'. Did you mean 'dpm'"),
        (lambda: scoresde.sample(mixture, 4), "a solver is a name such as 'adams', an object or its class, got 4"),
        (lambda: scoresde.sample(mixture, "dpm", steps=5), "steps is not an option of dpm"),
        (lambda: scoresde.sample(mixture, "dpm:tol=2"), "tol must be less than 1, got 2"),
        (lambda: scoresde.sample(7), "a model is a ScoreModel or a name such as 'digits', got an int"),
        (lambda: scoresde.condition("digits", "lumaa", torch.zeros(1, 1, 8, 8)), "Did you mean 'luma'"),
        (lambda: scoresde.condition("digits", "noisy", torch.zeros(1, 1, 8, 8), "covarianc"), "'covariance'"),
        (lambda: scoresde.check("eulr"), "Did you mean 'euler'"),
        (lambda: scoresde.encode(mixture, torch.zeros(1, 2), "em"), "em adds noise"),
        (lambda: scoresde.benchmark(mixture, "euler"), r"save this one with scoresde.save\(model, folder\)"),
        (lambda: scoresde.benchmark(scoresde.ClippedModel(scoresde.load()), "euler"), "got a ClippedModel"),
        (lambda: scoresde.benchmark(scoresde.load(precision="bfloat16"), "euler"), "got one in bfloat16"),
        (lambda: scoresde.log_likelihood(mixture, torch.zeros(1, 2), exact=True, probes=2), "leaves nothing to estim"),
    ]:
        with pytest.raises(UsageError, match=message):
            call()


def test_solvers_are_given_as_text_class_and_object(mixture):
    texts = ["dpm:tol=0.02,order=2", DPMSolver(tol=0.02, order=2)]
    a, b = (scoresde.sample(mixture, solver, 3) for solver in texts)
    assert torch.equal(a.x, b.x) and a.solver == b.solver == "dpm:tol=0.02,order=2"
    changed = scoresde.sample(mixture, DPMSolver(order=2), 3, tol=0.02)
    assert torch.equal(a.x, changed.x) and scoresde.sample(mixture, DPMSolver, 3).solver == "dpm"


def test_a_batch_that_does_not_fit_is_halved(mixture):
    class Greedy(WrapperModel):
        limit = 2

        def evaluate(self, x, t, classes=None):
            if len(x) > self.limit:
                raise torch.OutOfMemoryError
            return super().evaluate(x, t, classes)

    greedy = Greedy(mixture)
    whole, parts = (scoresde.sample(model, "em", 7, steps=5) for model in (mixture, greedy))
    assert torch.allclose(whole.x, parts.x, atol=1e-5) and list(parts.seeds) == list(range(7))
    greedy.limit = 0
    with pytest.raises(ResourceError, match="the memory does not hold what one sample takes"):
        scoresde.sample(greedy, "em", 2, steps=5)


def test_several_processes_share_the_batches(mixture, monkeypatch):
    """Each draws every second batch; the first puts them in order."""
    kept = []

    class Joined(Processes):
        def gather(self, value):
            kept.append(value)
            return list(kept) if self.rank == 0 else []

        def only_first(self, work):
            return work() if self.rank == 0 else None

    alone = scoresde.sample(mixture, "em", 7, steps=5, batch=2)
    for rank in (1, 0):
        monkeypatch.setattr(api_sampling, "processes", lambda rank=rank: Joined(rank, 2))
        found = scoresde.sample(mixture, "em", 7, steps=5, batch=2)
    assert [[first for first, _ in part] for part in kept] == [[2, 6], [0, 4]]
    assert torch.equal(found.x, alone.x) and list(found.seeds) == list(alone.seeds) == list(range(7))


def test_bars_are_shown_when_asked_for(mixture, capsys, monkeypatch):
    monkeypatch.setattr(progress_lines, "FIRST", (1e-6,))
    scoresde.sample(mixture, "em", 4, steps=50)  # no terminal
    scoresde.sample(mixture, "em", 4, steps=50, progress=False)
    assert capsys.readouterr().err == ""
    scoresde.sample(mixture, "em", 4, steps=50, batch=2, progress=True)
    assert capsys.readouterr().err.splitlines()[-1].startswith("sample: 4/4 images (100%), NFE 51, ")
    monkeypatch.setattr(progress_lines, "FIRST", (60.0,))
    scoresde.sample(mixture, "em", 4, steps=2, progress=True)
    assert capsys.readouterr().err == ""  # it is over before a line would be of use


def test_codes_lead_back_to_their_data(gaussian):
    """The exact flow of a Gaussian is known: codes are where it leads, and come back."""
    x = gaussian.draw(3, torch.Generator().manual_seed(0))
    codes = scoresde.encode(gaussian, x.numpy(), "rk45", progress=False)
    assert (codes.x - gaussian.flow(x, gaussian.sde.t_min, 1.0)).abs().max() < 0.01 and codes.solver == "rk45"
    assert (scoresde.decode(gaussian, codes.x).x - x).abs().max() < 0.01


def test_likelihoods_are_those_of_the_law(gaussian):
    x = gaussian.draw(3, torch.Generator().manual_seed(0))
    exact = scoresde.log_likelihood(gaussian, x, exact=True, eps=1e-3)
    early, late = (torch.full((3,), t, dtype=torch.float64) for t in (1e-3, 1.0))
    truth = gaussian.log_prob(x, early) - gaussian.log_prob(exact.latent, late)  # N(0, I) is only nearly the end's law
    assert torch.allclose(exact.log_prob - exact.prior, truth, atol=1e-4)
    first, again = (scoresde.log_likelihood(gaussian, x, seeds=7, probes=4).log_prob for _ in range(2))
    assert torch.equal(first, again) and not torch.equal(first, scoresde.log_likelihood(gaussian, x, probes=4).log_prob)


def test_a_benchmark_goes_on_where_it_was(tmp_path):
    solvers = ["euler:steps=3", DPMSolver(tol=0.5), Euler]
    first = scoresde.benchmark("gaussian", solvers[:2], n=4, folder=tmp_path)
    assert [row["solver"]["name"] for row in first.done] == ["euler", "dpm"] and (tmp_path / "index.html").exists()
    rows = (tmp_path / "rows-0.jsonl").read_text()
    again = scoresde.benchmark(["gaussian"], solvers, n=4, folder=tmp_path)
    assert (tmp_path / "rows-0.jsonl").read_text().startswith(rows) and len(again.done) == 3
    assert again.done[:2] == first.done and repr(first).startswith("| ") and "| rms error" in first._repr_markdown_()


def test_a_benchmark_finds_a_loaded_model_again(tmp_path):
    model = scoresde.load(tiny_model(tmp_path / "tiny"))
    assert api_measuring._name(model) == str(model.source)
    with pytest.raises(UsageError, match="loads tiny alone and in float32, got a ClippedModel"):
        api_measuring._name(ClippedModel(model))  # of which the network alone would be measured
    assert api_measuring._name(scoresde.load("digits")) == "digits"


def test_a_solver_of_ones_own_is_checked_without_being_registered():
    class Wrong(Euler):
        @property
        def claimed_order(self):
            return 3.0

    verdicts = scoresde.check(Wrong, fast=True)
    assert {v.kept for v in verdicts if "order" in v.promise} == {False} and isinstance(Wrong(), Solver)


def test_a_model_is_saved_and_loaded(tmp_path):
    model = scoresde.load("digits")
    copy = scoresde.load(scoresde.save(model, tmp_path / "copy"))
    a, b = (scoresde.sample(m, "euler", 2, steps=3).x for m in (model, copy))
    assert torch.equal(a, b) and copy.source == tmp_path / "copy" and repr(copy) == repr(model)
    assert isinstance(model, torch.nn.Module) and "442,817 parameters" in repr(model)
