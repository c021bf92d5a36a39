"""Training from beginning to end: in a run folder, interrupted or not, alone or as one of several processes."""

import math
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor, nn

from ..core.devices import device as device_of
from ..core.errors import NumericalError, ResourceError, ScoreSDEError, UsageError
from ..core.folders import writable
from ..core.parallel import Processes, group, grouped, processes
from ..core.signals import CODES, Signals, Stopped
from ..data import Images
from ..data.given import GivenImages, as_images
from ..networks.given import GivenNetwork
from ..sampling.progress import progress_bar
from .config import Config, load, override, parse
from .lock import only_writer
from .loop import TrainState, start
from .loop import train as steps
from .run import Run
from .sharding import whole

Resume = bool | Literal["auto", "must", "never"]
Callback = Callable[[TrainState], object]


def fit(
    config: Config | str | Path,
    folder: str | Path | None = None,
    *,
    overrides: Sequence[str] = (),
    images: Images | Tensor | np.ndarray[Any, Any] | None = None,
    held_out: Images | Tensor | np.ndarray[Any, Any] | None = None,
    net: nn.Module | None = None,
    resume: Resume = "auto",
    change: bool = False,
    callbacks: Sequence[Callback] = (),
    progress: bool | None = None,
    device: str | torch.device = "auto",
    command: str = "scoresde.fit",
) -> Run:
    """Trains a score network in a run folder, and returns the run, whose `model` is the averaged network.

    It is what `scoresde train` does: config.toml, meta.json and metrics.jsonl, sheets of samples, evaluations,
    checkpoints, snapshots and boards, as the configuration asks for them. Ctrl-C, SIGTERM and SIGUSR1 end the run after
    the step that is at work, with a checkpoint, and `Run.code` is then not 0. Under torchrun, all processes call it.

    Args:
        config: A configuration, the path of a TOML file, or a name that comes with the package, such as "digits".
        folder: The run folder; by default runs/NAME, NAME being that of the file. A `Config` object has no name.
        overrides: Changes of the configuration, such as "train.batch=64".
        images: Training images in place of those that the configuration names: `Images`, or an array (N, C, H, W) of
            uint8. They are not written down, so another data set has to be named where a command needs images.
        held_out: Images for train.evaluate_every in place of the test set, as `images`.
        net: A network in place of the one that the configuration names, called as net(x, label), x (B, C, H, W) and
            label (B,), or as net(x, label, classes) if network.classes is above 0. A copy is trained. A folder
            cannot build it again: to go on from it, give the same class of network once more.
        resume: "auto" goes on from the newest checkpoint, or begins if there is none; "must" or True goes on;
            "never" or False begins, and refuses a folder that holds a run. A run that has reached train.images is
            returned as it is.
        change: Lets a resumed run have other options of [train] than before.
        callbacks: Each is called as callback(state) after each step, before the step is logged. The state is not to be
            changed. StopIteration ends the run after this step, with a line of the log and a checkpoint.
        progress: Whether a bar is shown; by default in a terminal and in a notebook.
        device: "auto", "cpu", "cuda", "cuda:1" and so on.
        command: How the run came about, for meta.json.

    Raises:
        UsageError: The configuration is wrong, the folder is in use or cannot be written, or there is nothing to go on
            from.
        DataError: The images do not fit the configuration.
        CheckpointError: The folder holds a run of another configuration, or no checkpoint is whole.
        NumericalError: The loss is not finite.
        ResourceError: The disk is full, or another process has gone.

    Example:
        >>> import numpy as np, scoresde
        >>> pixels = np.random.default_rng(0).integers(0, 256, (128, 1, 8, 8), dtype=np.uint8)
        >>> run = scoresde.fit("digits", "runs/mine", images=pixels, overrides=["train.images=128"], progress=False)
        >>> run.model.shape, run.metrics[-1]["images"]
        ((1, 8, 8), 128)
    """
    with _joined(device) as name:
        together = processes()
        chosen = together.only_first(lambda: _configured(config, overrides))
        if images is not None:
            held = None if held_out is None else as_images(held_out)
            chosen = replace(chosen, data=GivenImages.of(as_images(images), held))
        elif held_out is not None:
            raise UsageError("held_out goes with images: without them, the test set of config.data is held out")
        if net is not None:
            chosen = replace(chosen, network=GivenNetwork.of(net, chosen.network))
        run = Run(default_folder(config, folder), chosen, {"command": command, "seed": chosen.train.seed})
        with ExitStack() as claim:
            begun = together.only_first(lambda: _claimed(run, claim, resume))
            claim.push(run.close)
            training = chosen.data.load("train")
            state = start(chosen, training.shape, device_of(name))
            if begun:
                run.resume(state, changed=change)
            together.only_first(lambda: run.open(state, training))
            run.code = _shared(lambda: _follow(chosen, training, state, run, callbacks, progress), together)
        run.state, run.averaged = state, whole(state.ema)
    return run


