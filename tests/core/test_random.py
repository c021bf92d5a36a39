"""Seeds are whole numbers that mean the same each time; generators are streams."""

import numpy as np
import pytest
import torch

from scoresde.core.errors import UsageError
from scoresde.core.random import generators, randn, seed_global, sources_of, whole_seeds


@pytest.mark.parametrize(
    "seeds",
    [range(7, 10), [7, 8, 9], (7, 8, 9), np.arange(7, 10), torch.arange(7, 10), iter((7, 8, 9)), np.int64(7), 7],
)
def test_whole_numbers_in_any_form_are_seeds(seeds):
    assert whole_seeds(seeds, 3) == [7, 8, 9]


def test_without_seeds_they_are_counted_from_0():
    assert whole_seeds(None, 3) == [0, 1, 2] and whole_seeds(torch.tensor(5), 1) == [5]


@pytest.mark.parametrize(
    ("seeds", "count", "message"),
    [
        (1.5, 2, r"seeds are whole numbers such as 7 or range\(16\), got 1.5"),
        ([0.0, 1.0], None, "seeds are whole numbers"),
        (torch.rand(2), None, "seeds are whole numbers"),
        ("12", 2, "seeds are whole numbers"),
        (torch.Generator(), 2, "a generator is a stream, which draws other noise each time"),
        (generators(range(2)), 2, "a generator is a stream, which draws other noise each time"),
        (7, None, "one seed, 7, does not say how many samples there are"),
        (range(3), 4, "3 seeds for 4 samples"),
        ([3, -1], None, r"from 0 to 2\*\*63 - 1, got -1"),
        ([2**63], None, "got 9223372036854775808"),
    ],
)
def test_anything_else_is_refused(seeds, count, message):
    with pytest.raises(UsageError, match=message):
        whole_seeds(seeds, count)


@pytest.mark.parametrize("seed", [10**30, 2**63, -1])
def test_seeds_that_torch_cannot_take_are_refused_wherever_they_are_used(seed):
    for use in (seed_global, lambda seed: generators([seed])):
        with pytest.raises(UsageError, match=f"from 0 to 2\\*\\*63 - 1, got {seed}"):
            use(seed)


def test_seeds_give_the_same_noise_each_time_and_streams_go_on():
    seeds = range(4)
    first, again = (randn((4, 3), sources_of(seeds, None)[0]) for _ in range(2))
    assert torch.equal(first, again) and torch.equal(first, randn((4, 3), generators(seeds)))
    streams = generators(seeds)
    assert sources_of(streams, None)[0] == streams and sources_of(None, 4) == (None, 4)
    assert sources_of(streams[0], 3) == (streams[0], 3)
    assert torch.equal(randn((4, 3), sources_of(streams, None)[0]), first)
    assert not torch.equal(randn((4, 3), sources_of(streams, None)[0]), first)
    assert torch.equal(randn((2, 3), sources_of(2, None)[0]), first[:2])


def test_the_global_seed_is_that_of_torch():
    torch.manual_seed(5)
    expected = torch.randn(3)
    seed_global(5)
    assert torch.equal(torch.randn(3), expected)
