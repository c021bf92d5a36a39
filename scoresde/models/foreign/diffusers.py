"""Folders of the library diffusers."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

from pydantic import Field
from torch import Tensor

from ...core.errors import CheckpointError, ScoreSDEError, UsageError, reason
from ...core.files import read_json
from ...core.sentences import an
from ...networks import NetworkOptions
from ...networks.diffusers import DEFAULTS, DiffusersOptions
from ...networks.exchange import native
from ..autoencoders import Autoencoder
from ..autoencoders.diffusers import autoencoder_of, renamed
from .base import Family, Imported, Setting, families, model_of
from .schedulers import Scheduled, scheduled
from .weights import read_weights

INDEX, CONFIG, STEM = "model_index.json", "config.json", "diffusion_pytorch_model"
SCHEDULER = "scheduler_config.json"
NETWORKS, CODERS = ("unet", "transformer"), ("vae", "vqvae")
OTHERS = ("scheduler", "id2label", "safety_checker", "feature_extractor", "image_encoder", "requires_safety_checker")
"""Entries of model_index.json that say nothing of the network."""
IGNORED = (
    "_class_name", "_diffusers_version", "_name_or_path",
    "decay", "inv_gamma", "min_decay", "optimization_step", "power", "update_after_step", "use_ema_warmup",
)  # fmt: skip
"""What says nothing of the network in its config.json: its origin, and how an average of the weights came about."""


@families("diffusers")
class Diffusers(Family):
    """A folder as `save_pretrained` of diffusers writes it, of a pipeline or of a network alone.

    The network is a UNet2DModel or a DiTTransformer2DModel, without classes or with them, of pictures or of the latents
    of an autoencoder. A UNet2DModel that our own `unet` can be becomes one, and then needs no diffusers.

    Reference: https://github.com/huggingface/diffusers.
    """

    folders: ClassVar[bool] = True
    scheduler: str = Field("", description="Folder or config of the scheduler, if it is not beside the network.")
    variant: str = Field("", description="Variant of the weights: fp16, non_ema and so on.")
    size: int | None = Field(None, ge=1, description="Height and width of images or latents, if the config has none.")
    classes: int | None = Field(
        None,
        ge=1,
        description="Number of classes: the rows of the embedding, or one fewer if the last row is no class.",
    )

    @classmethod
    def claims(cls, source: Path) -> bool:
        if (source / INDEX).is_file():
            return True
        try:
            return "_diffusers_version" in read_json(source / CONFIG)
        except CheckpointError:
            return False

    def read(self, source: Path) -> Imported:
        try:
            return self._read(source)
        except ScoreSDEError:
            raise
        except (TypeError, ValueError, LookupError, AttributeError, ArithmeticError) as error:
            raise CheckpointError(f"{source} is no folder that diffusers has written: {reason(error)}") from None

    def _read(self, source: Path) -> Imported:
        parts = _parts(source)
        place = parts["network"]
        config = {key: value for key, value in read_json(place / CONFIG).items() if key not in IGNORED}
        kind = str(read_json(place / CONFIG).get("_class_name"))
        if kind not in DEFAULTS:
            raise UsageError(
                f"{place} is {an(kind)}: {' and '.join(DEFAULTS)} are supported, without text, with classes or not"
            )
        said = self._scheduled(source, parts.get("scheduler", source))
        options, shape = self._network(kind, config, said)
        network: NetworkOptions = native(options, shape) or options
        tensors, names = stored(place, self.variant)
        coder = _autoencoder(parts["coder"], shape, self.variant) if "coder" in parts else None
        model = model_of(Setting(network, shape, said.sde, said.label, said.predicts), tensors, place, coder)
        notes = {
            "network": kind,
            "weights": [str((place / name).relative_to(source)) for name in names],
            "sampling": said.sampling,
            "sampling_note": "what diffusers' pipeline does by itself; here it is chosen by the solver and its options",
        }
        if network.classes:
            notes["no_class"] = f"class {network.classes}" if network.null_class else "was not trained"
        return Imported(model, notes)

    def _scheduled(self, source: Path, there: Path) -> Scheduled:
        place = Path(self.scheduler) if self.scheduler else there
        file = place / SCHEDULER if place.is_dir() else place
        if not self.scheduler and not file.is_file():
            raise UsageError(
                f"{source} is a network without a scheduler, which says what it was trained for: give scheduler, the "
                f"folder or file of its {SCHEDULER}"
            )
        return scheduled(read_json(file, "scheduler of diffusers"))

    def _network(
        self, kind: str, config: Mapping[str, Any], said: Scheduled
    ) -> tuple[DiffusersOptions, tuple[int, ...]]:
        """The network as its config says it, and the shape of a sample."""
        whole = {**DEFAULTS[kind], **config}
        channels, outputs = int(whole["in_channels"]), int(whole["out_channels"] or whole["in_channels"])
        if outputs not in (channels, 2 * channels):
            raise UsageError(
                f"the network makes {outputs} channels of {channels}: those of a sample, or twice as many with a "
                "learned variance, are supported"
            )
        variance, learned = said.sampling.get("variance_type"), outputs == 2 * channels
        if variance not in (None, "learned_range") if learned else str(variance).startswith("learned"):
            raise UsageError(
                f"variance_type = {variance!r} with {outputs} outputs for {channels} channels is not covered"
            )
        size = whole["sample_size"] if whole["sample_size"] is not None else self.size
        if size is None:
            raise UsageError("the config does not say the size of a sample: give size, such as --size 64")
        if self.size not in (None, size):
            raise UsageError(f"size is {self.size}, and the config says sample_size = {size}: leave it out")
        height, width = (size, size) if isinstance(size, int) else size
        rows = DiffusersOptions.rows_of(kind, whole)
        null = kind == "DiTTransformer2DModel"
        options = DiffusersOptions(
            kind=kind,
            config=dict(config),
            classes=(rows - null if self.classes is None else self.classes),
            learned_variance=learned,
            unit_interval=said.unit_interval,
        )
        return options, (channels, int(height), int(width))


def _parts(source: Path) -> dict[str, Path]:
    """Folders of the network, and, if there are any, of the scheduler and the autoencoder.

    In the oldest repositories the network and the scheduler lie beside the index.
    """
    if not (source / INDEX).is_file():
        return {"network": source}
    index = read_json(source / INDEX)
    there = {
        name: value for name, value in index.items() if not name.startswith("_") and value not in (None, [None] * 2)
    }
    kinds = {name: value[1] if isinstance(value, list) else value for name, value in there.items()}
    found = {
        "network": [name for name in NETWORKS if name in there],
        "coder": [name for name in CODERS if name in there],
    }
    strange = [name for name in there if name not in (*NETWORKS, *CODERS, *OTHERS)]
    if strange:
        text = any("text" in name or "token" in name or name == "bert" for name in strange)
        raise UsageError(
            f"{source} is {an(str(index.get('_class_name')))} with the part {strange[0]} ({kinds[strange[0]]}): "
            + ("models of text are not supported, " if text else "it is not covered, ")
            + "only a network with its scheduler, and an autoencoder or none"
        )
    if len(found["network"]) != 1 or len(found["coder"]) > 1:
        raise UsageError(
            f"{source} must name one network, {' or '.join(NETWORKS)}, got {', '.join(there) or 'nothing'}"
        )
    folders = {part: source / names[0] for part, names in found.items() if names}
    folders |= {"scheduler": source / "scheduler"} if "scheduler" in there else {}
    return {part: place if place.is_dir() else source for part, place in folders.items()}


def _autoencoder(place: Path, shape: tuple[int, ...], variant: str) -> Autoencoder:
    return autoencoder_of(read_json(place / CONFIG), stored(place, variant)[0], shape, place)


def stored(folder: Path, variant: str = "") -> tuple[dict[str, Tensor], list[str]]:
    """The weights in the folder of a network, by the names of today, and the files they are from.

    Args:
        folder: The folder.
        variant: Which of several: the part of the file's name before its ending.

    Raises:
        UsageError: There are other variants only.
        CheckpointError: There are none, or they are damaged.
    """
    tail = f".{variant}" if variant else ""
    indexes = [folder / f"{STEM}.{ending}.index{tail}.json" for ending in ("safetensors", "bin")]
    files = [folder / f"{STEM}{tail}.{ending}" for ending in ("safetensors", "bin")]
    if (whole := next((path for path in files if path.is_file()), None)) is not None:
        names = [whole.name]
    elif (index := next((path for path in indexes if path.is_file()), None)) is not None:
        names = sorted({Path(name).name for name in read_json(index).get("weight_map", {}).values()})
    else:
        there = sorted({path.name.split(".")[1] for path in folder.glob(f"{STEM}.*.*") if "index" not in path.name})
        if there:
            raise UsageError(
                f"{folder} has weights of {', '.join(there)}, not {variant or 'the plain ones'}: give variant"
            )
        raise CheckpointError(f"{folder} holds no weights, {files[0].name} or {files[1].name}")
    tensors: dict[str, Tensor] = {}
    for name in names:
        tensors |= read_weights(folder / name)
    return renamed(tensors), names
