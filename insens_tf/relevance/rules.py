"""Rules of layer-wise relevance propagation, as data.

A rule takes the relevance R of a weighted sum z = x w + b back to x. It is made of parts, a part of
terms: a term has an input x' made of x and a kernel w' made of w. With z' the sum of a part's terms
x' w' + b', the part gives

    weight * sum over its terms of x' * (w' transposed (R / z'))

which is one vector-Jacobian product a term. The rules are iNNvestigate's, biases, zeros and all, as
its maps are what others compare with; where they differ from the published ones, they say so.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import tensorflow as tf

from insens_tf.arguments import finite_number
from insens_tf.operations import Affine, ChannelScaling, Operation, Scaling

__all__ = [
    "IN_PLACE_OF_ZERO",
    "RULES",
    "Part",
    "Rule",
    "Term",
    "alpha_beta",
    "bounded",
    "epsilon_rule",
    "steadied",
    "without_zeros",
]

OfTensor = Callable[[tf.Tensor], tf.Tensor]

# What iNNvestigate puts in the place of a denominator that is exactly 0.
IN_PLACE_OF_ZERO = 1e-7


def _itself(values: tf.Tensor) -> tf.Tensor:
    return values


def _positive(values: tf.Tensor) -> tf.Tensor:
    return tf.maximum(values, 0)


def _negative(values: tf.Tensor) -> tf.Tensor:
    return tf.minimum(values, 0)


def _constant(number: float) -> OfTensor:
    return lambda values: tf.fill(tf.shape(values), tf.constant(number, values.dtype))


def without_zeros(values: tf.Tensor) -> tf.Tensor:
    """Return values, and in the place of those that are exactly 0 what iNNvestigate puts there."""
    return tf.where(tf.equal(values, 0), tf.constant(IN_PLACE_OF_ZERO, values.dtype), values)


@dataclass(frozen=True)
class Term:
    """An input and a kernel that a rule puts in the place of a layer's own.

    Attributes
    ----------
    of_input, of_kernel : callable
        From the layer's own to the term's, of the same shape. The bias goes the kernel's way.
    bias : bool
        Whether there is one.
    sign : float
        What the term is multiplied by: 1 or -1.
    """

    of_input: OfTensor = _itself
    of_kernel: OfTensor = _itself
    bias: bool = False
    sign: float = 1.0


@dataclass(frozen=True)
class Part:
    """Terms that share a denominator.

    Attributes
    ----------
    terms : tuple of Term
    weight : float
        What the part is multiplied by.
    divisor : callable
        From the sum of the terms to what relevance is divided by.
    """

    terms: tuple[Term, ...]
    weight: float = 1.0
    divisor: OfTensor = without_zeros


@dataclass(frozen=True)
class Rule:
    """How relevance goes back through a weighted sum.

    Attributes
    ----------
    name : str
        As `RULES` has it, or a name of one's own.
    parts : tuple of Part
    """

    name: str
    parts: tuple[Part, ...]

    def __call__(self, operation: Operation, x: tf.Tensor, relevance: tf.Tensor) -> tf.Tensor:
        """Return the relevance of a layer's input.

        Parameters
        ----------
        operation : Operation
            A weighted sum, or a scaling of channels.
        x : tf.Tensor, shape (batch, *operand shape)
        relevance : tf.Tensor, shape (batch, *shape)

        Returns
        -------
        tf.Tensor, shape (batch, *operand shape)
        """
        first, *others = self.parts
        total = _through(first, operation, x, relevance)
        for part in others:
            # One after the other: what they hold at a time is most of what a map needs.
            with tf.control_dependencies([total]):
                total += _through(part, operation, x, relevance)
        return total


def _through(part: Part, operation: Operation, x: tf.Tensor, relevance: tf.Tensor) -> tf.Tensor:
    # Made anew for each term, so that a gradient is of that term alone.
    inputs = [tf.identity(term.of_input(x)) for term in part.terms]
    with tf.GradientTape() as tape:
        tape.watch(inputs)
        total = tf.add_n(
            [
                term.sign * _with_weights(operation, term)(value)
                for term, value in zip(part.terms, inputs)
            ]
        )
    gradients = tape.gradient(total, inputs, relevance / part.divisor(total))
    return part.weight * tf.add_n([one * gradient for one, gradient in zip(inputs, gradients)])


def _with_weights(operation: Operation, term: Term) -> Operation:
    """Return the operation with a term's kernel and bias in the place of its own."""
    if isinstance(operation, ChannelScaling):
        shift = operation.offset()
        return Scaling(
            operation.name,
            operation.operands,
            operation.shape,
            scale=term.of_kernel(operation.factor()),
            shift=term.of_kernel(shift) if term.bias else tf.zeros_like(shift),
        )
    assert isinstance(operation, Affine)
    weighted: Any = operation
    bias = None
    if term.bias and operation.bias is not None:
        bias = term.of_kernel(tf.convert_to_tensor(operation.bias))
    return replace(
        weighted, kernel=term.of_kernel(tf.convert_to_tensor(weighted.kernel)), bias=bias
    )


