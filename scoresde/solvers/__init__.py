"""Solvers of the reverse process. One file per method; adding a file adds a solver."""

from typing import TYPE_CHECKING

from .adaptive import PerSampleSolver
from .base import AdaptiveSolver, GridSolver, MarkovSolver, OneStepSolver, Solver, solvers

if TYPE_CHECKING:  # for editors; at run time a class is imported when it is asked for
    from .adams import ExponentialAdams as ExponentialAdams
    from .adams_bashforth import IPNDM as IPNDM
    from .adams_bashforth import ExponentialAdamsBashforth as ExponentialAdamsBashforth
    from .ancestral import Ancestral as Ancestral
    from .ddim import DDIM as DDIM
    from .ddpm import DDPMSampling as DDPMSampling
    from .deis import DEIS as DEIS
    from .dpm_fast import DPMFast as DPMFast
    from .dpm_multistep import DPMMulti as DPMMulti
    from .dpm_plus_plus import DPMPlusPlus as DPMPlusPlus
    from .dpm_singlestep import DPMSingle as DPMSingle
    from .dpm_solver import DPMSolver as DPMSolver
    from .edm import EDM as EDM
    from .euler import Euler as Euler
    from .euler_maruyama import EulerMaruyama as EulerMaruyama
    from .fixed_runge_kutta import RK4 as RK4
    from .fixed_runge_kutta import Heun as Heun
    from .ggf import GGF as GGF
    from .linear import Linear as Linear
    from .predictor_corrector import PredictorCorrector as PredictorCorrector
    from .reverse_diffusion import ReverseDiffusion as ReverseDiffusion
    from .runge_kutta import DOP853 as DOP853
    from .runge_kutta import RK23 as RK23
    from .runge_kutta import RK45 as RK45
    from .scipy_solver import SciPySolver as SciPySolver
    from .sde_dpmpp import SDEDPMSolverPP as SDEDPMSolverPP
    from .seeds import SEEDS as SEEDS
    from .torchdiffeq_solver import TorchdiffeqSolver as TorchdiffeqSolver
    from .unipc import UniPC as UniPC
else:
    __getattr__, __dir__ = solvers.members(globals())

__all__ = ["AdaptiveSolver", "GridSolver", "MarkovSolver", "OneStepSolver", "PerSampleSolver", "Solver", "solvers"]
