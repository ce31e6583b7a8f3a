"""Every method by its name: from a network and the method's arguments to what explains a neuron."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from typing import Any

from insens_tf.arguments import did_you_mean
from insens_tf.errors import UnknownArgumentError
from insens_tf.relevance.explained_neurons import Explainer, Target
from insens_tf.relevance.gradient_methods import (
    gradient,
    input_itself,
    input_times_gradient,
    integrated_gradients,
    noisy_input,
    smoothgrad,
)
from insens_tf.relevance.rule_methods import (
    deconvnet,
    deep_taylor,
    deep_taylor_bounded,
    guided_backprop,
    lrp,
    lrp_alpha_beta,
    lrp_by,
    lrp_epsilon,
    sequential_preset,
    sequential_preset_until,
)

__all__ = ["EXPLAINERS", "explainer"]


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
    UnknownArgumentError
        If the method does not take an argument.
    ValueError
        If an argument is out of range, or missing.
    """
    make = EXPLAINERS[name]
    known = [one for one in inspect.signature(make).parameters if one != "target"]
    for argument in arguments:
        if argument not in known:
            takes = f"its arguments are {', '.join(known)}" if known else "it has none"
            raise UnknownArgumentError(
                f"{name!r} does not take {argument}={arguments[argument]!r}; {takes}"
                f"{did_you_mean(argument, known)}"
            )
    return make(target, **arguments)


EXPLAINERS: dict[str, Callable[..., Explainer]] = {
    "input": input_itself,
    "random": noisy_input,
    "gradient": gradient,
    "gradient.baseline": gradient,
    "input_t_gradient": input_times_gradient,
    "deconvnet": deconvnet,
    "guided_backprop": guided_backprop,
    "integrated_gradients": integrated_gradients,
    "smoothgrad": smoothgrad,
    "lrp": lrp,
    "lrp.z": lrp_by("Z"),
    "lrp.epsilon": lrp_epsilon,
    "lrp.w_square": lrp_by("WSquare"),
    "lrp.flat": lrp_by("Flat"),
    "lrp.alpha_beta": lrp_alpha_beta,
    "lrp.alpha_2_beta_1": lrp_by("Alpha2Beta1"),
    "lrp.alpha_2_beta_1_IB": lrp_by("Alpha2Beta1IgnoreBias"),
    "lrp.alpha_1_beta_0": lrp_by("Alpha1Beta0"),
    "lrp.alpha_1_beta_0_IB": lrp_by("Alpha1Beta0IgnoreBias"),
    "lrp.z_plus": lrp_by("ZPlus"),
    "lrp.z_plus_fast": lrp_by("ZPlusFast"),
    "lrp.sequential_preset_a": sequential_preset("Alpha1Beta0"),
    "lrp.sequential_preset_b": sequential_preset("Alpha2Beta1"),
    "lrp.sequential_preset_a_flat": sequential_preset("Alpha1Beta0", flat=True),
    "lrp.sequential_preset_b_flat": sequential_preset("Alpha2Beta1", flat=True),
    "lrp.sequential_preset_b_flat_until_idx": sequential_preset_until,
    "deep_taylor": deep_taylor,
    "deep_taylor.bounded": deep_taylor_bounded,
}
"""The methods, by the names that iNNvestigate has for them."""
