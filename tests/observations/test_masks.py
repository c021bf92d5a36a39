"""Random masks: what their laws promise, whatever the size and the seed."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from scoresde.core.errors import UsageError
from scoresde.core.random import generators, rand
from scoresde.observations import Pixels
from scoresde.observations.masks import masks

every = pytest.mark.parametrize("name", masks.all())


@every
@settings(max_examples=15, deadline=None)
@given(height=st.integers(4, 30), width=st.integers(4, 30), seed=st.integers(0, 2**31), least=st.floats(0.05, 0.3))
def test_the_hole_has_a_share_between_the_bounds(name, height, width, seed, least):
    drawn = masks[name](least=least, most=least + 0.3).draw(height, width, generators([seed, seed + 1]))
    assert drawn.shape == (2, 1, height, width) and drawn.dtype == torch.bool
    holes = (~drawn).flatten(1).double().mean(1)
    assert holes.min() >= least - 1e-12 and holes.max() <= least + 0.3 + 1e-12


@every
def test_a_mask_is_a_function_of_its_seed(name):
    """Alone or in a batch, and another one for another seed."""
    law = masks[name]()
    many, alone = law.draw(16, 24, generators(range(6))), law.draw(16, 24, generators([4]))
    assert torch.equal(many[4], alone[0])
    assert len({row.numpy().tobytes() for row in many}) == 6
    before = torch.random.get_rng_state()
    law.draw(16, 24, generators([0]))
    assert torch.equal(torch.random.get_rng_state(), before)


@every
def test_the_shares_are_spread_over_the_range(name):
    """Of 90 masks each third of the range from 15 to 50 % has at least a tenth: none is left out or preferred."""
    drawn = masks[name]().draw(16, 16, generators(range(90)))
    share = (~drawn).flatten(1).double().mean(1)
    counts = torch.histc(share, 3, min=0.15, max=0.5)
    assert counts.sum() == 90 and counts.min() >= 9


@every
def test_an_observation_takes_it_as_it_is(name):
    drawn, x = masks[name]().draw(8, 8, generators(range(3))), torch.ones(3, 2, 8, 8)
    assert torch.equal(Pixels(drawn).forward(x)[:, :1], drawn.float())


def test_a_rectangle_is_one():
    for mask in masks["rectangle"]().draw(12, 20, generators(range(50))):
        rows, columns = torch.nonzero(~mask[0], as_tuple=True)
        assert len(rows) == (rows.max() - rows.min() + 1) * (columns.max() - columns.min() + 1)


def test_strokes_are_connected_lines_and_no_noise():
    """Of a stroke's pixels nearly all have a neighbour in the hole; of as many pixels at random two thirds would."""
    hole = ~masks["freeform"](least=0.2, most=0.25).draw(32, 32, generators(range(20)))
    around = torch.nn.functional.conv2d(hole.double(), torch.ones(1, 1, 3, 3).double(), padding=1) - hole.double()
    assert float((around[hole] >= 2).double().mean()) > 0.97


def test_a_stroke_that_is_cut_short_has_its_beginning():
    """The pixel that the second number of its generator says; the first is the size."""
    law = masks["freeform"](least=20 / 1024, most=20.5 / 1024, length=1.0)
    for seed in range(20):
        (source,), hole = generators([seed]), ~law.draw(32, 32, generators([seed]))
        _, start = (float(rand((), source, dtype=torch.float64)) for _ in range(2))
        assert int(hole.sum()) == 20 and hole.flatten()[int(start * 1024)]


def test_texts_and_refusals():
    assert masks.parse("freeform:most=0.3") == masks["freeform"](most=0.3)
    with pytest.raises(UsageError, match=r"8x8 has no hole of 0\.5 to 0\.3"):
        masks["freeform"](least=0.5, most=0.3).draw(8, 8, generators([0]))
    with pytest.raises(UsageError, match="11x11 has no rectangle of 47 to 47 pixels"):
        masks["rectangle"](least=46.5 / 121, most=47.5 / 121).draw(11, 11, generators([0]))  # 47 is prime and above 11
    with pytest.raises(UsageError, match="most must be less than 1"):
        masks["rectangle"](most=1.0)
