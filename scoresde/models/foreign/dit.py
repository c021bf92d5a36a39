"""Checkpoints of DiT."""

from pathlib import Path

from ...sde.chain import DDPM
from .base import Imported, Setting, families, model_of
from .sit import Transformers


@families("dit")
class DiTFamily(Transformers):
    """`DiT-XL-2-256x256.pt`, or `0000003.pt` of DiT's train.py: noise and variance on the linear chain of 1,000 steps.

    Its weights have the names of SiT's, so it is never taken for granted: name the family.

    Reference: Peebles and Xie 2022, https://arxiv.org/abs/2212.09748.
    """

    @classmethod
    def claims(cls, source: Path) -> bool:
        return False

    def read(self, source: Path) -> Imported:
        weights, args = self.stored(source)
        options, shape = self.network(weights, source, args)
        own = options.model_copy(update={"learn_sigma": False, "learned_variance": options.learn_sigma})
        model = model_of(Setting(own, shape, DDPM(), "step", "eps"), weights, source, self.coder(shape))
        notes = {
            "weights": self.weights,
            "num_heads": own.num_heads,
            "no_class": f"class {own.classes}" if own.null_row else "was not trained",
            "sampling": "the original guides the first three of four channels alone",
            "licence": "the released weights of DiT are under CC BY-NC 4.0: not for commercial use",
            **self.latents,
        }
        return Imported(model, notes)
