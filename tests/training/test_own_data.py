"""Training on data that are no pictures, from the array to samples in its own units."""

import numpy as np
import pytest
import torch

import scoresde
from scoresde.core.errors import DataError, UsageError
from scoresde.data import Tensors
from scoresde.data.given import GivenData
from scoresde.training.config import parse

RANDOM = np.random.default_rng(0)
NETWORKS = {(3,): {"name": "mlp", "width": 16, "blocks": 1}, (2, 16): {"name": "conv", "width": 8, "blocks": 2}}
NETWORKS |= {(1, 4, 4, 4): {"name": "conv", "width": 8, "blocks": 2}, (3, 8, 8): {"name": "conv", "width": 8}}


def config(network, **changes):
    train = {"images": 640, "batch": 32, "warmup": 64, "learning_rate": 1e-3, "predicts": "v", **changes}
    return parse({"data": {"name": "digits"}, "sde": {"name": "vp"}, "network": network, "train": train}, "test")


@pytest.mark.parametrize("shape", NETWORKS)
def test_samples_come_in_the_units_of_the_data_and_so_do_likelihoods(tmp_path, shape):
    x = 50 + 1e-2 * RANDOM.normal(size=(64, *shape))
    chosen = config(NETWORKS[shape], evaluate_every=640, evaluate_samples=16, evaluate_nll=2, evaluate_images=16)
    run = scoresde.fit(chosen, tmp_path / "run", images=x, held_out=x[:8], progress=False)
    for model in (run.model, scoresde.load(tmp_path / "run")):
        assert model.units is not None and model.shape == shape
        found = scoresde.sample(model, "euler", n=4, steps=5).x
        assert found.shape == (4, *shape) and (found - 50).abs().max() < 0.2
    row = run.metrics[-1]
    assert {"frechet", "sliced", "log_likelihood", "held_out"} <= set(row)
    # N(50, 0.01²) has this mean log-density; the network has seen ten epochs.
    truth = -x[0].size * (0.5 * np.log(2 * np.pi * np.e) + np.log(1e-2))
    assert abs(row["log_likelihood"] - truth) < 0.5 * x[0].size


def test_a_module_of_ones_own_on_any_shape(tmp_path):
    class Net(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.linear = torch.nn.Linear(6, 6)

        def forward(self, x, label):
            return self.linear(x.flatten(1)).reshape(x.shape)

    run = scoresde.fit(
        config({"name": "mlp"}), tmp_path / "run", images=RANDOM.normal(size=(64, 2, 3)), net=Net(), progress=False
    )
    assert run.model.shape == (2, 3) and run.state.images == 640


def test_classes_of_vectors_are_trained(tmp_path):
    labels = np.arange(64) % 2
    x = np.where(labels[:, None] > 0, 5.0, -5.0) + RANDOM.normal(size=(64, 2))
    network = {"name": "mlp", "width": 32, "blocks": 1, "classes": 2}
    run = scoresde.fit(
        config(network, images=12_800, learning_rate=5e-3), tmp_path / "run", images=(x, labels), progress=False
    )
    found = scoresde.sample(run.model, n=16, classes=[0, 1]).x.mean(1)
    assert (found[::2] < 0).all() and (found[1::2] > 0).all()


@pytest.mark.parametrize(
    "network, changes, reason",
    [
        ({"name": "mlp"}, {"flip": True}, "train.flip is for images"),
        ({"name": "mlp"}, {"evaluate_every": 10, "evaluate_samples": 8, "extractor": "digits"}, "is for images"),
        ({"name": "mlp"}, {"evaluate_every": 10, "evaluate_samples": 2}, "3 of each, got 2"),  # whose covariance is 0/0
        ({"name": "unet"}, {}, "take the mlp"),
    ],
)
def test_what_only_images_have_is_refused(tmp_path, network, changes, reason):
    x = RANDOM.normal(size=(64, 3))
    with pytest.raises(UsageError, match=reason):
        scoresde.fit(config(network, **changes), tmp_path / "run", images=x, held_out=x, progress=False)


@pytest.mark.parametrize("labels, reason", [([0, 1, 2, 3], "held-out images go from 0 to 3"), (None, "have no labels")])
def test_held_out_labels_are_those_of_the_network(tmp_path, labels, reason):
    """The first one beyond them was taken for no class, and the others ended in advice on the network."""
    x, network = RANDOM.normal(size=(64, 3)), {"name": "mlp", "width": 8, "blocks": 1, "classes": 3}
    images, held = Tensors(x, np.arange(64) % 3), Tensors(x[:4], labels)
    with pytest.raises(DataError, match=reason):
        scoresde.fit(config(network, evaluate_every=10), tmp_path, images=images, held_out=held, progress=False)


def test_a_resumed_run_keeps_its_units(tmp_path):
    x = 7 + RANDOM.normal(size=(64, 3))
    small = NETWORKS[(3,)]
    scoresde.fit(config(small, images=320), tmp_path / "run", images=x, progress=False)
    run = scoresde.fit(config(small), tmp_path / "run", images=x, progress=False)
    assert run.state.images == 640 and torch.equal(run.model.units.centre, Tensors(x).units.centre)
    assert isinstance(run.config.data, GivenData)
