"""Sampling, and the probability flow to latent codes and back."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from ..conditioners.posterior_model import PosteriorModel, of_rows, posterior_model
from ..core.errors import UsageError
from ..core.parallel import processes
from ..core.random import Seeds, generators, whole_seeds
from ..models.base import Observer, ScoreModel, WrapperModel
from ..models.classes import class_numbers
from ..models.clipped import ClippedModel
from ..models.guided import Interval
from ..models.latent import decoded
from ..models.trained_classifier import Classifier, load
from ..sampling import latent
from ..sampling.progress import ProgressBar, progress_bar
from ..sampling.sample import Samples, in_batches, noised_to
from ..sampling.sample import sample as solved
from ..sampling.value_range import warn
from .arguments import DELAY, Method, Model, counted, model_of, solver_of
from .default_solver import method_of
from .guidance import guided
from .inputs import Array, ArrayLike, arranged, data_of, numbers_of


def sample(
    model: Model = "digits",
    solver: Method | None = None,
    n: int | None = None,
    seeds: Seeds | None = None,
    *,
    steps: int | None = None,
    tol: float | None = None,
    classes: int | str | Sequence[int | str] | Array | None = None,
    guidance: float | None = None,
    guidance_interval: Interval | None = None,
    classifier: Classifier | str | Path | None = None,
    clip: bool = False,
    x: ArrayLike | None = None,
    start: float | None = None,
    stop: float | None = None,
    denoise: bool = True,
    batch: int = 64,
    dtype: torch.dtype = torch.float32,
    observers: Sequence[Observer] = (),
    progress: bool | None = None,
) -> Samples:
    """Draws samples from a model, in the units of its data, and reports their cost.

    A sample depends only on its seed, not on n or batch, and is the same as that of `scoresde sample`. A batch that
    does not fit into memory is halved. Several processes of a group share the batches. Samples of a model of latents
    are decoded to images; `Samples.seconds` does not include the decoding.

    Args:
        model: A model or its name. A model from `condition` has B measurements; sample i uses number i mod B.
        solver: An object, a class, or a string such as "unipc" or "rk45:tol=1e-3". The default is `adams`; with
            `steps`, the best solver for so many steps, or one tuned for the model. `Samples.solver` names it.
        n: Number of samples; by default the number of seeds, else of the model's measurements or classes, else 16.
        seeds: Integers: range(16), a list with one for each sample, or the first of n; by default 0, 1, ...
        steps: Number of steps of the solver; without a solver, steps of one evaluation each.
        tol: Tolerance of the solver.
        classes: Class of each sample, or a few that are used in turn, for a network with classes: numbers, or names
            such as "sneaker"; "shoe" stands for all kinds of shoes.
        guidance: Guidance scale; by default 1, which is none.
        guidance_interval: Times between which the scale is used; by default all.
        classifier: A classifier from `fit_classifier`, or its folder, which guides instead of the model's own classes.
            It must belong to the same process. `classes` are then those of the classifier.
        clip: Clips the predicted images to [-1, 1].
        x: Data to start from instead of pure noise, a single one or a batch that is used in turn, as for `encode`.
            Noise is added up to the time `start`.
        start: Time at which the solver starts; `scoresde.sde.time_at(model.sde, 0.4)` is at 40 % of the process.
        stop: Time at which the solver ends; by default the `t_min` of the process.
        denoise: Returns E[x_0 | x_stop] instead of x_stop, for one more evaluation. Details of the data below σ/α at
            `stop`, by default 0.01 in `vp` and `ve`, go with the noise: take a smaller `stop` for them.
        batch: Samples at a time.
        dtype: Dtype of the samples; the network uses its own.
        observers: Called with (x, t, eps) after each evaluation of the model, batch by batch, in the model's units.
        progress: True shows a bar, or lines without a terminal; None a bar only, if it takes more than a second.

    Raises:
        UsageError: A name or an option does not exist, or the seeds are not integers.
        NumericalError: A value is not finite, a step vanishes, or the evaluations exceed their budget.
        ResourceError: A single sample does not fit into memory.

    Example:
        >>> import scoresde
        >>> scoresde.sample("digits", "unipc", n=4, steps=5).x.shape
        torch.Size([4, 1, 8, 8])
        >>> scoresde.sample("digits", n=4, steps=5).solver  # the best for five steps
        'unipc:steps=5,grid=quadratic,order=2,lower_order_final=True'

        A variation of a given picture:

        >>> one = scoresde.sample("digits", n=1).x
        >>> scoresde.sample("digits", n=4, x=one, start=0.3).x.shape
        torch.Size([4, 1, 8, 8])
    """
    around = model_of(model)
    whole = start is None and stop is None and classes is None
    chosen = method_of(around, solver, whole, steps=steps, tol=tol)
    if (x is None) != (start is None):
        raise UsageError("x and start belong together: data, and the time to which they are noised first")
    given = None if x is None else data_of(x, around).to(dtype)
    bound_to = _bound_to(around)
    if n is None and not isinstance(seeds, Iterable):
        usual = around.bound if around.bound not in (None, 1) else 16 if given is None else len(given)
        n = bound_to or usual
    counted(n=n, batch=batch)
    if not dtype.is_floating_point:
        raise UsageError(f"samples are real numbers, of a dtype such as torch.float64, got {dtype}")
    if not (numbers := whole_seeds(seeds, n)):
        raise UsageError("at least 1 sample is drawn, got no seeds")
    if clip and around.units is not None:
        raise UsageError("clip cuts off at -1 and 1, and these data are no pictures with that range: leave it out")
    if classes is None and (guidance is not None or classifier is not None):
        name = "guidance" if classifier is None else "a classifier"
        raise UsageError(f"{name} needs classes: say which class the samples are guided to")
    flat = (
        classes.reshape(-1) if isinstance(classes, Tensor) else np.ravel([] if classes is None else classes)
    ).tolist()
    by = load(classifier, around.device) if isinstance(classifier, str | Path) else classifier
    labels = class_numbers(around if by is None else by, flat) if flat else []
    together, drawn = processes(), list[tuple[int, Samples]]()
    size = batch if bound_to is None else len(numbers)
    with progress_bar(len(numbers), progress, desc="sample", lines=False, delay=DELAY) as bar:

        def draw(rows: range) -> Samples:
            own = [numbers[row] for row in rows]
            sources = generators(own)

            def inside(inner: ScoreModel) -> ScoreModel:
                if labels:
                    each = [labels[row % len(labels)] for row in rows]
                    inner = guided(inner, each, 1.0 if guidance is None else guidance, guidance_interval, by)
                return ClippedModel(inner) if clip else inner

            bound = of_rows(around, rows, sources, inside)
            watch = ProgressBar(bound.sde, bar, start=start)
            if given is None or start is None:
                state = bound.prior(sources, dtype=dtype)
            else:
                state = noised_to(bound, given[[row % len(given) for row in rows]], start, sources)
            ends = {"start": start, "stop": stop}
            found = solved(
                bound, chosen, state, generator=sources, **ends, denoise=denoise, observers=(watch, *observers)
            )
            watch.finish(len(rows))
            if denoise:
                warn(found, bound)
            drawn.append((rows.start, replace(as_data(around, found, rows, denoise), seeds=own)))
            return found

        for _ in in_batches(draw, range(len(numbers)), size, together):
            pass
    parts = sorted((part for some in together.gather(drawn) for part in some), key=lambda part: part[0])
    return together.only_first(lambda: Samples.joined([part for _, part in parts]))


def _bound_to(model: ScoreModel) -> int | None:
    """Number of samples that it draws together alone, as by a class for each; None if `of_rows` draws any of them."""
    if isinstance(model, PosteriorModel):
        return model.unconditional.bound
    free = isinstance(model, WrapperModel) and "bound" in model.forwarded and posterior_model(model)
    return _bound_to(model.model) if free else model.bound


def as_data(model: ScoreModel, found: Samples, rows: Sequence[int], ended: bool) -> Samples:
    """Samples as they are handed out, on the CPU: data in their own units, with what is known of them as it was given.

    Args:
        model: The model.
        found: What a solver made of it.
        rows: Their numbers, which tell whose measurement each has.
        ended: Whether they are x_0, of which something is known, and not the state at a time before.
    """
    end = found.x.cpu()
    if model.units is None and model.autoencoder is None:
        return replace(found, x=end)
    x, bound = decoded(model, end) if model.units is None else model.units.to_data(end), posterior_model(model)
    x = bound.written(x, rows) if bound is not None and ended else x
    return replace(found, x=x, numbers=model.units is not None, latents=end if model.autoencoder else None)


def encode(model: Model, x: ArrayLike, solver: Method = "adams:tol=1e-5", *, progress: bool | None = None) -> Samples:
    """Maps data to latent codes: the noise that the probability flow maps to each x.

    Args:
        model: A model or its name.
        x: Data, (B, *) or a single one: images as for `condition`, other data in their own units.
        solver: An ODE solver: an object, a class or a string.
        progress: As for `sample`.

    Raises:
        UsageError: The solver adds noise, so it cannot run backwards, or x does not fit the model.
        NumericalError: A value is not finite, a step vanishes, or the evaluations exceed their budget.

    Example:
        >>> import scoresde
        >>> x = scoresde.sample("digits", n=2).x
        >>> codes = scoresde.encode("digits", x, "rk45")
        >>> bool((scoresde.decode("digits", codes.x, "rk45").x - x).abs().max() < 0.1)
        True
    """
    around = model_of(model)
    return _carried(latent.encode, around, data_of(x, around), solver, progress)


def decode(model: Model, codes: Array, solver: Method = "adams:tol=1e-5", *, progress: bool | None = None) -> Samples:
    """Maps latent codes to data: the inverse of `encode`, without a final denoising.

    Args:
        model: A model or its name.
        codes: Codes from `encode`, (B, *).
        solver: An ODE solver: an object, a class or a string.
        progress: As for `encode`.

    Raises:
        UsageError, NumericalError: As `encode`.

    Example:
        >>> import scoresde
        >>> noise = scoresde.load("digits").prior(scoresde.generators(range(2)))
        >>> scoresde.decode("digits", noise, "euler").x.shape
        torch.Size([2, 1, 8, 8])
    """
    around = model_of(model)
    state = arranged(numbers_of(codes, around.shape, False, "codes"), around.shape, "codes").to(around.device)
    found = _carried(latent.decode, around, state, solver, progress)
    return as_data(around, found, range(len(state)), False)


def _carried(
    move: Callable[..., Samples], model: ScoreModel, x: Tensor, solver: Method, progress: bool | None
) -> Samples:
    chosen = solver_of(solver)
    with progress_bar(len(x), progress, desc=move.__name__, lines=False, delay=DELAY) as bar:
        watch = ProgressBar(model.sde, bar, upwards=move is latent.encode)
        found = move(model, chosen, x, observers=(watch,))
        watch.finish(len(x))
    return found
