"""The explorer's page in a real browser: what is clicked, drawn and typed, and what is then shown.

They need Chromium, such as Debian's package `chromium`, which `.ci/run` installs, and npm for the
checker of accessibility. Where there is none they are skipped, but not in CI.
"""

from __future__ import annotations

import base64
import http.client
import itertools
import re
import shutil
import subprocess
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import numpy as np
import pytest
from PIL import Image

import insens_tf
from benchmarks import explorer as benchmark
from insens_tf import demo
from tests import demonstration
from tests.browser import chromium, needed
from tests.conftest import with_keras_3

pytestmark = [pytest.mark.slow, with_keras_3, pytest.mark.xdist_group("browser")]

AXE = "axe-core@4.14.1"
IMAGES = 8
SIZES = [(1440, 900), (820, 1100)]
ZOOMS = [0.75, 1, 2]


@pytest.fixture(scope="module")
def explorer() -> Iterator[insens_tf.Explorer]:
    model = demonstration.small_network()
    network = insens_tf.SwitchedNetwork(model)
    x = demo.digits().x_test[:IMAGES]
    frequency = network.activation_frequency(x, progress=False)
    with insens_tf.explore(network, x, frequency, open_browser=False) as running:
        yield running


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with chromium() as running:
        yield running


class Session:
    """A page of the explorer, and what it asked for and complained of."""

    def __init__(self, explorer: insens_tf.Explorer, context: Any) -> None:
        self.explorer = explorer
        self.page = context.new_page()
        self.requests: list[str] = []
        self.complaints: list[str] = []
        self.page.on("request", lambda request: self.requests.append(request.url))
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.page.on(
            "console",
            lambda message: (
                self.complaints.append(message.text)
                if message.type in ("error", "warning")
                else None
            ),
        )

    def go(self, view: str = "") -> Any:
        """Open a view, and return the page when it is there."""
        self.page.goto(self.explorer.url + view)
        self.page.locator("#v:not(:empty)").wait_for()
        self.settle()
        return self.page

    def settle(self) -> None:
        self.page.locator('body[data-pending="0"]').wait_for()

    def part_of_address(self, name: str) -> str:
        return parse_qs(urlsplit(self.page.url).fragment)[name][0]

    def shows(self, element: str, text: str) -> None:
        """Wait until an element has exactly this text."""
        self.page.locator(element).filter(has_text=re.compile(f"^{re.escape(text)}$")).wait_for()

    def shows_neuron(self, x: np.ndarray, layer: str, neuron: tuple[int, ...]) -> None:
        """Wait until all numbers of a neuron are there, as `project` has them."""
        p = self.explorer.exploration.network.project(x, layer, [neuron])
        v, b = float(p.activity[0, 0]), float(p.bias[0, 0])
        length = float(np.linalg.norm(p.weights[0, 0].astype(np.float64)))
        self.shows("#neuron-name", f"{layer} [{', '.join(map(str, neuron))}]")
        distance = abs(v) / length if length else None
        numbers = {"v": v, "b": b, "xw": v - b, "length": length, "distance": distance}
        for name, value in numbers.items():
            self.shows(f"#{name}", displayed(value))
        if layer != "logits":
            self.shows("#state", "active" if v > 0 else "inactive")


@pytest.fixture
def session(explorer: insens_tf.Explorer, browser: Any) -> Iterator[Session]:
    context = browser.new_context(viewport={"width": 1440, "height": 900})
    session = Session(explorer, context)
    yield session
    context.close()
    assert session.complaints == []
    own = explorer.url.partition("?")[0]
    # What is downloaded is made into a file in the page itself.
    assert [url for url in session.requests if not url.startswith((own, f"blob:{own}"))] == []


def displayed(value: float | None) -> str:
    """Write a number as the page does: four significant digits."""
    if value is None:
        return "–"
    if value == 0:
        return "0"
    small = abs(value) < 1e-3 or abs(value) >= 1e5
    text = f"{value:.3e}" if small else f"{value:#.4g}"
    text = re.sub(r"e([+-])0(\d)", r"e\1\2", text).removesuffix(".")
    return text.replace("-", "−")


