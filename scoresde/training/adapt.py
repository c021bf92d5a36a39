"""A configuration adapted to the number of its images."""

import logging
from dataclasses import replace

from ..data import Dataset
from ..images.listing import some
from .config import Config


def adapted(config: Config, training: Dataset, world: int) -> Config:
    """The configuration with a batch that the images fill and a warm-up that the run reaches the end of.

    Each change is a warning, and so is a network that never sees what is drawn from it, such as a class without items.
    What cannot be mended so is left for `trainable.check`.

    Args:
        config: The configuration.
        training: The training images.
        world: Processes that share a batch.
    """
    options, changed, log = config.train, dict[str, int](), logging.getLogger("scoresde")
    count, classes = len(training), config.network.classes
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
    if classes and training.labels is not None:
        there, names = {*training.labels.tolist()}, dict(enumerate(training.class_names))
        if absent := [names.get(k, str(k)) for k in range(classes) if k not in there]:
            log.warning(
                "%d of %d classes have no training item (%s): samples of these mean nothing",
                *(len(absent), classes, some(absent)),
            )
    if classes and not options.label_dropout:
        log.warning(
            "with train.label_dropout = 0 the network never sees an item without its class: samples without one, as in "
            "the overviews of the training, mean nothing, and guidance has nothing to go by"
        )
    return replace(config, train=options.model_copy(update=changed)) if changed else config
