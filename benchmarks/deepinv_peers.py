"""The conditioners beside DDRM, DiffPIR, DPS and PiGDM of deepinv, on the same models, at equal evaluations.

    python -m venv --system-site-packages peers && peers/bin/pip install deepinv
    peers/bin/python benchmarks/deepinv_peers.py --out benchmarks/results/deepinv.md

deepinv (BSD-3) is no dependency of scoresde. Its methods are run as its documentation has them, with their default
options, on a denoiser D(u, s) made of our model: pictures u = (x + 1)/2 and noise s = σ/(2 α). Nothing is tuned to the
problems, on either side. Two parts: mixtures, whose posterior is known, and the bundled network of digits.
"""

import math
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean

import click
import torch
from scipy.stats import t as student
from torch import Tensor

from scoresde import models
from scoresde.bench.conditional.judge import Judge
from scoresde.bench.conditional.measurements import Measurements
from scoresde.bench.conditional.spec import PosteriorSpec
from scoresde.bench.estimates import bootstrap
from scoresde.conditioners import conditioners
from scoresde.core import files
from scoresde.core.provenance import versions
from scoresde.core.random import generators, stream
from scoresde.data import data
from scoresde.models.base import ScoreModel
from scoresde.observations import Downsample, GaussianBlur, LinearObservation, Pixels, covariance
from scoresde.observations.mixture import clustered
from scoresde.posterior import store
from scoresde.sampling.sample import sample
from scoresde.solvers import solvers

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # those of its own dependencies
    import deepinv

NOISE = 0.05
Peer = Callable[[torch.nn.Module, Tensor, torch.nn.Module, float, int], Tensor]
"""Samples of a denoiser given y and the physics of deepinv, with a noise and a number of evaluations."""


class Denoiser(torch.nn.Module):
    """D(u, s) = E[u_0 | u_0 + s z] of a model of pictures x = 2 u - 1, and how often it was asked."""

    def __init__(self, model: ScoreModel) -> None:
        super().__init__()
        self.inner, self.calls = model, 0

    def forward(self, u: Tensor, sigma: Tensor | float, *args: object, **kwargs: object) -> Tensor:
        self.calls += 1
        sde = self.inner.sde
        ends = [float(sde.log_snr(torch.tensor([end], dtype=torch.float64))) for end in (sde.t_max, sde.t_min)]
        level = 2 * float(torch.as_tensor(sigma).flatten()[0])
        log_snr = min(max(-math.log(max(level, 1e-9)), ends[0]), ends[1])
        t = sde.time(torch.tensor([log_snr], dtype=torch.float64)).expand(len(u))
        alpha = float(sde.alpha(t)[0])
        return ((self.inner.denoise(alpha * (2 * u - 1), t) + 1) / 2).to(u)


class Physics(deepinv.physics.DecomposablePhysics):  # type: ignore[misc]
    """A linear observation by its singular values: u ↦ A u, in as many numbers as u has."""

    def __init__(self, seen: LinearObservation, shape: tuple[int, ...], noise: float) -> None:
        size = math.prod(shape)
        a = seen.forward(torch.eye(size, dtype=torch.float64).reshape(-1, *shape)).flatten(1).T
        left, values, right = torch.linalg.svd(a, full_matrices=True)
        rows = min(a.shape)
        mask = torch.zeros(size)
        mask[:rows] = values
        left, right = left[:, :rows].float(), right.float()

        def up(y: Tensor) -> Tensor:
            return torch.nn.functional.pad(y @ left.to(y), (0, size - rows))

        super().__init__(
            U=lambda z: z[:, :rows] @ left.T.to(z),
            U_adjoint=up,
            V=lambda z: (z @ right.to(z)).reshape(-1, *shape),
            V_adjoint=lambda x: x.flatten(1) @ right.T.to(x),
            mask=mask[None],
            noise_model=deepinv.physics.GaussianNoise(noise),
        )


def ddrm(net: torch.nn.Module, y: Tensor, physics: torch.nn.Module, noise: float, steps: int) -> Tensor:
    """As its example: noise from 1 to 0."""
    return deepinv.sampling.DDRM(net, sigmas=torch.linspace(1, 0, steps).numpy())(y, physics)


def diffpir(net: torch.nn.Module, y: Tensor, physics: torch.nn.Module, noise: float, steps: int) -> Tensor:
    """With the noise of the measurement."""
    method = deepinv.sampling.DiffPIR(net, deepinv.optim.data_fidelity.L2(), sigma=noise, max_iter=steps)
    return method(y, physics)


