"""A training's figures for TensorBoard, which is an extra."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from PIL.Image import Image

from .errors import UsageError


class Board:
    """Writes figures and sheets of a run where TensorBoard reads them, over the images seen.

    Args:
        images: Images seen so far; what a run that was killed has written after them is hidden.

    Raises:
        UsageError: TensorBoard is not installed.
    """

    def __init__(self, folder: Path, images: int) -> None:
        try:
            from torch.utils.tensorboard import SummaryWriter
        except ImportError:
            raise UsageError(
                "train.tensorboard = true needs another package: pip install 'scoresde[tensorboard]'"
            ) from None
        self.writer: Any = SummaryWriter(folder / "tensorboard", purge_step=images + 1)

    def add(self, row: Mapping[str, Any]) -> None:
        """The numbers of a line of metrics.jsonl, a list as one curve for each of its places."""
        for name, value in row.items():
            values = {f"{name}/{i}": v for i, v in enumerate(value)} if isinstance(value, list) else {name: value}
            for curve, number in values.items():
                if isinstance(number, int | float) and name not in ("step", "images"):
                    self.writer.add_scalar(curve, number, row["images"])
        self.writer.flush()

    def show(self, sheet: Image, images: int) -> None:
        """A sheet of samples."""
        self.writer.add_image("samples", np.asarray(sheet), images, dataformats="HWC")
        self.writer.flush()
