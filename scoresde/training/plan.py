"""The choice of a configuration for the user's data and machine."""

import math
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from itertools import islice
from typing import Any

import torch

from ..core.errors import UsageError
from ..core.files import read_json
from ..core.parallel import processes
from ..core.sentences import many
from ..data import DataOptions, Dataset, Images, Tensors
from ..models.folder import CONFIG
from ..models.names import locate
from ..sampling.precision import has_bfloat16
from .config import Config
from .loop import start, train
from .options import TrainOptions

SECONDS = 1800.0
"""Time that a run is planned for where none is asked for, in seconds."""
SHARE = 0.75
"""Share of the time that is planned for steps; the rest is for sheets, checkpoints and a machine that slows down."""
TRIAL = 2.0
"""Seconds over which the speed of a step is measured."""
FIRST = 40.0
"""Seconds of training before the first sheet."""
SHEET = 850
"""What a sheet of 64 samples costs, in items of training: some 40 evaluations of each, a third of a step's cost."""
REPEATS, MOST = 2000, 1_000_000
"""Times that an item is seen at most in a run that nobody has given a length, and most items other than pictures."""
BY_TIME = ("images", "warmup", "ema", "log_every", "sample_first", "sample_every", "save_every")
"""Options of [train] that follow from the length of a run."""

Tables = Mapping[str, Mapping[str, Any]]


@dataclass(frozen=True)
class Facts:
    """What a plan depends on."""

    data: DataOptions
    """The data set."""
    shape: tuple[int, ...]
    """Shape of one item, (C, H, W) for pictures."""
    count: int
    """Training items."""
    classes: int
    """Classes of their labels; 0 without labels."""
    pictures: bool
    """Whether the items are grey levels of pictures."""


