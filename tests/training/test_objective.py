"""The losses against their definitions in NumPy and SciPy, their weights, and the optimisers against theirs."""

import math

import lion_pytorch
import numpy as np
import pytest
import scipy.stats
import torch
from torch import nn

from scoresde.core.errors import UsageError
from scoresde.core.random import randn, stream
from scoresde.data import Images
from scoresde.models.network import NetworkModel
from scoresde.observations.masks import Rectangle
from scoresde.observations.tasks import tasks
from scoresde.sde import DDPM, VPSDE
from scoresde.training import config as configuration
from scoresde.training.batches import BANK, Batch, Feed, mask_bank
from scoresde.training.loop import rate, start, train
from scoresde.training.objective import losses, terms, times
from scoresde.training.optimisers import optimiser

F = torch.float64
CHAIN = DDPM(steps=8, beta_first=0.05, beta_last=0.6)
SMALL = ["network.channels=8", "network.multipliers=[1,1]", "network.blocks=1", "train.batch=16", "train.images=320"]


def config(*assignments):
    return configuration.load("digits", [*SMALL, *assignments])


def options(*assignments):
    return config(*assignments).train


def label_of(sde):
    """The label that is the time, or the step."""
    return "step" if sde.chain else "scaled:scale=1"


class Affine(nn.Module):
    """A network whose outputs are known: ½ x + label/10, cut to `channels`."""

    def __init__(self, channels):
        super().__init__()
        self.scale, self.channels = nn.Parameter(torch.tensor(0.5, dtype=F)), channels

    def forward(self, x, label):
        out = self.scale * x + label.reshape(-1, 1, 1, 1) / 100
        return out.repeat(1, 2, 1, 1)[:, : self.channels]


def batch(count=8, shape=(1, 4, 4), levels=17, known=None):
    whole = torch.randint(levels, (count, *shape), generator=torch.Generator().manual_seed(0))
    x0 = whole.to(F) * 2 / (levels - 1) - 1
    places = (torch.arange(count, dtype=F) + 0.3) / count
    hidden = torch.zeros(count, dtype=torch.bool)
    return Batch(x0, None, hidden, places, randn(x0.shape, stream(1), dtype=F), known, levels)


def model(sde, channels=1, **more):
    return NetworkModel(Affine(channels), sde, (1, 4, 4), label=label_of(sde), **more)


def parts(sde, b, t):
    alpha, sigma = (v.reshape(-1, 1, 1, 1).numpy() for v in (sde.alpha(t), sde.sigma(t)))
    x0, z = b.images.numpy(), b.noise.numpy()
    return alpha, sigma, x0, z, alpha * x0 + sigma * z


TARGETS = {  # what a network is trained to give, from the papers' definitions
    "eps": lambda alpha, sigma, x0, z: z,
    "x0": lambda alpha, sigma, x0, z: x0,
    "v": lambda alpha, sigma, x0, z: alpha * z - sigma * x0,
    "score": lambda alpha, sigma, x0, z: -z / sigma,
    "flow": lambda alpha, sigma, x0, z: z - x0,
}


@pytest.mark.parametrize("predicts", TARGETS)
@pytest.mark.parametrize("measure", ["l1", "l2", "huber"])
def test_a_loss_is_its_formula(measure, predicts):
    sde, b = VPSDE(), batch()
    chosen = options(f"train.loss={measure}", f"train.predicts={predicts}")
    t = 1e-5 + b.uniform * (1 - 1e-5)
    alpha, sigma, x0, z, x = parts(sde, b, t)
    d = 0.5 * x + t.reshape(-1, 1, 1, 1).numpy() / 100 - TARGETS[predicts](alpha, sigma, x0, z)
    huber = np.where(np.abs(d) < 1, d**2 / 2, np.abs(d) - 0.5)
    expected = {"l1": np.abs(d), "l2": d**2, "huber": huber}[measure].reshape(8, -1).mean(1)
    found = losses(model(sde, predicts=predicts), b, chosen).detach().numpy()
    assert found == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize("predicts", ["v", "flow", "x0"])
