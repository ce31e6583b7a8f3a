"""iNNvestigate's registry: analyzers enter it, and are created by their name."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from insens_tf.arguments import one_of
from insens_tf.innvestigate_contract import (
    OF_KERAS_TENSORS,
    WHY_MISSING,
    AnalyzerBase,
    analyzers,
    classes,
)
from insens_tf.method_table import BASELINES

__all__ = ["create_analyzer", "register"]

Kind = TypeVar("Kind", bound=type)


def register(name: str) -> Callable[[Kind], Kind]:
    """Give the class that follows a name in iNNvestigate's registry.

    Both of its places are filled: the names that `innvestigate.create_analyzer` knows, and the
    module in which its `load` looks for classes. Doing it again changes nothing.

    Parameters
    ----------
    name : str
        What `create_analyzer` is called with.

    Returns
    -------
    callable
        A decorator that returns the class as it is.

    Raises
    ------
    ValueError
        If another class has this name, or iNNvestigate has something else named as the class is.
    TypeError
        If what follows is no class derived from iNNvestigate's `AnalyzerBase`.
    """

    def enter(kind: Kind) -> Kind:
        if not (isinstance(kind, type) and issubclass(kind, AnalyzerBase)):
            raise TypeError(
                f"register({name!r}): expected a class derived from "
                f"innvestigate.analyzer.AnalyzerBase, came {kind!r}; derive from "
                "insens_tf.analyzer.SwitchedAnalyzer"
            )
        for place, known in (
            (f"the name {name!r}", analyzers.get(name)),
            (f"the class name {kind.__name__!r}", vars(classes).get(kind.__name__)),
        ):
            # Reloading a module, or running a notebook's cell again, defines the same class again.
            if known is not None and _path(known) != _path(kind):
                raise ValueError(
                    f"register({name!r}): {place} is taken in iNNvestigate by {known!r}; choose "
                    "another one"
                )
        analyzers[name] = kind
        setattr(classes, kind.__name__, kind)
        return kind

    return enter


SOURCES = ("native", "innvestigate")


def create_analyzer(name: str, model: Any, *, source: str | None = None, **arguments: Any) -> Any:
    """Create any analyzer, ours or one of iNNvestigate's methods, with TensorFlow's eager mode on.

    Parameters
    ----------
    name : str
        "insens", "switched.weights", "switched.centre", "switched.contribution", or a name of
        iNNvestigate's registry, such as "gradient", "deep_taylor" or "lrp.epsilon".
    model : Keras model
        Sequential or functional, built. A softmax at its end is looked through.
    source : {None, "native", "innvestigate"}
        Who computes one of iNNvestigate's methods: "innvestigate" itself, or "native" our
        `AttributionAnalyzer`, which gives the same maps. None: iNNvestigate where it can be
        imported and no ``layer`` is named, else native.
    **arguments
        The analyzer's own, by keyword. The native ones also take ``layer``, to explain a neuron of
        any hidden layer.

    Returns
    -------
    analyzer
        With `analyze` as iNNvestigate has it. Ours are `SwitchedAnalyzer`; iNNvestigate's are run
        in a graph of their own.

    Raises
    ------
    ValueError
        If the name is unknown, or an argument is out of range.
    TypeError
        If the analyzer has no such argument.
    innvestigate.NotAnalyzeableModelException
        If this analyzer cannot analyse this model.
    InnvestigateMissingError
        If iNNvestigate is asked for, and cannot be imported.

    Examples
    --------
    >>> analyzer = create_analyzer("insens", model, layer="dense").fit(x_train)
    >>> analyzer.analyze(x_test[:8]).shape
    (8, 28, 28, 1)
    """
    known = [*analyzers, *(one for one in BASELINES if one not in analyzers)]
    one_of("name", name, known)
    if source is not None:
        one_of("source", source, SOURCES)
    if name in analyzers and not issubclass(analyzers[name], OF_KERAS_TENSORS):
        if source is not None:
            raise ValueError(
                f"source={source!r}: expected None for {name!r}, which is one analyzer only"
            )
        return analyzers[name](model, **arguments)
    is_native = WHY_MISSING is not None or "layer" in arguments
    if source == "native" or (source is None and is_native and name in BASELINES):
        # It derives from what is registered here.
        from insens_tf.analyzer.attribution import AttributionAnalyzer

        return AttributionAnalyzer(model, method=name, **arguments)
    # Imported here, as those who analyse with ours do not need it.
    from insens_tf.baselines import create_baseline

    return create_baseline(name, model, **arguments)


def _path(thing: Any) -> tuple[str | None, str | None]:
    return getattr(thing, "__module__", None), getattr(thing, "__qualname__", None)
