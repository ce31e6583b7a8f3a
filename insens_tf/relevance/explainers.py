"""Every method by its name: from a network and the method's arguments to what explains a neuron."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from insens_tf.noise_draws import Noise
from insens_tf.operations import Matrix
from insens_tf.reading import Reading
from insens_tf.relevance import composites
from insens_tf.relevance.averaged_gradients import IntegratedGradients, SmoothGrad
from insens_tf.relevance.composites import CONVOLUTIONS, Composite, Place, RuleOf, Step
from insens_tf.relevance.rules import RULES, Rule, alpha_beta, bounded, epsilon_rule
from insens_tf.relevance.sweep import GradientSweep, RelevanceSweep

__all__ = ["EXPLAINERS", "Target", "explainer"]

Explainer = Callable[..., np.ndarray]
"""From inputs, neurons, mode and what to tell of progress to maps of the inputs' shape."""

POSTPROCESSES: dict[str | None, Callable[[Any], Any] | None] = {
    None: None,
    "abs": abs,
    "square": lambda gradients: gradients * gradients,
}


@dataclass(frozen=True)
class Target:
    """What is explained, and with how much memory.

    Attributes
    ----------
    model : Keras model
    reading : Reading
        What it was read as.
    position : int
        The neurons' layer, in the graph.
    memory_budget : int
        In bytes.
    """

    model: Any
    reading: Reading
    position: int
    memory_budget: int

    def gradients(self) -> GradientSweep:
        """Return what takes gradients of its neurons."""
        return GradientSweep(self.reading.graph, self.position, self.memory_budget)

    def relevance(self, composite: Composite) -> RelevanceSweep:
        """Return what takes relevance of its neurons back."""
        return RelevanceSweep(self.reading.graph, self.position, self.memory_budget, composite)


def explainer(name: str, target: Target, arguments: Mapping[str, Any]) -> Explainer:
    """Return what explains neurons of a target by a method.

    Parameters
    ----------
    name : str
        A name in `EXPLAINERS`.
    target : Target
    arguments : mapping of str
        The method's own.

    Raises
    ------
    TypeError
        If the method does not take an argument, or lacks one.
    ValueError
        If an argument is out of range.
    """
    make = EXPLAINERS[name]
    known = [one for one in inspect.signature(make).parameters if one != "target"]
    for argument in arguments:
        if argument not in known:
            takes = f"its arguments are {', '.join(known)}" if known else "it has none"
            raise TypeError(f"{name!r} does not take {argument}={arguments[argument]!r}; {takes}")
    return make(target, **arguments)


# --- gradients -----------------------------------------------------------------------------------


def _input(target: Target) -> Explainer:
    return lambda x, neurons, mode, advance: x.copy()


def _random(target: Target, *, stddev: float = 1.0, seed: int | None = None) -> Explainer:
    noise = Noise(stddev, seed, "stddev")

    def explain(x: np.ndarray, neurons: Any, mode: str, advance: Any) -> np.ndarray:
        (drawn,) = noise.draw(noise.source(), range(len(x)), [x.shape[1:]])
        return x + drawn.astype(x.dtype)

    return explain


def _gradient(target: Target, *, postprocess: str | None = None) -> Explainer:
    of_gradient = _postprocess(postprocess)
    gradients = target.gradients()

    def explain(x: np.ndarray, neurons: Any, mode: str, advance: Any) -> np.ndarray:
        maps = gradients(x, neurons, mode)
        return maps if of_gradient is None else of_gradient(maps)

    return explain


def _input_times_gradient(target: Target, *, postprocess: str | None = None) -> Explainer:
    gradients = _gradient(target, postprocess=postprocess)
    return lambda x, *explained: x * gradients(x, *explained)


def _postprocess(name: Any) -> Callable[[Any], Any] | None:
    if name not in POSTPROCESSES:
        raise ValueError(f"postprocess={name!r}: expected None, 'abs' or 'square'")
    return POSTPROCESSES[name]


def _integrated_gradients(
    target: Target,
    *,
    steps: int = 64,
    reference_inputs: Any = 0,
    postprocess: str | None = None,
) -> Explainer:
    graph = target.reading.graph
    dtype = graph.dtype.as_numpy_dtype
    try:
        reference = np.broadcast_to(np.asarray(reference_inputs, dtype), (1, *graph.input_shape))
    except (TypeError, ValueError) as error:
        raise ValueError(
            "reference_inputs: expected a number or an array that broadcasts to "
            f"{(1, *graph.input_shape)}; {error}"
        ) from error
    if not np.isfinite(reference).all():
        raise ValueError("reference_inputs: expected finite numbers, came NaN or infinity")
    return IntegratedGradients(
        graph,
        target.position,
        target.memory_budget,
        _count("steps", steps),
        reference,
        _postprocess(postprocess),
    )


def _smoothgrad(
    target: Target,
    *,
    augment_by_n: int = 64,
    noise_scale: float = 1.0,
    postprocess: str | None = None,
    seed: int | None = None,
) -> Explainer:
    return SmoothGrad(
        target.reading.graph,
        target.position,
        target.memory_budget,
        _count("augment_by_n", augment_by_n),
        Noise(noise_scale, seed),
        _postprocess(postprocess),
    )


def _count(argument: str, value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, (int, np.integer)) or value < 1:
        raise ValueError(f"{argument}={value!r}: expected a whole number of at least 1")
    return int(value)


def _deconvnet(target: Target) -> Explainer:
    return _by(target, composites.deconvolution)


def _guided_backprop(target: Target) -> Explainer:
    return _by(target, composites.guided)


def _by(target: Target, composite: Composite) -> Explainer:
    sweep = target.relevance(composite)
    return lambda x, neurons, mode, advance: sweep(x, neurons, mode)


