"""The flags of guided-diffusion and improved-diffusion: those of the published networks, and what they say."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from pydantic import Field, PositiveInt, field_validator

from ...core.errors import UsageError
from ...core.options import Options, hint
from ...networks.guided_diffusion import GuidedDiffusionOptions
from ...sde import DDPM
from .base import Setting

MULTIPLIERS = {512: "0.5/1/1/2/2/4/4", 256: "1/1/2/2/4/4", 128: "1/1/2/3/4", 64: "1/2/3/4", 32: "1/2/2/2"}
"""Of the channels of each level, by the size of the images, where channel_mult is empty."""
IDLE = ("dropout", "use_checkpoint", "use_fp16", "use_kl", "rescale_learned_sigmas", "sigma_small")
"""What the function of a network does not depend on, or only while it is trained."""
SAMPLING = ("timestep_respacing",)
"""What says how a network is sampled."""
ADM = {
    "attention_resolutions": "32,16,8", "class_cond": True, "diffusion_steps": 1000, "learn_sigma": True,
    "noise_schedule": "linear", "num_channels": 256, "num_head_channels": 64, "num_res_blocks": 2,
    "resblock_updown": True, "use_scale_shift_norm": True,
}  # fmt: skip
LSUN = {**ADM, "class_cond": False, "image_size": 256}
IDDPM = {
    "image_size": 64, "num_channels": 128, "num_res_blocks": 3, "num_heads": 4, "learn_sigma": True,
    "diffusion_steps": 4000, "noise_schedule": "cosine", "rescale_timesteps": True,
}  # fmt: skip
BEDROOM = {
    **IDDPM, "image_size": 256, "num_res_blocks": 2, "num_heads": 1, "use_scale_shift_norm": False,
    "attention_resolutions": "16", "diffusion_steps": 1000, "noise_schedule": "linear", "rescale_timesteps": False,
}  # fmt: skip
PUBLISHED: dict[str, dict[str, Any]] = {
    "64x64_diffusion": {
        **ADM, "image_size": 64, "noise_schedule": "cosine", "num_channels": 192, "num_res_blocks": 3,
        "use_new_attention_order": True,
    },
    "128x128_diffusion": {**ADM, "image_size": 128, "num_heads": 4, "num_head_channels": -1},
    "256x256_diffusion": {**ADM, "image_size": 256},
    "256x256_diffusion_uncond": LSUN,
    "512x512_diffusion": {**ADM, "image_size": 512},
    "lsun_bedroom": LSUN,
    "lsun_cat": LSUN,
    "lsun_horse": LSUN,
    "lsun_horse_nodropout": LSUN,
    "cifar10_uncond_50M_500K": {**IDDPM, "image_size": 32},
    "cifar10_uncond_vlb_50M_500K": {**IDDPM, "image_size": 32},
    "imagenet64_uncond_100M_1500K": IDDPM,
    "imagenet64_uncond_vlb_100M_1500K": IDDPM,
    "imagenet64_cond_270M_250K": {**IDDPM, "num_channels": 192, "class_cond": True, "rescale_timesteps": False},
    "lsun_uncond_100M_1200K_bs128": BEDROOM,
    "lsun_uncond_100M_2400K_bs64": BEDROOM,
}  # fmt: skip
"""The flags of the published networks that do not have their default, by the names of their files."""


class Flags(Options):
    """The flags of a network, by the original's names. None stands for one that is not given."""

    image_size: PositiveInt | None = Field(None, description="Side of the images.")
    num_channels: PositiveInt | None = Field(None, description="Flag of the original code: channels; by default 128.")
    num_res_blocks: PositiveInt | None = Field(None, description="Flag: residual blocks per level; by default 2.")
    num_heads: PositiveInt | None = Field(None, description="Flag: heads of self-attention.")
    num_heads_upsample: int | None = Field(None, description="Flag: heads in the decoder; by default num_heads.")
    num_head_channels: int | None = Field(None, description="Flag: channels per head; -1 to use num_heads.")
    attention_resolutions: str | None = Field(None, description="Flag: levels with self-attention; by default 16/8.")
    channel_mult: str | None = Field(
        None, description="Flag: widths of the levels; by default those for the image size."
    )
    class_cond: bool | None = Field(None, description="Flag: class-conditional; by default false.")
    num_classes: PositiveInt | None = Field(None, description="Number of classes, with class_cond; by default 1000.")
    learn_sigma: bool | None = Field(None, description="Flag: learned variance; by default false.")
    use_scale_shift_norm: bool | None = Field(
        None, description="Flag: scale and shift by the time embedding; by default true."
    )
    resblock_updown: bool | None = Field(None, description="Flag: resampling by residual blocks; by default false.")
    use_new_attention_order: bool | None = Field(None, description="Flag: order of the heads; by default false.")
    diffusion_steps: PositiveInt | None = Field(None, description="Flag: length of the chain.")
    noise_schedule: Literal["linear", "cosine"] | None = Field(None, description="Flag: schedule of the chain.")
    rescale_timesteps: bool | None = Field(None, description="Flag: time input up to 1000 for every number of steps.")
    predict_xstart: bool | None = Field(None, description="Flag: prediction of x0; by default false.")

    @field_validator("attention_resolutions", "channel_mult")
    @classmethod
    def _slashed(cls, text: str | None) -> str | None:
        numbers(text or "")
        return None if text is None else text.replace(",", "/")


