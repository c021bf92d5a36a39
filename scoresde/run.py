"""The folder of a training run: resolved configuration, log, sheets, checkpoints, and the model to share."""

import json
import logging
import math
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from . import checkpoint, images
from .checkpoints import FORMAT, Checkpoint, Checkpoints, read
from .config import Config, parse, to_toml
from .distributed import processes
from .errors import CheckpointError, ScoreSDEError
from .model import Observer
from .provenance import versions
from .random import generators
from .sample import sample
from .solvers import solvers
from .train import TrainState

SHEET = 64
"""Images in a sheet of samples."""


class Run:
    """A run's folder. It is itself a model folder: `scoresde sample --model FOLDER` samples from it.

    Args:
        recipe: How the run came about (command, seed), kept with the model.
    """

    def __init__(self, folder: Path, config: Config, recipe: Mapping[str, Any]) -> None:
        self.folder, self.config, self.recipe = folder, config, dict(recipe)
        self.checkpoints = Checkpoints(folder / "checkpoints")
        self.began = time.perf_counter()

    def open(self, images: int = 0) -> None:
        """Makes the folder with config.toml and meta.json.

        What a process that was killed left half written is removed, and so are the lines of metrics.jsonl that it had
        written after the checkpoint from which the run goes on.

        Args:
            images: Images seen so far.
        """
        self.checkpoints.tidy()
        for stray in self.folder.glob("*.tmp"):
            stray.unlink()
        if (log := self.folder / "metrics.jsonl").exists():
            checkpoint.write_text(log, "".join(json.dumps(row) + "\n" for row in rows(log) if row["images"] <= images))
        checkpoint.write_text(self.folder / "config.toml", to_toml(self.config.tables()))
        checkpoint.write_text(self.folder / "meta.json", json.dumps({**self.recipe, **versions()}, indent=2) + "\n")

    def log(self, state: TrainState, loss: float) -> None:
        """Adds a line to metrics.jsonl; loss is the mean since the last line."""
        line = {
            "step": state.step,
            "images": state.images,
            "loss": rounded(loss),
            "grad_norm": rounded(state.grad_norm),
            "learning_rate": state.optimizer.param_groups[0]["lr"],
            "skipped": state.skipped,
            "seconds": round(time.perf_counter() - self.began, 3),
        }
        with open(self.folder / "metrics.jsonl", "a", encoding="utf-8") as file:
            file.write(json.dumps(line) + "\n")

    def draw(self, state: TrainState, *observers: Observer) -> None:
        """Writes a sheet of samples by the averaged weights, always from the same seeds."""
        sources = generators(range(SHEET))
        x = sample(state.ema, solvers["adams"](), state.ema.prior(sources), observers=observers).x
        if x.shape[1] in (1, 3):
            path = self.folder / "samples" / f"images_{state.images:09d}.png"
            images.save(images.sheet(x, zoom=images.zoom_for(x.shape[-2])), path)

    def save(self, state: TrainState) -> None:
        """Writes a checkpoint and the model of the averaged weights, and removes old checkpoints.

        Raises:
            ResourceError: The disk is full, or the folder not writable; the older checkpoints are as they were.
        """
        tensors = {f"net.{name}": value for name, value in state.model.net.state_dict().items()}
        tensors |= {f"ema.{name}": value for name, value in state.ema.net.state_dict().items()}
        for index, moments in state.optimizer.state_dict()["state"].items():
            tensors |= {f"optimizer.{index}.{name}": value for name, value in moments.items()}
        content = {
            "format": FORMAT,
            "step": state.step,
            "images": state.images,
            "skipped": state.skipped,
            "config": self.config.tables(),
            "machine": machine(state.model.device),
        }
        self.checkpoints.save(state.step, tensors, content)
        self.publish(state)
        self.checkpoints.prune(self.config.train.batch, self.config.train.keep_every)

    def publish(self, state: TrainState) -> None:
        """Writes the model of the averaged weights, which makes the run a model folder."""
        network = checkpoint.describe_model(state.ema, self.config.network, self.config.train.time_scale)
        recipe = {**self.recipe, "images": state.images, "data": self.config.tables()["data"]}
        checkpoint.save(state.ema, self.folder, {**network, "recipe": recipe})

    def resume(self, state: TrainState, *, changed: bool = False) -> None:
        """Sets a fresh state to the newest checkpoint that is whole.

        Args:
            changed: Whether other options of [train] than the run was started with are taken.

        Raises:
            UsageError: There is none at all.
            CheckpointError: Every one is damaged, or belongs to another configuration.
        """
        together = processes()
        here = machine(state.model.device)

        def choose() -> Path:
            newest = self.checkpoints.newest()
            self._compare(newest.content, here, changed)
            return newest.path

        found = read(together.only_first(choose))
        try:
            apply(state, found)
        except (RuntimeError, KeyError, ValueError) as error:
            reason = str(error).splitlines()[-1].strip()
            raise CheckpointError(f"{found.path} does not fit the configuration: {reason}") from None
        if together.first:
            self.publish(state)  # a kill between the two files of the model would have left them apart

    def _compare(self, content: Mapping[str, Any], here: Mapping[str, Any], changed: bool) -> None:
        if content.get("format") != FORMAT:
            raise CheckpointError(f"a checkpoint has the format {content.get('format')}, not {FORMAT}")
        try:  # options that are younger than the checkpoint had their defaults
            before = parse(content["config"], "of the checkpoint").tables()
        except ScoreSDEError as error:
            raise CheckpointError(str(error)) from None
        differ = [
            f"{name}.{key}"
            for name, rows in self.config.tables().items()
            for key in rows
            if before.get(name, {}).get(key) != rows[key] and f"{name}.{key}" not in FREE
        ]
        fixed = [key for key in differ if key in FIXED or not key.startswith("train.")]
        if fixed or (differ and not changed):
            way = "give the same ones" if fixed else "give the same ones, or add --change to go on with the new ones"
            raise CheckpointError(f"the run was started with other values of {', '.join(fixed or differ)}; {way}")
        for key, value in content.get("machine", {}).items():
            if here.get(key) != value:
                message = "the run had %s = %s and now has %s: it goes on, but not bit for bit as it would have"
                logging.getLogger("scoresde").warning(message, key, value, here.get(key))


