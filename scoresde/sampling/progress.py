"""Progress of a work, as a bar or as lines; for sampling it is measured at the evaluations of the model."""

import os
import sys
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from tqdm.auto import tqdm

from ..core.parallel import leads
from ..sde import SDE
from .progress_lines import Lines

SHORT = "{desc}{percentage:3.0f}%|{bar}| {elapsed}{postfix}"
"""A bar without a rate, for parts of the whole that take very different times."""


def progress_bar(
    total: float | None,
    progress: bool | None = None,
    *,
    desc: str = "",
    unit: str = "image",
    lines: bool = True,
    log: Path | None = None,
    **options: Any,
) -> Any:
    """A bar in a terminal or a notebook, and lines elsewhere: a context with `update` and `set_postfix_str`.

    Lines are written to stderr after 3, 10 and 30 seconds and then each minute, as `Lines` has them. Of several
    processes only the first shows anything.

    Args:
        total: What there is to do, in units; None if that is not known.
        progress: Whether anything is shown; by default a bar where there is a terminal or a notebook, else lines.
        desc: What is being done, in a word or two.
        unit: What is counted.
        lines: Whether lines are written by default.
        log: A file that gets the lines, too, whatever is shown.
        options: Further ones of tqdm.
    """
    first, notebook = leads(), "ipykernel" in sys.modules
    screen, shown = notebook or _terminal(), first and progress is not False
    aloud = shown and not screen and bool(progress or lines) and sys.stderr is not None
    title = {"desc": f"{desc}: "} if desc else {}
    bar = tqdm(
        **{"total": total, "unit": unit, "disable": not (shown and screen), "bar_format": SHORT, **title, **options}
    )
    log = log if first else None
    return Lines(bar, desc, unit, aloud=aloud, log=log) if aloud or log else bar


def _terminal() -> bool:
    """Whether stderr is a terminal in which a bar has room: that of some containers has the width 0."""
    try:
        if sys.stderr is None or not sys.stderr.isatty():
            return False
    except ValueError:  # it is closed
        return False
    try:
        return os.get_terminal_size(sys.stderr.fileno()).columns > 0
    except (OSError, ValueError):
        return True


class Progress:
    """An observer that knows which share of the way from noise to data, or back, a batch has gone, in log-SNR.

    Args:
        sde: The process of the model.
        upwards: Whether the way leads from data to noise, as it does for latent codes and likelihoods.
        start: Time at which the way begins; by default an end of the process.
    """

    def __init__(self, sde: SDE, *, upwards: bool = False, start: float | None = None) -> None:
        first, last = (sde.t_min, sde.t_max) if upwards else (sde.t_max, sde.t_min)
        ends = sde.log_snr(torch.tensor([first if start is None else start, last], dtype=torch.float64))
        self.sde, self.upwards = sde, upwards
        self.first, self.last = float(ends[0]), float(ends[1])
        self.calls, self.share = 0, 0.0

    def __call__(self, x: Tensor, t: Tensor, eps: Tensor) -> None:
        self.calls += 1
        slowest = t.min() if self.upwards else t.max()
        share = (float(self.sde.log_snr(slowest)) - self.first) / (self.last - self.first)
        self.share = max(self.share, min(share, 1.0))


class ProgressBar(Progress):
    """An observer that moves a bar, one unit for each sample, and shows the number of evaluations beside it.

    Args:
        sde: The process of the model.
        bar: The bar, as `progress_bar` makes it.
        upwards: As for `Progress`.
        start: As for `Progress`.
    """

    def __init__(self, sde: SDE, bar: Any, *, upwards: bool = False, start: float | None = None) -> None:
        super().__init__(sde, upwards=upwards, start=start)
        self.bar, self.moved = bar, 0.0

    def __call__(self, x: Tensor, t: Tensor, eps: Tensor) -> None:
        super().__call__(x, t, eps)
        self.bar.set_postfix_str(f"NFE {self.calls}", refresh=False)
        self._move(self.share * len(x))

    def finish(self, rows: int) -> None:
        """Moves the bar to the end of a batch; the same observer then follows the next one.

        Args:
            rows: Samples of the batch.
        """
        self._move(float(rows))
        self.calls, self.share, self.moved = 0, 0.0, 0.0

    def _move(self, place: float) -> None:
        self.bar.update(min(place - self.moved, self.bar.total - self.bar.n))  # roundings must not exceed the whole
        self.moved = place
