"""Data of one's own that are no pictures: two moons and noisy waves, trained, drawn and held against the truth.

OMP_NUM_THREADS=1 python benchmarks/own_data.py moons
OMP_NUM_THREADS=1 python benchmarks/own_data.py waves
OMP_NUM_THREADS=1 python benchmarks/own_data.py waves network.width=64 train.batch=16
"""

import argparse
import time
from pathlib import Path

import numpy as np
import torch
from scipy.special import logsumexp
from sklearn.datasets import make_moons

import scoresde
from scoresde.core.provenance import versions
from scoresde.training.config import override, parse

NOISE = 0.05
"""Standard deviation of make_moons."""
CHOSEN = {
    "moons": ({"name": "mlp", "width": 64, "blocks": 3}, {"images": 1_000_000, "batch": 1000, "learning_rate": 4e-3}),
    "waves": ({"name": "conv", "width": 32, "blocks": 6}, {"images": 60_000, "batch": 64, "learning_rate": 2e-3}),
}
"""Network and training."""


def fitted(name, x, folder, changes):
    """The averaged model of a training, and its seconds of one core."""
    chosen = override(dict(zip(("network", "train"), CHOSEN[name], strict=True)), changes)
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
    run = scoresde.fit(parse(tables, name), folder, images=scoresde.Tensors(x), resume=False, progress=False)
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
    model, seconds = fitted("moons", x, folder, changes)
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


def waves(folder, changes):
    """Training on 2,000 series of 64 values; 2,000 samples and as many fresh series."""

    def drawn(seed):
        random, count = np.random.default_rng(seed), 2000
        phase, size = random.uniform(0, 2 * np.pi, (count, 1)), random.uniform(0.5, 2, (count, 1))
        noise, values = random.normal(size=(count, 64 + 50)), np.zeros((count, 64 + 50))
        for i in range(1, values.shape[1]):  # an AR(1) process with the coefficient 0.8
            values[:, i] = 0.8 * values[:, i - 1] + 0.2 * noise[:, i]
        return (10 + size * np.sin(2 * np.pi * np.arange(64) / 16 + phase) + values[:, 50:])[:, None]

    def covariances(x):
        centred = x[:, 0] - 10
        return np.array([(centred[:, : 64 - lag] * centred[:, lag:]).mean() for lag in range(17)])

    x, fresh = drawn(0), drawn(1)
    model, seconds = fitted("waves", x, folder, changes)
    samples = scoresde.sample(model, n=2000, batch=500).x.double().numpy()
    lags = np.arange(17)
    truth = 0.875 * np.cos(2 * np.pi * lags / 16) + 0.04 / 0.36 * 0.8**lags  # E[size²] = (2³ - ½³)/(3 · 1.5) = 1.75
    print(f"training {seconds:.0f} s of one core, {sum(p.numel() for p in model.parameters()):,} parameters")
    for name, series in (("samples", samples), ("fresh series", fresh), ("training series", x)):
        error = np.abs(covariances(series) - truth).max() / truth[0]
        quantiles = np.quantile(series, [0.01, 0.25, 0.5, 0.75, 0.99])
        print(f"{name}: autocovariance off by {error:.3f} of the variance at most; quantiles {quantiles.round(3)}")
    value, p = discrepancy(samples[:, 0], fresh[:, 0])
    print(f"MMD² to the fresh series {value:.2e}, p = {p:.3f}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("what", choices=CHOSEN)
    parser.add_argument("changes", nargs="*", metavar="KEY=VALUE", help="of [network] and [train]")
    parser.add_argument("--folder", type=Path, help="run folder; by default runs/own-WHAT")
    asked = parser.parse_args()
    {"moons": moons, "waves": waves}[asked.what](asked.folder or Path("runs") / f"own-{asked.what}", asked.changes)
    print(versions())
