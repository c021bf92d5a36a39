"""The run of a training to its end, with its log, samples, evaluations and checkpoints."""

import math
import sys
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack, suppress

from ..core.errors import NumericalError, ResourceError, ScoreSDEError, out_of_memory
from ..core.parallel import Processes, processes
from ..core.signals import CODES, Signals, Stopped
from ..data import Dataset
from ..sampling.progress import progress_bar
from .loop import TrainState
from .loop import train as steps
from .objective import BOUND
from .options import TrainOptions
from .run import Run

Callback = Callable[[TrainState], object]
SPARE, LONGEST = 0.1, 60.0
"""Last share of the time of a run, and most seconds, in which it is saved and draws a last sheet."""


def early(options: TrainOptions, images: int) -> bool:
    """Whether the step that ended at a number of images has passed one of the early sheets, at first x 1, 2, 4, ...

    Args:
        options: The options of the training.
        images: Images seen so far.
    """
    place = options.sample_first
    while 0 < place < min(images - options.batch + 1, options.sample_every):
        place *= 2
    return 0 < place <= images and place < options.sample_every


def shared(work: Callable[[], int], together: Processes) -> int:
    """What `work` returns; a failure that all processes meet is left for the first to tell.

    Args:
        work: What all processes do.
        together: The processes.

    Raises:
        ResourceError: Another process has gone.
    """
    try:
        return work()
    except NumericalError as error:
        if together.first:
            raise
        sys.exit(error.exit_code)
    except RuntimeError as error:
        if together.first or isinstance(error, ScoreSDEError) or out_of_memory(error):
            raise
        raise ResourceError(f"process {together.rank} has lost the others; what one of them says is why") from error


def _asked_to_stop(callbacks: Sequence[Callback], state: TrainState) -> bool:
    """Calls the callbacks, all of them, and tells whether one has asked for the end of the run."""
    stop = False
    for callback in callbacks:
        try:
            callback(state)
        except StopIteration:
            stop = True
    return stop


def parts(steps: int, loss: float, vlb: float) -> dict[str, float]:
    """The mean loss, and those of the two parts of the hybrid loss, mse + 0.001 vlb, by their names.

    Args:
        steps: How many.
        loss: The sum of their losses.
        vlb: That of their variational bounds in bits/dim, NaN where the loss has none.
    """
    if not steps:
        return {}
    loss, vlb = loss / steps, vlb / steps
    return {"loss": loss} if math.isnan(vlb) else {"loss": loss, "mse": loss - BOUND * vlb, "vlb": vlb}


def follow(
    images: Dataset,
    state: TrainState,
    run: Run,
    callbacks: Sequence[Callback] = (),
    progress: bool | None = None,
    end: float | None = None,
) -> int:
    """Runs a training with its log, sheets and checkpoints; returns the exit code of a signal, or 0 at an end.

    Args:
        images: What is trained on.
        state: The training, which is moved in place.
        run: Its folder.
        callbacks: As for `fit`.
        progress: As for `fit`.
        end: When the run has to be over, by the monotonic clock, or None.
    """
    config = run.config
    options, together = config.train, processes()
    shown, began = progress if together.first else False, time.monotonic()
    bar = progress_bar(
        options.images,
        shown,
        desc="train",
        unit="image",
        log=run.folder / "log.txt",
        initial=state.images,
        unit_scale=True,
        bar_format=None,
    )
    signals = Signals(1.0 if together.world > 1 else 0.0)
    with ExitStack() as context:
        context.enter_context(bar)
        if threading.current_thread() is threading.main_thread():  # Python gives signals to no other
            context.enter_context(signals)
        for _ in steps(config, images, state):
            if math.isfinite(state.loss):  # one that is not was left out, and is counted
                count, loss, vlb = state.since
                state.since = count + 1, loss + state.loss, vlb + state.vlb
            bar.update(options.batch)
            figures = parts(*state.since)
            bar.set_postfix_str(", ".join(f"{name} {value:.4f}" for name, value in figures.items()), refresh=False)
            device = state.model.device
            over = end is not None and together.any(
                time.monotonic() > end - min(SPARE * (end - began), LONGEST), device
            )
            enough = bool(callbacks) and together.any(_asked_to_stop(callbacks, state), device)
            stop = together.any(bool(signals.code), device) or enough
            last = state.images >= options.images

            def due(every: int, end: bool = last or stop or over) -> bool:
                return end or state.images // every > (state.images - options.batch) // every

            if due(options.log_every):
                if together.first:
                    run.log(state, **figures)
                state.since = 0, 0.0, 0.0
            if options.tracked and due(options.snapshot_every, last):
                run.take(state)  # before the checkpoint: no run goes on from one later than a snapshot it lacks
            if due(options.save_every):
                run.save(state)
            if stop:
                return 0 if last or enough or over else signals.code or CODES["SIGTERM"]

            def check(*_: object) -> None:
                signals.check()
                if end is not None and time.monotonic() > end:
                    raise Stopped

            with suppress(Stopped):  # the next step sees the signal, too, and saves
                if due(options.sample_every) or early(options, state.images):
                    run.draw(state, check)  # after the checkpoint, which an error while sampling must not cost
                if options.evaluate_every and due(options.evaluate_every, last):
                    run.evaluate(state, check)
            if over:
                return 0
    return 0
