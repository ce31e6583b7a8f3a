"""SwitchedNetwork: a Keras model, seen through its switched linear projections."""

from __future__ import annotations

import math
import operator
import os
import threading
import time
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, overload

import numpy as np
import tensorflow as tf
from tqdm.auto import tqdm

from insens_tf import memory
from insens_tf.activation_frequency import ActivationFrequency, ActiveNeuronCounter, batches_of
from insens_tf.chunks import at_a_time, readable_size, slices
from insens_tf.errors import UnreadableModelError
from insens_tf.estimate import Estimator, InsensEstimate, check_sampling
from insens_tf.execution import Compiled, check_that_arrays_can_be_had
from insens_tf.finiteness import FiniteWeights, is_finite, refuse_masks, too_large
from insens_tf.first_use import FirstUse
from insens_tf.insens import SENSITIVITIES, STATES, Footprint, Insens, Passes, checked_frequency
from insens_tf.layers import HiddenLayer, Layers
from insens_tf.plan import FEW, MANY_GRADIENTS, Plan, counted_needed, expected_needed, plan
from insens_tf.projections import (
    Projection,
    chosen_neurons,
    iterate_projections,
    project,
)
from insens_tf.reading import Reading, read, read_what_can_be
from insens_tf.reading.changes import Holdings
from insens_tf.report import Report, proof, random_inputs, reported_layers
from insens_tf.row_norms import WAYS, Choice, Cost, Way, choose, counted
from insens_tf.switched_weights import SwitchedWeights

__all__ = ["SwitchedNetwork", "examine"]

# Inputs this many times as large as those that a frequency is of are on another scale: pictures
# from 0 to 255, and not from 0 to 1.
ANOTHER_SCALE = 20

# A Rescaling by no more is of pictures from 0 to 255, or more.
OF_PICTURES = 1 / 64

# Work that is done sooner shows no progress bar.
PATIENCE_IN_SECONDS = 2.0

# How many compiled functions and choices are kept: enough for every layer by itself, asked for in
# turn in every way there is, and for some combinations of layers.
KEPT = 16
KEPT_A_LAYER = 8

# The maps' part of a memory budget, while a way computes norms: a fourth.
MAPS_SHARE = 4


