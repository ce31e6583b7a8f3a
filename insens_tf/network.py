"""SwitchedNetwork: a Keras model, seen through its switched linear projections."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeVar, overload

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from insens_tf import memory
from insens_tf.activation_frequency import ActivationFrequency, ActiveNeuronCounter
from insens_tf.argument_types import FrequencyLike, LayerLike, Neurons
from insens_tf.arguments import one_of
from insens_tf.batches import BATCH_SIZE
from insens_tf.chosen_neurons import chosen_neurons, pair_of_neurons
from insens_tf.chunks import at_a_time, slices
from insens_tf.constant_neurons import ConstantNeurons, constant_neurons
from insens_tf.data_batches import batches_of
from insens_tf.estimate import (
    MOST_PASSES,
    Estimator,
    InsensEstimate,
    checked_sampling,
    warn_of_tolerance,
)
from insens_tf.execution import Compiled
from insens_tf.frequency_check import checked_frequency
from insens_tf.input_scale import warn_of_scale
from insens_tf.insens import SENSITIVITIES, STATES, Insens, weighted_activity
from insens_tf.layers import HiddenLayer
from insens_tf.object_figures import check_rows, insens_figure
from insens_tf.plan import Plan
from insens_tf.planning import Planner, counted_needed, expected_needed
from insens_tf.progress import progress_bar, progress_of_inputs
from insens_tf.projections import (
    Projection,
    difference_of,
    iterate_projections,
    project,
)
from insens_tf.reading import Reading, read_what_can_be
from insens_tf.regions import RegionNetwork
from insens_tf.report import Report, reported_layers
from insens_tf.row_norms import WAYS
from insens_tf.switched_weights import SwitchedWeights

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["SwitchedNetwork", "examine"]

Result = TypeVar("Result")


class SwitchedNetwork(RegionNetwork):
    """A ReLU network in which every neuron is, for one input, a linear projection v = x w + b.

    The model is read, never changed. Its weights are referred to: what they become later is seen,
    as are statistics, settings and variables that are put in the place of others.

    Parameters
    ----------
    model : Keras model
        Sequential or functional, built, piecewise linear but for what its output goes through (a
        softmax), with one input.
    memory_budget : int
        In bytes, how much the arrays of one call may take beyond its results.
    smooth_activations : {None, "ratio"}
        "ratio" reads swish (silu), gelu, tanh, elu, selu, softsign and mish as gates: each neuron
        scaled by activity out over activity in, f(v)/v, held fixed. Then v = x w + b is exact, but
        w is no derivative. None refuses them anywhere but at the output.
    prove : bool
        Whether to hold the network against the model when it is first used, and again when the
        weights have changed, on some of the inputs of that call.

    Attributes
    ----------
    layers : tuple of HiddenLayer
        The hidden layers in order.
    outputs : tuple of HiddenLayer
        The output layers, most often one: their activities are the logits.
    input_shape : tuple of int
        The shape of one input.
    dtype : numpy.dtype
        What is computed in: float32 or float64, as the model's weights.
    input_spec : InputSpec
        The shape and dtype of the inputs; its `check` is that of every method here.

    Raises
    ------
    UnreadableModelError
        If the model cannot be read; the message names the layer and the way out.

    Examples
    --------
    >>> network = SwitchedNetwork(model)
    >>> frequency = network.activation_frequency(x_train)
    >>> network.insens(x_test[:8], layer="dense", frequency=frequency).shape
    (8, 28, 28, 1)

    References
    ----------
    "State Sensitivity for Deep Neural Network Interpretability", under review at ICLR 2020.
    """

    def _take(self, reading: Reading) -> None:
        super()._take(reading)
        self._planner = Planner(
            reading.graph,
            self._found.outputs,
            self.memory_budget,
            self._memory_of_proof,
            self._compiled,
        )

    def _memory_of_proof(self, inputs: int) -> float:
        return 0.0 if self._first_use is None else self._first_use.memory(inputs)

    @overload
    def activity(self, x: Any, layer: LayerLike) -> NDArray[Any]: ...

    @overload
    def activity(self, x: Any, layer: Sequence[LayerLike]) -> dict[str, NDArray[Any]]: ...

    def activity(
        self, x: Any, layer: LayerLike | Sequence[LayerLike]
    ) -> NDArray[Any] | dict[str, NDArray[Any]]:
        """Return v, what the neurons of a layer compute before their ReLU (Eq. 1).

        Parameters
        ----------
        x : array, shape (n, *input_shape), or tf.data.Dataset
            The inputs; of a data set all batches, without their labels.
        layer : str, int, HiddenLayer, Keras layer, or list of them
            A hidden layer or the output layer.

        Returns
        -------
        numpy.ndarray, shape (n, *layer shape), or dict of str to such for a list
            In the network's dtype. A neuron is active where it is > 0.

        Raises
        ------
        ValueError
            If there is no such layer, or x is not finite or of another shape.
        """
        layers, single, inputs = self._checked(layer, x, output=True)
        positions = [one.position for one in layers]
        image = tf.TensorSpec((None, *self.input_shape), self._graph.dtype)
        compiled = self._compiled.kept(
            ("activity", *positions),
            lambda: Compiled(lambda x: self._graph.values(x, positions), [image]),
        )
        results = [np.empty((len(inputs), *one.shape), self.dtype) for one in layers]
        of_an_input = memory.evaluation(self._graph, positions)
        size = at_a_time(self._graph, positions, self.memory_budget, of_an_input)
        for rows in slices(len(inputs), size):
            for result, part in zip(results, compiled(inputs[rows])):
                result[rows] = part
        for one, result in zip(layers, results):
            self._check_finite(one, result)
        return _as_asked(layers, results, single)

    def project(
        self,
        x: Any,
        layer: LayerLike,
        neurons: Neurons = None,
        *,
        difference: tuple[Neurons, Neurons] | None = None,
    ) -> Projection:
        """Return the switched linear projections of neurons (Eq. 2 to 5).

        Parameters
        ----------
        x : array, shape (n, *input_shape), or tf.data.Dataset
            The inputs; of a data set all batches, without their labels.
        layer : str, int, HiddenLayer or Keras layer
            A hidden layer, or the output layer (whose neurons are the logits).
        neurons : None, int, tuple of int, or sequence of int or of tuples
            None: every neuron. An int or a sequence of them: flat indices. A tuple: one
            multi-index, such as (row, column, channel); a sequence of tuples: several.
        difference : pair of int or of tuples, optional
            (a, b), in the place of `neurons`: v_a - v_b of two neurons, as one projection. "Why a 7
            and not a 3?" is `difference=(7, 3)` of the output layer; its centre is the nearest
            image at which both would be equal, were the state to stay.

        Returns
        -------
        Projection
            activity and bias (n, k); weights, centre and contribution (n, k, *input_shape); k is 1
            of a difference.

        Raises
        ------
        ValueError
            If an argument is wrong, or the arrays do not fit the memory budget.

        Examples
        --------
        >>> p = network.project(x_test[:8], "dense", [3, 7])
        >>> p.activity.shape, p.weights.shape
        ((8, 2), (8, 2, 28, 28, 1))
        >>> p = network.project(x_test[:1], "conv_2", [(5, 5, 1)])
        >>> v = np.sum(p.weights[0, 0] * x_test[0]) + p.bias[0, 0]
        >>> bool(np.isclose(v, p.activity[0, 0], atol=1e-5))
        True
        >>> network.project(x_test[:8], network.output, difference=(7, 3)).centre.shape
        (8, 1, 28, 28, 1)
        """
        if difference is None:
            return self._finite_projection(project(*self._projection_arguments(x, layer, neurons)))
        if neurons is not None:
            raise ValueError(
                f"neurons={neurons!r} and difference={difference!r}: expected one of them"
            )
        pair = pair_of_neurons(self.layer(layer), difference)
        return difference_of(self.project(x, layer, pair))

    def iterate_projections(
        self, x: Any, layer: LayerLike, neurons: Neurons = None
    ) -> Iterator[Projection]:
        """Yield what `project` returns in chunks that fit the memory budget.

        Parameters and errors are those of `project`, checked at once. A chunk's `rows` and
        `neurons` say which inputs and neurons it has: those of a first block of inputs for all
        neurons, then the next block's.
        """
        chunks = iterate_projections(*self._projection_arguments(x, layer, neurons))
        return map(self._finite_projection, chunks)

    def activation_frequency(
        self,
        data: Any,
        layers: Sequence[LayerLike] | None = None,
        *,
        batch_size: int = BATCH_SIZE,
        steps: int | None = None,
        progress: bool = True,
    ) -> ActivationFrequency:
        """Return in what share of the samples each neuron is active: m/N of Eq. 8.

        Parameters
        ----------
        data : array, tf.data.Dataset, Keras Sequence or generator
            The training inputs, (N, *input_shape), or batches: inputs, or tuples of inputs, labels.
        layers : list of str, int, HiddenLayer or Keras layer, optional
            Which hidden layers; None: every one.
        batch_size : int
            How many samples of an array at a time; other data has batches of its own.
        steps : int, optional
            How many batches to take; None: all there are.
        progress : bool
            Whether to show a progress bar where it takes longer.

        Returns
        -------
        ActivationFrequency
            A mapping from the layer's name to m/N, of the layer's shape.

        Raises
        ------
        ValueError
            If data is empty, endless without `steps`, or its inputs are not finite or of another
            shape. Batches of no samples are passed over.
        """
        self._read_what_changed()
        chosen = self.layers if layers is None else self._found.choose(layers)[0]
        weights = self._finite_weights.check()
        counter = self._compiled.kept(
            ("frequency", *(layer.position for layer in chosen)),
            lambda: ActiveNeuronCounter(self._graph, chosen),
        )
        batches, total = batches_of(data, batch_size, steps)
        bar = progress_bar(
            batches, shown=progress, desc="activation frequency", unit="batch", total=total
        )

        def inputs() -> Iterator[NDArray[Any]]:
            for batch in bar:
                x = self.input_spec.check(batch, "data")
                self._prove(x, weights)
                yield x

        return counter(inputs(), self._too_large)

    def dead_neurons(self, frequency: FrequencyLike) -> dict[str, ConstantNeurons]:
        """Return the neurons that were active for none of the samples of a frequency.

        Parameters
        ----------
        frequency : mapping of str to array
            m/N of some hidden layers, as `activation_frequency` returns it.

        Returns
        -------
        dict of str to ConstantNeurons
            By the layer's name: which neurons they are, their indices, and how many a channel.

        Raises
        ------
        ValueError
            If the frequency is no mapping, of another network's layers, or outside 0..1.
        """
        return self._constant_neurons(frequency, 0.0)

    def always_active(self, frequency: FrequencyLike) -> dict[str, ConstantNeurons]:
        """Return the neurons that were active for every one of the samples of a frequency.

        Parameters, results and errors are those of `dead_neurons`.
        """
        return self._constant_neurons(frequency, 1.0)

    def _constant_neurons(
        self, frequency: FrequencyLike, share: float
    ) -> dict[str, ConstantNeurons]:
        if not isinstance(frequency, Mapping):
            raise ValueError(
                "frequency: expected a mapping from each layer's name to its array, came "
                f"{type(frequency).__name__}; activation_frequency returns one"
            )
        layers = self.layer(list(frequency), output=False) if frequency else []
        return constant_neurons(frequency, layers, share)

    @overload
    def insens(
        self,
        x: Any,
        layer: LayerLike,
        frequency: FrequencyLike = None,
        *,
        state: str = "inactive",
        sensitivity: str = "centre",
        way: str | None = None,
        progress: bool = True,
    ) -> NDArray[Any]: ...

    @overload
    def insens(
        self,
        x: Any,
        layer: Sequence[LayerLike],
        frequency: FrequencyLike = None,
        *,
        state: str = "inactive",
        sensitivity: str = "centre",
        way: str | None = None,
        progress: bool = True,
    ) -> dict[str, NDArray[Any]]: ...

    def insens(
        self,
        x: Any,
        layer: LayerLike | Sequence[LayerLike],
        frequency: FrequencyLike = None,
        *,
        state: str = "inactive",
        sensitivity: str = "centre",
        way: str | None = None,
        progress: bool = True,
    ) -> NDArray[Any] | dict[str, NDArray[Any]]:
        """Return Insens: what in the input keeps a layer's neurons as they are (Eq. 8), exactly.

        Parameters
        ----------
        x : array, shape (n, *input_shape), or tf.data.Dataset
            The inputs; of a data set all batches, without their labels.
        layer : str, int, HiddenLayer, Keras layer, or list of them
            One hidden layer, or several in one sweep.
        frequency : mapping of str to array, or array of the layer's shape, optional
            m/N in 0..1, as `activation_frequency` returns it. None: every neuron weighs 1.
        state : {"inactive", "active", "all"}
            Which neurons are summed over; the paper's is "inactive", v <= 0.
        sensitivity : {"centre", "activity"}
            What is summed. "centre": omega = x - c = v w / (w w). "activity": omega = v w, the
            other reading of Eq. 7.
        way : str, optional
            How the squared row norms are computed, a name in `row_norms.WAYS`; None: for
            each layer the cheapest.
        progress : bool
            Whether to show a progress bar where it takes longer.

        Returns
        -------
        numpy.ndarray, shape (n, *input_shape), or dict of str to such for a list
            Positive: brighter keeps the state; negative: darker does. Neurons with w = 0 add
            nothing.

        Raises
        ------
        ValueError
            If an argument is wrong; the message says what was expected.

        Examples
        --------
        >>> frequency = network.activation_frequency(x_train)
        >>> maps = network.insens(x_test[:8], ["conv_1", "dense"], frequency)
        >>> maps["conv_1"].shape
        (8, 28, 28, 1)
        """
        layers, single, inputs = self._checked(layer, x)
        frequencies = checked_frequency(frequency, layers, single=single)
        warn_of_scale(inputs, frequency, self._reading)
        one_of("state", state, STATES)
        one_of("sensitivity", sensitivity, SENSITIVITIES)
        if way is not None:
            one_of("way", way, WAYS)
        needed = expected_needed(layers, frequencies, state)
        choice = self._planner.choose(needed, way)
        if sensitivity == "centre":
            self._planner.warn(layers, needed, choice, len(inputs))
        ways = self._planner.ways(choice)
        compiled = self._compiled.kept(
            ("insens", *layers), lambda: Insens(self._graph, layers, self.memory_budget)
        )
        with progress_of_inputs("Insens", len(inputs), progress) as advance:
            maps = compiled(inputs, frequencies, state, sensitivity, ways, advance)
        for one, omega in zip(layers, maps):
            self._check_finite(one, omega)
        return _as_asked(layers, maps, single)

    def plot_insens(
        self,
        x: Any,
        layer: LayerLike | Sequence[LayerLike] | None = None,
        frequency: FrequencyLike = None,
        *,
        state: str = "inactive",
        progress: bool = True,
    ) -> Figure:
        """Draw inputs and their Insens, a column a layer.

        Parameters
        ----------
        x, frequency, state, progress
            As for `insens`; inputs that are pictures, 100 at most.
        layer : str, int, HiddenLayer, Keras layer, or list of them, optional
            One hidden layer or several; None: every one.

        Returns
        -------
        matplotlib.figure.Figure

        Raises
        ------
        ValueError
            If an argument is wrong.
        """
        inputs = self.input_spec.check(x)
        check_rows(len(inputs), "inputs")
        layers, single = self._found.choose(list(self.layers) if layer is None else layer)
        names = [one.name for one in layers]
        if single:
            maps = {
                names[0]: self.insens(inputs, names[0], frequency, state=state, progress=progress)
            }
        else:
            maps = self.insens(inputs, names, frequency, state=state, progress=progress)
        fields = [self._graph.receptive_field(one.position) for one in layers]
        titles = [
            field.titled(f"Insens {name}", self.input_shape[:-1])
            for field, name in zip(fields, names)
        ]
        what = f"Insens: what keeps neurons as they are ({state})"
        return insens_figure(inputs, dict(zip(titles, maps.values())), what)

    def insens_of_all_layers(
        self, x: Any, *, state: str = "inactive", progress: bool = True
    ) -> NDArray[Any]:
        """Return the mean of x - c over the inactive neurons of all hidden layers, exactly.

        What the paper's first version has for Eq. 8 (arXiv 1909.11275v1): one map of the whole
        network, 1/abs(I) times the sum over its inactive neurons I, the output excluded, and
        without m/N. `insens` is the paper's own form, of a layer.

        Parameters
        ----------
        x : array, shape (n, *input_shape)
            The inputs.
        state : {"inactive", "active", "all"}
            Which neurons the mean is over.
        progress : bool
            Whether to show a progress bar where it takes longer.

        Returns
        -------
        numpy.ndarray, shape (n, *input_shape)
            Neurons with w = 0 count, and add nothing. 0 where no neuron is in this state.

        Raises
        ------
        ValueError
            If an argument is wrong, or the network has no hidden layer.
        """
        if not self.layers:
            raise ValueError("insens_of_all_layers: expected a hidden layer, the network has none")
        inputs = self.input_spec.check(x)
        names = [layer.name for layer in self.layers]
        maps = self.insens(inputs, names, state=state, progress=progress)
        activities = self.activity(inputs, names)
        counts = np.sum(
            [
                STATES[state](activity).reshape(len(activity), -1).sum(axis=1)
                for activity in activities.values()
            ],
            axis=0,
        )
        total = np.sum(list(maps.values()), axis=0)
        counts = np.maximum(counts, 1).reshape(-1, *(1,) * (total.ndim - 1))
        return (total / counts).astype(total.dtype)

    @overload
    def estimate_insens(
        self,
        x: Any,
        layer: LayerLike,
        frequency: FrequencyLike = None,
        *,
        tolerance: float | None = None,
        probes: int | None = None,
        most_passes: int = MOST_PASSES,
        seed: int = 0,
        state: str = "inactive",
        progress: bool = True,
    ) -> InsensEstimate: ...

    @overload
    def estimate_insens(
        self,
        x: Any,
        layer: Sequence[LayerLike],
        frequency: FrequencyLike = None,
        *,
        tolerance: float | None = None,
        probes: int | None = None,
        most_passes: int = MOST_PASSES,
        seed: int = 0,
        state: str = "inactive",
        progress: bool = True,
    ) -> dict[str, InsensEstimate]: ...

    def estimate_insens(
        self,
        x: Any,
        layer: LayerLike | Sequence[LayerLike],
        frequency: FrequencyLike = None,
        *,
        tolerance: float | None = None,
        probes: int | None = None,
        most_passes: int = MOST_PASSES,
        seed: int = 0,
        state: str = "inactive",
        progress: bool = True,
    ) -> InsensEstimate | dict[str, InsensEstimate]:
        """Return an estimate of Insens to a tolerance, and the error that it has.

        For networks where `insens` costs minutes, and never taken instead of it unasked. A pass
        costs about half a gradient of the network, however many neurons and layers there are; the
        maps and their errors cost nine more a layer, each time that they are looked at.

        Parameters
        ----------
        x : array, shape (n, *input_shape), or tf.data.Dataset
            The inputs; of a data set all batches, without their labels.
        layer : str, int, HiddenLayer, Keras layer, or list of them
            One hidden layer, or several from the same passes.
        frequency : mapping of str to array, or array of the layer's shape, optional
            m/N in 0..1, as `activation_frequency` returns it. None: every neuron weighs 1.
        tolerance : float, optional
            The error to reach, above 0 and at most 1: of each map, relative to its length. None:
            0.05. As many passes are taken as it needs.
        probes : int, optional
            Instead of a tolerance, how many random probes to take, at least 16. The error falls
            with their square root.
        most_passes : int
            How many passes to take for an input at most, on the way to the tolerance.
        seed : int
            What the probes are drawn from, at least 0. The same one gives the same estimate (to
            rounding) of an input in any batch; of a number of probes also with any other layers
            and under any memory budget.
        state : {"inactive", "active", "all"}
            Which neurons are summed over; the paper's is "inactive", v <= 0.
        progress : bool
            Whether to show a progress bar where it takes longer.

        Returns
        -------
        InsensEstimate, or dict of str to such for a list
            omega and standard_error, (n, *input_shape) each, relative_error, (n,), which says what
            was reached, and passes, (n,).

        Raises
        ------
        ValueError
            If an argument is wrong; the message says what was expected.

        Warns
        -----
        RuntimeWarning
            If a map's error is above the tolerance after `most_passes`.

        Notes
        -----
        w w is estimated as the mean of (w z)^2 over random probes z, standard normal. If many of
        them are needed, the directions that carry most of Omega are found first, and only what
        lies outside of their span is estimated. 1 / (w w) of k probes alone has no bias; beside a
        basis it has one of the order of 1 / k^2. The standard error is a jackknife over groups of
        probes. `insens_tf.norm_estimator` has the formulas and where they come from.

        Examples
        --------
        >>> estimate = network.estimate_insens(x_test[:2], "dense", tolerance=0.05)
        >>> estimate.omega.shape, bool(estimate.relative_error.max() <= 0.05)
        ((2, 28, 28, 1), True)
        """
        layers, single, inputs = self._checked(layer, x)
        frequencies = checked_frequency(frequency, layers, single=single)
        warn_of_scale(inputs, frequency, self._reading)
        one_of("state", state, STATES)
        sampling = checked_sampling(tolerance, probes, most_passes, seed)
        compiled = self._compiled.kept(
            ("estimate", *layers), lambda: Estimator(self._graph, layers, self.memory_budget)
        )
        with progress_of_inputs("Insens, estimated", len(inputs), progress) as advance:
            estimates = compiled(inputs, frequencies, state, sampling, advance)
        for one, estimate in zip(layers, estimates):
            self._check_finite(one, estimate.omega, estimate.standard_error)
        if sampling.probes is None:
            warn_of_tolerance(layers, estimates, sampling)
        return _as_asked(layers, estimates, single)

    def plan(
        self,
        x_shape: Any = None,
        layer: LayerLike | Sequence[LayerLike] | None = None,
        frequency: FrequencyLike = None,
        *,
        state: str = "inactive",
        way: str | None = None,
        timed: bool = False,
    ) -> Plan:
        """Return what `insens` would do with the same arguments, and about what it would take.

        Parameters
        ----------
        x_shape : sequence of int, or array, optional
            The shape of the inputs, (n, *input_shape); None: of one input. Or the inputs
            themselves: then their needed neurons are counted, not expected, which takes an
            evaluation of the network.
        layer : str, int, HiddenLayer, Keras layer, or list of them, optional
            One hidden layer, or several in one sweep; None: every one.
        frequency, state, way
            As for `insens`.
        timed : bool
            Whether to give seconds, too: the network's gradient is timed on this machine, once.

        Returns
        -------
        Plan
            Prints as a table: for each layer the neurons that an input is expected to need, the
            way, the estimated time (in gradients of the network) and memory; below it what more
            memory would bring, and whether `estimate_insens` is the way.

        Raises
        ------
        ValueError
            If an argument is wrong; the message says what was expected.
        """
        self._read_what_changed()
        given = self.input_spec.check(x_shape, "x_shape") if np.ndim(x_shape) > 1 else None
        shape = x_shape if given is None else given.shape
        inputs = 1 if shape is None else self.input_spec.count(shape)
        layers, single = self._found.choose(list(self.layers) if layer is None else layer)
        frequencies = checked_frequency(frequency, layers, single=single)
        one_of("state", state, STATES)
        if way is not None:
            one_of("way", way, WAYS)
        needed = expected_needed(layers, frequencies, state)
        choice = self._planner.choose(needed, way)
        if given is not None:
            # What insens is going to do does not depend on the inputs; how long it takes does.
            needed = self._counted(given, layers, frequencies, state)
        seconds = self._planner.seconds_of_a_gradient() if timed else None
        choice = self._planner.counted(choice, needed)
        return self._planner.plan(layers, needed, choice, inputs, way, seconds)

    def _counted(
        self,
        x: NDArray[Any],
        layers: Sequence[HiddenLayer],
        frequencies: Sequence[NDArray[Any] | None],
        state: str,
    ) -> dict[int, float]:
        """Return how many neurons of each layer these inputs need, on average, by position."""
        activities = self.activity(x, list(layers))
        masks = [
            weighted_activity(activities[layer.name], frequency, state)[0]
            for layer, frequency in zip(layers, frequencies)
        ]
        return counted_needed(masks, layers)

    def _projection_arguments(self, x: Any, layer: LayerLike, neurons: Neurons) -> tuple[Any, ...]:
        (found,), _, inputs = self._checked([layer], x, output=True)
        chosen = chosen_neurons(found, neurons)
        weights = self._compiled.kept(
            ("weights", found.position),
            lambda: SwitchedWeights(self._graph, found.position, self.memory_budget),
        )
        return weights, found, inputs, chosen, self.memory_budget

    def _finite_projection(self, projection: Projection) -> Projection:
        self._check_finite(projection.layer, projection.activity, projection.weights)
        return projection


def examine(model: Any, x: Any = None, *, smooth_activations: str | None = None) -> Report:
    """Return what each layer of a model can be read as, or why it cannot and the way out.

    Unlike `SwitchedNetwork` it goes on at a layer that cannot be read.

    Parameters
    ----------
    model : Keras model
        Sequential or functional, built, with one input.
    x : array, shape (n, *input_shape), optional
        Inputs on which to hold the model against the switched network, besides random ones.
    smooth_activations : {None, "ratio"}
        As for `SwitchedNetwork`.

    Returns
    -------
    Report
        Prints as a table; `refused` are the layers that cannot be read.

    Raises
    ------
    UnreadableModelError
        If the model as a whole cannot be read, such as one that is not built.
    ValueError
        If x is not finite or of another shape.

    Examples
    --------
    >>> report = examine(model)
    >>> report.refused
    ()
    """
    reading = read_what_can_be(model, smooth_activations)
    if reading.refusals:
        return Report(model.name, reported_layers(reading), ())
    return SwitchedNetwork(model, smooth_activations=smooth_activations).report(x)


def _as_asked(
    layers: Sequence[HiddenLayer], results: Sequence[Result], single: bool
) -> Result | dict[str, Result]:
    """Return the result of the one layer that was asked for, or those of a list by name."""
    return results[0] if single else {one.name: found for one, found in zip(layers, results)}
