"""Sampling's accounting, trajectories and pictures."""

import itertools
import math

import pytest
import torch
from PIL import Image

from scoresde.core.errors import NumericalError, ResourceError, UsageError
from scoresde.core.random import choose, generators, permutation, rand, randn, randn_like, stream
from scoresde.images import sheets
from scoresde.models.base import ObservedModel
from scoresde.models.evaluations import Evaluations
from scoresde.models.gaussian import GaussianModel
from scoresde.sampling.sample import in_batches, sample
from scoresde.sampling.trajectory import Trajectory
from scoresde.sde import VPSDE
from scoresde.solvers import solvers


def test_sampling_is_counted_denoised_and_free_of_gradients(gaussian):
    x = gaussian.prior(generators(range(4)), dtype=torch.float64).requires_grad_()
    raw = sample(gaussian, solvers["euler"](steps=10), x, denoise=False)
    out = sample(gaussian, solvers["euler"](steps=10), x)
    assert (raw.nfe, out.nfe, out.work) == (10, 11, 11.0) and not out.x.requires_grad
    t = torch.full((4,), 1e-3, dtype=torch.float64)
    assert torch.equal(out.x, gaussian.denoise(raw.x, t).detach())
    assert sample(gaussian, solvers["euler"](steps=10), x, stop=0.1).nfe == 11
    info = sample(gaussian, solvers["rk45"](), x).info
    assert info["steps"] > 0 and info["rejected"] >= 0
    with pytest.raises(UsageError, match="lie in"):
        sample(gaussian, solvers["euler"](), x, stop=2.0)


def test_batches_of_different_sizes_give_the_same_samples(mixture):
    whole = sample(
        mixture, solvers["em"](steps=30), mixture.prior(generators(range(7))), generator=generators(range(7))
    )
    parts = [
        sample(mixture, solvers["em"](steps=30), mixture.prior(generators(r)), generator=generators(r)).x
        for r in (range(3), range(3, 7))
    ]
    assert torch.allclose(whole.x, torch.cat(parts), atol=1e-6)


@pytest.mark.parametrize("solver", ["em:steps=200", "euler", "rk45", "dpm", "scipy"])
def test_a_trajectory_goes_from_noise_to_the_sample(gaussian, solver):
    """Frames begin at the noise, end at the sample, and cost nothing; in a linear model we know where x_t should be."""
    x = gaussian.prior(generators(range(16)), dtype=torch.float64)
    recorder = Trajectory(gaussian.sde, 8)
    out = sample(gaussian, solvers.parse(solver), x, generator=generators(range(16)), observers=(recorder,))
    plain = sample(gaussian, solvers.parse(solver), x, generator=generators(range(16)))
    assert out.nfe == plain.nfe and torch.equal(out.x, plain.x)
    assert torch.equal(recorder.states[0], x) and len(recorder.states) == len(recorder.denoised) == 8
    assert all(state.shape == x.shape and torch.isfinite(state).all() for state in recorder.states)
    assert (recorder.states[-1] - out.x).abs().max() < 0.3 and (recorder.denoised[-1] - out.x).abs().max() < 0.1
    if solver == "euler":
        times = gaussian.sde.time(recorder.log_snr)
        for state, t in zip(recorder.states[:-1], times[:-1].tolist(), strict=True):
            near = gaussian.flow(x, 1.0, t) if t < 1 else x
            assert (state - near).abs().max() < 0.2
    with pytest.raises(UsageError, match="at least 2 frames, got 1"):
        Trajectory(gaussian.sde, 1)


@pytest.mark.parametrize("solver", ["scipy", "torchdiffeq", "rk45"])
def test_a_trajectory_has_the_dtype_of_what_was_first_seen(gaussian, solver):
    """SciPy's solver evaluates in float64 what came in float32, and the last evaluation is in float32 again."""
    x = gaussian.prior(generators(range(4)), dtype=torch.float32)
    recorder = Trajectory(gaussian.sde, 5)
    out = sample(gaussian, solvers[solver](), x, observers=(recorder,))
    assert {state.dtype for state in recorder.states + recorder.denoised} == {recorder.states[0].dtype}
    assert out.x.dtype == torch.float32 and (recorder.denoised[-1] - out.x).abs().max() < 0.1


