"""What setup.cfg cannot say: links that work outside the repository, on an index page."""

from __future__ import annotations

import re
from pathlib import Path

from setuptools import setup

# TO FILL IN, here alone: the address of the project's repository, once it has one, such as
# https://github.com/OWNER/insens_tf. An index page then links to it, its issues and changelog, and
# shows README with its pictures; while this is empty there are no such links.
REPOSITORY = ""

README = Path(__file__).resolve().with_name("README.md")

# [text](target) and ![text](target), where the target is a file of the repository.
_RELATIVE_LINK = re.compile(r"(!?)\[([^\]]*)\]\((?!https?:)([^)#\s]+)(#[^)\s]*)?\)")


def index_page(readme: str, repository: str) -> str:
    """Return README as it is read elsewhere: relative links lead to the repository.

    Without a repository they are text, and a picture says in which file of the source
    distribution it is.
    """

    def absolute(link: re.Match[str]) -> str:
        picture, text, target, anchor = link[1], link[2], link[3], link[4] or ""
        if repository:
            kind = "raw" if picture else "blob"
            return f"{picture}[{text}]({repository}/{kind}/HEAD/{target}{anchor})"
        return f"*Picture, `{target}` of the source distribution: {text}.*" if picture else text

    return _RELATIVE_LINK.sub(absolute, readme)


def project_urls(repository: str) -> dict[str, str]:
    """Return what an index page links to: nothing while there is no repository."""
    if not repository:
        return {}
    return {
        "Source": repository,
        "Documentation": f"{repository}/blob/HEAD/README.md",
        "Changelog": f"{repository}/blob/HEAD/CHANGELOG.md",
        "Issues": f"{repository}/issues",
    }


if __name__ == "__main__":
    setup(
        long_description=index_page(README.read_text(encoding="utf-8"), REPOSITORY),
        long_description_content_type="text/markdown",
        project_urls=project_urls(REPOSITORY),
    )
