"""Options that say where a hole is: of a picture to be filled, and of images whose holes are judged."""

from pathlib import Path

import click
from torch import Tensor

from .. import models
from ..core import files
from ..core.errors import UsageError
from ..data import Images
from ..images import pictures
from ..observations.channels import holes, trained_masks
from ..observations.masks import masks


def corners(text: str) -> tuple[int, int, int, int]:
    """The box in a text such as "8,8,24,24".

    Raises:
        UsageError: It is something else.
    """
    try:
        x0, y0, x1, y1 = (int(part) for part in text.split(","))
    except ValueError:
        raise UsageError(f"--box must be four whole numbers x0,y0,x1,y1, such as 8,8,24,24, got {text!r}") from None
    return x0, y0, x1, y1


def known_by(mask: Path | None, box: str | None, invert: bool, size: tuple[int, int]) -> Tensor:
    """Which pixels of a picture of a size are known, (H, W), by a box or else by a mask file.

    Raises:
        DataError, UsageError: As `pictures.read_hole`, `corners` and `pictures.box_known`; or neither is given.
    """
    if box:
        return pictures.box_known(corners(box), size)
    if mask is None:
        raise UsageError("neither --box nor --mask says where the hole is")
    return pictures.read_hole(mask, size, invert=invert)


def one_hole(mask: Path | None, box: str | None, random_mask: str | None, invert: bool, *, least: int) -> None:
    """Looks whether at least so many of the options, and at most one, say where the hole is.

    Raises:
        UsageError: None does, or several; or --box is no box.
    """
    if box:
        corners(box)
    if not least <= sum(given is not None for given in (mask, box, random_mask)) <= 1:
        raise UsageError("give the hole by one of --mask FILE, --box x0,y0,x1,y1 and --random-mask freeform")
    if invert and mask is None:
        raise UsageError("--invert changes the meaning of a --mask, and there is none")


def holes_of(
    model: str, images: Images, mask: Path | None, box: str | None, random_mask: str | None, invert: bool, seed: int
) -> tuple[Tensor, str]:
    """Where images are known, (N, 1, H, W), by the options, or else as the model was trained; and the same in words.

    Raises:
        DataError, UsageError: As `known_by` and `trained_masks`.
    """
    _, height, width = images.shape
    if mask or box:
        known = known_by(mask, box, invert, (width, height)).expand(len(images), 1, -1, -1)
        how = f"the box {box}" if box else f"the mask {mask}"
    else:
        recipe = files.read_json(models.locate(model) / models.CONFIG).get("recipe", {})
        law = masks.parse(random_mask) if random_mask else trained_masks(model, recipe)
        known, how = holes(law, images.shape, len(images), seed), f"{law} by the seed"
    return known, f"the pixels around a hole of {float((~known).float().mean()):.1%} of an image, {how}"


def hole_options(random: str) -> list[click.Parameter]:
    """The options --mask, --box, --random-mask and --invert.

    Args:
        random: What a random hole is drawn from.
    """
    return [
        click.Option(["--mask"], type=click.Path(path_type=Path), metavar="FILE",
                     help="Picture of the same size: white is the hole that is drawn, black is kept."),
        click.Option(["--box"], metavar="X0,Y0,X1,Y1", help="The hole: columns X0 to X1 - 1 of rows Y0 to Y1 - 1."),
        click.Option(["--random-mask"], metavar="NAME[:KEY=VALUE,...]",
                     help=f"A hole drawn from --seed and {random}: freeform or rectangle."),
        click.Option(["--invert"], is_flag=True, help="Black is the hole in --mask, and white is kept."),
    ]  # fmt: skip
