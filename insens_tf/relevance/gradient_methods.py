"""Methods of gradients: where they are taken, and what is done with them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from insens_tf.arguments import whole_number
from insens_tf.noise_draws import Noise
from insens_tf.relevance.averaged_gradients import IntegratedGradients, SmoothGrad
from insens_tf.relevance.exact_integrated_gradients import ExactIntegratedGradients
from insens_tf.relevance.explained_neurons import Explainer, Target

__all__ = [
    "gradient",
    "input_itself",
    "input_times_gradient",
    "integrated_gradients",
    "noisy_input",
    "smoothgrad",
]

POSTPROCESSES: dict[str | None, Callable[[Any], Any] | None] = {
    None: None,
    "abs": abs,
    "square": lambda gradients: gradients * gradients,
}


def input_itself(target: Target) -> Explainer:
    """Return the input as it is."""
    return lambda x, neurons, mode, advance: x.copy()


def noisy_input(target: Target, *, stddev: float = 1.0, seed: int | None = None) -> Explainer:
    """Add noise to the input."""
    noise = Noise(stddev, seed, "stddev")

    def explain(x: np.ndarray, neurons: Any, mode: str, advance: Any) -> np.ndarray:
        (drawn,) = noise.draw(noise.source(), range(len(x)), [x.shape[1:]])
        return x + drawn.astype(x.dtype)

    return explain


def gradient(target: Target, *, postprocess: str | None = None) -> Explainer:
    """Take the gradient of the neuron, or its magnitude or square."""
    of_gradient = _postprocess(postprocess)
    gradients = target.gradients()

    def explain(x: np.ndarray, neurons: Any, mode: str, advance: Any) -> np.ndarray:
        maps = gradients(x, neurons, mode)
        return maps if of_gradient is None else of_gradient(maps)

    return explain


def input_times_gradient(target: Target, *, postprocess: str | None = None) -> Explainer:
    """Multiply the input by the gradient."""
    gradients = gradient(target, postprocess=postprocess)
    return lambda x, *explained: x * gradients(x, *explained)


def _postprocess(name: Any) -> Callable[[Any], Any] | None:
    if name not in POSTPROCESSES:
        raise ValueError(f"postprocess={name!r}: expected None, 'abs' or 'square'")
    return POSTPROCESSES[name]


def integrated_gradients(
    target: Target,
    *,
    steps: Any = 64,
    reference_inputs: Any = 0,
    postprocess: str | None = None,
) -> Explainer:
    """Multiply the way from a reference by the mean gradient on it."""
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
    if isinstance(steps, str):
        if steps != "exact":
            raise ValueError(f"steps={steps!r}: expected a whole number, at least 1, or 'exact'")
        if postprocess is not None:
            raise ValueError(
                f"postprocess={postprocess!r}: expected None with steps='exact', which is an "
                "integral of gradients as they are; choose a number of steps"
            )
        return ExactIntegratedGradients(target, reference)
    return IntegratedGradients(
        graph,
        target.position,
        target.memory_budget,
        whole_number("steps", steps, least=1),
        reference,
        _postprocess(postprocess),
    )


def smoothgrad(
    target: Target,
    *,
    augment_by_n: int = 64,
    noise_scale: float = 1.0,
    postprocess: str | None = None,
    seed: int | None = None,
) -> Explainer:
    """Take the mean gradient over noisy copies."""
    return SmoothGrad(
        target.reading.graph,
        target.position,
        target.memory_budget,
        whole_number("augment_by_n", augment_by_n, least=1),
        Noise(noise_scale, seed),
        _postprocess(postprocess),
    )
