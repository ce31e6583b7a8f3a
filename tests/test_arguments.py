"""Checks of arguments, in one wording each."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pytest

from insens_tf.arguments import layer_index, whole_number


@pytest.mark.parametrize("value", [2, np.int64(2), np.uint8(2)])
def test_whole_numbers_become_pythons_own(value: Any) -> None:
    for found in (whole_number("steps", value, least=2), layer_index("layer", value, 3)):
        assert found == 2
        assert type(found) is int


@pytest.mark.parametrize("value", [1, -3, 2.0, np.float32(2), True, np.True_, "2", None, [2]])
def test_all_else_is_refused(value: Any) -> None:
    message = re.escape(f"steps={value!r}: expected a whole number of batches, at least 2")
    with pytest.raises(ValueError, match=f"{message}$"):
        whole_number("steps", value, least=2, of="batches")


@pytest.mark.parametrize("value", [-1, 3, 1.0, True, "1", None])
def test_indices_that_no_layer_has_are_refused(value: Any) -> None:
    message = re.escape(f"layer={value!r}: expected an index into the model's 3 layers")
    with pytest.raises(ValueError, match=f"{message}$"):
        layer_index("layer", value, 3)
