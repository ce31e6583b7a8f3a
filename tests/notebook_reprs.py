"""What objects show of themselves in notebooks, as a picture, light and dark.

    python -m tests.notebook_reprs --into docs/notebook_reprs.png

draws it in headless Chromium, of the network and digits in `insens_tf_demo`, which `insens-tf demo`
has written. The styles are those that JupyterLab gives to what a cell shows.
"""

from __future__ import annotations

import argparse
import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf
from PIL import Image

import insens_tf
from benchmarks.browser import chromium
from insens_tf import demo

__all__ = ["objects", "page"]

_COLOURS = 200
_WIDTH = 1500
# As of JupyterLab 4, class jp-RenderedHTMLCommon.
_STYLE = """
body { margin: 0; display: flex; font: 14px/1.5 system-ui, sans-serif; }
main { box-sizing: border-box; width: 50%; padding: 8px 16px; }
main.light { background: white; color: rgb(0 0 0 / 87%); }
main.dark { background: #111; color: rgb(255 255 255 / 87%); }
h3 { font: 12px monospace; color: #777; border-top: 1px solid #7777; margin: 8px 0; }
p { margin: 0 0 0.6em; }
table { border-collapse: collapse; border: none; font-size: 12px; margin-bottom: 1em; }
td, th { text-align: right; padding: 0.5em; line-height: normal; border: none; }
main.light tbody tr:nth-child(odd) { background: #f5f5f5; }
main.dark tbody tr:nth-child(odd) { background: #212121; }
img { max-width: 100%; }
"""


def objects(
    network: insens_tf.SwitchedNetwork, x: np.ndarray, x_train: np.ndarray
) -> dict[str, Any]:
    """Return an object of each kind that shows itself, by the line that makes it."""
    frequency = network.activation_frequency(x_train, progress=False)
    return {
        "network": network,
        "network.report()": network.report(),
        "network.plan()": network.plan(),
        'network.project(x, "dense", [3])': network.project(x[:1], "dense", [3]),
        'network.project(x, "conv_2", [(7, 6, 2)])': network.project(x[:1], "conv_2", [(7, 6, 2)]),
        "network.activation_frequency(x_train)": frequency,
        'network.estimate_insens(x, "dense", frequency)': network.estimate_insens(
            x[:3], "dense", frequency, progress=False
        ),
        "network.region(x[0])": network.region(x[0]),
        "network.path(x[0], x[1])": network.path(x[0], x[1], progress=False),
    }


def page(shown: Mapping[str, Any], modes: Sequence[str] = ("light", "dark")) -> str:
    """Return a page on which objects show themselves, a column for each of JupyterLab's modes."""
    cells = "".join(f"<h3>{line}</h3>{one._repr_html_()}" for line, one in shown.items())
    columns = "".join(f'<main class="{mode}">{cells}</main>' for mode in modes)
    return f"<!doctype html><meta charset=utf-8><style>{_STYLE}</style>{columns}"


def screenshot(html: str) -> Image.Image:
    """Return a page as a picture, as high as it is."""
    with chromium() as browser:
        opened = browser.new_page(viewport={"width": _WIDTH, "height": 600})
        opened.set_content(html)
        png = opened.screenshot(full_page=True)
    return Image.open(io.BytesIO(png))


def main() -> None:
    """Draw the picture."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--from", dest="folder", type=Path, default=Path("insens_tf_demo"))
    parser.add_argument("--into", type=Path, required=True, metavar="PNG")
    arguments = parser.parse_args()
    network = insens_tf.SwitchedNetwork(tf.keras.models.load_model(arguments.folder / demo.MODEL))
    with np.load(arguments.folder / demo.DIGITS) as digits:
        x, x_train = (digits[name].astype(np.float32) / 255 for name in ("x_test", "x_train"))
    drawn = screenshot(page(objects(network, x, x_train)))
    # Few colours, as a page loads it.
    drawn.convert("RGB").quantize(_COLOURS).save(arguments.into, optimize=True)


if __name__ == "__main__":
    main()
