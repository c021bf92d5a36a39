"""Tuned solvers beside a model's weights, in tuned.json."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from ... import models
from ...core import files
from ...core.errors import CheckpointError, UsageError
from ...sde import sdes
from ...solvers import solvers
from ...solvers.linear import Linear

FILE = "tuned.json"
FORMAT = 1
"""Version of the file's layout. A reader refuses any other."""


class TunedSolver(BaseModel):
    """A tuned solver, what it is for, and how it was found."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    solver: dict[str, Any]
    """`linear` with its steps, grid, weights and times."""
    stop: float
    """Time at which it ends."""
    sha256: str
    """Of the weights."""
    default: str
    """The solver from which it was learned, which is taken for so many steps where nothing was tuned."""
    errors: dict[str, dict[str, float]]
    """On held-out seeds: median and mean of the samples' errors of the default and the tuned solver."""
    seeds: tuple[int, int]
    """First and last seed of the noise it was tuned on."""
    held_out: tuple[int, int]
    """First and last seed of the noise behind `errors`."""
    reference: dict[str, Any]
    """The solver that stands for the exact flow."""
    environment: dict[str, Any]

    @property
    def steps(self) -> int:
        """Its steps, each of one evaluation."""
        return int(self.solver["steps"])

    def build(self) -> Linear:
        """The solver.

        Raises:
            CheckpointError: The file names none.
        """
        try:
            found = solvers.build(self.solver)
        except UsageError as error:
            raise CheckpointError(f"{FILE} holds no solver: {error}") from None
        if not isinstance(found, Linear):
            raise CheckpointError(f"{FILE} holds {found.name}, which is no tuned solver: tune anew")
        return found


class Kept(BaseModel):
    """What tuned.json holds."""

    format: int = Field(FORMAT, ge=FORMAT, le=FORMAT)
    solvers: list[TunedSolver] = []


def every(folder: Path) -> Sequence[TunedSolver]:
    """The tuned solvers in a model's folder.

    Args:
        folder: The model's folder.

    Raises:
        CheckpointError: The file is damaged.
    """
    if not (folder / FILE).exists():
        return []
    try:
        return Kept.model_validate(files.read_json(folder / FILE)).solvers
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"]))
        raise CheckpointError(f"{folder / FILE} is not a list of tuned solvers: {where}: {first['msg']}") from None


def save(folder: Path, entry: TunedSolver) -> None:
    """Adds a tuned solver to a model's folder. It replaces an earlier one of as many steps.

    Args:
        folder: The model's folder.
        entry: The tuned solver.
    """
    kept = [old for old in every(folder) if (old.steps, old.stop) != (entry.steps, entry.stop)]
    files.write_json(folder / FILE, Kept(solvers=[*kept, entry]).model_dump())


def found(folder: Path, steps: int) -> Linear | None:
    """The solver that was tuned for a model and a number of steps, or None if there is none for its weights.

    Args:
        folder: The model's folder.
        steps: Number of steps, each of one evaluation.

    Raises:
        CheckpointError: The file is damaged.
    """
    if not (left := [entry for entry in every(folder) if entry.steps == steps]):
        return None
    config = files.read_json(folder / models.CONFIG)
    purpose = config["sha256"], sdes.build(config["sde"]).t_min
    return next((entry.build() for entry in left if (entry.sha256, entry.stop) == purpose), None)
