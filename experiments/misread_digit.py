"""README's worked reading: a digit that the demonstration's network takes for another.

``python -m experiments.misread_digit``, after ``make demo``, writes ``misread_digit.json``, the
numbers, and ``misread_digit.png``: the first such digit's projections and Insens.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click
import numpy as np
from numpy.typing import NDArray

from experiments.data import scaled
from experiments.plots import write_picture
from experiments.tables import write_json
from experiments.versions import versions
from insens_tf import SwitchedNetwork, demo
from insens_tf.files import UnusableFileError, load_model, read_npz
from insens_tf.heatmap import grid, heatmap, picture

__all__ = ["draw", "main", "measure"]

# How far the digit is moved along Insens and against it, as a length; the digit's own is about 9.
STEP = 1.0
_RANDOM_DIRECTIONS = 100


def measure(
    network: SwitchedNetwork,
    x: NDArray[np.float32],
    classes: dict[str, int],
    insens: dict[str, NDArray[np.float32]],
) -> dict[str, Any]:
    """Return the numbers of the reading, as JSON holds them.

    Parameters
    ----------
    network
        The network.
    x
        The digit, ``(1, height, width, 1)``.
    classes
        The output neurons to read, by what they are to the digit.
    insens
        By hidden layer, Insens of the digit, shaped as ``x``.
    """
    return {
        "length": _rounded(np.linalg.norm(x)),
        "black": _rounded(np.mean(x == 0)),
        "outputs": _outputs(network, x),
        "projections": {name: _projection(network, x, neuron) for name, neuron in classes.items()},
        "insens": {layer: _switched(network, x, layer, omega) for layer, omega in insens.items()},
    }


def _projection(network: SwitchedNetwork, x: NDArray[np.float32], neuron: int) -> dict[str, Any]:
    p = network.project(x, network.output, [neuron])
    centre, contribution = p.centre[:, 0], p.contribution[0, 0]
    upper_half = contribution[: contribution.shape[0] // 2]
    at_centre = _outputs(network, centre)
    return {
        "class": neuron,
        "activity": _rounded(p.activity[0, 0]),
        "bias": _rounded(p.bias[0, 0]),
        "distance_to_centre": _rounded(np.linalg.norm(x - centre)),
        "contribution": _rounded(contribution.sum()),
        "contribution_share_of_black_pixels": _rounded(
            contribution[x[0] == 0].sum() / contribution.sum()
        ),
        "contribution_share_of_upper_half": _rounded(upper_half.sum() / contribution.sum()),
        # This is the network's own output: its state changes on the way there.
        "activity_at_centre": at_centre[neuron],
        "class_at_centre": int(np.argmax(at_centre)),
    }


def _switched(
    network: SwitchedNetwork, x: NDArray[np.float32], layer: str, omega: NDArray[np.float32]
) -> dict[str, Any]:
    off = network.activity(x, layer) <= 0

    def switched_on(moved: NDArray[np.float32]) -> float:
        counts = ((network.activity(moved, layer) > 0) & off).reshape(len(moved), -1).sum(axis=1)
        return float(counts.mean())

    directions = np.random.default_rng(0).normal(size=(_RANDOM_DIRECTIONS, *x.shape[1:]))
    directions /= np.linalg.norm(directions.reshape(len(directions), -1), axis=1).reshape(
        -1, *[1] * (x.ndim - 1)
    )
    step = STEP * omega / np.linalg.norm(omega)
    return {
        "neurons": int(off.size),
        "inactive": int(off.sum()),
        "switched_on_along": int(switched_on(x + step)),
        "switched_on_against": int(switched_on(x - step)),
        "switched_on_at_random": _rounded(switched_on(x + (STEP * directions).astype(np.float32))),
        "class_along": int(np.argmax(_outputs(network, x + step))),
        "class_against": int(np.argmax(_outputs(network, x - step))),
    }


def draw(
    network: SwitchedNetwork,
    x: NDArray[np.float32],
    classes: dict[str, int],
    insens: dict[str, NDArray[np.float32]],
) -> Any:
    """Draw, for arguments as :func:`measure` takes, a figure of the maps."""
    digit = picture(x)[0]
    rows: list[list[Any]] = []
    for neuron in classes.values():
        p = network.project(x, network.output, [neuron])
        centre = picture(p.centre[0].clip(0, 1))[0]
        rows.append([digit, heatmap(p.weights[0])[0], centre, heatmap(p.contribution[0])[0]])
    titles = [["digit x", "weights w", "centre c", "contribution"] for _ in rows]
    rows.append([digit, *(heatmap(omega)[0] for omega in insens.values())])
    titles.append(["digit x", *insens])
    return grid(
        rows,
        [
            *(f'output for "{neuron}"' for neuron in classes.values()),
            "Insens of the\nhidden layers",
        ],
        cell_titles=titles,
    )


def _outputs(network: SwitchedNetwork, x: NDArray[np.float32]) -> list[float]:
    """Return the output neurons' activity, before the softmax."""
    return [_rounded(value) for value in network.activity(x, network.output)[0]]


def _rounded(value: Any) -> float:
    return round(float(value), 3)


@click.command()
@click.option(
    "--demo",
    "shown",
    default=Path("insens_tf_demo"),
    show_default=True,
    type=click.Path(file_okay=False, path_type=Path),
    help="The folder that insens-tf demo has written.",
)
@click.option(
    "--out",
    default=Path("out"),
    show_default=True,
    type=click.Path(file_okay=False, path_type=Path),
    help="The folder to write the two files to.",
)
def main(shown: Path, out: Path) -> None:
    """Read a digit that the demonstration's network takes for another."""
    try:
        model = load_model(shown / demo.MODEL)
        digits = read_npz(shown / demo.DIGITS)
    except UnusableFileError as error:
        raise click.ClickException(f"{error}; make demo writes it") from error
    x_train, x_test = (scaled(digits[f"x_{part}"]) for part in ("train", "test"))
    predicted = model.predict(x_test, verbose=0).argmax(axis=1)
    misread = np.flatnonzero(predicted != digits["y_test"])
    if not misread.size:
        raise click.ClickException(f"{shown}: the network takes no digit for another")
    number = int(misread[0])
    x = x_test[number : number + 1]
    classes = {"predicted": int(predicted[number]), "label": int(digits["y_test"][number])}
    network = SwitchedNetwork(model)
    layers = [layer.name for layer in network.layers]
    frequency = network.activation_frequency(x_train, progress=False)
    insens = network.insens(x, layers, frequency, progress=False)
    probabilities = model.predict(x, verbose=0)[0]
    record = {
        "command": "python -m experiments.misread_digit",
        "data": "the digits in the package",
        "versions": versions(),
        "test_accuracy": _rounded(np.mean(predicted == digits["y_test"])),
        "test_digit": number,
        "label": classes["label"],
        "predicted": classes["predicted"],
        "probability_of_predicted": _rounded(probabilities[classes["predicted"]]),
        "probability_of_label": _rounded(probabilities[classes["label"]]),
        "step": STEP,
        **measure(network, x, classes, insens),
    }
    out.mkdir(parents=True, exist_ok=True)
    write_picture(draw(network, x, classes, insens), out / "misread_digit.png")
    write_json(out / "misread_digit.json", record)
    click.echo(f"wrote {out}: misread_digit.json, misread_digit.png")


if __name__ == "__main__":
    main(prog_name="python -m experiments.misread_digit")