def numbers(text: str) -> list[float]:
    """The numbers in a text such as 32/16/8 or 32,16,8; none in an empty one.

    Args:
        text: The text.

    Raises:
        UsageError: It is none of positive numbers.
    """
    parts = text.replace(",", "/").split("/") if text else []
    if not all(part.replace(".", "", 1).isdigit() and float(part) for part in parts):
        raise UsageError(f"a list of numbers is written as 32/16/8 or 32,16,8, got {text!r}")
    return [float(part) for part in parts]


def read_flags(text: str) -> tuple[Flags, dict[str, Any]]:
    """Flags by the name of a published network or from a file, and those of them that are about sampling.

    Args:
        text: Its name, such as "256x256_diffusion_uncond", or the path of a JSON file.

    Raises:
        UsageError: There is no such name or file, or it has a flag or value that is not covered.
    """
    if text in PUBLISHED:
        return Flags(**PUBLISHED[text]), {}
    try:
        found = json.loads(Path(text).read_bytes())
    except FileNotFoundError:
        raise UsageError(f"flags is a JSON file or a name, and {text!r} is neither. {hint(text, PUBLISHED)}") from None
    except (OSError, ValueError) as error:
        raise UsageError(f"the flags {text} are unreadable: {error}") from None
    if not isinstance(found, Mapping):
        raise UsageError(f"the flags {text} must be one table of flags and their values")
    known = {key: value for key, value in found.items() if key not in IDLE + SAMPLING and not key.startswith("_")}
    if unknown := sorted(known.keys() - Flags.model_fields.keys()):
        raise UsageError(f"the flag {unknown[0]} = {known[unknown[0]]!r} is not covered")
    return Flags(**known), {key: found[key] for key in SAMPLING if key in found}


def setting(flags: Flags, source: Path) -> Setting[GuidedDiffusionOptions]:
    """The network, process, label and prediction that flags say.

    Args:
        flags: The flags.
        source: The checkpoint, for messages.

    Raises:
        UsageError: A flag is missing that the weights do not show and that has no usual value, or is not covered.
    """
    steps, size = flags.diffusion_steps, flags.image_size
    missing = [name for name in ("image_size", "diffusion_steps", "noise_schedule") if getattr(flags, name) is None]
    missing += ["num_heads or num_head_channels"] * (flags.num_heads is None and flags.num_head_channels is None)
    missing += ["rescale_timesteps"] * (steps not in (None, 1000) and flags.rescale_timesteps is None)
    if missing or size is None or steps is None:
        raise UsageError(
            f"{source} does not say its flags: give flags, a JSON file or one of {', '.join(PUBLISHED)}; or give "
            f"{', '.join(missing)}"
        )
    if not (multipliers := flags.channel_mult or MULTIPLIERS.get(size)):
        raise UsageError(f"images of {size} pixels have no usual widths: give channel_mult, such as 1/2/2/2")
    widths, factors = tuple(numbers(multipliers)), {size // n for n in numbers(flags.attention_resolutions or "16/8")}
    network = GuidedDiffusionOptions(
        channels=flags.num_channels or 128,
        multipliers=widths,
        blocks=flags.num_res_blocks or 2,
        # The original attends where the size has been divided by one of these factors.
        attention=tuple(size // 2**level for level in range(len(widths)) if 2**level in factors),
        heads=flags.num_heads or 4,
        heads_up=_positive(flags.num_heads_upsample),
        head_channels=_positive(flags.num_head_channels),
        order="new" if flags.use_new_attention_order else "legacy",
        scale_shift=flags.use_scale_shift_norm is not False,
        resample_blocks=bool(flags.resblock_updown),
        classes=(flags.num_classes or 1000) if flags.class_cond else 0,
        learned_variance=bool(flags.learn_sigma),
    )
    sde = DDPM(steps=steps, schedule="cosine" if flags.noise_schedule == "cosine" else "linear")
    label = f"step:scale={1000 / steps!r}" if flags.rescale_timesteps and steps != 1000 else "step"
    return Setting(network, (3, size, size), sde, label, "x0" if flags.predict_xstart else "eps")


def _positive(value: int | None) -> int | None:
    """A number, or None for the original's -1."""
    return None if value in (None, -1) else value
