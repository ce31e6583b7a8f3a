"""`insens-tf path`: what switches on the straight line between two images."""

from __future__ import annotations

import re
import warnings
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import click
import numpy as np
from numpy.typing import NDArray

from insens_tf import files, heatmap
from insens_tf.cli.drawing import short, shown
from insens_tf.cli.given_inputs import GivenInputs
from insens_tf.cli.messages import CommandError, said_in_one_line, shows_progress
from insens_tf.cli.named_layers import neuron_text
from insens_tf.cli.opening import Opening
from insens_tf.cli.options import (
    HeatmapOptions,
    ImageOptions,
    NetworkOptions,
    OptionalResultOptions,
    PictureOptions,
    examples,
    shared_options,
)
from insens_tf.cli.region_pictures import PARTS, draw_crossings
from insens_tf.cli.run_record import record_of, results_in

if TYPE_CHECKING:
    from insens_tf.network import SwitchedNetwork
    from insens_tf.regions.path import Path as Line

__all__ = ["path"]

_STEPS = 64
_PLACES_DRAWN = 201
_BLACK = "black"


@click.command(
    short_help="Follow what switches on the line between two images.",
    epilog=examples(
        "path model.keras black seven.png",
        "path model.keras three.png eight.png --out three_to_eight",
        "path model.keras test.npz:0 test.npz:7 --out path",
    ),
)
@shared_options(network_options=NetworkOptions)
@click.argument("a", metavar="A")
@click.argument("b", metavar="B")
@shared_options(
    picture_options=PictureOptions,
    result_options=OptionalResultOptions,
    heatmap_options=HeatmapOptions,
)
def path(
    network_options: NetworkOptions,
    a: str,
    b: str,
    picture_options: PictureOptions,
    result_options: OptionalResultOptions,
    heatmap_options: HeatmapOptions,
) -> None:
    """Follow what switches on the straight line from image A to image B, exactly.

    A and B are a file with one image each, or FILE:I for image I of an array, from 0 on; A may be
    the word black, for an image whose pixels are 0. Prints how often each layer crosses a boundary
    on the way (a neuron switches, or another element wins a window of a max pooling), how many of
    the crossings are effective, that is, change on what the outputs depend, and how far integrated
    gradients of the strongest output at B, from A to B, are from exact with 64 steps. With --out
    also writes path.npz, layers.csv, and pictures of the crossings and of the integrated gradients.
    """
    ends = [_End("A", a, may_be_black=True), _End("B", b)]
    image_options = ImageOptions(**asdict(picture_options), first=None)
    opening = Opening(network_options, (), image_options)
    record = record_of("path", network_options, picture_options, a=a, b=b)
    with results_in(result_options, record, heatmaps=False) as folder:
        for end in ends:
            end.read(opening.stored, image_options, drawn=folder is not None)
        if opening.stored.input_shape is not None:
            _images(ends)
        network = opening.load_network()
        for end in ends:
            end.fit(network.model)
        x = _images(ends)
        with said_in_one_line("give a smaller --memory-budget"):
            output = network.output
            line = network.path(x[0], x[1], progress=shows_progress())
            crossings = len(line.crossings)
            click.echo(
                f"{crossings:,} crossings at {len(line.breakpoints):,} breakpoints, on a line of "
                f"length {float(np.linalg.norm(line.end - line.start)):.4g}.\n"
            )
            rows = _rows(line)
            click.echo(f"{_table(rows)}\n")
            maps = _integrated(network, line, x)
        name = _name(maps.neuron, output.shape)
        click.echo(
            f"Integrated gradients of output {name}, the strongest at B: {_STEPS} steps are "
            f"{maps.difference:.2%} off (sum of the differences' magnitudes over that of the exact "
            "ones)."
        )
        if folder is not None:
            files.write_csv(folder / "layers.csv", _Row._fields, rows)
            _write_arrays(folder, line, maps)
            _draw_crossings(folder, line, rows, output, ends)
            _draw_maps(folder, ends, x, maps, name, heatmap_options.channels)
    if result_options.out is not None:
        click.echo(
            "Wrote path.npz, layers.csv, crossings.png and integrated_gradients.png to "
            f"{result_options.out}."
        )


