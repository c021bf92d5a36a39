"""Promises on other processes than `vp`: the law of the samples, and the error of adaptive steps where σ is large."""

from collections.abc import Callable

import torch

from ...core.random import stream
from ...models.base import ObservedModel
from ...models.evaluations import Evaluations
from ...models.gaussian import GaussianModel
from ...sampling.sample import sample
from ...sde import SDE, VESDE, FlowSDE, SubVPSDE, VPCosineSDE
from .accuracy import rms
from .base import Build, Finding, Promises, Witness, adapts, finely, flows, noise, solve

promises = Promises()

EDM = VESDE(sigma_min=0.002, sigma_max=80.0)
"""The noise of Karras et al. 2022."""
MULTIPLE = 20
"""Error of a path over the tolerance of a step: the largest seen is 18, by dopri5 of torchdiffeq on `flow`."""


def _law_on(sde: SDE) -> Callable[[Build, bool], Finding]:
    """The measurement of the law on a process."""

    def measure(build: Build, fast: bool) -> Finding:
        # Sixty-four dimensions: the Langevin rule's step depends on the state, a bias of the order of 1/dimension.
        mean, std, rows = torch.linspace(-0.3, 0.3, 64, dtype=torch.float64), 0.5, 200 if fast else 800
        model = Witness(GaussianModel(mean, torch.full((64,), std**2, dtype=torch.float64), sde))
        solver = finely(build, 200 if fast else 500)
        out = sample(model, solver, sde.prior_std * noise(rows, 64), generator=stream(2, "process")).x
        ratio, bias = float((out - mean).std() / std), abs(float((out - mean).mean() / std))
        outside = "" if model.inside else ", evaluated outside the process"
        kept = bias < 0.05 and abs(ratio - 1) < 0.05 and model.inside
        return Finding(f"mean off by {bias:.3f} sd, sd ratio {ratio:.3f}{outside}", kept)

    return measure


LAWS: dict[str, SDE] = {
    "vp-cosine": VPCosineSDE(),
    "sub-vp": SubVPSDE(),
    "ve": VESDE(),
    "wide ve": VESDE(sigma_max=1348.0),
    "edm": EDM,
    "flow": FlowSDE(),
}
for _name, _sde in LAWS.items():
    promises(f"law on {_name}")(_law_on(_sde))


@promises("error bounded where noise is large", lambda solver: adapts(solver) and flows(solver))
def _error_bounded_where_noise_is_large(build: Build, fast: bool) -> Finding:
    """At the defaults, at most 20 tol in the mean square on a Gaussian: `ve` with σ up to 1348, `edm`, and `flow`.

    50, 348 and 1348 are the largest σ of score_sde's networks for pictures of 32, 256 and 1024 pixels.
    """
    processes = [*(VESDE(sigma_max=largest) for largest in (50.0, 348.0, 1348.0)), EDM, FlowSDE(), FlowSDE(end=1e-6)]
    mean, variance = torch.tensor([0.3, -0.2]).double(), torch.tensor([0.25, 0.0025]).double()
    tol, ratios, calls = float(build().model_dump()["tol"]), [], []
    for sde in processes:
        count = Evaluations()
        model, x = GaussianModel(mean, variance, sde), sde.prior_std * noise(64, 2)
        out = solve(build(), ObservedModel(model, count), x, stop=sde.t_min)
        ratios.append(rms(out - model.flow(x, sde.t_max, sde.t_min)) / tol)
        calls.append(count.calls)
    measured = f"{', '.join(f'{ratio:.2g}' for ratio in ratios)} tol for {', '.join(map(str, calls))} evaluations"
    return Finding(measured, max(ratios) <= MULTIPLE)
