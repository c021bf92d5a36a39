"""The options of the posterior suite: problems, methods, and the number of samples for each measurement."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

from pydantic import ConfigDict, Field, PlainSerializer, field_validator

from ...conditioners import Conditioner, conditioners
from ...core.errors import UsageError
from ...core.options import Options, Registry, table
from ...observations import NamedObservation, observations
from ...posterior import PosteriorSampler, posteriors
from ...solvers import Solver, solvers
from ..spec import Settings, every, expand
from .problems import PosteriorProblem, problems

DEFAULT = Path(__file__).parent.with_name("posterior.toml")


class PosteriorMethod(Options):
    """A method to draw from p(x | y): a conditioner with a solver, or a posterior sampler instead of both."""

    model_config = ConfigDict(arbitrary_types_allowed=True)
    name: ClassVar[str] = "method"
    conditioner: Annotated[
        Conditioner | Literal["none"] | None, PlainSerializer(lambda c: table(c) if isinstance(c, Options) else c)
    ] = Field(None, description="Conditioner; with none the solver ignores y.")
    solver: Annotated[Solver | PosteriorSampler, PlainSerializer(table)] = Field(description="Solver or sampler.")
    believed: Annotated[NamedObservation | None, PlainSerializer(lambda o: o and table(o))] = Field(
        None, description="Observation that the conditioner wrongly assumes, if any."
    )
    denoise: bool = Field(True, description="End with E[x_0 | x_stop]; score_sde's published heuristic does not.")
    on: tuple[str, ...] = Field((), description="Problems that it is for, by their names or titles; all by default.")

    def meant_for(self, problem: PosteriorProblem) -> bool:
        """Whether the method is used on a problem.

        Args:
            problem: The problem.
        """
        return not self.on or problem.name in self.on or problem.title in self.on


def methods(entry: str | Mapping[str, Any]) -> Iterator[PosteriorMethod]:
    """Every method of a table in which a list of values means each of them in turn.

    As a text it is a conditioner and a solver, "covariance:kind=channel/full dpm++:steps=10/20", or a posterior
    sampler, "smc:particles=4/16".

    Args:
        entry: The table or the text.

    Raises:
        UsageError: The entry does not describe methods.
    """
    if isinstance(entry, str):
        words = entry.split()
        if len(words) not in (1, 2):
            raise UsageError(f"a method is a conditioner, a space and a solver, or a sampler alone, got {entry!r}")
        entry = {"conditioner": words[0], "solver": words[1]} if len(words) == 2 else {"solver": words[0]}
    options = dict(entry)
    if "solver" not in options:
        raise UsageError("a method has no solver: give one, with a conditioner, or a posterior sampler")
    how, tools = options.pop("conditioner", None), options.pop("solver")
    if isinstance(believed := options.pop("believed", None), str):
        believed = observations.parse(believed)
    registry: Registry[Any] = solvers if how else posteriors
    for conditioner in [how] if how in (None, "none") else expand(how, conditioners):
        for tool in tools if isinstance(tools, list) else [tools]:
            for solver in expand(tool, registry):
                yield PosteriorMethod(conditioner=conditioner, solver=solver, believed=believed, **options)


class PosteriorSpec(Settings):
    """A benchmark: for each problem, every method draws from the posteriors of the same measurements."""

    model_config = ConfigDict(arbitrary_types_allowed=True)
    problem: tuple[Annotated[PosteriorProblem, PlainSerializer(table)], ...] = Field(
        min_length=1, description="Tables or strings; a list of values gives several runs."
    )
    method: tuple[PosteriorMethod, ...] = Field(
        min_length=1, description="Tables or strings of a conditioner and a solver, or of a sampler."
    )
    measurements: int = Field(4, ge=2, description="Measurements for each of which there are `count` samples.")
    others: int = Field(512, ge=0, description="Further measurements, for columns across measurements.")
    ranks: int = Field(7, ge=1, description="Samples for each of these, among which the true x is ranked.")

    @field_validator("problem", mode="before")
    @classmethod
    def _problems(cls, value: Any) -> Any:
        return every(value, lambda entry: list(expand(entry, problems)), "problem")

    @field_validator("method", mode="before")
    @classmethod
    def _methods(cls, value: Any) -> Any:
        return every(value, lambda entry: list(methods(entry)), "method")
