"""Likelihood: error against evaluations beside score_sde's method, the probes at equal cost, the digits model's figure.

    python benchmarks/likelihood.py --out benchmarks/results/likelihood.md

The mixture gm192 knows its density: errors are means over its samples, in bits/dim, with the law of the end of the
process in place of N(0, I) for the first column and with N(0, I) for the second. score_sde's method is written here
from its description: SciPy's RK45 at 1e-5 on the flattened batch in t, one evaluation for the drift and a second with a
vector-Jacobian product for the divergence, one Rademacher probe, no correction for stopping at 1e-5.
"""

import math
import time
from collections.abc import Callable
from pathlib import Path

import click
import numpy as np
import torch
from scipy.integrate import solve_ivp
from torch import Tensor

from scoresde import models
from scoresde.bench.problems import gm192
from scoresde.core import files
from scoresde.core.provenance import versions
from scoresde.core.random import Generators, generators, randn, stream
from scoresde.data import data
from scoresde.likelihood import Divergence, Exact, Hutchinson, chain, dequantise, log_likelihood, nll, vlb
from scoresde.likelihood.flow import standard_normal_log_prob
from scoresde.models.base import ObservedModel, ScoreModel
from scoresde.models.evaluations import Evaluations
from scoresde.models.network import NetworkModel
from scoresde.solvers import solvers

LN2 = math.log(2)


def score_sde(model: ScoreModel, x: Tensor, probe: Tensor, tol: float = 1e-5) -> tuple[Tensor, Tensor, int, int]:
    """Latents, ∫ ∇·v dt, forward passes and vector-Jacobian products by score_sde's method."""
    count, shape, dims = Evaluations(), x.shape, x[0].numel()
    watched, vjps = ObservedModel(model, count), [0]

    def slope(t: float, state: np.ndarray) -> np.ndarray:
        at = torch.from_numpy(state[: x.numel()]).reshape(shape).to(x)
        times = torch.full((len(x),), t, dtype=torch.float64)
        drift = watched.velocity(at, times)
        with torch.enable_grad():
            leaf = at.requires_grad_()
            (product,) = torch.autograd.grad((watched.velocity(leaf, times) * probe).sum(), leaf)
        vjps[0] += 1
        rate = (product * probe).flatten(1).sum(1)
        return np.concatenate([drift.double().numpy().ravel(), rate.double().numpy()])

    start = np.concatenate([x.double().numpy().ravel(), np.zeros(len(x))])
    end = solve_ivp(slope, (1e-5, model.sde.t_max), start, method="RK45", rtol=tol, atol=tol).y[:, -1]
    latent, change = torch.from_numpy(end[: x.numel()]).reshape(shape), torch.from_numpy(end[len(x) * dims :])
    return latent, change, count.calls, vjps[0]


def on_the_mixture(samples: int) -> list[str]:
    model = gm192()
    x = model.draw(samples, stream(3, "likelihood"))
    ends = [torch.full((samples,), t, dtype=torch.float64) for t in (0.0, 1.0)]
    truth, unit = model.log_prob(x, ends[0]), 192 * LN2

    def row(name: str, change: Tensor, latent: Tensor, correction: Tensor | float, cost: str) -> str:
        plain = (truth - change - standard_normal_log_prob(latent)) / unit
        exact = (truth - change - correction - model.log_prob(latent, ends[1])) / unit
        spread = float(exact.std()) / math.sqrt(samples)
        return f"| {name} | {cost} | {exact.mean():+.1e} ± {spread:.0e} | {plain.mean():+.1e} |"

    lines = ["| method | NFE | forwards | vjps | seconds | error, all corrections | error, N(0, I), uncorrected |"]
    lines.append("|" + "---|" * 7)
    probe = torch.where(randn(x.shape, generators(range(samples)), dtype=torch.float64) < 0, -1.0, 1.0)
    began = time.perf_counter()
    latent, change, forwards, vjps = score_sde(model, x, probe)
    cost = f"{forwards // 2} | {forwards} | {vjps} | {time.perf_counter() - began:.1f}"
    lines.append(row("score_sde's, 1 probe, tol 1e-5", change, latent, 0.0, cost))
    plans: list[tuple[str, Divergence, float]] = [
        ("1 probe", Hutchinson(), 1e-2),
        ("16 classes", Hutchinson(classes=16), 1e-2),
        ("exact", Exact(), 1e-2),
        ("exact", Exact(), 3e-3),
    ]
    for name, divergence, tol in plans:
        found = log_likelihood(
            model,
            x,
            solver=solvers["rk45"](tol=tol, controller="pi"),
            divergence=divergence,
            eps=1e-4,
            generator=generators(range(samples)),
        )
        cost = f"{found.nfe} | {found.nfe} | {found.vjps} | {found.seconds:.1f}"
        lines.append(
            row(
                f"ours: rk45 controller=pi, {name}, tol {tol:g}, eps 1e-4",
                found.divergence,
                found.latent,
                found.correction,
                cost,
            )
        )
        click.echo(lines[-1], err=True)
    return lines