def test_targets_keep_their_digits_near_the_data(predicts):
    """In float32 at t = 1e-3, where (z - a x_t)/b formed of images in float32 would lose 2e-4 of them."""
    sde, b = VPSDE(), batch()
    small = Batch(b.images.float(), None, b.hidden, b.uniform * 1e-6, b.noise.float())
    chosen = options(f"train.predicts={predicts}", "train.earliest=1e-3")

    class Right(nn.Module):
        def forward(self, x, label):
            alpha, sigma, x0, z, _ = parts(sde, Batch(b.images, None, b.hidden, b.uniform, b.noise), label.double())
            return torch.from_numpy(TARGETS[predicts](alpha, sigma, x0, z)).float()

    found = losses(NetworkModel(Right(), sde, (1, 4, 4), label=label_of(sde), predicts=predicts), small, chosen)
    assert found.max().sqrt() < 1e-6


@pytest.mark.parametrize("sde", [VPSDE(), DDPM(steps=40)], ids=lambda sde: sde.name)
@pytest.mark.parametrize(("predicts", "form"), [("eps", "min/snr"), ("x0", "min"), ("v", "min/(snr+1)")])
def test_min_snr_is_its_papers_weight_for_each_prediction(predicts, form, sde):
    """Hang et al. 2023, section 3.4, whose SNR is α²/σ² and γ = 5."""
    b = batch()
    plain = losses(model(sde, predicts=predicts), b, options(f"train.predicts={predicts}"))
    found = losses(model(sde, predicts=predicts), b, options(f"train.predicts={predicts}", "train.weighting=min-snr"))
    snr = torch.exp(2 * sde.log_snr(times(sde, b, options())))
    least = snr.clamp(max=5)
    expected = {"min/snr": least / snr, "min": least, "min/(snr+1)": least / (snr + 1)}[form]
    assert torch.allclose(found / plain, expected, rtol=1e-9)


@pytest.mark.parametrize("predicts", ["eps", "x0", "v"])
def test_likelihood_weighting_estimates_the_weighted_integral(predicts):
    """∫ g²/σ² E|ε - z|² dt by the trapezoid rule in t, against the mean at times even in λ, times 2 Δλ."""
    sde, count = VPSDE(), 4000
    chosen = options("train.weighting=likelihood", f"train.predicts={predicts}", "train.earliest=0.01")
    zero = torch.zeros(count, 1, 1, 1, dtype=F)
    b = Batch(zero + 0.3, None, zero.bool().flatten(), (torch.arange(count, dtype=F) + 0.5) / count, zero + 0.7)
    net = NetworkModel(Affine(1), sde, (1, 1, 1), label=label_of(sde), predicts=predicts)
    ends = sde.log_snr(torch.tensor([0.01, 1.0], dtype=F))
    found = 2 * float((ends[0] - ends[1]) * losses(net, b, chosen).mean().detach())
    t = torch.linspace(0.01, 1, count, dtype=F)
    x = sde.alpha(t) * 0.3 + sde.sigma(t) * 0.7
    eps = net.eps(x.reshape(-1, 1, 1, 1), t).flatten().detach()
    whole = torch.trapezoid((sde.g(t) / sde.sigma(t)) ** 2 * (eps - 0.7) ** 2, t)
    assert found == pytest.approx(float(whole), rel=1e-3)


def test_a_chain_is_trained_at_its_levels_each_as_often():
    sde = CHAIN
    assert torch.equal(times(sde, batch(), options()), sde.times)

    class Whole(Affine):
        def forward(self, x, label):
            assert torch.allclose(label, torch.arange(8, dtype=F), atol=1e-5)
            return super().forward(x, label)

    losses(NetworkModel(Whole(1), sde, (1, 4, 4)), batch(), options())


