"""Which solver takes a given number of steps where none is named: what the measurements put first.

`benchmarks/few_steps.py` makes benchmarks/results/few-steps.md, and a test compares this table with its rows.
"""

from bisect import bisect_right
from typing import Literal

from ..models.base import ScoreModel
from ..models.network import network_of
from .base import GridSolver, solvers
from .euler import Euler

Kind = Literal["closed form", "small network", "large network"]
LARGE = 3_000_000
"""Parameters from which on a network counts as large: those that were measured have 0.4, 0.7 and 6.5 million."""
CHOSEN: dict[Kind, dict[int, str]] = {
    "closed form": {
        1: "euler",
        3: "ipndm:order=2",
        6: "ipndm:order=3",
        7: "ipndm:order=3,grid=logsnr",
        10: "eab:order=4",
        20: "unipc:prediction=noise,lower_order_final=true",
    },
    "small network": {
        1: "euler",
        3: "eab:order=2,grid=time,lower_order_final=true",
        4: "unipc:order=2,grid=time,lower_order_final=true",
        5: "unipc:order=2,grid=quadratic,lower_order_final=true",
        12: "unipc",
        15: "unipc:order=2,grid=quadratic,lower_order_final=true",
        30: "eab:order=4",
    },
    "large network": {
        1: "euler",
        3: "eab:prediction=data",
        5: "dpm++:order=3",
        12: "unipc",
    },
}
"""For each kind of model the solver from a number of steps on, up to the next number."""


def kind_of(model: ScoreModel) -> Kind:
    """What decides which solver is best: whether a model is a closed form, and if not how large its network is.

    Args:
        model: Any model.
    """
    if (network := network_of(model)) is None:
        return "closed form"
    return "large network" if sum(part.numel() for part in network.parameters()) >= LARGE else "small network"


def of_steps(steps: int, kind: Kind) -> GridSolver:
    """The solver that ends nearest to the converged flow in a number of steps of one evaluation each.

    Args:
        steps: Number of steps.
        kind: What is sampled.

    Raises:
        UsageError: The number is not allowed.
    """
    given, table = Euler(steps=steps).steps, CHOSEN[kind]
    text = table[list(table)[bisect_right(list(table), given) - 1]]
    found: GridSolver = solvers.parse(f"{text}{',' if ':' in text else ':'}steps={given}")
    return found