def test_seeds():
    assert torch.equal(randn((3, 2), generators([5, 6, 7]))[1:2], randn((1, 2), generators([6])))
    assert torch.equal(rand((2,), stream(0, "a", 1)), rand((2,), stream(0, "a", 1)))
    assert not torch.equal(rand((2,), stream(0, "a", 1)), rand((2,), stream(0, "a", 2)))
    assert sorted(permutation(5, stream(0, "b")).tolist()) == [0, 1, 2, 3, 4]
    assert set(choose(torch.tensor([0.0, 1.0]), 10, stream(0, "c")).tolist()) == {1}
    assert randn_like(torch.zeros(2, 3, dtype=torch.float64), None).dtype == torch.float64
    with pytest.raises(UsageError, match="2 generators for a batch of 3"):
        randn((3, 2), generators([1, 2]))


def test_pictures(tmp_path):
    x = torch.tensor([-1.0, -0.5, 0.0, 2.0]).reshape(1, 1, 2, 2)
    assert sheets.to_uint8(x).flatten().tolist() == [0, 64, 128, 255]
    sheet = sheets.sheet(x.expand(5, 1, 2, 2), 3, zoom=4)
    assert sheet.size == (4 * (3 * 3 + 1), 4 * (2 * 3 + 1)) and sheet.getpixel((4, 4)) == (0, 0, 0)
    sheets.save(sheets.single(x[0]), tmp_path / "a.png")
    with Image.open(tmp_path / "a.png") as picture:
        assert list(picture.tobytes()) == [0, 64, 128, 255]
    assert sheets.single(x.expand(1, 3, 2, 2)[0]).mode == "RGB"
    assert [sheets.zoom_for(*size) for size in ((8, 8), (28, 28), (512, 512), (2, 128))] == [8, 2, 1, 4]
    rows = sheets.labelled({"one": x.expand(2, 1, 2, 2), "another": x.expand(4, 1, 2, 2)}, zoom=8)
    assert rows.height == 2 * 8 * 4 and rows.width > 8 * 13
    noise = torch.randn(2, 5, 3, 2, 2, generator=torch.Generator().manual_seed(0))
    for suffix, frames in itertools.product(
        ("gif", "webp"),
        ([sheet, sheets.sheet(-x.expand(5, 1, 2, 2), 3, zoom=4)], [sheets.sheet(each, zoom=4) for each in noise]),
    ):
        sheets.save_animation(frames, tmp_path / f"a.{suffix}")
        with Image.open(tmp_path / f"a.{suffix}") as animation:
            assert animation.n_frames == 2
            for i, frame in enumerate(frames):  # every pixel is kept
                animation.seek(i)
                assert animation.convert("RGB").tobytes() == frame.tobytes()


def test_samples_that_are_not_finite_are_never_returned():
    model = GaussianModel(torch.zeros(2), torch.ones(2), VPSDE())
    with pytest.raises(NumericalError, match="starting noise of samples 0, 1 of 2"):
        sample(model, solvers["euler"](), torch.full((2, 2), math.nan))


def test_derivatives_are_counted(gaussian):
    counter = Evaluations()
    model = ObservedModel(gaussian, counter)
    x = gaussian.prior(generators(range(3)), dtype=torch.float64).requires_grad_()
    t = torch.full((3,), 0.5, dtype=torch.float64)
    eps = model.eps(x, t)
    for _ in range(2):
        torch.autograd.grad(eps.sum(), x, retain_graph=True)
    with torch.no_grad():
        model.eps(x, t)
    assert counter.vjps == 2 and counter.calls == 2


def test_a_batch_that_does_not_fit_into_the_memory_is_halved(mixture):
    """Into as many halvings as it takes; each sample is that of its own seed all the same."""
    met = []

    def draw(rows):
        met.append(len(rows))
        if len(rows) > 3:
            torch.empty(10**14)  # which no memory holds
        return sample(mixture, solvers["em"](steps=4), mixture.prior(sources := generators(rows)), generator=sources)

    x = torch.cat([part.x for part in in_batches(draw, range(5, 16), 11)])
    assert met == [11, 5, 2, 2, 2, 2, 2, 1]
    assert torch.equal(x, torch.cat([draw(range(i, i + 1)).x for i in range(5, 16)]))
    with pytest.raises(ResourceError, match="does not hold what one sample takes"):
        list(in_batches(lambda rows: draw(range(4)), range(4), 4))