class _End:
    """An end of the line: one image, as the command's argument names it.

    Parameters
    ----------
    letter : {"A", "B"}
    text : str
    may_be_black : bool
        Whether the word black means an image whose pixels are 0.

    Attributes
    ----------
    is_black : bool
    inputs : ModelInputs or None
        What the file holds; None of black, and before it is known what the model takes.
    """

    def __init__(self, letter: str, text: str, *, may_be_black: bool = False) -> None:
        self.letter, self.text = letter, text
        self.inputs: files.ModelInputs | None = None
        self.is_black = may_be_black and text == _BLACK
        numbered = re.fullmatch(r"(.+):([0-9]{1,9})", text)
        self._index: int | None = None
        self._path = text
        if numbered is not None and not Path(text).exists():
            self._path, self._index = numbered[1], int(numbered[2])
        if not self.is_black:
            files.check_image_paths([self._path])

    def read(self, stored: files.StoredModel, options: ImageOptions, *, drawn: bool) -> None:
        """Read its file."""
        if not self.is_black:
            self._given = GivenInputs(stored, [self._path], options, drawn=drawn)
            self.inputs = self._given.fitted

    def fit(self, model: Any) -> None:
        """Fit it to a loaded model."""
        if not self.is_black:
            self.inputs = self._given.of(model)

    @property
    def number(self) -> int:
        """Which image of its file it is."""
        assert self.inputs is not None
        count = len(self.inputs)
        if self._index is None and count > 1:
            raise CommandError(
                f"{self.letter} {self.text}: expected one image, came {count}; name one, from "
                f"{self._path}:0 to {self._path}:{count - 1}"
            )
        if self._index is not None and self._index >= count:
            raise CommandError(
                f"{self.letter} {self.text}: no such image; {self._path} holds {count}, from 0 on"
            )
        return self._index or 0

    def image(self) -> NDArray[np.float32]:
        """Return the image, (*input_shape)."""
        assert self.inputs is not None
        number = self.number
        image: NDArray[np.float32] = self.inputs[number : number + 1][0]
        return image

    @property
    def title(self) -> str:
        """What it is called in pictures."""
        if self.inputs is None:
            return self.text
        name = self.inputs.names[self.number]
        return short(f"{Path(self._path).name}:{self.number}" if self._index is not None else name)


def _images(ends: Sequence[_End]) -> NDArray[np.float32]:
    """Return A and B, (2, *input_shape); refuse those that no line joins."""
    first, last = ends
    b = last.image()
    assert last.inputs is not None
    a = last.inputs.black() if first.is_black else first.image()
    if a.shape != b.shape:
        sizes = [" x ".join(map(str, one.shape)) for one in (a, b)]
        raise CommandError(
            f"A has the shape {sizes[0]} and B {sizes[1]}; expected two images of one shape: "
            "resize one first"
        )
    if np.array_equal(a, b):
        raise CommandError(
            f"A {first.text} and B {last.text} are the same image; expected two different ones, "
            "for there is no line between"
        )
    return np.stack([a, b])


# --- what is on the line ------------------------------------------------------------------------


class _Row(NamedTuple):
    """How often a layer crosses a boundary."""

    layer: str
    kind: str
    crossings: int
    effective: int


def _rows(line: Line) -> list[_Row]:
    every, effective = line.state_changes(), line.state_changes(effective=True)
    kinds = {
        name: " and ".join(np.unique(line.crossings.kind[line.crossings.layer == name]))
        for name in every
    }
    return [_Row(name, kinds[name], every[name], effective[name]) for name in every]


