"""Methods that send relevance back by rules: deconvnet, LRP and deep Taylor decomposition."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from insens_tf.arguments import layer_index, one_of
from insens_tf.operations import Matrix
from insens_tf.relevance import composites
from insens_tf.relevance.composites import CONVOLUTIONS, FUSE_MODES, Composite, Place, RuleOf, Step
from insens_tf.relevance.explained_neurons import Explainer, Target
from insens_tf.relevance.rules import RULES, Rule, alpha_beta, bounded, epsilon_rule

__all__ = [
    "deconvnet",
    "deep_taylor",
    "deep_taylor_bounded",
    "guided_backprop",
    "lrp",
    "lrp_alpha_beta",
    "lrp_by",
    "lrp_epsilon",
    "sequential_preset",
    "sequential_preset_until",
]


def deconvnet(target: Target) -> Explainer:
    """Apply ReLU to what comes back, not to what went in."""
    return _by(target, composites.deconvolution)


def guided_backprop(target: Target) -> Explainer:
    """Apply ReLU to what comes back as well."""
    return _by(target, composites.guided)


def _by(target: Target, composite: Composite) -> Explainer:
    sweep = target.relevance(composite)
    return lambda x, neurons, mode, advance: sweep(x, neurons, mode)


def _named_rule(argument: str, rule: Any) -> Rule:
    if isinstance(rule, Rule):
        return rule
    if isinstance(rule, str) and rule in RULES:
        return RULES[rule]
    if argument == "input_layer_rule" and isinstance(rule, (tuple, list)) and len(rule) == 2:
        return bounded(*rule)
    bounds = " (or a tuple of low and high)" if argument == "input_layer_rule" else ""
    raise ValueError(
        f"{argument}={rule!r}: expected a Rule, or the name of one{bounds}: {', '.join(RULES)}"
    )


def lrp(
    target: Target,
    *,
    rule: Any = None,
    input_layer_rule: Any = None,
    until_layer_idx: int | None = None,
    until_layer_rule: Any = None,
    bn_layer_rule: Any = None,
    bn_layer_fuse_mode: str = "one_linear",
) -> Explainer:
    """Propagate relevance layer by layer, by rules of the user's choice."""
    if rule is None:
        raise ValueError(
            f"rule=None: expected a Rule or the name of one ({', '.join(RULES)}), a list of them "
            "from the output's layer to the input's, or a list of (condition on a layer, rule)"
        )
    one_of("bn_layer_fuse_mode", bn_layer_fuse_mode, FUSE_MODES)
    rule_of = _rule_of(target, rule)
    if until_layer_idx is not None and until_layer_rule is not None:
        rule_of = _until(target, until_layer_idx, until_layer_rule, rule_of)
    if input_layer_rule is not None:
        rule_of = _with_first(_named_rule("input_layer_rule", input_layer_rule), rule_of)
    scaling: Step = composites.by_statistics
    if bn_layer_rule is not None:
        scaling = composites.by_rule_of_scaling(
            _named_rule("bn_layer_rule", bn_layer_rule), bn_layer_fuse_mode
        )
    return _by(target, composites.layerwise(rule_of, scaling))


def _with_first(first: Rule, others: RuleOf) -> RuleOf:
    return lambda place: first if place.is_first else others(place)


def _until(target: Target, index: Any, rule: Any, others: RuleOf) -> RuleOf:
    layers = target.model.layers
    last = layer_index("until_layer_idx", index, len(layers))
    names = {layer.name for layer in layers[: last + 1]}
    found = _named_rule("until_layer_rule", rule)
    # The layers of a model that is a layer are named after it: "model/layer".
    return lambda place: found if place.operation.name.partition("/")[0] in names else others(place)


def _rule_of(target: Target, rule: Any) -> RuleOf:
    if not isinstance(rule, (list, tuple)):
        found = _named_rule("rule", rule)
        return lambda place: found
    if rule and all(isinstance(one, tuple) and len(one) == 2 for one in rule):
        conditions = [(condition, _named_rule("rule", one)) for condition, one in rule]
        return partial(_first_that_applies, target, conditions)
    return _in_turn(target, [_named_rule("rule", one) for one in rule])


def _first_that_applies(
    target: Target, conditions: Sequence[tuple[Callable[[Any], bool], Rule]], place: Place
) -> Rule:
    layer = target.reading.keras_layers[place.operation.name]
    for condition, rule in conditions:
        if condition(layer):
            return rule
    raise ValueError(
        f"rule: no condition applies to layer {layer.name!r}; end with (lambda layer: True, rule)"
    )


