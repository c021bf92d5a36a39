"""What is said of the errors of other libraries."""

import numpy as np
import pytest
import torch

from scoresde.core.errors import out_of_memory, reason


def test_of_an_error_of_torch_the_first_line_is_said():
    with pytest.raises(RuntimeError) as caught:
        torch.nn.Linear(1, 1).load_state_dict({})
    assert "\n" in str(caught.value)
    assert reason(caught.value) == str(caught.value).split("\n")[0]


def test_an_error_that_says_nothing_is_called_by_its_name():
    assert reason(KeyError()) == "KeyError"
    assert reason(ValueError("\nlate")) == "ValueError"


@pytest.mark.parametrize(
    "ask",
    [
        lambda: torch.empty(10**14),
        lambda: torch.empty(10**12, 10**12),
        lambda: torch.zeros(1).expand(10**14).clone(),
        lambda: np.empty(10**14),
        lambda: bytearray(10**14),
    ],
)
def test_memory_that_no_machine_has_is_known_from_other_errors(ask):
    """By what torch, NumPy and Python themselves raise."""
    with pytest.raises((RuntimeError, MemoryError)) as caught:
        ask()
    assert out_of_memory(caught.value) and not out_of_memory(RuntimeError("shapes differ"))
