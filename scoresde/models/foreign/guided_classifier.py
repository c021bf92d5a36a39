"""Classifiers of noisy images of guided-diffusion, for guidance."""

from pathlib import Path
from typing import Any

from ...core.errors import UsageError
from ...core.options import hint
from ...core.random import undisturbed
from ...networks.guided_classifier import ClassifierOptions, GuidedClassifier
from .guided_diffusion_flags import MULTIPLIERS, numbers
from .weights import fill, read_weights

PUBLISHED: dict[str, dict[str, Any]] = {
    "64x64_classifier": {"image_size": 64, "classifier_depth": 4},
    "128x128_classifier": {"image_size": 128},
    "256x256_classifier": {"image_size": 256},
    "512x512_classifier": {"image_size": 512},
}
"""Flags of the published classifiers that do not have their default, by the names of their files."""
DEFAULTS = {
    "classifier_width": 128, "classifier_depth": 2, "classifier_attention_resolutions": "32,16,8",
    "classifier_use_scale_shift_norm": True, "classifier_resblock_updown": True, "classifier_pool": "attention",
    "num_classes": 1000,
}  # fmt: skip


def read_classifier(source: Path, name: str = "", **flags: Any) -> GuidedClassifier:
    """The classifier in a checkpoint of guided-diffusion, called as classifier(x, label) -> logits (B, K).

    Its label is the step of the chain, that of the diffusion network beside it; `ClassifierGuidedModel` is given
    label="step", which is its default on a chain.

    Args:
        source: The file, such as 256x256_classifier.pt.
        name: Name of a published one, such as "256x256_classifier", whose flags it has.
        flags: Flags of the original that are others: image_size, classifier_width, classifier_depth,
            classifier_attention_resolutions, classifier_use_scale_shift_norm, classifier_resblock_updown,
            classifier_pool; and num_classes, 1000 if it is not given.

    Raises:
        UsageError: There is no such name or flag, the size of the images is not said, or an option is not covered.
        CheckpointError: The file is damaged, or its weights are those of another network.

    Reference: Dhariwal and Nichol 2021, https://github.com/openai/guided-diffusion.
    """
    if name and name not in PUBLISHED:
        raise UsageError(f"no classifier is called {name!r}. {hint(name, PUBLISHED)}")
    own = {**DEFAULTS, **PUBLISHED.get(name, {}), **flags}
    size = own.pop("image_size", None)
    if unknown := sorted(own.keys() - DEFAULTS.keys()):
        raise UsageError(f"{unknown[0]} is not a flag of a classifier. {hint(unknown[0], ['image_size', *DEFAULTS])}")
    if size not in MULTIPLIERS:
        raise UsageError(f"image_size must be one of {', '.join(map(str, sorted(MULTIPLIERS)))}, got {size}")
    multipliers = tuple(numbers(MULTIPLIERS[size]))
    factors = {size // n for n in numbers(str(own["classifier_attention_resolutions"]))}
    options = ClassifierOptions(
        classes=own["num_classes"],
        channels=own["classifier_width"],
        multipliers=multipliers,
        blocks=own["classifier_depth"],
        attention=tuple(size // 2**level for level in range(len(multipliers)) if 2**level in factors),
        scale_shift=own["classifier_use_scale_shift_norm"],
        resample_blocks=own["classifier_resblock_updown"],
        pool=own["classifier_pool"],
    )
    with undisturbed():  # the fresh weights are drawn and written over
        net = options.build((3, size, size))
    fill(net, read_weights(source), source)
    return net.eval().requires_grad_(False)
