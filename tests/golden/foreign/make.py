"""Makes seeded.safetensors: outputs of further architectures by the packages that define them.

    python tests/golden/foreign/make.py     # with denoising-diffusion-pytorch 2.3.4 and nvidia-physicsnemo 2.2.2

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

LUCIDRAINS = {
    "self-condition": dict(dim=8, init_dim=12, dim_mults=[1, 2, 4], channels=1, self_condition=True,
                           full_attn=[False, True, True], attn_heads=[1, 2, 4], attn_dim_head=[4, 8, 4]),
    "learned-times": dict(dim=8, dim_mults=[1, 3], channels=2, learned_variance=True, learned_sinusoidal_cond=True,
                          learned_sinusoidal_dim=6, full_attn=[True, False], attn_heads=2, attn_dim_head=4),
    "random-times": dict(dim=8, dim_mults=[1, 2], channels=3, random_fourier_features=True, attn_dim_head=4),
    "theta": dict(dim=8, dim_mults=[2, 1, 2, 1], channels=3, sinusoidal_pos_emb_theta=500, attn_dim_head=4),
}  # fmt: skip
EDM = {
    "ddpmpp": dict(model_type="SongUNet", img_resolution=16, img_channels=3, model_channels=8, channel_mult=[1, 2, 2],
                   num_blocks=2, attn_resolutions=[8], augment_dim=9),
    "ncsnpp": dict(model_type="SongUNet", img_resolution=16, img_channels=3, label_dim=4, model_channels=8,
                   channel_mult=[2, 2], num_blocks=1, attn_resolutions=[16], augment_dim=9, embedding_type="fourier",
                   channel_mult_noise=2, encoder_type="residual", resample_filter=[1, 3, 3, 1]),
    "skips": dict(model_type="SongUNet", img_resolution=8, img_channels=1, model_channels=8, channel_mult=[1, 2, 3],
                  channel_mult_emb=2, num_blocks=1, attn_resolutions=[4], encoder_type="skip", decoder_type="skip",
                  resample_filter=[1, 3, 3, 1], sigma_data=0.3),
    "adm": dict(model_type="DhariwalUNet", img_resolution=16, img_channels=3, label_dim=4, model_channels=32,
                channel_mult=[1, 4, 2], num_blocks=1, attn_resolutions=[8], augment_dim=9),
}  # fmt: skip
ATTENTION = {"attn.norm": "norm2", "attn.qkv": "qkv", "attn.proj": "proj"}
"""How physicsnemo renamed what EDM's files hold; its own blocks read both."""


def old(name):
    """The name in a file of EDM of a parameter of physicsnemo's network."""
    for new, before in ATTENTION.items():
        name = name.replace(new, before)
    return name.removeprefix("model.")


def lucidrains(found):
    from denoising_diffusion_pytorch import Unet

    for case, options in LUCIDRAINS.items():
        tuples = {key: tuple(value) if isinstance(value, list) else value for key, value in options.items()}
        net, x = seeded(Unet(**tuples)), pictures(2, options["channels"], 16, 16)
        label = torch.tensor([3.0, 721.0]) if "theta" in case or "self" in case else torch.tensor([0.02, 0.9])
        found |= {f"lucidrains.{case}.label": label, f"lucidrains.{case}.output": net(x, label)}


def edm(found):
    from physicsnemo.diffusion.preconditioners.legacy import EDMPrecond

    for case, options in EDM.items():
        model = EDMPrecond(**options, dropout=0.0)
        buffers = ["model.map_noise.freqs"] if options.get("embedding_type") == "fourier" else []
        # In training mode, which without dropout differs in one thing: there its GroupNorm is torch's, as in EDM, and
        # not a formula of its own that divides variances by n - 1.
        seeded(model, *buffers, rename=old).train()
        sigma, side = torch.tensor([0.02, 0.7, 70.0]), options["img_resolution"]
        x = pictures(3, options["img_channels"], side, side) * (1 + sigma[:, None, None, None])
        none = torch.zeros(3, options.get("label_dim", 0))
        found |= {f"edm.{case}.sigma": sigma, f"edm.{case}.x": x, f"edm.{case}.x0": model(x, sigma, class_labels=none)}
        if none.shape[1]:
            classes = torch.nn.functional.one_hot(torch.tensor([2, 0, 3]), 4).float()
            found[f"edm.{case}.x0_of_classes"] = model(x, sigma, class_labels=classes)


if __name__ == "__main__":
    tensors = {}
    lucidrains(tensors)
    edm(tensors)
    options = {"lucidrains": json.dumps(LUCIDRAINS), "edm": json.dumps(EDM)}
    save_file({name: t.contiguous() for name, t in tensors.items()}, HERE / "seeded.safetensors", metadata=options)
