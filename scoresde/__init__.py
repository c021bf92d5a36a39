"""Score-based generative models with interchangeable solvers.

    >>> import scoresde
    >>> samples = scoresde.sample("digits", "unipc", n=16, steps=10)
    >>> samples.x.shape, samples.nfe
    (torch.Size([16, 1, 8, 8]), 11)

The main functions and classes are here, and are imported on first use. Everything else is in a subpackage:
`scoresde.solvers` has the classes of all solvers, and `scoresde.solvers.solvers` is the registry with their names.
"""

import importlib

__version__ = "0.1.0"

TYPE_CHECKING = False  # as in typing, which takes longer to import than all that is done here
if TYPE_CHECKING:
    from . import bench as bench
    from . import conditioners as conditioners
    from . import core as core
    from . import data as data
    from . import images as images
    from . import likelihood as likelihood
    from . import metrics as metrics
    from . import models as models
    from . import networks as networks
    from . import observations as observations
    from . import posterior as posterior
    from . import sampling as sampling
    from . import sde as sde
    from . import solvers as solvers
    from . import training as training
    from .api.classifying import fit_classifier as fit_classifier
    from .api.classifying import load_classifier as load_classifier
    from .api.exporting import export_model as export_model
    from .api.importing import import_model as import_model
    from .api.likelihood import bits_per_dim as bits_per_dim
    from .api.likelihood import log_likelihood as log_likelihood
    from .api.measuring import benchmark as benchmark
    from .api.measuring import check as check
    from .api.models import condition as condition
    from .api.models import load as load
    from .api.models import save as save
    from .api.photographs import restore as restore
    from .api.sampling import decode as decode
    from .api.sampling import encode as encode
    from .api.sampling import sample as sample
    from .bench.check import Verdict as Verdict
    from .bench.report import Report as Report
    from .conditioners import Conditioner as Conditioner
    from .core.errors import ScoreSDEError as ScoreSDEError
    from .core.random import generators as generators
    from .data import Images as Images
    from .data import Tensors as Tensors
    from .likelihood import NLL as NLL
    from .likelihood import Likelihood as Likelihood
    from .models.base import ScoreModel as ScoreModel
    from .models.classifier import ClassifierGuidedModel as ClassifierGuidedModel
    from .models.clipped import ClippedModel as ClippedModel
    from .models.gaussian import GaussianMixtureModel as GaussianMixtureModel
    from .models.gaussian import GaussianModel as GaussianModel
    from .models.guided import GuidedModel as GuidedModel
    from .models.network import NetworkModel as NetworkModel
    from .models.tiled import TiledModel as TiledModel
    from .observations import Composed as Composed
    from .observations import Downsample as Downsample
    from .observations import GaussianBlur as GaussianBlur
    from .observations import LinearOperator as LinearOperator
    from .observations import Luma as Luma
    from .observations import NonLinear as NonLinear
    from .observations import Observation as Observation
    from .observations import Pixels as Pixels
    from .observations import Stacked as Stacked
    from .sampling.samples import Samples as Samples
    from .sampling.trajectory import Trajectory as Trajectory
    from .sde import DDPM as DDPM
    from .sde import SDE as SDE
    from .sde import VESDE as VESDE
    from .sde import VPSDE as VPSDE
    from .sde import SubVPSDE as SubVPSDE
    from .sde import VPCosineSDE as VPCosineSDE
    from .solvers import Solver as Solver
    from .training.fit import fit as fit
    from .training.run import Run as Run

_PLACES = {
    "api.models": "load save condition",
    "api.photographs": "restore",
    "api.sampling": "sample encode decode",
    "api.classifying": "fit_classifier load_classifier",
    "api.exporting": "export_model",
    "api.importing": "import_model",
    "api.likelihood": "log_likelihood bits_per_dim",
    "api.measuring": "benchmark check",
    "training.fit": "fit",
    "training.run": "Run",
    "core.errors": "ScoreSDEError",
    "core.random": "generators",
    "sde": "SDE VPSDE SubVPSDE VESDE VPCosineSDE DDPM",
    "data": "Images Tensors",
    "models.base": "ScoreModel",
    "models.network": "NetworkModel",
    "models.gaussian": "GaussianModel GaussianMixtureModel",
    "models.guided": "GuidedModel",
    "models.classifier": "ClassifierGuidedModel",
    "models.clipped": "ClippedModel",
    "models.tiled": "TiledModel",
    "solvers": "Solver",
    "sampling.samples": "Samples",
    "sampling.trajectory": "Trajectory",
    "observations": "Observation Pixels Luma Downsample GaussianBlur LinearOperator NonLinear Stacked Composed",
    "conditioners": "Conditioner",
    "likelihood": "Likelihood NLL",
    "bench.report": "Report",
    "bench.check": "Verdict",
}
_PLACE = {name: place for place, names in _PLACES.items() for name in names.split()}
_ROOMS = "bench conditioners core data images likelihood metrics models networks observations posterior sampling"
_ROOMS += " sde solvers training"

__all__ = sorted(_PLACE)

if not TYPE_CHECKING:

    def __getattr__(name: str) -> object:
        """A verb, a class or a room, when it is first asked for (PEP 562)."""
        if name in _PLACE:
            globals()[name] = getattr(importlib.import_module(f"{__name__}.{_PLACE[name]}"), name)
            return globals()[name]
        if name in _ROOMS.split():
            return importlib.import_module(f"{__name__}.{name}")
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")

    def __dir__() -> list[str]:
        return sorted({*globals(), *_PLACE, *_ROOMS.split()})
