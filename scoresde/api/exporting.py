"""Our models, made into those of diffusers."""

from pathlib import Path

from ..core.files import read_json
from ..models.folder import CONFIG
from ..models.foreign.export import Exported, export
from .arguments import Model, model_of, source_of


def export_model(model: Model, folder: str | Path) -> Exported:
    """Writes a model as a folder of diffusers, which `DDIMPipeline.from_pretrained(folder)` and the like load.

    It ends with a check: the folder is loaded as diffusers loads it, and must give what the model gives, but for a
    relative difference below 1e-5. In it is a README.md, the card of the model on the hub.

    Args:
        model: A `unet` that diffusers has too, or a network that was imported from there, or its name.
        folder: Where to; it must be new or empty.

    Raises:
        UsageError: Diffusers has no such network or process, or the folder holds something.
        NumericalError: The exported network computes something else.
        ResourceError: The package diffusers is missing, or the folder cannot be written to.

    Example:
        >>> import scoresde
        >>> options = scoresde.networks.UNetOptions(channels=8, multipliers=(1, 2), blocks=1)
        >>> net = options.build((1, 8, 8))
        >>> model = scoresde.NetworkModel(net, scoresde.VPSDE(), (1, 8, 8), options=options)
        >>> scoresde.export_model(model, "exported").pipeline
        'DDIMPipeline'
    """
    chosen = model_of(model)
    source = source_of(chosen)
    record = {} if source is None else read_json(source / CONFIG)
    return export(chosen, Path(folder), record)
