"""Fine-tuning of a pruned model."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from torch import Tensor

from .. import models
from ..core.errors import UsageError
from ..data.recipes import loaded
from ..models import NetworkModel
from ..models.record import recipe
from ..networks.prune import hold
from ..sampling.progress import progress_bar
from . import config as configuration
from .config import Config
from .loop import start, train
from .recorded import recorded_config


def trained_with(name: str | Path) -> Config:
    """The configuration that a run or a bundled model was trained with.

    Args:
        name: The run, or the name of a bundled model.

    Raises:
        UsageError: The folder holds none.
    """
    folder = models.locate(name)
    if (folder / "config.toml").exists():
        return recorded_config(folder)
    if folder.parent == models.BUNDLED and folder.name in configuration.names():
        return configuration.load(folder.name)
    raise UsageError(f"training further needs the configuration that {name} was trained with: give the folder of a run")


def finetune(
    config: Config,
    model: NetworkModel,
    kept: Mapping[str, Tensor],
    steps: int,
    *,
    progress: bool | None = None,
) -> None:
    """Trains a pruned model for some steps, in place, to averaged weights; what was taken away stays 0.

    Args:
        config: What the model was trained with. Images, warm-up and compilation are not as it says.
        model: The model, of which some weights are 0.
        kept: What `networks.prune.prune` returned: which weights were kept.
        steps: Steps of the training.
        progress: Whether a bar is shown, or lines; None shows a bar in a terminal or notebook, else lines.

    Raises:
        NumericalError: The loss is not finite.
    """
    changed = {"images": steps * config.train.batch, "warmup": 0, "compile": False}
    config = replace(config, train=config.train.model_copy(update=changed))
    came = recipe(model.source) if model.source else {}
    images = loaded(config.data, "train", came, "the model")
    state = start(config, images.shape, model.device, images.units)
    for trained in (state.model, state.ema):
        trained.net.load_state_dict(model.net.state_dict())
    with progress_bar(steps, progress, desc="train further", unit="step", bar_format=None) as bar:
        for _ in train(config, images, state):
            hold(state.model.net, kept)
            hold(state.ema.net, kept)
            bar.update()
    model.net.load_state_dict(state.ema.net.state_dict())
