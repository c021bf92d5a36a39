"""Our models for diffusers: a folder that its pipelines load, compared with ours before it is kept."""

import copy
import json
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ...core.errors import NumericalError, ResourceError, UsageError
from ...core.random import randn, stream
from ...core.sentences import an
from ...networks.diffusers import DiffusersOptions, library
from ...networks.exchange import configured
from ...networks.unet import UNetOptions
from ..autoencoders import Autoencoder
from ..autoencoders.diffusers import DiffusersAutoencoder, DiffusersCoder
from ..base import ScoreModel
from ..network import NetworkModel
from ..output import denoised
from .card import card
from .diffusers import INDEX
from .exported_schedulers import SchedulerOf, scheduler_of

EXACT = 1e-5
"""Largest relative difference of the exported network that is accepted."""


@dataclass(frozen=True)
class Exported:
    """A folder of diffusers, and how well it agrees with the model."""

    folder: Path
    """Where it is."""
    pipeline: str
    """The class that loads it."""
    error: float
    """Largest difference of the network's output, and of x̂_0 of the scheduler, relative to the largest value."""

    def __str__(self) -> str:
        return f"{self.folder}: {self.pipeline}, equal to {self.error:.1g} in an evaluation from disk"


def export(model: ScoreModel, folder: Path, record: dict[str, Any] | None = None) -> Exported:
    """Writes a folder of diffusers, from which its pipelines load the model, and compares an evaluation of it.

    Args:
        model: A network of ours that diffusers has too, or one that was imported from there.
        folder: Where to; it must be new or empty.
        record: How the model came about, for the README.md.

    Raises:
        UsageError: Diffusers has no such network or process, or the folder holds something.
        NumericalError: The exported network computes something else; nothing is left of it.
        ResourceError: The package diffusers is missing, or the folder cannot be written to.
    """
    if not isinstance(model, NetworkModel):
        raise UsageError(f"{an(type(model).__name__)} cannot be exported: export the network inside it")
    kind, config = _network(model)
    unit = isinstance(model.options, DiffusersOptions) and model.options.unit_interval
    scheduler = scheduler_of(model, unit)
    net = getattr(library(), kind)(**config)
    net.load_state_dict(model.net.state_dict())
    with _new(folder) as place:
        index = _written(model, kind, net, scheduler, place)
        error = compared(model, scheduler, place)
        if not error < EXACT:
            raise NumericalError(f"the exported network differs from the model by {error:.2g}, more than {EXACT:g}")
        text = card(model, index["_class_name"], folder.name, error, record or {})
        (place / "README.md").write_text(text, encoding="utf-8")
    return Exported(folder, index["_class_name"], error)


def _network(model: NetworkModel) -> tuple[str, dict[str, Any]]:
    """Class and config of the network there."""
    if model.condition != "none" or model.units is not None or (model.options and model.options.extra_channels):
        what = f"trained for {model.condition}" if model.condition != "none" else "of data that are no pictures"
        raise UsageError(f"diffusers has no pipeline for a network {what}")
    if isinstance(model.options, DiffusersOptions):
        return model.options.kind, dict(model.options.config)
    if isinstance(model.options, UNetOptions):
        return "UNet2DModel", configured(model.options, model.shape)
    name = "a network of no registered kind" if model.options is None else f"the network {model.options.name}"
    raise UsageError(f"diffusers has nothing like {name}: a unet, or a network imported from there, can be exported")


@contextmanager
def _new(folder: Path) -> Iterator[Path]:
    """A folder beside the one wanted, which takes its place at the end, and is removed after an error."""
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise UsageError(f"{folder} holds something, and nothing is written over: choose another folder, or remove it")
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        place = Path(tempfile.mkdtemp(prefix=f".{folder.name}-", dir=folder.parent))
    except OSError as error:
        raise ResourceError(f"cannot write beside {folder}: {error.strerror}") from None
    try:
        yield place
        place.chmod(0o755)
        place.replace(folder)
    except OSError as error:
        raise ResourceError(f"cannot write {folder}: {error}") from None
    finally:
        shutil.rmtree(place, ignore_errors=True)