def images(explorer: insens_tf.Explorer, number: int) -> np.ndarray:
    return np.array(explorer.exploration.images[number : number + 1])


def drawn(x: np.ndarray, edits: str) -> np.ndarray:
    """Return an input as an address says that it is drawn on."""
    found = x.copy()
    for packed in np.frombuffer(base64.urlsafe_b64decode(edits), ">u4"):
        found.reshape(-1)[packed >> 8] = (packed & 255) / 255
    return found


def zoomed(page: Any, width: int, height: int, zoom: float) -> None:
    """Zoom as a browser does: fewer, larger pixels."""
    metrics = {"width": width, "height": height, "deviceScaleFactor": zoom, "mobile": False}
    page.context.new_cdp_session(page).send("Emulation.setDeviceMetricsOverride", metrics)


def click(page: Any, canvas: str, row: int, column: int, side: int) -> None:
    """Click the middle of a pixel of a square map of so many pixels a side."""
    found = page.locator(canvas)
    box = found.bounding_box()
    found.click(
        position={
            "x": (column + 0.5) * box["width"] / side,
            "y": (row + 0.5) * box["height"] / side,
        }
    )


def test_clicking_a_pixel_shows_the_numbers_of_project(
    explorer: insens_tf.Explorer, session: Session
) -> None:
    page = session.go("#image=1&layer=conv_2&neuron=5.5.0")
    places = itertools.cycle([(0, 0, 2), (13, 13, 1), (3, 9, 3), (7, 4, 0), (5, 12, 2)])

    for (width, height), zoom in itertools.product(SIZES, ZOOMS):
        zoomed(page, int(width / zoom), int(height / zoom), zoom)
        row, column, channel = next(places)
        page.locator(f'#wall [data-channel="{channel}"]').click()
        click(page, "#map", row, column, side=14)
        session.shows_neuron(images(explorer, 1), "conv_2", (row, column, channel))
    page.locator('#chain [data-layer="dense"]').click()
    page.locator("#map-title", has_text="24 neurons").wait_for()
    click(page, "#map", 1, 3, side=5)
    session.shows_neuron(images(explorer, 1), "dense", (8,))


def test_clicking_the_input_chooses_a_neuron_that_sees_the_pixel(
    explorer: insens_tf.Explorer, session: Session
) -> None:
    page = session.go("#image=1&layer=conv_2&neuron=5.5.1")
    graph = explorer.exploration.network.reading.graph
    position = explorer.exploration.network.layer("conv_2").position
    windows = graph.receptive_field(position).windows
    assert windows is not None

    for pixel in [(0, 0), (27, 13), (11, 20)]:
        click(page, "#input", *pixel, side=28)
        session.settle()
        *place, channel = map(int, session.part_of_address("neuron").split("."))
        assert channel == 1
        session.shows_neuron(images(explorer, 1), "conv_2", (*place, channel))
        for along, at, window in zip(pixel, place, windows):
            start = at * window.stride - window.padding
            assert start <= along < start + window.size
        assert page.locator("#seen").is_visible()