def side_for(median: int, device: torch.device) -> int:
    """Height and width that pictures are given: 32 on a CPU and 64 on a GPU, and not more than half of them have.

    Args:
        median: Median of the shorter sides of the pictures, in pixels.
        device: Where the training will be.
    """
    return max(8, min(64 if device.type == "cuda" else 32, median // 4 * 4))


def planned(facts: Facts, device: torch.device, init_from: str = "") -> dict[str, dict[str, Any]]:
    """The tables [sde], [network] and [train] for some data, but for what follows from the length of the run.

    A network predicts v of a VP process, and its learning rate falls over the second half: what the configurations that
    come with the package were measured with. Pictures of three channels are mirrored at random. For vectors and series
    see benchmarks/results/own-data.md.

    Args:
        facts: What is known of the data.
        device: Where the training will be: a GPU is given a larger network.
        init_from: A model to begin from, whose process, network and prediction are taken; "" begins anew.

    Raises:
        UsageError: There is no such model, it is of items of another shape, or it has classes and the data have none.
    """
    gpu, large = device.type == "cuda", facts.pictures and min(facts.shape[1:]) >= 16
    options: dict[str, Any] = {
        "batch": 64 if large and not gpu else 128,
        "learning_rate": 1e-3,
        "decay": 0.5,
        "predicts": "v",
        "flip": facts.pictures and facts.shape[0] == 3,
        "channels_last": facts.pictures,
        "precision": "bfloat16" if gpu and facts.pictures else "float32",
    }
    if not facts.pictures:
        vectors = len(facts.shape) == 1
        options |= {"batch": 1024 if vectors else 32, "learning_rate": 4e-3 if vectors else 2e-3, "decay": 1.0}
        options |= {"optimizer": "adamw", "weight_decay": 0.1}
    options["batch"] = min(options["batch"], 1 << (facts.count.bit_length() - 1))
    if not init_from:
        return {"sde": {"name": "vp"}, "network": _network(facts, gpu), "train": options}
    found = read_json(locate(init_from) / CONFIG)
    if tuple(found["shape"]) != facts.shape:
        raise UsageError(
            f"{init_from} makes items of shape {tuple(found['shape'])}, and the data have {facts.shape}: set data.size "
            "and data.channels to agree, or begin with another model"
        )
    if (classes := found["network"].get("classes")) and not facts.classes:
        raise UsageError(
            f"{init_from} was trained with {many(classes, 'class')}, and the data have none: give labels, such as a "
            "folder of pictures for each class, or begin with another model"
        )
    model = found["model"]
    options |= {"init_from": init_from, "learning_rate": 2e-4, "predicts": model["predicts"]}
    options |= {"label": model.get("label", "auto"), "condition": model.get("condition", "none")}
    return {"sde": found["sde"], "network": found["network"], "train": options}


def shape_of(name: str) -> tuple[int, ...]:
    """Shape of what a model makes, such as (C, H, W).

    Args:
        name: A run, a model folder or a bundled name.

    Raises:
        UsageError, CheckpointError: There is no such model, or its folder is damaged.
    """
    return tuple(read_json(locate(name) / CONFIG)["shape"])


def _network(facts: Facts, gpu: bool) -> dict[str, Any]:
    """The table of a network for data of a shape: small on a CPU, so that minutes show something."""
    classes = {"classes": facts.classes} if facts.classes else {}
    if not 2 <= len(facts.shape) <= 4:
        return {"name": "mlp", **classes}
    side = max(facts.shape[1:])
    if side <= 12:
        return {"name": "unet", "channels": 64 if gpu else 16, "multipliers": [1, 3], "attention": [], **classes}
    levels = max(3, math.ceil(math.log2(side / 8)) + 1)  # down to 8 pixels or fewer
    three = [1, 2, 4] if facts.pictures and facts.shape[0] == 3 and not gpu else [1, 2, 2]
    four = [1, 2, 2, 4] if facts.pictures else [1, 2, 4, 4]
    widest = three if levels == 3 else four if levels == 4 else [1, 1, *[2] * (levels - 4), 4, 4]
    smallest = math.ceil(facts.shape[1] / 2 ** (levels - 1))
    sizes = {"channels": 64 if gpu else 16, "multipliers": widest, "blocks": 2 if gpu else 1, "attention": [smallest]}
    return {"name": "unet", **sizes, **classes}


def timed(config: Config, facts: Facts, device: torch.device, seconds: float | None) -> tuple[Config, float]:
    """The configuration with a length that takes a time on this machine, and its items per second (nan: unknown).

    Steps are tried out for two seconds on blank items. Several processes try nothing out.

    Args:
        config: As planned, with what its user has chosen: that is kept.
        facts: What is known of the data.
        device: Where the training will be.
        seconds: The time; None is half an hour at most.

    Raises:
        UsageError: The configuration does not fit the data.
    """
    speed = speed_of(config, facts, device) if processes().world == 1 else math.nan
    whole = 500_000.0 / SHARE if math.isnan(speed) else speed * (seconds or SECONDS)
    many = min(SHARE * whole, max(0.95 * whole - SHEET, whole / 2))  # the last sheet has to fit in
    given = config.train.model_fields_set
    limit = math.inf if seconds else REPEATS * facts.count if facts.pictures else MOST
    images = config.train.images if "images" in given else min(many, limit)
    return with_length(config, int(images), speed), speed


def in_16_bits(config: Config, facts: Facts, device: torch.device) -> Config:
    """The configuration in bfloat16 where a processor has instructions for it and trains faster with them.

    A GPU has bfloat16 from `planned`.

    Args:
        config: As planned.
        facts: What is known of the data.
        device: Where the training will be.

    Raises:
        UsageError: The configuration does not fit the data.
    """
    if device.type != "cpu" or not facts.pictures or processes().world > 1 or not has_bfloat16(device):
        return config
    other = replace(config, train=config.train.model_copy(update={"precision": "bfloat16"}))
    return other if speed_of(other, facts, device) > speed_of(config, facts, device) else config


def with_length(config: Config, images: int, speed: float) -> Config:
    """The configuration for a number of items, with a warm-up, an average and intervals that suit it.

    Args:
        config: The configuration; what is set in its [train] is kept.
        images: Items of the run.
        speed: Items per second, or nan.
    """
    given, batch = config.train.model_fields_set, config.train.batch
    images = config.train.images if "images" in given else max(_round(images), batch)
    second, long = speed if math.isfinite(speed) else images / SECONDS, images > 16 * SHEET
    suited = (
        images,
        min(10_000, _round(images / 20)),
        float(min(50_000, max(_round(images / 12), batch))),
        max(_round(min(10 * second, images / 20)), batch),
        max(_round(min(FIRST * second, images / 8)), SHEET if long else 4 * SHEET) if images > 8 * SHEET else 0,
        max(_round(images / 5), 8 * SHEET),
        max(_round(min(300 * second, images / 4)), batch),
    )
    rest = {key: value for key, value in zip(BY_TIME, suited, strict=True) if key not in given}
    chosen = {key: getattr(config.train, key) for key in given}
    return replace(config, train=TrainOptions(**chosen, **rest))


def speed_of(config: Config, facts: Facts, device: torch.device) -> float:
    """Items per second of training, as measured over some steps on blank ones, after one that is not counted.

    Args:
        config: The training.
        facts: Shape and kind of its items.
        device: Where it will be.

    Raises:
        UsageError: The configuration does not fit the shape.
    """
    batch = config.train.batch
    labels = torch.zeros(batch, dtype=torch.int64) if config.network.classes else None
    blank = torch.zeros((batch, *facts.shape), dtype=torch.uint8)
    data: Dataset = Images(blank, labels=labels) if facts.pictures else Tensors(blank.float(), labels=labels)
    endless = {"images": 10**12, "compile": False, "init_from": ""}
    trial = replace(config, train=config.train.model_copy(update=endless))
    steps = train(trial, data, start(trial, facts.shape, device, data.units))
    next(steps)
    begun, done, passed = time.perf_counter(), 0, 0.0
    while passed < TRIAL:
        done += sum(1 for _ in islice(steps, 1))  # which waits for a GPU, for it reads the loss
        passed = time.perf_counter() - begun
    return done * batch / passed


def _round(number: float) -> int:
    """A number cut down to one digit and zeros, at least 1."""
    power = 10 ** math.floor(math.log10(max(number, 1)))
    return max(1, int(number // power * power))