def dps(net: torch.nn.Module, y: Tensor, physics: torch.nn.Module, noise: float, steps: int) -> Tensor:
    """Its ancestral solver."""
    return deepinv.sampling.DPS(net, num_steps=steps)(y, physics)


def pigdm(net: torch.nn.Module, y: Tensor, physics: torch.nn.Module, noise: float, steps: int) -> Tensor:
    """Its variance-preserving process with DDIM's solver."""
    method = deepinv.sampling.DPS(net, solver="ddim", num_steps=steps)
    method.data_fidelity = deepinv.sampling.PiGDMDataFidelity(net, cg_max_iter=50)
    return method(y, physics)


PEERS: dict[str, Peer] = {"DDRM": ddrm, "DiffPIR": diffpir, "DPS": dps, "PiGDM": pigdm}


def theirs(
    model: ScoreModel, peer: Peer, seen: LinearObservation, y: Tensor, steps: int, seed: int
) -> tuple[Tensor, int]:
    """Samples in [-1, 1], one for each row of y, and the evaluations that they took."""
    net, shape = Denoiser(model), model.shape
    physics = Physics(seen, shape, seen.noise / 2)
    grey = seen.forward(torch.ones(1, *shape).to(y)).flatten(1)
    torch.manual_seed(seed)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        x = peer(net, ((y.flatten(1) + grey) / 2).float(), physics, seen.noise / 2, steps)
    return 2 * x.detach().double() - 1, net.calls


@dataclass(frozen=True)
class Row:
    """One line of a table."""

    method: str
    nfe: int
    vjps: int
    draw: Callable[[LinearObservation, Tensor, int], Tensor]


def ours(model: ScoreModel, name: str, options: dict[str, object], solver: str) -> Row:
    """A conditioner of scoresde."""
    steps = solvers.parse(solver).steps

    def draw(seen: LinearObservation, y: Tensor, seed: int) -> Tensor:
        sources = generators(range(seed, seed + len(y)))
        around = conditioners[name](**options).condition(model, seen, y, sources)
        return sample(around, solvers.parse(solver), around.prior(sources, dtype=y.dtype), generator=sources).x.double()

    return Row(f"`{name}`, `{solver}`", steps + 1, (steps + 1) * (name == "moment"), draw)


def rows(model: ScoreModel, own: list[Row], counts: list[int]) -> Iterator[Row]:
    """Our rows, then deepinv's at each number of evaluations."""
    yield from own
    for name, peer in PEERS.items():
        for steps in counts:
            yield Row(
                f"deepinv {name}",
                steps,
                steps * (name in ("DPS", "PiGDM")),
                lambda seen, y, seed, peer=peer, steps=steps: theirs(model, peer, seen, y, steps, seed)[0],
            )


def mixtures(count: int, measurements: int, counts: list[int]) -> Iterator[str]:
    """Lines of the table of known posteriors."""
    for task in ("inpaint", "downsample", "blur"):
        spec = PosteriorSpec(
            count=count, measurements=measurements, others=0,
            problem=[f"colour16:task={task},noise={NOISE}"], method=["covariance dpm++"],
        )  # fmt: skip
        known = Measurements(spec.problem[0], spec)
        judges = [Judge(group) for group in known.groups]
        images = known.model.draw(4096, stream(0, "images", known.problem.title))
        sigma, parts = covariance.estimate(images, "full"), clustered(images, 32, "full")
        own = [
            ours(known.model, "covariance", {"covariance": sigma}, "dpm++:steps=19"),
            ours(known.model, "mixture", {"covariance": parts}, "dpm++:steps=19"),
            ours(known.model, "oracle", {}, "dpm++:steps=19"),
        ]
        for row in rows(known.model, own, counts):
            found = []
            for number, (group, judge) in enumerate(zip(known.groups, judges, strict=True)):
                y = group.y[:1].expand(count, *group.y.shape[1:])
                found.append(judge.values(row.draw(group.observation, y, 1000 * number)))
            names = ("SW/floor", "mode TV", "residual")
            cells = [over_measurements([one[name] for one in found]) for name in names]
            yield f"| {task} | {row.method} | {row.nfe} | {row.vjps} | {' | '.join(cells)} |"


