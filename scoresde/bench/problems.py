"""Analytic problems on which solvers and likelihoods are compared: mixtures whose score, flow and density are known."""

from collections.abc import Callable

import numpy as np
import torch
from scipy.integrate import solve_ivp
from torch import Tensor

from ..core.errors import UsageError
from ..core.options import hint
from ..core.random import numpy_stream
from ..models.gaussian import GaussianMixtureModel
from ..sde import SDE, VPSDE


def gm2(sde: SDE | None = None) -> GaussianMixtureModel:
    """Eight narrow modes of uneven weight on a circle of radius 0.8, in two dimensions, (2,).

    Args:
        sde: The process; by default the linear VP process.
    """
    angles = 2 * np.pi * np.arange(8) / 8
    means = 0.8 * np.stack([np.cos(angles), np.sin(angles)], axis=1)
    variances = np.tile(np.square([0.05, 0.08]), (8, 1))
    weights = [4, 1, 2, 1, 3, 1, 2, 1]
    return GaussianMixtureModel(torch.from_numpy(means), torch.from_numpy(variances), sde or VPSDE(), weights)


def _cosine_basis(size: int) -> np.ndarray:
    """The orthonormal discrete cosine transform of type II, (size, size), one basis vector per row."""
    frequency, position = np.arange(size)[:, None], np.arange(size)[None]
    basis = np.cos(np.pi * (2 * position + 1) * frequency / (2 * size)) * np.sqrt(2 / size)
    basis[0] /= np.sqrt(2)
    return np.asarray(basis)


def image_mixture(size: int, modes: int, seed: int, sde: SDE | None = None) -> GaussianMixtureModel:
    """A mixture of images (3, size, size), whose means and covariances have a power-law spectrum.

    Args:
        size: Height and width of the images.
        modes: Number of modes.
        seed: Seed of the mixture.
        sde: The process; by default the linear VP process.
    """
    rng = numpy_stream(seed)
    colours = np.array([[1.0, 1, 1], [1, -1, 0], [1, 1, -2]])
    colours /= np.linalg.norm(colours, axis=1, keepdims=True)
    basis = np.kron(colours, np.kron(_cosine_basis(size), _cosine_basis(size)))
    row, column = np.meshgrid(np.arange(size), np.arange(size), indexing="ij")
    spectrum = (1 + np.sqrt(row**2 + column**2).ravel()) ** -2.6
    power = (np.array([1.0, 0.15, 0.05])[:, None] * (spectrum / spectrum.mean())).ravel()
    power /= power.mean()
    means = rng.standard_normal((modes, power.size)) * np.sqrt(power) * 0.40
    variances = np.stack([power * 0.22**2 * rng.uniform(0.5, 1.5) for _ in range(modes)]) + 0.01**2
    weights = rng.dirichlet(np.full(modes, 3.0))
    covariances = np.einsum("di,kd,dj->kij", basis, variances, basis)
    means = (means @ basis).reshape(modes, 3, size, size)
    tensors = torch.from_numpy(means), torch.from_numpy(covariances)
    return GaussianMixtureModel(*tensors, sde or VPSDE(), weights.tolist())


def gm192(sde: SDE | None = None) -> GaussianMixtureModel:
    """Ten modes with the spectrum of images, (3, 8, 8).

    The smallest standard deviation is 0.018, that of a pixel 0.42.

    Args:
        sde: The process; by default the linear VP process.
    """
    return image_mixture(8, 10, 0, sde)


PROBLEMS: dict[str, Callable[[], GaussianMixtureModel]] = {"gm2": gm2, "gm192": gm192}


def problem(name: str) -> GaussianMixtureModel:
    """The problem of that name, on the linear VP process.

    Args:
        name: A key of `PROBLEMS`.

    Raises:
        UsageError: There is none.
    """
    if name not in PROBLEMS:
        raise UsageError(f"no analytic problem is called {name!r}. {hint(name, PROBLEMS)}")
    return PROBLEMS[name]()


def reference(model: GaussianMixtureModel, x: Tensor, *, start: float, stop: float, tol: float = 1e-12) -> Tensor:
    """The probability flow, by SciPy's DOP853 in λ for y = x/α, in float64: dy/dλ = -e^{-λ} ε.

    It shares no code with the solvers of this package.

    Args:
        model: The mixture.
        x: The state at time `start`, (B, *).
        start: Time of x.
        stop: Time of the result.
        tol: Relative error allowed per step; the absolute one is a tenth of it.
    """
    sde, results = model.sde, []
    ends = torch.tensor([start, stop], dtype=torch.float64)
    span, scale = sde.log_snr(ends).tolist(), sde.alpha(ends).tolist()
    for part in torch.split(x.double(), 16):  # one step serves a part: smaller parts take longer steps

        def slope(log_snr: float, y: np.ndarray, part: Tensor = part) -> np.ndarray:
            t = sde.time(torch.full((len(part),), float(log_snr), dtype=torch.float64))
            state = torch.from_numpy(y).reshape(part.shape) * float(sde.alpha(t[:1]))
            return np.asarray(-np.exp(-log_snr) * model.eps(state, t).numpy()).ravel()

        start_at = (part / scale[0]).numpy().ravel()
        out = solve_ivp(slope, span, start_at, method="DOP853", rtol=tol, atol=0.1 * tol)
        results.append(torch.from_numpy(out.y[:, -1]).reshape(part.shape) * scale[1])
    return torch.cat(results)
