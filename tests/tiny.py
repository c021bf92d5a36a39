"""A model folder that costs next to nothing, for tests of what any network would do."""

import torch

from scoresde import models
from scoresde.core.random import seed_global
from scoresde.models.network import NetworkModel
from scoresde.networks import networks
from scoresde.sde import VPSDE


def tiny_model(folder, channels=1, predicts="eps", classes=0, condition="none", network="unet"):
    """A model folder with a network of 2,801 random weights for images of 8x8, for what any network would do.

    An "mlp" takes a sixth of the time.
    """
    seed_global(0)
    extra = {"none": 0, "colour": channels, "inpaint": channels + 1}[condition]
    small = {
        "unet": {"channels": 4, "multipliers": [1], "blocks": 1, "attention": [], "group_channels": 4},
        "mlp": {"width": 8, "blocks": 1},
    }
    options = networks[network](**small[network], classes=classes, extra_channels=extra)
    net = options.build((channels, 8, 8))
    for parameter in net.parameters():
        if not parameter.any():  # the last layer begins at zero
            torch.nn.init.normal_(parameter, std=0.005)
    shape = (channels, 8, 8)
    model = NetworkModel(net, VPSDE(), shape, predicts=predicts, classes=classes, condition=condition, options=options)
    models.save(model, folder, {"recipe": {"data": {"name": "digits"}}})
    return str(folder)
