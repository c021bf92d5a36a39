"""Networks that predict what a score model needs. One file per architecture; adding a file adds a network."""

from typing import TYPE_CHECKING

from .base import NetworkOptions, networks

if TYPE_CHECKING:  # for editors; at run time a class is imported when it is asked for
    from .basic import BasicOptions as BasicOptions
    from .conv import ConvOptions as ConvOptions
    from .edm_adm import DhariwalOptions as DhariwalOptions
    from .edm_song import SongOptions as SongOptions
    from .given import GivenNetwork as GivenNetwork
    from .guided_diffusion import GuidedDiffusionOptions as GuidedDiffusionOptions
    from .lucidrains import LucidrainsOptions as LucidrainsOptions
    from .mlp import MLPOptions as MLPOptions
    from .ncsnpp import NCSNppOptions as NCSNppOptions
    from .sit import SiTOptions as SiTOptions
    from .unet import UNetOptions as UNetOptions
else:
    __getattr__, __dir__ = networks.members(globals())

__all__ = ["NetworkOptions", "networks"]
