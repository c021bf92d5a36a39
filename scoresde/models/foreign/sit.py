"""Checkpoints of SiT."""

import argparse
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import torch
from pydantic import Field
from torch import Tensor

from ...core.errors import CheckpointError, UsageError
from ...core.files import read_json
from ...networks.sit import SiTOptions
from ...sde import sdes
from ..autoencoders import Autoencoder
from ..autoencoders.diffusers import autoencoder_of
from .base import Family, Imported, Setting, families, model_of
from .diffusers import CONFIG, stored
from .glance import mentions
from .weights import read_weights

Weights = Literal["averages", "raw"]
NAMES = (
    "pos_embed",
    "x_embedder.proj.weight",
    "y_embedder.embedding_table.weight",
    "blocks.0.adaLN_modulation.1.weight",
)
HEADS = {(28, 1152): 16, (24, 1024): 16, (12, 768): 12, (12, 384): 6}
"""Heads of the published sizes XL, L, B and S, by depth and width."""
SCALE = 0.18215
"""What SiT and DiT multiply latents by, whatever the config of the autoencoder says."""
PREDICTS = {"velocity": "flow:reversed=True", "noise": "eps", "score": "score"}
PATHS = {"Linear": "flow", "VP": "vp"}


class Transformers(Family):
    """What SiT and DiT have in common: the network, the classes, the latents."""

    num_heads: int | None = Field(None, ge=1, description="Heads of each self-attention.")
    classes: int | None = Field(
        None,
        ge=1,
        description="Number of classes: the rows of the embedding, or one fewer if the last row is no class.",
    )
    weights: Weights = Field("averages", description="Averaged weights, or the last ones.")
    autoencoder: str = Field("", description="Folder of the autoencoder, in the format of diffusers.")

    def stored(self, source: Path) -> tuple[dict[str, Any], dict[str, Any]]:
        """The weights, and the arguments of the training if they are in the file.

        Args:
            source: A file of a state dict alone, which are the averages, or of {model, ema, opt, args}.

        Raises:
            CheckpointError: It holds no such weights.
        """
        with torch.serialization.safe_globals([argparse.Namespace]):  # names and values, without code
            found = read_weights(source)
        args = vars(found["args"]) if isinstance(found.get("args"), argparse.Namespace) else {}
        bare = NAMES[0] in found
        weights = found if bare else found.get("ema" if self.weights == "averages" else "model")
        if (
            not isinstance(weights, dict)
            or any(name not in weights for name in NAMES)
            or (bare and self.weights == "raw")
        ):
            raise CheckpointError(f"{source} has no {self.weights} of a SiT or DiT: choose other weights")
        return weights, args

    def network(
        self, weights: Mapping[str, Tensor], source: Path, args: Mapping[str, Any]
    ) -> tuple[SiTOptions, tuple[int, ...]]:
        """The transformer by the shapes of its weights, and the shape of a sample.

        Args:
            weights: Its weights by name.
            source: Where they are from, for messages.
            args: The arguments of the training, which may contradict.

        Raises:
            UsageError: The number of heads or of classes is missing or does not fit.
            CheckpointError: Weights are missing.
        """
        try:
            width, channels, patch, _ = weights["x_embedder.proj.weight"].shape
            rows, tokens = len(weights["y_embedder.embedding_table.weight"]), weights["pos_embed"].shape[1]
            outputs = len(weights["final_layer.linear.weight"]) // patch**2
            inner = len(weights["blocks.0.mlp.fc1.weight"])
        except (KeyError, ValueError, TypeError, AttributeError, IndexError, ZeroDivisionError) as error:
            raise CheckpointError(f"{source} lacks weights of the transformer: {error}") from None
        depth = len({name.split(".")[1] for name in weights if name.startswith("blocks.")})
        heads, known = self.num_heads, HEADS.get((depth, width))
        if heads is None and str(args.get("model")).startswith(("SiT-", "DiT-")):
            heads = known  # the class of that name, unless somebody has changed it
        if heads is None:
            hint = f"; the published network of this size has {known}" if known else ""
            raise UsageError(f"{source} does not say the number of its heads: give num_heads{hint}")
        classes = args.get("num_classes", rows - 1) if self.classes is None else self.classes
        if classes not in (rows, rows - 1) or outputs not in (channels, 2 * channels):
            raise UsageError(
                f"{source} embeds {rows} classes and gives {outputs} channels of {channels}, which does not fit "
                f"{classes} classes, with or without one for none"
            )
        options = SiTOptions(
            patch_size=patch,
            hidden_size=width,
            depth=depth,
            num_heads=heads,
            mlp_ratio=inner / width,
            classes=classes,
            null_row=classes < rows,
            learn_sigma=outputs > channels,
        )
        side = patch * round(tokens**0.5)
        return options, (channels, side, side)

    def coder(self, shape: tuple[int, ...]) -> Autoencoder | None:
        """The autoencoder of the latents that the network was trained on, if it is named.

        Args:
            shape: Shape of the latents.

        Raises:
            UsageError: It does not fit, or has another scale.
            CheckpointError: It is damaged or incomplete.
        """
        if not self.autoencoder:
            return None
        folder = Path(self.autoencoder)
        found = autoencoder_of(read_json(folder / CONFIG), stored(folder)[0], shape, folder)
        if abs(found.options.scale - SCALE) > 1e-6 or found.options.shift != 0:
            own = f"those of {folder} {found.options.scale:g}"
            raise UsageError(f"latents of SiT and DiT have the scale {SCALE}, {own}")
        return found

    @property
    def latents(self) -> dict[str, str]:
        """What the record says of the autoencoder."""
        none = "none given: samples are latents, of AutoencoderKL sd-vae-ft-ema"
        return {"autoencoder": Path(self.autoencoder).name if self.autoencoder else none}


