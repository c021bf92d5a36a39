"""The likelihood of data under a model."""

from collections.abc import Sequence
from dataclasses import replace

from torch import Tensor

from ..core.errors import UsageError
from ..core.random import Seeds, generators, whole_seeds
from ..core.sentences import many
from ..data import Images
from ..data.base import pictures
from ..data.given import as_dataset
from ..data.recipes import images_of
from ..likelihood import NLL, Likelihood, nll
from ..likelihood import log_likelihood as likelihood_of
from ..models.base import Observer, ScoreModel
from ..models.network import network_of
from ..models.record import recipe
from ..sampling.progress import ProgressBar, progress_bar
from .arguments import DELAY, Method, Model, counted, divergence_of, model_of, solver_of, source_of
from .inputs import Array, ArrayLike, data_of


def log_likelihood(
    model: Model,
    x: ArrayLike,
    *,
    solver: Method | None = None,
    exact: bool = False,
    probes: int = 1,
    classes: int = 1,
    eps: float = 1e-5,
    seeds: Seeds | None = None,
    observers: Sequence[Observer] = (),
) -> Likelihood:
    """log p(x) in nats, along the probability flow, for each row of x: the density over the data's own units.

    Args:
        model: A model or its name.
        x: Data, (B, *) or a single one, in their own units; images in [-1, 1], or as for `condition`. For the
            probability of images with integer grey levels use `bits_per_dim`.
        solver: rk23, rk45 or dop853; by default rk45 with tol = 1e-5 and the controller pi.
        exact: Computes the exact divergence, with one backward pass for each value of a sample.
        probes: Number of independent estimates of the divergence; two or more give a standard error.
        classes: Number of interleaved classes of values per estimate, which reduce the variance.
        eps: Time at which x is placed.
        seeds: Seeds of the probes, as for `sample`.
        observers: Called with (x, t, eps) after each evaluation of the model.

    Raises:
        UsageError: The solver is another one, x does not fit the model, or eps is not inside the process.
        NumericalError: A value is not finite, a step vanishes, or the evaluations exceed their budget.

    Example:
        >>> import scoresde, torch
        >>> model = scoresde.GaussianModel(torch.zeros(2), torch.eye(2), scoresde.VPSDE())
        >>> float(scoresde.log_likelihood(model, torch.zeros(1, 2), exact=True).log_prob.round(decimals=3))
        -1.838
    """
    around = exact_of(model)
    state = data_of(x, around)
    found = likelihood_of(
        around,
        state,
        solver=None if solver is None else solver_of(solver),
        divergence=divergence_of(exact, probes, classes),
        eps=eps,
        generator=generators(whole_seeds(seeds, len(state))),
        observers=tuple(observers),
    )
    if around.units is None:
        return found
    return replace(found, log_prob=found.log_prob - around.units.log_volume(around.shape))


def bits_per_dim(
    model: Model,
    images: Images | Array | str | None = None,
    n: int | None = None,
    *,
    known: Tensor | None = None,
    draws: int = 1,
    exact: bool = False,
    probes: int = 1,
    classes: int = 1,
    solver: Method | None = None,
    eps: float = 1e-5,
    seed: int = 0,
    batch: int = 64,
    progress: bool | None = None,
) -> NLL:
    """Bits per dimension, -log₂ P(image) per value, with a standard error and its parts.

    Args:
        model: A model or its name.
        images: `Images`, an array of uint8 (N, C, H, W) with 256 grey levels, or a data set such as "digits", of which
            the test images are taken; by default the test images of the set that the model was trained on.
        n: Number of images, drawn at random by the seed; by default all. Each must have the same mask.
        known: Mask of the known pixels of each image, (N, 1, H, W), for a network trained to inpaint.
        draws: Number of dequantisations of each image.
        exact: As for `log_likelihood`.
        probes: As for `log_likelihood`.
        classes: As for `log_likelihood`.
        solver: As for `log_likelihood`.
        eps: As for `log_likelihood`.
        seed: Seed of the choice of images, the dequantisation and the probes.
        batch: Images at a time.
        progress: Whether a bar is shown, or lines without a terminal; None shows a bar alone, if it takes a while.

    Raises:
        DataError: The images do not have integer grey levels, or do not fit the model.
        UsageError, NumericalError: As `log_likelihood`; also if n comes with masks that differ, or with
            a model that is bound to samples.

    Example:
        >>> import scoresde
        >>> found = scoresde.bits_per_dim("digits", n=4, solver="rk23:tol=1e-2")
        >>> 1.5 < found.value < 3.5
        True
    """
    counted(n=n, draws=draws, batch=batch)
    around = exact_of(model)
    differ = known is not None and bool((known != known[:1]).any())
    if n is not None and (differ or around.bound not in (None, 1)):
        raise UsageError(
            f"{many(n, 'image')} would be drawn at random, and each mask, class or measurement belongs to one of them: "
            "leave out n, and give these images alone"
        )
    if images is None or isinstance(images, str):
        folder = source_of(around)
        with progress_bar(None, progress, desc="reading images", lines=False, delay=DELAY):
            _, whole = images_of({} if folder is None else recipe(folder), str(folder or "the model"), images, "test")
    else:
        whole = pictures(as_dataset(images))
    some = whole if n is None else whole.drawn(n, seed)
    with progress_bar(len(some) * draws, progress, desc="likelihood", lines=False, delay=DELAY) as bar:
        watch = ProgressBar(around.sde, bar, upwards=True, start=eps)
        return nll(
            around,
            some.pixels,
            levels=some.levels,
            known=known,
            draws=draws,
            solver=None if solver is None else solver_of(solver),
            divergence=divergence_of(exact, probes, classes),
            eps=eps,
            seed=seed,
            batch=batch,
            observers=(watch,),
            progress=watch.finish,
        )


def exact_of(model: Model) -> ScoreModel:
    """The model of a likelihood, whose errors roundings to 16 bits would hide.

    Args:
        model: A model or its name.

    Raises:
        UsageError: Its network computes in 16 bits.
    """
    around = model_of(model)
    network = network_of(around)
    if network is not None and network.inference.dtype is not None:
        raise UsageError(f"a likelihood is computed in float32, got a model in {network.inference}: load it without")
    return around
