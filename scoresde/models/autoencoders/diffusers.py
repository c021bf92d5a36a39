"""Autoencoders of the library diffusers, which build themselves from its config.json."""

import re
from collections.abc import Mapping
from typing import Any, Literal, Self

import torch
from pydantic import Field
from torch import Tensor

from ...core.errors import UsageError, reason
from ...core.random import undisturbed
from ...core.sentences import an
from ...networks.diffusers import library
from ..foreign.weights import fill
from .base import Autoencoder, AutoencoderOptions, Coder, autoencoders

KINDS = ("AutoencoderKL", "VQModel", "AutoencoderTiny")
OLD = {"query": "to_q", "key": "to_k", "value": "to_v", "proj_attn": "to_out.0"}
"""Names in the attention of weights from before 2023, and what they are called since."""


@autoencoders("diffusers")
class DiffusersAutoencoder(AutoencoderOptions):
    """An AutoencoderKL, VQModel or AutoencoderTiny of diffusers. It needs the package diffusers."""

    kind: Literal["AutoencoderKL", "VQModel", "AutoencoderTiny"] = Field(
        "AutoencoderKL", description="Its class in diffusers."
    )
    config: dict[str, Any] = Field(default_factory=dict, description="Its config.json, a table.")

    def build(self) -> "DiffusersCoder":
        try:
            return DiffusersCoder(getattr(library(), self.kind)(**self.config))
        except (ValueError, TypeError, NotImplementedError, RuntimeError, IndexError) as error:
            raise UsageError(f"diffusers cannot build {an(self.kind)} of this config: {reason(error)}") from None

    @classmethod
    def of(cls, config: Mapping[str, Any]) -> Self:
        """The options in a config.json of diffusers, which has the scale and the shift, too.

        Args:
            config: The content of the file.

        Raises:
            UsageError: The class or an option is not covered.
        """
        kind = config.get("_class_name")
        if kind not in KINDS:
            raise UsageError(f"an autoencoder is {', '.join(KINDS[:-1])} or {KINDS[-1]}, and this one is {kind!r}")
        for name in ("latents_mean", "latents_std"):
            if config.get(name) is not None:
                raise UsageError(f"an autoencoder with {name} for each channel is not covered, only with one scale")
        scale = config.get("scaling_factor", 1.0 if kind == "AutoencoderTiny" else 0.18215)
        unread = {"block_out_channels"} if kind == "AutoencoderTiny" else set()  # which it writes down all the same
        own = {key: value for key, value in config.items() if not key.startswith("_") and key not in unread}
        return cls(kind=kind, config=own, scale=scale, shift=config.get("shift_factor") or 0.0)


class DiffusersCoder(Coder):
    """The networks of an autoencoder of diffusers.

    Args:
        net: The autoencoder.
    """

    def __init__(self, net: Any) -> None:
        super().__init__()
        self.net = net

    def encode(self, x: Tensor) -> tuple[Tensor, Tensor | None]:
        found = self.net.encode(x)
        if hasattr(found, "latent_dist"):
            return found.latent_dist.mean, found.latent_dist.std
        return found.latents, None

    def decode(self, code: Tensor) -> Tensor:
        found: Tensor = self.net.decode(code).sample
        return found


def autoencoder_of(
    config: Mapping[str, Any], tensors: Mapping[str, Tensor], shape: tuple[int, ...], where: object
) -> Autoencoder:
    """The autoencoder of a folder `vae` or `vqvae` of diffusers.

    Args:
        config: The content of its config.json.
        tensors: Its weights by name.
        shape: Shape of one sample of the model of its latents, (c, h, w).
        where: Where they are from, for the message.

    Raises:
        UsageError: The class or an option is not covered, or its latents have other channels.
        CheckpointError: The weights do not fit.
    """
    options = DiffusersAutoencoder.of(config)
    with torch.device("meta"):  # shapes alone
        blank = options.build()
    try:
        picture = blank.decode(torch.zeros(1, *shape, device="meta"))
    except RuntimeError:
        raise UsageError(f"{where} does not decode samples of shape {shape}: it belongs to another network") from None
    with undisturbed():  # the fresh weights are drawn and written over
        coder = options.build()
    fill(coder.net, renamed(tensors), where)
    return Autoencoder(options, tuple(picture.shape[1:]), coder)


def renamed(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Weights by the names of today.

    Args:
        tensors: Weights by the names of their time.
    """
    return {re.sub(rf"\.({'|'.join(OLD)})(?=\.)", lambda found: "." + OLD[found[1]], k): v for k, v in tensors.items()}
