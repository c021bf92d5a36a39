"""A configuration adapted to the number of its images."""

import logging
from dataclasses import replace

from .config import Config


def adapted(config: Config, count: int, world: int) -> Config:
    """The configuration with a batch that the images fill and a warm-up that the run reaches the end of.

    Each change is a warning, and so is a network that never sees what is drawn from it. What cannot be mended so is
    left for `loop.check`.

    Args:
        config: The configuration.
        count: Training images that there are.
        world: Processes that share a batch.
    """
    options, changed, log = config.train, dict[str, int](), logging.getLogger("scoresde")
    parts = options.accumulate * world
    if options.batch > count >= parts:
        batch = parts
        while 2 * batch <= count:
            batch *= 2
        log.warning("train.batch is %d instead of %d, for there are %d training images", batch, options.batch, count)
        changed["batch"] = batch
    if options.warmup > options.images:
        warmup = options.images // 10
        log.warning(
            "train.warmup is %d instead of %d, for the run is %d images long", warmup, options.warmup, options.images
        )
        changed["warmup"] = warmup
    if config.network.classes and not options.label_dropout:
        log.warning(
            "with train.label_dropout = 0 the network never sees an item without its class: samples without one, as in "
            "the overviews of the training, mean nothing, and guidance has nothing to go by"
        )
    return replace(config, train=options.model_copy(update=changed)) if changed else config
