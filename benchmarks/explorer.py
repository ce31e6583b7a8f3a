"""How long the explorer takes, in a real browser: from a click to the picture, to the first page.

    python -m benchmarks.explorer
    python -m benchmarks.explorer --clicks 200 --into docs/explorer.md

Needs Chromium and Playwright. 2CONV as it is initialised, on the digits in the package, and a
network like VGG for inputs of 224 x 224; what clicks take does not depend on what it has learnt.
"""

from __future__ import annotations

import argparse
import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from tabulate import tabulate

import insens_tf
from benchmarks.browser import chromium
from benchmarks.random_networks import images, vgg_like
from benchmarks.timing import environment
from experiments.tables import inserted
from insens_tf import demo
from insens_tf.explorer.exploration import Exploration
from insens_tf.explorer.shown import neuron_shown
from insens_tf.explorer.view import View
from insens_tf.two_conv import two_conv

__all__ = ["clicked", "computed", "opened", "table"]

Seconds = dict[str, list[float]]
"""What was measured, by what it is from and to."""

LARGE = (224, 224, 3)
PATIENCE = 120
"""In seconds, how long a click is waited for."""
PAUSE = 300
"""Between two clicks, in milliseconds."""


def opened(page: Any, url: str) -> Seconds:
    """Open the page of an explorer that was just started.

    Parameters
    ----------
    page : playwright.sync_api.Page
    url : str
    """
    start = time.perf_counter()
    found = {}
    page.goto(url)
    for name, element in (
        ("start to the images", "#strip canvas >> nth=0"),
        ("start to the first neuron", '#neuron-panel[aria-busy="false"]'),
        ("start to Insens of its layer", "#insens-inactive .text:not(:empty)"),
        ("start to all of it", 'body[data-pending="0"]'),
    ):
        page.locator(element).wait_for()
        found[name] = [time.perf_counter() - start]
    return found


# From the event to the frame in which the neuron's pictures are, as whoever clicked sees it; what
# drives the browser looks now and then only.
WATCHED = """() => {
  window.tookMilliseconds = [];
  let began = null;
  addEventListener("pointerdown", (event) => { began ??= event.timeStamp; }, true);
  const panel = document.getElementById("neuron-panel");
  new MutationObserver(() => {
    if (panel.getAttribute("aria-busy") !== "false" || began === null) return;
    const from = began;
    began = null;
    requestAnimationFrame(() =>
      setTimeout(() => window.tookMilliseconds.push(performance.now() - from)));
  }).observe(panel, { attributes: true, attributeFilter: ["aria-busy"] });
}"""


def clicked(page: Any, layers: list[str], clicks: int, seed: int = 0) -> Seconds:
    """Click on layers, and at random on their maps and channels; wait for the neuron's pictures."""
    random = np.random.default_rng(seed)
    found: Seconds = {}
    page.evaluate(WATCHED)

    def note(name: str, click: Callable[..., None], *where: float) -> None:
        click(*where)
        given_up = time.monotonic() + PATIENCE
        while not (took := page.evaluate("() => window.tookMilliseconds.splice(0)")):
            if time.monotonic() > given_up:
                raise TimeoutError(f"{name}: nothing was drawn within {PATIENCE} s")
            page.wait_for_timeout(20)
        found.setdefault(name, []).append(took[0] / 1000)
        # People look at what they have clicked for.
        page.wait_for_timeout(PAUSE)

    for layer in layers:
        option = page.locator(f'#chain [data-layer="{layer}"]')
        # The one that is shown already stays as it is.
        if option.get_attribute("aria-selected") != "true":
            note("click on a layer to its neuron", option.click)
        # What the click on the layer is followed by is waited for.
        page.wait_for_timeout(1000)
        page.locator('body[data-pending="0"]').wait_for(timeout=600_000)
        box = page.locator("#map").bounding_box()
        for across, down in random.uniform(0.02, 0.98, (clicks, 2)):
            x, y = box["x"] + across * box["width"], box["y"] + down * box["height"]
            note("click on a map to the neuron", page.mouse.click, x, y)
        channels = page.locator("#wall [role=option]")
        for channel in random.choice(channels.count(), max(1, clicks // 4)):
            one = channels.nth(int(channel))
            one.scroll_into_view_if_needed()
            note("click on a channel to the neuron", one.click)
    return found


def computed(exploration: Exploration, layers: list[str], count: int, seed: int = 0) -> Seconds:
    """Compute at random what a click shows, without a browser or a server."""
    random = np.random.default_rng(seed)
    found = []
    for name in layers:
        layer = exploration.network.layer(name)
        for neuron in random.choice(layer.neurons, count + 1):
            given = {"image": "0", "layer": name, "neuron": str(neuron), "edits": ""}
            start = time.perf_counter()
            neuron_shown(exploration, View.of(given, exploration))
            found.append(time.perf_counter() - start)
        # What is computed the first time is no part of a click.
        del found[-count - 1]
    return {"of that, computing it": found}


def measured(clicks: int) -> Iterator[tuple[str, Seconds]]:
    """Yield the name of each network, and what was measured of it."""
    networks = {
        "2CONV, 28x28x1": (two_conv((28, 28, 1), 10, seed=0), demo.digits().x_test[:100]),
        "VGG-like, 224x224x3": (vgg_like(LARGE, (1, 1, 1, 1)), images(LARGE, 8)),
    }
    with chromium() as browser:
        for name, (model, x) in networks.items():
            network = insens_tf.SwitchedNetwork(model)
            layers = [layer.name for layer in network.layers if len(layer.shape) == 3]
            with insens_tf.explore(network, x, open_browser=False) as explorer:
                page = browser.new_page(viewport={"width": 1440, "height": 1000})
                page.set_default_timeout(600_000)
                in_browser = opened(page, explorer.url) | clicked(page, layers, clicks)
                page.close()
                yield name, in_browser | computed(explorer.exploration, layers, clicks)


def table(name: str, seconds: Seconds) -> list[dict[str, Any]]:
    """Return the rows of a network: median and 95th percentile in milliseconds."""
    return [
        {
            "network": name,
            "from, to": what,
            "times": len(found),
            "median": f"{1000 * np.median(found):.0f} ms",
            "p95": f"{1000 * np.percentile(found, 95):.0f} ms" if len(found) > 1 else "",
        }
        for what, found in seconds.items()
    ]


def main() -> None:
    """Measure, and print the table or put it on a page."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--clicks", type=int, default=40, help="on each layer's map (40)")
    parser.add_argument("--into", type=Path, help="the page with <!-- explorer --> on it")
    arguments = parser.parse_args()
    rows = [row for found in measured(arguments.clicks) for row in table(*found)]
    versions = ", ".join(f"{name} {one}" for name, one in environment()["versions"].items())
    text = tabulate(rows, "keys", tablefmt="github", disable_numparse=True)
    # What else the machine does lengthens all of it.
    load = f"{os.getloadavg()[1]:.1f}"
    text = f"{text}\n\n{environment()['cores']} cores under a load of {load}; {versions}.\n"
    print(text)
    if arguments.into is not None:
        page = inserted(arguments.into.read_text("utf-8"), "explorer", text)
        arguments.into.write_text(page, "utf-8")


if __name__ == "__main__":
    main()
