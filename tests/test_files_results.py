"""Files and folders of results appear whole or not at all."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from insens_tf.files import (
    UnusableFileError,
    one_line,
    results_folder,
    resumable_results,
    whole_file,
)


def test_a_file_appears_whole_or_not_at_all(tmp_path: Path) -> None:
    path = tmp_path / "new" / "result.txt"
    with whole_file(path) as temporary:
        temporary.write_text("one")
        assert not path.exists()
    assert path.read_text() == "one"

    def fail(target: Path) -> None:
        with whole_file(target) as temporary:
            temporary.write_text("half")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fail(path)
    assert path.read_text() == "one"
    with pytest.raises(KeyboardInterrupt):
        fail(tmp_path / "other" / "deep" / "result.txt")
    assert sorted(os.listdir(tmp_path)) == ["new"]
    assert os.listdir(path.parent) == ["result.txt"]
    with pytest.raises(UnusableFileError, match="is a folder"), whole_file(tmp_path):
        pass


def write_results(path: Path, content: str, *, replace: bool = False, fail: bool = False) -> None:
    record: dict[str, Any] = {"command": "test"}
    with results_folder(path, record, replace=replace) as folder:
        (folder / "sub").mkdir()
        (folder / "sub" / "result.txt").write_text(content)
        record["added"] = content
        assert folder.parent == path.resolve().parent
        if fail:
            raise RuntimeError("in the middle")


def test_a_folder_of_results_appears_whole_or_not_at_all(tmp_path: Path) -> None:
    out = tmp_path / "some" / "results"
    with pytest.raises(RuntimeError, match="in the middle"):
        write_results(out, "half", fail=True)
    assert os.listdir(tmp_path) == []
    write_results(out, "one")
    assert (out / "sub" / "result.txt").read_text() == "one"
    assert json.loads((out / "run.json").read_text()) == {"command": "test", "added": "one"}
    with pytest.raises(UnusableFileError, match=r"holds earlier results.*--overwrite"):
        write_results(out, "two")
    with pytest.raises(RuntimeError, match="in the middle"):
        write_results(out, "two", replace=True, fail=True)
    assert (out / "sub" / "result.txt").read_text() == "one"
    write_results(out, "two", replace=True)
    assert (out / "sub" / "result.txt").read_text() == "two"
    assert os.listdir(out.parent) == ["results"]


def test_no_other_folder_is_ever_replaced(tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("mine")
    for replace in (False, True):
        with pytest.raises(UnusableFileError, match="holds other files"):
            write_results(tmp_path, "one", replace=replace)
        with pytest.raises(UnusableFileError, match="is a file"):
            write_results(tmp_path / "mine.txt", "one", replace=replace)
    assert os.listdir(tmp_path) == ["mine.txt"]
    empty = tmp_path / "empty"
    empty.mkdir()
    write_results(empty, "one")
    assert sorted(os.listdir(empty)) == ["run.json", "sub"]


def test_a_link_is_followed_and_stays(tmp_path: Path) -> None:
    (tmp_path / "far").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "far" / "results")
    write_results(tmp_path / "link", "one")
    write_results(tmp_path / "link", "two", replace=True)
    assert (tmp_path / "link").is_symlink()
    assert sorted(os.listdir(tmp_path)) == ["far", "link"]
    assert os.listdir(tmp_path / "far") == ["results"]
    assert (tmp_path / "far" / "results" / "sub" / "result.txt").read_text() == "two"


def test_nothing_outside_of_earlier_results_is_removed(tmp_path: Path) -> None:
    write_results(tmp_path / "results", "one")
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "file").write_text("mine")
    (tmp_path / "results" / "sub" / "out").symlink_to(tmp_path / "mine")
    write_results(tmp_path / "results", "two", replace=True)
    assert (tmp_path / "mine" / "file").read_text() == "mine"
    # Of a link in the place of a file, the link is replaced and not what it points at.
    (tmp_path / "to_mine").symlink_to(tmp_path / "mine" / "file")
    with whole_file(tmp_path / "to_mine") as temporary:
        temporary.write_text("new")
    assert (tmp_path / "mine" / "file").read_text() == "mine"


def test_places_that_cannot_be_written_are_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(UnusableFileError, match="cannot be written"):
        write_results(tmp_path / "file" / "results", "one")


def test_one_line_folds_and_cuts() -> None:
    assert one_line("a\n  b\tc\n") == "a b c"
    assert one_line("word " * 100, 20) == "word word word w ..."


@pytest.mark.parametrize(
    "write",
    [
        whole_file,
        partial(results_folder, record={}),
        partial(resumable_results, record={}, settings={}),
    ],
)
def test_a_path_that_no_file_can_have(write: Callable[[str], Any]) -> None:
    with pytest.raises(UnusableFileError, match="null character"), write("results\0"):
        pass