def rounded(value: float) -> float | None:
    """A number for a line of metrics.jsonl; JSON knows none that is not finite."""
    return round(value, 6) if math.isfinite(value) else None


def rows(log: Path) -> list[dict[str, Any]]:
    """The lines of a metrics.jsonl, without one that was cut short by a kill."""
    found = []
    for line in log.read_text(encoding="utf-8", errors="replace").splitlines():
        try:
            row = json.loads(line)
        except ValueError:
            continue
        if isinstance(row, dict) and "images" in row:
            found.append(row)
    return found


def machine(device: torch.device) -> dict[str, Any]:
    """What the bits of a training depend on besides its configuration."""
    return {
        "torch": torch.__version__,
        "threads": torch.get_num_threads(),
        "device": device.type,
        "processes": processes().world,
    }


def apply(state: TrainState, found: Checkpoint) -> None:
    """Sets a fresh state to what a checkpoint holds."""

    def part(prefix: str) -> dict[str, torch.Tensor]:
        return {k.removeprefix(prefix): v for k, v in found.tensors.items() if k.startswith(prefix)}

    state.model.net.load_state_dict(part("net."))
    state.ema.net.load_state_dict(part("ema."))
    moments: dict[int, dict[str, torch.Tensor]] = {}
    for key, value in part("optimizer.").items():
        index, name = key.split(".", 1)
        moments.setdefault(int(index), {})[name] = value
    for parameter, rows in zip(state.model.parameters(), (moments[i] for i in sorted(moments)), strict=True):
        for name, value in rows.items():
            if value.shape == parameter.shape:  # the fused optimiser reads moments in the parameter's own order
                rows[name] = torch.empty_like(parameter).copy_(value)
    groups = state.optimizer.state_dict()["param_groups"]
    state.optimizer.load_state_dict({"state": moments, "param_groups": groups})
    content = found.content
    state.step, state.images, state.skipped = (int(content[key]) for key in ("step", "images", "skipped"))


FREE = {f"train.{key}" for key in ("images", "log_every", "sample_every", "save_every", "keep_every", "skip_nonfinite")}
"""Options that a resumed run may always change."""
FIXED = {"train.seed", "train.batch"}
"""Options of [train] that a run can never change: its place in the data order would be lost."""


def recorded_config(folder: Path) -> Config:
    """The configuration that a run was started with.

    Raises:
        CheckpointError: The folder is not a run, or its config.toml is damaged.
    """
    import tomllib

    path = folder / "config.toml"
    try:
        return parse(tomllib.loads(path.read_text(encoding="utf-8")), str(path))
    except FileNotFoundError:
        raise CheckpointError(f"{folder} is not a run: it holds no config.toml") from None
    except (ValueError, ScoreSDEError) as error:
        raise CheckpointError(f"{path} is damaged: {error}") from None
