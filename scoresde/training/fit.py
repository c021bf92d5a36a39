"""The whole training, in a run folder: with resume, and as one or several processes."""

import logging
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Literal

import torch
from torch import nn

from ..core.devices import device as device_of
from ..core.errors import UsageError
from ..core.folders import apart, only_writer, writable
from ..core.parallel import group, grouped, processes
from ..data.given import GivenData, as_dataset, digest
from ..data.recipes import digests
from ..networks.given import GivenNetwork
from ..sampling.progress import progress_bar
from .adapt import adapted
from .checkpoints import Checkpoints
from .choice import Array, Chosen, Source, chosen, folder_for
from .covariances import keep_covariances
from .initial import begin_from
from .loop import start
from .run import Run
from .sharding import whole
from .trainable import check
from .trainer import Callback, follow, shared

Resume = bool | Literal["auto", "must", "never"]


def fit(
    config: Source | Chosen,
    folder: str | Path | None = None,
    *,
    overrides: Sequence[str] = (),
    images: Array | None = None,
    held_out: Array | None = None,
    net: nn.Module | None = None,
    resume: Resume = "auto",
    change: bool = False,
    seconds: float | None = None,
    callbacks: Sequence[Callback] = (),
    progress: bool | None = None,
    device: str | torch.device = "auto",
    command: str = "scoresde.fit",
) -> Run:
    """Trains a score network and returns the run; `Run.model` is the averaged network.

    It does the same as `scoresde train`. The run folder gets config.toml, meta.json and metrics.jsonl, samples,
    evaluations, checkpoints and snapshots, and at the end the covariance of the images for `condition`. Ctrl-C,
    SIGTERM, SIGUSR1 and SIGHUP end the run after the current step, with a checkpoint; `Run.code` is then not 0. Under
    torchrun, all processes call it.

    Args:
        config: A configuration, the path of a TOML file, or the name of a bundled configuration, such as "digits"; or
            the folder of a run to continue; or data, for which a configuration is chosen: a folder or zip of images, an
            .npz or .npy file, a .csv file of numbers, or an array, such as (N, C, H, W) of uint8 or (N, D) of floats.
        folder: The run folder; by default runs/NAME, with the name of the file or folder. Required for an array and a
            `Config` object.
        overrides: Changes of the configuration, such as "train.batch=64".
        images: Training data in place of those of the configuration: `Images`, `Tensors`, or an array, such as
            (N, C, H, W) of uint8 or (N, *) of floats. They are not saved, so commands that need images must be given a
            data set.
        held_out: Images for train.evaluate_every in place of the test set, as `images`.
        net: A network in place of the one that the configuration names, called as net(x, label), x (B, C, H, W) and
            label (B,), or as net(x, label, classes) if network.classes = K is above 0. Then classes are 0 to K - 1, and
            K for no class. A copy is trained. The folder does not contain its code: to continue the run, give a network
            of the same kind again.
        resume: "auto" continues from the newest checkpoint, or starts if there is none; "must" or True continues;
            "never" or False starts, and refuses a folder that holds a run. A run that has reached train.images is
            returned unchanged.
        change: Allows other options of [train], or other images, in a resumed run.
        seconds: Maximal duration. The run is shortened if it would take longer, as measured over its first steps. It
            ends at this time, with a checkpoint, in any case.
        callbacks: Called as callback(state) after each step, before the step is logged; they must not change the state.
            StopIteration ends the run after this step, with a line of the log and a checkpoint.
        progress: True or False for a bar or lines; None shows a bar in a terminal or notebook, else lines.
        device: "auto", "cpu", "cuda", "cuda:1" and so on.
        command: The command that started the run, for meta.json.

    Raises:
        UsageError: The configuration is wrong, the folder is in use or not writable, or there is no run to continue.
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
    began = time.monotonic()
    with _joined(device) as name:
        together = processes()
        if isinstance(config, Chosen):
            wanted, place = config.config, folder_for(config.config, folder)
        else:
            source, place, goes_on = config, folder_for(config, folder), resume in (True, "auto", "must")
            wanted = together.only_first(
                lambda: chosen(source, place, device_of(name), overrides, seconds, goes_on)
            ).config
        if isinstance(images, int | float):
            raise UsageError(
                f"images are the training data, got {images}: their number is overrides=['train.images={images}']"
            )
        if images is not None:
            given = as_dataset(images)
            held = None if held_out is None else as_dataset(held_out, given)
            wanted = replace(wanted, data=GivenData.of(given, held))
        elif held_out is not None:
            raise UsageError("held_out goes with images: without them, the test set of config.data is held out")
        if net is not None:
            wanted = replace(wanted, network=GivenNetwork.of(net, wanted.network))
        run = Run(place, wanted, {"command": command, "seed": wanted.train.seed})
        with ExitStack() as claim:
            begun = together.only_first(lambda: _claimed(run, claim, resume))
            claim.push(run.close)
            if together.first:
                claim.enter_context(_kept(run.folder / "log.txt"))
            with progress_bar(None, progress if together.first else False, desc="reading images", delay=1.0):
                training = wanted.data.load("train")
            run.config = adapted(wanted, training, together.world)
            run.digest = together.only_first(lambda: digest(training))
            run.recipe["digests"] = together.only_first(lambda: digests(wanted.data, run.digest))
            state = start(run.config, training.shape, device_of(name), training.units, training.class_names)
            check(run.config.train, training, state.model, together.world)
            if begun:
                run.resume(state, changed=change)
            elif wanted.train.init_from:
                run.recipe["init_from"] = begin_from(state, wanted.train.init_from)
            together.only_first(lambda: run.open(state, training))
            end, seen = None if seconds is None else began + seconds, state.images
            run.code = shared(lambda: follow(training, state, run, callbacks, progress, end), together)
            if state.images > seen and not run.code:
                together.only_first(lambda: keep_covariances(run, training))
        run.state, run.averaged = state, whole(state.ema)
        run.averaged.source = run.folder
    return run


@contextmanager
def _joined(device: str | torch.device) -> Iterator[str | torch.device]:
    """A context in which the processes that torchrun started are joined, as `group`, if they are not joined yet."""
    if grouped():
        yield device
        return
    with group(str(device)) as name:
        yield name


class _Dated(logging.Formatter):
    """Lines with the date in the form of the lines of progress."""

    def formatTime(self, record: logging.LogRecord, datefmt: str | None = None) -> str:
        return datetime.fromtimestamp(record.created).astimezone().isoformat(" ", "seconds")


@contextmanager
def _kept(file: Path) -> Iterator[None]:
    """A context in which warnings are also added to a file; one that cannot be written is told of elsewhere.

    Python prints warnings that no handler takes. With that of the file there is one, so the printing is added, too.
    """
    handler = logging.FileHandler(file, encoding="utf-8", delay=True)
    handler.setFormatter(_Dated("%(asctime)s %(message)s"))
    handler.handleError = lambda record: None  # type: ignore[method-assign]
    log = logging.getLogger("scoresde")
    taken = [handler] if log.hasHandlers() or not logging.lastResort else [handler, logging.lastResort]
    for each in taken:
        log.addHandler(each)
    try:
        yield
    finally:
        for each in taken:
            log.removeHandler(each)
        handler.close()


def _claimed(run: Run, claim: ExitStack, resume: Resume) -> bool:
    """Takes the folder of a run for this process alone; whether there is something to go on from.

    Raises:
        UsageError: The folder cannot be written, is in use, holds a run that is not to be resumed, or the pictures.
    """
    if resume not in (True, False, "auto", "must", "never"):
        raise UsageError(f"resume must be 'auto', 'must' or 'never', got {resume!r}")
    pictures = getattr(run.config.data, "path", None)
    if pictures and Path(pictures).is_dir() and not run.checkpoints.any():
        apart(run.folder, [Path(pictures) / "*"])  # the sheets of the run would be among what it learns from
    claim.enter_context(only_writer(writable(run.folder)))
    begun, must = run.checkpoints.any(), resume in (True, "must")
    if not must and resume != "auto":
        unbegun(run.folder)
    return begun or must


def unbegun(folder: Path) -> None:
    """Checks that a run may begin in a folder.

    Args:
        folder: The run folder.

    Raises:
        UsageError: It holds a run.
    """
    if Checkpoints(folder / "checkpoints").any():
        raise UsageError(
            f"{folder} already holds a run; continue it with --resume, in Python with resume='auto', or choose "
            "another folder"
        )
