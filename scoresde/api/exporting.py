"""Export of models to diffusers."""

from pathlib import Path

from ..core.files import read_json
from ..models.folder import CONFIG
from ..models.foreign.export import Exported, export
from .arguments import Model, model_of, source_of


def export_model(model: Model, folder: str | Path) -> Exported:
    """Writes a model as a folder for diffusers, for `DDIMPipeline.from_pretrained(folder)` and other pipelines.

    At the end the folder is loaded by diffusers, and the network must agree with the model to a relative difference of
    1e-5. The folder contains README.md, the model card for the hub.

    Args:
        model: A model, or its name, with a `unet` whose options diffusers has, or with a network imported from there.
        folder: A new or empty folder.

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
