"""Import of models of other projects."""

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
    """Converts a checkpoint of another project to a model folder, checks it, and returns the model.

    The check denoises a few images at several levels of noise, with the correct time input and with wrong ones. Its
    result is in the folder's config.json, under "imported". No code in the checkpoint is executed.

    Args:
        source: The checkpoint: a folder of diffusers, or a file of another project.
        folder: The model folder; an earlier import in it is replaced.
        family: The project, such as "diffusers", "score_sde" or "guided-diffusion"; by default it is detected.
            `scoresde import --help` lists all with their options.
        images: Images like those of the model, for the check, (B, C, H, W) in [-1, 1]; by default parts of two
            photographs.
        force: Keeps the model even if the check fails or is not possible.
        device: As for `load`.
        options: Values that the checkpoint lacks, such as config="vp/cifar10_ddpmpp_continuous" for score_sde.

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
