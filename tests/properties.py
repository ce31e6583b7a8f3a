"""What holds of every network and input, checked of a random model.

`check` compares a `SwitchedNetwork` with Keras, with the oracle and with itself, and raises
`Disagreement` where they differ. Where rounding alone decides a state, the oracle itself gives
different answers to inputs and weights that differ by as much as rounding does; such inputs are
left out, and if none is left, `Undecided` is raised. Where all arithmetic is exact, none is.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from insens_tf import HiddenLayer, SwitchedNetwork, UnreadableModelError
from insens_tf.operations import ChannelScaling, Gate
from insens_tf.row_norms import WAYS
from tests.oracle import Oracle, Reference
from tests.random_models import RandomModel, draw_weights

TOLERANCE = {"float64": 1e-9, "float32": 2e-3}
"""By dtype, of the largest value that the compared numbers are made of."""

ROUNDING = {"float64": 1e-13, "float32": 1e-6}
"""By dtype, about what rounding adds up to; relative."""

LEFT_OVER = 1e-20
"""What cancelling numbers of about 1 leave that is smaller is rounding alone, times a tolerance."""

STATES = ("inactive", "active", "all")


class Disagreement(AssertionError):
    """The network does not compute what it should."""


class Undecided(Exception):
    """Rounding decides what is right."""


def check(case: RandomModel, *, thorough: bool = True) -> list[str]:
    """Raise `Disagreement` unless the case's network does all that it should.

    Returns the ways to the row norms that were compared: not all can do every layer, and whoever
    tries many models can see that each way was tried.

    With `thorough` not set, what takes TensorFlow many more traces is left out: other states, all
    layers in one sweep, every way to the row norms, memory budgets, frequency and estimate.
    """
    try:
        network = SwitchedNetwork(case.model)
    except UnreadableModelError:
        if case.readable:
            raise
        return []
    if not case.readable:
        raise Disagreement("read, but for the settings of a layer that no rule knows")
    try:
        return _check(network, case, thorough=thorough)
    except Disagreement:
        # Only now, because it takes longer than all else.
        stable = np.ones(len(case.x), bool) if case.exact else _stable(case)
        if stable.all():
            raise
        if not stable.any():
            raise Undecided(repr(case)) from None
        return _check(network, replace(case, x=case.x[stable]), thorough=thorough)


def _check(network: SwitchedNetwork, case: RandomModel, *, thorough: bool) -> list[str]:
    *hidden, logits = Oracle(case.model).references(case.x)
    activities = network.activity(case.x, [*network.layers, network.output])
    pairs = _paired(network, hidden, activities)
    _output_is_keras_own(case, activities[network.output.name], logits)
    if not pairs:
        return []
    # Any, but of a case always the same.
    chosen = pairs[len(repr(case)) % len(pairs)]
    _projection_is_the_oracles(network, case.x, *chosen)
    omega = _insens_is_the_oracles(network, case.x, *chosen)
    _inputs_are_apart(network, case.x, chosen[0], omega)
    if not thorough:
        _later_weights_are_seen(network, case)
        return []
    _states_are_the_oracles(network, case.x, *chosen)
    _layers_are_apart(network, case.x, pairs)
    _budget_changes_nothing(case, chosen[0], omega)
    _frequency_is_a_count(network, case.x, pairs)
    _estimate_is_repeatable(network, case.x, chosen[0])
    _estimate_is_near(network, case.x, *chosen)
    ways = _ways_that_agree(network, case.x, *chosen)
    if case.x.dtype == np.float64 and len(case.x) > 1:
        _regions_are_the_oracles(network, case)
    _later_weights_are_seen(network, case)
    return ways


def agree(what: str, actual: Any, expected: Any, scale: Any = None) -> None:
    """Raise `Disagreement` unless numbers are equal, to the tolerance of actual's dtype.

    `scale`, which broadcasts to them, is what they are made of where that is larger than they are.
    """
    actual, expected = np.asarray(actual), np.asarray(expected, np.float64)
    if actual.shape != expected.shape:
        raise Disagreement(f"{what}: shape {actual.shape}, expected {expected.shape}")
    tolerance = TOLERANCE[actual.dtype.name]
    axes = tuple(range(1, expected.ndim))
    with np.errstate(invalid="ignore"):
        largest = np.nanmax(np.abs(expected), axis=axes, keepdims=True, initial=0.0)
        allowed = tolerance * np.maximum(largest, 0.0 if scale is None else scale)
        off = ~(np.abs(actual - expected) <= allowed) & ~(np.isnan(actual) & np.isnan(expected))
    if off.any():
        first = tuple(int(one) for one in np.argwhere(off)[0])
        raise Disagreement(
            f"{what}: {int(off.sum())} of {off.size} differ; at {first} {actual[first]!r}, "
            f"expected {expected[first]!r} to {np.broadcast_to(allowed, off.shape)[first]:.1e}"
        )


def _paired(
    network: SwitchedNetwork, references: list[Reference], activities: dict[str, np.ndarray]
) -> list[tuple[HiddenLayer, Reference]]:
    """Each hidden layer with what the oracle says of it; they may come in another order.

    Uses of one layer have one name for the oracle; of these, the one whose activity is nearest.
    """
    if len(network.layers) != len(references):
        raise Disagreement(f"layers: {network.layers}, expected {[one.name for one in references]}")
    left = list(references)
    pairs = []
    for layer in network.layers:
        flat = activities[layer.name].reshape(len(activities[layer.name]), -1)
        name = layer.name.split("/")[-1].split(":")[0]
        named = None if _is_named_after_its_gate(network, layer) else name
        alike = [one for one in left if one.shape == layer.shape and named in (None, one.name)]
        if not alike:
            raise Disagreement(f"{layer} is none of {[(one.name, one.shape) for one in left]}")
        found = min(alike, key=lambda one: np.abs(one.activity - flat).max())
        left = [one for one in left if one is not found]
        agree(f"activity of {layer.name}", flat, found.activity)
        pairs.append((layer, found))
    return pairs


def _is_named_after_its_gate(network: SwitchedNetwork, layer: HiddenLayer) -> bool:
    """Whether no layer is before it; a threshold is taken off the input in the gate's name."""
    operations = network._graph.operations
    is_threshold = operations[layer.position].operands == (0,) and any(
        isinstance(one, Gate)
        and one.operands == (layer.position,)
        and one.name == operations[layer.position].name
        for one in operations
    )
    only_scales = isinstance(operations[layer.position], ChannelScaling)
    return layer.position == 0 or (is_threshold and only_scales)


