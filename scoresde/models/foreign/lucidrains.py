"""Milestones of denoising-diffusion-pytorch."""

from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, Literal

import torch
from pydantic import Field, PositiveInt
from torch import Tensor

from ...core.errors import CheckpointError, UsageError
from ...networks.lucidrains import LucidrainsOptions
from ...sde import SDE
from ...sde.chain import DDPM
from ...sde.given_chain import GivenChain
from .base import Family, Imported, Setting, families, model_of
from .glance import mentions
from .weights import read_weights

Objective = Literal["pred_noise", "pred_x0", "pred_v"]
PREDICTS = {"pred_noise": "eps", "pred_x0": "x0", "pred_v": "v"}


@families("lucidrains")
class Lucidrains(Family):
    """`model-N.pt`, as the Trainer of denoising-diffusion-pytorch from version 2 on writes it.

    The file says the network by the shapes of its weights, the chain, and by the weights of its loss the objective. It
    does not say the size of the images. They are taken to be in [-1, 1], as with `auto_normalize`, its default.

    Reference: https://github.com/lucidrains/denoising-diffusion-pytorch.
    """

    image_size: PositiveInt | None = Field(None, description="Side of the images, in pixels.")
    objective: Objective | None = Field(
        None, description="What the network predicts; by default read from the weights of the loss."
    )
    weights: Literal["averages", "raw"] = Field("averages", description="Averaged weights, or the last ones.")
    channels: PositiveInt | None = Field(None, description="Channels of the images; by default those of the network.")
    theta: float = Field(10_000.0, gt=1, description="The option sinusoidal_pos_emb_theta of the Unet.")

    @classmethod
    def claims(cls, source: Path) -> bool:
        return mentions(source, "alphas_cumprod", "model.init_conv.weight", "model.time_mlp.1.weight", "mem_kv")

    def read(self, source: Path) -> Imported:
        found = read_weights(source)
        if self.image_size is None:
            raise UsageError(f"{source} does not say the size of its images: give image_size, such as --image-size 64")
        diffusion = buffers_of(found.get("model"), source)
        part, prefix = ("ema", "ema_model.model.") if self.weights == "averages" else ("model", "model.")
        whole: Any = found.get(part)
        whole = whole if isinstance(whole, Mapping) else {}
        stored = {str(k).removeprefix(prefix): v for k, v in whole.items() if str(k).startswith(prefix)}
        if "init_conv.weight" not in stored:
            raise CheckpointError(f"{source} has no {self.weights}, entries {prefix}* of {part}: choose other weights")
        network, channels = self.network(stored, source)
        shape = (channels, self.image_size, self.image_size)
        # With a learned variance the original trains the first half on the noise, whatever its objective says.
        objective = "pred_noise" if network.learned_variance else self._objective(diffusion, source)
        model = model_of(Setting(network, shape, process(diffusion), "step", PREDICTS[objective]), stored, source)
        notes = {
            "weights": self.weights,
            "step": found.get("step"),
            "version": found.get("version"),
            "objective": objective,
            "assumed": {"auto_normalize": True, "sinusoidal_pos_emb_theta": self.theta},
            "sampling": "the original clips x_0 to [-1, 1] at each step and recomputes the noise from it",
            **(
                {"self_condition": "given zeros, as in the first step of the original"}
                if network.self_condition
                else {}
            ),
        }
        return Imported(model, notes)

    def network(self, weights: Mapping[str, Tensor], source: Path) -> tuple[LucidrainsOptions, int]:
        """The options of the Unet, and the channels of its images, by the shapes of its weights.

        Args:
            weights: Its weights by name.
            source: Where they are from, for messages.

        Raises:
            UsageError: The network is of another version or kind, or its channels are not clear.
            CheckpointError: Weights are missing.
        """
        if "downs.0.0.block1.norm.g" not in weights or "time_mlp.0.weights" in weights:
            raise UsageError(f"{source} is of a version before 2, or of another Unet, which is not covered")
        try:
            inputs, outputs = weights["init_conv.weight"].shape[1], len(weights["final_conv.weight"])
            dim, first = len(weights["time_mlp.1.weight"]) // 4, len(weights["init_conv.weight"])
            levels = range(sum(name.endswith(".2.mem_kv") and name.startswith("downs.") for name in weights))
            out = [len(weights.get(f"downs.{i}.3.1.weight", weights.get(f"downs.{i}.3.weight", ()))) for i in levels]
            full = tuple(f"downs.{i}.2.to_out.weight" in weights for i in levels)
            memories = [tuple(weights[f"downs.{i}.2.mem_kv"].shape) for i in levels]
            heads = tuple(shape[1] for shape in memories)
            widths = tuple(shape[3 if whole else 2] for shape, whole in zip(memories, full, strict=True))
            multiples = tuple(width // dim for width in out if width % dim == 0)
        except (KeyError, TypeError, AttributeError, IndexError, ZeroDivisionError) as error:
            raise CheckpointError(f"{source} lacks weights of the Unet: {error}") from None
        if self.channels is None and inputs == outputs and inputs in (2, 6):
            raise UsageError(
                f"{source} has a network from {inputs} to {outputs} channels, which may be self-conditioned with a "
                f"learned variance: give channels, {inputs} or {inputs // 2}"
            )
        channels = self.channels or min(inputs, outputs)
        if inputs not in (channels, 2 * channels) or outputs not in (channels, 2 * channels):
            raise UsageError(f"{source} has a network from {inputs} to {outputs} channels, which {channels} do not fit")
        if len(multiples) < len(out):
            raise UsageError(f"{source} has levels of {out} channels, which are not multiples of its dim, {dim}")
        options = LucidrainsOptions(
            dim=dim,
            init_dim=None if first == dim else first,
            dim_mults=multiples,
            attn_heads=heads,
            attn_dim_head=widths,
            full_attn=full,
            self_condition=inputs > channels,
            learned_variance=outputs > channels,
            theta=self.theta,
        )
        return options, channels

    def _objective(self, diffusion: Mapping[str, Tensor], source: Path) -> str:
        said = objective_of(diffusion)
        if said is None and self.objective is None:
            raise UsageError(
                f"{source} does not say what its network predicts: give objective, {' or '.join(PREDICTS)}"
            )
        if said is not None and self.objective not in (None, said):
            raise UsageError(f"the weights of the loss in {source} are those of {said}, not of {self.objective}")
        return said or str(self.objective)


def buffers_of(diffusion: Any, source: Path) -> Mapping[str, Any]:
    """What a file holds of its GaussianDiffusion, with the two buffers that say the chain.

    Args:
        diffusion: Its entry model.
        source: The file, for messages.

    Raises:
        CheckpointError: The chain is missing or damaged.
    """
    names = ("alphas_cumprod", "sqrt_one_minus_alphas_cumprod")
    parts: list[Any] = [diffusion.get(name) for name in names] if isinstance(diffusion, Mapping) else []
    if not parts or not all(isinstance(part, Tensor) and part.ndim == 1 and len(part) > 1 for part in parts):
        raise CheckpointError(f"{source} has no {' and '.join(names)}: only GaussianDiffusion, on a chain, can be read")
    if parts[0].shape != parts[1].shape:
        raise CheckpointError(f"{source} has a chain of {len(parts[0])} levels with the noise of {len(parts[1])}")
    return dict(diffusion)


def objective_of(diffusion: Mapping[str, Any]) -> str | None:
    """The objective by its weights of the loss, m/s, m and m/(s + 1) for a signal-to-noise ratio s and m = min(s, γ).

    γ is that of `min_snr_loss_weight`, or infinite. No two of the three can be confused.

    Args:
        diffusion: The buffers of GaussianDiffusion.
    """
    weight, alphas_cumprod = diffusion.get("loss_weight"), levels(diffusion)
    if not isinstance(weight, Tensor) or weight.shape != alphas_cumprod.shape:
        return None
    ratio = alphas_cumprod / (1 - alphas_cumprod)
    limits = {"pred_noise": weight * ratio, "pred_x0": weight.double(), "pred_v": weight * (ratio + 1)}
    fitting = [name for name, m in limits.items() if torch.allclose(m, ratio.clamp_max(m.max()), rtol=1e-4, atol=0)]
    return fitting[0] if len(fitting) == 1 else None


def levels(diffusion: Mapping[str, Tensor]) -> Tensor:
    """ᾱ of the chain, (N,), float64: from whichever of the float32 buffers ᾱ and √(1 - ᾱ) has more digits of it.

    Args:
        diffusion: The buffers of GaussianDiffusion.
    """
    alphas_cumprod = diffusion["alphas_cumprod"].double()
    noise = diffusion["sqrt_one_minus_alphas_cumprod"].double()
    return torch.where(alphas_cumprod > 0.5, 1 - noise.square(), alphas_cumprod)


def process(diffusion: Mapping[str, Tensor]) -> SDE:
    """The chain: `ddpm` where its formula gives the levels, else the levels themselves.

    Args:
        diffusion: The buffers of GaussianDiffusion.
    """
    given = levels(diffusion)
    for schedule in ("linear", "cosine"):
        with suppress(UsageError):
            chain = DDPM(steps=len(given), schedule=schedule)
            if torch.allclose(torch.logit(chain.alphas_cumprod), torch.logit(given), rtol=0, atol=1e-5):
                return chain
    return GivenChain(alphas_cumprod=tuple(given.tolist()))
