"""What training does to the state, as curves."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import numpy as np

from insens_tf.monitoring.state_watch import LayerState, StateMeasurement
from insens_tf.new_figure import new_figure

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["draw_states"]

_PANELS: dict[str, Callable[[LayerState], float]] = {
    "active": lambda state: state.active,
    "dead": lambda state: state.dead / state.neurons,
    "always active": lambda state: state.always_active / state.neurons,
    "changed since the last time": lambda state: state.changed,
    "median margin": lambda state: state.margin,
}


def draw_states(
    measurements: Sequence[StateMeasurement],
    what: str = "epochs done",
    names: Sequence[str] | None = None,
) -> Figure:
    """Draw what was measured of each layer over the steps: shares of its neurons, and margins.

    Parameters
    ----------
    measurements : sequence of StateMeasurement
        At least one, all of the same layers.
    what : str
        What the steps are.
    names : sequence of str, optional
        What is written below each measurement; None: its step.

    Returns
    -------
    matplotlib.figure.Figure
        With a canvas of its own: `figure.savefig("states.png")`.

    Raises
    ------
    ValueError
        If there is no measurement.
    """
    from matplotlib import colormaps

    if not measurements:
        raise ValueError("measurements: expected at least one, came none")
    figure = new_figure(3.0 * len(_PANELS), 3.4)
    panels = figure.subplots(1, len(_PANELS))
    steps = [one.step for one in measurements]
    layers = [state.layer for state in measurements[0].layers]
    for panel, (title, value) in zip(panels, _PANELS.items(), strict=True):
        for number, layer in enumerate(layers):
            values = [value(one.layers[number]) for one in measurements]
            colour = colormaps["viridis"](0.92 * (number + 0.5) / len(layers))
            panel.plot(steps, values, marker=".", color=colour, label=layer)
        panel.set_title(title, fontsize=9)
        panel.set_xlabel(what, fontsize=8)
        panel.tick_params(labelsize=7)
        if title == "median margin":
            shown = [one.layers[i].margin for one in measurements for i in range(len(layers))]
            if (np.asarray(shown) > 0).any():
                panel.set_yscale("log")
        else:
            panel.yaxis.set_major_formatter(lambda share, _: f"{100 * share:.3g}%")
        if names is not None:
            panel.set_xticks(steps, names, rotation=45, ha="right", parse_math=False)
    legend = figure.legend(
        *panels[0].get_legend_handles_labels(),
        loc="outside right upper",
        fontsize=8,
        frameon=False,
    )
    for text in legend.get_texts():
        text.set_parse_math(False)
    return figure
