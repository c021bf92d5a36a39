"""Our U-Net and diffusers' UNet2DModel: which options of the one are which of the other, both ways."""

import math
from collections.abc import Mapping
from typing import Any

import torch
from torch import nn

from ..core.errors import UsageError
from .diffusers import DEFAULTS, DiffusersOptions
from .unet import UNetOptions

SAME: Mapping[str, Any] = {
    "center_input_sample": False,
    "time_embedding_type": "positional",
    "freq_shift": 1,
    "flip_sin_to_cos": False,
    "mid_block_type": "UNetMidBlock2D",
    "mid_block_scale_factor": 1,
    "downsample_padding": 0,
    "downsample_type": "conv",
    "upsample_type": "conv",
    "act_fn": "silu",
    "norm_eps": 1e-6,
    "add_attention": True,
    "class_embed_type": None,
    "num_train_timesteps": None,
}
"""Options of a UNet2DModel for which our U-Net has this value alone."""
FIXED = {"stem": "conv", "stem_kernel": 3, "bottleneck": "same", "resampling": "conv", "skip_scale": 1.0}
"""Options of our U-Net for which a UNet2DModel has this value alone."""


def native(options: DiffusersOptions, shape: tuple[int, ...]) -> UNetOptions | None:
    """The options of our U-Net that has the same parameters and computes the same, or None if there are none.

    Args:
        options: A network of diffusers.
        shape: Shape of one sample, (C, H, W).
    """
    config, null = options.config, options.rows == options.classes + 1
    if options.kind != "UNet2DModel" or options.unit_interval or (options.classes and not null):
        return None
    widths = list(config["block_out_channels"])
    attends = [kind == "AttnDownBlock2D" for kind in config["down_block_types"]]
    wide = {width for width, at in zip(widths, attends, strict=False) if at} | {widths[-1]}
    try:
        ours = UNetOptions(
            channels=math.gcd(*widths),
            multipliers=tuple(width // math.gcd(*widths) for width in widths),
            blocks=config["layers_per_block"],
            attention=tuple(side for side, at in zip(_heights(shape, widths), attends, strict=False) if at),
            heads=max(wide) // (config["attention_head_dim"] or max(wide)),
            scale_shift=config["resnet_time_scale_shift"] == "scale_shift",
            dropout=config["dropout"],
            groups=config["norm_num_groups"],
            classes=options.classes,
            extra_channels=options.extra_channels,
            learned_variance=options.learned_variance,
        )
        same = configured(ours, shape)
    except UsageError:
        return None
    # What goes there and comes back must be what was there, each of its options.
    resolved = {**config, "sample_size": same["sample_size"]}
    resolved["time_embedding_dim"] = config["time_embedding_dim"] or 4 * widths[0]
    resolved["act_fn"] = "silu" if config["act_fn"] == "swish" else config["act_fn"]
    if config["attn_norm_num_groups"] is None and config["resnet_time_scale_shift"] == "default":
        resolved["attn_norm_num_groups"] = config["norm_num_groups"]
    if wide == {config["attention_head_dim"]}:
        resolved["attention_head_dim"] = None
    resolved = {key: list(value) if isinstance(value, tuple) else value for key, value in resolved.items()}
    return ours if resolved == {**same, "time_embedding_dim": 4 * widths[0]} else None


def configured(options: UNetOptions, shape: tuple[int, ...]) -> dict[str, Any]:
    """The config.json of the UNet2DModel that has the same parameters and computes the same.

    Args:
        options: Our U-Net.
        shape: Shape of one sample, (C, H, W).

    Raises:
        UsageError: There is none; the sentence names the option.
    """
    if len(shape) != 3:
        raise UsageError(f"diffusers' UNet2DModel is of images (C, H, W), and these samples have the shape {shape}")
    widths, groups = list(options.widths), _one_number_of_groups(options, shape)
    heights = _heights(shape, widths)
    for option, wanted in FIXED.items():
        if (found := getattr(options, option)) != wanted:
            raise UsageError(
                f"diffusers' UNet2DModel has nothing like {option} = {found}: it needs {option} = {wanted}"
            )
    if any(side % 2 ** (len(widths) - 1) for side in shape[1:]):
        raise UsageError(
            f"diffusers' UNet2DModel takes no sides that {len(widths)} levels cannot halve evenly, got {shape[1:]}"
        )
    attends = [height in options.attention for height in heights]
    heads = {width // options.heads for width, at in zip(widths, attends, strict=True) if at} | {
        widths[-1] // options.heads
    }
    if options.heads > 1 and len(heads) > 1:
        raise UsageError(
            f"diffusers' UNet2DModel has one width of attention heads, and {options.heads} heads make {sorted(heads)}: "
            "it needs heads = 1, or attention at levels of one width"
        )
    classes = {"num_class_embeds": options.classes + 1 if options.classes else None}
    return {
        **DEFAULTS["UNet2DModel"],
        **SAME,
        **classes,
        "sample_size": shape[1] if shape[1] == shape[2] else list(shape[1:]),
        "in_channels": shape[0] + options.extra_channels,
        "out_channels": shape[0] * (2 if options.learned_variance else 1),
        "down_block_types": ["AttnDownBlock2D" if at else "DownBlock2D" for at in attends],
        "up_block_types": ["AttnUpBlock2D" if at else "UpBlock2D" for at in reversed(attends)],
        "block_out_channels": widths,
        "layers_per_block": options.blocks,
        "dropout": options.dropout,
        "attention_head_dim": heads.pop() if options.heads > 1 else None,
        "norm_num_groups": groups,
        "attn_norm_num_groups": groups,
        "resnet_time_scale_shift": "scale_shift" if options.scale_shift else "default",
    }


def _heights(shape: tuple[int, ...], widths: list[int]) -> list[int]:
    return [-(-shape[1] // 2**level) for level in range(len(widths))]


def _one_number_of_groups(options: UNetOptions, shape: tuple[int, ...]) -> int:
    with torch.device("meta"):
        norms = [m for m in options.build(shape).modules() if isinstance(m, nn.GroupNorm)]
    found = sorted({norm.num_groups for norm in norms})
    if len(found) > 1:
        raise UsageError(
            f"diffusers' UNet2DModel has one number of groups for all normalisations, and group_channels = "
            f"{options.group_channels} makes {found}: train a network without group_channels"
        )
    return found[0]
