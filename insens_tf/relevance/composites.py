"""Which operation sends relevance back by which rule: what makes a method of rules.

A composite is a table from kinds of operations to steps back; what is not in it goes back by the
gradient, as do max pooling, concatenation and everything that only moves elements.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import tensorflow as tf

from insens_tf.errors import UnreadableModelError
from insens_tf.graph import Graph
from insens_tf.operations import (
    Add,
    Affine,
    AveragePooling,
    BatchNormalization,
    ChannelScaling,
    Convolution,
    DepthwiseConvolution,
    Gate,
    GlobalAveragePooling,
    LocallyConnected,
    Matrix,
    Operation,
    Permutation,
    RatioGate,
    Reshape,
    Scaling,
    TransposedConvolution,
    ZeroPadding,
)
from insens_tf.relevance.rules import IN_PLACE_OF_ZERO, Rule, steadied, without_zeros

__all__ = [
    "CONVOLUTIONS",
    "FUSE_MODES",
    "Composite",
    "Place",
    "by_rule",
    "by_rule_of_scaling",
    "by_statistics",
    "deconvolution",
    "deep_taylor",
    "guided",
    "layerwise",
]

CONVOLUTIONS = (Convolution, DepthwiseConvolution, LocallyConnected, TransposedConvolution)

FUSE_MODES = ("one_linear", "two_linear", "exact")
"""What a rule takes batch normalisation for: see `by_rule_of_scaling`."""

Relevances = Sequence[tf.Tensor]


@dataclass(frozen=True)
class Place:
    """An operation and where it is in the graph."""

    graph: Graph
    position: int

    @property
    def operation(self) -> Operation:
        """The operation itself."""
        return self.graph.operations[self.position]

    @property
    def is_first(self) -> bool:
        """Whether only a new shape or order of axes lies between it and the input."""
        (below,) = self.operation.operands
        while below:
            operation = self.graph.operations[below]
            # A convolution's own padding is part of it.
            own = isinstance(operation, ZeroPadding) and operation.name == self.operation.name
            if not (own or isinstance(operation, (Reshape, Permutation))):
                return False
            (below,) = operation.operands
        return True

    @property
    def is_of_another_layer(self) -> bool:
        """Whether it is a layer of its own, not the activation of the layer that it follows."""
        (below,) = self.operation.operands
        return self.graph.operations[below].name != self.operation.name


Step = Callable[[Place, Sequence[tf.Tensor], tf.Tensor], Relevances]
"""From an operation, its operands' values and its relevance, (batch, *shape), to the operands'."""

RuleOf = Callable[[Place], Rule]


@dataclass(frozen=True)
class Composite:
    """A method of relevance propagation.

    Attributes
    ----------
    steps : mapping of type to callable
        How each kind of operation, and what derives from it, sends relevance back.
    starts_with_positive : bool
        Whether relevance starts as ReLU of the neuron's activity.
    """

    steps: Mapping[type, Step]
    starts_with_positive: bool = False

    def back(self, place: Place, values: Sequence[tf.Tensor], relevance: tf.Tensor) -> Relevances:
        """Return the relevance of an operation's operands, (batch, *operand shape) each."""
        for kind in type(place.operation).__mro__:
            if kind in self.steps:
                return self.steps[kind](place, values, relevance)
        return by_gradient(place, values, relevance)


def by_gradient(place: Place, values: Sequence[tf.Tensor], relevance: tf.Tensor) -> Relevances:
    """Send it back as a gradient."""
    operation = place.operation
    values = [tf.identity(value) for value in values]
    with tf.GradientTape() as tape:
        tape.watch(values)
        # The gradient of adding a bias asks for the sum's shape, and so for the sum once more.
        of_values = operation.linear if isinstance(operation, Affine) else operation
        result = of_values(*values)
    return tape.gradient(
        result, values, relevance, unconnected_gradients=tf.UnconnectedGradients.ZERO
    )


def in_proportion(place: Place, values: Sequence[tf.Tensor], relevance: tf.Tensor) -> Relevances:
    """Share it out in proportion to what each operand adds, as LRP-z does."""
    shares = relevance / without_zeros(place.operation(*values))
    gradients = by_gradient(place, values, shares)
    return [value * gradient for value, gradient in zip(values, gradients)]


def through_activation(
    place: Place, values: Sequence[tf.Tensor], relevance: tf.Tensor
) -> Relevances:
    """Pass it on; through a LeakyReLU layer, as iNNvestigate has it, times the slope."""
    operation = place.operation
    assert isinstance(operation, Gate)
    if place.is_of_another_layer and not operation.is_relu:
        return [relevance * operation.slope(*values)]
    return [relevance]


def by_rule(rule_of: RuleOf) -> Step:
    """Return the step of weighted sums whose rule depends on the place."""

    def step(place: Place, values: Sequence[tf.Tensor], relevance: tf.Tensor) -> Relevances:
        (value,) = values
        return [rule_of(place)(place.operation, value, relevance)]

    return step


