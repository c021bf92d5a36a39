"""Equality with the schedulers of diffusers: the same analytic network, grid and noise give the same samples.

A scheduler is driven as its own pipelines drive it, but on the levels of one of our grids, written into its `sigmas`
(those are σ/α = exp(-λ) in its terms), or, where it has only ᾱ of 1,000 discrete steps, on those: equal log-SNR is
equal α and σ, so step i is our time `sde.time(½ log ᾱ_i/(1 - ᾱ_i))`. diffusers computes in float32 in places; 1e-5 is
what that leaves.

What is set so that the forms agree: `clip_sample` off, since data here are not in [-1, 1]; the final σ is not 0, which
no log-SNR grid reaches; and `set_alpha_to_one` off for the same reason.
"""

import math

import pytest
import torch

from scoresde.bench.check.base import mixture
from scoresde.core.random import randn, stream
from scoresde.models.base import ObservedModel
from scoresde.sde import VPSDE
from scoresde.solvers import solvers

diffusers = pytest.importorskip("diffusers")

pytestmark = [
    pytest.mark.filterwarnings("ignore:`algorithm_type:FutureWarning"),
    pytest.mark.filterwarnings("ignore:__array_:DeprecationWarning"),
]

SDE = VPSDE(beta_max=21.0)  # DDPM's thousandth step lies a little beyond the end of the usual process
MODEL = mixture(SDE)
TIMES = [1.0, 0.93, 0.8, 0.71, 0.6, 0.48, 0.41, 0.3, 0.21, 0.1, 0.04, 0.01]
LINEAR = {"beta_start": 1e-4, "beta_end": 0.02, "beta_schedule": "linear"}
SIGMA_MIN = {"final_sigmas_type": "sigma_min"}


def noise(*shape, purpose="start"):
    return randn(shape, stream(0, purpose), dtype=torch.float64)


def f64(values):
    return torch.tensor(values, dtype=torch.float64)


def levels(times):
    """σ/α at the times."""
    return torch.exp(-SDE.log_snr(f64(times)))


def even(steps):
    """Times even in the log-SNR."""
    ends = SDE.log_snr(f64([1.0, 0.01]))
    inner = SDE.time(torch.lerp(ends[0], ends[1], torch.linspace(0, 1, steps + 1, dtype=torch.float64)))
    return [1.0, *inner[1:-1].tolist(), 0.01]


def ours(name, times=TIMES, x=None, generator=None, model=MODEL, **options):
    options = {"grid": "list:at=" + "/".join(map(repr, times[1:-1])), **options}
    solver = solvers[name](steps=len(times) - 1, **options)
    x = noise(6, 2) if x is None else x
    return solver.solve(model, x, start=times[0], stop=times[-1], generator=generator)


def network(x, sigma):
    """The predicted noise at the level σ/α, as a discrete network would be asked for it."""
    return MODEL.eps(x, SDE.time(-torch.log(f64([float(sigma)]))).expand(len(x)))


def theirs(scheduler, times=TIMES, x=None, draws=None, **step):
    """The scheduler on the levels of our grid. `draws` gives the noise of each step."""
    scheduler.set_timesteps(len(times) - 1)
    scheduler.sigmas = levels(times)
    x = noise(6, 2) if x is None else x
    for i, t in enumerate(scheduler.timesteps[: len(times) - 1]):
        options = {**step, "variance_noise": draws[i]} if draws is not None else step
        x = scheduler.step(network(x, scheduler.sigmas[i]), t, x, **options).prev_sample
    return x


def assert_same(ours, theirs):
    assert ours.shape == theirs.shape and torch.isfinite(theirs).all()
    gap = (ours - theirs).abs().max().item()
    assert gap < 1e-5, f"largest difference {gap:.1e}"


