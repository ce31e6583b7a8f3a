"""How far our maps are from iNNvestigate's own: every method, network and way to select a neuron.

    python -m tests.attribution_equality

prints, on Python 3.10 or 3.11, the largest difference over the modes "max_activation", "index" and
"all", in units of the largest value of iNNvestigate's map: of the networks of
`tests.attribution_networks`, and of 2CONV trained on the digits that are in the package. A network
is anew for each method, as iNNvestigate's state leaks.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import click
import numpy as np
from tabulate import tabulate
from tensorflow import keras

import insens_tf
from experiments.data import SHIPPED_SAMPLE, load_data, scaled
from insens_tf.innvestigate_contract import NotAnalyzeableModelException
from insens_tf.two_conv import two_conv
from tests.attribution_networks import NETWORKS, build
from tests.baselines_cases import ARGUMENTS, DETERMINISTIC, SELECTIONS, images

__all__ = ["Case", "differences"]

MODES = {"max_activation": {}, **SELECTIONS}

REFUSED = "refused"

TRAINED = "trained 2CONV"


class Case(NamedTuple):
    """A network that is made anew each time, and inputs."""

    build: Callable[[], keras.Model]
    x: np.ndarray


def _cases() -> Iterator[tuple[str, Case]]:
    for name in NETWORKS:
        yield name, Case(partial(build, name), images(name, build(name)))
    data = load_data(Path(), SHIPPED_SAMPLE)
    trained = two_conv((28, 28, 1), 10, seed=0)
    trained.compile("adam", "sparse_categorical_crossentropy")
    trained.fit(scaled(data["x_train"]), data["y_train"], epochs=5, verbose=0)
    weights = trained.get_weights()

    def rebuilt() -> keras.Model:
        model = two_conv((28, 28, 1), 10, seed=0)
        model.set_weights(weights)
        return model

    yield TRAINED, Case(rebuilt, scaled(data["x_test"][:3]))


def difference(method: str, case: Case, mode: str) -> float | None:
    """Return it, or None where iNNvestigate refuses the network."""
    arguments = {"neuron_selection_mode": mode, **ARGUMENTS.get(method, {})}
    chosen = MODES[mode]
    try:
        with insens_tf.create_analyzer(
            method, case.build(), source="innvestigate", **arguments
        ) as own:
            expected = own.analyze(case.x, **chosen)
    except (NotAnalyzeableModelException, ValueError):
        return None
    native = insens_tf.create_analyzer(method, case.build(), source="native", **arguments)
    return float(np.abs(native.analyze(case.x, **chosen) - expected).max() / np.abs(expected).max())


def differences(method: str, case: Case) -> str:
    """Return the largest difference over the modes, as the table has it."""
    found = [difference(method, case, mode) for mode in MODES]
    numbers = [one for one in found if one is not None]
    return f"{max(numbers):.0e}" if numbers else REFUSED


@click.command()
@click.option("--network", "networks", multiple=True, help="Which; all of them.")
def main(networks: tuple[str, ...]) -> None:
    """Print how far our maps are from iNNvestigate's own."""
    table: dict[str, list[Any]] = {"method": list(DETERMINISTIC)}
    with warnings.catch_warnings():
        # Of what a map is like; here it is about whether they are alike.
        warnings.simplefilter("ignore", UserWarning)
        for name, case in _cases():
            if not networks or name in networks:
                table[name] = [differences(method, case) for method in DETERMINISTIC]
                click.echo(name, err=True)
    click.echo(tabulate(table, "keys", disable_numparse=True))


if __name__ == "__main__":
    main()
