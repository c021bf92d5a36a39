"""The folder of a training run: resolved configuration, log, sheets, checkpoints, and the model to share."""

import json
import shutil
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from . import checkpoint, images
from .config import Config, parse, to_toml
from .errors import CheckpointError, ScoreSDEError, UsageError
from .provenance import versions
from .random import generators
from .sample import sample
from .solvers import solvers
from .train import TrainState

KEPT = 2
"""Checkpoints kept; the older ones are removed."""
SHEET = 64
"""Images in a sheet of samples."""


class Run:
    """A run's folder. It is itself a model folder: `scoresde sample --model FOLDER` samples from it.

    Args:
        recipe: How the run came about (command, seed), kept with the model.
    """

    def __init__(self, folder: Path, config: Config, recipe: Mapping[str, Any]) -> None:
        self.folder, self.config, self.recipe = folder, config, dict(recipe)
        self.began = time.perf_counter()

    def open(self) -> None:
        """Makes the folder with config.toml and meta.json."""
        checkpoint.write_text(self.folder / "config.toml", to_toml(self.config.tables()))
        checkpoint.write_text(self.folder / "meta.json", json.dumps({**self.recipe, **versions()}, indent=2) + "\n")

    def log(self, state: TrainState, loss: float) -> None:
        """Adds a line to metrics.jsonl; loss is the mean since the last line."""
        line = {
            "step": state.step,
            "images": state.images,
            "loss": round(loss, 6),
            "grad_norm": round(state.grad_norm, 6),
            "learning_rate": state.optimizer.param_groups[0]["lr"],
            "seconds": round(time.perf_counter() - self.began, 3),
        }
        with open(self.folder / "metrics.jsonl", "a", encoding="utf-8") as file:
            file.write(json.dumps(line) + "\n")

    def draw(self, state: TrainState) -> None:
        """Writes a sheet of samples by the averaged weights, always from the same seeds."""
        sources = generators(range(SHEET))
        x = sample(state.ema, solvers["adams"](), state.ema.prior(sources)).x
        if x.shape[1] in (1, 3):
            path = self.folder / "samples" / f"images_{state.images:09d}.png"
            images.save(images.sheet(x, zoom=images.zoom_for(x.shape[-2])), path)

    def save(self, state: TrainState) -> None:
        """Writes a checkpoint and the model of the averaged weights, and removes old checkpoints."""
        folder = self.folder / "checkpoints" / f"step_{state.step:09d}"
        tensors = {f"net.{name}": value for name, value in state.model.net.state_dict().items()}
        tensors |= {f"ema.{name}": value for name, value in state.ema.net.state_dict().items()}
        for index, moments in state.optimizer.state_dict()["state"].items():
            tensors |= {f"adam.{index}.{name}": value for name, value in moments.items()}
        sha256 = checkpoint.write_tensors(folder / "state.safetensors", tensors)
        content = {
            "format": checkpoint.FORMAT,
            "step": state.step,
            "images": state.images,
            "sha256": sha256,
            "config": self.config.tables(),
        }
        checkpoint.write_text(folder / "state.json", json.dumps(content, indent=2) + "\n")
        network = checkpoint.describe_model(state.ema, self.config.network, self.config.train.time_scale)
        recipe = {**self.recipe, "images": state.images, "data": self.config.tables()["data"]}
        checkpoint.save(state.ema, self.folder, {**network, "recipe": recipe})
        for old in self.checkpoints()[:-KEPT]:
            shutil.rmtree(old, ignore_errors=True)

    def checkpoints(self) -> list[Path]:
        """The folders of the checkpoints, oldest first."""
        return sorted(self.folder.glob("checkpoints/step_*"))

    def resume(self, state: TrainState) -> None:
        """Sets a fresh state to the newest checkpoint that is whole.

        Raises:
            UsageError: There is none at all.
            CheckpointError: Every one is damaged, or belongs to another configuration.
        """
        found = self.checkpoints()
        if not found:
            raise UsageError(f"{self.folder} holds no checkpoint to resume from; leave out --resume to start there")
        problems = []
        for folder in reversed(found):
            try:
                content = checkpoint.read_json(folder / "state.json")
                tensors = checkpoint.read_tensors(folder / "state.safetensors", str(content.get("sha256")))
                self._apply(state, content, tensors)
                return
            except CheckpointError as error:
                problems.append(str(error))
        raise CheckpointError("no checkpoint is whole: " + "; ".join(problems))

    def _apply(self, state: TrainState, content: dict[str, Any], tensors: dict[str, torch.Tensor]) -> None:
        def part(prefix: str) -> dict[str, torch.Tensor]:
            return {k.removeprefix(prefix): v for k, v in tensors.items() if k.startswith(prefix)}

        if content.get("format") != checkpoint.FORMAT:
            raise CheckpointError(f"a checkpoint has the format {content.get('format')}, not {checkpoint.FORMAT}")
        try:  # options that are younger than the checkpoint had their defaults
            before = parse(content["config"], "of the checkpoint").tables()
        except ScoreSDEError as error:
            raise CheckpointError(str(error)) from None
        now = self.config.tables()
        changed = [
            f"{name}.{key}"
            for name, rows in now.items()
            for key in rows
            if before.get(name, {}).get(key) != rows[key] and (name, key) not in CHANGEABLE
        ]
        if changed:
            raise CheckpointError(f"the run was started with other values of {', '.join(changed)}; give the same ones")
        state.model.net.load_state_dict(part("net."))
        state.ema.net.load_state_dict(part("ema."))
        adam: dict[int, dict[str, torch.Tensor]] = {}
        for key, value in part("adam.").items():
            index, name = key.split(".", 1)
            adam.setdefault(int(index), {})[name] = value
        groups = state.optimizer.state_dict()["param_groups"]
        for parameter, moments in zip(state.model.parameters(), (adam[i] for i in sorted(adam)), strict=True):
            for name, value in moments.items():
                if value.shape == parameter.shape:  # the fused optimiser reads moments in the parameter's own order
                    moments[name] = torch.empty_like(parameter).copy_(value)
        state.optimizer.load_state_dict({"state": adam, "param_groups": groups})
        state.step, state.images = int(content["step"]), int(content["images"])


CHANGEABLE = {("train", key) for key in ("images", "log_every", "sample_every", "save_every")}
"""Options that a resumed run may change."""


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
