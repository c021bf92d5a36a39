"""Configurations: TOML tables that choose and set everything a training run is made of."""

import json
import tomllib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

from pydantic import BeforeValidator, Field, PlainSerializer

from ..core.errors import ScoreSDEError, UsageError
from ..core.options import Options, hint, table
from ..data import DataOptions, data
from ..networks import NetworkOptions, networks
from ..observations.channels import extra_channels
from ..observations.masks import FreeForm, Mask, masks
from ..sde import DDPM, SDE, sdes
from .profiles import WIDEST

T = TypeVar("T")


MaskOption = Annotated[
    Mask,
    BeforeValidator(masks.parse),
    PlainSerializer(str),
    Field(validate_default=True, description="Law of the holes for inpaint, such as rectangle:most=0.25."),
]


class TrainOptions(Options):
    """How a score network is trained."""

    name = "train"
    images: int = Field(500_000, ge=1, description="Images seen in all, repetitions counted.")
    batch: int = Field(128, ge=1, description="Images per step.")
    accumulate: int = Field(1, ge=1, description="Parts of a batch that are computed one after the other.")
    seed: int = Field(0, ge=0, description="Seed of the weights, the data order, the times and the noise.")
    optimizer: Literal["adam", "adamw", "adamax", "lion"] = Field("adam", description="How gradients become steps.")
    weight_decay: float = Field(0.0, ge=0, description="Share of the weights, times the rate, that a step takes off.")
    learning_rate: float = Field(2e-4, gt=0, description="The optimiser's step after the warm-up.")
    warmup: int = Field(10_000, ge=0, description="Images over which the step rises linearly from 0.")
    decay: float = Field(0.0, ge=0, le=1, description="Last share of the run, over which the step falls to 0.")
    fall: Literal["linear", "cosine"] = Field("linear", description="Whether it falls in a line or half a cosine.")
    clip: float = Field(1.0, gt=0, description="Largest norm of a gradient; longer ones are scaled down to it.")
    ema: float = Field(50_000, gt=0, description="Half-life of the averaged weights, in images.")
    ema_also: tuple[Annotated[float, Field(gt=0)], ...] = Field((), description="Half-lives of further averages.")
    snapshot_every: int = Field(
        0, ge=0, description="Images between snapshots for averages of any width; 0 takes none."
    )
    widths: tuple[Annotated[float, Field(gt=0, lt=WIDEST)], ...] = Field(
        (0.05, 0.1), description="Relative widths of the averages that snapshots hold."
    )
    earliest: float = Field(1e-5, gt=0, lt=1, description="Earliest time trained, as the likelihood needs.")
    predicts: Literal["eps", "x0", "v"] = Field("eps", description="What the network's output means.")
    loss: Literal["l2", "l1", "huber", "hybrid"] = Field(
        "l2", description="The error's measure; hybrid adds the bound, for a learned variance."
    )
    weighting: Literal["simple", "min-snr", "likelihood"] = Field(
        "simple", description="Weight of a time: none, or on the error of ε min(SNR, snr_cap)/SNR or the likelihood's."
    )
    snr_cap: float = Field(5.0, gt=0, description="Signal-to-noise ratio α²/σ² above which min-snr weighs less.")
    condition: Literal["none", "colour", "inpaint"] = Field(
        "none", description="What the network is given besides x: the luma, or the picture with a hole."
    )
    masks: MaskOption = FreeForm()
    time_scale: float = Field(999.0, gt=0, description="Factor from time to the network's label.")
    label_dropout: float = Field(0.1, ge=0, le=1, description="Share of class labels that are hidden, for guidance.")
    flip: bool = Field(False, description="Mirror every second image at random.")
    channels_last: bool = Field(False, description="Keep the channels of a pixel together: faster from about 16x16 on.")
    precision: Literal["float32", "bfloat16", "float16"] = Field(
        "float32", description="Of the network's products while training: 16 bits are faster on a GPU that has them."
    )
    shard: bool = Field(False, description="Spread weights, optimiser and averages over the processes, to save memory.")
    compile: bool = Field(False, description="Compile the network with torch.compile: a minute more, then faster.")
    log_every: int = Field(10_000, ge=1, description="Images between two lines of metrics.jsonl.")
    sample_every: int = Field(100_000, ge=1, description="Images between two sheets of samples.")
    save_every: int = Field(100_000, ge=1, description="Images between two checkpoints.")
    keep_every: int = Field(0, ge=0, description="Images between checkpoints kept for good; 0 keeps the last two only.")
    evaluate_every: int = Field(0, ge=0, description="Images between two evaluations; 0 makes none.")
    evaluate_images: int = Field(512, ge=1, description="Held-out images of an evaluation's losses.")
    buckets: int = Field(3, ge=1, description="Equal parts of the process whose losses are told apart.")
    evaluate_samples: int = Field(0, ge=0, description="Samples of an evaluation's Frechet distance; 0 draws none.")
    extractor: str = Field("", description="Its extractor; if none is named, a bundled one that fits, or the pixels.")
    evaluate_nll: int = Field(0, ge=0, description="Held-out images of an evaluation's likelihood; 0 computes none.")
    tensorboard: bool = Field(False, description="Also write figures and sheets for TensorBoard.")
    wandb: str = Field("", description="Project of Weights & Biases to which figures and sheets are also sent.")
    skip_nonfinite: int = Field(0, ge=0, description="Steps in all that may be left out for a non-finite loss.")

    @property
    def tracked(self) -> tuple[float, ...]:
        """The widths of the averages that are kept for snapshots."""
        return self.widths if self.snapshot_every else ()


