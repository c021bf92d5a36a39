"""Steps of a fixed grid that are computed side by side, for hardware on which a batch costs no more than one sample."""

from itertools import pairwise
from typing import Annotated, Any

import torch
from pydantic import Field, field_validator
from torch import Tensor

from ..core.errors import UsageError
from ..core.random import Generators, randn_like
from ..models.base import ScoreModel, WrapperModel
from ..models.gaussian import GaussianModel
from ..models.output import Output
from ..sde import Level
from .base import GridSolver, MarkovSolver, solvers

VARIANCE = 0.25
"""Of the values of the normal data whose steps guide the iteration: about that of pictures in [-1, 1]."""


class _Evaluated(WrapperModel):
    """A model whose prediction for the rows that it is asked for is known already."""

    out: Tensor

    def evaluate(self, x: Tensor, t: Tensor, classes: Tensor | None = None) -> Output:
        return Output(self.out)


@solvers("picard")
class Picard(GridSolver):
    """x_s = Φ(x_t) for all steps of a window at once, until x'_s = Φ(x_t) + A (x'_t - x_t) moves it no further.

    Φ is a step of `inner`, its noise drawn once, and A the slope of Φ for normal data. Each round evaluates the steps
    of the window in one batch, and begins after the last one that had moved by at most `change` σ; the first one of a
    window is exact. So the samples are those of `inner` to that tolerance, from fewer evaluations one after the other,
    `nfe`, and more in all, `work`.

    References: Shih et al. 2023, https://arxiv.org/abs/2305.16317, algorithm 1, which has A = 1; Selvam et al. 2024,
    https://arxiv.org/abs/2412.08292, for a coarse step in its place.
    """

    parallel = True
    examples = ({"inner": "ancestral", "window": 8},)
    inner: str = Field("ddim", description="Solver whose steps are taken: ddim, ancestral, em, ddpm.")
    window: Annotated[int, Field(ge=1, le=10_000, description="Steps in one batch.")] = 100
    change: float = Field(1e-4, gt=0, lt=1, description="Largest change of a step that counts as none, in units of σ.")

    @field_validator("inner")
    @classmethod
    def _draws_normal_steps(cls, inner: str) -> str:
        if inner not in solvers or not issubclass(solvers[inner], MarkovSolver):
            raise ValueError(f"inner must be a solver with normal steps, such as ddim or ancestral, got {inner!r}")
        return inner

    @property
    def noisy(self) -> bool:
        return solvers[self.inner].stochastic or self.final_corrector > 0

    @property
    def claimed_order(self) -> float:
        return 1.0

    def walk(self, model: ScoreModel, x: Tensor, levels: list[Level], generator: Generators) -> Tensor:
        if model.bound is not None:
            raise UsageError(f"picard takes several states of a sample, and this model is bound to {model.bound}")
        steps, count = list(pairwise(levels)), len(x)
        method: Any = solvers.build({"name": self.inner, "steps": self.steps, "grid": self.grid})
        one = torch.ones(1, dtype=torch.float64)
        normal = GaussianModel(0 * one, VARIANCE * one, model.sde)
        coarse = [(float(mean), std) for mean, std in (method.kernel(normal, one[None], t, s) for t, s in steps)]
        known = _Evaluated(model)
        noise = [std * randn_like(x, generator) if std else torch.zeros_like(x) for _, std in coarse]
        states, first = [x], [0] * count
        for (slope, _), z in zip(coarse, noise, strict=True):
            states.append(slope * states[-1] + z)
        while (begin := min(first)) < len(steps):
            ahead = range(begin, min(max(first) + self.window, len(steps)))
            rows = {k: [r for r in range(count) if first[r] <= k < first[r] + self.window] for k in ahead}
            before = {k: states[k][of] for k, of in rows.items() if of}
            x_all, t_all = torch.cat([*before.values()]), torch.cat([levels[k].rows(v) for k, v in before.items()])
            parts = torch.split(model.eps(x_all, t_all), [len(part) for part in before.values()])
            said = dict(zip(before, parts, strict=True))
            change, going = torch.zeros_like(x), [True] * count
            for k in range(begin, len(steps)):
                change = coarse[k][0] * change  # of the state that the step begins with; of its end, from here on
                if k in said:
                    known.out = said[k]
                    mean, _ = method.kernel(known, before[k], *steps[k])
                    new = mean + noise[k][rows[k]] + change[rows[k]] - states[k + 1][rows[k]]
                    change = change.index_copy(0, torch.tensor(rows[k], device=x.device), new)
                    small = new.flatten(1).square().mean(1).sqrt() <= self.change * levels[k + 1].sigma
                    for r, stays in zip(rows[k], small.tolist(), strict=True):
                        if going[r]:
                            first[r], going[r] = k + 1, stays
                states[k + 1] = states[k + 1] + change
        return states[-1]
