"""What the columns of a benchmark's table are, a sentence for each, and what the axes of its plots are."""

import re

from .texts import CONVERGED, FLOOR, NLL, NLL_ERROR

WORDS = {
    "model": "The model that is sampled.",
    "conditioner": "How samples are made to agree with what is known of the picture.",
    "solver": "The method that turns noise into samples.",
    "options": "Its options: the cost (tol, steps), and what is not as by default.",
    "NFE": "Evaluations of the network, one after the other, by a whole batch: the mean (smallest to largest).",
    "error": "Distance of a sample from the true end of its path, root mean square over its values: the median sample.",
    "rms error": "The same as root mean square over the samples; one sample that ends elsewhere dominates it.",
    "gap": "Cross-entropy of the samples minus that of exact ones, under the true density, in nats per dimension: 0 is "
    "right, and negative means that samples crowd where the density is highest.",
    "SW": "Sliced Wasserstein distance from exact samples or real images. The interval is of its mean over sets of "
    "as many samples, so the value to compare with is the floor, not 0.",
    "FD": "Fréchet distance of the features of samples and real images: smaller is better.",
    "FID": "Fréchet distance of Inception's features: smaller is better.",
    "KD": "Kernel distance of the features of samples and real images, without bias: around 0 they agree.",
    "KID": "Kernel distance of Inception's features, without bias: around 0 they agree.",
    "IS": "Inception score: how sure and how varied the classes of the samples are; larger is better.",
    "MMD²": "Kernel distance of the samples themselves, without bias: around 0 they agree.",
    "precision": "Share of the samples that lie among the real images.",
    "recall": "Share of the real images that lie among the samples.",
    "SW/floor": "Sliced Wasserstein distance from exact draws of the posterior, over that of exact draws: 1 is right.",
    "mode TV": "Total variation distance of the modes' shares from those of the posterior.",
    "residual": "Root mean square of the misfit to the measurement, in units of its noise.",
    "sd ratio": "Standard deviation of the samples over that of the posterior: 1 is right.",
    "marginal FD": "Fréchet distance from the data of one sample for each of many measurements.",
    "FD/exact": "The same over that of exact draws: 1 is right.",
    "PSNR": "How near each sample of a task is to its own original, by its mean squared error; it ranks nothing.",
    "SSIM": "The same by means and covariances in windows of 11 pixels; it ranks nothing.",
    "SBC p": "How likely ranks as uneven as these are for exact samples: below 0.05 they are not exact.",
    NLL: "Negative log-likelihood of held-out images by the row's own solver and tolerance ± standard error.",
    NLL_ERROR: "What the row's tolerance adds to the likelihood of the same images.",
    "s per batch": "Wall-clock seconds of a whole batch, mean ± standard deviation.",
    "ms per NFE": "All seconds over all evaluations.",
    "work": "Evaluations per sample.",
    "VJPs": "Derivatives taken by running back through the network, per batch.",
    "rejected": "Rejected steps, mean over the samples.",
    "control": "Whose error decides about a step: that of each sample, or of the batch.",
    "batch": "Samples at a time.",
    "denoise": "Whether samples end with the network's last estimate of the picture without noise.",
    "dtype": "Numbers that the state is made of.",
    "count": "Samples.",
    "seeds": "Seeds of the first and the last sample.",
    "device": "Kind of the device.",
    "machine": "The machine that the seconds were measured on.",
    "threads": "Threads of the processor.",
    "versions": "Versions of the software.",
    FLOOR: "What as many real images, or exact samples, get in place of samples: below it samples cannot be told from "
    "data.",
    CONVERGED: "The model's own likelihood, by a tolerance at which it has converged; no solver's errors are in it.",
}
"""By the head of the column, without what stands in brackets."""

UNITS = {"error": "per value", "rms error": "per value", "gap": "nats/dim", "PSNR": "dB", NLL_ERROR: "bits/dim"}
"""Of the estimates that have any, for the axes of plots."""


def base(head: str) -> str:
    """A head without what it was measured with: FD of FD[digits@1a2b3c4d], FID of FID-2500.

    Args:
        head: The head of a column.
    """
    return re.sub(r"\[.*\]|-\d+$", "", head)


def explained(head: str) -> str:
    """A sentence on a column; empty if there is none.

    Args:
        head: The head of the column.
    """
    return WORDS.get(base(head), "")


def label(head: str) -> str:
    """An estimate with its unit, for the axis of a plot.

    Args:
        head: The name of the estimate.
    """
    unit = UNITS.get(base(head), "")
    return f"{head} ({unit})" if unit else head
