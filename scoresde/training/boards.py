"""Figures of a training for TensorBoard and Weights & Biases, which are extras."""

import logging
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from PIL.Image import Image

from ..core import files
from ..core.errors import UsageError

IDENTITY = "wandb-id"
"""File of a run folder with the run's name at Weights & Biases."""


class Board(ABC):
    """A further place for a run's figures and sheets, over the images seen."""

    @abstractmethod
    def add(self, row: Mapping[str, Any]) -> None:
        """Adds the numbers of a line of metrics.jsonl. A list makes one curve for each of its entries.

        Args:
            row: The line.
        """

    @abstractmethod
    def show(self, name: str, sheet: Image, images: int) -> None:
        """Adds a sheet.

        Args:
            name: What it shows.
            sheet: The picture.
            images: Images seen so far.
        """

    @abstractmethod
    def close(self, failed: bool) -> None:
        """Ends the writing.

        Args:
            failed: Whether an error ended the training.
        """


class TensorBoard(Board):
    """A board in the run folder, for TensorBoard to read.

    Args:
        folder: The run folder.
        images: Images seen so far. What a killed run has written beyond them is hidden.

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
        for name, number in curves(row).items():
            self.writer.add_scalar(name, number, row["images"])
        self.writer.flush()

    def show(self, name: str, sheet: Image, images: int) -> None:
        self.writer.add_image(name, np.asarray(sheet), images, dataformats="HWC")
        self.writer.flush()

    def close(self, failed: bool) -> None:
        self.writer.close()


class Wandb(Board):
    """A board at Weights & Biases, or with WANDB_MODE=offline in the run folder alone.

    A resumed run continues under the same name there, which the run folder keeps; figures that were sent before are not
    sent again. The configuration is sent, and of the machine only its load. An error there does not end the training: a
    warning is logged, and nothing more is sent.

    Args:
        folder: The run folder.
        project: Name of the project there.
        config: The tables of the configuration.

    Raises:
        UsageError: The package is not installed.
    """

    def __init__(self, folder: Path, project: str, config: Mapping[str, Any]) -> None:
        try:
            import wandb
        except ImportError:
            raise UsageError(
                f"train.wandb = {project!r} needs another package: pip install 'scoresde[wandb]'"
            ) from None
        self.wandb: Any = wandb
        self.run: Any = None
        self._attempt(lambda: self._begin(folder, project, config))

    def _begin(self, folder: Path, project: str, config: Mapping[str, Any]) -> None:
        kept = folder / IDENTITY
        # No command line, host, user, code, packages or console.
        settings = self.wandb.Settings(
            console="off", host="", username="", email="", x_disable_machine_info=True, x_save_requirements=False
        )
        self.run = self.wandb.init(
            project=project,
            dir=str(folder),
            config=dict(config),
            id=kept.read_text(encoding="utf-8").strip() if kept.exists() else None,
            resume="allow",
            settings=settings,
        )
        files.write_text(kept, f"{self.run.id}\n")

    def _attempt(self, work: Callable[[], object]) -> None:
        try:
            work()
        except Exception as error:  # of the network, of its service, of the library: none is the training's
            self.run = None
            message = "Weights & Biases has failed, and the training goes on without it: %s"
            logging.getLogger("scoresde").warning(message, error)

    def add(self, row: Mapping[str, Any]) -> None:
        if self.run:
            self._attempt(lambda: self.run.log(curves(row), step=row["images"]))

    def show(self, name: str, sheet: Image, images: int) -> None:
        if self.run:
            self._attempt(lambda: self.run.log({name: self.wandb.Image(sheet)}, step=images))

    def close(self, failed: bool) -> None:
        if self.run:
            self._attempt(lambda: self.run.finish(exit_code=int(failed)))


def curves(row: Mapping[str, Any]) -> dict[str, float]:
    """The numbers of a line of metrics.jsonl by the names of their curves.

    Args:
        row: The line.
    """
    found = dict[str, float]()
    for name, value in row.items():
        values = {f"{name}/{i}": v for i, v in enumerate(value)} if isinstance(value, list) else {name: value}
        if name not in ("step", "images"):
            found |= {curve: number for curve, number in values.items() if isinstance(number, int | float)}
    return found
