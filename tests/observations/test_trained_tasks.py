"""Trained tasks: what each gives to its network, and a new one that is no more than one class."""

import numpy as np
import pytest
import scipy.stats
import torch
from pydantic import Field

from scoresde import models
from scoresde.conditioners import conditioners
from scoresde.core.errors import UsageError
from scoresde.core.random import generators, randn, stream
from scoresde.likelihood import nll
from scoresde.models.known import Known
from scoresde.observations import Crop, Downsample, Luma, Pixels
from scoresde.observations.tasks import Task, tasks, trained_task
from scoresde.sampling.sample import sample
from scoresde.solvers import solvers
from scoresde.training import config as configuration
from scoresde.training.loop import start, train
from scoresde.training.run import Run

SMALL = ["network.channels=4", "network.multipliers=[1]", "network.blocks=1", "network.group_channels=4"]
SMALL += ["train.batch=16", "train.images=48", "train.evaluate_images=16", "train.evaluate_samples=4"]
CPU = torch.device("cpu")


@pytest.mark.parametrize("name", tasks)
def test_training_and_a_measurement_of_the_same_image_give_the_same(name):
    x0, mask = randn((2, 3, 4, 4), stream(0)), torch.zeros(1, 1, 4, 4, dtype=torch.bool)
    mask[..., :2] = True
    observation = {"colour": Luma(noise=0.0), "inpaint": Pixels(mask), "none": Crop(left=1)}[name]
    task = tasks[name]()
    trained, asked = task.known(x0, mask), task.answer(observation, observation.forward(x0))
    if not task.conditional:
        assert trained is asked is None and not task.extra_channels(3)
        return
    assert torch.equal(trained.channels, asked.channels)
    assert trained.channels.shape == (2, task.extra_channels(3), 4, 4)
    assert task.answer(Downsample(), randn((2, 3, 2, 2), stream(1))) is None
    if task.masked:
        assert torch.equal(trained.mask, asked.mask)
        assert torch.equal(*(torch.where(known.mask, known.values, 0) for known in (trained, asked)))
        with pytest.raises(UsageError, match="needs where pixels are known: give a mask for each image"):
            task.known(x0, None)


def test_a_hole_of_noise_is_standard_normal_and_a_function_of_the_mask():
    """Six channels for a picture of three: x_t, and the picture with noise in its hole; the mask is not among them."""
    task = tasks.parse("inpaint:fill=noise")
    assert task.extra_channels(3) == 3 and tasks["inpaint"]().extra_channels(3) == 4
    x0, mask = randn((4, 3, 32, 32), stream(0)), torch.ones(4, 1, 32, 32, dtype=torch.bool)
    mask[..., 4:28, 4:28] = False
    mask[3, :, 5, 5] = True
    given = task.known(x0, mask)
    hole, sight = ~mask.expand_as(x0), mask.expand_as(x0)
    assert torch.equal(given.channels[sight], x0[sight]) and torch.equal(given.mask, mask)
    assert scipy.stats.kstest(given.channels[:1][hole[:1]].numpy(), "norm").pvalue > 1e-3
    assert torch.equal(given.channels[0][hole[0]], given.channels[1][hole[1]])  # of one mask
    assert not torch.equal(given.channels[0][hole[3]], given.channels[3][hole[3]])
    other = task.known(-x0.double(), mask)  # of other pictures, and in another dtype
    assert torch.equal(other.channels[hole], given.channels[hole].double())
    asked = task.answer(Pixels(mask), Pixels(mask).forward(x0))
    assert torch.equal(asked.channels, given.channels)


