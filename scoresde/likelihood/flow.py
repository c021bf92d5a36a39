"""The log-density of a score model along its probability flow."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor

from ..core.devices import double
from ..core.errors import UsageError
from ..core.finite import non_finite
from ..core.random import Generators
from ..models.base import Observer, ScoreModel
from ..models.border import checked, differentiable
from ..sampling.sample import accounted
from ..sde import SDE, expand
from ..solvers import Solver
from ..solvers.adaptive import integrate
from ..solvers.base import Info
from ..solvers.controllers import ProportionalIntegral
from ..solvers.embedded_pair import pair_stepping
from ..solvers.guard import Guard
from ..solvers.runge_kutta import RK45, RungeKutta
from .divergence import Divergence, Exact, Hutchinson


@dataclass(frozen=True)
class Likelihood:
    """log p(x) of some samples, its terms and its cost. All (B,) tensors are float64, in nats.

    Example:
        >>> import scoresde, torch
        >>> model = scoresde.GaussianModel(torch.zeros(2), torch.eye(2), scoresde.VPSDE())
        >>> found = scoresde.log_likelihood(model, torch.zeros(3, 2), exact=True)
        >>> found.log_prob.shape, found.latent.shape
        (torch.Size([3]), torch.Size([3, 2]))
    """

    log_prob: Tensor
    """log p_eps(x), (B,), prior and divergence together. This is what a network defines, and what is published."""
    prior: Tensor
    """log N(x_T; 0, prior_std² I), (B,), at the end of the flow."""
    divergence: Tensor
    """∫ ∇·v dt from eps to the end, (B,)."""
    correction: Tensor
    """log p_0(x) - log p_eps(x) to first order in eps, (B,). Not in log_prob; see `at_zero`."""
    standard_error: Tensor
    """Of log_prob, from the spread of the probes, (B,): 0 if exact, NaN for a single probe, which has no spread."""
    latent: Tensor
    """x_T, (B, *): x at the end of the flow."""
    nfe: int
    """Sequential evaluations of the model by the whole batch."""
    vjps: int
    """Vector-Jacobian products in all of them."""
    seconds: float
    """Wall-clock time."""
    info: Mapping[str, float]
    """Steps and rejected steps, means over the samples."""

    @property
    def at_zero(self) -> Tensor:
        """log p_0(x), (B,), which is log_prob with the correction for stopping at eps.

        It is accurate if the model is smooth below eps. If the correction is not small, as for a network that was
        trained without dequantisation, the density has no limit at t = 0, and log_prob depends on eps.
        """
        return self.log_prob + self.correction


def angle(sde: SDE, t: Tensor) -> Tensor:
    """θ = arctan(σ/α) in radians, (B,): the clock of the likelihood, in which the flow is smooth at both ends.

    Args:
        sde: The process.
        t: Times, (B,).
    """
    return torch.atan(torch.exp(-sde.log_snr(t)))


@torch.no_grad()
def log_likelihood(
    model: ScoreModel,
    x: Tensor,
    *,
    solver: Solver | None = None,
    divergence: Divergence | None = None,
    eps: float = 1e-5,
    generator: Generators = None,
    observers: tuple[Observer, ...] = (),
) -> Likelihood:
    """log p_eps(x) = log N(x_T; 0, prior_std² I) + ∫ ∇·v dt along the probability flow, in nats, for x (B, *).

    The flow is solved for y = x/√(α² + σ²) in the angle θ = arctan(σ/α), whatever the process:

        dy/dθ = (ε - y sin θ)/cos θ,    d log p/dθ = -(tr ∂ε/∂y - D sin θ)/cos θ.

    An evaluation is one forward pass and the products of `divergence` on it. The tolerance holds for the root mean
    square over the D values of y and, with equal weight, for the log-density in nats per dimension. The state is
    float64, whatever the network's dtype. The flow from points between narrow modes is stiff: it takes thousands of
    evaluations, and a tol above 1e-4 can miss most of log p and put it far too high.

    Args:
        model: The score model.
        x: Samples, (B, *).
        solver: rk23, rk45 or dop853 with their options; by default rk45 with tol = 1e-5 and the controller pi. The few
            long steps of a likelihood are more evenly accurate with it than with i, at equal cost.
        divergence: `Exact()` or `Hutchinson(...)`; by default one Rademacher probe.
        eps: Time at which x is placed. The correction to t = 0 comes from the first evaluation, at no cost.
        generator: Source of the probes; one per row makes a sample's likelihood depend on its own seed alone.
        observers: Called with (x, t, eps) after each evaluation of the model.

    Raises:
        UsageError: The solver is another one, the model draws noise, x does not have the model's shape, or eps is not
            inside the process.
        NumericalError: A value is not finite, a step vanishes, or the evaluations exceed their budget.

    Reference: Song et al. 2021, https://arxiv.org/abs/2011.13456, section 4.3 and appendix D.2.
    """
    rk = RK45(tol=1e-5, controller=ProportionalIntegral()) if solver is None else solver
    estimator = Hutchinson() if divergence is None else divergence
    sde = model.sde
    if not isinstance(rk, RungeKutta):
        raise UsageError(f"the likelihood is solved by rk23, rk45 or dop853, got {rk.name}")
    if rk.noisy:
        raise UsageError(f"the likelihood follows the flow, which has no noise, got {rk}: leave out final_corrector")
    if model.draws:
        raise UsageError(
            "the likelihood follows the flow, and this model draws new noise at each evaluation: condition it by a "
            "method without noise of its own, such as covariance or replace"
        )
    differentiable("a likelihood")
    checked(x, model.shape)
    dims = x[0].numel()
    if not 0 < eps < sde.t_max:
        raise UsageError(f"eps must lie between 0 and {sde.t_max:g}, got {eps:g}")
    if (bad := non_finite(x)).any():
        raise UsageError(f"the likelihood needs finite samples; sample {int(bad.nonzero()[0])} of {len(x)} is not")
    start = double(x)
    probes = estimator.draw(start, generator)
    copies = math.ceil(dims / len(probes))  # as many columns as values: equal weight in the norm

    def moment(theta: Tensor) -> Tensor:
        return sde.time(-torch.log(torch.tan(theta))).clamp(eps, sde.t_max)

    def slope(watched: ScoreModel, state: Tensor, theta: Tensor) -> Tensor:
        t = moment(theta)
        with torch.enable_grad():
            y = state[:, :dims].reshape(x.shape).detach().requires_grad_()
            out = watched.eps(expand(sde.scale(t), y) * y, t)
            drift = (out - expand(torch.sin(theta), y) * y) / expand(torch.cos(theta), y)
            trace = estimator.trace(drift, y, probes)
        return torch.cat([drift.detach().flatten(1), trace.repeat(1, copies) / dims], dim=1)

    ends = torch.tensor([eps, sde.t_max], dtype=torch.float64)
    (first, last), (nu0, nu1) = angle(sde, ends).tolist(), sde.scale(ends).tolist()
    y = torch.cat([start.flatten(1) / nu0, start.new_zeros(len(x), len(probes) * copies)], dim=1)
    found: dict[str, Tensor] = {}

    def run(watched: ScoreModel, info: Info) -> Tensor:
        stepping = pair_stepping(
            partial(slope, watched), y, first, last, pair=rk.pair, tol=rk.tol, atol=rk.absolute, control=rk.control
        )._replace(position=lambda t: angle(sde, t), time=moment)
        if rk.first_step is not None:
            stepping = stepping._replace(first=rk.first_step)
        (state,) = integrate(stepping, [eps, sde.t_max], rk.controller, rk.name, info)
        found["state"], found["slope"] = state, stepping.f
        carried: Tensor = nu1 * state[:, :dims].reshape(x.shape)
        return carried

    guard = Guard(rk.name, finite=False, budget=rk.max_nfe)
    carried = accounted(model, run, rk.name, (guard, *observers))
    latent = carried.x
    integral = dims * (found["state"][:, dims : dims + len(probes)] + math.log(nu1 / nu0))
    back = _to_zero(sde, ends[:1].to(y.device), y[:, :dims], found["slope"][:, : dims + len(probes)])
    prior = standard_normal_log_prob(latent / sde.prior_std) - dims * math.log(sde.prior_std)
    spread = integral.std(1) / math.sqrt(len(probes)) if len(probes) > 1 else torch.full_like(prior, torch.nan)
    return Likelihood(
        log_prob=prior + integral.mean(1),
        prior=prior,
        divergence=integral.mean(1),
        correction=back.mean(1),
        standard_error=torch.zeros_like(prior) if isinstance(estimator, Exact) else spread,
        latent=latent,
        nfe=int(carried.nfe),
        vjps=int(carried.nfe) * estimator.vjps(dims),
        seconds=carried.seconds,
        info=carried.info,
    )


def _to_zero(sde: SDE, t: Tensor, y: Tensor, slope: Tensor) -> Tensor:
    """log p_0(x) - log p_t(x) at x = √(α² + σ²) y, y (B, D), for each probe, (B, R), from the slope there.

    p_t is p_0 scaled by α and blurred by the heat equation for the time ½ α² (r_t² - r_0²), r = σ/α. To first order,
    log p_0 = log p_t + log α (D + x·s) - ½ α² (r_t² - r_0²) (∇·s + s·s) with s = ∇log p_t.
    """
    dims, theta, nu, sigma, start = y.shape[1], angle(sde, t), sde.scale(t), sde.sigma(t), torch.zeros_like(t)
    eps = slope[:, :dims] * torch.cos(theta) + y * torch.sin(theta)
    trace = dims * (slope[:, dims:] * torch.cos(theta) + torch.sin(theta)) / nu
    along, length = ((v * eps).sum(1, keepdim=True) / sigma for v in (nu * y, eps / sigma))
    blur = sigma**2 - (sde.alpha(t) * sde.sigma(start) / sde.alpha(start)) ** 2
    return sde.log_alpha(t) * (dims - along) + 0.5 * blur * (trace / sigma - length)


def standard_normal_log_prob(z: Tensor) -> Tensor:
    """log N(z; 0, I) in nats, (B,), for z (B, *).

    Args:
        z: (B, *).
    """
    flat = z.flatten(1)
    return -0.5 * (flat.square().sum(1) + flat.shape[1] * math.log(2 * math.pi))