def test_a_stroke_changes_the_prediction_and_what_is_active(
    explorer: insens_tf.Explorer, session: Session
) -> None:
    network = explorer.exploration.network
    x = images(explorer, 3)
    page = session.go("#image=3&layer=conv_2&neuron=5.5.1")
    before = page.locator("#prediction").inner_text()
    box = page.locator("#input").bounding_box()
    page.locator("#draw").click()

    page.mouse.move(box["x"] + 0.2 * box["width"], box["y"] + 0.3 * box["height"])
    page.mouse.down()
    page.mouse.move(box["x"] + 0.8 * box["width"], box["y"] + 0.5 * box["height"], steps=12)
    page.mouse.up()
    session.settle()

    on = drawn(x, session.part_of_address("edits"))
    assert (on != x).sum() > 20
    session.shows_neuron(on, "conv_2", (5, 5, 1))
    logits = network.activity(on, network.output)[0]
    for place, logit in enumerate(logits):
        session.shows(f"#prediction li:nth-child({place + 1}) .number >> nth=1", displayed(logit))
    assert page.locator("#prediction").inner_text() != before
    rows = page.locator("#drawn-switched tbody tr").all_inner_texts()
    states = [
        (network.activity(x, name) > 0, network.activity(on, name) > 0)
        for name in ("conv_1", "conv_2", "dense")
    ]
    expected = [((now & ~then).sum(), (then & ~now).sum()) for then, now in states]
    assert [tuple(map(int, row.split("\t")[1:3])) for row in rows] == expected
    page.locator("#undraw").click()
    session.shows_neuron(x, "conv_2", (5, 5, 1))
    assert page.locator("#prediction").inner_text() == before


def test_an_address_restores_its_view(
    explorer: insens_tf.Explorer, browser: Any, session: Session
) -> None:
    page = session.go("#image=2&layer=conv_1&neuron=9.9.1")
    page.locator("#draw").click()
    click(page, "#input", 9, 9, side=28)
    page.locator("#step").fill("0.5")
    page.locator("#method").select_option("lrp.epsilon")
    page.locator('[id="method-lrp.epsilon"] .text:not(:empty)').wait_for()
    session.settle()
    told = {name: page.locator(f"#{name}").inner_text() for name in ("v", "step-text")}

    other = Session(explorer, browser.new_context())
    other.page.goto(page.url)

    x = drawn(images(explorer, 2), session.part_of_address("edits"))
    other.shows_neuron(x, "conv_1", (9, 9, 1))
    for name, text in told.items():
        other.shows(f"#{name}", text)
    other.page.locator('[id="method-lrp.epsilon"] .text:not(:empty)').wait_for()
    assert other.part_of_address("step") == "0.5"
    other.page.context.close()
    page.go_back()
    page.locator("#methods figure").wait_for(state="detached")


def test_a_step_to_the_centre_brings_the_neuron_to_its_boundary(
    explorer: insens_tf.Explorer, session: Session
) -> None:
    x = images(explorer, 2)
    p = explorer.exploration.network.project(x, "conv_1", [(9, 9, 1)])
    page = session.go("#image=2&layer=conv_1&neuron=9.9.1")

    page.locator("#step").fill("1")

    away = displayed(float(np.linalg.norm(x - p.centre[0])))
    text = page.locator("#step-text")
    text.filter(
        has_text=re.compile(f"^{re.escape(away)[:4]}.* away v is .*as x w \\+ b")
    ).wait_for()
    rows = page.locator("#step-switched tbody tr").all_inner_texts()
    assert [row.split("\t")[0] for row in rows] == ["conv_1", "conv_2", "dense"]


def test_insens_and_methods_are_shown(session: Session) -> None:
    page = session.go("#image=2&layer=dense&neuron=3&methods=gradient")

    for state in ("inactive", "active", "all"):
        page.locator(f"#insens-{state} .text", has_text="exact").wait_for()
    page.locator("#method-gradient .text:not(:empty)").wait_for()
    largest = page.locator("#weights-text").inner_text()
    assert page.locator("#method-gradient .text").inner_text() == largest
    page.locator('#prediction [data-neuron="logits 4"]').click()
    page.locator("#no-insens").wait_for()
    assert session.part_of_address("neuron") == "4"
    page.get_by_role("button", name="remove gradient").click()
    assert "methods" not in page.url
    page.locator("#top button").first.wait_for()
    assert page.locator("#top button").count() == 6


