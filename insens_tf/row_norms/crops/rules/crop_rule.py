"""The interface of a rule: all that is known of one kind of operation to push crops through it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property, wraps
from typing import Any, ClassVar, Generic, TypeVar

import tensorflow as tf

from insens_tf.operations import ELEMENT_WORK, Operation
from insens_tf.receptive_field import Window
from insens_tf.row_norms.crops.crop_tensors import Flat, Spatial
from insens_tf.row_norms.crops.layouts import Layout
from insens_tf.row_norms.crops.tiles import Tiling

__all__ = [
    "EXPECTED_DENSITY",
    "CropRule",
    "HeldState",
    "NoCropsError",
    "PointwiseRule",
    "Push",
    "WindowedRule",
    "made_once",
]

EXPECTED_DENSITY = 0.4
"""The share of a gate's units that are expected to have a slope other than 0."""

KindT = TypeVar("KindT", bound=Operation)
RuleT = TypeVar("RuleT", bound="CropRule[Any]")
MadeT = TypeVar("MadeT")

Push = Callable[..., "Spatial | Flat"]
"""What pushes crops through an operation: a function of the tile and of its operands' crops."""


class NoCropsError(Exception):
    """An operation stands where crops cannot be pushed through it."""


@dataclass(frozen=True, eq=False)
class HeldState:
    """The state that one input sets, which is held while its crops are pushed.

    Attributes
    ----------
    values : mapping of int to tf.Tensor, shape (*layer shape)
        Of each operation, by position.
    needed : mapping of int to tf.Tensor of bool, shape (*layer shape)
        Which neurons are needed, by position.
    tiling : Tiling
    dtype : tf.DType
    """

    values: Mapping[int, tf.Tensor]
    needed: Mapping[int, tf.Tensor]
    tiling: Tiling
    dtype: tf.DType
    _made: dict[tuple[Any, str], Any] = field(default_factory=dict)

    def once(self, rule: CropRule[Any], name: str, make: Callable[[], Any]) -> Any:
        """Return what was made for a rule under this name; make it at the first call."""
        if (rule, name) not in self._made:
            self._made[rule, name] = make()
        return self._made[rule, name]


def made_once(
    method: Callable[[RuleT, HeldState], MadeT],
) -> Callable[[RuleT, HeldState], MadeT]:
    """Let a rule's method make its result once a state, whoever asks for it."""

    @wraps(method)
    def remembered(rule: RuleT, state: HeldState) -> MadeT:
        made: MadeT = state.once(rule, method.__name__, lambda: method(rule, state))
        return made

    return remembered


class CropRule(ABC, Generic[KindT]):
    """How crops are pushed through an operation at its place in the graph, and what that takes.

    Numbers of elements, and the work, are for each component of the input that is pushed.

    Parameters
    ----------
    operation : Operation
    position : int
        Where it stands in the graph.
    operands : tuple of CropRule
        The rules of what it is applied to.
    needed : float or None
        How many of its neurons are needed; None where crops are only passed on.

    Attributes
    ----------
    consumers : list of CropRule
        The rules of what is applied to it.
    takes_flattened : bool
        Whether it can be applied to a layer with positions that was flattened.
    takes_slope : bool
        Whether it multiplies by the slope of a gate below it, so that the gate need not.
    """

    takes_flattened: ClassVar[bool] = False
    takes_slope: ClassVar[bool] = False

    def __init__(
        self,
        operation: KindT,
        position: int,
        operands: tuple[CropRule[Any], ...],
        needed: float | None,
    ) -> None:
        self.operation = operation
        self.position = position
        self.operands = operands
        self.needed = needed
        self.consumers: list[CropRule[Any]] = []
        for operand in operands:
            operand.consumers.append(self)

    @property
    def operand(self) -> CropRule[Any]:
        """The rule of its only operand."""
        (operand,) = self.operands
        return operand

    @property
    def is_needed(self) -> bool:
        """Whether squared row norms of it are needed."""
        return self.needed is not None

    @property
    def unflattened(self) -> CropRule[Any]:
        """The rule whose crops these are: what a reshape flattens, else its own."""
        return self

    # ---- geometry ----

    @cached_property
    def layout(self) -> Layout | None:
        """Where its crops lie; None where it has no rows and columns.

        Raises
        ------
        NoCropsError
            If crops cannot be pushed through it where it stands.
        """
        return self.find_layout()

    @abstractmethod
    def find_layout(self) -> Layout | None:
        """Return what `layout` is, from the operands' layouts; raise as it does."""

    @property
    def spatial_layout(self) -> Layout:
        """Its layout, where it is known to have one."""
        assert self.layout is not None
        return self.layout

    @cached_property
    def windows(self) -> tuple[Window, Window]:
        """What its positions see of the operand's, along rows and columns."""
        rows, columns = self.operation.locality.windows or (Window(1), Window(1))
        return rows, columns

    @property
    def is_as_input(self) -> bool:
        """Whether its crops are the input's, scaled or shifted."""
        return False

    @property
    def is_alike(self) -> bool:
        """Whether one crop stands for those of all blocks: no state, no border has touched it."""
        return False

    @property
    def is_first(self) -> bool:
        """Whether it is the input, or right behind it."""
        return self.operation.operands in ((), (0,))

    # ---- work and memory ----

    @property
    def crop_row(self) -> int:
        """The elements of a row of one crop."""
        return self.spatial_layout.columns.length * int(self.operation.shape[-1])

    @cached_property
    def elements(self) -> int:
        """The elements of its crops."""
        # What is needed is masked where tiles reach beyond the image, so that crops differ.
        if self.is_alike and not self.is_needed:
            return 0
        if self.layout is None:
            return self.operation.size
        return self.layout.rows.length * self.crop_row

    @property
    def elements_beside(self) -> int:
        """The elements that are held beside its crops while they are made from the operands'."""
        return 0 if self.is_alike else self.elements

    @property
    def state_elements(self) -> int:
        """The elements of its state, and of what is prepared from it, in all."""
        return 0

    @property
    def kernel_elements(self) -> int:
        """The elements of what is prepared from its kernel, in all."""
        return 0

    @property
    def work(self) -> float:
        """What it takes to push crops through it, in multiplications of a large product."""
        return ELEMENT_WORK * self.elements

    @property
    def expected_density(self) -> float:
        """The share of its units that are expected to differ from 0, unless it is known."""
        return 1.0

    # ---- pushing, with the state held ----

    @abstractmethod
    def prepare(self, state: HeldState) -> Push:
        """Prepare what depends on the state alone; return what pushes each tile's crops."""

    def nonzero_units(self, state: HeldState) -> tf.Tensor | None:
        """Return which units can have a column of the Jacobian other than 0; None: perhaps all.

        As a tensor of bool of its shape.
        """
        return None

    def unapplied_slope(self, state: HeldState) -> tf.Tensor | None:
        """Return the slope that it leaves to its consumers to multiply by, of its shape, if any."""
        return None


class PointwiseRule(CropRule[KindT]):
    """A rule of an operation whose crops lie where its operand's do."""

    def find_layout(self) -> Layout | None:
        return self.operand.layout


class WindowedRule(CropRule[KindT]):
    """A rule of an operation whose positions see windows of the operand's rows and columns."""

    def find_layout(self) -> Layout:
        if self.operand.layout is None:
            raise NoCropsError
        return self.operand.layout.through(self.windows)
