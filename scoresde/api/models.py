"""Models: loading, saving, and conditioning on a measurement."""

import logging
import math
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from .. import models
from ..conditioners import Conditioner, conditioners
from ..conditioners.covariance import CovarianceUser
from ..conditioners.posterior_model import PosteriorModel
from ..core.devices import device as device_of
from ..core.errors import UsageError
from ..models import NetworkModel, ScoreModel
from ..models.gaussian import GaussianMixtureModel
from ..models.latent import data_shape
from ..observations import LinearObservation, Observation, Pixels, WrittenObservation, observations
from ..observations.covariance import Covariance
from ..posterior import store
from ..posterior.tasks import CONDITIONER, conditioner_for
from ..sampling.precision import Asked, inferring
from ..sampling.sample import sample
from .arguments import Model, model_of, source_of
from .inputs import ArrayLike, measured

SMALL, COUNT = 256, 1024
"""Numbers in a sample up to which a full covariance is made of samples, and how many of these."""


def load(
    name: str | Path = "digits",
    device: str | torch.device = "auto",
    net: torch.nn.Module | None = None,
    *,
    precision: Asked = "float32",
    compile: bool = False,
) -> NetworkModel:
    """Loads the model of a run, of a model folder, or a bundled model by its name.

    Args:
        name: The folder, or digits, photos, cifar10 or fashion.
        device: "auto" for the first GPU or else the CPU, or "cpu", "cuda", "cuda:1" and so on.
        net: A network of the same class, if your own module was given to `fit`. It gets the weights of the folder.
        precision: Precision of the network: float32, bfloat16, float16, or "auto" for the fastest that leaves samples
            the same to about one grey level, which is measured once for each model and machine. States, times and
            results keep their own dtype, and the weights are not changed.
        compile: Compiles the network with torch.compile, which takes minutes.

    Raises:
        UsageError: There is no such model, device or precision.
        CheckpointError: The folder is incomplete, damaged, or of another version.
        ResourceError: The network cannot be compiled here.

    Example:
        >>> import scoresde
        >>> scoresde.load("digits").shape
        (1, 8, 8)
        >>> scoresde.sample(scoresde.load("digits", precision="bfloat16"), "euler", n=2, steps=2).x.dtype
        torch.float32
    """
    return inferring(models.load(name, device_of(device), net), precision, compile)


def save(model: NetworkModel, folder: str | Path) -> Path:
    """Saves a network model to a folder for `load`, and returns the folder.

    Args:
        model: A model from `load` or `fit`, or one made with the options of its network.
        folder: The folder, which is created if needed.

    Raises:
        UsageError: The model does not know how its network was built.
        ResourceError: The folder is not writable, or the disk is full.

    Example:
        >>> import scoresde
        >>> scoresde.load(scoresde.save(scoresde.load("digits"), "models/copy")).shape
        (1, 8, 8)
    """
    models.save(model, Path(folder))
    return Path(folder)