# --- multistep methods -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("lower", [False, True])
@pytest.mark.parametrize("order", [1, 2, 3])
@pytest.mark.parametrize(("kind", "name"), [("dpmsolver", "dpm-multi"), ("dpmsolver++", "dpm++")])
def test_dpm_solver_multistep(kind, name, order, lower):
    """diffusers lowers the last orders only below 15 steps, as here; we do whenever asked to."""
    options = {"algorithm_type": kind, "solver_order": order, "lower_order_final": lower, **SIGMA_MIN}
    scheduler = diffusers.DPMSolverMultistepScheduler(**options)
    assert_same(ours(name, order=order, lower_order_final=lower), theirs(scheduler))


def test_dpm_solver_multistep_of_type_heun_is_exponential_adams_bashforth():
    """Its second order with the exact moment of a slope, where `midpoint` has half of that of a constant."""
    for kind, prediction in (("dpmsolver", "noise"), ("dpmsolver++", "data")):
        scheduler = diffusers.DPMSolverMultistepScheduler(
            algorithm_type=kind, solver_order=2, solver_type="heun", lower_order_final=False, **SIGMA_MIN
        )
        assert_same(ours("eab", order=2, prediction=prediction), theirs(scheduler))


@pytest.mark.parametrize("lower", [False, True])
@pytest.mark.parametrize("order", [1, 2, 3])
@pytest.mark.parametrize("variant", ["bh1", "bh2"])
@pytest.mark.parametrize("prediction", ["noise", "data"])
def test_unipc(prediction, variant, order, lower):
    scheduler = diffusers.UniPCMultistepScheduler(
        solver_order=order,
        solver_type=variant,
        predict_x0=prediction == "data",
        lower_order_final=lower,
        **SIGMA_MIN,
    )
    options = {"order": order, "variant": variant, "prediction": prediction, "lower_order_final": lower}
    assert_same(ours("unipc", **options), theirs(scheduler))


def test_unipc_without_its_corrector():
    scheduler = diffusers.UniPCMultistepScheduler(
        solver_order=2, disable_corrector=list(range(20)), lower_order_final=False, **SIGMA_MIN
    )
    assert_same(ours("unipc", order=2, corrector=False, prediction="data"), theirs(scheduler))


@pytest.mark.parametrize("lower", [False, True])
@pytest.mark.parametrize("order", [1, 2, 3])
def test_deis_is_exponential_adams_bashforth(order, lower):
    """diffusers has DEIS in log ρ alone, the polynomials of which are those in the log-SNR."""
    scheduler = diffusers.DEISMultistepScheduler(solver_order=order, lower_order_final=lower)
    assert_same(ours("eab", order=order, lower_order_final=lower), theirs(scheduler))


def test_ipndm():
    """diffusers has it for networks that predict v = α ε - σ x_0 on α² + σ² = 1; `trained_betas` are the σ."""
    sigma, alpha = SDE.sigma(f64(TIMES)), SDE.alpha(f64(TIMES))
    scheduler = diffusers.IPNDMScheduler(trained_betas=sigma.tolist())
    scheduler.set_timesteps(len(TIMES) - 1)
    scheduler.betas, scheduler.alphas = sigma, alpha
    x = noise(6, 2)
    for i, t in enumerate(scheduler.timesteps):
        eps = network(x, sigma[i] / alpha[i])
        x = scheduler.step((eps - sigma[i] * x) / alpha[i], t, x).prev_sample
    assert_same(ours("ipndm"), x)


def test_pndm_after_its_start():
    """From the fourth step on, given the history: PNDM's own start repeats the first step, which iPNDM's does not."""
    scheduler = diffusers.PNDMScheduler(
        **LINEAR, skip_prk_steps=True, set_alpha_to_one=False, timestep_spacing="trailing"
    )
    scheduler.set_timesteps(10)
    scheduler.alphas_cumprod = scheduler.alphas_cumprod.double()
    scheduler.final_alpha_cumprod = scheduler.alphas_cumprod[0]
    steps = [*range(999, 0, -100), 0]
    times = discrete_times(scheduler, steps)
    seen = []
    found = ours("ipndm", times, model=ObservedModel(MODEL, lambda x, t, eps: seen.append((x, eps))))
    x, (scheduler.ets, scheduler.counter) = seen[3][0], ([eps for _, eps in seen[:3]], 10)
    for i in range(3, 10):
        x = scheduler.step(at_step(scheduler, x, steps[i]), steps[i], x).prev_sample
    assert_same(found, x)


