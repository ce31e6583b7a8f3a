"""The explorer without a browser: what a view shows, and who may ask for it."""

from __future__ import annotations

import asyncio
import base64
import io
import json
import re
import threading
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from starlette.testclient import TestClient

import insens_tf
from insens_tf import demo
from insens_tf.explorer.exploration import Exploration
from insens_tf.explorer.hosts import NotLoopbackError, check_host
from insens_tf.explorer.lanes import Lane, SupersededError
from insens_tf.explorer.layer_maps import LayerMaps
from insens_tf.explorer.running import explore
from insens_tf.explorer.server import MOST_BYTES, STATIC, application
from insens_tf.heatmap import heatmap
from insens_tf.hidden_layer import HiddenLayer
from insens_tf.progress import progress_of_inputs
from tests import demonstration
from tests.conftest import with_keras_3

pytestmark = with_keras_3

TOKEN = "the token"
HEADERS = {"Origin": "http://127.0.0.1", "Authorization": f"Bearer {TOKEN}", "X-Page": "a page"}
IMAGES = 6


@pytest.fixture(scope="module")
def exploration() -> Exploration:
    network = insens_tf.SwitchedNetwork(demonstration.small_network())
    x = demo.digits().x_test[:IMAGES]
    frequency = network.activation_frequency(x, progress=False)
    explored = explore(
        network, x, frequency, names=[f"digit {n}" for n in range(IMAGES)], open_browser=False
    )
    explored.close()
    return explored.exploration


@pytest.fixture(scope="module")
def client(exploration: Exploration) -> Iterator[TestClient]:
    app = application(exploration, TOKEN, ["127.0.0.1", "localhost"])
    with TestClient(app, base_url="http://127.0.0.1") as found:
        yield found


def view(**changes: str) -> dict[str, str]:
    return {"image": "2", "layer": "conv_2", "neuron": "4.5.3", "edits": "", **changes}


def asked(client: TestClient, what: str, **given: Any) -> Any:
    response = client.post(f"/api/{what}", json={"view": view(), **given}, headers=HEADERS)
    assert response.status_code == 200, response.text
    return response.json()


def pixels_of(png: str) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(png))))


def edits_of(levels: dict[int, int]) -> str:
    packed = np.array([(pixel << 8) | level for pixel, level in levels.items()], ">u4")
    return base64.urlsafe_b64encode(packed.tobytes()).decode()


def test_the_numbers_of_a_neuron_are_those_of_project(
    client: TestClient, exploration: Exploration
) -> None:
    x = np.asarray(exploration.images[2:3])
    p = exploration.network.project(x, "conv_2", neurons=[(4, 5, 3)])

    shown = asked(client, "neuron")

    assert shown["index"] == [4, 5, 3]
    assert shown["place"] == [3, 4, 5]
    assert shown["v"] == float(p.activity[0, 0])
    assert shown["b"] == float(p.bias[0, 0])
    assert shown["distance"] == pytest.approx(float(np.linalg.norm(x - p.centre[0])), rel=1e-4)
    assert shown["frequency"] == exploration.frequency["conv_2"][4, 5, 3]
    for name in ("weights", "contribution"):
        expected = heatmap(getattr(p, name)[0, 0])
        np.testing.assert_array_equal(pixels_of(shown[name]["png"]), expected)
        largest = np.abs(getattr(p, name)[0, 0]).max()
        assert shown[name]["largest"] == pytest.approx(float(largest))
    v = exploration.network.activity(x, "conv_2")[0, ..., 3]
    np.testing.assert_array_equal(pixels_of(shown["map"]["png"]), heatmap(v, None))


def test_a_layer_shows_each_channel_and_how_many_of_it_are_active(
    client: TestClient, exploration: Exploration
) -> None:
    v = exploration.network.activity(np.asarray(exploration.images[2:3]), "conv_2")[0]

    shown = asked(client, "layer")

    assert shown["active"] == (v > 0).sum(axis=(0, 1)).tolist()
    wall = pixels_of(shown["png"]).reshape(4, 14, 14, 4)
    np.testing.assert_array_equal(wall[..., :3], heatmap(np.moveaxis(v, -1, 0), None))
    assert (wall[..., 3] == 255).all()