def test_all_can_be_done_by_keys(explorer: insens_tf.Explorer, session: Session) -> None:
    page = session.go("#image=1&layer=conv_2&neuron=5.5.1")
    keys = page.keyboard

    keys.press("]")
    session.shows_neuron(images(explorer, 2), "conv_2", (5, 5, 1))
    keys.press(".")
    session.shows_neuron(images(explorer, 2), "conv_2", (5, 5, 2))
    page.locator("#map").focus()
    keys.press("ArrowRight")
    keys.press("ArrowDown")
    session.shows_neuron(images(explorer, 2), "conv_2", (6, 6, 2))
    page.locator('#wall [aria-selected="true"]').focus()
    keys.press("ArrowLeft")
    session.shows_neuron(images(explorer, 2), "conv_2", (6, 6, 1))
    page.locator('#chain [aria-selected="true"]').focus()
    keys.press("ArrowLeft")
    session.shows_neuron(images(explorer, 2), "conv_1", (13, 13, 1))
    keys.press("+")
    session.shows("#neuron-name", "conv_2 [6, 6, 1]")
    page.locator('#strip [aria-selected="true"]').focus()
    keys.press("ArrowLeft")
    session.shows_neuron(images(explorer, 1), "conv_2", (6, 6, 1))
    keys.press("?")
    page.locator("#help[open]").wait_for()
    keys.press("Escape")
    page.locator("#help:not([open])").wait_for(state="attached")
    keys.press("d")
    page.locator("#input").focus()
    keys.press("ArrowDown")
    keys.press("Enter")
    session.settle()
    x = drawn(images(explorer, 1), session.part_of_address("edits"))
    assert x[0, 1, 0, 0] == 1
    session.shows_neuron(x, "conv_2", (6, 6, 1))


def test_everything_is_reached_by_tab(session: Session) -> None:
    page = session.go()
    reached = set()
    for _ in range(60):
        page.keyboard.press("Tab")
        focused = page.locator(":focus")
        if focused.count():
            inside = focused.locator("xpath=ancestor-or-self::*[@id][1]")
            reached |= {one.get_attribute("id") for one in inside.all()}

    assert reached >= {
        "copy-link",
        "copy-python",
        "help-button",
        "strip",
        "input",
        "draw",
        "brush",
        "level",
        "blank",
        "file",
        "prediction",
        "chain",
        "wall",
        "map",
        "zoom",
        "step",
        "method",
        "top",
    }


def test_python_and_files_are_what_is_shown(explorer: insens_tf.Explorer, browser: Any) -> None:
    context = browser.new_context(
        permissions=["clipboard-read", "clipboard-write"], bypass_csp=True
    )
    session = Session(explorer, context)
    page = session.go("#image=2&layer=dense&neuron=3")
    page.locator("#copy-python").click()
    page.locator("#said", has_text="Python copied").wait_for()
    with page.expect_download() as download:
        page.locator('[data-form="npz"]').click()
    names: dict[str, Any] = {
        "network": explorer.exploration.network,
        "images": explorer.exploration.images,
        "frequency": explorer.exploration.frequency,
    }

    exec(page.evaluate("navigator.clipboard.readText()"), names)

    assert page.locator("#v").inner_text() == displayed(float(names["v"]))
    assert page.locator("#b").inner_text() == displayed(float(names["b"]))
    assert page.locator("#distance").inner_text() == displayed(float(names["distance"]))
    assert download.value.suggested_filename == "dense_3.npz"
    with np.load(download.value.path()) as arrays:
        np.testing.assert_array_equal(arrays["weights"], names["w"])
    context.close()


def test_a_picture_can_be_opened(
    explorer: insens_tf.Explorer, session: Session, tmp_path: Path
) -> None:
    pixels = np.zeros((28, 28), np.uint8)
    pixels[4:24, 13:15] = 255
    Image.fromarray(pixels).save(tmp_path / "one.png")
    page = session.go("#layer=conv_2&neuron=5.5.1")

    page.locator("#file").set_input_files(tmp_path / "one.png")

    session.shows("#image-name", "one.png")
    x = pixels[np.newaxis, ..., np.newaxis].astype(np.float32) / 255
    session.shows_neuron(x, "conv_2", (5, 5, 1))


