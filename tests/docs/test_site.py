"""The site, by the three tools that build it, and that a reader's browser asks nobody else."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path

import pytest
from pages import DOCS, PAGES, ROOT

CONFIG = (ROOT / "mkdocs.yml").read_text("utf-8")

MARKS = {"mermaid", "glightbox", "pyodide", "source"}
"""Marks at which the themes fetch libraries, and figures of the repository (`repo_url`)."""

# What the themes would fetch at those marks, and for browsers without ResizeObserver.
GUARDED = {
    "unpkg.com/resize-observer-polyfill",
    "unpkg.com/mermaid",
    "unpkg.com/glightbox",
    "unpkg.com/pyodide",
    "unpkg.com/ace-builds",
    "cdn.jsdelivr.net/pyodide",
    "api.github.com/repos",
    "api.github.com/users",
    "/api/v4/projects",
}


def run(folder: Path, *command: str) -> None:
    environment = {**os.environ, "NO_MKDOCS_2_WARNING": "1"}
    done = subprocess.run(
        [sys.executable, "-m", *command], cwd=folder, env=environment, capture_output=True,
        text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr


def build(tool: str, folder: Path) -> Path:
    """A site of the documents as they are, each warning an error."""
    shutil.copytree(DOCS, folder / "docs")
    config = CONFIG.replace("site_dir: target/site", "site_dir: site")
    if tool == "techdocs":  # as Backstage's generator writes it
        config = config.replace("plugins:\n  - search\n", "plugins:\n  - techdocs-core\n")
        assert config != CONFIG
    (folder / "mkdocs.yml").write_text(config, "utf-8")
    run(folder, "zensical" if tool == "zensical" else "mkdocs", "build", "--strict")
    return folder / "site"


@pytest.fixture(scope="module", params=["mkdocs", "techdocs", "zensical"])
def site(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build(request.param, tmp_path_factory.mktemp(request.param))


def test_every_page_is_built(site: Path) -> None:
    for page in PAGES:
        name = page.relative_to(DOCS).with_suffix("")
        folder = name.parent if name.name in ("index", "README") else name
        assert (site / folder / "index.html").exists(), name
    assert (site / "llms.txt").read_text() == (DOCS / "llms.txt").read_text()
    assert len(list(site.rglob("*.ipynb"))) == 3


class Fetched(HTMLParser):
    """What a browser fetches for a page, and what its links lead to."""

    def __init__(self) -> None:
        super().__init__()
        self.fetched: list[str] = []
        self.marks: list[str] = []

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        of = dict(attributes)
        if tag != "a":
            self.fetched += [of[name] or "" for name in ("src", "href", "srcset") if name in of]
        self.marks += [*(of.get("class") or "").split(), of.get("data-md-component") or ""]


def test_a_reader_fetches_nothing_elsewhere(site: Path) -> None:
    for page in site.rglob("*.html"):
        parser = Fetched()
        parser.feed(page.read_text("utf-8"))
        assert not [url for url in parser.fetched if url.startswith(("http", "//"))], page
        assert not MARKS & set(parser.marks), page
    for style in site.rglob("*.css"):
        text = style.read_text("utf-8")
        assert not re.findall(r"(?:url\(|@import)\s*['\"]?(?:https?:)?//", text), style
    for script in site.rglob("*.js"):
        text = script.read_text("utf-8")
        for url in re.findall(r"(?:unpkg\.com|api\.git\w+\.com|cdn\.[\w.]+|/api/v4)/[\w-]+", text):
            assert url in GUARDED, f"{script}: {url}"
