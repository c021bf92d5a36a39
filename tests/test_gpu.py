"""On a GPU: the same samples as on the CPU, from every solver and every way to condition, in every precision."""

import json
from itertools import islice

import pytest
import torch

from scoresde import models
from scoresde.bench.check.base import Faulty
from scoresde.bench.problems import problem
from scoresde.conditioners import conditioners
from scoresde.core.errors import NumericalError
from scoresde.core.random import generators, rand, stream
from scoresde.data import Images
from scoresde.likelihood import Hutchinson, log_likelihood
from scoresde.models.base import WrapperModel
from scoresde.observations import Blur, Downsample, Luma, Pixels
from scoresde.posterior import posteriors
from scoresde.sampling.sample import in_batches, sample
from scoresde.solvers import solvers
from scoresde.training import config as configuration
from scoresde.training.batches import Feed
from scoresde.training.loop import start, train
from scoresde.training.objective import terms
from scoresde.training.run import Run
from scoresde.training.sharding import everything, is_share

pytestmark = [pytest.mark.gpu, pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")]
CPU, GPU = torch.device("cpu"), torch.device("cuda")
HOLE = torch.ones(1, 1, 8, 8)
HOLE[..., 2:6, 2:6] = 0
SEEN = {"luma": Luma(), "hole": Pixels(HOLE), "downsample": Downsample(factor=2, noise=0.01)}
SEEN["blur"] = Blur(torch.tensor([[0.0, 1, 0], [1, 4, 1], [0, 1, 0]]) / 8, 0.01)


@pytest.fixture(autouse=True)
def exact():
    """Convolutions in float32 proper; by default torch rounds their factors to TensorFloat-32."""
    before = torch.backends.cudnn.allow_tf32
    torch.backends.cudnn.allow_tf32 = False
    yield
    torch.backends.cudnn.allow_tf32 = before


def both(draw, dtype):
    """What is drawn on the CPU and on the GPU from the same seeds."""
    found = []
    for device in (CPU, GPU):
        model = problem("gm192").to(device)
        x = draw(model, model.prior(generators(range(3)), dtype=dtype), generators(range(3)))
        assert x.device.type == device.type and x.dtype == dtype
        found.append(x.cpu().double())
    return found


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32], ids=["float64", "float32"])
@pytest.mark.parametrize("name", sorted(solvers.all()))
def test_solvers(name, dtype):
    solver = solvers[name]()
    if "steps" in type(solver).model_fields:
        solver = solver.model_copy(update={"steps": min(solver.steps, 40)})
    here, there = both(lambda model, x, g: sample(model, solver, x, generator=g).x, dtype)
    # An adaptive solver's step is a function of rounded numbers; in float32 the paths differ by what it allows.
    loose = dtype == torch.float32 and solver.adaptive
    bound = 1e-9 if dtype == torch.float64 else 2e-3 if loose else 1e-4
    assert (here - there).abs().max() < bound


@pytest.mark.parametrize("seen", list(SEEN))
@pytest.mark.parametrize("name", sorted(set(conditioners.all()) - {"trained"}))
def test_conditioners(name, seen):
    options = {"covariance": fitted(name)} if "covariance" in conditioners[name].model_fields else {}
    kind = conditioners[name](**options)
    if name in ("replace", "projection") and seen == "blur":
        return  # they need orthogonal rows, and say so

    def draw(model, x, g):
        y = SEEN[seen].forward(problem("gm192").draw(3, stream(0, "truth"))).to(x)
        around = kind.condition(model, SEEN[seen], y, generators(range(3)))
        solver = solvers["ancestral" if around.draws else "dpm++"](steps=10)
        return sample(around, solver, around.prior(g, dtype=x.dtype), generator=g).x

    here, there = both(draw, torch.float64)
    assert (here - there).abs().max() < 1e-7


@pytest.mark.parametrize("name", sorted(posteriors.all()))
def test_posterior_samplers(name):
    options = {"covariance": fitted()} if "covariance" in posteriors[name].model_fields else {}
    method = posteriors[name](**options)

    def draw(model, x, g):
        y = SEEN["hole"].forward(problem("gm192").draw(3, stream(0, "truth"))).to(x.device, torch.float32)
        return method.draw(model, SEEN["hole"], y, generator=g).x

    here, there = both(draw, torch.float32)
    assert here.isfinite().all() and (here - there).abs().median() < 1e-3


def fitted(name="covariance"):
    return conditioners[name].estimate(problem("gm192").draw(500, stream(0, "images")), "full")


def test_likelihood():
    x = problem("gm192").draw(2, stream(0, "x"))
    found = [
        log_likelihood(problem("gm192").to(d), x.to(d), divergence=Hutchinson(), generator=generators(range(2)))
        for d in (CPU, GPU)
    ]
    assert torch.allclose(found[0].at_zero, found[1].at_zero.cpu(), atol=1e-6)


def network(device):
    return models.load("photos", device)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16], ids=["float16", "bfloat16"])
def test_a_network_in_16_bits_follows_times_in_float64(dtype):
    """The images differ by the rounding of the network alone; with 16-bit times they would be of other noise levels."""
    model = network(GPU)
    x, solver = model.prior(generators(range(8))), solvers["dpm++"](steps=20)
    full = sample(model, solver, x).x
    low = sample(model.to(dtype), solver, x).x
    assert low.dtype == torch.float32 and (full - low).square().mean().sqrt() < (
        0.02 if dtype == torch.float16 else 0.1
    )


