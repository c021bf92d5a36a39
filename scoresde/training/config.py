"""Configurations: TOML tables that choose and set everything a training run is made of."""

import difflib
import json
import tomllib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from ..core.errors import ScoreSDEError, UsageError
from ..core.files import read_text
from ..core.options import Options, hint
from ..core.sentences import many
from ..data import DataOptions, data
from ..networks import NetworkOptions, networks
from ..sde import SDE, sdes
from .options import TrainOptions

T = TypeVar("T")


@dataclass(frozen=True)
class Config:
    """What a training run is made of."""

    data: DataOptions
    """The images."""
    sde: SDE
    """The process."""
    network: NetworkOptions
    """The architecture."""
    train: TrainOptions
    """How it is trained."""

    def tables(self, *, chosen: bool = False) -> dict[str, dict[str, Any]]:
        """The tables that `parse` turns into an equal configuration.

        Args:
            chosen: Whether what nobody has chosen, which has its default, is left out.
        """
        parts: dict[str, Options] = {"data": self.data, "sde": self.sde, "network": self.network, "train": self.train}
        found = {}
        for kind, options in parts.items():
            rows = options.model_dump(mode="json", exclude_unset=chosen)
            found[kind] = rows if kind == "train" else {"name": options.name, **rows}
        return found


def folder() -> Path:
    """Where the configurations that come with the package are: in the package, or beside it in a checkout."""
    here = Path(__file__).parent.parent
    return next(path for path in (here / "configs", here.parent / "configs") if path.is_dir())


def names() -> list[str]:
    """The configurations that come with the package."""
    return sorted(path.stem for path in folder().glob("*.toml"))


def read(name: str) -> dict[str, Any]:
    """The tables of a TOML file, or of a configuration that comes with the package.

    Args:
        name: Path of the file, or a name from `names`.

    Raises:
        UsageError: There is none, or it is not TOML.
    """
    path = Path(name)
    if path.is_dir() and name not in names():
        raise UsageError(f"{name} is a folder, and a configuration is a TOML file, as {path / 'config.toml'} of a run")
    if not path.is_file():
        if name not in names():
            beside = [file.name for file in path.absolute().parent.glob("*")]
            near = difflib.get_close_matches(path.name, beside, n=1)  # a folder of pictures may be meant
            hinted = hint(path.name, [*names(), *near])
            raise UsageError(f"no file, folder or configuration is called {name!r}. {hinted}")
        path = folder() / f"{name}.toml"
    try:
        return tomllib.loads(read_text(path))
    except (OSError, ValueError) as error:
        raise UsageError(
            f"{path} is not a configuration: {error}; data to train on are a folder or zip of images, or an .npz, "
            ".npy or .csv file"
        ) from None


def override(tables: dict[str, Any], assignments: Iterable[str]) -> dict[str, Any]:
    """The tables with assignments such as "train.batch=64" made; the tables given stay as they are.

    Args:
        tables: Tables as `read` gives them.
        assignments: Texts table.key=value; a value is written as in TOML, and what is not TOML is taken as text. An
            option that is a text is one without quotes, too: data.path=2024.

    Raises:
        UsageError: An assignment is not of the form table.key=value.
    """
    result = {name: dict(rows) if isinstance(rows, Mapping) else rows for name, rows in tables.items()}
    # What is chosen by a name comes first, for the kind of the other options depends on it.
    for assignment in sorted(assignments, key=lambda text: ".name=" not in text.replace(" ", "")):
        place, equals, text = assignment.partition("=")
        section, dot, key = place.strip().partition(".")
        if not (equals and dot and key):
            raise UsageError(f"an override must be written as table.key=value, got {assignment!r}")
        try:
            value = tomllib.loads(f"value = {text}")["value"]
        except tomllib.TOMLDecodeError:
            value = text.strip()
        if not isinstance(rows := result.setdefault(section, {}), dict):
            raise UsageError(f"[{section}] must be a table, got {rows!r}")
        rows[key] = (
            text.strip() if not isinstance(value, str) and _is_text(section, str(rows.get("name")), key) else value
        )
    return result