@contextmanager
def _joined(device: str | torch.device) -> Iterator[str | torch.device]:
    """A context in which the processes that torchrun started are joined, as `group`, if they are not joined yet."""
    if grouped():
        yield device
        return
    with group(str(device)) as name:
        yield name


def _configured(config: Config | str | Path, overrides: Sequence[str]) -> Config:
    """The configuration of an object, file or name, with overrides."""
    if not isinstance(config, Config):
        return load(str(config), overrides)
    return parse(override(config.tables(), overrides), "that was given") if overrides else config


def default_folder(config: Config | str | Path, folder: str | Path | None) -> Path:
    """The run folder that was named, or runs/NAME for the configuration of a file or name.

    Args:
        config: As for `fit`.
        folder: As for `fit`.

    Raises:
        UsageError: The configuration has no name.
    """
    if folder is not None:
        return Path(folder)
    if isinstance(config, Config):
        raise UsageError("a Config has no name that a run folder could have: give the folder")
    return Path("runs") / Path(config).stem


def _claimed(run: Run, claim: ExitStack, resume: Resume) -> bool:
    """Takes the folder of a run for this process alone; whether there is something to go on from.

    Raises:
        UsageError: The folder cannot be written, is in use, or holds a run that is not to be resumed.
    """
    if resume not in (True, False, "auto", "must", "never"):
        raise UsageError(f"resume must be 'auto', 'must' or 'never', got {resume!r}")
    claim.enter_context(only_writer(writable(run.folder)))
    begun, must = run.checkpoints.any(), resume in (True, "must")
    if begun and not must and resume != "auto":
        raise UsageError(
            f"{run.folder} already holds a run; continue it with --resume, in Python with resume='auto', or choose "
            "another folder"
        )
    return begun or must


def _shared(work: Callable[[], int], together: Processes) -> int:
    """What `work` returns; a failure that all processes meet is left for the first to tell.

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
        if together.first or isinstance(error, ScoreSDEError | torch.OutOfMemoryError):
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


def _follow(
    config: Config,
    images: Images,
    state: TrainState,
    run: Run,
    callbacks: Sequence[Callback] = (),
    progress: bool | None = None,
) -> int:
    """Runs the training with its log, sheets and checkpoints; returns the exit code of a signal, or 0 at an end."""
    options, losses, together = config.train, list[float](), processes()
    shown = progress if together.first else False
    bar = progress_bar(options.images, shown, unit="image", initial=state.images, unit_scale=True, bar_format=None)
    signals = Signals(1.0 if together.world > 1 else 0.0)
    with ExitStack() as context:
        context.enter_context(bar)
        if threading.current_thread() is threading.main_thread():  # Python gives signals to no other
            context.enter_context(signals)
        for _ in steps(config, images, state):
            losses += [state.loss] * math.isfinite(state.loss)  # one that is not was left out, and is counted
            bar.update(options.batch)
            enough = bool(callbacks) and together.any(_asked_to_stop(callbacks, state), state.model.device)
            stop = together.any(bool(signals.code), state.model.device) or enough
            last = state.images >= options.images

            def due(every: int, end: bool = last or stop) -> bool:
                return end or state.images // every > (state.images - options.batch) // every

            if due(options.log_every):
                mean = sum(losses) / len(losses) if losses else math.nan
                bar.set_postfix_str(f"loss {mean:.4f}")
                if together.first:
                    run.log(state, mean)
                losses.clear()
            if options.tracked and due(options.snapshot_every, last):
                run.take(state)  # before the checkpoint: no run goes on from one later than a snapshot it lacks
            if due(options.save_every):
                run.save(state)
            if stop:
                return 0 if last or enough else signals.code or CODES["SIGTERM"]
            with suppress(Stopped):  # the next step sees the signal, too, and saves
                if due(options.sample_every):
                    run.draw(state, signals.check)  # after the checkpoint, which an error while sampling must not cost
                if options.evaluate_every and due(options.evaluate_every):
                    run.evaluate(state, signals.check)
    return 0
