"""Weights that both sides of a comparison can make, so that golden data hold no weights."""

import zlib

import torch


@torch.no_grad()
def seeded(net, *buffers, rename=lambda name: name):
    """The network with each parameter drawn from a stream of its name's own, so that a wrong name is a wrong output."""
    named = {**dict(net.named_parameters()), **{name: net.get_buffer(name) for name in buffers}}
    for name, tensor in named.items():
        generator = torch.Generator().manual_seed(zlib.crc32(rename(name).encode()))
        inputs = tensor[0].numel() if tensor.ndim > 1 else 4
        tensor.copy_(torch.randn(tensor.shape, generator=generator) * inputs**-0.5)
    return net.eval().requires_grad_(False)


def pictures(rows, *shape, seed=0):
    """Noise that stands for pictures, (rows, *shape)."""
    return torch.randn(rows, *shape, generator=torch.Generator().manual_seed(seed))
