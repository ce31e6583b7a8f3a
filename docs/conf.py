"""How the site is built from these pages: `make docs`. None of it is loaded from elsewhere."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent
# What pages and drawings load; made once, by the command that README says to make it with.
DEMONSTRATION = HERE / "_build" / "demonstration"
NOTEBOOKS = HERE / "_build" / "notebooks"

# Also for the kernels of the notebooks, which begin anew.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("MPLBACKEND", "agg")
sys.path.insert(0, str(ROOT))

from docutils import nodes  # noqa: E402
from jupyter_cache import get_cache  # noqa: E402
from jupyter_cache.executors import load_executor  # noqa: E402
from latex2mathml.converter import convert  # noqa: E402

# With its analyzers: they are to find iNNvestigate as it is here, before it is mocked.
from insens_tf import __version__, analyzer  # noqa: E402, F401

project = "insens_tf"
author = "the insens_tf authors"
project_copyright = author
version = release = __version__

extensions = [
    "matplotlib.sphinxext.plot_directive",
    "myst_nb",
    "numpydoc",
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx.ext.viewcode",
    "sphinx_click",
    "sphinx_gallery.gen_gallery",
]
exclude_patterns = ["_build", "_templates", "drawings", "gallery_scripts", "gallery/*.ipynb"]

html_theme = "furo"
html_title = f"{project} {release}"
html_copy_source = False
html_show_sourcelink = False
# It would be fetched, which browsers refuse where the site is a folder.
html_show_search_summary = False
html_math_renderer = "mathml"

myst_enable_extensions = ["colon_fence", "deflist", "dollarmath"]
myst_heading_anchors = 4

nb_execution_mode = "cache"
nb_execution_cache_path = str(NOTEBOOKS)
nb_execution_raise_on_error = True
nb_execution_timeout = 300
# Progress bars, and what TensorFlow says when it starts.
nb_output_stderr = "remove"
# They would be loaded from elsewhere, and no page has widgets.
nb_ipywidgets_js: dict[str, Any] = {}

# Its own analyzers are described, too, where it is not installed.
autodoc_mock_imports = ["innvestigate"]
# `name` in docstrings is a name.
default_role = "py:obj"
autodoc_member_order = "bysource"
autodoc_typehints = "none"
numpydoc_show_class_members = False

plot_formats = [("svg", 72)]
plot_html_show_formats = False
plot_html_show_source_link = False
plot_working_directory = str(DEMONSTRATION)

sphinx_gallery_conf = {
    "examples_dirs": "gallery_scripts",
    "gallery_dirs": "gallery",
    "abort_on_example_error": True,
    "download_all_examples": False,
    "min_reported_time": float("inf"),
    "run_stale_examples": False,
    "show_signature": False,
    "write_computation_times": False,
}

# Each of these pages shows a file that stands elsewhere in the repository.
SHOWN = {
    "changelog": ROOT / "CHANGELOG.md",
    "contributing": ROOT / "CONTRIBUTING.md",
    "paper": ROOT / "experiments" / "README.md",
}
PAGE_OF = {
    ROOT / "README.md": HERE / "index.md",
    **{file: HERE / f"{page}.md" for page, file in SHOWN.items()},
}
_LINK = re.compile(r"(!?)\[((?:[^\[\]]|\[[^\]]*\])*)\]\((?!https?:|#)([^)#\s]+)(#[^)\s]*)?\)")


def relinked(text: str, file: Path, page: Path) -> str:
    """Return what a page shows with its links as the site has them.

    Links to files that pages show lead to the pages; other files of the repository are given to
    download, and its folders are only named.

    Parameters
    ----------
    text : str
    file : pathlib.Path
        Where the text stands: what its links are relative to.
    page : pathlib.Path
        Where it is shown.
    """

    def there(link: re.Match[str]) -> str:
        target = (file.parent / link[3]).resolve()
        if target.is_dir():
            return link[2]
        led = os.path.relpath(PAGE_OF.get(target, target), page.parent)
        return f"{link[1]}[{link[2]}]({led}{link[4] or ''})"

    return _LINK.sub(there, text)


def show(app: Any, docname: str, source: list[str]) -> None:
    """Put what a page shows in its place; its links become the site's."""
    page = Path(app.env.doc2path(docname))
    file = SHOWN.get(docname, page)
    if file != page:
        app.env.note_dependency(str(file))
        source[0] = file.read_text(encoding="utf-8")
    if page.suffix == ".md":
        source[0] = relinked(source[0], file, page)


def demonstrate(app: Any) -> None:
    """Train the network of the demonstration, where the pages and drawings look for it."""
    folder = DEMONSTRATION / "insens_tf_demo"
    if not folder.exists():
        DEMONSTRATION.mkdir(parents=True, exist_ok=True)
        # In a process of its own: this one goes on in forks, which TensorFlow does not allow.
        demo = [sys.executable, "-m", "insens_tf", "demo", "--out", str(folder)]
        subprocess.run(demo, cwd=ROOT, check=True)
    # Notebooks, and the gallery's scripts, run in the folders that they are in.
    for pages in (HERE, HERE / "gallery_scripts", HERE / "tutorials"):
        if not (pages / folder.name).exists():
            (pages / folder.name).symlink_to(folder, target_is_directory=True)


def run_notebooks(app: Any) -> None:
    """Run all notebooks anew, several at a time; Sphinx itself runs them one after the other.

    One that fails is run again where its page is read, which ends the build with what it says.
    """
    shutil.rmtree(NOTEBOOKS, ignore_errors=True)
    cache = get_cache(NOTEBOOKS)
    for page in sorted(HERE.glob("[!_]*/*.md")) + sorted(HERE.glob("*.md")):
        if "file_format: mystnb" in page.read_text(encoding="utf-8").partition("kernelspec")[0]:
            cache.add_nb_to_project(str(page), read_data={"name": "myst_nb_md", "type": "plugin"})
    load_executor("local-parallel", cache).run_and_cache(timeout=nb_execution_timeout)


# "(n, *input_shape)" is a shape, and no emphasis.
_STARRED = re.compile(r"(?<=[(, ])\*(?=[a-z_]+[^*\w])")


def star(app: Any, what: str, name: str, of: Any, options: Any, lines: list[str]) -> None:
    """Keep the stars of shapes in docstrings."""
    lines[:] = [_STARRED.sub(r"\\*", line) for line in lines]


def mathematics(display: str) -> Any:
    """Return what writes a formula as MathML, which browsers draw without a script."""

    def visit(self: Any, node: nodes.Element) -> None:
        self.body.append(convert(node.astext(), display=display))
        raise nodes.SkipNode

    return visit


def setup(app: Any) -> None:
    """Add what this site needs of Sphinx."""
    app.add_html_math_renderer(
        "mathml", (mathematics("inline"), None), (mathematics("block"), None)
    )
    # Before the gallery, which runs its scripts then.
    app.connect("builder-inited", demonstrate, priority=100)
    app.connect("builder-inited", run_notebooks, priority=200)
    app.connect("source-read", show, priority=100)
    # Before numpydoc, which takes the docstring apart.
    app.connect("autodoc-process-docstring", star, priority=100)
