"""The options of a benchmark: models, solvers with swept options, samples and metrics, from TOML or from flags."""

import itertools
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal, TypeVar, get_origin

from pydantic import Field, PlainSerializer, field_validator

from ..core.errors import UsageError
from ..core.options import Options, Registry, hint, table
from ..core.sentences import separated
from ..data import DataOptions, data
from ..metrics import Metric, metrics
from ..sampling.precision import Asked
from ..solvers import Solver, solvers

CONVERGED = 1e-5
"""Tolerance of rk45 at which a likelihood has converged."""
DEFAULT = Path(__file__).with_name("default.toml")
T = TypeVar("T", bound=Options)


def expand(entry: str | Mapping[str, Any], registry: Registry[T]) -> Iterator[T]:
    """Every solver, or other options, of a table in which a list of values means each of them in turn.

    As text it is written "dpm:tol=1e-1/1e-2,order=3".

    Args:
        entry: The table or the text.
        registry: Where the name is looked up.

    Raises:
        UsageError: The entry does not describe any.
    """
    kind = registry.kind
    if isinstance(entry, str):
        name, _, rest = entry.partition(":")
        parts = [part.partition("=") for part in separated(rest, registry[name].model_fields)]
        if bad := [key for key, equals, _ in parts if not equals]:
            raise UsageError(f"{bad[0]!r} in {entry!r} has no value: a {kind} is written as name:key=value,key=v1/v2")
        entry = {"name": name, **{key: text.split("/") if "/" in text else text for key, _, text in parts}}
    if not isinstance(entry, Mapping):
        raise UsageError(f"a {kind} is a table or a text, got {entry!r}")
    options = dict(entry)
    if "name" not in options:
        raise UsageError(f"a {kind} has no name. {hint('', registry.all())}")
    cls = registry[str(options.pop("name"))]

    def choices(key: str, value: Any) -> list[Any]:
        field = cls.model_fields.get(key)
        whole = field is not None and get_origin(field.annotation) is tuple
        swept = isinstance(value, list) and (not whole or (bool(value) and isinstance(value[0], list)))
        if swept and not value:
            raise UsageError(f"{key} of {cls.name} is an empty list: give at least one value")
        return value if swept else [value]

    axes = [choices(key, value) for key, value in options.items()]
    for values in itertools.product(*axes):
        yield cls(**dict(zip(options, values, strict=True)))


def every(entries: Any, read: Any, kind: str) -> list[Any]:
    """What `read` returns for each entry. The error lists every entry that cannot be read.

    Args:
        entries: One entry or many: options, tables or texts.
        read: Makes a list of one table or text.
        kind: What the entries are called in the error.
    """
    found: list[Any] = []
    mistakes: list[str] = []
    for entry in entries if isinstance(entries, list | tuple) else [entries]:
        if isinstance(entry, Options):
            found.append(entry)
            continue
        if not isinstance(entry, str | Mapping):
            mistakes.append(f"[{kind}] {entry!r} is neither a table nor a text")
            continue
        try:
            found += read(entry)
        except UsageError as error:
            mistakes.append(f"[{kind}] {error}")
    if mistakes:
        raise ValueError("; ".join(mistakes))
    return found


class Settings(Options):
    """What all benchmarks have in common."""

    name: ClassVar[str] = "benchmark"
    count: int = Field(512, ge=2, le=10_000_000, description="Samples; sample i uses the seed `seed` + i.")
    batch: int = Field(64, ge=1, description="Samples at a time.")
    seed: int = Field(0, ge=0, description="First seed.")
    dtype: Literal["float32", "float64"] = Field("float32", description="Dtype of the state; a network uses its own.")


class Spec(Settings):
    """A benchmark: every model is sampled with every solver, from the same seeds."""

    model: tuple[str, ...] = Field(
        ("digits",), min_length=1, description="Runs, model folders, bundled names, or gaussian, gm2, gm192."
    )
    solver: tuple[Annotated[Solver, PlainSerializer(table)], ...] = Field(
        min_length=1, description="Tables or strings; a list of values gives several runs."
    )
    metric: tuple[Annotated[Metric, PlainSerializer(table)], ...] = Field(
        (), description="Tables or strings: metrics for samples of networks."
    )
    data: Annotated[DataOptions, PlainSerializer(table)] | None = Field(
        None, description="Real images for metrics and likelihoods; by default the network's data set."
    )
    reference: str = Field("train", description="Reference of metrics: train, test, or an .npz file of statistics.")
    denoise: bool | None = Field(
        None, description="End with E[x_0 | x_stop]; by default for networks, and not for analytic models."
    )
    likelihood: int = Field(
        64, ge=0, description="Held-out images whose likelihood is computed, equally of all classes."
    )
    likelihood_tol: float = Field(
        CONVERGED, gt=0, lt=1, description="Tolerance of rk45 for the model's own likelihood; 1e-3 takes half the time."
    )
    paths: int = Field(64, ge=0, description="Number of samples whose error is computed.")
    precision: Asked = Field(
        "float32",
        description="Of networks, float32, bfloat16, float16 or auto, when samples are drawn; true paths and "
        "likelihoods are computed in float32.",
    )
    compile: bool = Field(False, description="Compile the networks that samples are drawn from.")

    def with_weights(self, path: Path) -> "Spec":
        """The benchmark with the feature network of its metrics in a file of its own.

        Args:
            path: The file of the weights.

        Raises:
            UsageError: No metric takes weights, or all name theirs.
        """
        found = [
            m.model_copy(update={"weights": str(path)}) if getattr(m, "weights", "") is None else m for m in self.metric
        ]
        if found == list(self.metric):
            raise UsageError(
                f"--weights {path} is of no metric here: fid, kid, is and prc take weights, so add --metric fid"
            )
        return self.model_copy(update={"metric": tuple(found)})

    @field_validator("model", mode="before")
    @classmethod
    def _one_or_many(cls, value: Any) -> Any:
        return (value,) if isinstance(value, str) else value

    @field_validator("solver", mode="before")
    @classmethod
    def _solvers(cls, value: Any) -> Any:
        return every(value, lambda entry: list(expand(entry, solvers)), "solver")

    @field_validator("metric", mode="before")
    @classmethod
    def _metrics(cls, value: Any) -> Any:
        return every(value, lambda entry: [metrics.parse(entry)], "metric")

    @field_validator("likelihood", "paths")
    @classmethod
    def _have_a_spread(cls, value: int) -> int:
        if value == 1:
            raise ValueError("likelihood and paths must be 0 or at least 2, since one value has no interval, got 1")
        return value

    @field_validator("reference")
    @classmethod
    def _known(cls, value: str) -> str:
        if value not in ("train", "test") and not value.endswith(".npz"):
            raise ValueError(f"reference must be train, test or an .npz file of statistics, got {value!r}")
        return value

    @field_validator("data", mode="before")
    @classmethod
    def _data(cls, value: Any) -> Any:
        return None if value is None else every([value], lambda entry: [data.parse(entry)], "data")[0]
