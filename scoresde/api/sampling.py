"""Sampling, and the probability flow to latent codes and back."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from numbers import Integral

import torch

from ..conditioners.posed import of_rows, posed
from ..core.errors import UsageError
from ..core.parallel import processes
from ..core.random import Seeds, generators, whole_seeds
from ..models.base import Observer, ScoreModel
from ..models.clipped import ClippedModel
from ..models.guided import GuidedModel
from ..sampling import latent
from ..sampling.progress import ProgressBar, progress_bar
from ..sampling.sample import Samples, in_batches
from ..sampling.sample import sample as solved
from .arguments import DELAY, Array, Method, Model, model_of, numbers_of, solver_of


def sample(
    model: Model = "digits",
    solver: Method = "adams",
    n: int | None = None,
    seeds: Seeds | None = None,
    *,
    steps: int | None = None,
    tol: float | None = None,
    classes: int | Sequence[int] | Array | None = None,
    guidance: float | None = None,
    guidance_interval: tuple[float, float] = (0.0, 1.0),
    clip: bool = False,
    stop: float | None = None,
    denoise: bool = True,
    batch: int = 64,
    dtype: torch.dtype = torch.float32,
    observers: Sequence[Observer] = (),
    progress: bool | None = None,
) -> Samples:
    """Samples of a model, each a function of its own seed, and what they cost.

    Sample i is the same whatever n and batch are, each time, and the same as that of `scoresde sample`. A batch that
    does not fit into the memory is halved. Where several processes have joined, they share the batches.

    Args:
        model: A model or its name. One that `condition` made has a measurement for each sample: number i has number
            i mod B of the B that there are.
        solver: An object, a class, or a text such as "unipc" or "rk45:tol=1e-3".
        n: Number of samples; by default as many as there are seeds, else as there are measurements, else 16.
        seeds: Whole numbers: range(16) or a list with one for each sample, or the first of n; by default 0, 1, ...
        steps: Steps of the solver, if it takes their number.
        tol: Tolerance of the solver, if it has one.
        classes: Class of each sample, or a few that are taken in turn, of a network that knows classes.
        guidance: Scale of guidance to the class; by default 1, which is none.
        guidance_interval: Times between which the scale holds.
        clip: Cuts the predicted images off at black and white.
        stop: Time at which the solver ends; by default the process's `t_min`.
        denoise: Ends with E[x_0 | x_stop] instead of x_stop, for one more evaluation.
        batch: Samples at a time.
        dtype: Of the samples; a network computes in its own.
        observers: Called with (x, t, eps) after each evaluation of the model, batch by batch.
        progress: Whether a bar is shown; None shows one in a terminal or notebook if the work takes a while.

    Raises:
        UsageError: A name or an option does not exist, or the seeds are no whole numbers.
        NumericalError: A value is not finite, a step vanishes, or the evaluations exceed their budget.
        ResourceError: Not even one sample fits into the memory.

    Example:
        >>> import scoresde
        >>> scoresde.sample("digits", "unipc", n=4, steps=5).x.shape
        torch.Size([4, 1, 8, 8])
    """
    around, chosen = model_of(model), solver_of(solver, steps=steps, tol=tol)
    if n is None and not isinstance(seeds, Iterable):
        n = around.bound if around.bound not in (None, 1) else 16
    for name, value in (("n", n), ("batch", batch)):
        if value is not None and (not isinstance(value, Integral) or value < 1):
            raise UsageError(f"{name} is a whole number of at least 1, got {value!r}")
    if not (numbers := whole_seeds(seeds, n)):
        raise UsageError("at least 1 sample is drawn, got no seeds")
    if guidance is not None and classes is None:
        raise UsageError("guidance needs classes: say which class the samples are guided to")
    labels = [] if classes is None else torch.as_tensor(classes).reshape(-1).tolist()
    together, drawn = processes(), list[tuple[int, Samples]]()
    size = len(numbers) if around.bound is not None and not posed(around) else batch
    with progress_bar(len(numbers), progress if together.first else False, delay=DELAY) as bar:

        def draw(rows: range) -> Samples:
            own = [numbers[row] for row in rows]
            sources = generators(own)

            def inside(inner: ScoreModel) -> ScoreModel:
                if labels:
                    each = [labels[row % len(labels)] for row in rows]
                    inner = GuidedModel(inner, each, 1.0 if guidance is None else guidance, guidance_interval)
                return ClippedModel(inner) if clip else inner

            bound = of_rows(around, rows, sources, inside)
            x, watch = bound.prior(sources, dtype=dtype), ProgressBar(bound.sde, bar)
            found = solved(
                bound, chosen, x, generator=sources, stop=stop, denoise=denoise, observers=(watch, *observers)
            )
            watch.finish(len(x))
            drawn.append((rows.start, replace(found, x=found.x.cpu(), seeds=own)))
            return found

        for _ in in_batches(draw, range(len(numbers)), size, together):
            pass
    parts = sorted((part for some in together.gather(drawn) for part in some), key=lambda part: part[0])
    return together.only_first(lambda: Samples.joined([part for _, part in parts]))


def encode(model: Model, x: Array, solver: Method = "adams:tol=1e-5", *, progress: bool | None = None) -> Samples:
    """The latent code of each x: the noise from which the probability flow leads to it.

    Args:
        model: A model or its name.
        x: Data in [-1, 1], (B, *).
        solver: An ODE solver: an object, a class or a text.
        progress: Whether a bar is shown; None shows one in a terminal or notebook if the work takes a while.

    Raises:
        UsageError: The solver adds noise, so that it has no way back, or x does not fit the model.
        NumericalError: A value is not finite, a step vanishes, or the evaluations exceed their budget.

    Example:
        >>> import scoresde
        >>> x = scoresde.sample("digits", n=2).x
        >>> codes = scoresde.encode("digits", x, "rk45")
        >>> bool((scoresde.decode("digits", codes.x, "rk45").x - x).abs().max() < 0.1)
        True
    """
    return _carried(latent.encode, model, x, solver, progress)


def decode(model: Model, codes: Array, solver: Method = "adams:tol=1e-5", *, progress: bool | None = None) -> Samples:
    """The data that latent codes stand for: the inverse of `encode`, without a final denoising.

    Args:
        model: A model or its name.
        codes: As `encode` gives them, (B, *).
        solver: An ODE solver: an object, a class or a text.
        progress: As for `encode`.

    Raises:
        UsageError, NumericalError: As `encode`.

    Example:
        >>> import scoresde
        >>> noise = scoresde.load("digits").prior(scoresde.generators(range(2)))
        >>> scoresde.decode("digits", noise, "euler").x.shape
        torch.Size([2, 1, 8, 8])
    """
    return _carried(latent.decode, model, codes, solver, progress)


def _carried(move: Callable[..., Samples], model: Model, x: Array, solver: Method, progress: bool | None) -> Samples:
    around, chosen = model_of(model), solver_of(solver)
    state = numbers_of(x).to(around.device)
    with progress_bar(len(state), progress, delay=DELAY) as bar:
        watch = ProgressBar(around.sde, bar, upwards=move is latent.encode)
        return move(around, chosen, state, observers=(watch,))