def _output_is_keras_own(case: RandomModel, activity: np.ndarray, logits: Reference) -> None:
    """The network's last activity, through the activation that was looked through, is Keras'."""
    agree("output", activity.reshape(len(case.x), -1), logits.activity)
    through = AT_THE_OUTPUT[case.model.layers[-1].get_config()["activation"]]
    # Keras interpolates in float32, whatever the dtype.
    dtype = "float32" if "bilinear" in repr(case) else case.x.dtype
    output = np.asarray(case.model(case.x)).astype(dtype)
    agree("Keras' output", output, through(np.asarray(activity, float)))


def _sigmoid(values: np.ndarray) -> np.ndarray:
    with np.errstate(over="ignore"):
        return 1 / (1 + np.exp(-values))


def _softmax(values: np.ndarray) -> np.ndarray:
    powers = np.exp(values - values.max(axis=-1, keepdims=True))
    return powers / powers.sum(axis=-1, keepdims=True)


AT_THE_OUTPUT: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "linear": np.asarray,
    "sigmoid": _sigmoid,
    "softmax": _softmax,
}
"""What the activations do that are looked through."""


def _projection_is_the_oracles(
    network: SwitchedNetwork, x: np.ndarray, layer: HiddenLayer, reference: Reference
) -> None:
    """Eq. 2 to 5: v = x w + b, its centre and contributions, and the identities between them."""
    projection = network.project(x, layer)
    name = layer.name
    flat = (*reference.activity.shape, -1)
    inputs = x.reshape(len(x), 1, -1).astype(np.float64)
    # What v = x w + b is made of, and of how much; rounding is relative to that.
    parts = np.abs(inputs * reference.weights.reshape(flat)).sum(axis=-1)
    parts = (parts + np.abs(reference.activity)).max(axis=1, keepdims=True)
    # They may be what is left of larger numbers that cancel, such as an activity and a threshold.
    parts = np.maximum(parts, LEFT_OVER)
    agree(f"project {name}: activity", projection.activity, reference.activity)
    agree(f"project {name}: weights", projection.weights, reference.weights)
    agree(f"project {name}: bias", projection.bias, reference.bias, parts)
    w, centre, contribution = (
        np.asarray(one, np.float64).reshape(flat)
        for one in (projection.weights, projection.centre, projection.contribution)
    )
    v, bias = (one.astype(np.float64) for one in (projection.activity, projection.bias))
    dtype = network.dtype
    dead = ~w.any(axis=-1)
    if not (np.isnan(centre).all(axis=-1) == dead).all() or np.isnan(centre[~dead]).any():
        raise Disagreement(f"project {name}: NaN where there is a centre, or none where not")
    length = np.where(dead, np.nan, np.sqrt((w**2).sum(axis=-1)))
    reach = np.abs(inputs).max() + np.nanmax(np.abs(v / length), initial=0.0)
    products = (inputs * w).sum(axis=-1)
    agree(f"project {name}: x w + b", (products + bias).astype(dtype), v, parts)
    at_root = ((centre * w).sum(axis=-1) + bias).astype(dtype)
    sizes = parts + reach * np.nan_to_num(length)
    agree(f"project {name}: the centre is a root", at_root, np.where(dead, np.nan, 0.0), sizes)
    omega = inputs - centre
    agree(
        f"project {name}: x - c is along w, and abs(v)/norm(w) long",
        omega.astype(dtype),
        (v / length)[..., None] * (w / length[..., None]),
        np.full((*v.shape, 1), reach),
    )
    agree(
        f"project {name}: contributions add up to v",
        contribution.sum(axis=-1).astype(dtype),
        np.where(dead, np.nan, v),
        parts,
    )