# --- one-step methods --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "name", "options"), [("dpmsolver", "dpm-single", {}), ("dpmsolver++", "dpm++", {"singlestep": True})]
)
def test_dpm_solver_singlestep(kind, name, options):
    """diffusers takes the points within a step from its grid, which is even in λ here, as ours puts them.

    Order 3 is not compared: at its second point diffusers gives the slope the weight of a midpoint, ½ (eʰ - 1), where
    the paper (algorithm 2 of https://arxiv.org/abs/2206.00927) and ours have the exact one, (eʰ - 1)/h - 1.
    """
    times = even(8)
    scheduler = diffusers.DPMSolverSinglestepScheduler(
        algorithm_type=kind, solver_order=2, lower_order_final=False, **SIGMA_MIN
    )
    assert_same(ours(name, times[::2], order=2, **options), theirs(scheduler, times))


def test_k_diffusions_dpm_2_is_dpm_solver_of_order_two():
    """In y = x/α both are the midpoint rule, with the middle at the mean log-SNR."""
    times = even(8)
    scheduler = diffusers.KDPM2DiscreteScheduler(timestep_spacing="trailing")
    scheduler.set_timesteps(4)
    sigmas = levels(times)
    scheduler.sigmas = sigmas[[0, 2, 2, 4, 4, 6, 6, 8]]
    scheduler.sigmas_interpol = sigmas[[1, 1, 3, 3, 5, 5, 7, 7]]
    y = noise(6, 2) / SDE.alpha(f64([1.0]))
    for i in range(8):
        x = y / (1 + sigmas[i] ** 2).sqrt()
        y = scheduler.step(network(x, sigmas[i]), scheduler.timesteps[min(i, 6)], y).prev_sample
    assert_same(ours("dpm-single", times[::2], order=2), y / (1 + sigmas[8] ** 2).sqrt())


def scaled(scheduler, sigmas, count):
    """A scheduler of k-diffusion's family, whose state is y = x/α, for `count` evaluations; returns x."""
    scheduler.sigmas = sigmas
    y = noise(6, 2) / SDE.alpha(f64([1.0]))
    for i in range(count):
        x = y / (1 + sigmas[i] ** 2).sqrt()
        y = scheduler.step(network(x, sigmas[i]), scheduler.timesteps[i], y).prev_sample
    return y / (1 + sigmas[count] ** 2).sqrt()


def test_euler():
    scheduler = diffusers.EulerDiscreteScheduler(timestep_spacing="trailing", **SIGMA_MIN)
    scheduler.set_timesteps(len(TIMES) - 1)
    scheduler.is_scale_input_called = True
    assert_same(ours("euler"), scaled(scheduler, levels(TIMES), len(TIMES) - 1))


def test_heun_is_edm_without_churn():
    scheduler = diffusers.HeunDiscreteScheduler(timestep_spacing="trailing")
    scheduler.set_timesteps(len(TIMES))
    twice = levels(TIMES).repeat_interleave(2)[1:]  # each level but the first serves two evaluations
    assert_same(ours("edm", churn=0.0), scaled(scheduler, twice, 2 * (len(TIMES) - 1)))


# --- discrete steps and noise ------------------------------------------------------------------------------------


def discrete_times(scheduler, steps):
    """Our times of equal log-SNR."""
    a = scheduler.alphas_cumprod[steps].double()
    return SDE.time(0.5 * (a.log() - torch.log1p(-a))).tolist()


def at_step(scheduler, x, step):
    (time,) = discrete_times(scheduler, [step])
    return MODEL.eps(x, torch.full((len(x),), time, dtype=torch.float64))