@pytest.mark.parametrize("predicts", ["eps", "x0"])
def test_hybrid_is_the_square_and_a_thousandth_of_the_bound(predicts):
    """Each image's step from SciPy's normal laws; q by Bayes' rule. The bound moves the variance alone."""
    sde, b = CHAIN, batch()
    hybrid = ["sde.name=ddpm", "network.learned_variance=true", "train.loss=hybrid"]
    chosen = options(*hybrid, f"train.predicts={predicts}")
    net = model(sde, 2, predicts=predicts)
    abar = np.cumprod(1 - sde.betas.numpy())
    alpha, sigma, x0, z, x = parts(sde, b, sde.times)
    out = 0.5 * x + np.arange(8).reshape(-1, 1, 1, 1) / 100
    guess = (x - sigma * out) / alpha if predicts == "eps" else out
    bits = []
    for n in range(8):
        last, beta = (abar[n - 1] if n else 1.0), sde.betas[n].item()
        low = sde.betas[max(n, 1)].item() * (1 - abar[max(n, 1) - 1]) / (1 - abar[max(n, 1)])
        share = (out[n] + 1) / 2
        v = np.exp(share * np.log(beta) + (1 - share) * np.log(low))
        if n:
            precision = 1 / (1 - last) + (1 - beta) / beta
            means = [np.sqrt(last) * c / (1 - last) + np.sqrt(1 - beta) / beta * x[n] for c in (x0[n], guess[n])]
            gap = (means[0] - means[1]) / precision
            nats = 0.5 * (np.log(v * precision) + 1 / (precision * v) - 1 + gap**2 / v)
        else:
            law, half = scipy.stats.norm(guess[0], np.sqrt(v)), 1 / 16
            high = np.where(x0[0] > 0.999, np.inf, x0[0] + half)
            down = np.where(x0[0] < -0.999, -np.inf, x0[0] - half)
            nats = -np.log(np.maximum(law.cdf(high) - law.cdf(down), law.sf(down) - law.sf(high)))
        bits.append(nats.mean() / math.log(2))
    square = ((out - (z if predicts == "eps" else x0)) ** 2).reshape(8, -1).mean(1)
    found = losses(net, b, chosen)
    assert found.detach().numpy() == pytest.approx(square + 1e-3 * 8 * np.array(bits), rel=1e-7)
    apart = terms(net, b, chosen).vlb
    assert apart.numpy() == pytest.approx(8 * np.array(bits), rel=1e-7) and not apart.requires_grad
    assert terms(model(sde, predicts=predicts), b, options("sde.name=ddpm", f"train.predicts={predicts}")).vlb is None

    class Apart(nn.Module):
        def __init__(self):
            super().__init__()
            self.mean, self.share = (nn.Parameter(torch.tensor(0.1, dtype=F)) for _ in range(2))

        def forward(self, x, label):
            return torch.cat([self.mean * x, self.share * x], 1)

    def gradients(*assignments):
        apart = NetworkModel(Apart(), sde, (1, 4, 4), label=label_of(sde))
        losses(apart, b, options(*assignments)).mean().backward()
        return [0 if p.grad is None else p.grad.item() for p in (apart.net.mean, apart.net.share)]

    both, plain = gradients(*hybrid), gradients("sde.name=ddpm")
    assert both[0] == pytest.approx(plain[0], rel=1e-12) and plain[1] == 0 != both[1]


def test_inpainting_sees_the_known_pixels_and_learns_the_hole_alone():
    known = torch.zeros(8, 1, 4, 4, dtype=torch.bool)
    known[:, :, :2] = True
    b, seen = batch(known=known), []

    class Seeing(Affine):
        def forward(self, x, label):
            seen.append(x)
            return super().forward(x, label)

    sde = VPSDE()
    net = NetworkModel(Seeing(1), sde, (1, 4, 4), condition="inpaint", label="scaled:scale=1")
    found = losses(net, b, options("train.condition=inpaint", "network.extra_channels=2"))
    t = times(sde, b, options())
    *_, z, x = parts(sde, b, t)
    d = 0.5 * x + t.reshape(-1, 1, 1, 1).numpy() / 100 - z
    assert found.detach().numpy() == pytest.approx((d[:, :, 2:] ** 2).reshape(8, -1).mean(1), rel=1e-9)
    assert seen[0].shape[1] == 1 + tasks["inpaint"]().extra_channels(1)
    assert torch.equal(seen[0][:, :2, :2], b.images.repeat(1, 2, 1, 1)[:, :, :2])  # in x_t and in the condition
    assert not seen[0][:, 1, 2:].any() and torch.equal(seen[0][:, 2:].bool(), known)


def test_colour_is_given_the_luma():
    b, seen = batch(shape=(3, 4, 4)), []

    class Seeing(Affine):
        def forward(self, x, label):
            seen.append(x)
            return super().forward(x, label)

    net = NetworkModel(Seeing(3), VPSDE(), (3, 4, 4), condition="colour")
    losses(net, b, options())
    luma = torch.einsum("c,bchw->bhw", torch.tensor([0.299, 0.587, 0.114], dtype=F), b.images)
    assert torch.allclose(seen[0][:, 3:], luma[:, None].expand(-1, 3, -1, -1), atol=1e-12)


