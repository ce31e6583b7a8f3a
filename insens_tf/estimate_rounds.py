"""The rounds in which the estimate of one input becomes as good as it was asked for."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from insens_tf import norm_estimator
from insens_tf.chunks import slices
from insens_tf.estimate_passes import EstimatePasses

__all__ = ["GROUPS", "LEAST_PROBES", "LayerEstimate", "Rounds"]

Array = NDArray[np.floating]

GROUPS = 8
"""Of probes, for the jackknife."""

LEAST_PROBES = 2 * GROUPS

# Fewer say too little of how large the error is: one that is small by luck would end the rounds.
PROBES_BESIDE_A_BASIS = 32

# A round takes at most so many times as many probes as there were: the error that says how many
# are needed is itself known only roughly.
LARGEST_STEP = 3

# A map and its error take some ten passes back. Between rounds they are made of the layers that
# decide how many more passes there are, those with the largest errors, and of those that are likely
# done, whose errors are predicted to be at most so many times what was asked for.
DECIDE = 3
LIKELY = 1.15

# Half of the probes that are still needed are expected to be saved by a basis of twice the size.
EXPECTED_TO_BE_SAVED = 0.5


@dataclass
class LayerEstimate:
    """What is known of one layer: maps of the shape of an input, and numbers a neuron.

    Attributes
    ----------
    activity : numpy.ndarray, shape of the layer
        (m/N) v of the neurons that are summed over, 0 of all others.
    inside : numpy.ndarray, shape of the layer
        The sum of squares of w Q.
    squares : numpy.ndarray, shape (groups, *shape of the layer)
        The sum of (w z)^2 over the probes of each group.
    omega, standard_error : numpy.ndarray, shape of an input
    error : float
        The length of standard_error over that of omega; between two estimates, what it is
        predicted to be.
    probes, passes : int
        When it was last estimated.
    """

    activity: Array
    inside: Array
    squares: Array
    omega: Array = field(default_factory=lambda: np.empty(0))
    standard_error: Array = field(default_factory=lambda: np.empty(0))
    error: float = np.inf
    probes: int = 0
    passes: int = 0

    def norms(self, probes: int) -> NDArray[np.float64]:
        """Return the estimate of w w of each neuron."""
        return norm_estimator.squared_norms(self.inside, self.squares.sum(axis=0), probes)

    def release(self) -> None:
        """Keep no number a neuron."""
        self.activity = self.inside = self.squares = np.empty(0)


class Rounds:
    """The estimates of some layers for one input, from passes that they share.

    Parameters
    ----------
    passes : EstimatePasses
    x : numpy.ndarray, shape (1, *input_shape)
    weighted : sequence of numpy.ndarray, each of its layer's shape
        (m/N) v of the neurons that are summed over, 0 of all others.
    seed : int
    largest_basis : int
        How many directions there is memory for.
    check : callable
        Called with each layer's index, activity and norms when it is done.
    """

    def __init__(
        self,
        passes: EstimatePasses,
        x: Array,
        weighted: Sequence[Array],
        seed: int,
        largest_basis: int,
        check: Callable[[int, Array, Array], None],
    ) -> None:
        self._passes = passes
        self._x = x
        self._check = check
        self._layers = [
            LayerEstimate(
                activity,
                np.zeros(activity.shape, x.dtype),
                np.zeros((GROUPS, *activity.shape), x.dtype),
            )
            for activity in weighted
        ]
        self._open = list(range(len(self._layers)))
        needed = sum(int(np.count_nonzero(activity)) for activity in weighted)
        self._largest_basis = min(largest_basis, x.size, needed)
        self._basis = np.empty((0, x.size), x.dtype)
        # The probes are the same whatever is taken back between them.
        self._random = np.random.default_rng(seed)
        self._random_sums = np.random.default_rng([seed, 1])
        self._probes = 0
        self._taken = 0

    def of_probes(self, probes: int, advance: Callable[[float], None]) -> list[LayerEstimate]:
        """Return the estimates of so many random probes, whatever their errors."""
        self._push_probes(probes, lambda count: advance(count / probes))
        self._update_maps(self._open)
        self._close(self._open)
        return self._layers

    def to_tolerance(
        self, tolerance: float, most_passes: int, advance: Callable[[float], None]
    ) -> list[LayerEstimate]:
        """Return the estimates when all errors are at most `tolerance`, or no pass is left."""
        told = _Told(advance)
        self._push_probes(LEAST_PROBES, told.taken)
        self._update_maps(self._open)
        pays = True
        while True:
            # A map that is not finite has no error, and gets none from more passes.
            self._close([one for one in self._open if not self._layers[one].error > tolerance])
            left = most_passes - self._taken
            if self._open and left > 0:
                self._compute_exactly(self._cheaper_exactly(tolerance, left), told.taken)
                left = most_passes - self._taken
            if not self._open or left <= 0:
                break
            more = self._probes_needed(tolerance) - self._probes
            told.expect(self._taken, more)
            directions = self._more_directions(left)
            price = 2 * directions + PROBES_BESIDE_A_BASIS
            if pays and directions and more * EXPECTED_TO_BE_SAVED > price:
                needed = self._probes_needed(tolerance)
                self._extend_basis(directions, told.taken)
                self._push_probes(PROBES_BESIDE_A_BASIS, told.taken)
                self._look(tolerance)
                pays = needed - self._probes_needed(tolerance) >= price
            else:
                count = min(max(more, GROUPS), LARGEST_STEP * self._probes, left)
                self._push_probes(count, told.taken)
                # It falls with the square root of the probes.
                fallen = np.sqrt(1 - count / self._probes)
                self._look(tolerance, fallen)
        self._update_maps([one for one in self._open if self._layers[one].passes < self._taken])
        self._close(self._open)
        told.all()
        return self._layers

    def _look(self, tolerance: float, expected: float = 0.0) -> None:
        """Make maps and errors of the layers that decide and that are done; predict the others'.

        Parameters
        ----------
        tolerance : float
        expected : float
            How many times as large as they were errors are expected to be at least; of layers that
            decide it shows how many times it is.
        """
        layers = sorted(self._open, key=lambda one: -self._layers[one].error)
        before = {one: self._layers[one].error for one in layers}
        self._update_maps(layers[:DECIDE])
        changes = [self._layers[one].error / before[one] for one in layers[:DECIDE]]
        change = max(expected, *np.nan_to_num(changes))
        for one in layers[DECIDE:]:
            self._layers[one].error *= change
        self._update_maps(
            [one for one in layers[DECIDE:] if self._layers[one].error <= LIKELY * tolerance]
        )

    def _probes_needed(self, tolerance: float, which: Sequence[int] | None = None) -> int:
        """Return how many probes are needed with this basis by the layer that needs most.

        Of some of the open layers; None: of all.
        """
        errors = [self._layers[one].error for one in (self._open if which is None else which)]
        return norm_estimator.probes_for(tolerance, max(errors, default=0.0), self._probes)

    def _cheaper_exactly(self, tolerance: float, left: int) -> list[int]:
        """Return the first open layers, as many as it spares most work to finish exactly.

        Coloured probes of early layers are few and go no farther than these do, while the random
        ones that early layers need go through all.
        """
        chosen: list[int] = []
        most_spared = 0.0
        needed_by_all = min(self._probes_needed(tolerance) - self._probes, left)
        work_of_all = self._passes.work(self._open)
        for end in range(1, len(self._open) + 1):
            first, others = self._open[:end], self._open[end:]
            colours = self._passes.colours(first)
            # Later layers' are more.
            if colours > left:
                break
            spared = needed_by_all * work_of_all - colours * self._passes.work(first)
            if others:
                needed = min(self._probes_needed(tolerance, others) - self._probes, left)
                spared -= max(0, needed) * self._passes.work(others)
            if spared >= most_spared:
                chosen, most_spared = first, spared
        return chosen

    def _more_directions(self, passes: int) -> int:
        """Return by how many directions the basis is to grow, with so many passes left."""
        size = len(self._basis)
        room = min(self._largest_basis - size, (passes - PROBES_BESIDE_A_BASIS) // 2)
        return max(0, min(max(size, LEAST_PROBES), room))

    def _push_probes(self, count: int, taken: Callable[[int], None]) -> None:
        """Push more probes, and add up their squares."""
        depth = self._passes.depth(self._open)
        for block in slices(count, self._passes.rows_forward(depth)):
            size = block.stop - block.start
            drawn = self._random.standard_normal((size, self._x.size)).astype(self._x.dtype)
            directions = self._passes.outside(self._basis, drawn)
            for one, squares in self._squares(directions, depth, self._open):
                for square in range(size):
                    group = (self._probes + square) % GROUPS
                    self._layers[one].squares[group] += squares[square]
            self._probes += size
            self._taken += size
            taken(size)

    def _extend_basis(self, count: int, taken: Callable[[int], None]) -> None:
        """Find more directions, compute what lies inside of them, and forget the probes."""
        depth = self._passes.depth(self._open)
        sizes: dict[int, Array] = {}
        for one in self._open:
            layer = self._layers[one]
            length = np.linalg.norm(layer.omega.astype(np.float64))
            sizes[one] = norm_estimator.importance(layer.activity, layer.norms(self._probes))
            sizes[one] /= length if length > 0 else 1.0
        largest = max(float(size.max(initial=0.0)) for size in sizes.values())
        rows = np.empty((count, self._x.size), self._x.dtype)
        for block in slices(count, self._passes.rows_back(depth)):
            numbers = [
                np.zeros((block.stop - block.start, *self._passes.shapes[one]), self._x.dtype)
                for one in range(depth)
            ]
            # Drawn one after another, the numbers are the same in blocks of any size.
            for row in range(block.stop - block.start):
                for one, size in sizes.items():
                    drawn = self._random_sums.standard_normal(size.shape, np.float32)
                    numbers[one][row] = drawn * (size / largest if largest > 0 else size)
            rows[block] = self._passes.sums(self._x, numbers).reshape(-1, self._x.size)
            self._taken += block.stop - block.start
            taken(block.stop - block.start)
        first = len(self._basis)
        self._basis = norm_estimator.extended_basis(self._basis, np.nan_to_num(rows))
        self._probes = 0
        for one in self._open:
            self._layers[one].squares[...] = 0
        for block in slices(count, self._passes.rows_forward(depth)):
            directions = self._basis[first:][block]
            for one, squares in self._squares(directions, depth, self._open):
                self._layers[one].inside += squares.sum(axis=0)
            self._taken += len(directions)
            taken(len(directions))

    def _compute_exactly(self, which: Sequence[int], taken: Callable[[int], None]) -> None:
        """Finish layers whose neurons see so little that one probe serves many of them."""
        if not which:
            return
        for one in which:
            self._layers[one].inside[...] = 0
            self._layers[one].squares[...] = 0
        depth = self._passes.depth(which)
        for block in slices(self._passes.colours(which), self._passes.rows_forward(depth)):
            directions = self._passes.coloured(which, block).astype(self._x.dtype)
            for one, squares in self._squares(directions, depth, which):
                self._layers[one].inside += squares.sum(axis=0)
            self._taken += len(directions)
            taken(len(directions))
        self._update_maps(which)
        self._close(which)

    def _squares(
        self, directions: Array, depth: int, which: Sequence[int]
    ) -> list[tuple[int, Array]]:
        """Return (w z)^2 of directions, (count, d) or (count, *input_shape), of some layers."""
        images = directions.reshape(-1, *self._x.shape[1:])
        found = self._passes.squares(self._x, images, depth)
        return [(one, found[one]) for one in which]

    def _update_maps(self, which: Sequence[int]) -> None:
        """Make the maps and errors of some layers."""
        sizes = [
            self._probes // GROUPS + (group < self._probes % GROUPS) for group in range(GROUPS)
        ]
        for one in which:
            layer = self._layers[one]
            numbers = norm_estimator.map_and_error_numbers(
                layer.activity, layer.inside, layer.squares, sizes
            )
            maps = self._passes.maps(self._x, one, numbers)
            layer.omega = maps[0]
            variance = np.square(maps[1:], dtype=np.float64).sum(axis=0)
            layer.standard_error = np.sqrt(variance).astype(self._x.dtype)
            length = np.linalg.norm(layer.omega.astype(np.float64))
            layer.error = float(np.sqrt(variance.sum()) / length) if length > 0 else 0.0
            layer.probes, layer.passes = self._probes, self._taken

    def _close(self, which: Sequence[int]) -> None:
        """Take no more passes for these layers."""
        for one in which:
            layer = self._layers[one]
            self._check(one, layer.activity, layer.norms(self._probes).astype(self._x.dtype))
            layer.release()
        self._open = [one for one in self._open if one not in which]


class _Told:
    """Tells of progress towards an end that is only expected: never back, and 1 in all."""

    def __init__(self, advance: Callable[[float], None]) -> None:
        self._advance = advance
        self._done = 0.0
        self._of_a_pass = 0.0

    def expect(self, taken: int, more: int) -> None:
        """Take in how many passes were taken, and how many more are expected."""
        self._of_a_pass = (1.0 - self._done) / max(1, more)
        if self._done == 0.0:
            self._tell(taken / (taken + more))
            self._of_a_pass = (1.0 - self._done) / max(1, more)

    def taken(self, passes: int) -> None:
        """Take in that some passes were taken."""
        self._tell(min(passes * self._of_a_pass, 1.0 - self._done))

    def all(self) -> None:
        """Tell of what is left."""
        self._tell(1.0 - self._done)

    def _tell(self, share: float) -> None:
        self._done += share
        self._advance(share)