@pytest.mark.parametrize("eta", [0.0, 0.5, 1.0])
def test_ddim(eta):
    scheduler = diffusers.DDIMScheduler(
        **LINEAR, clip_sample=False, set_alpha_to_one=False, timestep_spacing="trailing"
    )
    scheduler.set_timesteps(10)
    scheduler.alphas_cumprod = scheduler.alphas_cumprod.double()
    scheduler.final_alpha_cumprod = scheduler.alphas_cumprod[0]
    steps, generator = [*scheduler.timesteps.tolist(), 0], stream(0, "ddim")
    x = noise(6, 2)
    for t in steps[:-1]:
        z = randn(x.shape, generator, dtype=x.dtype) if eta else None
        x = scheduler.step(at_step(scheduler, x, t), t, x, eta=eta, variance_noise=z).prev_sample
    assert_same(ours("ddim", discrete_times(scheduler, steps), generator=stream(0, "ddim"), eta=eta), x)


@pytest.mark.parametrize(
    ("variance", "name", "options"), [("fixed_small", "ddim", {"eta": 1.0}), ("fixed_large", "ancestral", {})]
)
def test_ddpm(variance, name, options):
    """Its two variances: the smaller is DDIM's at eta = 1, the larger that of `ancestral`."""
    scheduler = diffusers.DDPMScheduler(**LINEAR, clip_sample=False, variance_type=variance)
    steps = [999, 900, 730, 600, 450, 300, 200, 100, 40, 5]
    scheduler.set_timesteps(timesteps=steps)
    scheduler.alphas_cumprod = scheduler.alphas_cumprod.double()
    x, generator = noise(6, 2), stream(0, "ddpm")
    for t in steps[:-1]:  # the step from 5 would be to ᾱ = 1
        x = scheduler.step(at_step(scheduler, x, t), t, x, generator=generator).prev_sample
    assert_same(ours(name, discrete_times(scheduler, steps), generator=stream(0, "ddpm"), **options), x)


def draws(purpose):
    generator = stream(0, purpose)
    return [randn((6, 2), generator, dtype=torch.float64) for _ in TIMES[1:]]


@pytest.mark.parametrize("order", [1, 2])
def test_sde_dpm_solver_plus_plus(order):
    scheduler = diffusers.DPMSolverMultistepScheduler(
        algorithm_type="sde-dpmsolver++", solver_order=order, lower_order_final=False, **SIGMA_MIN
    )
    assert_same(ours("sde-dpm++", generator=stream(0, "sde"), order=order), theirs(scheduler, draws=draws("sde")))


def test_sde_dpm_solver_is_seeds_of_order_one():
    scheduler = diffusers.DPMSolverMultistepScheduler(
        algorithm_type="sde-dpmsolver", solver_order=1, lower_order_final=False, **SIGMA_MIN
    )
    assert_same(ours("seeds", generator=stream(0, "sde"), order=1), theirs(scheduler, draws=draws("sde")))


def test_sde_dpm_solver_plus_plus_of_order_three_differs_as_documented():
    """diffusers has a wrong sign and half of a derivative there: without noise, it has order 1, and ours order 3."""

    def run(count):
        times = even(count)
        scheduler = diffusers.DPMSolverMultistepScheduler(
            algorithm_type="sde-dpmsolver++", solver_order=3, lower_order_final=False, **SIGMA_MIN
        )
        silence = torch.zeros(count, 6, 2, dtype=torch.float64)
        return theirs(scheduler, times, draws=silence), drift(times)

    def drift(times):
        """Ours without its noise, which is additive with a deviation that does not depend on the state."""
        module = solvers["sde-dpm++"].__module__
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(f"{module}.randn_like", lambda x, generator: torch.zeros_like(x))
            return ours("sde-dpm++", times, order=3)

    _, truth = run(768)
    errors = [[(out - truth).square().mean().sqrt().item() for out in run(count)] for count in (96, 192)]
    peer, own = (math.log2(coarse / fine) for coarse, fine in zip(*errors, strict=True))
    assert abs(peer - 1) < 0.3 and own > 2.7, f"orders {peer:.2f} and {own:.2f}, errors {errors}"
