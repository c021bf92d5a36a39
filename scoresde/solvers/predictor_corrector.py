"""Predictor-corrector sampling."""

from typing import Literal

from pydantic import Field
from torch import Tensor

from ..core.random import Generators
from ..models.base import ScoreModel
from ..sde import Level
from .ancestral import Ancestral
from .base import MarkovSolver, OneStepSolver, Steps, solvers
from .euler_maruyama import EulerMaruyama
from .grids import GridOption, QuadraticGrid
from .langevin import langevin_step, warn_of_few
from .reverse_diffusion import ReverseDiffusion
from .stepping import Control

PREDICTORS: dict[str, MarkovSolver] = {
    "reverse-diffusion": ReverseDiffusion(),
    "ancestral": Ancestral(),
    "em": EulerMaruyama(),
}
FEW = 40
"""Values of a sample below which its own norms widen a normal law by more than a twentieth."""


@solvers("pc")
class PredictorCorrector(OneStepSolver):
    """A predictor's step, then Langevin steps at the new level: x += δ ∇log p + √(2δ) z, δ = 2 a (r |z|/|∇log p|)².

    a is the squared ratio of the two signal scales, 1 - β in a discrete chain. score_sde averages the norms over the
    batch (`control="batch"`), so a sample depends on the others; here each sample has its own norms, which need many
    values: with D of them the deviation of a normal law is 1 + 2/D times as large. Annealed Langevin dynamics uses σ
    in place of the ratio of norms, and has no such bias: δ = 2 a (r σ)².

    References: Song et al. 2021, https://arxiv.org/abs/2011.13456, algorithms 1, 3 and 5;
    Song and Ermon 2019, https://arxiv.org/abs/1907.05600, algorithm 1, for annealed Langevin dynamics.
    """

    stochastic = True
    examples = ({"predictor": "em"}, {"predictor": "ancestral", "corrector_steps": 2}, {"dynamics": "annealed"})
    steps: Steps = 500
    grid: GridOption = QuadraticGrid()
    predictor: Literal["reverse-diffusion", "ancestral", "em"] = Field(
        "reverse-diffusion", description="Solver of the predictor step."
    )
    dynamics: Literal["langevin", "annealed"] = Field(
        "langevin", description="Size of a Langevin step: from the norm of the score, or from the noise level."
    )
    snr: float = Field(0.16, gt=0, le=10, description="Signal-to-noise ratio r of a Langevin step.")
    corrector_steps: int = Field(1, ge=0, description="Langevin steps after each predictor step.")
    control: Control = "sample"

    @property
    def claimed_order(self) -> float:
        return 1.0

    def walk(self, model: ScoreModel, x: Tensor, levels: list[Level], generator: Generators) -> Tensor:
        own = self.corrector_steps and self.dynamics == "langevin" and self.control == "sample"
        if own and (size := x[0].numel()) < FEW:
            warn_of_few(size, "take pc with dynamics=annealed or control=batch")
        return super().walk(model, x, levels, generator)

    def step(self, model: ScoreModel, x: Tensor, t: Level, s: Level, generator: Generators) -> Tensor:
        x = PREDICTORS[self.predictor].step(model, x, t, s, generator)
        shrink, annealed = (t.alpha / s.alpha) ** 2, self.dynamics == "annealed"
        for _ in range(self.corrector_steps):
            x = langevin_step(
                model, x, s, generator, snr=self.snr, shrink=shrink, control=self.control, annealed=annealed
            )
        return x