def _insens_is_the_oracles(
    network: SwitchedNetwork, x: np.ndarray, layer: HiddenLayer, reference: Reference
) -> np.ndarray:
    """Eq. 8, with a frequency; returns the maps without."""
    frequency = np.random.default_rng(0).uniform(-0.2, 1.2, layer.shape).clip(0, 1)
    omega, weighted = network.insens(x, layer), network.insens(x, layer, frequency)
    sizes = _largest_terms(reference)
    agree(f"insens of {layer.name}", omega, reference.insens(), sizes)
    expected = reference.insens(frequency)
    agree(f"insens of {layer.name} with a frequency", weighted, expected, sizes)
    return omega


def _states_are_the_oracles(
    network: SwitchedNetwork, x: np.ndarray, layer: HiddenLayer, reference: Reference
) -> None:
    """Inactive and active neurons, and all, which is their sum."""
    sizes = _largest_terms(reference)
    maps = {state: network.insens(x, layer, state=state) for state in STATES}
    for state, omega in maps.items():
        agree(f"insens of {layer.name}, {state}", omega, reference.insens(state=state), sizes)
    both = maps["inactive"] + maps["active"]
    agree(f"insens of {layer.name}: inactive + active", both, maps["all"], sizes)


def _layers_are_apart(
    network: SwitchedNetwork, x: np.ndarray, pairs: list[tuple[HiddenLayer, Reference]]
) -> None:
    """In one sweep over all layers each gets its own map."""
    maps = network.insens(x, list(network.layers))
    for layer, reference in pairs:
        expected, sizes = reference.insens(), _largest_terms(reference)
        agree(f"insens of {layer.name} among all layers", maps[layer.name], expected, sizes)


def _largest_terms(reference: Reference) -> np.ndarray:
    """The longest omega of each input, (n, 1, ...): what Insens is a sum of."""
    lengths = np.sqrt((reference.weights.reshape(*reference.activity.shape, -1) ** 2).sum(axis=-1))
    omegas = np.divide(
        np.abs(reference.activity), lengths, out=np.zeros_like(lengths), where=lengths > 0
    )
    return omegas.max(axis=1).reshape(-1, *[1] * (reference.x.ndim - 1))