def test_a_network_that_is_given_noise_in_the_hole_is_trained_kept_and_asked(tmp_path):
    """Without its three further channels it is refused; what is known ends bit for bit; the folder gives the same."""
    assignments = [*SMALL, "train.condition=inpaint:fill=noise"]
    with pytest.raises(UsageError, match="extra_channels"):
        configuration.load("digits-inpaint", [*assignments, "network.extra_channels=2"])
    chosen = configuration.load("digits-inpaint", [*assignments, "network.extra_channels=1"])
    images = chosen.data.load("train")
    run, state = Run(tmp_path / "run", chosen, {}), start(chosen, images.shape, CPU)
    run.open(state, images)
    for _ in train(chosen, images, state):
        pass
    run.save(state)
    model = models.load(tmp_path / "run")
    assert model.condition == "inpaint:fill=noise" and trained_task(model).extra_channels(1) == 1
    x0, mask = images.scaled()[:2], torch.zeros(1, 1, 8, 8, dtype=torch.bool)
    mask[..., :4] = True
    seen = Pixels(mask)
    bound = conditioners["trained"]().condition(model, seen, seen.forward(x0))
    found = sample(bound, "dpm++:steps=3", bound.prior(range(2)), generator=generators(range(2))).x
    assert torch.equal(found[..., :4], x0[..., :4]) and bool(found.isfinite().all())
    before = conditioners["trained"]().condition(state.ema, seen, seen.forward(x0))
    assert torch.equal(sample(before, "dpm++:steps=3", before.prior(range(2))).x, found)


@pytest.fixture
def sharpen():
    """Super-resolution as one class, filed as a file of the package would be."""

    @tasks("sharpen")
    class Sharpen(Task):
        """The means over squares, each once for each of its pixels."""

        gives = "means over squares"
        factor: int = Field(2, ge=1, description="Side of the squares.")

        def extra_channels(self, channels):
            return channels

        def known(self, x0, mask):
            return self.answer(Downsample(factor=self.factor), Downsample(factor=self.factor).forward(x0))

        def answer(self, observation, y):
            if not isinstance(observation, Downsample) or observation.factor != self.factor:
                return None
            return Known(y.repeat_interleave(self.factor, 2).repeat_interleave(self.factor, 3))

    yield
    del tasks._classes["sharpen"]


@pytest.mark.usefixtures("sharpen")
def test_a_new_task_is_one_class(tmp_path):
    asked = ["train.condition=sharpen:factor=4", "network.extra_channels=1"]
    chosen = configuration.load("digits", [*SMALL, *asked])
    images, seen = chosen.data.load("train"), []
    state = start(chosen, images.shape, CPU)
    state.model.net.register_forward_hook(lambda net, given, out: seen.append(given[0]))
    run = Run(tmp_path, chosen, {})
    assert [state.step for _ in train(chosen, images, state)] == [1, 2, 3]
    assert seen[0].shape == (16, 2, 8, 8)
    squares = seen[0][:, 1].reshape(16, 2, 4, 2, 4)
    assert torch.equal(squares.amax((2, 4)), squares.amin((2, 4)))  # each square is of one grey
    run.open(state, images)
    run.draw(state)
    run.save(state)
    model = models.load(tmp_path)
    assert model.condition == "sharpen:factor=4" and trained_task(model).gives == "means over squares"
    grey = torch.from_numpy(np.linspace(-1, 1, 8, dtype=np.float32)).reshape(2, 1, 2, 2)
    bound = conditioners["trained"]().condition(model, Downsample(factor=4), grey)
    x = sample(bound, solvers["ddim"](steps=4), bound.prior(generators([0, 1]))).x
    assert x.shape == (2, 1, 8, 8) and torch.isfinite(x).all()
    wide = grey.repeat_interleave(4, 2).repeat_interleave(4, 3)
    noise, t = randn(x.shape, stream(3)), torch.full((2,), 0.5, dtype=torch.float64)
    with torch.no_grad():
        label = torch.full((2,), 999 * 0.5)
        assert torch.equal(bound.eps(noise, t), model.net(torch.cat([noise, wide], 1), label))
    some = images.drawn(2)
    assert nll(model, some.pixels, levels=17).value > 0
    with pytest.raises(UsageError, match="takes no masks"):
        nll(model, some.pixels, levels=17, known=torch.zeros(2, 1, 8, 8, dtype=torch.bool))
    with pytest.raises(UsageError, match="was trained to be given means over squares, not Crop"):
        conditioners["trained"]().condition(model, Crop(left=1), randn((2, 1, 8, 7), stream(5)))
    with pytest.raises(UsageError, match="condition = sharpen:factor=4 takes network.extra_channels = 1"):
        configuration.load("digits", asked[:1])