@pytest.mark.parametrize(("scheme", "width"), [("light", 1440), ("dark", 420)])
def test_contrast_and_labels_pass_a_checker(
    explorer: insens_tf.Explorer, browser: Any, axe: str, scheme: str, width: int
) -> None:
    context = browser.new_context(
        viewport={"width": width, "height": 900}, color_scheme=scheme, bypass_csp=True
    )
    session = Session(explorer, context)
    page = session.go("#image=2&layer=conv_2&neuron=5.5.1&step=0.5&methods=gradient")
    page.locator("#method-gradient .text:not(:empty)").wait_for()
    page.locator("#top button").first.wait_for()

    page.evaluate(axe)
    found = page.evaluate("axe.run(document, {resultTypes: ['violations']})")

    assert {one["id"]: [node["html"] for node in one["nodes"]] for one in found["violations"]} == {}
    context.close()


@pytest.fixture(scope="module")
def axe(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The checker axe-core, in JavaScript."""
    npm = shutil.which("npm") or needed("npm", "apt-get install npm")
    folder = tmp_path_factory.mktemp("axe")
    fetched = subprocess.run(
        [npm, "pack", "--silent", AXE], cwd=folder, capture_output=True, text=True, check=False
    )
    if fetched.returncode:
        needed(AXE, fetched.stderr)
    with tarfile.open(folder / fetched.stdout.split()[-1]) as archive:
        file = archive.extractfile("package/axe.min.js")
        assert file is not None
        return file.read().decode("utf-8")


def test_the_benchmark_clicks_and_waits(explorer: insens_tf.Explorer, session: Session) -> None:
    found = benchmark.opened(session.page, explorer.url)
    found |= benchmark.clicked(session.page, ["conv_2", "conv_1"], clicks=2)
    found |= benchmark.computed(explorer.exploration, ["conv_2"], count=2)

    rows = benchmark.table("a network", found)

    assert {row["from, to"]: row["times"] for row in rows[4:]} == {
        "click on a map to the neuron": 4,
        "click on a channel to the neuron": 2,
        "click on a layer to its neuron": 1,
        "of that, computing it": 2,
    }
    assert [row["times"] for row in rows[:4]] == [1, 1, 1, 1]
    assert all(seconds > 0 for times in found.values() for seconds in times)


def test_strangers_are_refused(explorer: insens_tf.Explorer, browser: Any) -> None:
    address = urlsplit(explorer.url)
    token = parse_qs(address.query)["token"][0]
    right = {"Origin": f"http://{address.netloc}", "Authorization": f"Bearer {token}"}

    def status(**wrong: str) -> int:
        connection = http.client.HTTPConnection(address.netloc)
        headers = {"Host": address.netloc, **right, **wrong}
        connection.request("POST", "/api/network", b"{}", headers)
        found = connection.getresponse().status
        connection.close()
        return found

    assert status() == 200
    assert status(Host="elsewhere.example") == 400
    assert status(Origin="http://elsewhere.example") == 403
    assert status(Origin="http://127.0.0.1:1") == 403
    assert status(Authorization="Bearer another") == 403
    page = browser.new_page()
    assert page.goto(explorer.url.partition("?")[0]).status == 403
    assert "expected ?token=" in page.content()
    page.close()


def test_what_went_wrong_is_said(explorer: insens_tf.Explorer, session: Session) -> None:
    page = session.go("#layer=conv_2&neuron=1.1.1")

    page.goto(explorer.url + "#image=99&layer=conv_2&neuron=1.1.1")

    page.locator("#error", has_text="expected a number from 0 to 7").wait_for()
    page.locator("#strip [role=option]").nth(4).click()
    session.shows_neuron(images(explorer, 4), "conv_2", (1, 1, 1))
    page.locator("#error").wait_for(state="hidden")
    # A browser tells of every refused request itself.
    session.complaints = [one for one in session.complaints if "400 (Bad Request)" not in one]
