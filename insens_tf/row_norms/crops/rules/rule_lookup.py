"""Which rule an operation has, by its kind."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from insens_tf.operations import (
    Cropping,
    DepthwiseConvolution,
    LocallyConnected,
    Operation,
    OutputActivation,
    Permutation,
    Refused,
    Resampling,
    TransposedConvolution,
)
from insens_tf.row_norms.crops.rules.crop_rule import CropRule

__all__ = ["OPERATIONS_WITHOUT_CROPS", "crop_rule", "rule_of"]

# What makes a rule of an operation, its position, its operands' rules and the needed neurons.
RuleMaker = Callable[..., CropRule[Any]]
AnyMaker = TypeVar("AnyMaker", bound=RuleMaker)

_RULES: dict[type[Any], RuleMaker] = {}

OPERATIONS_WITHOUT_CROPS: dict[type[Operation], str] = {
    Cropping: "few networks crop; the other ways are exact, too",
    DepthwiseConvolution: "each channel is summed alone, so a spread kernel is almost all zeros",
    LocallyConnected: "each position has a kernel of its own, so no spread kernel fits all blocks",
    OutputActivation: "nothing that is asked for comes after it",
    Permutation: "channels become positions, and crops have no layout among channels",
    Refused: "it cannot be read",
    Resampling: "its positions see windows of different sizes, so blocks' crops do not lie alike",
    TransposedConvolution: "its stride is a fraction, so a block would become several",
}
"""The kinds of operations that crops are not pushed through, and why.

A layer behind one of them goes another way.
"""


def crop_rule(kind: type[Any]) -> Callable[[AnyMaker], AnyMaker]:
    """Say of a class or a function that it makes the rule of a kind of operation."""

    def register(maker: AnyMaker) -> AnyMaker:
        _RULES[kind] = maker
        return maker

    return register


def rule_of(kind: type[Operation]) -> RuleMaker | None:
    """Return what makes the rule of a kind of operation: its own, or that of its nearest base.

    None where that is one of `OPERATIONS_WITHOUT_CROPS`, or where none has been decided on.
    """
    for base in kind.__mro__:
        if base in OPERATIONS_WITHOUT_CROPS:
            return None
        if base in _RULES:
            return _RULES[base]
    return None