@dataclass(frozen=True)
class Config:
    """A training run."""

    data: DataOptions
    sde: SDE
    network: NetworkOptions
    train: TrainOptions

    def tables(self) -> dict[str, dict[str, Any]]:
        """The tables that `parse` turns into an equal configuration."""
        return {
            "data": table(self.data),
            "sde": table(self.sde),
            "network": table(self.network),
            "train": self.train.model_dump(mode="json"),
        }


def folder() -> Path:
    """Where the configurations that come with the package are: in the package, or beside it in a checkout."""
    here = Path(__file__).parent.parent
    return next(path for path in (here / "configs", here.parent / "configs") if path.is_dir())


def names() -> list[str]:
    """The configurations that come with the package."""
    return sorted(path.stem for path in folder().glob("*.toml"))


def read(name: str) -> dict[str, Any]:
    """The tables of a TOML file, or of a configuration that comes with the package.

    Raises:
        UsageError: There is none, or it is not TOML.
    """
    path = Path(name)
    if not path.is_file():
        if name not in names():
            raise UsageError(f"no configuration file is called {name!r}. {hint(name, names())}")
        path = folder() / f"{name}.toml"
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise UsageError(f"{path} is not a configuration: {error}") from None


def override(tables: dict[str, Any], assignments: Iterable[str]) -> dict[str, Any]:
    """The tables with assignments such as "train.batch=64" made; values are written as in TOML, or bare text.

    Raises:
        UsageError: An assignment is not of the form table.key=value.
    """
    result = {name: dict(rows) if isinstance(rows, Mapping) else rows for name, rows in tables.items()}
    for assignment in assignments:
        place, equals, text = assignment.partition("=")
        section, dot, key = place.strip().partition(".")
        if not (equals and dot and key):
            raise UsageError(f"an override must be written as table.key=value, got {assignment!r}")
        try:
            value = tomllib.loads(f"value = {text}")["value"]
        except tomllib.TOMLDecodeError:
            value = text.strip()
        result.setdefault(section, {})[key] = value
    return result


def parse(tables: Mapping[str, Any], where: str) -> Config:
    """The configuration that the tables describe.

    Args:
        where: The file or name, for the message.

    Raises:
        UsageError: Anything is wrong; the message lists every mistake on a line of its own.
    """
    strangers = [name for name in tables if name not in KINDS]
    mistakes = [f"[{name}] is not a table of a configuration. {hint(name, KINDS)}" for name in strangers]

    def attempt(kind: str, build: Callable[[Any], T]) -> T | None:
        try:
            return build(tables.get(kind, {}))
        except ScoreSDEError as error:
            mistakes.extend(f"[{kind}] {line}" for line in str(error).split("; "))
        return None

    parts = (
        attempt("data", data.build),
        attempt("sde", sdes.build),
        attempt("network", networks.build),
        attempt("train", lambda rows: TrainOptions(**rows)),
    )
    if mistakes or None in parts:
        count = f"{len(mistakes)} mistake{'s' * (len(mistakes) > 1)}"
        raise UsageError("\n  ".join([f"{count} in the configuration {where}:", *mistakes]))
    config = Config(*parts)  # type: ignore[arg-type]
    if found := contradictions(config, config.data.shape):
        raise UsageError("\n  ".join([f"the configuration {where} contradicts itself:", *found]))
    return config


def contradictions(config: Config, shape: tuple[int, ...] | None) -> list[str]:
    """What does not go together, a sentence each, for images of a shape, (C, H, W), if it is known."""
    options, network, found = config.train, config.network, []
    learned, chain = getattr(network, "learned_variance", False), isinstance(config.sde, DDPM)
    if options.loss == "hybrid" and not (learned and chain):
        found.append("train.loss = hybrid needs sde.name = ddpm and network.learned_variance = true")
    if learned and options.loss != "hybrid":
        found.append(f"network.learned_variance = true needs train.loss = hybrid, got {options.loss}")
    if options.weighting != "simple" and options.loss not in ("l2", "hybrid"):
        found.append(f"train.weighting = {options.weighting} weighs a squared error, {options.loss} is none")
    if options.weighting == "likelihood" and chain:
        found.append("train.weighting = likelihood is of continuous processes: with ddpm, train.loss = hybrid has it")
    if options.shard and options.channels_last:
        found.append("train.shard = true cuts weights along their channels, so train.channels_last must be false")
    if shape and (further := extra_channels(options.condition, shape[0])) != getattr(network, "extra_channels", 0):
        found.append(f"train.condition = {options.condition} takes network.extra_channels = {further} on such images")
    if shape and options.condition == "colour" and shape[0] != 3:
        found.append(f"train.condition = colour takes images of 3 channels, got {shape[0]}")
    return found


KINDS = ("data", "sde", "network", "train")


def load(name: str, assignments: Iterable[str] = ()) -> Config:
    """The configuration of a file or name, with overrides."""
    return parse(override(read(name), assignments), name)


def to_toml(tables: Mapping[str, Mapping[str, Any]]) -> str:
    """Tables of numbers, texts and lists as TOML; options that are none are left out."""
    lines = []
    for name, rows in tables.items():
        lines.append(f"[{name}]")
        # JSON writes numbers, texts, booleans and lists of them as TOML does.
        lines += [f"{key} = {json.dumps(value)}" for key, value in rows.items() if value is not None]
        lines.append("")
    return "\n".join(lines)
