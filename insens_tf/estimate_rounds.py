"""The rounds in which the estimate of one input becomes as good as it was asked for."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from insens_tf import norm_estimator
from insens_tf.chunks import slices
from insens_tf.estimate_passes import EstimatePasses, State
from insens_tf.execution import held
from insens_tf.layer_estimate import GROUPS, LayerEstimate
from insens_tf.progress import ExpectedProgress

__all__ = ["LEAST_PROBES", "Rounds"]

Array = NDArray[np.floating]

LEAST_PROBES = 2 * GROUPS

# Fewer say too little of how large the error is: one that is small by luck would end the rounds.
PROBES_BESIDE_A_BASIS = 32

# Where a few directions hold much of all neurons' w, random probes that miss them make each w w too
# small and alike, and the error with them. As many passes find these directions.
PROBES_WITHOUT_A_BASIS = 64

# A round takes at most so many times as many probes as there were: the error that says how many
# are needed is itself known only roughly.
LARGEST_STEP = 3

# Between rounds errors are looked at of the layers that decide how many more passes there are,
# those with the largest ones. A map and its error, which take one pass back a group, are made of
# those that are likely done, whose errors are predicted to be at most so many times what was asked
# for.
DECIDE = 3
LIKELY = 1.15

# So much is thought to be left outside of an extended basis at least, until probes say so.
LEAST_LEFT = 0.1

# What the first basis is expected to save of the probes that are needed.
EXPECTED_TO_BE_SAVED = 0.5


class Rounds:
    """The estimates of some layers for one input, from passes that they share.

    Parameters
    ----------
    passes : EstimatePasses
    x : numpy.ndarray, shape (1, *input_shape)
    state : dict
        The one that x sets, as `EstimatePasses.at` returns it.
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
        state: State,
        weighted: Sequence[Array],
        seed: int,
        largest_basis: int,
        check: Callable[[int, Array, Array], None],
    ) -> None:
        self._passes = passes
        self._x = x
        self._state = state
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
        # As long as it is, it is copied once.
        self._basis = held(np.empty((0, x.size), x.dtype))
        # The probes are the same whatever is taken back between them.
        self._random = np.random.default_rng(seed)
        self._random_sums = np.random.default_rng([seed, 1])
        self._probes_of_groups = np.zeros(GROUPS, np.int64)
        # The share of the probes that the last directions have saved.
        self._saved = EXPECTED_TO_BE_SAVED
        self._taken = 0

    @property
    def _probes(self) -> int:
        """How many random probes there were since the basis was extended."""
        return int(self._probes_of_groups.sum())

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
        told = ExpectedProgress(advance)
        self._push_probes(LEAST_PROBES, told.taken)
        self._look(tolerance, of=len(self._open))
        while True:
            self._close([one for one in self._open if self._is_done(one, tolerance)])
            left = most_passes - self._taken
            if self._open and left > 0:
                self._compute_exactly(self._cheaper_exactly(tolerance, left), told.taken)
                left = most_passes - self._taken
            if not self._open or left <= 0:
                break
            before = self._probes
            more = max(self._probes_needed(tolerance), self._least_probes) - before
            told.expect(self._taken, more)
            if self._directions_that_pay(tolerance, most_passes):
                self._find_basis(tolerance, most_passes, told.taken)
            else:
                count = min(max(more, GROUPS), LARGEST_STEP * self._probes, left)
                self._push_probes(count, told.taken)
            # An error falls with the square root of the probes.
            self._look(tolerance, np.sqrt(before / self._probes))
        self._update_maps([one for one in self._open if self._layers[one].passes < self._taken])
        self._close(self._open)
        told.all()
        return self._layers

    @property
    def _least_probes(self) -> int:
        """How many probes are needed for an error to be believed."""
        return PROBES_BESIDE_A_BASIS if len(self._basis) else PROBES_WITHOUT_A_BASIS

    def _is_done(self, one: int, tolerance: float) -> bool:
        """Return whether a layer needs no more passes."""
        error = self._layers[one].error
        # A map that is not finite has no error, and gets none from more passes; nor does an empty.
        if not error > 0:
            return True
        return error <= tolerance and self._probes >= self._least_probes

    def _find_basis(self, tolerance: float, most_passes: int, taken: Callable[[int], None]) -> None:
        """Extend the basis for as long as that pays, and push the first probes beside it."""
        while directions := self._directions_that_pay(tolerance, most_passes):
            needed = self._probes_needed(tolerance)
            self._extend_basis(directions, taken)
            self._saved = 1.0 - self._probes_needed(tolerance) / needed
        self._probes_of_groups[...] = 0
        for one in self._open:
            self._layers[one].squares[...] = 0
        self._push_probes(PROBES_BESIDE_A_BASIS, taken)

    def _directions_that_pay(self, tolerance: float, most_passes: int) -> int:
        """Return by how many directions to extend the basis, 0 if that does not pay.

        The next ones are expected to save what the last ones did, of the probes that are needed.
        All that there were are pushed anew then.
        """
        size, left = len(self._basis), most_passes - self._taken - PROBES_BESIDE_A_BASIS
        count = min(max(size, LEAST_PROBES), self._largest_basis - size, left // 2)
        price = 2 * count + max(self._probes, PROBES_BESIDE_A_BASIS)
        needed = self._probes_needed(tolerance)
        return count if count > 0 and self._saved * needed > price else 0

    def _look(self, tolerance: float, expected: float = 0.0, of: int = DECIDE) -> None:
        """Find the errors of the layers that decide, and predict the others'; map what is done.

        Parameters
        ----------
        tolerance : float
        expected : float
            How many times as large as they were errors are expected to be at least; of layers that
            decide it shows how many times it is.
        of : int
            How many layers decide.
        """
        layers = sorted(self._open, key=lambda one: -self._layers[one].error)
        before = {one: self._layers[one].error for one in layers}
        # By two sums of the groups errors are too often small by luck, to decide by them alone.
        self._update_maps(layers[:DECIDE])
        for one in layers[DECIDE:of]:
            self._find_error(one)
        changes = [self._layers[one].error / before[one] for one in layers[:of]]
        change = max(expected, *np.nan_to_num(changes))
        for one in layers[of:]:
            self._layers[one].error *= change
        self._update_maps(
            [one for one in layers[DECIDE:] if not self._layers[one].error > LIKELY * tolerance]
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

    def _push_probes(self, count: int, taken: Callable[[int], None]) -> None:
        """Push more probes, and add up their squares."""
        depth = self._passes.depth(self._open)
        # Each group's one after another, so that few sums come of a block.
        sizes = np.array([len(part) for part in np.array_split(np.empty(count), GROUPS)])
        group_of = np.repeat(np.arange(GROUPS, dtype=np.int32), sizes)
        for block in slices(count, self._passes.rows_forward(depth)):
            size = block.stop - block.start
            drawn = self._random.standard_normal((size, self._x.size)).astype(self._x.dtype)
            directions = self._passes.outside(self._basis, drawn)
            first = group_of[block.start]
            groups = group_of[block] - first
            for one, sums in self._squares(directions, groups, depth, self._open):
                self._layers[one].squares[first : first + len(sums)] += sums
            self._taken += size
            taken(size)
        self._probes_of_groups += sizes

    def _extend_basis(self, count: int, taken: Callable[[int], None]) -> None:
        """Find more directions, compute what lies inside of them, and predict the errors."""
        depth = self._passes.depth(self._open)
        sizes: dict[int, Array] = {}
        for one in self._open:
            layer = self._layers[one]
            length = np.linalg.norm(layer.omega.astype(np.float64))
            sizes[one] = norm_estimator.importance(layer.activity, layer.norms(self._probes))
            sizes[one] /= length if length > 0 else 1.0
        largest = max(float(size.max(initial=0.0)) for size in sizes.values())
        shapes = self._passes.shapes[:depth]
        numbers = [
            held((sizes.get(one, np.zeros(shape)) / (largest or 1.0)).astype(self._x.dtype))
            for one, shape in enumerate(shapes)
        ]
        rows = np.empty((count, self._x.size), self._x.dtype)
        for block in slices(count, self._passes.rows_back(depth)):
            signs = [np.zeros((block.stop - block.start, *shape), np.uint8) for shape in shapes]
            # Drawn one after another, they are the same in blocks of any size.
            for row in range(block.stop - block.start):
                for one in sizes:
                    signs[one][row] = self._signs(shapes[one])
            sums = self._passes.sums(self._state, numbers, signs)
            rows[block] = sums.reshape(-1, self._x.size)
            self._taken += block.stop - block.start
            taken(block.stop - block.start)
        first = len(self._basis)
        basis = self._passes.extended_basis(self._basis, np.nan_to_num(rows))
        self._basis = held(basis)
        outside = {one: self._layers[one].outside(self._probes) for one in self._open}
        found = basis[first:]
        if len(found) < count:
            # It spans all that there is.
            self._largest_basis = len(basis)
        for block in slices(len(found), self._passes.rows_forward(depth)):
            for one, gained in self._inside(found[block], depth, self._open):
                self._layers[one].inside += gained
                # What of w w is now known to be inside is not outside; which probes said so does
                # not matter any more.
                self._layers[one].squares[0] -= self._probes * gained
            taken(len(found[block]))
        for one, share in outside.items():
            left = self._layers[one].outside(self._probes)
            self._layers[one].error *= max(LEAST_LEFT, left / share if share > 0 else 0.0)

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
            for one, inside in self._inside(directions, depth, which):
                self._layers[one].inside += inside
            taken(len(directions))
        self._update_maps(which)
        self._close(which)

    def _inside(
        self, directions: Array, depth: int, which: Sequence[int]
    ) -> list[tuple[int, Array]]:
        """Return what lies inside of the span of orthonormal directions, of some layers."""
        of_one = np.zeros(len(directions), np.int32)
        self._taken += len(directions)
        return [(one, sums[0]) for one, sums in self._squares(directions, of_one, depth, which)]

    def _squares(
        self, directions: Array, groups: NDArray[np.int32], depth: int, which: Sequence[int]
    ) -> list[tuple[int, Array]]:
        """Return sums of (w z)^2 over groups of directions, (count, ...), of some layers."""
        images = directions.reshape(-1, *self._x.shape[1:])
        found = self._passes.squares(self._state, images, groups, depth)
        return [(one, found[one]) for one in which]

    def _signs(self, shape: tuple[int, ...]) -> NDArray[np.uint8]:
        """Draw 0 or 1 for each neuron of a layer."""
        size = math.prod(shape)
        drawn = np.frombuffer(self._random_sums.bytes(-(-size // 8)), np.uint8)
        return np.unpackbits(drawn, count=size).reshape(shape)

    def _find_error(self, one: int) -> None:
        """Make a layer's map, and about its error: all groups' parts of it are in a few sums."""
        layer = self._layers[one]
        numbers = layer.map_and_error_numbers(self._probes_of_groups)
        few = np.stack([numbers[0], *norm_estimator.few_error_numbers(numbers[1:])])
        layer.take(self._passes.maps(self._state, one, few))

    def _update_maps(self, which: Sequence[int]) -> None:
        """Make the maps of some layers and their errors."""
        for one in which:
            layer = self._layers[one]
            numbers = layer.map_and_error_numbers(self._probes_of_groups)
            variance = layer.take(self._passes.maps(self._state, one, numbers))
            layer.standard_error = np.sqrt(variance).astype(self._x.dtype)
            layer.probes, layer.passes = self._probes, self._taken

    def _close(self, which: Sequence[int]) -> None:
        """Take no more passes for these layers."""
        for one in which:
            layer = self._layers[one]
            self._check(one, layer.activity, layer.norms(self._probes).astype(self._x.dtype))
            layer.release()
        self._open = [one for one in self._open if one not in which]