def _is_text(section: str, name: str, key: str) -> bool:
    """Whether an option is a text, so that what looks like a number or a date in it is none."""
    registry: Mapping[str, type[Options]] = {"data": data, "network": networks, "sde": sdes}.get(section, {})  # type: ignore[assignment]
    cls = TrainOptions if section == "train" else registry[name] if name in registry else None
    field = cls.model_fields.get(key) if cls else None
    return field is not None and field.annotation in (str, str | None)


def parse(tables: Mapping[str, Any], where: str) -> Config:
    """The configuration that the tables describe.

    Args:
        tables: Tables as `read` gives them.
        where: The file or name, for the message.

    Raises:
        UsageError: Anything is wrong; the message lists every mistake on a line of its own.
    """
    strangers = [name for name in tables if name not in KINDS]
    mistakes = [f"[{name}] is not a table of a configuration. {hint(name, KINDS)}" for name in strangers]

    def attempt(kind: str, build: Callable[[Any], T]) -> T | None:
        if not isinstance(rows := tables.get(kind, {}), Mapping):
            mistakes.append(f"[{kind}] must be a table, got {rows!r}")
            return None
        try:
            return build(rows)
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
        count = f"{many(len(mistakes), 'mistake')}"
        raise UsageError("\n  ".join([f"{count} in the configuration {where}:", *mistakes]))
    config = Config(*parts)  # type: ignore[arg-type]
    if found := contradictions(config, config.data.shape):
        raise UsageError("\n  ".join([f"the configuration {where} contradicts itself:", *found]))
    return config


def contradictions(config: Config, shape: tuple[int, ...] | None) -> list[str]:
    """What does not go together, a sentence each.

    Args:
        config: The configuration.
        shape: (C, H, W) of the images, or None if it is not known yet: then what depends on it is not checked.
    """
    options, network, found = config.train, config.network, []
    learned, chain = network.learned_variance, config.sde.chain is not None
    if options.loss == "hybrid" and not (learned and chain):
        found.append("train.loss = hybrid needs sde.name = ddpm and network.learned_variance = true")
    if learned and options.loss != "hybrid":
        found.append(f"network.learned_variance = true needs train.loss = hybrid, got {options.loss}")
    if network.classes and not network.null_class:
        found.append(
            f"network.classes must be 0 for {network.name}, which cannot be given a sample of no class: training draws "
            "and evaluates such samples"
        )
    if options.weighting.squares and options.loss not in ("l2", "hybrid"):
        found.append(f"train.weighting = {options.weighting} weighs a squared error, {options.loss} is none")
    found += options.weighting.mistakes(config.sde, options.law)
    if options.shard and options.channels_last:
        found.append("train.shard = true cuts weights along their channels, so train.channels_last must be false")
    if options.channels_last and shape and len(shape) != 3:
        found.append(f"train.channels_last = true is a layout of images, (C, H, W), and these items have shape {shape}")
    if shape and (further := options.condition.extra_channels(shape[0])) != network.extra_channels:
        found.append(f"train.condition = {options.condition} takes network.extra_channels = {further} on such images")
    return found + (options.condition.mistakes(shape) if shape else [])


KINDS = ("data", "sde", "network", "train")


def load(name: str, assignments: Iterable[str] = ()) -> Config:
    """The configuration of a file or name, with overrides.

    Args:
        name: As for `read`.
        assignments: As for `override`.
    """
    return parse(override(read(name), assignments), name)


def to_toml(tables: Mapping[str, Mapping[str, Any]]) -> str:
    """Tables of numbers, texts and lists as TOML.

    Args:
        tables: Rows by the names of the tables; a value of None is left out.
    """
    lines = []
    for name, rows in tables.items():
        lines.append(f"[{name}]")
        lines += [f"{key} = {_written(value)}" for key, value in rows.items() if value is not None]
        lines.append("")
    return "\n".join(lines)


def _written(value: Any) -> str:
    """A value as TOML: JSON writes numbers, booleans, lists and texts as TOML does, but for one control character.

    A table is a text of JSON, which can say null.
    """
    value = json.dumps(value) if isinstance(value, dict) else value
    text = json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
    if any("\ud800" <= letter <= "\udfff" for letter in text):  # how Python keeps such bytes of a file's name
        raise UsageError(
            f"{json.dumps(value)} has bytes that are no UTF-8 and no configuration can hold: rename the file"
        )
    return text
