"""The folder of a training run: resolved configuration, log, sheets, checkpoints, and the model to share."""

import json
import math
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from .. import models
from ..core import files
from ..core.errors import ResourceError
from ..core.parallel import processes
from ..core.provenance import versions
from ..core.threads import torch_threads
from ..data import Dataset
from ..images import sheets
from ..models import NetworkModel
from ..models.base import Observer
from .boards import Board, TensorBoard, Wandb
from .checkpoints import Checkpoints, read
from .config import Config, to_toml
from .evaluation import Evaluation
from .gallery import Gallery
from .loop import TrainState
from .recorded import publish, rounded, rows
from .resume import compare, content, machine
from .sharding import whole
from .state import halved, put_back, taken

SNAPSHOTS = "snapshots"
"""Folder of a run with the averages from which others are made."""


class Run:
    """The folder of a training. It is also a model folder: `scoresde sample --model FOLDER` samples from it.

    Args:
        folder: Its path.
        config: The configuration.
        recipe: Command and seed of the run, stored with the model.

    Example:
        >>> import scoresde, torch
        >>> class Net(torch.nn.Module):
        ...     def __init__(self):
        ...         super().__init__()
        ...         self.conv = torch.nn.Conv2d(1, 1, 3, padding=1)
        ...     def forward(self, x, label):
        ...         return self.conv(x)
        >>> run = scoresde.fit("digits", "runs/conv", net=Net(), overrides=["train.images=128"], progress=False)
        >>> run.state.images, run.metrics[-1]["images"]
        (128, 128)
    """

    def __init__(self, folder: Path, config: Config, recipe: Mapping[str, Any]) -> None:
        self.folder, self.config, self.recipe = folder, config, dict(recipe)
        self.checkpoints, self.snapshots = Checkpoints(folder / "checkpoints"), Checkpoints(folder / SNAPSHOTS)
        self.boards = list[Board]()
        self.gallery: Gallery | None = None
        self.evaluation: Evaluation | None = None
        self.began = time.perf_counter()
        self.digest = ""
        """Digest of the training images, by which a resumed run notices that they are others."""
        self.code = 0
        """Exit code of the signal that ended the training, or 0 if none did."""
        self.state: TrainState | None = None
        """Where the training stands after `fit`: weights, averages, optimiser, step and images seen."""
        self.averaged: NetworkModel | None = None
        """The averaged network after `fit`, whole where it was spread over processes."""

    @property
    def model(self) -> NetworkModel:
        """The averaged network, ready to sample: that of the training, or else the one in the folder."""
        return models.load(self.folder) if self.averaged is None else self.averaged

    @property
    def metrics(self) -> list[dict[str, Any]]:
        """The rows of metrics.jsonl, oldest first: step, images, loss, seconds and so on."""
        return rows(self.folder / "metrics.jsonl")

    def __repr__(self) -> str:
        return f"Run({str(self.folder)!r}, {self.state.images if self.state else 0} images)"

    def open(self, state: TrainState | None = None, data: Dataset | None = None) -> None:
        """Makes the folder with config.toml and meta.json, and readies what is drawn and measured on the way.

        What a process that was killed left half written is removed, and so are the lines of metrics.jsonl and the
        snapshots that it had written after the checkpoint from which the run goes on.

        Args:
            state: The training that begins or goes on; a fresh one if it is not given.
            data: Its images. Without them, a run measures nothing.

        Raises:
            UsageError, DataError, CheckpointError: As `Evaluation`, `TensorBoard` and `Wandb`.
        """
        seen, options = state.images if state else 0, self.config.train
        if state and data:
            self.gallery = Gallery(self.config, data, state.model.device)
            self.evaluation = Evaluation(self.config, data, state.model.device) if options.evaluate_every else None
        self.checkpoints.tidy()
        self.snapshots.tidy()
        self.snapshots.forget(state.step if state else 0)
        for stray in self.folder.glob("*.tmp"):
            stray.unlink()
        if (log := self.folder / "metrics.jsonl").exists():
            files.write_text(log, "".join(json.dumps(row) + "\n" for row in rows(log) if row["images"] <= seen))
        files.write_text(self.folder / "config.toml", to_toml(self.config.tables()))
        files.write_json(self.folder / "meta.json", {**self.recipe, **versions()})
        if options.tensorboard:
            self.boards.append(TensorBoard(self.folder, seen))
        if options.wandb:
            self.boards.append(Wandb(self.folder, options.wandb, self.config.tables()))
        if self.gallery:
            sheets.save(self.gallery.data(), self.folder / "data.png")

    def close(self, kind: type[BaseException] | None = None, *_: object) -> None:
        """Ends what is written beside the run folder, as the last act of a context; with an error, as failed.

        Args:
            kind: Of the error, or None if there was none.
        """
        for board in self.boards:
            board.close(failed=kind is not None)

    def log(self, state: TrainState, loss: float = math.nan, **parts: float) -> None:
        """Adds a line to metrics.jsonl.

        Args:
            state: The training.
            loss: The mean since the last line.
            parts: Those of the parts of the loss, if it is logged in parts.
        """
        self.note(
            state,
            loss=rounded(loss),
            **{name: rounded(part) for name, part in parts.items()},
            grad_norm=rounded(state.grad_norm),
            learning_rate=state.optimizer.param_groups[0]["lr"],
            skipped=state.skipped,
            **({"scale": state.scaler.get_scale()} if state.scaler.is_enabled() else {}),
        )

    def note(self, state: TrainState, **figures: Any) -> None:
        """Adds a line with some figures to metrics.jsonl, and to what else is wanted.

        Args:
            state: The training.
            figures: The figures by their names.

        Raises:
            ResourceError: The disk is full.
        """
        seconds = round(time.perf_counter() - self.began, 3)
        row = {"step": state.step, "images": state.images, **figures, "seconds": seconds}
        try:
            with open(self.folder / "metrics.jsonl", "a", encoding="utf-8") as file:
                file.write(json.dumps(row) + "\n")
        except OSError as error:
            raise ResourceError(f"cannot write {self.folder / 'metrics.jsonl'}: {error}") from None
        for board in self.boards:
            board.add(row)

    def evaluate(self, state: TrainState, check: Callable[..., None]) -> None:
        """Measures the averaged weights.

        Args:
            state: The training.
            check: Called again and again, and may raise to end that.
        """
        mean = whole(state.ema)
        if self.evaluation:  # which process 0 alone has
            self.note(state, **self.evaluation(mean, check))

    def draw(self, state: TrainState, *observers: Observer) -> None:
        """Writes sheets of samples by the averaged weights, always from the same seeds.

        Args:
            state: The training.
            observers: Called after each evaluation of the model, and may raise to end that.
        """
        mean = whole(state.ema)
        if self.gallery is None or not processes().first:
            return
        for name, sheet in self.gallery.draw(mean, *observers).items():
            sheets.save(sheet, self.folder / name / f"images_{state.images:09d}.png")
            for board in self.boards:
                board.show(name, sheet, state.images)

    def save(self, state: TrainState) -> None:
        """Writes a checkpoint and the model of the averaged weights, and removes old checkpoints.

        As what is below, it is called by all processes; those that hold nothing which process 0 lacks do nothing.

        Args:
            state: The training.

        Raises:
            ResourceError: The disk is full, or the folder not writable; the older checkpoints are as they were.
        """
        self.checkpoints.save(state.step, taken(state), content(state, self.config, self.digest))
        publish(self.folder, self.config, self.recipe, state)
        if processes().first:
            self.checkpoints.prune(self.config.train.batch, self.config.train.keep_every)

    def take(self, state: TrainState) -> None:
        """Writes a snapshot of the averages of train.widths, from which `averages.averaged` makes others.

        Args:
            state: The training.

        Raises:
            ResourceError: The disk is full, or the folder not writable.
        """
        self.snapshots.save(state.step, halved(state), {"images": state.images, "widths": self.config.train.widths})

    def resume(self, state: TrainState, *, changed: bool = False) -> None:
        """Sets a fresh state to the newest checkpoint that is whole.

        Args:
            state: A training that has not begun.
            changed: Whether other options of [train] than the run was started with are taken.

        Raises:
            UsageError: There is none at all.
            CheckpointError: Every one is damaged, or belongs to another configuration.
        """

        def choose() -> Path:
            newest = self.checkpoints.newest()
            torch_threads(newest.content.get("machine", {}).get("threads", 0))
            compare(newest.content, self.config, machine(state.model), changed, self.digest)
            return newest.path

        found = read(processes().only_first(choose))
        put_back(state, found)
        state.step, state.images, state.skipped = (int(found.content[key]) for key in ("step", "images", "skipped"))
        state.since = tuple(found.content["since"])
        publish(
            self.folder, self.config, self.recipe, state
        )  # a kill between the two files of the model would have left them apart