def _table(rows: Sequence[_Row]) -> str:
    import tabulate

    cells = [[row.layer, row.kind, f"{row.crossings:,}", f"{row.effective:,}"] for row in rows]
    every, effective = (sum(row[column] for row in rows) for column in (2, 3))  # type: ignore[misc]
    return tabulate.tabulate(
        [*cells, ["all", "", f"{every:,}", f"{effective:,}"]],
        ["layer", "kind", "crossings", "effective"],
        colalign=["left", "left", "right", "right"],
        disable_numparse=True,
    )


class _Maps(NamedTuple):
    """Integrated gradients of a neuron of the output, (*input_shape) each, and how far apart."""

    neuron: int
    exact: NDArray[np.float64]
    steps: NDArray[np.float64]
    difference: float


def _integrated(network: SwitchedNetwork, line: Line, x: NDArray[np.float32]) -> _Maps:
    from insens_tf.analyzer import create_analyzer

    neuron = int(line.activity(1.0, network.output).argmax())
    exact = line.integrated_gradients(neurons=neuron, progress=shows_progress())[0]
    analyzer = create_analyzer(
        "integrated_gradients",
        network.model,
        source="native",
        steps=_STEPS,
        reference_inputs=x[:1],
        neuron_selection_mode="index",
        memory_budget=network.memory_budget,
    )
    with warnings.catch_warnings():
        # That steps leave a gap is what is to be seen.
        warnings.simplefilter("ignore", UserWarning)
        steps = analyzer.analyze(x[1:], neuron, progress=shows_progress())[0].astype(np.float64)
    total = float(np.abs(exact).sum())
    apart = float(np.abs(steps - exact).sum())
    return _Maps(neuron, exact, steps, apart / total if total else float(apart > 0))


def _name(neuron: int, shape: tuple[int, ...]) -> str:
    return neuron_text(np.unravel_index(neuron, shape))  # type: ignore[arg-type]


# --- results ------------------------------------------------------------------------------------


def _write_arrays(folder: Path, line: Line, maps: _Maps) -> None:
    crossings = line.crossings
    np.savez_compressed(
        folder / "path.npz",
        start=line.start,
        end=line.end,
        breakpoints=line.breakpoints,
        t=crossings.t,
        layer=crossings.layer,
        kind=crossings.kind,
        index=crossings.index,
        before=crossings.before,
        after=crossings.after,
        effective=line.effective,
        output=maps.neuron,
        exact=maps.exact,
        steps=maps.steps,
    )


def _draw_crossings(
    folder: Path, line: Line, rows: Sequence[_Row], output: Any, ends: Sequence[_End]
) -> None:
    counts = {}
    for row in rows:
        of_layer = line.crossings.layer == row.layer
        counts[row.layer] = tuple(
            np.histogram(line.crossings.t[of_layer & chosen], PARTS, (0, 1))[0]
            for chosen in (line.effective, ~line.effective)
        )
    t = np.linspace(0, 1, _PLACES_DRAWN)
    figure = draw_crossings(
        counts,  # type: ignore[arg-type]
        t,
        line.activity(t, output).reshape(len(t), -1),
        [_name(neuron, output.shape) for neuron in range(output.neurons)],
        f"{len(line.crossings):,} crossings from A ({ends[0].title}) to B ({ends[1].title})",
    )
    figure.savefig(folder / "crossings.png")


def _draw_maps(
    folder: Path,
    ends: Sequence[_End],
    x: NDArray[np.float32],
    maps: _Maps,
    name: str,
    channels: str,
) -> None:
    inputs = ends[1].inputs
    assert inputs is not None
    signed = np.stack([maps.exact, maps.steps, maps.steps - maps.exact])
    drawn = heatmap.heatmap(inputs.as_pictures(signed), channels)
    with said_in_one_line():
        figure = heatmap.grid(
            [[*heatmap.picture(shown(inputs, x)), *drawn]],
            column_titles=["A", "B", "exact", f"{_STEPS} steps", "difference"],
            cell_titles=[
                [ends[0].title, ends[1].title, "", "", f"{maps.difference:.2%} of exact"],
            ],
            title=f"Integrated gradients of output {name} from A to B",
        )
    figure.savefig(folder / "integrated_gradients.png")
