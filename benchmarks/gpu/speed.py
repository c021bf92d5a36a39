"""Speed on a GPU: training and sampling in images per second, and what a solver adds to the network's own time.

    python benchmarks/gpu/speed.py --out benchmarks/results/gpu

The network is that of configs/cifar10.toml, 32x32, with fresh weights. Training: a plain loop (one batch after another
from the CPU, Adam, an average of the weights by a loop over them) beside `scoresde.training.loop`, each after a warm-up
that compiles. Sampling: dpm++ in 20 steps, and the same number of bare calls of the network; the solvers' own share is
the difference. Medians of rounds in which every variant has its turn; the spread is that of the rounds.
"""

import json
import statistics
import time
from collections.abc import Callable
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any

import click
import torch
from torch import Tensor

from scoresde.core.provenance import versions
from scoresde.core.random import generators, rand, seed_global, stream
from scoresde.data import Images
from scoresde.models.network import NetworkModel
from scoresde.sampling.sample import sample
from scoresde.solvers import solvers
from scoresde.training import config as configuration
from scoresde.training.loop import start, train

DEVICE = torch.device("cuda")


def seconds(run: Callable[[], Any]) -> float:
    torch.cuda.synchronize()
    began = time.perf_counter()
    run()
    torch.cuda.synchronize()
    return time.perf_counter() - began


def plain(images: Images, batch: int) -> Callable[[int], None]:
    """A training loop as one writes it in an afternoon, in float32."""
    config = configuration.load("cifar10", ["train.compile=false"])
    seed_global(0)
    net = config.network.build(images.shape).to(DEVICE)
    mean = [p.detach().clone() for p in net.parameters()]
    adam = torch.optim.Adam(net.parameters(), lr=2e-4)
    sde, at = config.sde, stream(0, "plain")

    def run(steps: int) -> None:
        for _ in range(steps):
            index = (rand((batch,), at) * len(images)).long()
            x = (images.pixels[index].float() / 127.5 - 1).to(DEVICE)
            t = rand((batch,), at).to(DEVICE).clamp_min(1e-5)
            z = torch.randn_like(x)
            alpha, sigma = (v(t)[:, None, None, None].to(x) for v in (sde.alpha, sde.sigma))
            value = (net(alpha * x + sigma * z, 999 * t) - z).square().mean()
            adam.zero_grad()
            value.backward()
            torch.nn.utils.clip_grad_norm_(net.parameters(), 1.0)
            adam.step()
            with torch.no_grad():
                for m, p in zip(mean, net.parameters(), strict=True):
                    m.lerp_(p, 1e-4)

    return run


def ours(images: Images, batch: int, *options: str) -> Callable[[int], None]:
    config = configuration.load("cifar10", [f"train.batch={batch}", "train.images=1_000_000_000", *options])
    steps = train(config, images, start(config, images.shape, DEVICE))

    def run(count: int) -> None:
        for _ in islice(steps, count):
            pass

    return run


def training(rounds: int) -> list[dict[str, Any]]:
    pixels = (256 * rand((50_000, 3, 32, 32), stream(0, "pixels"))).to(torch.uint8)
    images = Images(pixels)
    eager = "train.compile=false"
    variants = {("plain loop", 512): plain(images, 512)}
    variants["scoresde float32", 512] = ours(images, 512, eager, "train.precision=float32")
    variants["scoresde bfloat16", 512] = ours(images, 512, eager)
    variants["scoresde bfloat16 compiled", 512] = ours(images, 512)
    for run in variants.values():
        run(5)
    times: dict[Any, list[float]] = {key: [] for key in variants}
    for _ in range(rounds):
        for (name, batch), run in variants.items():
            steps = 5_120 // batch
            times[name, batch].append(steps * batch / seconds(partial(run, steps)))
    return [
        {"what": name, "batch": batch, "images_per_s": statistics.median(v), "low": min(v), "high": max(v)}
        for (name, batch), v in times.items()
    ]


def model(dtype: torch.dtype, compiled: bool) -> NetworkModel:
    config = configuration.load("cifar10", ["train.compile=false"])
    found = start(config, (3, 32, 32), DEVICE).ema.to(dtype)
    if compiled:
        found.net.compile()
    return found


def bare(network: NetworkModel, x: Tensor, calls: int) -> None:
    dtype = next(network.net.parameters()).dtype
    label = torch.full((len(x),), 500.0, device=DEVICE)
    x = x.to(dtype)
    with torch.no_grad():
        for _ in range(calls):
            network.net(x, label)


def sampling(rounds: int) -> list[dict[str, Any]]:
    rows, solver = [], solvers["dpm++"](steps=20)
    for dtype, compiled in ((torch.float32, False), (torch.bfloat16, False), (torch.bfloat16, True)):
        network = model(dtype, compiled)
        for batch in (64, 512):
            x = network.prior(generators(range(batch)))
            nfe = sample(network, solver, x).nfe
            bare(network, x, 3)
            drawn, forward = partial(sample, network, solver, x), partial(bare, network, x, nfe)
            pairs = [(seconds(drawn), seconds(forward)) for _ in range(rounds)]
            whole = statistics.median(a for a, _ in pairs)
            rows.append(
                {
                    "what": f"{str(dtype).removeprefix('torch.')}{' compiled' * compiled}",
                    "batch": batch,
                    "images_per_s": batch / whole,
                    "ms_per_nfe": 1000 * whole / nfe,
                    "above_network": statistics.median(a / b for a, b in pairs) - 1,
                }
            )
    return rows


def tables(done: dict[str, Any]) -> str:
    lines = ["# Speed on a GPU", "", f"{done['device']}, torch {done['versions']['torch']}; {done['network']}.", ""]
    lines += ["| training | batch | images/s | rounds |", "|---|---|---|---|"]
    for r in done["training"]:
        lines.append(f"| {r['what']} | {r['batch']} | {r['images_per_s']:,.0f} | {r['low']:,.0f} to {r['high']:,.0f} |")
    lines += ["", "| sampling, dpm++ in 20 steps | batch | images/s | ms per NFE | above the bare network |"]
    lines.append("|---|---|---|---|---|")
    for r in done["sampling"]:
        cells = [r["what"], r["batch"], f"{r['images_per_s']:,.0f}", f"{r['ms_per_nfe']:.2f}"]
        lines.append("| " + " | ".join(map(str, [*cells, f"{r['above_network']:+.1%}"])) + " |")
    return "\n".join(lines) + "\n"


@click.command(help=__doc__)
@click.option("--rounds", default=5, show_default=True)
@click.option("--out", type=click.Path(path_type=Path), required=True)
def main(rounds: int, out: Path) -> None:
    count = sum(p.numel() for p in model(torch.float32, False).parameters())
    done = {"device": torch.cuda.get_device_name(), "network": f"a U-Net of {count:,} parameters", **versions()}
    done |= {"rounds": rounds, "training": training(rounds), "sampling": sampling(rounds)}
    out.mkdir(parents=True, exist_ok=True)
    (out / "speed.json").write_text(json.dumps(done, indent=2) + "\n", encoding="utf-8")
    (out / "speed.md").write_text(tables(done), encoding="utf-8")
    click.echo(tables(done))


if __name__ == "__main__":
    main()
