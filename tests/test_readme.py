"""README, tried literally: its code, its commands, its numbers and its links."""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from matplotlib.image import imread
from PIL import Image

import insens_tf
from insens_tf import demo
from insens_tf.parallel import Engine
from insens_tf.surveys import survey_run
from tests import demonstration
from tests.conftest import with_keras_2, with_keras_3

ROOT = Path(__file__).resolve().parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
PAGES = [
    "README.md",
    "CONTRIBUTING.md",
    *(f"docs/{page.name}" for page in (ROOT / "docs").glob("*.md")),
]

BLOCK = re.compile(r"^```python\n(.*?)^```$", re.MULTILINE | re.DOTALL)
BLOCKS = BLOCK.findall(README)
COMMANDS = re.findall(r"^    (insens-tf [^#\n]*)", README, re.MULTILINE)


def run_code_of(page: str, names: dict[str, Any]) -> int:
    """Run the Python blocks of a page in docs/, in turn, and return how many there are."""
    blocks = BLOCK.findall((ROOT / "docs" / page).read_text(encoding="utf-8"))
    for block in blocks:
        exec(compile(block, f"docs/{page}", "exec"), names)
    return len(blocks)


@pytest.fixture(scope="module")
def demonstrated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give a folder with what README finds in its own: few neurons, not trained."""
    folder = tmp_path_factory.mktemp("readme")
    shown = folder / "insens_tf_demo"
    shown.mkdir()
    demonstration.write(shown)
    shutil.copy(shown / demo.MODEL, folder / "model.keras")
    with np.load(shown / demo.DIGITS) as digits:
        np.savez(folder / "train.npz", x_train=digits["x_train"])
        images = digits["x_test"][..., 0]
    (folder / "digits").mkdir()
    for name, image in zip(("seven.png", "digits/0.png", "digits/1.png"), images, strict=False):
        Image.fromarray(image).save(folder / name)
    return folder


def test_the_code_runs_and_gives_the_shapes_that_it_says(
    demonstrated: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "insens_tf_demo").symlink_to(demonstrated / "insens_tf_demo")
    monkeypatch.chdir(tmp_path)
    names: dict[str, Any] = {}

    for block in BLOCKS:
        exec(compile(block, "README.md", "exec"), names)

    p, maps = names["p"], names["maps"]
    assert [layer.name for layer in names["network"].layers] == ["conv_1", "conv_2", "dense"]
    assert p.activity.shape == p.bias.shape == (8, 2)
    assert p.weights.shape == p.centre.shape == p.contribution.shape == (8, 2, 28, 28, 1)
    assert {name: one.shape for name, one in maps.items()} == {
        "conv_1": (8, 28, 28, 1),
        "dense": (8, 28, 28, 1),
    }
    assert names["relevance"].shape == (8, 28, 28, 1)
    assert names["relevance"].any(axis=(1, 2, 3)).all()
    assert imread(tmp_path / "maps.png").std() > 0


@with_keras_3
@pytest.mark.slow
def test_the_code_of_the_page_of_data_sets_runs(
    demonstrated: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "insens_tf_demo").symlink_to(demonstrated / "insens_tf_demo")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(survey_run, "Engine", lambda *_, **__: Engine())
    names: dict[str, Any] = {"__name__": "__main__"}

    run_code_of("data_sets.md", names)

    assert len(names["found"]) == len(names["x_test"])
    assert len(names["history"].history["dense/dead"]) == 1
    assert names["monitor"].measurements[-1].dead_since["dense"].shape == (24,)
    assert imread(tmp_path / "states.png").std() > 0


@pytest.mark.slow
def test_the_code_of_the_page_of_regions_runs(
    demonstrated: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "insens_tf_demo").symlink_to(demonstrated / "insens_tf_demo")
    monkeypatch.chdir(tmp_path)
    names: dict[str, Any] = {}

    assert run_code_of("regions.md", names) == 1
    assert names["w"].shape == (10, 28, 28, 1)
    assert names["b"].shape == (10,)
    assert len(names["plane"].polygons) > 1
    assert imread(tmp_path / "plane.png").std() > 0
    assert sum(names["path"].state_changes().values()) == len(names["path"].crossings)


MARKS = {
    "margins": [pytest.mark.slow, with_keras_2],
    "compare": [pytest.mark.slow],
    "sanity": [pytest.mark.slow],
    "survey": [pytest.mark.slow],
}


@pytest.mark.parametrize(
    "command",
    [
        pytest.param(one, id=name, marks=MARKS.get(name, []))
        for one in COMMANDS
        for name in [one.split()[1]]
    ],
)
def test_the_commands_run(
    command: str, demonstrated: Path, call: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(demonstrated)
    # Workers are started in tests of their own.
    monkeypatch.setattr(survey_run, "Engine", lambda *_, **__: Engine())

    ended = call(*shlex.split(command)[1:])

    assert ended.code == 0, ended.err


@pytest.mark.parametrize(
    "call_in_table", re.findall(r"`((?:network|create)[^`]*)` \|$", README, re.M)
)
def test_the_calls_of_the_table_are_there(call_in_table: str) -> None:
    method = re.match(r"(?:network\.)?(\w+)\(", call_in_table)
    assert method is not None
    assert hasattr(insens_tf.SwitchedNetwork, method[1]) or hasattr(insens_tf, method[1])
    if attribute := re.search(r"\)\.(\w+)$", call_in_table):
        fields = insens_tf.Projection.__dataclass_fields__
        assert attribute[1] in fields or hasattr(insens_tf.Projection, attribute[1])


@with_keras_3
@pytest.mark.slow
def test_the_calls_of_the_page_of_methods_and_of_large_networks_run(
    demonstrated: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "insens_tf_demo").symlink_to(demonstrated / "insens_tf_demo")
    monkeypatch.chdir(tmp_path)
    names: dict[str, Any] = {"create_analyzer": insens_tf.create_analyzer}
    run_code_of("large_networks.md", names)
    names["frequency"] = names["network"].activation_frequency(names["x"])
    page = (ROOT / "docs" / "which_method.md").read_text(encoding="utf-8")
    calls = re.findall(r"`((?:network|create)[^`]*)`(?:,| \|)", page)

    assert len(calls) >= 12
    for call in calls:
        assert eval(call, names) is not None, call


def test_the_numbers_of_the_reading_are_the_commands() -> None:
    numbers = json.loads((ROOT / "docs" / "misread_digit.json").read_text(encoding="utf-8"))
    reading = README.split("**A 3 that is taken for a 7.**")[1].split("## When")[0]
    reading = " ".join(reading.split())
    predicted, label = numbers["projections"]["predicted"], numbers["projections"]["label"]
    dense, conv_2 = numbers["insens"]["dense"], numbers["insens"]["conv_2"]

    assert (
        (numbers["label"], numbers["predicted"]) == (label["class"], predicted["class"]) == (3, 7)
    )
    for stated in (
        f"gets {numbers['probability_of_predicted']:.0%} as a 7, "
        f"{numbers['probability_of_label']:.0%} as a 3".replace("%", " %"),
        f"{predicted['activity']:.1f} and {label['activity']:.1f}, and "
        f"{numbers['outputs'][9]:.1f} for the 9",
        f"b is {predicted['bias']:.1f}",
        f"is {predicted['distance_to_centre']:.1f} away (x itself has length "
        f"{numbers['length']:.1f})",
        f"gives the 7 there {predicted['activity_at_centre']:.1f} and calls it a "
        f"{predicted['class_at_centre']}",
        f"{predicted['contribution_share_of_upper_half']:.0%} of the 7's v come from the upper "
        f"half, {label['contribution_share_of_upper_half']:.0%} of the 3's; and "
        f"{predicted['contribution_share_of_black_pixels']:.0%} from black".replace("%", " %"),
        f"of whose {dense['neurons']:,} neurons {dense['inactive']} are inactive",
        f"step of length {numbers['step']:.0f} along it switches {dense['switched_on_along']} of "
        f"them on, against it {dense['switched_on_against']}, and the digit becomes a "
        f"{dense['class_against']}; a step at random {dense['switched_on_at_random']:.1f}",
        f"conv_2 has {conv_2['switched_on_along']} along, {conv_2['switched_on_against']} "
        f"against, {conv_2['switched_on_at_random']:.0f} at random",
    ):
        assert stated in reading


@pytest.mark.parametrize("page", PAGES)
def test_links_lead_somewhere(page: str) -> None:
    text = (ROOT / page).read_text(encoding="utf-8")
    for target, anchor in re.findall(r"\]\((?!https?:)([^)#\s]*)(?:#([^)\s]*))?\)", text):
        path = (ROOT / page).parent / target if target else ROOT / page
        assert path.exists(), target
        if anchor:
            headings = re.findall(r"^#+ (.*)$", path.read_text(encoding="utf-8"), re.MULTILINE)
            slugs = {re.sub(r"[^\w -]", "", one.lower()).replace(" ", "-") for one in headings}
            assert anchor in slugs


def test_it_is_short() -> None:
    assert README.count("\n") <= 130


@with_keras_2
@pytest.mark.slow
def test_processes_are_spawned_as_the_page_of_troubles_has_it(tmp_path: Path) -> None:
    page = (ROOT / "docs" / "troubles.md").read_text(encoding="utf-8")
    (block,) = BLOCK.findall(page)
    program = tmp_path / "program.py"
    program.write_text(
        "import numpy as np\n"
        "import insens_tf\n"
        "from insens_tf.two_conv import two_conv\n"
        "network = insens_tf.SwitchedNetwork(two_conv((12, 12, 1), 3, units=8, seed=0))\n"
        "x = np.random.default_rng(0).random((10, 12, 12, 1), np.float32)\n"
        f"{block}"
        "    expected = network.insens(x, 'dense')\n"
        "    assert np.allclose(np.concatenate(maps), expected, atol=1e-6)\n"
        "    print([len(one) for one in maps])\n"
    )
    done = subprocess.run(
        [sys.executable, program],
        env={**os.environ, "PYTHONPATH": str(ROOT), "TF_CPP_MIN_LOG_LEVEL": "3"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout) == (0, "[8, 2]\n"), done.stderr
