"""Shared options of the wrapped solvers of other libraries: the method's name and the tolerances."""

from collections.abc import Collection
from typing import ClassVar

from pydantic import Field, field_validator

from .base import AdaptiveSolver


class LibrarySolver(AdaptiveSolver):
    """Base of solvers from other libraries. All samples share each step, so a sample depends on the others."""

    batch_independent = False
    methods: ClassVar[Collection[str]] = ()
    """Their names in that library."""
    tol: float = Field(1e-3, ge=2.3e-14, lt=1, description="Relative error allowed per step.")
    method: str = Field(description="Method of that library, such as RK45 or LSODA, dopri5 or bosh3.")

    @field_validator("method")
    @classmethod
    def _known(cls, method: str) -> str:
        if method not in cls.methods:
            raise ValueError(f"method of {cls.name} must be one of {', '.join(cls.methods)}, got {method!r}")
        return method
