"""Pictures of linear regions: margins by layer, and what switches along a line."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from insens_tf.cli.drawing import short
from insens_tf.new_figure import new_figure

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["PARTS", "draw_crossings", "draw_margins"]

_ACTIVE, _INACTIVE = "#c8382c", "#3667b0"
_NORMS = {"l2": "L2", "linf": "L∞", "l1": "L1"}
_BINS_OF_A_DECADE = 12
_MOST_DECADES = 8

PARTS = 50
"""Into how many parts a line is divided where crossings are counted."""

_MOST_OUTPUTS = 10
_MOST_IN_A_COLUMN = 16


def draw_margins(margins: Mapping[str, NDArray[Any]], norm: str, images: int) -> Figure:
    """Draw how many neurons of each layer are how far from where they switch.

    Parameters
    ----------
    margins : mapping of str to array (n, *layer shape)
        Signed: positive where a neuron is active.
    norm : {"l2", "linf", "l1"}
    images : int
        How many.
    """
    from matplotlib.lines import Line2D
    from matplotlib.patches import Patch

    figure = new_figure(7.2, 1.5 + 0.75 * len(margins))
    axes = figure.subplots()
    sizes = {name: np.abs(values[np.isfinite(values)]) for name, values in margins.items()}
    positive = np.concatenate([values[values > 0] for values in sizes.values()] or [np.ones(1)])
    highest = np.ceil(np.log10(positive.max(initial=1e-300)))
    lowest = np.floor(np.log10(positive.min(initial=1e300)))
    lowest = max(min(lowest, highest - 1), highest - _MOST_DECADES)
    edges = np.logspace(lowest, highest, int(_BINS_OF_A_DECADE * (highest - lowest)) + 1)
    labels = []
    for row, (name, values) in enumerate(margins.items()):
        # Each layer has a strip from -0.5 to 0.5 of its own, the first one at the top.
        finite = values[np.isfinite(values)]
        counts = [
            np.histogram(np.clip(part, edges[0], None), edges)[0]
            for part in (finite[finite > 0], -finite[finite <= 0])
        ]
        tallest = max(1, *(count.max() for count in counts))
        for count, colour, side in zip(counts, (_ACTIVE, _INACTIVE), (-1, 1)):
            heights = row + side * 0.45 * count / tallest
            axes.stairs(heights, edges, baseline=row, fill=True, color=colour, linewidth=0)
        axes.axhline(row, color="0.3", linewidth=0.5)
        everything = np.abs(values)
        axes.plot([np.median(everything)] * 2, [row - 0.45, row + 0.45], color="black", lw=1.6)
        if everything.min() > 0:
            axes.plot(everything.min(), row, marker=">", color="black", markersize=5, clip_on=False)
        labels.append(f"{short(name)}\n{(values > 0).mean():.1%} active")
    axes.set_xscale("log")
    axes.set_xlim(edges[0], edges[-1])
    axes.set_ylim(len(margins) - 0.5, -0.5)
    axes.set_yticks(range(len(margins)), labels, fontsize=8, parse_math=False)
    axes.tick_params(axis="y", length=0)
    axes.tick_params(axis="x", labelsize=8)
    axes.set_xlabel(
        f"distance from the image to where the neuron switches ({_NORMS[norm]})", size=9
    )
    of = "1 image" if images == 1 else f"{images} images"
    axes.set_title(f"Margins of the neurons of each hidden layer, {of}", fontsize=10)
    figure.legend(
        handles=[
            Patch(color=_ACTIVE, label="active neurons"),
            Patch(color=_INACTIVE, label="inactive neurons"),
            Line2D([], [], color="black", linewidth=1.6, label="median"),
            Line2D([], [], color="black", marker=">", linewidth=0, markersize=5, label="least"),
        ],
        loc="outside lower center",
        ncols=4,
        fontsize=8,
        frameon=False,
    )
    return figure


def draw_crossings(
    counts: Mapping[str, tuple[NDArray[Any], NDArray[Any]]],
    t: NDArray[np.float64],
    outputs: NDArray[np.float64],
    output_names: Sequence[str],
    title: str,
) -> Figure:
    """Draw what switches along a line, and the outputs along it.

    Parameters
    ----------
    counts : mapping of str to (array, array), shape (PARTS,) each
        Of each layer the crossings in each part of the line: those that are effective, the others.
    t : numpy.ndarray, shape (k,)
        Places on the line.
    outputs : numpy.ndarray, shape (k, outputs)
        The outputs there.
    output_names : sequence of str
        By the outputs' numbers.
    title : str
    """
    from matplotlib import colormaps
    from matplotlib.patches import Patch

    figure = new_figure(9.2, 6.4)
    above, below = figure.subplots(2, 1, sharex=True)
    edges = np.linspace(0, 1, PARTS + 1)
    bottom = np.zeros(PARTS)
    handles = []
    for number, (name, parts) in enumerate(counts.items()):
        colour = colormaps["viridis"](0.92 * (number + 0.5) / len(counts))
        for part, strength in zip(parts, (1.0, 0.35)):
            above.stairs(
                bottom + part,
                edges,
                baseline=bottom,
                fill=True,
                facecolor=(*colour[:3], strength),
                edgecolor="none",
            )
            bottom = bottom + part
        handles.append(Patch(color=colour, label=short(name)))
    handles.append(Patch(color="0.35", label="effective"))
    handles.append(Patch(color=(0.35, 0.35, 0.35, 0.35), label="without effect"))
    above.set_ylim(0, max(1.0, 1.05 * bottom.max()))
    above.set_ylabel(f"crossings in 1/{PARTS} of the way", fontsize=9)
    above.set_title(title, fontsize=10, parse_math=False)
    # In the order of the stack, whose first layer lies at the bottom.
    _legend(above, handles[-2:] + handles[-3::-1], "What switches")
    shown = np.argsort(-outputs.max(axis=0), kind="stable")[:_MOST_OUTPUTS]
    strongest = int(outputs[-1].argmax())
    for number, output in enumerate(sorted({*shown.tolist(), strongest})):
        below.plot(
            t,
            outputs[:, output],
            color=colormaps["tab10"](number % 10),
            linewidth=2.4 if output == strongest else 1.0,
            label=f"{output_names[output]}{', strongest at B' * (output == strongest)}",
        )
    below.axhline(0, color="0.7", linewidth=0.6, zorder=0)
    below.set_xlim(0, 1)
    below.set_xlabel("place t on the line from A (0) to B (1)", fontsize=9)
    below.set_ylabel("output before any softmax", fontsize=9)
    few = "" if len(shown) == outputs.shape[1] else f"\n({len(shown)} largest)"
    _legend(below, below.get_lines()[: len({*shown.tolist(), strongest})], f"Output{few}")
    for axes in (above, below):
        axes.tick_params(labelsize=8)
    return figure


def _legend(axes: Axes, handles: Sequence[Any], title: str) -> None:
    """Put a legend to the right of a panel."""
    legend = axes.legend(
        handles=handles,
        title=title,
        loc="upper left",
        bbox_to_anchor=(1.01, 1),
        borderaxespad=0,
        ncols=-(-len(handles) // _MOST_IN_A_COLUMN),
        fontsize=8,
        title_fontsize=8,
        alignment="left",
        frameon=False,
    )
    for text in legend.get_texts():
        text.set_parse_math(False)