def test_an_image_that_is_drawn_on_shows_what_that_switched(
    client: TestClient, exploration: Exploration
) -> None:
    drawn = {28 * 10 + column: 255 for column in range(5, 20)} | {0: 51}
    before = np.array(exploration.images[2:3])
    after = before.copy()
    for pixel, level in drawn.items():
        after[0, pixel // 28, pixel % 28, 0] = level / 255

    shown = asked(client, "image", view=view(edits=edits_of(drawn)))

    np.testing.assert_array_equal(
        pixels_of(shown["png"])[..., 0], np.rint(after[0, ..., 0] * 255).astype(np.uint8)
    )
    for one in shown["switched"]:
        then, now = (exploration.network.activity(x, one["layer"]) > 0 for x in (before, after))
        assert one["on"] == (now & ~then).sum()
        assert one["off"] == (then & ~now).sum()
    (prediction,) = shown["prediction"]
    own = np.asarray(exploration.network.model(after, training=False))[0]
    np.testing.assert_allclose(prediction["outputs"], own, rtol=1e-5)
    assert prediction["class"] == own.argmax()
    assert asked(client, "image")["switched"] is None


@pytest.mark.parametrize("step", [0, 0.5, 1, -1.5])
def test_a_step_goes_towards_the_centre(
    client: TestClient, exploration: Exploration, step: float
) -> None:
    x = np.asarray(exploration.images[2:3])
    p = exploration.network.project(x, "conv_2", neurons=[(4, 5, 3)])
    moved = x + np.float32(step) * (p.centre[0] - x)

    shown = asked(client, "step", step=step)

    assert shown["expected"] == pytest.approx(float(p.activity[0, 0]) * (1 - step), rel=1e-6)
    v = exploration.network.activity(moved, "conv_2")[0, 4, 5, 3]
    assert shown["v"] == pytest.approx(float(v), abs=1e-5)
    assert shown["length"] == pytest.approx(float(np.linalg.norm(moved - x)), abs=1e-5)
    if step == 0:
        assert {one["on"] + one["off"] for one in shown["switched"]} == {0}


@pytest.mark.parametrize("state", ["inactive", "all"])
def test_insens_is_exact_where_it_is_fast(
    client: TestClient, exploration: Exploration, state: str
) -> None:
    x = np.asarray(exploration.images[2:3])
    exact = exploration.network.insens(x, "dense", exploration.frequency, state=state)[0]

    shown = asked(client, "insens", view=view(layer="dense", neuron="3"), state=state)

    assert not shown["is_estimate"]
    assert shown["relative_error"] == 0
    np.testing.assert_array_equal(pixels_of(shown["png"]), heatmap(exact))


@pytest.mark.slow
def test_insens_is_estimated_first_where_it_is_slow(
    client: TestClient, exploration: Exploration, monkeypatch: pytest.MonkeyPatch
) -> None:
    x = np.asarray(exploration.images[2:3])
    exact = exploration.network.insens(x, "dense", exploration.frequency)[0]
    monkeypatch.setattr("insens_tf.explorer.shown_later.SECONDS_OF_EXACT", -1.0)
    dense = view(layer="dense", neuron="3")

    first = asked(client, "insens", view=dense, state="inactive")
    then = asked(client, "insens", view=dense, state="inactive", exact=True)

    assert first["is_estimate"]
    assert first["goes_on"]
    assert 0 < first["relative_error"] < 0.5
    assert not then["is_estimate"]
    np.testing.assert_array_equal(pixels_of(then["png"]), heatmap(exact))


def test_other_methods_explain_the_neuron(client: TestClient, exploration: Exploration) -> None:
    x = np.asarray(exploration.images[2:3])
    weights = exploration.network.project(x, "conv_2", neurons=[(4, 5, 3)]).weights[0, 0]

    shown = asked(client, "method", method="gradient")
    of_the_output = asked(
        client, "method", method="lrp.epsilon", view=view(layer="logits", neuron="7")
    )

    np.testing.assert_array_equal(pixels_of(shown["png"]), heatmap(weights))
    assert pixels_of(of_the_output["png"]).shape == (28, 28, 3)


def test_top_images_are_those_of_the_largest_v(
    client: TestClient, exploration: Exploration
) -> None:
    v = exploration.network.activity(np.asarray(exploration.images[:]), "conv_2")[:, 4, 5, 3]

    shown = asked(client, "top")

    assert [int(one["image"]) for one in shown["top"]] == np.argsort(-v, kind="stable").tolist()
    assert shown["active"] == (v > 0).sum()
    assert shown["images"] == IMAGES


def test_the_copied_lines_make_the_same_numbers(
    client: TestClient, exploration: Exploration
) -> None:
    drawn = view(layer="dense", neuron="3", edits=edits_of({300: 255, 301: 20}))
    shown = asked(client, "neuron", view=drawn)
    names: dict[str, Any] = {
        "network": exploration.network,
        "images": exploration.images,
        "frequency": exploration.frequency,
    }

    exec(asked(client, "python", view=drawn)["lines"], names)

    assert float(names["v"]) == pytest.approx(shown["v"], rel=1e-6)
    assert float(names["b"]) == pytest.approx(shown["b"], rel=1e-5)
    assert names["distance"] == pytest.approx(shown["distance"], rel=1e-5)
    np.testing.assert_array_equal(heatmap(names["w"]), pixels_of(shown["weights"]["png"]))
    assert names["omega"].shape == (28, 28, 1)


def test_what_is_shown_is_downloaded(client: TestClient, exploration: Exploration) -> None:
    x = np.asarray(exploration.images[2:3])
    p = exploration.network.project(x, "conv_2", neurons=[(4, 5, 3)])
    files = {
        form: client.post(
            "/api/download", json={"view": view(), "form": form}, headers=HEADERS
        ).content
        for form in ("png", "svg", "npz")
    }

    with np.load(io.BytesIO(files["npz"])) as arrays:
        np.testing.assert_array_equal(arrays["weights"], p.weights[0, 0])
        np.testing.assert_array_equal(arrays["centre"], p.centre[0, 0])
        assert arrays["layer"] == "conv_2"
    assert Image.open(io.BytesIO(files["png"])).size[0] > 400
    assert b"<svg" in files["svg"][:1000]


def test_a_dropped_picture_is_an_image(client: TestClient, exploration: Exploration) -> None:
    grey = (np.arange(56 * 56) % 256).astype(np.uint8).reshape(56, 56)
    file = io.BytesIO()
    Image.fromarray(grey).save(file, "PNG")

    response = client.post("/api/drop?title=a.png", content=file.getvalue(), headers=HEADERS)

    name = response.json()["image"]
    shown = asked(client, "image", view=view(image=name))
    assert shown["title"] == "a.png"
    assert pixels_of(shown["png"]).shape == (28, 28, 3)
    broken = client.post("/api/drop?title=b.png", content=b"no picture", headers=HEADERS)
    assert broken.status_code == 400
    assert "b.png" in broken.json()["error"]


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"view": view(image="6")}, "expected a number from 0 to 5"),
        ({"view": view(image="²")}, "expected a number from 0 to 5"),
        ({"view": view(image="dropped-00")}, "drop the file again"),
        ({"view": view(layer="conv_9")}, "expected one of"),
        ({"view": view(neuron="14.0.0")}, "from 0.0.0 to 13.13.3"),
        ({"view": view(neuron="")}, "from 0.0.0 to 13.13.3"),
        ({"view": view(edits="AAA")}, "expected base64"),
        ({"view": view(edits="AAAA")}, "four bytes"),
        ({"view": view(edits=edits_of({784: 1}))}, "expected pixels below 784"),
        ({"view": {**view(), "neuron": 4}}, "expected text"),
        ({"view": None}, "expected an object"),
        ({"step": 5}, "a finite number, at least -4 and at most 4"),
        ({"step": None}, "a finite number, at least -4 and at most 4"),
    ],
)
def test_what_is_wrong_with_a_view_is_said(
    client: TestClient, changed: dict[str, Any], said: str
) -> None:
    given = {"view": view(), "step": 1, **changed}

    response = client.post("/api/step", json=given, headers=HEADERS)

    assert response.status_code == 400
    assert said in response.json()["error"]


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Origin": "http://elsewhere.example"}, 403),
        ({"Origin": "null"}, 403),
        ({"Origin": "https://127.0.0.1"}, 403),
        ({"Authorization": "Bearer another"}, 403),
        ({"Authorization": ""}, 403),
        ({"Host": "elsewhere.example"}, 400),
    ],
)
def test_strangers_are_refused(client: TestClient, headers: dict[str, str], status: int) -> None:
    response = client.post("/api/network", json={}, headers={**HEADERS, **headers})

    assert response.status_code == status


