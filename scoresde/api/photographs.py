"""Colourising and inpainting of photographs at their own size."""

from dataclasses import replace
from pathlib import Path

from PIL import Image

from ..conditioners import Conditioner, conditioners
from ..core.errors import UsageError
from ..images import pictures
from ..images.decode import flattened
from ..models.latent import data_shape
from ..observations import Luma, Observation, Pixels
from ..posterior import photograph, tasks
from ..sampling.progress import ProgressBar, progress_bar
from ..sampling.samples import Samples
from .arguments import DELAY, Method, Model, counted, drawable, model_of, solver_of, source_of
from .inputs import ArrayLike
from .models import observation_of


def restore(
    picture: Image.Image | str | Path,
    observation: Observation | str | ArrayLike = "luma",
    model: Model = "cifar10",
    solver: Method | None = None,
    *,
    n: int = 4,
    seed: int = 0,
    method: Conditioner | type[Conditioner] | str | None = None,
    batch: int = 64,
    progress: bool | None = None,
) -> Samples:
    """Colourises a photograph of any size, or fills a hole in it, at its own size.

    As in `scoresde colourise` and `scoresde inpaint`, the missing part is drawn at the model's resolution and enlarged.
    The luma of the photograph, or its known pixels, are kept.

    Args:
        picture: A picture as its pixels are, with transparency laid over white, or its file, which is turned upright.
        observation: The known part: "luma", or a mask that is 1 where a pixel is known, (H, W).
        model: A model of images, or its name.
        solver: As for `sample`. By default `dpm++` in 10 steps, in 20 for a network that was trained for the task.
        n: Number of samples.
        seed: Sample i uses seed + i.
        method: As for `condition`.
        batch: Samples at a time.
        progress: Whether a bar is shown, or lines without a terminal; None shows a bar alone, if it takes a while.

    Raises:
        DataError: The file cannot be read as a picture.
        UsageError: A name does not exist, what is known or the size of the mask is wrong, or a number is below 1.

    Example:
        >>> import numpy as np, scoresde
        >>> from PIL import Image
        >>> photo = Image.fromarray(np.arange(20 * 30, dtype=np.uint8).reshape(20, 30))
        >>> known = np.ones((20, 30), dtype=bool)
        >>> known[5:9, 5:9] = False
        >>> scoresde.restore(photo, known, "digits", "dpm++:steps=5", n=2).x.shape
        torch.Size([2, 1, 20, 30])
    """
    counted(n=n, batch=batch)
    prior, seen = model_of(model), observation_of(observation)
    name = str(model) if isinstance(model, str | Path) else "the model"
    shape, folder = data_shape(prior), source_of(prior)
    drawable(name, prior)
    opened = flattened(picture, "picture") if isinstance(picture, Image.Image) else pictures.load_picture(Path(picture))
    if seen == Luma():
        tasks.colourful(name, shape)
        case = photograph.coloured(opened, shape)
    elif isinstance(seen, Pixels):
        flat, size = opened.convert("L" if shape[0] == 1 else "RGB"), "{}x{}".format(*opened.size)
        masks = tuple(seen.mask.shape)
        if masks[-2:] != flat.size[::-1] or seen.mask.numel() != flat.width * flat.height:
            raise UsageError(f"the mask of a picture of {size} is {flat.size[::-1]}, got {masks}")
        case = photograph.filled(flat, seen.mask.reshape(flat.size[::-1]).bool(), shape)
    else:
        raise UsageError(f"photographs are restored from their luma or known pixels, got {seen}: use condition for it")
    imposed = conditioners.make(tasks.conditioner_for(prior) if method is None else method, Conditioner)
    steps = tasks.steps_for(prior) if solver is None else None
    with progress_bar(n, progress, desc="restore", lines=False, delay=DELAY) as bar:
        drawn = tasks.Method(solver_of(solver or tasks.SOLVER, steps=steps), imposed).draw(
            case,
            tasks.of_size(prior, case.shape, batch),
            folder or Path(),
            range(seed, seed + n),
            batch,
            lambda: ProgressBar(prior.sde, bar),
        )
    return replace(drawn, x=case.finished(drawn.x), seeds=range(seed, seed + n), latents=None)