def _frequency_is_a_count(
    network: SwitchedNetwork, x: np.ndarray, pairs: list[tuple[HiddenLayer, Reference]]
) -> None:
    frequency = network.activation_frequency(x, batch_size=1, progress=False)
    for layer, reference in pairs:
        if not np.array_equal(frequency.counts[layer.name], reference.count):
            raise Disagreement(f"activation frequency of {layer.name} is no count of v > 0")


def _inputs_are_apart(
    network: SwitchedNetwork, x: np.ndarray, layer: HiddenLayer, omega: np.ndarray
) -> None:
    """An input's map depends neither on the others nor on its place among them."""
    backwards = network.insens(x[::-1], layer)[::-1]
    agree(f"insens of {layer.name}, inputs permuted", backwards, omega)
    agree(f"insens of {layer.name}, one input", network.insens(x[:1], layer), omega[:1])


def _ways_that_agree(
    network: SwitchedNetwork, x: np.ndarray, layer: HiddenLayer, reference: Reference
) -> list[str]:
    expected, sizes = reference.insens(), _largest_terms(reference)
    needed = {layer.position: float(layer.neurons)}
    possible = [
        way
        for way, kind in WAYS.items()
        if kind.cost(network._graph, needed, network.memory_budget).is_possible
    ]
    for way in possible:
        omega = network.insens(x, layer, way=way)
        agree(f"insens of {layer.name}, way={way!r}", omega, expected, sizes)
        again = network.insens(x, layer, way=way)
        if not np.array_equal(omega, again, equal_nan=True):
            raise Disagreement(f"insens of {layer.name}, way={way!r}: another map at each call")
    return possible


def _budget_changes_nothing(case: RandomModel, layer: HiddenLayer, omega: np.ndarray) -> None:
    tight = SwitchedNetwork(case.model, memory_budget=2**20)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Insens takes about", RuntimeWarning)
        found = tight.insens(case.x, layer.name)
    agree(f"insens of {layer.name}, smallest memory_budget", found, omega)


def _estimate_is_repeatable(network: SwitchedNetwork, x: np.ndarray, layer: HiddenLayer) -> None:
    one, other = (network.estimate_insens(x, layer, probes=16, seed=5) for _ in range(2))
    for name in ("omega", "standard_error"):
        values = getattr(one, name)
        if not np.isfinite(values).all():
            raise Disagreement(f"estimate of {layer.name}: {name} is not finite")
        if not np.array_equal(values, getattr(other, name)):
            raise Disagreement(f"estimate of {layer.name}: {name} differs for one seed")


def _estimate_is_near(
    network: SwitchedNetwork, x: np.ndarray, layer: HiddenLayer, reference: Reference
) -> None:
    """Far from exact with so few probes, but no other map and no map of nothing."""
    estimate = network.estimate_insens(x, layer, probes=64, seed=1)
    expected, sizes = reference.insens(), _largest_terms(reference)
    error = np.abs(estimate.omega - expected).reshape(len(x), -1).max(axis=1)
    allowed = np.maximum(np.abs(expected).reshape(len(x), -1).max(axis=1), sizes.reshape(-1))
    if not (error <= 1.5 * allowed).all():
        raise Disagreement(f"estimate of {layer.name}: off by {error}, of {allowed}")


