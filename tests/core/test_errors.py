"""What is said of the errors of other libraries."""

import pytest
import torch

from scoresde.core.errors import reason


def test_of_an_error_of_torch_the_first_line_is_said():
    with pytest.raises(RuntimeError) as caught:
        torch.nn.Linear(1, 1).load_state_dict({})
    assert "\n" in str(caught.value)
    assert reason(caught.value) == str(caught.value).split("\n")[0]


def test_an_error_that_says_nothing_is_called_by_its_name():
    assert reason(KeyError()) == "KeyError"
    assert reason(ValueError("\nlate")) == "ValueError"
