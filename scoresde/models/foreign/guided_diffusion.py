"""Checkpoints of guided-diffusion and improved-diffusion."""

from pathlib import Path

from pydantic import Field
from torch import Tensor

from ...core.errors import UsageError
from .base import Family, Imported, families, model_of
from .glance import mentions
from .guided_diffusion_flags import Flags, read_flags, setting
from .weights import read_weights


@families("guided-diffusion")
class GuidedDiffusion(Flags, Family):
    """`ema_RATE_N.pt` of guided-diffusion and improved-diffusion (ADM), and the published files of both.

    The file holds weights alone: the averages are files of their own, and the options are the flags that it was trained
    with. A flag that is given beside `flags` counts more. Upsamplers are not covered.

    References: Nichol and Dhariwal 2021, https://github.com/openai/improved-diffusion; Dhariwal and Nichol 2021,
    https://github.com/openai/guided-diffusion.
    """

    flags: str | None = Field(
        None, description="Its flags: the name of a published file such as 256x256_diffusion_uncond, or a JSON file."
    )

    @classmethod
    def claims(cls, source: Path) -> bool:
        own = ("time_embed.0.weight", "input_blocks.0.0.weight", "middle_block.0.in_layers.0.weight", "out.2.weight")
        # Other projects keep the same network inside a larger model.
        return mentions(source, *own, "output_blocks.0.0.") and not mentions(source, ".output_blocks.")

    def read(self, source: Path) -> Imported:
        said, sampling = (Flags(), {}) if self.flags is None else read_flags(self.flags)
        own = {name: getattr(self, name) for name in Flags.model_fields if getattr(self, name) is not None}
        flags = Flags(**{**said.model_dump(exclude_none=True), **own})
        found, tensors = setting(flags, source), read_weights(source)
        first = tensors.get("input_blocks.0.0.weight")
        if isinstance(first, Tensor) and first.shape[1:2] == (6,):
            raise UsageError(f"{source} is an upsampler, which is given a smaller image with x: it is not covered")
        model = model_of(found, tensors, source)
        notes = {
            "flags": flags.model_dump(exclude_none=True),
            "weights": "those of the file; averages are files of their own, named ema",
            "sampling": {
                "clip_denoised": "x_0 is clipped to [-1, 1] at each step, and the noise recomputed",
                **sampling,
            },
        }
        return Imported(model, notes)
