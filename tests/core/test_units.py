"""The affine map between the data's own units and those of a network."""

import json
import math

import numpy as np
import pytest
import torch

from scoresde.core.errors import UsageError
from scoresde.core.units import Units


def of(*numbers):
    return torch.tensor(numbers, dtype=torch.float64)


def test_there_and_back_for_vectors_and_for_channels():
    units = Units(of(10.0, -3.0), of(2.0, 0.5))
    x = torch.randn(5, 2, dtype=torch.float64)
    assert np.allclose(units.to_data(x), np.array([10, -3]) + np.array([2, 0.5]) * x.numpy())
    assert torch.allclose(units.to_model(units.to_data(x)), x)
    assert units.to_data(x.float()).dtype == torch.float32
    channels = Units(of(1.0, 2.0)[:, None], of(3.0, 4.0)[:, None])
    series = torch.zeros(3, 2, 7)
    assert (channels.to_data(series)[:, 0] == 1).all() and (channels.to_data(series)[:, 1] == 2).all()


def test_the_log_volume_is_the_log_determinant_of_the_map():
    units = Units(of(0.0, 1.0)[:, None], of(0.2, 5.0)[:, None])
    jacobian = torch.autograd.functional.jacobian(units.to_data, torch.zeros(2, 3, dtype=torch.float64)).reshape(6, 6)
    assert math.isclose(units.log_volume((2, 3)), torch.linalg.slogdet(jacobian)[1].item(), rel_tol=1e-12)


def test_they_survive_json_to_the_last_bit():
    units = Units(torch.rand(3, 1, 1, dtype=torch.float64), torch.rand(3, 1, 1, dtype=torch.float64) + 1e-9)
    again = Units.of(json.loads(json.dumps(units.lists())))
    assert torch.equal(again.centre, units.centre) and torch.equal(again.spread, units.spread)


@pytest.mark.parametrize(
    "centre, spread, reason",
    [
        (of(0.0), of(0.0), "above 0"),
        (of(0.0), of(-1.0), "above 0"),
        (of(math.nan), of(1.0), "finite"),
        (of(0.0), of(math.inf), "finite"),
        (of(0.0, 1.0), of(1.0), "one shape"),
    ],
)
def test_what_is_no_units_is_refused(centre, spread, reason):
    with pytest.raises(UsageError, match=reason):
        Units(centre, spread)
