"""Models of latents that cost next to nothing: squares of pixels are the channels of a latent, which is exact."""

import torch
from torch import nn
from torch.nn.functional import pixel_shuffle, pixel_unshuffle

from scoresde import models
from scoresde.core.random import seed_global
from scoresde.models.autoencoders import Autoencoder, AutoencoderOptions, Coder, autoencoders
from scoresde.models.network import NetworkModel
from scoresde.networks import networks
from scoresde.sde import VPSDE


@autoencoders("folded")
class Folded(AutoencoderOptions):
    """Squares of 2x2 pixels, times a gain."""

    std: float = 0.1

    def build(self):
        return FoldedCoder(self.std)


class FoldedCoder(Coder):
    def __init__(self, std):
        super().__init__()
        self.gain, self.std = nn.Parameter(torch.ones(())), std

    def encode(self, x):
        mean = self.gain * pixel_unshuffle(x, 2)
        return mean, self.std * torch.ones_like(mean)

    def decode(self, code):
        return pixel_shuffle(code / self.gain, 2)


def folded(shape, gain=1.0, **options):
    """The autoencoder of pictures of a shape."""
    found = Autoencoder(Folded(**options), shape)
    found.coder.gain.fill_(gain)
    return found


def latent_folder(folder, channels=1, classes=0, **options):
    """A model folder with a network of random weights for latents of digits, or of pictures of 8x8 in colours."""
    seed_global(0)
    shape = (4 * channels, 4, 4)
    net = networks["unet"](channels=4, multipliers=[1], blocks=1, attention=[], group_channels=4, classes=classes)
    built = net.build(shape)
    for parameter in built.parameters():
        if not parameter.any():  # the last layer begins at zero
            torch.nn.init.normal_(parameter, std=0.005)
    coder = folded((channels, 8, 8), **{"gain": 1.5, "scale": 0.5, "shift": 0.1, **options})
    model = NetworkModel(built, VPSDE(), shape, classes=classes, options=net, autoencoder=coder)
    models.save(model, folder, {"recipe": {"data": {"name": "digits"}}})
    return str(folder)