# --- rules ---------------------------------------------------------------------------------------


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


def _lrp(
    target: Target,
    *,
    rule: Any = None,
    input_layer_rule: Any = None,
    until_layer_idx: int | None = None,
    until_layer_rule: Any = None,
    bn_layer_rule: Any = None,
    bn_layer_fuse_mode: str = "one_linear",
) -> Explainer:
    if rule is None:
        raise ValueError(
            f"rule=None: expected a Rule or the name of one ({', '.join(RULES)}), a list of them "
            "from the output's layer to the input's, or a list of (condition on a layer, rule)"
        )
    if bn_layer_fuse_mode not in ("one_linear", "two_linear"):
        raise ValueError(
            f"bn_layer_fuse_mode={bn_layer_fuse_mode!r}: expected one of 'one_linear', 'two_linear'"
        )
    rule_of = _rule_of(target, rule)
    if until_layer_idx is not None and until_layer_rule is not None:
        rule_of = _until(target, until_layer_idx, until_layer_rule, rule_of)
    if input_layer_rule is not None:
        rule_of = _with_first(_named_rule("input_layer_rule", input_layer_rule), rule_of)
    scaling: Step = composites.by_statistics
    if bn_layer_rule is not None:
        scaling = composites.by_rule_of_scaling(
            _named_rule("bn_layer_rule", bn_layer_rule), in_two=bn_layer_fuse_mode == "two_linear"
        )
    return _by(target, composites.layerwise(rule_of, scaling))


def _with_first(first: Rule, others: RuleOf) -> RuleOf:
    return lambda place: first if place.is_first else others(place)


def _until(target: Target, index: Any, rule: Any, others: RuleOf) -> RuleOf:
    layers = target.model.layers
    if not isinstance(index, (int, np.integer)) or not 0 <= index < len(layers):
        raise ValueError(
            f"until_layer_idx={index!r}: expected an index into the model's {len(layers)} layers"
        )
    names = {layer.name for layer in layers[: index + 1]}
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


def _fixed(rule: str) -> Callable[..., Explainer]:
    """Return a method of one rule, for weighted sums and for batch normalisation alike."""

    def make(
        target: Target,
        *,
        input_layer_rule: Any = None,
        until_layer_idx: int | None = None,
        until_layer_rule: Any = None,
        bn_layer_fuse_mode: str = "one_linear",
    ) -> Explainer:
        return _lrp(
            target,
            rule=rule,
            input_layer_rule=input_layer_rule,
            until_layer_idx=until_layer_idx,
            until_layer_rule=until_layer_rule,
            bn_layer_rule=rule,
            bn_layer_fuse_mode=bn_layer_fuse_mode,
        )

    return make


def _epsilon(
    target: Target, *, epsilon: float = 1e-7, bias: bool = True, input_layer_rule: Any = None
) -> Explainer:
    rule = epsilon_rule(epsilon, bias)
    return _lrp(target, rule=rule, input_layer_rule=input_layer_rule, bn_layer_rule=rule)


def _alpha_beta(
    target: Target,
    *,
    alpha: float | None = None,
    beta: float | None = None,
    bias: bool = True,
    input_layer_rule: Any = None,
) -> Explainer:
    rule = alpha_beta(alpha, beta, bias)
    return _lrp(target, rule=rule, input_layer_rule=input_layer_rule, bn_layer_rule=rule)


def _preset(convolutions: str, *, flat: bool = False) -> Callable[..., Explainer]:
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


def _preset_until(
    target: Target,
    *,
    until_layer_idx: int | None = None,
    epsilon: float = 0.1,
    bn_layer_rule: Any = "AlphaBetaX2m100",
) -> Explainer:
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


def _deep_taylor(target: Target) -> Explainer:
    return _taylor(target, None)


def _deep_taylor_bounded(
    target: Target, *, low: float | None = None, high: float | None = None
) -> Explainer:
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


EXPLAINERS: dict[str, Callable[..., Explainer]] = {
    "input": _input,
    "random": _random,
    "gradient": _gradient,
    "gradient.baseline": _gradient,
    "input_t_gradient": _input_times_gradient,
    "deconvnet": _deconvnet,
    "guided_backprop": _guided_backprop,
    "integrated_gradients": _integrated_gradients,
    "smoothgrad": _smoothgrad,
    "lrp": _lrp,
    "lrp.z": _fixed("Z"),
    "lrp.epsilon": _epsilon,
    "lrp.w_square": _fixed("WSquare"),
    "lrp.flat": _fixed("Flat"),
    "lrp.alpha_beta": _alpha_beta,
    "lrp.alpha_2_beta_1": _fixed("Alpha2Beta1"),
    "lrp.alpha_2_beta_1_IB": _fixed("Alpha2Beta1IgnoreBias"),
    "lrp.alpha_1_beta_0": _fixed("Alpha1Beta0"),
    "lrp.alpha_1_beta_0_IB": _fixed("Alpha1Beta0IgnoreBias"),
    "lrp.z_plus": _fixed("ZPlus"),
    "lrp.z_plus_fast": _fixed("ZPlusFast"),
    "lrp.sequential_preset_a": _preset("Alpha1Beta0"),
    "lrp.sequential_preset_b": _preset("Alpha2Beta1"),
    "lrp.sequential_preset_a_flat": _preset("Alpha1Beta0", flat=True),
    "lrp.sequential_preset_b_flat": _preset("Alpha2Beta1", flat=True),
    "lrp.sequential_preset_b_flat_until_idx": _preset_until,
    "deep_taylor": _deep_taylor,
    "deep_taylor.bounded": _deep_taylor_bounded,
}
"""The methods, by the names that iNNvestigate has for them."""