@families("sit")
class SiTFamily(Transformers):
    """`0000003.pt` of SiT's train.py, or a released file, which holds the averages alone.

    A released file says nothing but weights: give `prediction` and `num_heads`. Time runs from noise to data in SiT, so
    its networks are given 1 - t, and predict minus our velocity.

    Reference: Ma et al. 2024, https://arxiv.org/abs/2401.08740; https://github.com/willisma/SiT.
    """

    prediction: Literal["velocity", "noise", "score"] | None = Field(
        None, description="What the network predicts, if the file does not say it."
    )
    path: Literal["Linear", "VP"] | None = Field(
        None, description="Path between data and noise, if the file does not say it; by default Linear."
    )

    @classmethod
    def claims(cls, source: Path) -> bool:
        return mentions(source, *NAMES)

    def read(self, source: Path) -> Imported:
        weights, args = self.stored(source)
        if str(args.get("model")).startswith("DiT"):
            raise UsageError(f"{source} is a checkpoint of DiT: read it as one (--as dit)")
        prediction, path = self._said(args, "prediction", source), self._said(args, "path", source) or "Linear"
        if prediction not in PREDICTS or path not in PATHS or (prediction == "velocity" and path != "Linear"):
            raise UsageError(f"{source} predicts the {prediction} along the path {path}, which is not covered")
        options, shape = self.network(weights, source, args)
        said = Setting(options, shape, sdes[PATHS[path]](), "reversed:scale=1.0", PREDICTS[prediction])
        model = model_of(said, weights, source, self.coder(shape))
        notes = {
            "weights": self.weights,
            "prediction": prediction,
            "path": path,
            "num_heads": options.num_heads,
            "no_class": f"class {options.classes}" if options.null_row else "was not trained",
            "sampling": "the original guides the first three of four channels alone",
            **self.latents,
        }
        return Imported(model, notes)

    def _said(self, args: Mapping[str, Any], name: Literal["prediction", "path"], source: Path) -> str | None:
        """The option, or the argument of the training, which must not contradict each other."""
        own, its = getattr(self, name), args.get("path_type" if name == "path" else name)
        if own is None and its is None and name == "prediction":
            raise UsageError(
                f"{source} does not say what it predicts: give prediction, {', '.join(PREDICTS)}; or read it as one of "
                "DiT (--as dit), whose weights have the same names"
            )
        if None not in (own, its) and own != its:
            raise UsageError(f"{source} was trained with the {name} {its}, not {own}: leave it out")
        found: str | None = its if own is None else own
        return found
