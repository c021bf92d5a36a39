"""Data that are no pictures: what is taken, in which units, and what is refused."""

import numpy as np
import pytest
import torch

import scoresde
from scoresde.core.errors import DataError
from scoresde.core.units import Units
from scoresde.data import Tensors

RANDOM = np.random.default_rng(0)
X = RANDOM.normal([5, -300], [3, 0.01], (1000, 2))
FORMS = [
    X,
    X.astype(">f8"),
    X.astype(np.float32),
    X.astype(">f4"),
    X[::-1],
    X.astype(np.longdouble),
    (1e3 * X).astype(">i4"),
    (1e4 * X - 1e4 * X.min(0)).astype(np.uint16),
    X > [5, -300],
    X.tolist(),
    torch.from_numpy(X.copy()),
    torch.from_numpy(X).requires_grad_(),
]


@pytest.mark.parametrize("x", FORMS, ids=range(len(FORMS)))
def test_real_numbers_of_any_kind_have_mean_0_and_deviation_1_in_the_units_of_a_network(x):
    data = Tensors(x)
    scaled = data.scaled().double()
    assert data.values.dtype == torch.float32 and data.shape == (2,) and len(data) == 1000
    assert scaled.mean(0).abs().max() < 2e-3 and (scaled.std(0, unbiased=False) - 1).abs().max() < 2e-3
    back = data.units.to_data(data.scaled())
    wide = (data.values.abs().amax(0) + data.units.spread).float()
    assert ((back - data.values).abs() < 1e-6 * wide).all() and not back.requires_grad


@pytest.mark.parametrize("shape", [(3, 7), (2, 4, 5), (2, 3, 4, 5)])
def test_channels_share_one_unit_each(shape):
    x = RANDOM.normal(size=(100, *shape)) * np.arange(1, 1 + shape[0]).reshape(-1, *[1] * (len(shape) - 1))
    data = Tensors(x)
    assert data.units.spread.shape == (shape[0], *[1] * (len(shape) - 1))
    others = (0, *range(2, x.ndim))
    assert np.allclose(data.units.centre.flatten(), x.mean(others)) and np.allclose(
        data.units.spread.flatten(), x.std(others)
    )


def test_a_constant_coordinate_keeps_its_spread():
    data = Tensors(np.stack([np.full(50, 0.1), RANDOM.normal(size=50)], 1))
    assert data.units.spread[0] == 1 and (data.scaled()[:, 0].abs() < 1e-6).all()
    assert Tensors(np.ones((1, 3))).scaled().tolist() == [[0, 0, 0]]


def test_held_out_data_keep_the_units_of_the_training_data():
    train = Tensors(X)
    test = Tensors(X[:10] + 1, measure=train.units)
    assert test.units is train.units and test.scaled().mean(0)[1] > 50
    assert train.drawn(7).units is train.units and train.to(torch.device("cpu")).units is train.units


def test_a_choice_keeps_labels_beside_their_items():
    data = Tensors(np.arange(20).reshape(10, 2), labels=np.arange(10, dtype=np.uint8))
    few = data.drawn(4)
    assert few.labels.dtype == torch.int64 and (few.values[:, 0] == 2 * few.labels).all()
    assert torch.equal(data.drawn(9).values[:4], few.values)


def test_the_units_do_not_depend_on_how_large_the_set_is():
    """Sums are taken in parts; NumPy takes them whole."""
    x = RANDOM.normal(1e4, 1, (10_000, 3))
    units = Tensors(x).units
    assert np.allclose(units.centre, x.mean(0), rtol=1e-12) and np.allclose(units.spread, x.std(0), rtol=1e-9)


@pytest.mark.parametrize(
    "x, reason",
    [
        (X + 1j, "complex"),
        (torch.ones(2, 2, dtype=torch.complex64), "complex"),
        (X.astype(object), "object"),
        (np.array([["a", "b"]]), "real numbers"),
        (np.array([["2020-01-01"]], dtype="datetime64[D]"), "datetime64"),
        (np.ma.masked_array(X, X > 0), "masked"),
        ([[1, 2], [3]], "one shape"),
        (None, "a NoneType: put"),
        (3.0, "non-empty"),
        (np.zeros(5), r"x\[:, None\]"),
        (np.zeros((0, 2)), "non-empty"),
        (np.zeros((3, 0)), "non-empty"),
        ([[1.0, np.nan]], "1 of 2"),
        ([[1.0, np.inf]], "1 of 2"),
        ([[1.0, 1e39]], "finite 32-bit"),
        (X + 1e9, "subtract a constant"),
        ((1e9 * (X + 1e9)).astype(np.int64), "subtract a constant"),
        (1e-35 * X, "rescale"),
    ],
)
def test_what_is_no_data_is_refused_in_a_sentence(x, reason):
    with pytest.raises(DataError, match=reason):
        Tensors(x)


@pytest.mark.parametrize("labels", [np.zeros(3, int), np.zeros(1000), -np.ones(1000, int), np.zeros((1000, 1), int)])
def test_labels_are_one_whole_number_for_each_item(labels):
    with pytest.raises(DataError, match="one whole number from 0 for each of 1000"):
        Tensors(X, labels)


def test_units_that_are_given_are_taken():
    units = Units(torch.zeros(2), torch.ones(2))
    assert torch.equal(scoresde.Tensors(X, measure=units).scaled(), torch.from_numpy(X).float())
