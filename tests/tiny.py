"""A model folder that costs next to nothing, for tests of what any network would do."""

import torch

from scoresde import checkpoint
from scoresde.model import NetworkModel
from scoresde.networks import networks
from scoresde.random import seed_global
from scoresde.sde import VPSDE


def tiny_model(folder, channels=1, predicts="eps", classes=0):
    """A model folder with a network of 2,801 random weights for images of 8x8, for what any network would do."""
    seed_global(0)
    options = networks["unet"](channels=4, multipliers=[1], blocks=1, attention=[], group_channels=4, classes=classes)
    net = options.build((channels, 8, 8))
    for parameter in net.parameters():
        if not parameter.any():  # the last layer begins at zero
            torch.nn.init.normal_(parameter, std=0.005)
    model = NetworkModel(net, VPSDE(), (channels, 8, 8), predicts=predicts, classes=classes)
    described = checkpoint.describe_model(model, options, 999.0)
    checkpoint.save(model, folder, {**described, "recipe": {"data": {"name": "digits"}}})
    return str(folder)
