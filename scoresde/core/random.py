"""The only place that draws random numbers.

Noise is drawn on the CPU and then moved, so that a seed means the same image on every device.
"""

import hashlib
import operator
from collections.abc import Iterable, Sequence
from contextlib import AbstractContextManager
from typing import cast

import numpy as np
import torch
from torch import Tensor

from .errors import UsageError
from .sentences import many

Seeds = int | Iterable[int] | Tensor
"""Whole numbers, one for each sample, or the one of the first: the same noise each time that they are used."""
Generators = torch.Generator | Sequence[torch.Generator] | None
"""One generator for a whole batch, or one for each of its rows, or None for torch's global one."""


def generators(seeds: Iterable[int]) -> list[torch.Generator]:
    """One torch generator per seed: row i of a batch depends on seed i alone.

    A generator continues where it stopped, so a second use of the same one draws other noise.

    Args:
        seeds: Whole numbers.

    Raises:
        UsageError: One is no whole number from 0 to 2**63 - 1.

    Example:
        >>> import scoresde
        >>> scoresde.load("digits").prior(scoresde.generators(range(2))).shape
        torch.Size([2, 1, 8, 8])
    """
    return [torch.Generator().manual_seed(seed) for seed in whole_seeds(seeds)]


def whole_seeds(seeds: Seeds | None, count: int | None = None) -> list[int]:
    """The seeds as a list, one per sample; they mean the same noise each time that they are used.

    Args:
        seeds: Whole numbers, such as range(16) or a tensor; one of them, s, means s, s + 1, ...; None means 0, 1, ...
        count: Number of samples.

    Raises:
        UsageError: They are no whole numbers of at least 0, or not `count` of them.

    Example:
        >>> from scoresde.core.random import whole_seeds
        >>> whole_seeds(7, count=3), whole_seeds(range(2))
        ([7, 8, 9], [0, 1])
    """
    given = seeds.tolist() if isinstance(seeds, Tensor | np.ndarray) else 0 if seeds is None else seeds
    try:
        if not isinstance(given, Iterable):
            first = operator.index(given)
            if count is None:
                raise UsageError(
                    f"one seed, {first}, does not say how many samples there are: give a count, or a range"
                )
            given = range(first, first + count)
        found = [operator.index(n) for n in given]
    except TypeError:
        raise UsageError(
            f"seeds are whole numbers such as 7 or range(16), got {seeds!r}; a generator is a stream, which draws "
            "other noise each time, and belongs into scoresde.sampling.sample"
        ) from None
    for n in found:
        if not 0 <= n < 2**63:
            raise UsageError(f"seeds are whole numbers from 0 to 2**63 - 1, got {n}")
    if count not in (None, len(found)):
        raise UsageError(f"{many(len(found), 'seed')} for {many(count, 'sample')}: give one per sample, or the first")
    return found


def sources_of(seeds: Generators | Seeds, count: int | None) -> tuple[Generators, int]:
    """Where noise is drawn from, and for how many samples: new generators for whole numbers, or those that are given.

    Args:
        seeds: Whole numbers, one per sample; n stands for range(n). Or generators: one per sample, or one for all.
        count: Number of samples, for a single generator alone.

    Raises:
        UsageError: The seeds are no whole numbers, or there is no count where one is needed, or one too many.
    """
    if (seeds is None or isinstance(seeds, torch.Generator)) and count is not None:
        return seeds, count
    if seeds is None or isinstance(seeds, torch.Generator) or count is not None:
        raise UsageError("prior() takes a count with a single generator, and none with seeds or several generators")
    given = list(range(seeds)) if isinstance(seeds, int) else seeds if isinstance(seeds, Tensor) else list(seeds)
    if isinstance(given, list) and given and all(isinstance(one, torch.Generator) for one in given):
        return cast(list[torch.Generator], given), len(given)
    found = generators(cast(Iterable[int], given))
    return found, len(found)


def stream(seed: int, *purpose: object) -> torch.Generator:
    """A generator that is a function of (seed, purpose) alone, such as stream(0, "noise", step).

    Training draws everything from such streams, so that a resumed run needs no generator state.

    Args:
        seed: A whole number.
        purpose: Texts and numbers that tell the streams of one seed from each other.
    """
    digest = hashlib.sha256(repr((seed, *purpose)).encode()).digest()
    return torch.Generator().manual_seed(int.from_bytes(digest[:8], "big") >> 1)


