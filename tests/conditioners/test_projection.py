"""Projection onto measurements that are badly conditioned."""

import numpy as np
import pytest
import torch

from scoresde.conditioners.base import PRODUCTS
from scoresde.conditioners.projection import isotropic_update
from scoresde.core.random import randn, stream
from scoresde.observations import GaussianBlur


@pytest.mark.parametrize("sigma", [0.7, 1.5, 4.0])
def test_a_blur_is_undone_as_numpy_does_it(sigma):
    """v Aᵀ (σ_y² I + v A Aᵀ)⁻¹ r with the matrix of A, for little and for much noise in x_t."""
    blur, variance = GaussianBlur(sigma=sigma), torch.tensor([0.3, 1e4], dtype=torch.float64)
    a = blur.forward(torch.eye(48, dtype=torch.float64).reshape(48, 1, 6, 8)).flatten(1).T.numpy()
    residual = randn((2, 1, 6, 8), stream(0, "residual"), dtype=torch.float64)
    found = isotropic_update(blur, residual, variance).flatten(1).numpy()
    for row, r, v in zip(found, residual.flatten(1).numpy(), variance.tolist(), strict=True):
        exact = v * a.T @ np.linalg.solve(blur.noise**2 * np.eye(48) + v * a @ a.T, r)
        assert np.linalg.norm(row - exact) < 1e-6 * np.linalg.norm(exact)


def test_a_blur_of_32x32_needs_few_products():
    """Without its factors for a preconditioner it did not converge in 5,000."""
    blur, products = GaussianBlur(sigma=1.5), 0

    class Counted(GaussianBlur):
        def adjoint(self, y):
            nonlocal products
            products += 1
            return super().adjoint(y)

    residual = blur.forward(randn((1, 1, 32, 32), stream(1, "residual"), dtype=torch.float64))
    isotropic_update(Counted(sigma=1.5), residual, torch.tensor([1e4], dtype=torch.float64))
    assert 0 < products < 10 < PRODUCTS