def by_statistics(place: Place, values: Sequence[tf.Tensor], relevance: tf.Tensor) -> Relevances:
    """Send it back through batch normalisation: x (y - shift) / ((x - mean) y).

    What iNNvestigate does where no rule is given for batch normalisation.
    """
    operation = place.operation
    (value,) = values
    if not isinstance(operation, BatchNormalization):
        return in_proportion(place, values, relevance)
    shift = 0.0 if operation.shift is None else tf.convert_to_tensor(operation.shift)
    result = operation(value)
    divisor = (value - tf.convert_to_tensor(operation.mean)) * result
    return [value * (result - shift) * relevance / steadied(divisor, IN_PLACE_OF_ZERO)]


def by_rule_of_scaling(rule: Rule, fuse_mode: str = "one_linear") -> Step:
    """Return the step of batch normalisation as a scaling of channels, by a rule.

    iNNvestigate's scaling is not the published one: it divides by sqrt(variance**2 + epsilon), and
    its shift is the mean over that without the scale.

    Parameters
    ----------
    rule : Rule
    fuse_mode : {"one_linear", "two_linear", "exact"}
        iNNvestigate's scaling as one, or normalisation and what follows it as a scaling each; or
        the scaling that batch normalisation is.
    """

    def step(place: Place, values: Sequence[tf.Tensor], relevance: tf.Tensor) -> Relevances:
        (value,) = values
        operation = place.operation
        if not isinstance(operation, BatchNormalization) or fuse_mode == "exact":
            return [rule(operation, value, relevance)]
        variance = tf.convert_to_tensor(operation.variance)
        deviation = tf.sqrt(tf.square(variance) + tf.constant(operation.epsilon, variance.dtype))
        ones = tf.ones_like(variance)
        scale = ones if operation.scale is None else tf.convert_to_tensor(operation.scale)
        shift = 0 * ones if operation.shift is None else tf.convert_to_tensor(operation.shift)
        mean = -tf.convert_to_tensor(operation.mean) / deviation
        if fuse_mode == "one_linear":
            return [rule(_scaling(operation, scale / deviation, mean + shift), value, relevance)]
        first = _scaling(operation, 1 / deviation, mean)
        second = _scaling(operation, scale, shift)
        return [rule(first, value, rule(second, first(value), relevance))]

    return step


def _scaling(operation: Operation, scale: tf.Tensor, shift: tf.Tensor) -> Scaling:
    return Scaling(operation.name, operation.operands, operation.shape, scale=scale, shift=shift)


def layerwise(rule_of: RuleOf, scaling: Step = by_statistics) -> Composite:
    """Return layer-wise relevance propagation: gates pass relevance on, sums share it out.

    Parameters
    ----------
    rule_of : callable
        From the place of a weighted sum to its rule.
    scaling : callable
        The step of batch normalisation.
    """
    return Composite(
        {
            **dict.fromkeys((Matrix, *CONVOLUTIONS), by_rule(rule_of)),
            **dict.fromkeys((Add, AveragePooling, GlobalAveragePooling), in_proportion),
            ChannelScaling: scaling,
            Gate: through_activation,
        }
    )


def deep_taylor(rule_of: RuleOf) -> Composite:
    """Return deep Taylor decomposition: all but weighted sums send relevance back as a gradient.

    So does batch normalisation, as iNNvestigate has it, and a ReLU that is a layer of its own stops
    what comes to an inactive neuron.

    Parameters
    ----------
    rule_of : callable
        From the place of a weighted sum to its rule.
    """

    def gate(place: Place, values: Sequence[tf.Tensor], relevance: tf.Tensor) -> Relevances:
        operation = place.operation
        assert isinstance(operation, Gate)
        stops = operation.is_relu and place.is_of_another_layer
        return [relevance * operation.slope(*values) if stops else relevance]

    return Composite(
        {
            **dict.fromkeys((Matrix, *CONVOLUTIONS), by_rule(rule_of)),
            Gate: gate,
        },
        starts_with_positive=True,
    )


def _of_what_comes_back(place: Place, relevance: tf.Tensor, method: str) -> tf.Tensor:
    """Return a gate applied to what comes back; ReLU or LeakyReLU only."""
    operation = place.operation
    assert isinstance(operation, Gate)
    bends_at_zero = operation.ceiling is None and operation.jump == 0
    if not bends_at_zero or isinstance(operation, RatioGate):
        raise UnreadableModelError(
            f"layer {operation.name!r}: {method} is defined for ReLU and LeakyReLU, which it "
            "applies to what comes back, found another activation; choose another method."
        )
    return operation(relevance)


def _deconvolved(place: Place, values: Sequence[tf.Tensor], relevance: tf.Tensor) -> Relevances:
    return [_of_what_comes_back(place, relevance, "deconvnet")]


def _guided(place: Place, values: Sequence[tf.Tensor], relevance: tf.Tensor) -> Relevances:
    operation = place.operation
    assert isinstance(operation, Gate)
    return [_of_what_comes_back(place, relevance, "guided_backprop") * operation.slope(*values)]


deconvolution = Composite({Gate: _deconvolved})
"""The gradient with ReLU applied to what comes back, not to what went in."""

guided = Composite({Gate: _guided})
"""The gradient with ReLU applied to what comes back as well."""