def randn(shape: Sequence[int], generator: Generators, *, dtype: torch.dtype = torch.float32) -> Tensor:
    """Standard normal noise, (B, *), on the CPU.

    Args:
        shape: (B, *).
        generator: One for each of the B rows, a single one, or None for torch's global one.
        dtype: Of the noise.

    Raises:
        UsageError: There is not one generator for each of the B rows.
    """
    if generator is None or isinstance(generator, torch.Generator):
        return torch.randn(tuple(shape), generator=generator, dtype=dtype)
    if len(generator) != shape[0]:
        raise UsageError(f"{len(generator)} generators for a batch of {shape[0]}: give one per row, or a single one")
    out = torch.empty(tuple(shape), dtype=dtype)
    for row, source in zip(out, generator, strict=True):  # half of the time of torch.randn, and the same bits
        row.normal_(generator=source)
    return out


def randn_like(x: Tensor, generator: Generators) -> Tensor:
    """Standard normal noise of the shape, dtype and device of x, (B, *).

    Args:
        x: Any tensor, (B, *).
        generator: As for `randn`.
    """
    return randn(x.shape, generator, dtype=x.dtype).to(x.device)


def rand(shape: Sequence[int], generator: torch.Generator, *, dtype: torch.dtype = torch.float32) -> Tensor:
    """Uniform numbers in [0, 1), on the CPU.

    Args:
        shape: Of the result.
        generator: Where they come from.
        dtype: Of the numbers.
    """
    return torch.rand(tuple(shape), generator=generator, dtype=dtype)


def poisson(rates: Tensor, generator: Generators) -> Tensor:
    """Counts with Poisson's law, (B, *), in the dtype and on the device of the rates.

    Args:
        rates: Their means, (B, *), at least 0.
        generator: As for `randn`.

    Raises:
        UsageError: There is not one generator for each of the B rows.
    """
    if generator is None or isinstance(generator, torch.Generator):
        return torch.poisson(rates.cpu(), generator).to(rates)
    if len(generator) != len(rates):
        raise UsageError(f"{len(generator)} generators for a batch of {len(rates)}: give one per row, or a single one")
    return torch.stack([torch.poisson(row, g) for row, g in zip(rates.cpu(), generator, strict=True)]).to(rates)


def seed_of(generator: torch.Generator | None) -> int:
    """A seed drawn from a generator, for streams.

    Args:
        generator: Where it comes from; None for torch's global one.
    """
    return int(torch.randint(2**62, (), generator=generator))


def choose(weights: Tensor, count: int, generator: torch.Generator) -> Tensor:
    """Indices drawn with replacement, with probabilities proportional to weights, (count,).

    Args:
        weights: (K,), at least 0.
        count: Number of indices.
        generator: Where they come from.
    """
    return torch.multinomial(weights.cpu(), count, replacement=True, generator=generator)


def permutation(count: int, generator: torch.Generator) -> Tensor:
    """The numbers 0 .. count - 1 in random order.

    Args:
        count: How many there are.
        generator: Where the order comes from.
    """
    return torch.randperm(count, generator=generator)


def seed_global(seed: int) -> None:
    """Seeds torch's global generator, from which network initialisation and dropout draw.

    Args:
        seed: A whole number.

    Raises:
        UsageError: It is none from 0 to 2**63 - 1.
    """
    (seed,) = whole_seeds(seed, 1)
    if torch.accelerator.is_available():
        torch.manual_seed(seed)
    else:  # torch would note down the whole stack for a device that is not there, which takes a tenth of a small step
        torch.default_generator.manual_seed(seed)


def undisturbed() -> AbstractContextManager[None]:
    """A context after which torch's global generator is as before, for libraries that draw from it."""
    return torch.random.fork_rng(devices=[])


def numpy_stream(seed: int) -> np.random.Generator:
    """NumPy's default generator, for problems that are defined by its draws.

    Args:
        seed: A whole number.
    """
    return np.random.default_rng(seed)