def test_who_names_no_origin_or_token_is_refused(client: TestClient) -> None:
    for missing in ("Origin", "Authorization"):
        some = {name: one for name, one in HEADERS.items() if name != missing}
        assert client.post("/api/network", json={}, headers=some).status_code == 403
    assert client.get("/").status_code == 403
    assert client.get("/", params={"token": "another"}).status_code == 403
    assert client.get("/api/network", headers=HEADERS).status_code == 405
    page = client.get("/", params={"token": TOKEN})
    assert page.status_code == 200
    assert page.headers["content-security-policy"].startswith("default-src 'self';")
    assert page.headers["referrer-policy"] == "no-referrer"
    assert "access-control-allow-origin" not in page.headers


@pytest.mark.parametrize(
    ("content", "status"),
    [(b"{", 400), (b"[]", 400), (b"[" * 100_000, 400), (b" " * (MOST_BYTES + 1), 413)],
)
def test_requests_are_bounded_and_the_server_survives_bad_ones(
    client: TestClient, content: bytes, status: int
) -> None:
    assert client.post("/api/neuron", content=content, headers=HEADERS).status_code == status
    assert client.post("/api/nothing", json={}, headers=HEADERS).status_code == 404
    assert asked(client, "network")["layers"][0]["name"] == "conv_1"