def _regions_are_the_oracles(network: SwitchedNetwork, case: RandomModel) -> None:
    """Regions on the way from an input to another, and the largest ball in that of the first."""
    oracle = Oracle(case.model)
    start, end = case.x[0], case.x[1]
    path = network.path(start, end, progress=False)

    def state(x: np.ndarray) -> np.ndarray | None:
        """Return the oracle's state, or None where rounding decides it."""
        random = np.random.default_rng(0)
        found = oracle.state(x)
        for _ in range(2):
            near = x * (1 + ROUNDING["float64"] * random.standard_normal(x.shape))
            if not np.array_equal(oracle.state(near), found):
                return None
        return found

    def are_in(one: bool, first: np.ndarray, second: np.ndarray, what: str) -> None:
        here, there = state(first), state(second)
        if here is None or there is None:
            return
        if np.array_equal(here, there) != one:
            raise Disagreement(f"{what}: {'another region' if one else 'the same region'}")

    bounds = np.concatenate([[0.0], path.breakpoints, [1.0]])
    # Between inputs that are huge all that happens is nearer to one end than is resolved.
    wide = np.flatnonzero(np.diff(bounds) > 1e-8)
    for part in wide[np.unique(np.linspace(0, len(wide) - 1, 4).astype(int))]:
        ends = bounds[part], bounds[part + 1]
        low, middle, high = (
            start + (ends[0] + share * (ends[1] - ends[0])) * (end - start)
            for share in (0.1, 0.5, 0.9)
        )
        are_in(True, low, high, f"path, part {part} of {len(bounds) - 1}")
        if part - 1 in wide:
            before = start + (bounds[part - 1] + ends[0]) / 2 * (end - start)
            are_in(False, before, middle, f"path, the part before part {part}")
    jumps = any(isinstance(one, Gate) and one.jump for one in network._graph.operations)
    if not jumps:
        integral = path.integrated_gradients(neurons=0, progress=False)
        logits = path.activity([0.0, 1.0], network.output).reshape(2, -1)[:, 0]
        scale = max(np.abs(integral).sum(), np.abs(logits).max())
        agree("exact integrated gradients", integral.sum(), logits[1] - logits[0], scale)
    region = network.region(start)
    radius = region.radius()
    if 0 < radius < np.inf:
        random = np.random.default_rng(1)
        for step in random.standard_normal((4, *start.shape)):
            inside = start + 0.99 * radius * step / np.linalg.norm(step)
            are_in(True, start, inside, f"region of radius {radius}")


def _later_weights_are_seen(network: SwitchedNetwork, case: RandomModel) -> None:
    """What the weights become later, those of an adapted normalisation too, is what counts."""
    random = np.random.default_rng(len(repr(case)))
    for layer in case.model.layers:
        if type(layer).__name__ == "Normalization" and layer.weights:
            layer.adapt(random.normal(0.5, 2.0, (16, *layer.input.shape[1:])))
    draw_weights(case.model, "normal", random)
    x = random.normal(size=case.x.shape).astype(case.x.dtype)
    *_, logits = Oracle(case.model).references(x)
    activity = network.activity(x, network.output).reshape(len(x), -1)
    stable = np.ones(len(x), bool)
    try:
        agree("output of later weights", activity, logits.activity)
    except Disagreement:
        stable = _stable(replace(case, x=x))
        if stable.any():
            agree("output of later weights", activity[stable], logits.activity[stable])


# --- what rounding decides ------------------------------------------------------------------------


@dataclass(frozen=True)
class _Answer:
    """All that the oracle says of one input."""

    numbers: list[np.ndarray]
    sizes: list[float]

    @classmethod
    def of(cls, oracle: Oracle, x: np.ndarray) -> _Answer:
        references = oracle.references(x[np.newaxis])
        numbers = []
        for one in references:
            numbers += [one.activity, one.weights, one.centre]
            numbers += [one.insens(state=state) for state in STATES]
            numbers.append((one.activity > 0).astype(float))
        sizes = [np.nanmax(np.abs(one), initial=0.0) for one in numbers]
        return cls(numbers, sizes)

    def is_like(self, other: _Answer, tolerance: float) -> bool:
        return all(
            bool(
                (
                    (np.abs(mine - theirs) <= tolerance * size)
                    | (np.isnan(mine) & np.isnan(theirs))
                ).all()
            )
            for mine, theirs, size in zip(self.numbers, other.numbers, self.sizes, strict=True)
        )


def _stable(case: RandomModel) -> np.ndarray:
    """For which inputs the oracle's answers stay when all numbers change as by rounding, (n,)."""
    dtype = case.x.dtype.name
    random = np.random.default_rng(0)

    def rounded(values: np.ndarray) -> np.ndarray:
        values = np.asarray(values, np.float64)
        return values * (1 + ROUNDING[dtype] * random.standard_normal(values.shape))

    oracle = Oracle(case.model)
    stable = []
    for x in case.x:
        answer = _Answer.of(oracle, x)
        others = []
        for _ in range(3):
            near = Oracle(case.model)
            near._parameters = {
                key: [rounded(one) for one in values] for key, values in near._parameters.items()
            }
            others.append(_Answer.of(near, rounded(x)))
        stable.append(all(answer.is_like(one, TOLERANCE[dtype] / 10) for one in others))
    return np.array(stable)