def _written(model: NetworkModel, kind: str, net: Any, scheduler: SchedulerOf, place: Path) -> dict[str, Any]:
    """Writes the parts and their index, which is returned."""
    name = "unet" if kind == "UNet2DModel" else "transformer"
    parts = {name: net, "scheduler": getattr(library(), scheduler.kind)(**scheduler.options)}
    pipeline = {"DDIMScheduler": "DDIMPipeline", "ScoreSdeVeScheduler": "ScoreSdeVePipeline"}.get(scheduler.kind)
    if model.autoencoder is not None:
        parts["vae" if name == "transformer" else "vqvae"] = _coder(model.autoencoder)
        pipeline = "LDMPipeline"
    pipeline = "DiTPipeline" if name == "transformer" else pipeline or "DDPMPipeline"
    index: dict[str, Any] = {"_class_name": pipeline, "_diffusers_version": library().__version__}
    for part, value in parts.items():
        value.save_pretrained(place / part)
        index[part] = ["diffusers", type(value).__name__]
    if pipeline == "DiTPipeline":
        index = {**index, "vae": index.get("vae", [None, None])}
    (place / INDEX).write_text(json.dumps(index, indent=2) + "\n", encoding="utf-8")
    return index


def _coder(autoencoder: Autoencoder) -> Any:
    """The autoencoder of diffusers, whose config has to say the scale and shift of the latents, too."""
    options, coder = autoencoder.options, autoencoder.coder
    if not (isinstance(coder, DiffusersCoder) and isinstance(options, DiffusersAutoencoder)):
        raise UsageError("diffusers has nothing like the autoencoder of this model of latents")
    said = DiffusersAutoencoder.of({"_class_name": options.kind, **options.config})
    if (said.scale, said.shift) != (options.scale, options.shift):
        raise UsageError(
            f"the latents have scale {options.scale:g} and shift {options.shift:g}, and the config of the autoencoder "
            f"says {said.scale:g} and {said.shift:g}: diffusers would take those"
        )
    return coder.net


@torch.no_grad()
def compared(model: NetworkModel, scheduler: SchedulerOf, folder: Path) -> float:
    """The largest relative difference between the pipeline in a folder and a model, near both ends and in the middle.

    Of the network's output, and where the scheduler has levels of its x̂_0 in the middle, too.

    Args:
        model: The model.
        scheduler: What was exported for it.
        folder: The folder.
    """
    pipeline = _loaded(folder)
    theirs = pipeline.components.get("unet") or pipeline.components["transformer"]
    model = copy.deepcopy(model).cpu().eval()
    levels = [1, len(scheduler.times) // 2, len(scheduler.times) - 1] if scheduler.chain else [0, 1, 2]
    times = scheduler.times[levels]
    x = randn((3, *model.shape), stream(0, "export-check"), dtype=next(model.net.parameters()).dtype)
    classes = (torch.arange(3) % model.classes,) if model.classes else ()
    label = torch.tensor(levels).to(x) if scheduler.chain else model.time_input(times).to(x)
    unit = isinstance(model.options, DiffusersOptions) and model.options.unit_interval
    out = theirs.eval()((x + 1) / 2 if unit else x, label, class_labels=classes[0] if classes else None).sample
    errors = [_difference(out / 2 if unit else out, model.net(x, label, *classes))]
    if scheduler.chain:
        pipeline.scheduler.set_timesteps(len(scheduler.times))
        n, row = levels[1], slice(1, 2)
        shown = out[row] if "variance_type" in scheduler.options else out[row, : x.shape[1]]
        step = pipeline.scheduler.step(shown, n, x[row], generator=stream(0, "export-check", n))
        eps = model.evaluate(x[row], times[row], *(each[row] for each in classes)).eps
        errors.append(_difference(step.pred_original_sample, denoised(model.sde, x[row], times[row], eps)))
    return max(errors)


def _loaded(folder: Path) -> Any:
    """The pipeline in a folder, loaded without a word."""
    spoken = library().utils.logging
    shown = spoken.is_progress_bar_enabled()
    spoken.disable_progress_bar()
    try:
        return library().DiffusionPipeline.from_pretrained(folder, low_cpu_mem_usage=False)
    finally:
        if shown:
            spoken.enable_progress_bar()


def _difference(found: Tensor, truth: Tensor) -> float:
    return float((found - truth).abs().max() / truth.abs().max().clamp_min(1e-30))