class Orthogonal(Hutchinson):
    """Probes from the uniform law of orthogonal frames, of length √D."""

    def draw(self, x: Tensor, generator: Generators) -> Tensor:
        z = randn((len(x), x[0].numel(), self.probes), generator, dtype=x.dtype)
        frame = torch.linalg.qr(z)[0] * math.sqrt(x[0].numel())
        return frame.permute(2, 0, 1).reshape(self.probes, *x.shape)


class HutchPlusPlus(Divergence):
    """The exact trace on the range of a third of the products, Hutchinson's estimate on the rest.

    Reference: Meyer, Musco, Musco and Woodruff 2021, https://arxiv.org/abs/2010.09649, algorithm 1.
    """

    third: int = 1

    def draw(self, x: Tensor, generator: Generators) -> Tensor:
        return Hutchinson(probes=2 * self.third).draw(x, generator).flatten(2)[None]

    def trace(self, out: Tensor, x: Tensor, probes: Tensor) -> Tensor:
        def times(vectors: Tensor) -> Tensor:  # each (B, D), by Jᵀ
            parts = [torch.autograd.grad(out, x, v.reshape(x.shape), retain_graph=True)[0] for v in vectors]
            return torch.stack(parts).flatten(2)

        sketch, e = probes[0][: self.third], probes[0][self.third :]
        q = torch.linalg.qr(times(sketch).permute(1, 2, 0))[0]  # (B, D, third)
        e = e - torch.einsum("bdk,bek,nbe->nbd", q, q, e)
        basis = q.permute(2, 0, 1)
        return ((basis * times(basis)).sum((0, 2)) + (e * times(e)).sum((0, 2)) / self.third)[:, None]

    def vjps(self, dims: int) -> int:
        return 3 * self.third


