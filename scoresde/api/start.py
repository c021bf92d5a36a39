"""Sampling that starts from given data with added noise instead of pure noise."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ..core.errors import DataError, UsageError
from ..core.random import Generators
from ..data.recipes import loaded, trained_on
from ..images import sheets
from ..images.read import read_squares
from ..models.base import Observer, ScoreModel
from ..models.latent import coded, data_shape
from ..models.network import NetworkModel
from ..models.output import denoised
from ..models.record import recipe
from ..sampling.sample import noised_to
from ..sde import expand, share_of, time_at
from .inputs import pictures

SHARE, PICTURE = "0.5", "start.png"
"""To which share of the process data are noised by default, and the file that shows the beginning."""
SHOWN = 8
"""Samples in the picture of the beginning."""


@dataclass
class Start:
    """Where samples begin, and what one evaluation makes of that."""

    names: tuple[str, ...]
    """Where the data come from."""
    data: Tensor
    """In the units of the network, (B, *); sample i begins with number i mod B."""
    share: float
    """How much of the process lies before `time`."""
    time: float
    """To which the data are noised."""
    drawable: bool
    """Whether the samples are pictures."""
    seen: dict[int, tuple[Tensor, Tensor]] = field(default_factory=dict)
    """x_t/√(α² + σ²) and E[x_0 | x_t] of the samples of a batch, each (B, *), by the number of the first of them."""

    def state(self, model: ScoreModel, rows: range, sources: Generators) -> Tensor:
        """x_t of some samples, (B, *).

        Args:
            model: The model.
            rows: Their numbers.
            sources: Of their noise, one for each.
        """
        return noised_to(model, self.rows(rows), self.time, sources)

    def rows(self, rows: range) -> Tensor:
        """The data that some samples begin with, (B, *).

        Args:
            rows: Their numbers.
        """
        return self.data[[row % len(self.data) for row in rows]]

    def watch(self, model: ScoreModel, rows: range) -> Observer:
        """What keeps the first evaluation of a batch, which is that of x_t.

        Args:
            model: The model.
            rows: The numbers of the samples of the batch.
        """
        self.seen.pop(rows[0], None)  # of a batch that did not fit into the memory

        def keep(x: Tensor, t: Tensor, eps: Tensor) -> None:
            if rows[0] not in self.seen:
                seen = x / expand(model.sde.scale(t), x)
                self.seen[rows[0]] = seen.cpu(), denoised(model.sde, x, t, eps).cpu()

        return keep

    def written(
        self,
        place: Path,
        samples: Tensor,
        seen: Mapping[int, tuple[Tensor, Tensor]],
        as_data: Callable[[Tensor], Tensor],
    ) -> dict[str, Any]:
        """What samples.json says of the beginning; start.png shows it, if the samples are pictures.

        Args:
            place: The folder.
            samples: All samples, as data.
            seen: `seen` of all processes.
            as_data: What makes data of the states of the network.
        """
        truth = as_data(self.rows(range(len(samples))).cpu())
        noisy, predicted = (as_data(torch.cat([seen[row][k] for row in sorted(seen)])) for k in (0, 1))
        rows = {"picture": truth, f"x_t, t = {self.time:.3g}": noisy, "predicted x_0": predicted, "x_0": samples}
        if self.drawable:
            shown = {label: x[:SHOWN] for label, x in rows.items()}
            sheets.save(sheets.labelled(shown, zoom=sheets.zoom_for(*samples.shape[-2:])), place / PICTURE)
        off = {"predicted": rms(predicted, truth), "samples": rms(samples, truth)}
        return {"start": {"from": list(self.names), "share": self.share, "time": self.time, "rms": off}}


def rms(x: Tensor, y: Tensor) -> float:
    """The root mean square of x - y.

    Args:
        x: Numbers.
        y: As many.
    """
    return float((x.double() - y.double()).square().mean().sqrt())


def begun(names: tuple[str, ...], text: str | None, model: NetworkModel, folder: Path) -> Start | None:
    """Where samples begin, or None for pure noise.

    Args:
        names: Pictures, as `given` takes them.
        text: The share of the process to which they are noised, as `share_of` takes it; None is a half.
        model: The model.
        folder: Its folder.

    Raises:
        UsageError: A name or the time cannot be read, or there is a time without data.
        DataError: A picture or the data cannot be read.
    """
    if not names:
        if text is not None:
            raise UsageError("a start time needs a start: say which picture the samples begin with")
        return None
    share = share_of(SHARE if text is None else text)
    if not share:
        raise UsageError("a start time of 0 leaves the picture as it is: give a share above 0, such as 0.3")
    x = torch.cat([given(name, model, folder) for name in names])
    return Start(names, x.to(model.device), share, time_at(model.sde, share), pictures(model))


def given(name: str, model: NetworkModel, folder: Path) -> Tensor:
    """A picture file, or with "data:INDEX" one of the data held out from training, as the network takes it, (1, *).

    Args:
        name: The file, or such a text.
        model: The model.
        folder: Its folder, which says what it was trained on.

    Raises:
        UsageError: There is no such number, or the model makes no pictures.
        DataError: The picture or the data cannot be read.
    """
    kind, _, index = name.partition(":")
    if kind == "data" and index.isdecimal():
        came = recipe(folder)
        held = loaded(trained_on(came, folder.name), "test", came, folder.name)
        if int(index) >= len(held):
            raise UsageError(f"there is no {name}: the test data are numbered from 0 to {len(held) - 1}")
        return coded(model, held.scaled(slice(int(index), int(index) + 1)).to(model.device))
    shape = data_shape(model)
    if not pictures(model):
        raise UsageError(f"the samples of {folder.name} are no pictures: begin with one of its data, such as data:0")
    if shape[1] != shape[2]:
        raise DataError(f"pictures are cut to squares, and the model makes images of {shape[1]}x{shape[2]}")
    return coded(model, read_squares([Path(name)], shape[1], shape[0]).to(model.device))
