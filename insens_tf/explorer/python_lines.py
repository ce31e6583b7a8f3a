"""The Python that makes the numbers of a view."""

from __future__ import annotations

from insens_tf.explorer.exploration import Exploration
from insens_tf.explorer.view import View

__all__ = ["python_lines"]


def python_lines(exploration: Exploration, view: View) -> str:
    """Return a program that computes what is shown of a view's neuron and its layer."""
    layer, lines = repr(view.layer.name), exploration.lines
    needs_frequency = view.layer.index is not None and exploration.frequency is not None
    program = [
        "import numpy as np",
        "import insens_tf",
        *lines.network,
        *(lines.frequency if needs_frequency else ()),
        *_lines_of_x(exploration, view),
        "",
        f"p = network.project(x, {layer}, [{view.index if len(view.index) > 1 else view.neuron}])",
        "v, b = p.activity[0, 0], p.bias[0, 0]  # v = sum(x * w) + b",
        "w, c, contribution = p.weights[0, 0], p.centre[0, 0], p.contribution[0, 0]",
        "distance = abs(v) / np.linalg.norm(w)",
    ]
    if view.layer.index is not None:
        frequency = ", frequency" if needs_frequency else ""
        program.append(f"omega = network.insens(x, {layer}{frequency})[0]")
    return "\n".join([*program, ""])


def _lines_of_x(exploration: Exploration, view: View) -> list[str]:
    """Return the lines that make `x`, (1, *input_shape)."""
    shape, dtype = (1, *exploration.network.input_shape), exploration.network.dtype
    if view.image == "blank":
        lines = [f"x = np.full({shape}, {exploration.lowest!r}, {dtype.name!r})"]
    elif view.image.isdigit():
        start = int(view.image)
        lines = [
            *exploration.lines.images,
            f"x = np.array(images[{start}:{start + 1}], {dtype.name!r})",
        ]
    else:
        title = exploration.title(view.image)
        lines = [f"# x: the dropped picture {title!r}, as an array of shape {shape}"]
    if view.is_drawn_on:
        lowest, highest = exploration.lowest, exploration.highest
        by_level = _by_level(view)
        lines.append("drawn = {  # which pixels are drawn over, by how bright: 0 to 255")
        lines += [f"    {level}: {pixels}," for level, pixels in by_level.items()]
        lines += [
            "}",
            "for level, pixels in drawn.items():",
            f"    x.reshape(-1, {exploration.picture_shape[-1]})[pixels] = "
            f"{lowest!r} + {highest - lowest!r} * level / 255",
        ]
    return lines


def _by_level(view: View) -> dict[int, list[int]]:
    found: dict[int, list[int]] = {}
    # What is drawn twice has its last level.
    last = dict(zip(view.pixels.tolist(), view.levels.tolist()))
    for pixel, level in last.items():
        found.setdefault(level, []).append(pixel)
    return found
