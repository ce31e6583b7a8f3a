"""The state of a network over some inputs, and what has changed since it was last looked at."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from insens_tf.activation_frequency import ActivationFrequency
from insens_tf.argument_types import LayerLike
from insens_tf.arguments import whole_number
from insens_tf.batches import BATCH_SIZE, in_batches
from insens_tf.data_batches import batches_of

if TYPE_CHECKING:
    from insens_tf.layers import HiddenLayer
    from insens_tf.network import SwitchedNetwork

__all__ = ["MARGIN_INPUTS", "LayerState", "StateMeasurement", "StateWatch"]

MARGIN_INPUTS = 16
"""Of how many inputs margins are computed unless told otherwise: they cost many gradients each."""


class LayerState(NamedTuple):
    """The state of a layer over the inputs.

    Attributes
    ----------
    layer : str
    neurons : int
    active : float
        The share of neurons that are active, on average over the inputs.
    dead, always_active : int
        How many neurons are active for no input; for every one.
    changed : float
        The share of neurons, on average over the inputs, whose state is another one than when it
        was last measured; NaN the first time.
    margin : float
        The median distance, in the input, to where a neuron switches (L2; see
        `SwitchedNetwork.margins`); NaN where none was computed.
    """

    layer: str
    neurons: int
    active: float
    dead: int
    always_active: int
    changed: float
    margin: float


@dataclass(frozen=True)
class StateMeasurement:
    """What one look at a network found.

    Attributes
    ----------
    step : int
        When: the number of epochs of training that were done.
    layers : tuple of LayerState
    frequency : ActivationFrequency
        Over the inputs.
    dead_since : dict of str to array of int, shape (*layer shape)
        Of each neuron the step from which on every measurement has found it dead; -1 where it is
        not dead.
    """

    step: int
    layers: tuple[LayerState, ...]
    frequency: ActivationFrequency
    dead_since: dict[str, NDArray[np.int64]]


class StateWatch:
    """Looks at the state of a network over the same inputs, as often as it is asked to.

    Between two looks it holds the inputs, and one bit a neuron and input.

    Parameters
    ----------
    x : array (n, *input_shape), or finite tf.data.Dataset of batches
        The inputs. A data set is gone through once, now.
    layers : list of str, int, HiddenLayer or Keras layer, optional
        Which hidden layers; None: every one.
    margin_inputs : int
        Of how many of the inputs, the first ones, margins are computed.

    Raises
    ------
    ValueError
        If x holds no inputs or does not end, or `margin_inputs` is no whole number.
    """

    def __init__(
        self, x: Any, layers: Sequence[LayerLike] | None = None, margin_inputs: int = MARGIN_INPUTS
    ) -> None:
        batches, _ = batches_of(x, BATCH_SIZE, None)
        parts = [np.asarray(batch) for batch in batches]
        if not parts:
            raise ValueError("x: expected at least one input, came none")
        self.x = np.concatenate(parts)
        self._layers = None if layers is None else list(layers)
        self._margin_inputs = whole_number("margin_inputs", margin_inputs, least=0, of="inputs")
        self._bits: dict[str, NDArray[np.uint8]] = {}
        self._dead_since: dict[str, NDArray[np.int64]] = {}

    def layers_of(self, network: SwitchedNetwork) -> list[HiddenLayer]:
        """Return the layers of a network that are looked at.

        Raises
        ------
        ValueError
            If there is no such layer, or no hidden layer at all.
        """
        if not network.layers:
            raise ValueError(
                "model: expected a hidden layer (one that a ReLU follows), found none, so that "
                "there is no state"
            )
        chosen = list(network.layers) if self._layers is None else self._layers
        return network.layer(chosen, output=False)

    def forget(self) -> None:
        """Forget what was measured; the next measurement is a first one."""
        self._bits = {}
        self._dead_since = {}

    def measure(self, network: SwitchedNetwork, step: int) -> StateMeasurement:
        """Look at a network as it is now.

        Parameters
        ----------
        network : SwitchedNetwork
            Each time of the same layers.
        step : int
            When this is.

        Raises
        ------
        ValueError
            If the inputs do not fit the network, the layers are others than the last time, or what
            is computed is not finite.
        UnreadableModelError
            If a weight is NaN or infinite.
        """
        layers = self.layers_of(network)
        self._check_same(layers)
        bits = self._states(network, layers)
        counts = {layer.name: _counts(bits[layer.name], layer) for layer in layers}
        frequency = ActivationFrequency(counts, len(self.x))
        margins = self._margins(network, layers)
        states = []
        for layer in layers:
            count = counts[layer.name]
            dead = count == 0
            before = self._dead_since.get(layer.name, np.full(layer.shape, -1, np.int64))
            self._dead_since[layer.name] = np.where(dead, np.where(before < 0, step, before), -1)
            states.append(
                LayerState(
                    layer.name,
                    layer.neurons,
                    float(count.sum() / (len(self.x) * layer.neurons)),
                    int(dead.sum()),
                    int((count == len(self.x)).sum()),
                    _share_of_changed(self._bits.get(layer.name), bits[layer.name], layer),
                    margins[layer.name],
                )
            )
        self._bits = bits
        return StateMeasurement(step, tuple(states), frequency, dict(self._dead_since))

    def _check_same(self, layers: Sequence[HiddenLayer]) -> None:
        earlier = {name: since.shape for name, since in self._dead_since.items()}
        now = {layer.name: layer.shape for layer in layers}
        if earlier and earlier != now:
            raise ValueError(
                f"expected the layers that were measured before, {earlier}, found {now}; states "
                "can only be compared of one network"
            )

    def _states(
        self, network: SwitchedNetwork, layers: Sequence[HiddenLayer]
    ) -> dict[str, NDArray[np.uint8]]:
        """Return which neurons are active, packed: (n, bytes of the layer)."""
        names = [layer.name for layer in layers]
        parts: dict[str, list[NDArray[np.uint8]]] = {name: [] for name in names}
        for batch in in_batches(self.x):
            for name, activity in network.activity(batch, names).items():
                active = (activity > 0).reshape(len(batch), -1)
                parts[name].append(np.packbits(active, axis=1))
        return {name: np.concatenate(found) for name, found in parts.items()}

    def _margins(self, network: SwitchedNetwork, layers: Sequence[HiddenLayer]) -> dict[str, float]:
        names = [layer.name for layer in layers]
        # Smooth activations switch nowhere.
        if not self._margin_inputs or network.smooth_activations is not None:
            return dict.fromkeys(names, np.nan)
        margins = network.margins(self.x[: self._margin_inputs], names, progress=False)
        return {name: float(np.median(np.abs(values))) for name, values in margins.items()}


def _counts(bits: NDArray[np.uint8], layer: HiddenLayer) -> NDArray[np.int64]:
    """Return for how many inputs each neuron is active, (*layer shape)."""
    total = np.zeros(layer.neurons, np.int64)
    for part in in_batches(bits):
        total += np.unpackbits(part, axis=1, count=layer.neurons).sum(axis=0, dtype=np.int64)
    return total.reshape(layer.shape)


def _share_of_changed(
    earlier: NDArray[np.uint8] | None, now: NDArray[np.uint8], layer: HiddenLayer
) -> float:
    if earlier is None:
        return float("nan")
    changed = sum(
        int(np.unpackbits(a ^ b, axis=1, count=layer.neurons).sum())
        for a, b in zip(in_batches(earlier), in_batches(now), strict=True)
    )
    return changed / (len(now) * layer.neurons)
