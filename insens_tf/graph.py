"""The switched network as data: a graph of operations, each linear once the state is known.

Every operation is one of three kinds. *Linear* ones (convolution, matrix, average, ...) are affine
in their operands whatever the input. A *gate* (ReLU and its kin) multiplies each neuron's activity
by the slope of the linear piece that it lies on. A *selection* (max pooling) passes one of its
inputs on. The state of the network, Section 2 of the paper, is the pieces and the winners; hold
them and the whole graph is one affine map.
"""

from __future__ import annotations

from collections.abc import Collection, Container, Iterable, Mapping, Sequence

import tensorflow as tf

from insens_tf.operations import Operation
from insens_tf.receptive_field import ReceptiveField, Window

__all__ = ["Graph", "summed"]


class Graph:
    """Operations in an order in which each comes after its operands; the first is the input.

    Parameters
    ----------
    operations : sequence of Operation
        The first one, and only it, is an `Input`.
    dtype : tf.DType
        What everything is computed in: the dtype of the weights.
    """

    def __init__(self, operations: Sequence[Operation], dtype: tf.DType) -> None:
        self.operations = tuple(operations)
        self.dtype = dtype
        self.input_shape = self.operations[0].shape
        self._fields: tuple[ReceptiveField, ...] = ()

    def ancestors(self, positions: Iterable[int], known: Container[int] = ()) -> list[int]:
        """Return the positions that those of `positions` are computed from, with them, in order.

        Not further down than to those that are `known`.
        """
        needed = set(positions)
        for position in range(len(self.operations) - 1, -1, -1):
            if position in needed and position not in known:
                needed.update(self.operations[position].operands)
        return sorted(needed)

    def linear_ends(self, position: int) -> list[int]:
        """Return up to where the way from the input to `position` is linear, on each branch.

        The values there are affine in the input whatever it is, and `position` is computed from
        them alone.
        """
        linear = {0}
        for one in self.ancestors([position])[1:]:
            operation = self.operations[one]
            if not operation.has_state and linear.issuperset(operation.operands):
                linear.add(one)
        return [one for one in self.ancestors([position], linear) if one in linear]

    def last_use(self, order: Sequence[int]) -> dict[int, int]:
        """Return which of some positions, in order, is the last that each operand is needed for."""
        return {operand: one for one in order for operand in self.operations[one].operands}

    def values(self, x: tf.Tensor, positions: Sequence[int]) -> list[tf.Tensor]:
        """Evaluate the operations at `positions` on x, (batch, *input_shape)."""
        return self.values_from({0: x}, positions)

    def values_from(
        self, known: Mapping[int, tf.Tensor], positions: Sequence[int]
    ) -> list[tf.Tensor]:
        """Evaluate the operations at `positions` from the values at others, (batch, *shape)."""
        values = dict(known)
        computed = [one for one in self.ancestors(positions, known) if one not in known]
        last_use = self.last_use(computed)
        for position in computed:
            operation = self.operations[position]
            values[position] = operation(*(values[operand] for operand in operation.operands))
            # In eager mode what is held here is in memory.
            for operand in set(operation.operands) - set(positions):
                if last_use[operand] == position:
                    del values[operand]
        return [values[position] for position in positions]

    def setting_state(self, positions: Iterable[int]) -> list[int]:
        """Return the positions of the values that the state on the way to others depends on."""
        stateful = [one for one in self.ancestors(positions) if self.operations[one].has_state]
        return sorted({operand for one in stateful for operand in self.operations[one].operands})

    def last_on_every_way(self, position: int, candidates: Collection[int]) -> int:
        """Return the last of some positions before another that every way to it leads through.

        Returns
        -------
        int
            0, the input, where that is of none of them.
        """
        crossing = set(self.operations[position].operands)
        while crossing != {0}:
            latest = max(crossing)
            if crossing == {latest} and latest in candidates:
                return latest
            crossing.remove(latest)
            crossing.update(self.operations[latest].operands)
        return 0

    def pushed(
        self, state: Mapping[int, tf.Tensor], changes: tf.Tensor, positions: Sequence[int]
    ) -> list[tf.Tensor]:
        """Return how the values at `positions` change with the input, with the state held.

        Parameters
        ----------
        state : mapping of int to tf.Tensor, shape (batch, *shape of the operation) each
            The values at least at what is `setting_state` on the way to `positions`.
        changes : tf.Tensor, shape (batch * count, *input_shape)
            `count` changes of each input, one input's after the other's.
        positions : sequence of int

        Returns
        -------
        list of tf.Tensor, shape (batch * count, *shape of the operation) each
        """
        pushed = {0: changes}
        for position in self.ancestors(positions):
            if position:
                operation = self.operations[position]
                pushed[position] = operation.pushed(
                    [state[operand] for operand in operation.operands if operation.has_state],
                    [pushed[operand] for operand in operation.operands],
                )
        return [pushed[position] for position in positions]

    def combined_weights(self, x: tf.Tensor, numbers: tf.Tensor, position: int) -> tf.Tensor:
        """Return the sum over neurons of number * w: a vector-Jacobian product, the state held.

        Parameters
        ----------
        x : tf.Tensor, shape (batch, *input_shape)
        numbers : tf.Tensor, shape (batch, *shape of the operation)
        position : int
            The neurons' layer.

        Returns
        -------
        tf.Tensor, shape (batch, *input_shape)
        """
        (result,) = self.pulled_back({0: x}, [position], [numbers])
        return result

    def pulled_back(
        self, known: Mapping[int, tf.Tensor], positions: Sequence[int], numbers: Sequence[tf.Tensor]
    ) -> list[tf.Tensor]:
        """Return vector-Jacobian products at values of the graph, the state held.

        Parameters
        ----------
        known : mapping of int to tf.Tensor, shape (batch, *shape of the operation) each
            The values from which those at `positions` are computed.
        positions : sequence of int
        numbers : sequence of tf.Tensor, shape (batch, *shape of the operation) each
            What is taken back from each of `positions`.

        Returns
        -------
        list of tf.Tensor, of the shapes of the `known` values
        """
        sources = list(known.values())
        with tf.GradientTape() as tape:
            tape.watch(sources)
            values = self.values_from(known, positions)
        return tape.gradient(
            values, sources, numbers, unconnected_gradients=tf.UnconnectedGradients.ZERO
        )

    def switched_weights(
        self, x: tf.Tensor, position: int, neurons: tf.Tensor
    ) -> tuple[tf.Tensor, tf.Tensor]:
        """Evaluate one input, and take neurons back to it with the state held.

        Parameters
        ----------
        x : tf.Tensor, shape (1, *input_shape)
        position : int
            The neurons' layer.
        neurons : tf.Tensor of int64, shape (count,)
            Flat indices into it.

        Returns
        -------
        activity : tf.Tensor, shape (count,)
        weights : tf.Tensor, shape (count, *input_shape)
        """
        ancestors = self.ancestors([position])
        values = dict(zip(ancestors, self.values(x, ancestors)))
        activity = tf.gather(tf.reshape(values[position], [-1]), neurons)
        if not position:
            chosen = tf.one_hot(neurons, self.operations[0].size, dtype=x.dtype)
            return activity, tf.reshape(chosen, (-1, *self.input_shape))
        operation = self.operations[position]
        operands = [values[operand] for operand in operation.operands]
        rows = operation.rows(neurons, *operands)
        return activity, self._taken_back(values, zip(operation.operands, rows))

    def taken_back(
        self,
        state: Mapping[int, tf.Tensor],
        positions: Sequence[int],
        numbers: Sequence[tf.Tensor],
        end: int = 0,
    ) -> tf.Tensor:
        """Return the sum over neurons of all layers of number * w: several for one input at once.

        Parameters
        ----------
        state : mapping of int to tf.Tensor, shape (1, *shape of the operation) each
            The values at least at what is `setting_state` on the way from `end` to `positions`.
        positions : sequence of int
            The neurons' layers.
        numbers : sequence of tf.Tensor, shape (count, *shape of the operation)
            One a layer.
        end : int
            Where it ends, as `last_on_every_way` has it. What comes out there are the numbers with
            which it goes on.

        Returns
        -------
        tf.Tensor, shape (count, *shape of the operation at `end`)
        """
        return self._taken_back(state, zip(positions, numbers), end)

    def _taken_back(
        self,
        state: Mapping[int, tf.Tensor],
        gradients: Iterable[tuple[int, tf.Tensor]],
        end: int = 0,
    ) -> tf.Tensor:
        """Take gradients, of values by their position, back to the input, or another value."""
        parts: dict[int, list[tf.Tensor]] = {}
        for position, gradient in gradients:
            parts.setdefault(position, []).append(gradient)
        for position in range(max(parts), end, -1):
            if position not in parts:
                continue
            operation = self.operations[position]
            operands = [
                state[operand]
                if operation.has_state
                # Of what has no state the shape alone matters.
                else tf.zeros((1, *self.operations[operand].shape), self.dtype)
                for operand in operation.operands
            ]
            back = operation.transposed(*operands)(summed(parts.pop(position)))
            for operand, part in zip(operation.operands, back):
                parts.setdefault(operand, []).append(part)
        return summed(parts[end])

    def elements(self, positions: Sequence[int]) -> int:
        """Return how many numbers one input's values are, all the way up to `positions`."""
        return sum(self.operations[position].size for position in self.ancestors(positions))

    def work(self, positions: Sequence[int], rows: int) -> float:
        """Return about how long it takes to evaluate `positions` for one of `rows` inputs.

        In multiplications of a large matrix product.
        """
        return sum(self.operations[one].work(rows) for one in self.ancestors(positions))

    def receptive_field(self, position: int) -> ReceptiveField:
        """Return the block of the input that a neuron at `position` of the graph sees."""
        if not self._fields:
            fields = [ReceptiveField((Window(1),) * (len(self.input_shape) - 1))]
            for operation in self.operations[1:]:
                below = ReceptiveField.union([fields[operand] for operand in operation.operands])
                fields.append(below.through(operation.locality))
            self._fields = tuple(fields)
        return self._fields[position]


def summed(parts: Sequence[tf.Tensor]) -> tf.Tensor:
    """Return the sum of what comes back to an operation, or the only part as it is."""
    return parts[0] if len(parts) == 1 else tf.add_n(parts)
