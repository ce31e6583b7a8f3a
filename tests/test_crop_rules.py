"""Every kind of operation has a rule for crops, or is named as one without."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from insens_tf import operations
from insens_tf.operations import Operation
from insens_tf.row_norms.crops.rules import OPERATIONS_WITHOUT_CROPS, rule_of
from insens_tf.row_norms.crops.rules.arrangement_rules import AddRule
from insens_tf.row_norms.crops.rules.pooling_rules import AveragePoolingRule, MaxPoolingRule
from insens_tf.row_norms.crops.rules.scaling_rules import ChannelScalingRule, GateRule


def kinds(base: type[Operation] = Operation) -> Iterator[type[Operation]]:
    """All classes of operations of the library that can be made."""
    for kind in base.__subclasses__():
        if not inspect.isabstract(kind) and kind.__module__.startswith(operations.__name__):
            yield kind
        yield from kinds(kind)


KINDS = sorted(set(kinds()), key=lambda kind: (kind.__module__, kind.__qualname__))


@pytest.mark.parametrize("kind", KINDS)
def test_each_kind_has_a_rule_or_is_named_as_one_without(kind: type[Operation]) -> None:
    """A new kind without either would go a slower way, and nobody would notice."""
    has_none = any(base in OPERATIONS_WITHOUT_CROPS for base in kind.__mro__)
    assert (rule_of(kind) is None) == has_none


def test_no_kind_is_missed() -> None:
    exported = {getattr(operations, name) for name in operations.__all__}
    expected = {one for one in exported if isinstance(one, type) and issubclass(one, Operation)} - {
        one for one in exported if inspect.isabstract(one)
    }
    assert set(KINDS) == expected
    assert set(OPERATIONS_WITHOUT_CROPS) <= expected
    assert all(OPERATIONS_WITHOUT_CROPS.values())


@pytest.mark.parametrize(
    ("kind", "rule"),
    [
        (operations.RatioGate, GateRule),
        (operations.BatchNormalization, ChannelScalingRule),
        (operations.Scaling, ChannelScalingRule),
        (operations.MaxPooling, MaxPoolingRule),
        (operations.AveragePooling, AveragePoolingRule),
    ],
)
def test_a_kind_has_the_rule_of_what_it_derives_from(kind: type[Operation], rule: type) -> None:
    assert rule_of(kind) is rule


def test_the_nearest_base_decides() -> None:
    @dataclass(frozen=True, eq=False)
    class Sum(operations.Add):
        pass

    @dataclass(frozen=True, eq=False)
    class CroppedTwice(operations.Cropping):
        pass

    assert rule_of(Sum) is AddRule
    assert rule_of(CroppedTwice) is None
    assert rule_of(operations.TransposedConvolution) is None