def condition(
    model: Model,
    observation: Observation | str | ArrayLike,
    y: ArrayLike,
    method: Conditioner | type[Conditioner] | str | None = None,
) -> PosteriorModel:
    """The model of p(x | y), for samples x with the measurement y.

    Args:
        model: The model of p(x), or its name.
        observation: How y was measured: an object such as Luma(), a string such as "luma", or a mask of the known
            values, as for `Pixels`.
        y: The measurement: a single one, or B of them with one row for each. For a mask it is a sample; only its known
            values are used. Images are PIL images or uint8 of 256 levels, (H, W), (H, W, C), (C, H, W) or with B in
            front, or floats in [-1, 1]. Other data are in their own units, and so are the noise of the observation and
            a covariance that you give.
        method: The conditioner: an object, a class or a string. By default "covariance" for linear observations, with
            the covariance of the data from the model's folder (for data in their own units, of samples); "trained" for
            a network that was trained for this task; "oracle" for an exact mixture; "dps" for non-linear observations
            and for models of latents.

    Raises:
        UsageError: A name does not exist, y is not a measurement of the model's samples, the method does not support
            the observation, or its covariance is missing.

    Example:
        >>> import scoresde, torch
        >>> top = torch.zeros(8, 8)
        >>> top[:4] = 1
        >>> image = scoresde.sample("digits", n=1).images
        >>> model = scoresde.condition("digits", top, image)
        >>> scoresde.sample(model, "dpm++", n=4, steps=5).x.shape
        torch.Size([4, 1, 8, 8])
        >>> table = scoresde.GaussianModel(torch.zeros(2), torch.tensor([[1.0, 0.8], [0.8, 1.0]]), scoresde.VPSDE())
        >>> second = scoresde.condition(table, [True, False], [1.0, float("nan")])  # the first column is known
        >>> scoresde.sample(second, n=3).x[:, 0]
        tensor([1., 1., 1.])
    """
    prior = model_of(model)
    seen = observation_of(observation).of_shape(data_shape(prior))
    numbers, folder = measured(y, seen, prior), source_of(prior)
    chosen = conditioners.make(default(prior, seen) if method is None else method, Conditioner)
    if isinstance(chosen, CovarianceUser) and chosen.covariance is not None:
        chosen = chosen.given(chosen.covariance.of_units(prior.units))
    elif (
        isinstance(chosen, CovarianceUser)
        and not chosen.optional
        and prior.units
        and not (folder and store.every(folder, chosen.clustered))
    ):
        chosen = chosen.given(of_samples(prior, type(chosen)))
    elif folder and prior.autoencoder is None:
        chosen = store.fitted(chosen, folder, seen, prior.shape)
    return PosteriorModel(chosen, prior, seen, numbers)


def of_samples(model: ScoreModel, method: type[CovarianceUser]) -> Covariance:
    """The covariance of a model's samples, of which it takes a second or so to draw enough of at most `SMALL` numbers.

    Of larger ones it is the variances of 1 that the units of the network stand for, with a warning: then samples that
    are strongly correlated with what is known, as on both sides of its edge, spread too widely.

    Args:
        model: A model of data in their own units.
        method: What needs it, perhaps with clusters.
    """
    if model.bound is not None or (size := math.prod(model.shape)) > SMALL:
        if model.bound is None:
            logging.getLogger("scoresde").warning(
                "no covariance is known of samples of %d numbers, which are taken for uncorrelated ones: near what is "
                "known they spread too widely; give the method conditioners['covariance'](covariance=estimate(data, "
                "'full')), with a tensor of data and estimate of scoresde.observations.covariance",
                size,
            )
        return Covariance("diagonal", model.shape, torch.ones(model.shape, dtype=torch.float64), ())
    return method.estimate(sample(model, "dpm++:steps=20", model.prior(range(COUNT))).x, "full")


def observation_of(observation: Observation | str | ArrayLike) -> Observation:
    """An observation from itself, its class, its text, or a mask of what is known.

    Args:
        observation: As for `condition`.

    Raises:
        UsageError: There is no such observation, or it is no mask, or a bare function.
    """
    if isinstance(observation, Image.Image | Tensor | np.ndarray | list | tuple):
        return Pixels(observation)
    if callable(observation) and not isinstance(observation, type | Observation):
        raise UsageError("a function is a measurement as NonLinear(f), or LinearOperator(f, adjoint) if it is linear")
    found: Observation = observations.make(observation, Observation)
    return found


def default(prior: ScoreModel, observation: Observation) -> str:
    """The name of the conditioner that is used unless another is asked for.

    Args:
        prior: The model of p(x).
        observation: What is measured.
    """
    if (name := conditioner_for(prior)) != CONDITIONER:
        return name
    if not isinstance(observation, LinearObservation):
        return observation.method if isinstance(observation, WrittenObservation) else "dps"
    return "oracle" if isinstance(prior, GaussianMixtureModel) and observation.bound is None else CONDITIONER
