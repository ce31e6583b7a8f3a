"""Checks of arguments, in one wording each."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pytest

from insens_tf.arguments import finite_number, layer_index, whole_number


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


@pytest.mark.parametrize("value", [0.5, 1, np.float32(0.5), np.int64(1)])
def test_finite_numbers_become_pythons_own(value: Any) -> None:
    found = finite_number("tolerance", value, above=0, most=1)
    assert found == value
    assert type(found) is float


@pytest.mark.parametrize(
    "value", [0, 1.5, -1, np.nan, np.inf, 10**400, True, np.True_, "1", None, [1.0], 1j]
)
def test_numbers_out_of_bounds_and_all_else_are_refused(value: Any) -> None:
    expected = "expected a finite number, above 0 and at most 1: a share"
    with pytest.raises(ValueError, match=f"^{re.escape(f'share={value!r}: {expected}')}$"):
        finite_number("share", value, above=0, most=1, hint=": a share")


@pytest.mark.parametrize("value", [-np.inf, np.nan, -(10**400)])
def test_what_is_not_finite_is_refused_without_bounds(value: Any) -> None:
    with pytest.raises(ValueError, match=r"expected a finite number$"):
        finite_number("beta", value)
    assert finite_number("beta", -3) == -3
    assert finite_number("beta", 0, least=0) == 0


@pytest.mark.parametrize("value", [-1, 3, 1.0, True, "1", None])
def test_indices_that_no_layer_has_are_refused(value: Any) -> None:
    message = re.escape(f"layer={value!r}: expected an index into the model's 3 layers")
    with pytest.raises(ValueError, match=f"{message}$"):
        layer_index("layer", value, 3)
