"""The result of sampling: samples and their cost, with methods to show and save them."""

import base64
import html
import io
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean
from typing import Self

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from ..core.errors import UsageError
from ..core.files import write, write_json
from ..core.folders import result
from ..core.provenance import versions
from ..images import sheets
from ..images.drawings import drawing

SHOWN = 64
"""Pictures that a notebook shows."""
POINTS = 5000
"""Vectors that a notebook shows."""


@dataclass(frozen=True, eq=False, repr=False)
class Samples:
    """Samples and their cost. A notebook shows them as an image, with the cost below.

    Example:
        >>> import scoresde
        >>> scoresde.sample("digits", "euler", n=4, steps=5).nfe
        6
    """

    x: Tensor
    """(B, *), at the time where the solver ended."""
    nfe: float
    """Sequential evaluations of the model by the whole batch, the final denoising included; of several batches the
    mean, in which only adaptive solvers differ.
    """
    work: float
    """Evaluations per sample; it differs from nfe only if the model is called with another batch."""
    seconds: float
    """Wall-clock time."""
    info: Mapping[str, float]
    """What the solver alone knows: steps and rejected steps, means over the samples."""
    vjps: float = 0
    """Sequential vector-Jacobian products of the model, which some conditioners take."""
    solver: str = ""
    """The solver with its options, as text; empty if it is not known."""
    seeds: Sequence[int] = ()
    """The seed of each sample, or none if they were drawn from streams."""
    numbers: bool = False
    """Whether x is in units of the data's own, so that even (B, 1|3, H, W) are no pictures."""
    misfit: Sequence[float] = ()
    """rms(y - A x)/σ_y of each sample of p(x | y), 1 for exact draws; of an exact y rms(y - A x)/rms(y), which is 0.
    Empty where nothing was measured.
    """
    latents: Tensor | None = None
    """What x was decoded from, (B, *); None where x is what the solver ended with."""

    @property
    def cost(self) -> float:
        """nfe + 2 vjps: a backward pass costs about two forward ones."""
        return self.nfe + 2 * self.vjps

    @property
    def pictures(self) -> bool:
        """Whether the samples are images of 1 or 3 channels, (B, 1|3, H, W)."""
        return not self.numbers and self.x.ndim == 4 and self.x.shape[1] in (1, 3)

    @property
    def images(self) -> Tensor:
        """The samples as uint8 with 256 grey levels, (B, C, H, W), for metrics, `fit` and `bits_per_dim`.

        Raises:
            UsageError: They are not images.
        """
        return sheets.to_uint8(self._drawable())

    def sheet(self, columns: int | None = None, *, zoom: int | None = None) -> Image.Image:
        """All pictures in a grid.

        Args:
            columns: Images per row; by default as many as there are rows.
            zoom: Factor of enlargement; by default images get sides of about 64.

        Raises:
            UsageError: The samples are not images.
        """
        x = self._drawable()
        return sheets.sheet(x, columns, zoom=sheets.zoom_for(*x.shape[-2:]) if zoom is None else zoom)

    def save(self, folder: str | Path) -> Path:
        """Saves the samples to a folder, which is created if needed, and returns it. Earlier samples are replaced.

        The folder gets one PNG per sample, named by its seed, or samples.npz with the array `samples` if they are not
        images; sheet.png with all of them; and samples.json with their cost.

        Args:
            folder: The folder.

        Raises:
            UsageError: The folder cannot be written to, or a file of the same name there was not saved by this.
            ResourceError: The disk is full.
        """
        target = Path(folder)
        with result(target, "samples.json", names_of(self._numbers, self.pictures)) as place:
            self.write(place)
            record = {
                "solver": self.solver,
                "shape": list(self.x.shape),
                "seeds": list(self.seeds),
                **{key: getattr(self, key) for key in ("nfe", "vjps", "work", "seconds")},
                "info": dict(self.info),
                **({"misfit": list(self.misfit)} if self.misfit else {}),
                **versions(),
            }
            write_json(place / "samples.json", record)
        return target

    def write(self, place: Path) -> None:
        """Writes the samples alone into a folder, as `save` does.

        Args:
            place: The folder, whose files of the same names are written over.
        """
        sheet, *names = names_of(self._numbers, self.pictures)
        if self.pictures:
            for name, image in zip(names, self.x, strict=True):
                sheets.save(sheets.single(image), place / name)
        else:
            write(place / names[0], self._array)
        if self.x.ndim > 1 and self.x.numel():
            sheets.save(drawing(self.x, own_range=self.numbers), place / sheet)

    @classmethod
    def joined(cls, parts: Sequence[Self]) -> Self:
        """The samples of several batches as one, on the CPU.

        Seconds are added, nfe and vjps are means over the batches, work and what the solver says over the samples, but
        for the lowest of a number, which is that of all.

        Args:
            parts: At least one batch.
        """
        sizes = [len(part.x) for part in parts]
        latents = [part.latents.cpu() for part in parts if part.latents is not None]
        return cls(
            x=torch.cat([part.x.cpu() for part in parts]),
            nfe=_mean([part.nfe for part in parts]),
            work=_mean([part.work for part in parts], sizes),
            seconds=math.fsum(part.seconds for part in parts),
            info={key: _said(key, [part.info[key] for part in parts], sizes) for key in parts[0].info},
            vjps=_mean([part.vjps for part in parts]),
            solver=parts[0].solver,
            seeds=[seed for part in parts for seed in part.seeds],
            numbers=parts[0].numbers,
            misfit=[value for part in parts for value in part.misfit],
            latents=torch.cat(latents) if latents else None,
        )

    def __len__(self) -> int:
        return len(self.x)

    def __repr__(self) -> str:
        by = f" by {self.solver}" if self.solver else ""
        products = f", {self.vjps:g} products" if self.vjps else ""
        shape = " x ".join(map(str, self.x.shape[1:]))
        return f"Samples({len(self.x)} of {shape}{by}: {self.nfe:.4g} NFE{products}, {self.seconds:.2f} s)"

    def _repr_html_(self) -> str | None:
        """A drawing of the first samples with the cost below, for notebooks; None leaves it at the text."""
        if self.x.ndim < 2 or not self.x.numel():
            return None
        most = SHOWN if self.x.ndim > 2 else POINTS
        x, png = self.x[:most], io.BytesIO()
        drawing(x, own_range=self.numbers).save(png, format="PNG")
        note = f", the first {most} are shown" if len(self.x) > most else ""
        return (
            f'<figure style="margin:0"><img style="max-width:100%" alt="{len(x)} samples" '
            f'src="data:image/png;base64,{base64.b64encode(png.getvalue()).decode()}">'
            f"<figcaption>{html.escape(repr(self))}{note}</figcaption></figure>"
        )

    @property
    def _numbers(self) -> Sequence[int]:
        """What the samples are named by."""
        return self.seeds or range(len(self.x))

    def _array(self, path: Path) -> None:
        with path.open("wb") as file:  # to a path without the ending .npz, numpy would add it
            np.savez(file, samples=self.x.detach().cpu().numpy())

    def _drawable(self) -> Tensor:
        if not self.pictures:
            raise UsageError(f"samples of shape {tuple(self.x.shape)} are no pictures, which are (B, 1|3, H, W): use x")
        return self.x


def names_of(seeds: Iterable[int], pictures: bool) -> list[str]:
    """The files that samples are written to: a sheet, and one for each picture, or one for all that are none.

    Args:
        seeds: What each sample is named by.
        pictures: Whether they are pictures.
    """
    return ["sheet.png", *([f"{seed:06d}.png" for seed in seeds] if pictures else ["samples.npz"])]


def _said(name: str, values: Sequence[float], sizes: Sequence[int]) -> float:
    """A number of the solver for several batches; such as `lowest_ess` it is the lowest, else the mean."""
    return min(values) if name.startswith("lowest") else _mean(values, sizes)


def _mean(values: Sequence[float], weights: Sequence[int] | None = None) -> float:
    return values[0] if len(set(values)) == 1 else fmean(values, weights)  # a whole number stays one