def over_measurements(values: list[float]) -> str:
    """Mean [95 % interval], by bootstrap."""
    if not all(map(math.isfinite, values)):
        return "failed"
    found = bootstrap("", values, 1.0)
    return f"{found.value:.3g} [{found.low:.3g}, {found.high:.3g}]"


def digits(images: int, draws: int, counts: list[int]) -> Iterator[str]:
    """Lines of the table of digits: the energy score, the error of a sample and of the mean, all beside the truth."""
    model, truth = models.load("digits"), data["digits"]().load("test").scaled()[:images]
    hole = torch.ones(8, 8)
    hole[2:6, 2:6] = 0
    tasks: dict[str, LinearObservation] = {
        "hole of 4x4": Pixels(hole, NOISE),
        "means of 2x2": Downsample(factor=2, noise=NOISE),
        "means of 4x4": Downsample(factor=4, noise=NOISE),
        "blur": GaussianBlur(sigma=1.0, noise=NOISE),
    }
    own = [
        ours(model, "covariance", {"covariance": store.load("digits", "dct")}, "dpm++:steps=19"),
        ours(
            model,
            "mixture",
            {"covariance": clustered(data["digits"]().load("train").scaled(), 32, "dct")},
            "dpm++:steps=19",
        ),
    ]
    for task, seen in tasks.items():
        y = seen.measure(truth, stream(0, "noise", task))
        for row in rows(model, own, counts):
            x = torch.stack([row.draw(seen, y, 10_000 * k) for k in range(draws)])
            if not bool(torch.isfinite(x).all()):
                yield f"| {task} | {row.method} | {row.nfe} | {row.vjps} | failed | failed | failed |"
                continue
            size, pairs = math.sqrt(truth[0].numel()), math.comb(draws, 2)
            errors = (x - truth).flatten(2).norm(dim=2) / size
            apart = sum((x[i] - x[j]).flatten(1).norm(dim=1) for i in range(draws) for j in range(i)) / pairs / size
            mean = (x.mean(0) - truth).flatten(1).norm(dim=1) / size
            cells = [interval(values.tolist()) for values in (errors.mean(0) - apart / 2, errors.mean(0), mean)]
            yield f"| {task} | {row.method} | {row.nfe} | {row.vjps} | {' | '.join(cells)} |"


def interval(values: list[float]) -> str:
    """Mean ± half-width of its 95 % interval over pictures."""
    v = torch.tensor(values, dtype=torch.float64)
    return f"{fmean(values):.3f} ± {float(student.ppf(0.975, len(v) - 1) * v.std() / math.sqrt(len(v))):.3f}"


@click.command()
@click.option("--count", default=256, help="Samples for each measurement of a mixture.")
@click.option("--measurements", default=24, help="Measurements of each mixture.")
@click.option("--images", default=64, help="Digits.")
@click.option("--draws", default=4, help="Samples of each digit.")
@click.option("--evaluations", default="20,100", help="Of deepinv's methods.")
@click.option("--out", type=click.Path(path_type=Path), help="Markdown file.")
def main(count: int, measurements: int, images: int, draws: int, evaluations: str, out: Path | None) -> None:
    counts = [int(n) for n in evaluations.split(",")]
    tables = [
        ("| problem | method | NFE | VJPs | SW/floor | mode TV | residual |", mixtures(count, measurements, counts)),
        (
            "| problem | method | NFE | VJPs | energy score | error of a sample | of the mean |",
            digits(images, draws, counts),
        ),
    ]
    parts = []
    for head, lines in tables:
        parts.append([head, "|---|---|---|---|---|---|---|"])
        for line in lines:
            parts[-1].append(line)
            click.echo(line)
    used = ", ".join(f"{name} {version}" for name, version in versions()["versions"].items())
    text = f"""# Beside deepinv

`python benchmarks/deepinv_peers.py --count {count} --measurements {measurements} --images {images} --draws {draws}
--evaluations {evaluations}`, with deepinv {deepinv.__version__}, {used}, seed 0.

Exact scores of colour16, σ_y = {NOISE}, {measurements} measurements, {count} samples of each; 95 % intervals over the
measurements. SW/floor is 1 for exact draws, and so is the residual, nearly.

{chr(10).join(parts[0])}

The bundled network of digits, {images} test images, {draws} samples of each, σ_y = {NOISE}; root mean squares in
[-1, 1], ± 95 % over images. The energy score is least for samples of the posterior; the error of the mean for its mean.

{chr(10).join(parts[1])}
"""
    if out:
        files.write_text(out, text)


if __name__ == "__main__":
    main()
