"""Makes guided-diffusion-seeded.safetensors: outputs of further options, by OpenAI's own networks.

    python tests/golden/foreign/make_guided_diffusion.py     # with guided-diffusion-sdk 1.0.0, its code on PyPI

The weights are not in the file: tests/seeded.py makes them from the names of the parameters.
"""

import json
import sys
from pathlib import Path

import torch
from safetensors.torch import save_file

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parent.parent))

from seeded import pictures, seeded  # noqa: E402

COMMON = dict(image_size=8, in_channels=3, model_channels=32, num_res_blocks=1, num_heads=2)
NETWORKS = {
    "new-order": dict(attention_resolutions=[2], channel_mult=[1, 2], num_head_channels=16, out_channels=6,
                      use_new_attention_order=True, use_scale_shift_norm=True, resblock_updown=True, num_classes=3),
    "heads-up": dict(attention_resolutions=[1, 2], channel_mult=[1, 2], num_heads_upsample=4, out_channels=3),
    "half": dict(model_channels=64, attention_resolutions=[2], channel_mult=[0.5, 1, 1], num_heads=1, out_channels=3,
                 num_res_blocks=2, use_scale_shift_norm=True),
}  # fmt: skip
CLASSIFIERS = {
    "attention": dict(attention_resolutions=[2], channel_mult=[1, 2], num_head_channels=16, out_channels=5,
                      use_scale_shift_norm=True, resblock_updown=True, pool="attention"),
    "adaptive": dict(attention_resolutions=[1], channel_mult=[1, 2], num_head_channels=32, out_channels=5,
                     pool="adaptive"),
}  # fmt: skip


def cases(table):
    """The options of each network, with those that all have."""
    return {name: {**COMMON, **options} for name, options in table.items()}


def outputs():
    from guided_diffusion.unet import EncoderUNetModel, UNetModel

    found, label = {}, torch.tensor([3.0, 721.5])
    for kind, table in [(UNetModel, cases(NETWORKS)), (EncoderUNetModel, cases(CLASSIFIERS))]:
        for name, options in table.items():
            classes = (torch.tensor([2, 0]),) if "num_classes" in options else ()
            found[name] = seeded(kind(**options))(pictures(2, 3, 8, 8), label, *classes)
    return found


if __name__ == "__main__":
    tensors = {name: tensor.contiguous() for name, tensor in outputs().items()}
    options = {"networks": json.dumps(cases(NETWORKS)), "classifiers": json.dumps(cases(CLASSIFIERS))}
    save_file(tensors, HERE / "guided-diffusion-seeded.safetensors", metadata=options)