def test_masks_are_a_function_of_seed_and_step_within_their_bounds():
    chosen = options("train.condition=inpaint", "network.extra_channels=2", "train.masks=rectangle:most=0.3")
    feed = Feed(Images(torch.zeros(20, 1, 8, 8, dtype=torch.uint8)), chosen, torch.device("cpu"))
    first, again, other = (feed.batch(feed.draws(step)).known for step in (3, 3, 4))
    assert torch.equal(first, again) and not torch.equal(first, other) and first.shape == (16, 1, 8, 8)
    shares = 1 - mask_bank(Rectangle(most=0.3), 8, 8, 0).double().mean((1, 2, 3))
    assert len(shares) == BANK and 0.15 <= float(shares.min()) and float(shares.max()) <= 0.3
    halves = feed.batch(feed.draws(3)).parts(2)
    assert torch.equal(torch.cat([half.known for half in halves]), first) and halves[0].levels == 256


@pytest.mark.parametrize(
    ("assignments", "message"),
    [
        (["train.loss=hybrid"], "hybrid needs sde.name = ddpm and network.learned_variance = true"),
        (["network.learned_variance=true"], "learned_variance = true needs train.loss = hybrid, got l2"),
        (["train.loss=l1", "train.weighting=min-snr"], "min-snr weighs a squared error, l1 is none"),
        (["sde.name=ddpm", "train.weighting=likelihood"], "likelihood is of continuous processes"),
        (["train.condition=inpaint"], "inpaint takes network.extra_channels = 2 on such images"),
        (["train.condition=colour", "network.extra_channels=1"], "colour takes images of 3 channels, got 1"),
        (["network.extra_channels=1"], "none takes network.extra_channels = 0"),
    ],
)
def test_contradictions_are_refused(assignments, message):
    with pytest.raises(UsageError, match=message):
        config(*assignments)


OPTIMISERS = {
    "adam": lambda p: torch.optim.Adam(p, lr=1e-3),
    "adamw": lambda p: torch.optim.AdamW(p, lr=1e-3, weight_decay=0.1),
    "adamax": lambda p: torch.optim.Adamax(p, lr=1e-3),
    "lion": lambda p: lion_pytorch.Lion(p, lr=1e-3, weight_decay=0.1),
}


@pytest.mark.parametrize("name", OPTIMISERS)
def test_an_optimiser_is_the_librarys_and_survives_a_resume(name, tmp_path):
    from scoresde.training.run import Run

    decay = ["train.weight_decay=0.1"] if name in ("adamw", "lion") else []
    chosen = config(f"train.optimizer={name}", "train.learning_rate=1e-3", "train.images=96", *decay)
    weights = [torch.full((3,), 0.5), torch.full((3,), 0.5)]
    made = optimiser(chosen.train, [weights[0]]), OPTIMISERS[name]([weights[1]])
    for step in range(3):
        for weight, one in zip(weights, made, strict=True):
            weight.grad = torch.linspace(-1, 1, 3) * (step + 1)
            one.step()
    assert torch.allclose(*weights, rtol=1e-6)
    images = chosen.data.load("train")
    whole = start(chosen, images.shape, torch.device("cpu"))
    for state in train(chosen, images, whole):
        if state.step == 3:
            Run(tmp_path, chosen, {}).save(state)
    again = start(chosen, images.shape, torch.device("cpu"))
    Run(tmp_path, chosen, {}).resume(again)
    assert again.step == 3
    for _ in train(chosen, images, again):
        pass
    assert all(torch.equal(a, b) for a, b in zip(whole.model.parameters(), again.model.parameters(), strict=True))


def test_optimisers_refuse_what_they_do_not_take():
    with pytest.raises(UsageError, match="weight_decay is of adamw and lion, train.optimizer = adam takes none"):
        optimiser(options("train.weight_decay=0.1"), [torch.zeros(1)])


def test_the_rate_falls_along_half_a_cosine():
    chosen = options("train.decay=1", "train.fall=cosine", "train.warmup=0", "train.learning_rate=2")
    assert [rate(chosen, images) for images in (0, 80, 160, 320)] == pytest.approx([2, 1 + 0.5**0.5, 1, 0])