def test_an_error_of_ours_is_an_answer_too(
    client: TestClient, exploration: Exploration, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: Any) -> Any:
        raise ZeroDivisionError("by nothing")

    monkeypatch.setattr(exploration, "picture", fail)
    response = client.post("/api/strip", json={}, headers=HEADERS)

    assert response.status_code == 500
    assert response.json() == {"error": "ZeroDivisionError: by nothing"}


def test_something_newer_ends_what_runs_and_drops_what_waits() -> None:
    started, released = threading.Event(), threading.Event()
    computed: list[str] = []

    def other() -> None:
        # What was asked for after it waits until all has been asked for.
        released.wait()
        computed.append("other")

    def endless() -> None:
        started.set()
        with progress_of_inputs("work", 1, False) as advance:
            while True:
                time.sleep(0.001)
                advance(0.0)

    async def here() -> bool:
        return False

    async def ask() -> list[Any]:
        lane = Lane("test")
        running = asyncio.create_task(lane.run("a key", endless, here))
        while not started.is_set():
            await asyncio.sleep(0.001)
        another = asyncio.create_task(lane.run("another", other, here))
        waits = asyncio.create_task(lane.run("a key", lambda: computed.append("old"), here))
        await asyncio.sleep(0)
        newest = asyncio.create_task(lane.run("a key", lambda: computed.append("new"), here))
        await asyncio.sleep(0)
        released.set()
        found = await asyncio.gather(running, another, waits, newest, return_exceptions=True)
        lane.close()
        return list(found)

    ended, _, dropped, _ = asyncio.run(ask())

    assert isinstance(ended, SupersededError)
    assert isinstance(dropped, SupersededError)
    assert computed == ["other", "new"]


def test_who_has_gone_gets_nothing_computed() -> None:
    def endless() -> None:
        with progress_of_inputs("work", 1, False) as advance:
            while True:
                time.sleep(0.001)
                advance(0.0)

    async def gone() -> bool:
        return True

    with pytest.raises(SupersededError):
        asyncio.run(Lane("test").run("a key", endless, gone))


@pytest.mark.parametrize(
    ("shape", "rows", "columns", "channels"),
    [((14, 13, 4), 14, 13, 4), ((24,), 5, 5, 1), ((10,), 1, 10, 1), ((7, 3), 1, 7, 3)],
)
def test_every_neuron_has_a_place_on_a_map(
    shape: tuple[int, ...], rows: int, columns: int, channels: int
) -> None:
    maps = LayerMaps.of(HiddenLayer(0, "layer", shape, 1))
    values = np.arange(np.prod(shape), dtype=float)

    arranged = maps.arranged(values.reshape(shape))

    assert arranged.shape == (channels, rows, columns)
    for neuron in range(values.size):
        assert arranged[maps.place(neuron)] == neuron
    assert np.isnan(arranged).sum() == arranged.size - values.size


