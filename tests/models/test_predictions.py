"""Predictions: each against its definition, for any α and σ, and through a network of each kind."""

import numpy as np
import pytest
import torch
from torch import nn

from scoresde.core.errors import UsageError
from scoresde.models.network import NetworkModel
from scoresde.models.predictions import predictions
from scoresde.sde import sdes

S = 0.25
"""Standard deviation of the data that `edm` is told."""
DEFINED = {  # what a network that is right gives, from x_0, z, α and σ alone
    "eps": lambda x0, z, a, s: z,
    "x0": lambda x0, z, a, s: x0,
    "v": lambda x0, z, a, s: a * z - s * x0,
    "score": lambda x0, z, a, s: -z / s,
    "flow": lambda x0, z, a, s: z - x0,
    "edm": lambda x0, z, a, s: (
        (x0 - a * S**2 / ((a * S) ** 2 + s**2) * (a * x0 + s * z)) / (s * S / np.hypot(a * S, s))
    ),
}


def drawn(name):
    draw = np.random.default_rng(0)
    t = np.sort(draw.uniform(1e-3, 0.999, 2000))
    process = sdes[name]()
    times = torch.from_numpy(t)
    return draw.normal(size=t.shape), draw.normal(size=t.shape), process.alpha(times), process.sigma(times)


def test_every_prediction_is_defined_here():
    assert set(DEFINED) == set(predictions)


@pytest.mark.parametrize("process", ["vp", "sub-vp", "ve", "vp-cosine", "flow"])
@pytest.mark.parametrize("name", DEFINED)
def test_the_coefficients_are_those_of_the_definition(name, process):
    """ε = a x + b out for a network that is right; its target is (z - a x)/b, to 1e-11 in float64."""
    x0, z, alpha, sigma = drawn(process)
    prediction = predictions.parse("edm:data_std=0.25" if name == "edm" else name)
    _, skip, out = (v.numpy() if isinstance(v, torch.Tensor) else v for v in prediction.coefficients(alpha, sigma))
    a, s = alpha.numpy(), sigma.numpy()
    x, right = a * x0 + s * z, DEFINED[name](x0, z, a, s)
    np.testing.assert_allclose(skip * x + out * right, z, rtol=1e-10, atol=1e-10)
    np.testing.assert_allclose((z - skip * x) / out, right, rtol=1e-10, atol=1e-9)


def test_a_flow_from_noise_to_data_is_minus_the_other():
    x0, z, alpha, sigma = drawn("flow")
    _, skip, out = predictions.parse("flow:reversed=true").coefficients(alpha, sigma)
    x = alpha.numpy() * x0 + sigma.numpy() * z
    np.testing.assert_allclose(skip.numpy() * x + out.numpy() * (x0 - z), z, rtol=1e-10, atol=1e-10)


def test_the_input_of_edm_has_variance_1():
    x0, z, alpha, sigma = drawn("ve")
    scale = predictions["edm"](data_std=S).coefficients(alpha, sigma).scale.numpy()
    x = alpha.numpy() * S * x0 + sigma.numpy() * z
    assert np.std(scale * x) == pytest.approx(1, abs=0.05)


class Right(nn.Module):
    """A network that is right for one x_0, whatever it predicts, and records what it is given."""

    def __init__(self, name, sde, x0):
        super().__init__()
        self.name, self.sde, self.x0 = name, sde, x0

    def forward(self, seen, label):
        t = label.double() / 999
        a, s = (v(t)[:, None, None, None] for v in (self.sde.alpha, self.sde.sigma))
        if self.name == "edm":
            seen = seen * torch.hypot(a * S, s)
        z = (seen - a * self.x0) / s
        found = DEFINED[self.name](*(v.numpy() for v in (self.x0.expand_as(z), z, a, s)))
        return torch.from_numpy(found)


@pytest.mark.parametrize("name", DEFINED)
def test_a_network_of_each_kind_predicts_the_same_noise(name):
    sde, x0 = sdes["vp"](), torch.full((1, 1, 2, 2), 0.4, dtype=torch.float64)
    model = NetworkModel(Right(name, sde, x0), sde, (1, 2, 2), predicts="edm:data_std=0.25" if name == "edm" else name)
    t = torch.tensor([0.01, 0.3, 0.9], dtype=torch.float64)
    z = torch.linspace(-2, 2, 12, dtype=torch.float64).reshape(3, 1, 2, 2)
    x = sde.alpha(t)[:, None, None, None] * x0 + sde.sigma(t)[:, None, None, None] * z
    torch.testing.assert_close(model.eps(x, t), z, rtol=1e-4, atol=1e-4)  # the label is float32


def test_what_is_no_prediction_is_said():
    with pytest.raises(UsageError, match="no prediction is called 'noise'"):
        predictions.parse("noise")
    with pytest.raises(UsageError, match="data_std must be greater than 0, got -1"):
        predictions.parse("edm:data_std=-1")
