"""Arguments of the public functions: models and solvers, as objects or by name. For arrays and images see `inputs`."""

from numbers import Integral
from pathlib import Path
from typing import Any

from ..core.devices import device
from ..core.errors import UsageError
from ..core.sentences import an
from ..likelihood import Divergence, Exact, Hutchinson
from ..models import ScoreModel, load
from ..models.latent import data_shape
from ..models.network import network_of
from ..solvers import Solver, solvers
from .inputs import pictures

Model = ScoreModel | str | Path
"""A model, or the name of one: a run, a model folder, or a bundled name."""
Method = Solver | type[Solver] | str
"""A solver: an object, a class, or its text, such as "unipc" or "rk45:tol=1e-3"."""
DELAY = 1.0
"""Seconds after which a bar is shown, so that short work has none."""


def model_of(model: Model) -> ScoreModel:
    """A model as it is, or loaded by its name, onto the first GPU if there is one.

    Args:
        model: The model or its name.

    Raises:
        UsageError: There is no such model, or it is no model at all.
        CheckpointError: Its folder is damaged.
    """
    if isinstance(model, ScoreModel):
        return model
    if isinstance(model, str | Path):
        return load(model, device("auto"))
    raise UsageError(f"a model is a ScoreModel or a name such as 'digits', got {an(type(model).__name__)}")


def solver_of(solver: Method, **options: Any) -> Solver:
    """A solver from itself, its class or its text, with further options.

    Args:
        solver: The solver.
        options: Options to be changed; those that are None are left as they are.

    Raises:
        UsageError: There is no such solver, or it does not take one of the options.
    """
    chosen = solvers.make(solver, Solver)
    given = {name: value for name, value in options.items() if value is not None}
    if not given:
        return chosen
    return type(chosen)(**{name: getattr(chosen, name) for name in chosen.model_fields_set} | given)


def source_of(model: ScoreModel) -> Path | None:
    """The folder that a model, or the network inside it, was loaded from; None if it was not.

    Args:
        model: The model.
    """
    network = network_of(model)
    return None if network is None else network.source


def divergence_of(exact: bool, probes: int, classes: int) -> Divergence:
    """The divergence of a likelihood, exact or estimated.

    Args:
        exact: Whether it is exact.
        probes: Independent estimates.
        classes: Interleaved classes of values for each.

    Raises:
        UsageError: Both are asked for.
    """
    if exact and (probes, classes) != (1, 1):
        raise UsageError("the exact divergence leaves nothing to estimate: leave out probes and classes")
    return Exact() if exact else Hutchinson(probes=probes, classes=classes)


def drawable(name: str, model: ScoreModel) -> None:
    """Checks that the samples of a model are pictures.

    Args:
        name: Of the model, for the error.
        model: The model.

    Raises:
        UsageError: They are none.
    """
    if not pictures(model):
        shape = data_shape(model)
        raise UsageError(
            f"{name} makes no pictures of 1 or 3 channels, but samples of shape {shape}: choose another model"
        )


def counted(**numbers: Any) -> None:
    """Checks that numbers of samples, images and the like are whole, and at least 1; None is left to a default.

    Args:
        numbers: The numbers, by the names of their arguments.

    Raises:
        UsageError: One is not.
    """
    for name, value in numbers.items():
        if value is not None and (not isinstance(value, Integral) or value < 1):
            raise UsageError(f"{name} is a whole number of at least 1, got {value!r}")
