"""What is installed, and that the project says each thing in one place."""

from __future__ import annotations

import ast
import configparser
import re
import subprocess
import sys
from importlib import import_module, resources, util
from pathlib import Path
from typing import Any

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


def test_changelog_and_citation_are_of_the_version() -> None:
    changelog = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    released = re.findall(r"^## \[(.+)\](?: - (\d{4}-\d\d-\d\d))?$", changelog, re.MULTILINE)
    assert [date for version, date in released if version != "Unreleased"].count("") == 0
    version, date = next(one for one in released if one[0] != "Unreleased")
    assert version == insens_tf.__version__
    citation = (ROOT / "CITATION.cff").read_text(encoding="utf-8")
    assert f"\nversion: {version}\n" in citation
    assert f"\ndate-released: {date}\n" in citation
    assert f"version = {{{version}}}" in (ROOT / "docs" / "citing.md").read_text(encoding="utf-8")


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


def test_the_package_can_be_run() -> None:
    shown = subprocess.run(
        [sys.executable, "-m", "insens_tf", "--version"],
        capture_output=True,
        text=True,
        check=True,
        cwd=ROOT,
    )
    assert shown.stdout == f"insens-tf {insens_tf.__version__}\n"


def test_every_python_is_named_everywhere(setup: configparser.ConfigParser) -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    workflow = (ROOT / ".github" / "workflows" / "tests.yml").read_text(encoding="utf-8")
    pythons = re.findall(r"Python :: (3\.\d+)$", setup["metadata"]["classifiers"], re.MULTILINE)
    supported = re.search(r"^SUPPORTED := (.*)$", makefile, re.MULTILINE)
    slow = re.search(r"^MATRIX \?= (.*)$", makefile, re.MULTILINE)
    assert supported is not None
    assert slow is not None
    assert supported[1].split() == pythons
    matrices = [ast.literal_eval(one) for one in re.findall(r"python: (\[.*\])", workflow)]
    assert matrices == [pythons, slow[1].split()]
    commands = set(re.findall(r"run: (.*)$", workflow, re.MULTILINE))
    assert commands == {"make demo", "make test", "make check", "make test-slow", "make docs"}


@pytest.fixture
def build() -> Any:
    """The module setup.py, which does nothing on import."""
    pytest.importorskip("setuptools")
    specification = util.spec_from_file_location("build_of_insens_tf", ROOT / "setup.py")
    assert specification is not None
    assert specification.loader is not None
    module = util.module_from_spec(specification)
    specification.loader.exec_module(module)
    return module


def test_an_index_page_has_no_relative_links(build: Any) -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    relative = re.compile(r"\]\((?!https?://)")
    assert relative.search(readme)

    without = build.index_page(readme, "")
    assert not relative.search(without)
    assert "![" not in without
    assert "*Picture, `docs/demo.png` of the source distribution: " in without

    home = "https://example.org/someone/insens_tf"
    there = build.index_page(readme, home)
    assert not relative.search(there)
    assert f"]({home}/raw/HEAD/docs/demo.png)" in there
    for target in re.findall(rf"\]\({home}/(?:raw|blob)/HEAD/([^)#]+)", there):
        assert (ROOT / target).exists()
    assert there.replace(f"{home}/raw/HEAD/", "").replace(f"{home}/blob/HEAD/", "") == readme


def test_project_urls_are_all_made_of_one(build: Any) -> None:
    assert build.REPOSITORY == "" or re.fullmatch(r"https://\S+[^/\s]", build.REPOSITORY)
    assert build.project_urls("") == {}
    given = build.project_urls("https://example.org/someone/insens_tf")
    assert given["Source"] == "https://example.org/someone/insens_tf"
    assert given["Issues"] == "https://example.org/someone/insens_tf/issues"


def test_a_source_distribution_has_what_its_tests_need() -> None:
    manifest = (ROOT / "MANIFEST.in").read_text(encoding="utf-8").splitlines()
    named = {name for line in manifest if line[:1] != "#" for name in line.split()[1:]}
    # Beside the package itself; the last ones are always in it.
    kept = {
        "insens_tf",
        "LICENSE",
        "MANIFEST.in",
        "README.md",
        "pyproject.toml",
        "setup.cfg",
        "setup.py",
    }
    listed = subprocess.run(
        ["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    if listed.returncode:
        pytest.skip("not in a clone")
    present = {Path(path).parts[0] for path in listed.stdout.splitlines()}
    assert present - kept - {".gitignore"} <= named