def of_probes(model: ScoreModel, x: Tensor) -> list[str]:
    """The spread of log p(x) over 8 probe seeds, rms over the samples, with as many products each."""
    kinds: dict[str, Callable[[int], Divergence]] = {
        "rademacher": lambda k: Hutchinson(probes=k),
        "gaussian": lambda k: Hutchinson(probes=k, noise="gaussian"),
        "orthogonal": lambda k: Orthogonal(probes=k),
        "hutch++": lambda k: HutchPlusPlus(third=k // 3),
        "classes": lambda k: Hutchinson(classes=k),
    }
    lines = ["| products | " + " | ".join(kinds) + " |", "|---|" + "---|" * len(kinds)]
    many = x.repeat(8, *[1] * (x.ndim - 1))
    options = {"solver": solvers["rk45"](tol=1e-2, controller="pi"), "generator": None, "eps": 1e-4}
    for count in (1, 3, 6, 15):
        cells = []
        for name, make in kinds.items():
            if name == "hutch++" and count < 3:
                cells.append("-")
                continue
            options["generator"] = [stream(seed, "probe", name) for seed in range(len(many))]
            bits = log_likelihood(model, many, divergence=make(count), **options).log_prob / (x[0].numel() * LN2)
            cells.append(f"{bits.reshape(8, -1).var(0).mean().sqrt():.4f}")
        lines.append(f"| {count} | " + " | ".join(cells) + " |")
        click.echo(lines[-1], err=True)
    return lines


def of_tolerances(model: NetworkModel, pixels: Tensor, levels: int) -> list[str]:
    """What a solver's tolerance adds to the NLL of the same images with the same probes, beside rk45 at 1e-6."""
    x = dequantise(pixels, levels, [stream(0, "dequantise", i, 0) for i in range(len(pixels))])
    unit, tolerances = x[0].numel() * LN2, (1e-1, 1e-2, 1e-3, 1e-4, 1e-5)

    def solve(name: str, tol: float) -> tuple[Tensor, int]:
        found = log_likelihood(
            model,
            x,
            solver=solvers[name](tol=tol, controller="pi"),
            divergence=Hutchinson(classes=16),
            generator=generators(range(len(x))),
        )
        return -found.log_prob / unit, found.nfe

    truth = solve("rk45", 1e-6)[0]
    lines = ["| solver | " + " | ".join(f"{tol:g}" for tol in tolerances) + " |", "|---|" + "---|" * len(tolerances)]
    for name in ("rk23", "rk45", "dop853"):
        cells = []
        for tol in tolerances:
            bits, nfe = solve(name, tol)
            cells.append(f"{nfe}: {(bits - truth).mean():+.1e}")
        lines.append(f"| {name} | " + " | ".join(cells) + " |")
        click.echo(lines[-1], err=True)
    return lines


def of_the_digits(model: NetworkModel, count: int | None) -> list[str]:
    """The converged figure of the bundled model on held-out digits, the tighter bound, the discrete chain's bound."""
    images = data["digits"]().load("test")
    pixels = images.pixels if count is None else images.drawn(count).pixels
    options = {"levels": images.levels, "solver": solvers["rk45"](tol=1e-4, controller="pi")}
    lines = ["| figure | images | bits/dim | from images | from draws | from probes | NFE | vjps | seconds |"]
    lines.append("|" + "---|" * 9)
    runs: list[tuple[str, Tensor, int, Divergence]] = [
        ("NLL, 2 draws, 16 classes", pixels, 2, Hutchinson(classes=16)),
        ("NLL, 8 draws, exact", pixels[:16], 8, Exact()),
    ]
    for name, chosen, draws, divergence in runs:
        found = nll(model, chosen, draws=draws, divergence=divergence, **options)
        cost = f"{found.nfe:.0f} | {found.vjps:.0f} | {found.seconds:.0f}"
        parts = " | ".join(f"{v:.4f}" for v in (found.from_images, found.from_draws, found.from_probes))
        lines.append(f"| {name} | {len(chosen)} | {found.value:.4f} ± {found.standard_error:.4f} | {parts} | {cost} |")
        if not math.isnan(found.bound):
            lines.append(f"| the tighter bound of these | {len(chosen)} | {found.bound:.4f} | | | | | | |")
        lines.append(f"| of which the correction to t = 0, not added | | {found.correction:+.4f} | | | | | | |")
        click.echo(lines[-1], err=True)
    for steps in (50, 1000):
        began = time.perf_counter()
        sources = [stream(0, "vlb", i) for i in range(len(pixels))]
        found_vlb = vlb(model, pixels, levels=images.levels, alphas_cumprod=chain(model.sde, steps), generator=sources)
        total = found_vlb.total
        terms = (
            f"{found_vlb.prior.mean():.1e} + {found_vlb.diffusion.sum(0).mean():.4f} + {found_vlb.decoder.mean():.4f}"
        )
        error = float(total.std()) / math.sqrt(len(total))
        cost = f"{found_vlb.nfe} | 0 | {time.perf_counter() - began:.0f}"
        name = f"VLB, {steps} steps: L_N + ΣL_n + L_0 = {terms}"
        lines.append(f"| {name} | {len(pixels)} | {total.mean():.4f} ± {error:.4f} | | | | {cost} |")
        click.echo(lines[-1], err=True)
    return lines


@click.command(help=__doc__)
@click.option("--samples", type=int, default=16, show_default=True, help="Samples of the mixture.")
@click.option("--images", "count", type=int, help="Held-out digits. [default: all 297]")
@click.option("--only", multiple=True, help="A section: mixture, probes, tolerances or digits. All by default.")
@click.option("--out", type=click.Path(path_type=Path), help="Also write the tables there.")
def main(samples: int, count: int | None, only: tuple[str, ...], out: Path | None) -> None:
    torch.set_num_threads(1)
    model, mixture = models.load("digits"), gm192()
    images = data["digits"]().load("test")
    some = dequantise(images.pixels[:6], images.levels, generators(range(6)))
    sections: dict[str, tuple[str, Callable[[], list[str]]]] = {
        "mixture": (f"Error on gm192, {samples} samples, bits/dim", lambda: on_the_mixture(samples)),
        "probes": (
            "Standard deviation of log p by the probes, at equal numbers of vjps, bits/dim: gm192",
            lambda: of_probes(mixture, mixture.draw(6, stream(3, "probes"))),
        ),
        "probes-digits": ("The same: the digits network", lambda: of_probes(model, some)),
        "tolerances": (
            "NFE: change of the NLL of 8 digits by the tolerance, bits/dim",
            lambda: of_tolerances(model, images.pixels[:8], images.levels),
        ),
        "digits": ("The digits model", lambda: of_the_digits(model, count)),
    }
    environment = ", ".join(f"{key} {value}" for key, value in versions()["versions"].items())
    text = ["# Likelihood", f"One thread, {environment}.", " ".join(__doc__.split("\n\n")[2].split())]
    for key, (title, make) in sections.items():
        if only and key.split("-")[0] not in only:
            continue
        text += [f"## {title}", "\n".join(make())]
    click.echo("\n\n".join(text))
    if out:
        files.write_text(out, "\n\n".join(text) + "\n")


if __name__ == "__main__":
    main()
