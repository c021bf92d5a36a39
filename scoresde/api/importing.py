"""Models of other projects, made into ours."""

from pathlib import Path
from typing import Any

from torch import Tensor

from ..core.devices import device as device_of
from ..core.errors import UsageError
from ..models import NetworkModel
from ..models.folder import read
from ..models.foreign import Family, families
from ..models.foreign.base import family_of
from ..models.foreign.importing import brought


def import_model(
    source: str | Path,
    folder: str | Path,
    *,
    family: Family | type[Family] | str | None = None,
    images: Tensor | None = None,
    force: bool = False,
    device: str = "auto",
    **options: Any,
) -> NetworkModel:
    """Makes a model folder of a checkpoint of another project, checks it, and returns its model, ready to sample.

    The check denoises a few pictures at several levels of noise, with the right label and with wrong ones; what it
    found is in the folder's config.json, under "imported". Nothing of the checkpoint is run.

    Args:
        source: The checkpoint: a folder of diffusers, or a file of another project.
        folder: Where to; what it holds of an earlier import is replaced.
        family: Whose checkpoint it is, such as "diffusers", "score_sde" or "guided-diffusion"; by default what it looks
            like. `scoresde import --help` lists all with their options.
        images: Pictures of the kind that the model makes, for the check, (B, C, H, W) in [-1, 1]; by default parts of
            two photographs.
        force: Keep the model although the check fails or cannot be made.
        device: As for `load`.
        options: What the checkpoint does not say itself, such as config="vp/cifar10_ddpmpp_continuous" for score_sde.

    Raises:
        UsageError: It is of no known family, an option is missing, does not exist or is not covered, the folder holds
            another model, or the check fails.
        CheckpointError: The checkpoint is damaged, incomplete, or holds what could run code.

    Example:
        >>> import scoresde
        >>> try:
        ...     scoresde.import_model("checkpoint_26.pth", "models/ddpmpp", config="vp/cifar10_ddpmpp_continuous")
        ... except scoresde.ScoreSDEError as error:  # in this place there is none
        ...     print(error)
        there is no file or folder checkpoint_26.pth
    """
    named = family_of(Path(source)) if family is None else families[family] if isinstance(family, str) else family
    if isinstance(named, type):
        named = named(**options)
    elif options:
        raise UsageError(f"{', '.join(options)} belong into the family that is given, {named}")
    brought(Path(source), Path(folder), named, images, force=force)
    return read(Path(folder), device_of(device))
