"""Drawings of samples on their way: every frame of an animation shows the same place at the same pixel."""

import numpy as np
import pytest
import torch

import scoresde
from scoresde.core.units import Units
from scoresde.sampling.sample import sample
from scoresde.sampling.trajectory import Trajectory, drawn_way


def way(states, predicted, sde=None):
    """A trajectory that has recorded these."""
    made = Trajectory(sde or scoresde.VPSDE(), len(states))
    made.states, made.denoised = states, predicted
    return made


@pytest.mark.parametrize("units", [None, Units(torch.tensor([3.0, -7.0]), torch.tensor([2.0, 2.0]))])
def test_a_point_that_rests_is_drawn_at_one_pixel_while_the_others_move(units):
    rest = torch.tensor([[0.25, -0.5]])
    states = [torch.cat([rest, torch.full((4, 2), 3.0) * scale]) for scale in (1.0, -0.6, 0.3)]
    to_data = (lambda x: x) if units is None else units.to_data
    own = units is not None
    strip, frames = drawn_way(way(states[:2], [states[2]] * 2), to_data(states[2]), to_data, own_range=own)
    assert len(frames) == 3 and strip.size == (sum(frame.width for frame in frames) // 2, 2 * frames[0].height)
    # Blue where the point is, in the colour of all points: what is blue in every frame is the point that rests.
    blue = [np.asarray(frame).astype(int)[..., 2] - np.asarray(frame).astype(int)[..., 0] > 100 for frame in frames]
    half = blue[0].shape[1] // 2
    assert all(np.array_equal(frame[:, half:], blue[2][:, :half]) for frame in blue), "predicted is where it ends"
    ys, xs = np.nonzero((blue[0] & blue[1] & blue[2])[:, :half])
    assert 4 <= len(xs) <= 40 and np.ptp(xs) < 8 and np.ptp(ys) < 8
    assert all(mask[:, :half].sum() > len(xs) + 4 for mask in blue), "the others are seen too, elsewhere"


def test_pictures_have_the_levels_of_the_states_and_of_what_was_predicted_of_them():
    states, predicted = ([torch.full((2, 1, 8, 8), level) for level in levels] for levels in ((-1.0, 0.2), (0.0, 0.6)))
    strip, frames = drawn_way(way(states, predicted), torch.ones(2, 1, 8, 8))
    levels = [[0, 153, 255], [128, 204, 255]]
    for column, expected in enumerate(levels):
        place = frames[0].width * (4 * column + 1) // 8  # in the first of the two sheets of two images
        assert [int(np.asarray(frame)[frame.height // 2, place, 0]) for frame in frames] == expected
    rows = np.asarray(strip)[20 + 8 + 32 :: 80, :, 0]  # the middle of each row of images
    assert len(rows) == 4
    for row, expected in zip(rows, levels * 2, strict=True):
        assert row[-2 * 72 - 8 - 32 :: 72].tolist() == expected


def test_noise_of_any_scale_is_drawn_with_deviation_one():
    """Of N(0, 50²), nearly all would be black or white; within [-1, 1] are 68 % of N(0, 1)."""
    z = torch.randn(1, 1, 64, 64, generator=torch.Generator().manual_seed(0))
    _, frames = drawn_way(way([50 * z, z], [z, z], scoresde.VESDE(sigma_max=50)), z)
    noise = np.asarray(frames[0])[1:65, 1:65, 0]
    assert np.mean((noise > 0) & (noise < 255)) == pytest.approx(0.683, abs=0.03)


def test_the_frames_are_headed_by_their_times_or_by_the_levels_of_a_chain():
    """Those at which the model saw what they show: four steps have no more states than that."""
    assert Trajectory(scoresde.VPSDE(), 2).headings == ["t = 1", "t = 0.001"]
    assert Trajectory(scoresde.DDPM(steps=300), 3).headings[::2] == ["step 300", "step 1"]
    model, seen = scoresde.GaussianModel(torch.zeros(2), torch.eye(2), scoresde.VPSDE()), []
    recorder = Trajectory(model.sde, 12)
    watch = (recorder, lambda x, t, eps: seen.append((f"t = {t[0]:.2g}", x)))
    sample(model, "euler:steps=4", model.prior(scoresde.generators(range(2))), observers=watch)
    for heading, state in zip(recorder.headings, recorder.states, strict=True):
        assert any(heading == t and torch.equal(state, x) for t, x in seen)


def test_what_is_predicted_is_the_mean_of_the_data_given_the_state():
    """In closed form: of N(m, v) it is (v α x + σ² m)/(α² v + σ²), of a state that the solver has met."""
    mean, variance, sde = torch.tensor([0.3, -0.2]).double(), torch.tensor([0.5, 0.1]).double(), scoresde.VPSDE()
    model = scoresde.GaussianModel(mean, torch.diag(variance), sde)
    x = model.prior(scoresde.generators(range(4)), dtype=torch.float64)
    recorder = Trajectory(sde, 6)
    sample(model, "euler:steps=40", x, observers=(recorder,))
    for frame, t in ((0, 1.0), (-1, 1e-3)):  # the ends, where the solver has met the very time of the frame
        state, time = recorder.states[frame], torch.tensor(t).double()
        alpha, sigma = sde.alpha(time), sde.sigma(time)
        expected = (variance * alpha * state + sigma**2 * mean) / (alpha**2 * variance + sigma**2)
        assert torch.allclose(recorder.denoised[frame], expected, atol=1e-12)