def test_a_network_gives_the_same_images_on_both():
    found = [
        sample(m, solvers["unipc"](steps=10), m.prior(generators(range(4)))).x.cpu() for m in map(network, (CPU, GPU))
    ]
    assert (found[0] - found[1]).abs().max() < 1e-3


def coloured():
    pixels = (256 * rand((64, 3, 16, 16), stream(0, "pixels"))).to(torch.uint8)
    return Images(pixels, labels=torch.arange(64) % 4)


SMALL = ["network.channels=8", "network.multipliers=[1,1]", "network.blocks=1", "train.batch=16", "train.flip=true"]


def test_threads_that_draw_ahead_change_nothing():
    options = configuration.load("photos", SMALL).train
    feeds = [Feed(coloured(), options, device).steps(5) for device in (CPU, GPU)]
    for here, there in islice(zip(*feeds, strict=True), 12):
        for name in ("images", "labels", "hidden", "uniform", "noise"):
            assert getattr(there, name).is_cuda and torch.equal(getattr(here, name), getattr(there, name).cpu())


def test_a_step_of_training_is_the_same_on_both():
    chosen, losses = configuration.load("photos", [*SMALL, "train.images=160"]), []
    for device in (CPU, GPU):
        state = start(chosen, (3, 16, 16), device)
        batch = next(Feed(coloured(), chosen.train, device).steps(0))
        first = terms(state.model, batch, chosen.train).losses.mean().item()
        losses.append([first, *(state.loss for state in train(chosen, coloured(), state))])
    assert torch.allclose(*map(torch.tensor, losses), atol=2e-3) and losses[0][0] == pytest.approx(losses[1][0], 1e-5)


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_a_compiled_network_trains_and_is_saved_as_any_other(precision, tmp_path, run):
    said = run(
        f"train photos {' '.join(SMALL)} train.images=1600 train.batch=64 train.compile=true "
        f"train.precision={precision} train.channels_last=true train.sample_every=100_000 --out run --quiet"
    )
    assert "Trained on 1600 images" in said
    line = json.loads((tmp_path / "run" / "metrics.jsonl").read_text().splitlines()[-1])
    assert 0 < line["loss"] < 1.5
    model = models.load(tmp_path / "run")
    assert sample(model, solvers["euler"](steps=3), model.prior(generators([0]))).nfe == 4


class Greedy(WrapperModel):
    """Takes four fifths of the memory that is there, for each row but the first three."""

    def evaluate(self, x, t, classes=None):
        free = torch.cuda.mem_get_info()[0]
        torch.empty(int(0.8 * free) * max(1, len(x) - 2), dtype=torch.uint8, device=x.device)
        return self.model.evaluate(x, t, classes)


def test_a_batch_that_does_not_fit_is_halved_and_the_samples_are_the_same():
    model = problem("gm192").to(GPU)

    def draw(of):
        return lambda rows: sample(
            of, solvers["dpm++"](steps=5), of.prior(sources := generators(rows)), generator=sources
        )

    whole = torch.cat([part.x for part in in_batches(draw(model), range(8), 8)])
    parts = list(in_batches(draw(Greedy(model)), range(8), 8))
    assert [len(part.x) for part in parts] == [2, 2, 2, 2]
    assert torch.allclose(whole, torch.cat([part.x for part in parts]), atol=1e-5)


@pytest.mark.parametrize("place", [1, 3, 6])
def test_a_prediction_that_is_not_finite_is_named_though_nobody_waited_for_it(place):
    model = Faulty(lambda calls, t: calls == place, float("nan")).to(GPU)
    with pytest.raises(NumericalError, match=rf"sample 1 of 3 is not finite .*\(evaluation {place}\)"):
        solvers["unipc"](steps=6).solve(model, torch.ones(3, 3, device=GPU), start=1.0, stop=1e-3)
    assert place <= model.calls <= place + 1


def test_weights_spread_by_nccl_train_as_whole_ones_do(tmp_path):
    """Over one process, where nothing is left but what sharding does: the same losses, and a checkpoint of shares."""
    torch.distributed.init_process_group("nccl", rank=0, world_size=1, store=torch.distributed.HashStore())
    try:
        losses = []
        for shard in ("false", "true"):
            chosen = configuration.load("photos", [*SMALL, "train.images=160", f"train.shard={shard}"])
            state = start(chosen, (3, 16, 16), GPU)
            losses.append([state.loss for state in train(chosen, coloured(), state)])
            run = Run(tmp_path / shard, chosen, {})
            run.save(state)
            again = start(chosen, (3, 16, 16), GPU)
            run.resume(again)
            pairs = zip(state.ema.parameters(), again.ema.parameters(), strict=True)
            assert all(torch.equal(everything(a), everything(b)) and a.is_cuda and b.is_cuda for a, b in pairs)
        assert all(map(is_share, again.model.parameters())) and len(losses[0]) == 10
        assert torch.allclose(*map(torch.tensor, losses), atol=2e-3)
    finally:
        torch.distributed.destroy_process_group()
