"""Which options a resumed run may change."""

import logging
from collections.abc import Mapping
from typing import Any

import torch

from ..core.errors import CheckpointError, ScoreSDEError
from ..core.parallel import processes
from ..models.network import NetworkModel
from .checkpoints import FORMAT
from .config import Config, parse
from .loop import TrainState
from .sharding import is_share

FREE = {
    f"train.{key}"
    for key in (
        "images",
        "warmup",
        "shard",
        "sample_first",
        "skip_nonfinite",
        "tensorboard",
        "wandb",
        "buckets",
        "extractor",
    )
    + tuple(f"{what}_every" for what in ("log", "sample", "save", "keep", "evaluate"))
    + tuple(f"evaluate_{what}" for what in ("images", "samples", "nll"))
}
"""Options that a resumed run may always change."""
FIXED = {f"train.{key}" for key in ("seed", "batch", "ema_also", "snapshot_every", "widths")}
"""Options of [train] that a run can never change: its place in the data order, or an average, would be lost."""
DIGESTS = {"data.count", "data.sha256"}
"""What the configuration of a run on arrays says of them: as of other images, their digest is compared."""


def machine(model: NetworkModel) -> dict[str, Any]:
    """What the last bits of a training depend on besides its configuration.

    Args:
        model: The model that is trained.
    """
    return {
        "torch": torch.__version__,
        "threads": torch.get_num_threads(),
        "device": model.device.type,
        "processes": processes().world,
        "shard": any(map(is_share, model.parameters())),
    }


def content(state: TrainState, config: Config, digest: str) -> dict[str, Any]:
    """What a checkpoint holds of a training beside tensors, for `compare`.

    Args:
        state: The training.
        config: What is trained.
        digest: Of the training images, as `data.given.digest` gives it.
    """
    return {
        "format": FORMAT,
        "step": state.step,
        "images": state.images,
        "skipped": state.skipped,
        "since": state.since,
        "config": config.tables(),
        "machine": machine(state.model),
        "data": digest,
    }


def compare(
    content: Mapping[str, Any], config: Config, here: Mapping[str, Any], changed: bool, digest: str = ""
) -> None:
    """Checks that a run can go on from a checkpoint. Another machine is a warning.

    Args:
        content: What the checkpoint holds besides tensors.
        config: The configuration of the run that goes on.
        here: This machine, as `machine` returns it.
        changed: Whether options of [train] and the images may differ from those of the checkpoint.
        digest: Of the training images; without one, none are compared.

    Raises:
        CheckpointError: The checkpoint is of another version or configuration, or of other images.
    """
    if content.get("format") != FORMAT:
        raise CheckpointError(f"a checkpoint has the format {content.get('format')}, not {FORMAT}")
    try:  # options that are younger than the checkpoint had their defaults
        before = parse(content["config"], "of the checkpoint").tables()
    except ScoreSDEError as error:
        raise CheckpointError(str(error)) from None
    differ = [
        f"{name}.{key}"
        for name, rows in config.tables().items()
        for key in rows
        if before.get(name, {}).get(key) != rows[key] and f"{name}.{key}" not in FREE | DIGESTS
    ]
    fixed = [key for key in differ if key in FIXED or not key.startswith("train.")]
    was, now = before["train"]["optimizer"], config.train.optimizer
    if was != now and {was, now} != {"adam", "adamw"}:  # which alone have the same moments
        fixed.append("train.optimizer")
    others = bool(digest) and content["data"] != digest
    found = "the training images are not those that the run was started with: some were added, taken away or changed"
    if others and not changed and not any(key.startswith("data.") for key in differ):
        way = "choose another folder" if fixed else "add --change to go on with these"
        raise CheckpointError(f"{found}; put them back, or {way}")
    if fixed or (differ and not changed):
        other = "another folder" if fixed else "add --change to go on with the new ones"
        raise CheckpointError(
            f"the run was started with other values of {', '.join(fixed or differ)}; give the same ones, or {other}"
        )
    if others:
        logging.getLogger("scoresde").warning("%s; the run goes on with these", found)
    for key, value in content["machine"].items():
        if here.get(key) != value:
            message = "the run had %s = %s and now has %s: it goes on, but not bit for bit as it would have"
            logging.getLogger("scoresde").warning(message, key, value, here.get(key))
