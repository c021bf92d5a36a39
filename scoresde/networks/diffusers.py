"""Networks of the library diffusers, which build themselves from its config.json."""

import functools
import importlib
import json
from collections.abc import Mapping
from typing import Any, Literal

from pydantic import Field, ValidationInfo, field_validator, model_validator
from torch import Tensor, nn

from ..core.errors import ResourceError, UsageError, reason
from .base import NetworkOptions, networks, picture
from .inputs import classed, halvable, labelled

DEFAULTS: Mapping[str, Mapping[str, Any]] = {
    "UNet2DModel": {
        "sample_size": None, "in_channels": 3, "out_channels": 3, "center_input_sample": False,
        "time_embedding_type": "positional", "time_embedding_dim": None, "freq_shift": 0, "flip_sin_to_cos": True,
        "down_block_types": ["DownBlock2D", "AttnDownBlock2D", "AttnDownBlock2D", "AttnDownBlock2D"],
        "mid_block_type": "UNetMidBlock2D",
        "up_block_types": ["AttnUpBlock2D", "AttnUpBlock2D", "AttnUpBlock2D", "UpBlock2D"],
        "block_out_channels": [224, 448, 672, 896], "layers_per_block": 2, "mid_block_scale_factor": 1,
        "downsample_padding": 1, "downsample_type": "conv", "upsample_type": "conv", "dropout": 0.0, "act_fn": "silu",
        "attention_head_dim": 8, "norm_num_groups": 32, "attn_norm_num_groups": None, "norm_eps": 1e-5,
        "resnet_time_scale_shift": "default", "add_attention": True, "class_embed_type": None,
        "num_class_embeds": None, "num_train_timesteps": None,
    },
    "DiTTransformer2DModel": {
        "num_attention_heads": 16, "attention_head_dim": 72, "in_channels": 4, "out_channels": None, "num_layers": 28,
        "dropout": 0.0, "norm_num_groups": 32, "attention_bias": True, "sample_size": 32, "patch_size": 2,
        "activation_fn": "gelu-approximate", "num_embeds_ada_norm": 1000, "upcast_attention": False,
        "norm_type": "ada_norm_zero", "norm_elementwise_affine": False, "norm_eps": 1e-5,
    },
}  # fmt: skip
"""What a config.json need not say, by the class that reads it."""