class SwitchedNetwork:
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

    def __init__(
        self,
        model: Any,
        *,
        memory_budget: int = 512 * 2**20,
        smooth_activations: str | None = None,
        prove: bool = True,
    ) -> None:
        if not isinstance(memory_budget, (int, np.integer)) or memory_budget < 2**20:
            raise ValueError(
                f"memory_budget={memory_budget!r}: expected a number of bytes, at least 2**20"
            )
        if smooth_activations is not None:
            _one_of("smooth_activations", smooth_activations, ("ratio",))
        check_that_arrays_can_be_had(model)
        self.model = model
        self.smooth_activations = smooth_activations
        self.memory_budget = int(memory_budget)
        self._prove_first_use = prove
        self._lock = threading.Lock()
        self._process = os.getpid()
        self._take(read(model, smooth_activations))
        self.layers = self._found.hidden
        self.outputs = self._found.outputs
        self.input_shape = self._graph.input_shape
        self.dtype = np.dtype(self._graph.dtype.as_numpy_dtype)
        self._input_dtype = tf.as_dtype(model.inputs[0].dtype)

    def _take(self, reading: Reading) -> None:
        """Compute with what was read from now on; what was compiled is of what was read before."""
        self._reading = reading
        self._graph = reading.graph
        self._found = Layers(reading)
        self._finite_weights = FiniteWeights(reading.graph)
        self._first_use = (
            FirstUse(self.model, reading, self.memory_budget) if self._prove_first_use else None
        )
        self._holdings = Holdings(self.model, reading.parts.values())
        self._compiled: dict[Any, Any] = {}

    def _read_what_changed(self) -> None:
        """Read the model again where a layer holds something else than a variable's new value.

        Raises
        ------
        UnreadableModelError
            If it cannot be read any more, or is another network now.
        RuntimeError
            If the call comes from where TensorFlow builds a graph, or from a forked process.
        """
        check_that_arrays_can_be_had(self.model)
        if self._process != os.getpid():
            raise RuntimeError(
                "this SwitchedNetwork was built before the process was forked, and TensorFlow's "
                "functions never return in such a copy of a process; start processes by "
                "multiprocessing.get_context('spawn'), to which a SwitchedNetwork can be passed"
            )
        with self._lock:
            if self._holdings.are_the_same():
                return
            reading = read(self.model, self.smooth_activations)
            found = Layers(reading)
            now = found.hidden, found.outputs, reading.graph.input_shape, reading.graph.dtype
            if now != (self.layers, self.outputs, self.input_shape, self._graph.dtype):
                raise UnreadableModelError(
                    f"model {self.model.name!r}: expected the layers that it had when it was read, "
                    f"{_names(self.layers + self.outputs)}, found {_names(found.hidden)} and "
                    f"output {_names(found.outputs)}; build another SwitchedNetwork of it."
                )
            self._take(reading)

    def __reduce__(self) -> tuple[Any, ...]:
        # A copy, also in another process, is read from (a copy of) the model and compiles anew.
        settings = {
            "memory_budget": self.memory_budget,
            "smooth_activations": self.smooth_activations,
            "prove": self._prove_first_use,
        }
        return _rebuilt, (type(self), self.model, settings)

    def __repr__(self) -> str:
        layers = ", ".join(f"{layer.name}{layer.shape}" for layer in self.layers)
        outputs = ", ".join(f"{output.name}{output.shape}" for output in self.outputs)
        return f"SwitchedNetwork(input {self.input_shape}; hidden {layers}; output {outputs})"

    def report(self, x: Any = None) -> Report:
        """Return what each layer was read as, and the proof that the whole is the model.

        Parameters
        ----------
        x : array, shape (n, *input_shape), optional
            Inputs on which to hold the model against the switched network, besides random ones.

        Returns
        -------
        Report
            Prints as a table.

        Raises
        ------
        ValueError
            If x is not finite or of another shape.
        """
        self._read_what_changed()
        samples = {"random": random_inputs(self._graph, self._input_dtype)}
        if x is not None:
            samples["given"] = self._checked_inputs(x)
        self._finite_weights.check()
        of_an_input = memory.evaluation(self._graph, self._reading.results)
        size = at_a_time(self._graph, self._reading.results, self.memory_budget, of_an_input)
        proofs = (
            proof(self.model, self._reading, one, name, size) for name, one in samples.items()
        )
        return Report(self.model.name, reported_layers(self._reading), tuple(proofs))

    @property
    def output(self) -> HiddenLayer:
        """The output layer of a network that has one.

        Raises
        ------
        ValueError
            If it has several; the message names them.
        """
        if len(self.outputs) > 1:
            names = ", ".join(f"{one.name!r} {one.shape}" for one in self.outputs)
            raise ValueError(
                f"this network has {len(self.outputs)} outputs, {names}; name one of them as the "
                "layer, or take it from network.outputs"
            )
        return self.outputs[0]

    @overload
    def activity(self, x: Any, layer: str | int | HiddenLayer) -> np.ndarray: ...

    @overload
    def activity(self, x: Any, layer: list[Any] | tuple[Any, ...]) -> dict[str, np.ndarray]: ...

    def activity(self, x: Any, layer: Any) -> np.ndarray | dict[str, np.ndarray]:
        """Return v, what the neurons of a layer compute before their ReLU (Eq. 1).

        Parameters
        ----------
        x : array, shape (n, *input_shape)
            The inputs.
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
        self._read_what_changed()
        layers, single = self._chosen(layer, output=True)
        inputs = self._checked_inputs(x)
        self._check_model(inputs)
        positions = [one.position for one in layers]
        image = tf.TensorSpec((None, *self.input_shape), self._graph.dtype)
        compiled = self._cached(
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
        return results[0] if single else {one.name: v for one, v in zip(layers, results)}

    def project(self, x: Any, layer: Any, neurons: Any = None) -> Projection:
        """Return the switched linear projections of neurons (Eq. 2 to 5).

        Parameters
        ----------
        x : array, shape (n, *input_shape)
            The inputs.
        layer : str, int, HiddenLayer or Keras layer
            A hidden layer, or the output layer (whose neurons are the logits).
        neurons : None, int, tuple of int, or sequence of int or of tuples
            None: every neuron. An int or a sequence of them: flat indices. A tuple: one
            multi-index, such as (row, column, channel); a sequence of tuples: several.

        Returns
        -------
        Projection
            activity and bias (n, k); weights, centre and contribution (n, k, *input_shape).

        Raises
        ------
        ValueError
            If an argument is wrong, or the arrays do not fit the memory budget.
        """
        return self._finite_projection(project(*self._projection_arguments(x, layer, neurons)))

    def iterate_projections(self, x: Any, layer: Any, neurons: Any = None) -> Iterator[Projection]:
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
        layers: Any = None,
        *,
        batch_size: int = 256,
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
        chosen = self.layers if layers is None else self._chosen(layers)[0]
        weights = self._finite_weights.check()
        counter = self._cached(
            ("frequency", *(layer.position for layer in chosen)),
            lambda: ActiveNeuronCounter(self._graph, chosen),
        )
        batches, total = batches_of(data, batch_size, steps)
        bar = tqdm(
            batches,
            desc="activation frequency",
            unit="batch",
            total=total,
            delay=PATIENCE_IN_SECONDS,
            disable=not progress,
        )

        def inputs() -> Iterator[np.ndarray]:
            for batch in bar:
                x = self._checked_inputs(batch, "data")
                self._prove(x, weights)
                yield x

        return counter(inputs(), self._too_large)

    @overload
    def insens(
        self,
        x: Any,
        layer: str | int | HiddenLayer,
        frequency: Any = None,
        *,
        state: str = "inactive",
        sensitivity: str = "centre",
        way: str | None = None,
        progress: bool = True,
    ) -> np.ndarray: ...

    @overload
    def insens(
        self,
        x: Any,
        layer: list[Any] | tuple[Any, ...],
        frequency: Any = None,
        *,
        state: str = "inactive",
        sensitivity: str = "centre",
        way: str | None = None,
        progress: bool = True,
    ) -> dict[str, np.ndarray]: ...

    def insens(
        self,
        x: Any,
        layer: Any,
        frequency: Any = None,
        *,
        state: str = "inactive",
        sensitivity: str = "centre",
        way: str | None = None,
        progress: bool = True,
    ) -> np.ndarray | dict[str, np.ndarray]:
        """Return Insens: what in the input keeps a layer's neurons as they are (Eq. 8), exactly.

        Parameters
        ----------
        x : array, shape (n, *input_shape)
            The inputs.
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
        """
        self._read_what_changed()
        layers, single = self._chosen(layer)
        inputs = self._checked_inputs(x)
        self._check_model(inputs)
        frequencies = checked_frequency(frequency, layers, single=single)
        self._warn_of_scale(inputs, frequency)
        _one_of("state", state, STATES)
        _one_of("sensitivity", sensitivity, SENSITIVITIES)
        if way is not None:
            _one_of("way", way, WAYS)
        needed = expected_needed(layers, frequencies, state)
        choice = self._choice(needed, way, self.memory_budget)
        if sensitivity == "centre":
            self._warn_of_cost(layers, needed, choice, len(inputs))
        budget = self._budget_of_ways(list(choice.ways), self.memory_budget)
        ways = [self._way(name, positions, budget) for name, positions in choice.groups.items()]
        compiled = self._cached(
            ("insens", *layers),
            lambda: Insens(self._graph, layers, self.memory_budget // MAPS_SHARE),
        )
        with _progress("Insens", len(inputs), progress) as advance:
            maps = compiled(inputs, frequencies, state, sensitivity, ways, advance)
        for one, omega in zip(layers, maps):
            self._check_finite(one, omega)
        return maps[0] if single else {one.name: omega for one, omega in zip(layers, maps)}

    @overload
    def estimate_insens(
        self,
        x: Any,
        layer: str | int | HiddenLayer,
        frequency: Any = None,
        *,
        probes: int = 64,
        seed: int = 0,
        state: str = "inactive",
        progress: bool = True,
    ) -> InsensEstimate: ...

    @overload
    def estimate_insens(
        self,
        x: Any,
        layer: list[Any] | tuple[Any, ...],
        frequency: Any = None,
        *,
        probes: int = 64,
        seed: int = 0,
        state: str = "inactive",
        progress: bool = True,
    ) -> dict[str, InsensEstimate]: ...

    def estimate_insens(
        self,
        x: Any,
        layer: Any,
        frequency: Any = None,
        *,
        probes: int = 64,
        seed: int = 0,
        state: str = "inactive",
        progress: bool = True,
    ) -> InsensEstimate | dict[str, InsensEstimate]:
        """Return an estimate of Insens from random probes, and its error.

        For networks where `insens` costs minutes, and never taken instead of it unasked. A probe
        costs about one gradient of the network, however many neurons and layers there are; the
        maps and their errors cost nine more a layer.

        Parameters
        ----------
        x : array, shape (n, *input_shape)
            The inputs.
        layer : str, int, HiddenLayer, Keras layer, or list of them
            One hidden layer, or several from the same probes.
        frequency : mapping of str to array, or array of the layer's shape, optional
            m/N in 0..1, as `activation_frequency` returns it. None: every neuron weighs 1.
        probes : int
            How many, at least 16. The error falls with their square root.
        seed : int
            What the probes are drawn from, at least 0. The same one gives the same estimate (to
            rounding) of an input in any batch and under any memory budget.
        state : {"inactive", "active", "all"}
            Which neurons are summed over; the paper's is "inactive", v <= 0.
        progress : bool
            Whether to show a progress bar where it takes longer.

        Returns
        -------
        InsensEstimate, or dict of str to such for a list
            omega and standard_error, (n, *input_shape) each, and relative_error, (n,).

        Raises
        ------
        ValueError
            If an argument is wrong; the message says what was expected.

        Notes
        -----
        1 / (w w) is estimated as (k - 2) / sum over k probes z of (w z)^2. With z standard normal
        that has no bias. The standard error is a jackknife over groups of probes.
        """
        self._read_what_changed()
        layers, single = self._chosen(layer)
        inputs = self._checked_inputs(x)
        self._check_model(inputs)
        frequencies = checked_frequency(frequency, layers, single=single)
        self._warn_of_scale(inputs, frequency)
        _one_of("state", state, STATES)
        check_sampling(probes, seed)
        compiled = self._cached(
            ("estimate", *layers), lambda: Estimator(self._graph, layers, self.memory_budget)
        )
        with _progress("Insens, estimated", len(inputs), progress) as advance:
            estimates = compiled(inputs, frequencies, state, probes, seed, advance)
        for one, estimate in zip(layers, estimates):
            self._check_finite(one, estimate.omega, estimate.standard_error)
        if single:
            return estimates[0]
        return {one.name: estimate for one, estimate in zip(layers, estimates)}

    def plan(
        self,
        x_shape: Any = None,
        layer: Any = None,
        frequency: Any = None,
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
        given = self._checked_inputs(x_shape, "x_shape") if np.ndim(x_shape) > 1 else None
        inputs = self._inputs_in(x_shape if given is None else given.shape)
        layers, single = self._chosen(list(self.layers) if layer is None else layer)
        frequencies = checked_frequency(frequency, layers, single=single)
        _one_of("state", state, STATES)
        if way is not None:
            _one_of("way", way, WAYS)
        needed = expected_needed(layers, frequencies, state)
        choice = self._choice(needed, way, self.memory_budget)
        if given is not None:
            # What insens is going to do does not depend on the inputs; how long it takes does.
            needed = self._counted(given, layers, frequencies, state)
        choice = self._counted_cost(choice, needed)
        seconds = self._seconds_of_a_gradient() if timed else None
        return self._planned(layers, needed, choice, inputs, way, seconds)

    def _planned(
        self,
        layers: Sequence[HiddenLayer],
        needed: Mapping[int, float],
        choice: Choice,
        inputs: int,
        way: str | None,
        seconds: float | None = None,
    ) -> Plan:
        def taken(positions: Sequence[int], cost: Cost) -> float:
            return self._memory_taken(positions, cost, inputs, self.memory_budget)

        def larger(position: int, budget: int) -> tuple[str, Cost] | None:
            other = self._choice({position: needed[position]}, way, budget)
            fits = self._memory_taken([position], other.together, inputs, budget) <= budget
            return (other.ways[position], other.together) if fits else None

        return plan(
            self._graph,
            layers,
            self.outputs,
            needed,
            choice,
            inputs,
            taken,
            self.memory_budget,
            larger,
            seconds,
        )

    def _counted_cost(self, choice: Choice, needed: Mapping[int, float]) -> Choice:
        """Return the choice with the cost of just as many neurons, without steps."""
        budget = self._budget_of_ways(list(needed), self.memory_budget)
        return counted(self._graph, choice, needed, budget)

    def _counted(
        self,
        x: np.ndarray,
        layers: Sequence[HiddenLayer],
        frequencies: Sequence[np.ndarray | None],
        state: str,
    ) -> dict[int, float]:
        """Return how many neurons of each layer these inputs need, on average, by position."""
        activities = self.activity(x, list(layers))
        weighs = [1.0 if frequency is None else frequency for frequency in frequencies]
        masks = [
            STATES[state](activities[layer.name]) & np.greater(weight, 0)
            for layer, weight in zip(layers, weighs)
        ]
        return counted_needed(masks, layers)

    def _seconds_of_a_gradient(self) -> float:
        """Return how long a gradient of the network takes for one of a few inputs; timed once."""

        def timed() -> float:
            passes = Passes(self._graph, self.outputs)
            positions = [output.position for output in self.outputs]
            of_an_input = memory.gradient(self._graph, positions)
            count = min(FEW, at_a_time(self._graph, positions, self.memory_budget, of_an_input))
            x = np.random.default_rng(0).normal(size=(count, *self.input_shape))
            seeds = {one: np.ones((count, *one.shape)) for one in self.outputs}
            seconds = []
            # The first one traces and compiles it.
            for _ in range(3):
                start = time.perf_counter()
                for output, seed in seeds.items():
                    passes.backward[output](x, seed)
                seconds.append((time.perf_counter() - start) / count)
            return min(seconds[1:])

        return self._cached(("seconds",), timed)

    def _inputs_in(self, x_shape: Any) -> int:
        """Return how many inputs an array of this shape holds."""
        if x_shape is None:
            return 1
        try:
            shape = tuple(operator.index(size) for size in x_shape)
        except TypeError:
            shape = ()
        if shape[1:] != self.input_shape or not shape or shape[0] < 1:
            expected = f"{('n', *self.input_shape)}".replace("'", "")
            raise ValueError(
                f"x_shape={x_shape!r}: expected the shape of a batch of inputs, {expected}, such "
                "as x.shape"
            )
        return shape[0]

    def _choice(self, needed: Mapping[int, float], way: str | None, memory_budget: int) -> Choice:
        # By the share that is needed, in 64 steps: another frequency is seldom another choice.
        sizes = {position: self._graph.operations[position].size for position in needed}
        steps = {one: math.ceil(64 * count / sizes[one]) for one, count in needed.items()}
        budget = self._budget_of_ways(list(needed), memory_budget)
        return self._cached(
            ("choice", way, memory_budget, *steps.items()),
            lambda: choose(
                self._graph,
                {one: step / 64 * sizes[one] for one, step in steps.items()},
                budget,
                way,
            ),
        )

    def _footprint(self, positions: Sequence[int], memory_budget: int) -> Footprint:
        return self._cached(
            ("footprint", memory_budget, *positions),
            lambda: Footprint(self._graph, positions, memory_budget // MAPS_SHARE),
        )

    def _memory_taken(
        self, positions: Sequence[int], cost: Cost, inputs: int, memory_budget: int
    ) -> float:
        """Return the bytes of a first call for maps of these layers, whose ways have this cost."""
        proof = 0.0 if self._first_use is None else self._first_use.memory(inputs)
        return self._footprint(positions, memory_budget).with_way(cost, inputs, proof)

    def _budget_of_ways(self, positions: Sequence[int], memory_budget: int) -> float:
        """Return what is left beside the maps."""
        return memory_budget - self._footprint(positions, memory_budget).beside

    def _warn_of_cost(
        self,
        layers: Sequence[HiddenLayer],
        needed: Mapping[int, float],
        choice: Choice,
        inputs: int,
    ) -> None:
        """Warn of more memory than the budget, and of hours, with what would be faster."""
        taken = self._memory_taken(list(choice.ways), choice.together, inputs, self.memory_budget)
        least = choice.together.work / self._graph.work([one.position for one in self.outputs], FEW)
        if taken <= self.memory_budget and least < MANY_GRADIENTS:
            return
        choice = self._counted_cost(choice, needed)
        planned = self._planned(layers, needed, choice, inputs, None)
        taken = planned.memory
        many = planned.gradients >= MANY_GRADIENTS * inputs
        if not many and taken <= self.memory_budget:
            return
        what = []
        if taken > self.memory_budget:
            what.append(
                f"about {readable_size(taken)} at a time, more than the memory budget of "
                f"{readable_size(self.memory_budget)}, as less is not enough for one input of this "
                "size or takes far longer; plan() says for which layer. Build the SwitchedNetwork "
                "with a larger memory_budget if there is as much memory"
            )
        if many:
            what.append(f"about as long as {planned.gradients:,.0f} gradients of the network")
        warnings.warn(
            "; ".join([f"Insens takes {' and '.join(what)}", *planned.faster]),
            RuntimeWarning,
            stacklevel=3,
        )

    def _warn_of_scale(self, inputs: np.ndarray, frequency: Any) -> None:
        largest = max(float(inputs.max()), -float(inputs.min()))
        seen = frequency.largest_input if isinstance(frequency, ActivationFrequency) else None
        if seen and largest > ANOTHER_SCALE * seen:
            warnings.warn(
                f"x: inputs of up to {largest:.4g}, where the activation frequency is of inputs of "
                f"up to {seen:.4g}; scale both as in training, such as by x / 255",
                RuntimeWarning,
                stacklevel=3,
            )
        if largest <= 1 and (inputs != np.rint(inputs)).any():
            for operation in self._graph.operations:
                layer = self._reading.keras_layers.get(operation.name)
                if operation.operands != (0,) or type(layer).__name__ != "Rescaling":
                    continue
                scale = float(np.max(np.abs(layer.scale)))  # type: ignore[union-attr]
                if scale <= OF_PICTURES:
                    warnings.warn(
                        f"x: inputs of up to {largest:.4g}, where layer {operation.name!r} itself "
                        f"scales pictures by {scale:.3g}; pass them as the model takes them, such "
                        "as from 0 to 255",
                        RuntimeWarning,
                        stacklevel=3,
                    )

    def _way(self, name: str, positions: tuple[int, ...], budget: float) -> Way:
        return self._cached(
            ("way", name, positions, budget),
            lambda: WAYS[name](self._graph, positions, budget),
        )

    def _projection_arguments(self, x: Any, layer: Any, neurons: Any) -> tuple[Any, ...]:
        self._read_what_changed()
        (found,), _ = self._chosen([layer], output=True)
        inputs = self._checked_inputs(x)
        self._check_model(inputs)
        chosen = chosen_neurons(found, neurons)
        weights = self._cached(
            ("weights", found.position),
            lambda: SwitchedWeights(self._graph, found.position, self.memory_budget),
        )
        return weights, found, inputs, chosen, self.memory_budget

    def _chosen(self, layer: Any, *, output: bool = False) -> tuple[list[HiddenLayer], bool]:
        """Return the layers that are meant, and whether one was asked for, not a list."""
        if not isinstance(layer, (list, tuple)):
            return [self._found.find(layer, output=output)], True
        layers = [self._found.find(one, output=output) for one in layer]
        if not layers:
            raise ValueError("layer=[]: expected a layer or a list of at least one")
        for one in layers:
            if layers.count(one) > 1:
                raise ValueError(f"layer={list(layer)!r}: layer {one.name!r} is there twice")
        return layers, False

    def _checked_inputs(self, x: Any, argument: str = "x") -> np.ndarray:
        refuse_masks(argument, x)
        expected = f"expected shape {('batch', *self.input_shape)}".replace("'", "")
        try:
            array = np.asarray(x)
        except (NotImplementedError, TypeError, ValueError) as error:
            raise ValueError(f"{argument}: {expected}, came no array ({error})") from error
        if array.dtype.kind not in "buif":
            raise ValueError(f"{argument}: {expected} of real numbers, came dtype {array.dtype}")
        if array.shape == self.input_shape:
            raise ValueError(
                f"{argument}: {expected}, came {array.shape}, one input without a batch axis; "
                f"add it: {argument}[numpy.newaxis], or batch(n) of a tf.data.Dataset"
            )
        if array.shape[1:] != self.input_shape or not array.ndim:
            way_out = "pass the inputs as the model takes them"
            if (*array.shape[1:], 1) == self.input_shape:
                way_out = f"add the channel: {argument}[..., numpy.newaxis]"
            raise ValueError(f"{argument}: {expected}, came {array.shape}; {way_out}")
        if not len(array):
            raise ValueError(f"{argument}: {expected} with at least one input, came {array.shape}")
        with np.errstate(over="ignore"):
            array = array.astype(self.dtype, copy=False)
        finite = np.isfinite(array).reshape(len(array), -1).all(axis=1)
        if not finite.all():
            raise ValueError(
                f"{argument}: expected finite numbers within {self.dtype}, came NaN or infinity in "
                f"input {int(np.flatnonzero(~finite)[0])} ({int((~finite).sum())} of {len(array)} "
                "inputs); leave these out or mend them"
            )
        if not self._input_dtype.is_floating:
            with np.errstate(invalid="ignore"):
                taken = array.astype(self._input_dtype.as_numpy_dtype)
            if (taken != array).any():
                raise ValueError(
                    f"{argument}: expected whole numbers that {self._input_dtype.name} has, which "
                    f"is what the model's Input takes, came {array[taken != array][0]:.6g}; pass "
                    "the inputs as the model takes them, such as pictures from 0 to 255"
                )
        return array

    def _check_model(self, inputs: np.ndarray) -> None:
        """Raise if the model as it is now has weights that are no numbers, or is not what is read.

        Which shows on the inputs.
        """
        self._prove(inputs, self._finite_weights.check())

    def _prove(self, inputs: np.ndarray, weights: np.ndarray) -> None:
        if self._first_use is not None:
            self._first_use(inputs, weights)

    def _finite_projection(self, projection: Projection) -> Projection:
        self._check_finite(projection.layer, projection.activity, projection.weights)
        return projection

    def _check_finite(self, layer: HiddenLayer, *results: np.ndarray) -> None:
        if not all(is_finite(values) for values in results):
            raise self._too_large(layer)

    def _too_large(self, layer: HiddenLayer) -> ValueError:
        return too_large(layer.name, self.dtype)

    def _cached(self, key: Any, make: Callable[[], Any]) -> Any:
        # Compiled functions are kept, so that no call traces them again, nor two threads at once;
        # what was asked for last stands last.
        with self._lock:
            result = self._compiled.pop(key, None)
            self._compiled[key] = make() if result is None else result
            # With eager mode off they are parts of TensorFlow's graph, which cannot be freed.
            if tf.executing_eagerly():
                while len(self._compiled) > KEPT + KEPT_A_LAYER * len(self.layers):
                    del self._compiled[next(iter(self._compiled))]
            return self._compiled[key]


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
    """
    reading = read_what_can_be(model, smooth_activations)
    if reading.refusals:
        return Report(model.name, reported_layers(reading), ())
    return SwitchedNetwork(model, smooth_activations=smooth_activations).report(x)


@contextmanager
def _progress(what: str, inputs: int, shown: bool) -> Iterator[Callable[[float], None]]:
    """Show how far the work is; yields what is to be told of inputs' worth of work done since."""
    with tqdm(
        desc=what,
        total=inputs,
        delay=PATIENCE_IN_SECONDS,
        disable=not shown,
        bar_format="{desc}: {percentage:3.0f}%|{bar}| {elapsed}<{remaining}",
    ) as bar:

        def advance(done: float) -> None:
            # Shares of 1 may add up to a little more.
            bar.update(min(done, inputs - bar.n))

        yield advance


def _rebuilt(kind: type[SwitchedNetwork], model: Any, settings: dict[str, Any]) -> SwitchedNetwork:
    return kind(model, **settings)


def _names(layers: Sequence[HiddenLayer]) -> str:
    return ", ".join(f"{layer.name!r} {layer.shape}" for layer in layers)


def _one_of(argument: str, value: Any, expected: Sequence[str] | Any) -> None:
    if not isinstance(value, str) or value not in expected:
        names = ", ".join(repr(name) for name in expected)
        raise ValueError(f"{argument}={value!r}: expected one of {names}")