@pytest.mark.parametrize("host", ["0.0.0.0", "192.168.1.5", "::", "elsewhere.example"])
def test_other_machines_are_let_in_only_where_that_is_asked_for(host: str) -> None:
    with pytest.raises(NotLoopbackError, match="nothing is encrypted"):
        check_host(host, allow_remote=False)
    check_host(host, allow_remote=True)
    for own in ("127.0.0.1", "localhost", "::1"):
        check_host(own, allow_remote=False)


def test_what_cannot_be_explored_is_refused(exploration: Exploration) -> None:
    network = exploration.network
    with pytest.raises(ValueError, match="names: expected one an image, 2, came 1"):
        explore(network, np.zeros((2, 28, 28, 1)), names=["one"], open_browser=False)
    x = np.zeros((2, 28, 28, 1))
    for frequency, said in (
        (np.zeros(24), "frequency: expected a mapping"),
        ({"dense": np.zeros(23)}, "dense"),
    ):
        with pytest.raises(ValueError, match=said):
            explore(network, x, frequency, open_browser=False)
    with pytest.raises(ValueError, match="images: expected shape"):
        explore(network, np.zeros((2, 27, 28, 1)), open_browser=False)


def test_the_command_says_what_is_wrong_with_its_options(call: Any) -> None:
    ended = call("explore", "model.keras", "digits.npz", "--host", "0.0.0.0")

    assert ended.code == 1
    assert "--host 0.0.0.0 is reached by other machines" in ended.err
    assert "give --allow-remote" in ended.err


@pytest.mark.slow
def test_the_command_serves_what_its_copied_lines_compute(
    call: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    demonstration.write(tmp_path)
    answers: dict[str, Any] = {}

    def ask(explorer: insens_tf.Explorer) -> None:
        url, token = explorer.url.split("?token=")
        headers = {"Origin": url[:-1], "Authorization": f"Bearer {token}"}
        given = json.dumps({"view": view(layer="dense", neuron="3")}).encode()
        for what in ("neuron", "python"):
            request = urllib.request.Request(f"{url}api/{what}", given, headers)
            with urllib.request.urlopen(request) as response:
                answers[what] = json.load(response)
        raise KeyboardInterrupt

    monkeypatch.setattr(insens_tf.Explorer, "wait", ask)
    monkeypatch.chdir(tmp_path)

    ended = call(
        "explore", demo.MODEL, demo.DIGITS, "--frequency-from", demo.DIGITS, "--no-browser"
    )
    names: dict[str, Any] = {}
    exec(answers["python"]["lines"], names)

    assert ended.code == 0, ended.err
    assert "The explorer is at http://127.0.0.1:" in ended.out
    shown = answers["neuron"]
    assert float(names["v"]) == shown["v"]
    assert float(names["b"]) == pytest.approx(shown["b"], rel=1e-6)
    assert names["frequency"]["dense"][3] == shown["frequency"]
    assert names["omega"].shape == (28, 28, 1)


@pytest.mark.slow
def test_the_code_of_its_page_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "insens_tf_demo").mkdir()
    demonstration.write(tmp_path / "insens_tf_demo")
    monkeypatch.chdir(tmp_path)
    page = Path(__file__).parents[1] / "docs" / "explorer.md"
    (block,) = re.findall(r"^```python\n(.*?)^```$", page.read_text("utf-8"), re.M | re.S)
    names: dict[str, Any] = {}

    exec(compile(block, "docs/explorer.md", "exec"), names)

    assert names["explorer"].url.startswith("http://127.0.0.1:")


def test_the_page_asks_for_all_of_its_modules_at_once() -> None:

    page = (STATIC / "index.html").read_text(encoding="utf-8")
    asked_for = re.findall(r'(?:modulepreload" href|module" src)="static/(\w+\.js)"', page)

    assert sorted(asked_for) == sorted(file.name for file in STATIC.glob("*.js"))