@networks("diffusers")
class DiffusersOptions(NetworkOptions):
    """A UNet2DModel or a DiTTransformer2DModel of diffusers, with all that its config.json can say.

    Its class embedding has a row for each class, or one more, the last, which then stands for "no class". A learned
    time embedding has a row for each step, and takes the one next to a label between two. What the config does not say
    has the default of diffusers' class. It needs the package diffusers.
    """

    kind: Literal["UNet2DModel", "DiTTransformer2DModel"] = Field("UNet2DModel", description="Its class in diffusers.")
    config: dict[str, Any] = Field(
        default_factory=dict,
        validate_default=True,
        description="Its config.json, a table or its text; the rest has the defaults.",
    )
    unit_interval: bool = Field(
        False, description="It gives the score of pictures in [0, 1]: it is given (x + 1)/2, and its output is halved."
    )

    @field_validator("config", mode="before")
    @classmethod
    def _of_text(cls, config: Any) -> Any:
        if not isinstance(config, str):
            return config
        try:
            return json.loads(config)  # as in TOML, which has no null
        except ValueError as error:
            raise ValueError(f"config must be a table or the text of a JSON object, got {config!r}: {error}") from None

    @field_validator("config")
    @classmethod
    def _whole(cls, config: dict[str, Any], info: ValidationInfo) -> dict[str, Any]:
        kind = info.data.get("kind", "UNet2DModel")
        known = DEFAULTS[kind]
        if strange := next((key for key in config if key not in known), None):
            raise ValueError(f"a {kind} has no option {strange}, got {config[strange]!r}; it has {', '.join(known)}")
        return {**known, **config}

    @model_validator(mode="after")
    def _classes_fit(self) -> "DiffusersOptions":
        how, rows = self.config.get("class_embed_type"), self.rows
        if how not in (None, "timestep"):
            raise ValueError(f"classes must be rows of an embedding or numbers, got class_embed_type = {how!r}")
        if how == "timestep" and self.classes == 0:
            raise ValueError("class_embed_type = 'timestep' has any number of classes: set classes")
        allowed = {self.classes} if how else {0} if not rows else {rows - 1, rows} - {0}
        if self.kind == "DiTTransformer2DModel":
            allowed = {rows - 1}
        if self.classes not in allowed:
            either = " or ".join(map(str, sorted(allowed)))
            raise ValueError(f"classes must be {either}, for the class embedding has {rows} rows, got {self.classes}")
        return self

    @property
    def rows(self) -> int:
        """Rows of the class embedding; 0 without one."""
        return self.rows_of(self.kind, self.config)

    @staticmethod
    def rows_of(kind: str, config: Mapping[str, Any]) -> int:
        """Rows of the class embedding of a network; 0 without one.

        Args:
            kind: Its class in diffusers.
            config: Its whole config.
        """
        if kind == "DiTTransformer2DModel":
            return int(config["num_embeds_ada_norm"]) + 1
        return int(config["num_class_embeds"] or 0) if config["class_embed_type"] is None else 0

    @property
    def null_class(self) -> bool:
        return not self.classes or self.rows > self.classes

    def build(self, shape: tuple[int, ...]) -> nn.Module:
        """The module for images of shape (C, H, W), with fresh weights from torch's global generator.

        Raises:
            UsageError: The config is for other shapes, or diffusers cannot build it.
            ResourceError: The package diffusers is missing.
        """
        picture(shape)
        inputs, outputs = shape[0] + self.extra_channels, shape[0] * (2 if self.learned_variance else 1)
        theirs = (self.config["in_channels"], self.config["out_channels"] or self.config["in_channels"])
        if theirs != (inputs, outputs):
            raise UsageError(f"the config says {theirs[0]} channels in and {theirs[1]} out, not {inputs} and {outputs}")
        _sides(self, shape)
        cls = adapted(self.kind)
        try:
            net = cls(**self.config)
        except (ValueError, TypeError, AttributeError, NotImplementedError, RuntimeError, ZeroDivisionError) as error:
            raise UsageError(f"diffusers cannot build a {self.kind} of this config: {reason(error)}") from None
        for module in net.modules():
            if hasattr(module, "dropout_prob"):  # whether a class is left out is drawn by the training
                module.dropout_prob = 0.0
        net.options = self
        made: nn.Module = net
        return made


def _sides(options: DiffusersOptions, shape: tuple[int, ...]) -> None:
    """Refuses height and width that the network does not take."""
    config, sides = options.config, tuple(shape[1:])
    if options.kind == "UNet2DModel":
        halvable(sides, len(config["block_out_channels"]) - 1)
    elif sides != (config["sample_size"],) * 2:
        raise UsageError(f"this transformer takes {config['sample_size']} pixels a side, and a sample has {sides}")


@functools.cache
def adapted(kind: str) -> Any:
    """A class of diffusers, whose modules are called as net(x, label) or net(x, label, classes), and give a tensor.

    Args:
        kind: Its name.

    Raises:
        ResourceError: The package diffusers is missing.
    """
    base: Any = getattr(library(), kind)

    def forward(net: Any, x: Tensor, label: Tensor, classes: Tensor | None = None) -> Tensor:
        options: DiffusersOptions = net.options
        labelled(label, x)
        classes = classed(classes, x, options.classes, null=options.null_class)
        if options.config.get("time_embedding_type") == "learned":  # a table of whole steps
            label = label.round().long().clamp(0, options.config["num_train_timesteps"] - 1)
        seen = (x + 1) / 2 if options.unit_interval else x
        out: Tensor = base.forward(net, seen, label, class_labels=classes).sample
        return out / 2 if options.unit_interval else out

    return type(kind, (base,), {"forward": forward, "__doc__": base.__doc__})


def library() -> Any:
    """The package diffusers.

    Raises:
        ResourceError: It is missing.
    """
    try:
        return importlib.import_module("diffusers")
    except ImportError:
        raise ResourceError(
            "this needs the package diffusers, which is not installed: pip install 'scoresde[diffusers]'"
        ) from None
