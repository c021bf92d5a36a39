"""Step-size controllers: from the errors of the last steps to the length of the next."""

from typing import Annotated

import numpy as np
from pydantic import BeforeValidator, Field, PlainSerializer

from ..core.options import Registry, WrittenOptions
from .stepping import Floats

TINY = 1e-10
"""Errors of earlier steps count as at least this, so that one step without any does not rule the next."""


class Controller(WrittenOptions):
    """h_{n+1}/h_n = safety · e_n^(-b1/k) · e_{n-1}^(-b2/k) · e_{n-2}^(-b3/k), within limits.

    e are the errors over what is allowed and k is the order of the estimate, e ~ hᵏ. A rejected step is tried again
    by safety · e_n^(-1/k), at most `safety` times as long.

    Reference: Söderlind 2003, https://doi.org/10.1145/641876.641877, for controllers as digital filters.
    """

    b1: float = Field(1.0, gt=0, le=2, description="Weight of the last error.")
    b2: float = Field(0.0, ge=-1, le=1, description="Weight of the error before.")
    b3: float = Field(0.0, ge=-1, le=1, description="Weight of the error before that.")
    safety: float = Field(0.9, gt=0, le=1, description="Safety factor of the predicted step size.")
    slowest: float = Field(0.2, ge=0, lt=1, description="Minimal factor between two step sizes.")
    fastest: float = Field(10.0, gt=1, allow_inf_nan=True, description="Maximal factor between two step sizes.")
    hold: bool = Field(True, description="Do not increase the step size right after a rejection.")

    def factor(
        self, error: Floats, order: Floats | float, past: tuple[Floats, Floats], accepted: Floats, rejected: Floats
    ) -> Floats:
        """The factor of each row's step, (B,).

        Args:
            error: e_n, (B,).
            order: k, the same for all or (B,).
            past: e_{n-1} and e_{n-2}, of accepted steps, (B,) each.
            accepted: Whether the step was accepted, (B,).
            rejected: Whether the one tried before it was rejected, (B,).
        """
        with np.errstate(all="ignore"):  # an error can be zero, or not be a number
            factor = self.safety * error ** (-self.b1 / order)
            for b, e in zip((self.b2, self.b3), past, strict=True):
                if b:
                    factor = factor * np.maximum(e, TINY) ** (-b / order)
            if self.hold and rejected.any():
                factor = np.where(rejected, np.minimum(factor, 1.0), factor)
            if not accepted.all():
                retry = np.minimum(self.safety * error ** (-1 / order), self.safety)
                factor = np.where(accepted, factor, retry)
        return np.minimum(np.maximum(factor, self.slowest), self.fastest)


controllers: Registry[Controller] = Registry("controller", "scoresde.solvers.controllers", "scoresde.controllers")


@controllers("i")
class Integral(Controller):
    """Only the last error counts, as in SciPy, whose safety factor and limits are the defaults."""


@controllers("pi")
class ProportionalIntegral(Controller):
    """A step is lengthened less when the error has grown, so accepted and rejected steps alternate less often.

    References: Gustafsson 1991, https://doi.org/10.1145/210232.210242; Hairer and Wanner 1996, section IV.2,
    https://doi.org/10.1007/978-3-642-05221-7, for 0.7 and 0.4.
    """

    b1: float = Field(0.7, gt=0, le=2, description="Weight of the last error.")
    b2: float = Field(-0.4, ge=-1, le=1, description="Weight of the error before.")


@controllers("pid")
class PID(Controller):
    """The filter H312PID: smooth sequences of steps. It adapts slowly, so it pays only over many steps.

    Reference: Söderlind 2003, https://doi.org/10.1145/641876.641877, table III.
    """

    b1: float = Field(1 / 18, gt=0, le=2, description="Weight of the last error.")
    b2: float = Field(1 / 9, ge=-1, le=1, description="Weight of the error before.")
    b3: float = Field(1 / 18, ge=-1, le=1, description="Weight of the error before that.")


ControllerOption = Annotated[
    Controller,
    BeforeValidator(lambda value: controllers.make(value, Controller)),
    PlainSerializer(str),
    Field(
        validate_default=True,
        description="Rule for the next step size: i, pi, pid, or with options, such as pi:safety=0.8.",
    ),
]
