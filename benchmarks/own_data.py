"""Data of one's own that are no pictures: two moons and series, trained, drawn and held against the truth.

OMP_NUM_THREADS=1 python benchmarks/own_data.py moons
OMP_NUM_THREADS=1 python benchmarks/own_data.py waves train.images=24000
OMP_NUM_THREADS=1 python benchmarks/own_data.py ar2 train.images=24000
"""

import argparse
import time
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import torch
from scipy.linalg import toeplitz
from scipy.special import logsumexp
from sklearn.datasets import make_moons

import scoresde
from scoresde.core.provenance import versions
from scoresde.training.config import override, parse

NOISE = 0.05
"""Standard deviation of make_moons."""
NETWORK = {"name": "mlp", "width": 64, "blocks": 3}
TRAIN = {"images": 1_000_000, "batch": 1000, "learning_rate": 4e-3}
"""Network and training of the moons; those of the series are what `fit` chooses."""


def fitted(x, folder, changes):
    """The averaged model of a training, and its seconds of one core."""
    chosen = override({"network": NETWORK, "train": TRAIN}, changes)
    network, train = chosen["network"], chosen["train"]
    train = {
        "predicts": "v",
        "decay": 1.0,
        "optimizer": "adamw",
        "weight_decay": 0.1,
        "warmup": train["images"] // 30,
        "ema": train["images"] // 12,
        **train,
    }
    often = {"log_every": train["images"] // 20, "sample_every": 10**9, "save_every": 10**9}
    tables = {"data": {"name": "digits"}, "sde": {"name": "vp"}, "network": network, "train": {**train, **often}}
    began = time.process_time()
    run = scoresde.fit(parse(tables, "moons"), folder, images=scoresde.Tensors(x), resume=False, progress=False)
    return run.model, time.process_time() - began


def density(x):
    """log p of make_moons at x, (N, 2): two half circles under normal noise, by the midpoint rule in the angle."""
    angle = (np.arange(4000) + 0.5) / 4000 * np.pi
    upper = np.stack([np.cos(angle), np.sin(angle)], 1)
    places = np.concatenate([upper, np.array([1, 0.5]) - upper])
    square = ((x**2).sum(1)[:, None] + (places**2).sum(1) - 2 * x @ places.T) / (2 * NOISE**2)
    return logsumexp(-square, axis=1) - np.log(len(places) * 2 * np.pi * NOISE**2)


def kernel(x, data, width):
    """log of the kernel estimate from data, (M, 2), at x, (N, 2)."""
    square = ((x[:, None] - data) ** 2).sum(-1) / (2 * width**2)
    return logsumexp(-square, axis=1) - np.log(len(data) * 2 * np.pi * width**2)


def discrepancy(x, y, turns=200):
    """The squared MMD of a Gaussian kernel as wide as the median distance, and its p-value by permutations."""
    both = torch.from_numpy(np.concatenate([x, y])).float()
    square = torch.cdist(both, both).square()
    gram = torch.exp(-square / square[: len(x)].median()).fill_diagonal_(0)
    n, random, found = len(x), np.random.default_rng(0), []
    for turn in range(turns + 1):
        sign = torch.full((2 * n,), -1.0)
        sign[torch.from_numpy(np.arange(n) if turn == 0 else random.permutation(2 * n)[:n])] = 1.0
        found.append(float(sign @ gram @ sign) / (n * (n - 1)))
    return found[0], float(np.mean(np.array(found) >= found[0]))


def moons(folder, changes):
    """Training on 1,000 points; 2,000 samples and 2,000 held-out points."""
    x = make_moons(1000, noise=NOISE, random_state=0)[0]
    held = make_moons(2000, noise=NOISE, random_state=1)[0]
    model, seconds = fitted(x, folder, changes)
    samples = scoresde.sample(model, n=2000, batch=2000).x.double().numpy()
    value, p = discrepancy(samples, held)
    ours = scoresde.log_likelihood(model, torch.from_numpy(held).float(), exact=True).log_prob.numpy()
    best = max(kernel(held, x, width).mean() for width in np.linspace(0.02, 0.06, 9))
    print(f"training {seconds:.0f} s of one core, {sum(p.numel() for p in model.parameters()):,} parameters")
    print(f"MMD² of 2,000 samples to 2,000 held-out points {value:.2e}, p = {p:.3f}")
    print(
        f"mean log p of the held-out points, nats: model {ours.mean():.4f}, truth {density(held).mean():.4f}, the best"
    )
    print(f"best kernel estimate {best:.4f}; truth - model {(density(held) - ours).mean():.4f}")
    stray = np.mean(density(samples) < density(held).min())
    print(f"share of samples at a lower density than any held-out point {stray:.4f}")


def law(what):
    """How N series of a law are drawn with a generator, (N, 64), and what the law is: means (K, 64), a covariance."""
    lags, places = np.arange(64), 2 * np.pi * np.arange(64) / 16
    if (
        what == "ar2"
    ):  # 10 + 3 y, y of variance 1 with y_i = a y_(i-1) - 0.81 y_(i-2) + noise: the Yule-Walker equations
        a, correlation = 1.8 * np.cos(2 * np.pi / 12), [1.0]
        correlation.append(a / 1.81)
        for _ in lags[2:]:
            correlation.append(a * correlation[-1] - 0.81 * correlation[-2])
        means, covariance = np.full((1, 64), 10.0), toeplitz(9 * np.array(correlation))
    else:  # 10 + a sin(2πi/16 + φ), a from 0.5 to 2, and an AR(1) process of coefficient 0.8 and variance 1/9
        phase, size = (np.arange(60) + 0.5) / 60 * 2 * np.pi, 0.5 + 1.5 * (np.arange(40) + 0.5) / 40
        means = 10 + size[:, None, None] * np.sin(places + phase[:, None])
        means, covariance = means.reshape(-1, 64), toeplitz(0.8**lags / 9)

    def drawn(random, count):
        if what == "ar2":
            return 10 + random.normal(size=(count, 64)) @ np.linalg.cholesky(covariance).T
        phase, size = random.uniform(0, 2 * np.pi, (count, 1)), random.uniform(0.5, 2, (count, 1))
        noise, values = random.normal(size=(count, 64 + 50)), np.zeros((count, 64 + 50))
        for i in range(1, values.shape[1]):
            values[:, i] = 0.8 * values[:, i - 1] + 0.2 * noise[:, i]
        return 10 + size * np.sin(places + phase) + values[:, 50:]

    return drawn, torch.from_numpy(means), torch.from_numpy(covariance)


def divergence(model, x, means, covariance, levels=11):
    """∫ E|ε_θ - ε|² dλ of the noised data x, nats per value: KL(data, samples of the SDE), ε being the exact noise.

    λ = log α/σ goes from -5 to 5. Reference: Song et al. 2021, https://arxiv.org/abs/2101.09258, theorem 1.
    """
    units, found = model.units, []
    scale = 1 / float(units.spread.double().reshape(-1)[0])
    means, covariance = (means - float(units.centre.double().reshape(-1)[0])) * scale, covariance * scale**2
    x, unit = units.to_model(torch.from_numpy(x[:, None]).float()), torch.eye(64, dtype=torch.float64)
    log_ratio = torch.linspace(-5, 5, levels, dtype=torch.float64)
    for t in model.sde.time(log_ratio):
        alpha, sigma = float(model.sde.alpha(t)), float(model.sde.sigma(t))
        noisy = alpha * x + sigma * torch.randn(x.shape, generator=torch.Generator().manual_seed(3))
        inverse = torch.linalg.inv(alpha**2 * covariance + sigma**2 * unit)
        seen, centres = noisy[:, 0].double(), alpha * means
        square = ((centres @ inverse) * centres).sum(1) - 2 * seen @ inverse @ centres.T
        exact = sigma * (seen - torch.softmax(-square / 2, 1) @ centres) @ inverse
        with torch.no_grad():
            off = model.eps(noisy, t.expand(len(x)).clone())[:, 0].double() - exact
        found.append(float(off.square().mean()))
    return float(np.trapezoid(found, log_ratio.numpy()))


def series(what, folder, changes):
    """What `scoresde.fit` makes of 2,000 series of 64 values: 500 samples, and the distance from the exact law."""
    draw, means, covariance = law(what)
    x, held, fresh = (draw(np.random.default_rng(seed), count) for seed, count in ((0, 2000), (1, 200), (2, 500)))
    began = time.process_time()
    often = ["train.sample_every=1000000000", "train.sample_first=0"]
    run = scoresde.fit(x[:, None], folder, overrides=[*changes, *often], resume=False, progress=False)
    seconds, model = time.process_time() - began, run.model
    print(run.config.network, run.config.train.batch, run.config.train.images)
    print(f"training {seconds:.0f} s of one core, {sum(p.numel() for p in model.parameters()):,} parameters")
    print(f"KL to the law of the held-out series {divergence(model, held, means, covariance):.4f} nats per value")
    samples = scoresde.sample(model, "dpm++:steps=20", n=500, batch=250).x[:, 0].double().numpy()
    spread = covariance + torch.cov(means.T, correction=0) if len(means) > 1 else covariance
    truth = np.array([spread.diagonal(lag).mean() for lag in range(33)])
    for name, rows in (("samples", samples), ("fresh series", fresh), ("training series", x)):
        found = np.array([np.diagonal(np.cov(rows.T), lag).mean() for lag in range(33)])
        error, quantiles = np.abs(found - truth).max() / truth[0], np.quantile(rows, [0.01, 0.5, 0.99])
        print(f"{name}: autocovariance off by {error:.3f} of the variance at most; quantiles {quantiles.round(2)}")
    value, p = discrepancy(samples, fresh)
    print(f"MMD² of 500 samples to 500 fresh series {value:.2e}, p = {p:.3f}")
    figure, axes = plt.subplots(2, 5, figsize=(13, 4), sharex=True, sharey=True)
    for column in range(5):
        axes[0, column].plot(x[column])
        axes[1, column].plot(samples[column], color="C1")
    axes[0, 0].set_ylabel("training")
    axes[1, 0].set_ylabel("samples")
    figure.tight_layout()
    figure.savefig(folder / "series.png", dpi=70)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("what", choices=["moons", "waves", "ar2"])
    parser.add_argument("changes", nargs="*", metavar="KEY=VALUE", help="of [network] and [train]")
    parser.add_argument("--folder", type=Path, help="run folder; by default runs/own-WHAT")
    asked = parser.parse_args()
    place = asked.folder or Path("runs") / f"own-{asked.what}"
    if asked.what == "moons":
        moons(place, asked.changes)
    else:
        series(asked.what, place, asked.changes)
    print(versions())
