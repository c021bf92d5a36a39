"""How `scoresde likelihood` measures and what it notes: progress, the figure's parts, the bound's terms."""

import dataclasses
import math
from typing import Any

import torch
from torch import Tensor
from tqdm.auto import tqdm

from ..core.random import stream
from ..data import Images
from ..likelihood import NLL, chain, vlb
from ..likelihood.flow import angle
from ..likelihood.steps import Variance
from ..models.base import NetworkModel
from ..sde import SDE


class Bar:
    """An observer that shows how much of the way from data to noise the batches have gone."""

    def __init__(self, sde: SDE, eps: float, bar: Any) -> None:
        ends = angle(sde, torch.tensor([eps, sde.t_max], dtype=torch.float64)).tolist()
        self.sde, self.first, self.last, self.bar = sde, ends[0], ends[1], bar
        self.calls, self.shown, self.whole = 0, 0.0, 0.0

    def __call__(self, x: Tensor, t: Tensor, eps: Tensor) -> None:
        self.calls += 1
        share = (float(angle(self.sde, t.min())) - self.first) / (self.last - self.first)
        self.bar.set_postfix_str(f"NFE {self.calls}", refresh=False)
        self._show(self.whole + share * len(x))

    def finish(self, rows: int) -> None:
        """A batch of that many rows is done."""
        self.whole += rows
        self._show(self.whole)

    def _show(self, place: float) -> None:
        self.bar.update(max(0.0, place - self.shown))
        self.shown = max(self.shown, place)


def record_of(found: NLL) -> dict[str, Any]:
    """An NLL as a record; what is not known is None."""
    values = {"bits_per_dim" if k == "value" else k: v for k, v in dataclasses.asdict(found).items() if k != "images"}
    return {k: None if isinstance(v, float) and math.isnan(v) else v for k, v in values.items()}


def variational(
    network: NetworkModel,
    images: Images,
    known: Tensor | None,
    steps: int,
    variance: Variance,
    seed: int,
    batch: int,
    quiet: bool,
) -> dict[str, Any]:
    """The terms of the variational bound of the process at `steps` noise levels, means over the images.

    Args:
        known: Where pixels are known, (N, 1, H, W), for a network trained to inpaint.
    """
    alphas_cumprod, parts = chain(network.sde, steps), []
    total = len(images) * steps
    with tqdm(total=total, unit="step", disable=quiet or None, bar_format="{l_bar}{bar}| {elapsed}") as bar:
        for first in range(0, len(images), batch):
            part = slice(first, first + batch)
            pixels = images.pixels[part]
            sources = [stream(seed, "vlb", first + i) for i in range(len(pixels))]
            parts.append(
                vlb(
                    network,
                    pixels,
                    levels=images.levels,
                    known=None if known is None else known[part],
                    alphas_cumprod=alphas_cumprod,
                    variance=variance,
                    generator=sources,
                    progress=bar.update,
                )
            )
    each = torch.cat([part.total for part in parts])
    by_step = torch.cat([part.diffusion for part in parts], dim=1).mean(1)
    return {
        "chain": f"{steps} steps, variance {variance}",
        "bits_per_dim": each.mean().item(),
        "standard_error": each.std().item() / math.sqrt(len(each)) if len(each) > 1 else None,
        "prior": torch.cat([part.prior for part in parts]).mean().item(),
        "diffusion": by_step.sum().item(),
        "decoder": torch.cat([part.decoder for part in parts]).mean().item(),
        "nfe": parts[0].nfe,
        "diffusion_by_step": by_step.tolist(),
    }