def _in_turn(target: Target, rules: Sequence[Rule]) -> RuleOf:
    graph = target.reading.graph
    weighted = [
        graph.operations[position].name
        for position in graph.ancestors([target.position])
        if isinstance(graph.operations[position], (Matrix, *CONVOLUTIONS))
    ]
    names = list(dict.fromkeys(weighted))
    if len(names) != len(rules):
        raise ValueError(
            f"rule: expected a rule for each of the {len(names)} layers with weights, from the "
            f"output's to the input's ({', '.join(reversed(names))}), came {len(rules)}"
        )
    of_layer = dict(zip(reversed(names), rules))
    return lambda place: of_layer[place.operation.name]


def lrp_by(rule: str) -> Callable[..., Explainer]:
    """Return a method of one rule, for weighted sums and for batch normalisation alike."""

    def make(
        target: Target,
        *,
        input_layer_rule: Any = None,
        until_layer_idx: int | None = None,
        until_layer_rule: Any = None,
        bn_layer_fuse_mode: str = "one_linear",
    ) -> Explainer:
        return lrp(
            target,
            rule=rule,
            input_layer_rule=input_layer_rule,
            until_layer_idx=until_layer_idx,
            until_layer_rule=until_layer_rule,
            bn_layer_rule=rule,
            bn_layer_fuse_mode=bn_layer_fuse_mode,
        )

    return make


def lrp_epsilon(
    target: Target, *, epsilon: float = 1e-7, bias: bool = True, input_layer_rule: Any = None
) -> Explainer:
    """Propagate relevance by the epsilon rule, for weighted sums and for batch normalisation."""
    rule = epsilon_rule(epsilon, bias)
    return lrp(target, rule=rule, input_layer_rule=input_layer_rule, bn_layer_rule=rule)


def lrp_alpha_beta(
    target: Target,
    *,
    alpha: float | None = None,
    beta: float | None = None,
    bias: bool | str = True,
    input_layer_rule: Any = None,
) -> Explainer:
    """Propagate relevance by an alpha-beta rule; `bias="split"` is as published."""
    rule = alpha_beta(alpha, beta, bias)
    return lrp(target, rule=rule, input_layer_rule=input_layer_rule, bn_layer_rule=rule)


def sequential_preset(convolutions: str, *, flat: bool = False) -> Callable[..., Explainer]:
    """Return a method of epsilon in dense layers and another rule in convolutions."""

    def make(
        target: Target,
        *,
        epsilon: float = 0.1,
        bn_layer_rule: Any = "AlphaBetaX2m100",
        input_layer_rule: Any = "Flat" if flat else None,
    ) -> Explainer:
        return _sequential(target, convolutions, epsilon, bn_layer_rule, input_layer_rule, None)

    return make


def sequential_preset_until(
    target: Target,
    *,
    until_layer_idx: int | None = None,
    epsilon: float = 0.1,
    bn_layer_rule: Any = "AlphaBetaX2m100",
) -> Explainer:
    """Propagate relevance by the preset B, with the flat rule up to a layer."""
    return _sequential(target, "Alpha2Beta1", epsilon, bn_layer_rule, "Flat", until_layer_idx)


def _sequential(
    target: Target,
    convolutions: str,
    epsilon: float,
    bn_layer_rule: Any,
    input_layer_rule: Any,
    until_layer_idx: int | None,
) -> Explainer:
    dense, convolutional = epsilon_rule(epsilon), RULES[convolutions]

    def of_kind(place: Place) -> Rule:
        return dense if isinstance(place.operation, Matrix) else convolutional

    rule_of: RuleOf = of_kind
    if until_layer_idx is not None:
        rule_of = _until(target, until_layer_idx, "Flat", rule_of)
    if input_layer_rule is not None:
        rule_of = _with_first(_named_rule("input_layer_rule", input_layer_rule), rule_of)
    scaling = composites.by_rule_of_scaling(_named_rule("bn_layer_rule", bn_layer_rule))
    return _by(target, composites.layerwise(rule_of, scaling))


def deep_taylor(target: Target, *, input_layer_rule: Any = None) -> Explainer:
    """Decompose a positive activity; `input_layer_rule="WSquare"` is as published."""
    first = None
    if input_layer_rule is not None:
        first = _named_rule("input_layer_rule", input_layer_rule)
    return _taylor(target, first)


def deep_taylor_bounded(
    target: Target, *, low: float | None = None, high: float | None = None
) -> Explainer:
    """Decompose a positive activity over inputs between two bounds."""
    if low is None or high is None:
        raise ValueError(
            f"low={low!r}, high={high!r}: expected the lowest and the highest value that an input "
            "can have, such as low=0, high=1"
        )
    return _taylor(target, bounded(low, high))


def _taylor(target: Target, first: Rule | None) -> Explainer:
    def rule_of(place: Place) -> Rule:
        return first if first is not None and place.is_first else RULES["Alpha1Beta0IgnoreBias"]

    return _by(target, composites.deep_taylor(rule_of))
