"""What is installed, and that the project says each thing in one place."""

from __future__ import annotations

import configparser
import re
from importlib import import_module, resources
from pathlib import Path

import pytest

import insens_tf

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture
def setup() -> configparser.ConfigParser:
    parser = configparser.ConfigParser()
    parser.read(ROOT / "setup.cfg", encoding="utf-8")
    return parser


def test_version_stands_in_one_place(setup: configparser.ConfigParser) -> None:
    assert setup["metadata"]["version"] == "attr: insens_tf.__version__"
    assert re.fullmatch(r"\d+\.\d+\.\d+", insens_tf.__version__)
    stated = f'"{insens_tf.__version__}"'
    places = [
        path.relative_to(ROOT).as_posix()
        for folder in ("insens_tf", "experiments", "data_scripts")
        for path in (ROOT / folder).rglob("*.py")
        if stated in path.read_text(encoding="utf-8")
    ]
    assert places == ["insens_tf/__init__.py"]
    assert stated not in (ROOT / "pyproject.toml").read_text(encoding="utf-8")


def test_what_is_not_code_is_installed(setup: configparser.ConfigParser) -> None:
    package = ROOT / "insens_tf"
    patterns = setup["options.package_data"]["insens_tf"].split()
    installed = {path for pattern in patterns for path in package.glob(pattern)}
    present = {
        path for path in package.rglob("*") if path.is_file() and path.suffix not in {".py", ".pyc"}
    }
    assert present == installed
    assert (resources.files("insens_tf") / "data" / "mnist_sample.npz").is_file()


def test_command_exists(setup: configparser.ConfigParser) -> None:
    script = setup["options.entry_points"]["console_scripts"].strip()
    name, target = (part.strip() for part in script.split("="))
    module, function = target.split(":")
    assert name == "insens-tf"
    assert callable(getattr(import_module(module), function))


def test_every_package_is_named_where_setuptools_looks(setup: configparser.ConfigParser) -> None:
    # A folder of modules without an __init__ would be left out of the installation, silently.
    folders = {path.parent for path in (ROOT / "insens_tf").rglob("*.py")}
    assert [folder for folder in folders if not (folder / "__init__.py").is_file()] == []
    assert setup["options.packages.find"]["include"].split() == ["insens_tf", "insens_tf.*"]