def steadied(values: tf.Tensor, epsilon: float) -> tf.Tensor:
    """Return values that are further from 0 by epsilon; 0 itself is positive."""
    steady = tf.constant(epsilon, values.dtype)
    return tf.where(values >= 0, values + steady, values - steady)


def epsilon_rule(epsilon: float, bias: bool = True) -> Rule:
    """Return LRP-epsilon: relevance in proportion to x w, over z and a little more of its sign.

    Raises
    ------
    ValueError
        If epsilon is not above 0.
    """
    finite_number("epsilon", epsilon, above=0, hint=", such as 1e-7")
    divisor = partial(steadied, epsilon=epsilon)
    return Rule("Epsilon", (Part((Term(bias=bias),), divisor=divisor),))


def alpha_beta(
    alpha: float | None = None, beta: float | None = None, bias: bool | str = True
) -> Rule:
    """Return LRP-alpha-beta: alpha times the positive parts less beta times the negative ones.

    Parameters
    ----------
    alpha, beta : float, optional
        At least 1 and at least 0, with alpha - beta = 1, so that either gives the other.
    bias : bool or "split"
        Whether biases take part: True, as iNNvestigate has it, the whole of them in the positive
        and in the negative sum; "split", as published, what is positive of them in the one and what
        is negative in the other.

    Raises
    ------
    ValueError
        If neither is given, or they do not fit.
    """
    if not (isinstance(bias, bool) or bias == "split"):
        raise ValueError(f"bias={bias!r}: expected True, False or 'split'")
    if alpha is None and beta is None:
        raise ValueError("alpha=None, beta=None: expected at least one of them, such as alpha=2")
    alpha = finite_number("beta", beta) + 1 if alpha is None else finite_number("alpha", alpha)
    beta = alpha - 1 if beta is None else finite_number("beta", beta)
    if not (alpha >= 1 and beta >= 0 and alpha - beta == 1):
        raise ValueError(
            f"alpha={alpha!r}, beta={beta!r}: expected alpha of at least 1 and beta of at least 0 "
            "with alpha - beta = 1, such as 2 and 1"
        )
    # A term's bias goes its kernel's way: its positive part with the one, its negative with the
    # other.
    first, second = bool(bias), bias is True
    exciting = Part((Term(_positive, _positive, first), Term(_negative, _negative, second)), alpha)
    if not beta:
        return Rule("AlphaBeta", (replace(exciting, weight=1.0),))
    inhibiting = Part(
        (Term(_positive, _negative, first), Term(_negative, _positive, second)), -beta
    )
    return Rule("AlphaBeta", (exciting, inhibiting))


def bounded(low: float, high: float) -> Rule:
    """Return the z-B rule of deep Taylor decomposition, for inputs between two bounds.

    Raises
    ------
    ValueError
        If low is not below high.
    """
    if not finite_number("low", low) < finite_number("high", high):
        raise ValueError(f"low={low!r}, high={high!r}: expected low to be below high")
    terms = (
        Term(),
        Term(_constant(low), _positive, sign=-1.0),
        Term(_constant(high), _negative, sign=-1.0),
    )
    return Rule("Bounded", (Part(terms),))


def _only(name: str, *terms: Term) -> Rule:
    return Rule(name, (Part(terms),))


def _named(name: str, rule: Rule) -> Rule:
    return replace(rule, name=name)


# Positive inputs alone, over positive weights twice less over negative weights once, each with its
# own denominator: what iNNvestigate's presets do with batch normalisation.
_PRESETS_SCALING = Rule(
    "AlphaBetaX2m100",
    (
        Part((Term(_positive, _positive, True),), 2.0),
        Part((Term(_positive, _negative, True),), -1.0),
    ),
)

RULES: dict[str, Rule] = {
    "Z": _only("Z", Term(bias=True)),
    "Epsilon": epsilon_rule(1e-7),
    "WSquare": _only("WSquare", Term(_constant(1.0), tf.square)),
    "Flat": _only("Flat", Term(_constant(1.0), tf.ones_like)),
    "Alpha2Beta1": _named("Alpha2Beta1", alpha_beta(2.0, 1.0)),
    "Alpha2Beta1IgnoreBias": _named("Alpha2Beta1IgnoreBias", alpha_beta(2.0, 1.0, False)),
    "Alpha1Beta0": _named("Alpha1Beta0", alpha_beta(1.0, 0.0)),
    "Alpha1Beta0IgnoreBias": _named("Alpha1Beta0IgnoreBias", alpha_beta(1.0, 0.0, False)),
    "AlphaBetaX2m100": _PRESETS_SCALING,
    "ZPlus": _named("ZPlus", alpha_beta(1.0, 0.0, False)),
    "ZPlusFast": _only("ZPlusFast", Term(of_kernel=_positive)),
    "Bounded": bounded(-1.0, 1.0),
}
"""The rules by the names that iNNvestigate has for them."""
