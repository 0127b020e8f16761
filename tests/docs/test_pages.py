"""What is cheap to hold of the documents: nothing is stale, no link is broken, code parses.

Part of `make test`; what it takes to run the code is in `test_runs.py`.
"""

from __future__ import annotations

import ast
import importlib
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from pages import (
    BESIDE,
    DOCS,
    PAGES,
    ROOT,
    CommandLine,
    blocks,
    broken,
    commands_of,
    hitherto,
    links,
)

OTHERS = {"target", "node_modules", "data", "__pycache__"}
"""Folders whose files are not ours."""
BINARY = Path(os.environ.get("HITHERTO_BIN", ROOT / "target/debug/hitherto")).resolve()
BLOCKS = [block for page in [*PAGES, ROOT / "README.md"] for block in blocks(page)]
LANGUAGES = {"python", "sh", "yaml", "json", "toml", "text", "hcl"}
"""`text` is for what is shown; Terraform's own tests hold the one block of `hcl`."""


@pytest.fixture(scope="module")
def line() -> CommandLine:
    return CommandLine(BINARY)


def test_what_is_generated_is_fresh() -> None:
    command = [sys.executable, str(ROOT / "scripts/reference"), "--check"]
    environment = {**os.environ, "HITHERTO_BIN": str(BINARY)}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_every_page_is_in_the_nav() -> None:
    nav = re.findall(r": (\S+\.md)$", (ROOT / "mkdocs.yml").read_text("utf-8"), re.MULTILINE)
    pages = [str(page.relative_to(DOCS)) for page in PAGES]
    assert sorted(nav) == sorted(pages), "move it to the folder of its purpose, and name it there"


@pytest.mark.parametrize("page", [*PAGES, *BESIDE], ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_somewhere(page: Path) -> None:
    wrong = [why for link in links(page) if (why := broken(page, link))]
    assert not wrong, f"{page}: {wrong}"


def test_tables_have_no_escaped_bars() -> None:
    """MkDocs shows them as they are within code: `&#124;` is a bar everywhere."""
    assert not [page for page in PAGES if r"\|" in page.read_text("utf-8")]


def test_pages_that_the_program_names_are_there() -> None:
    """Messages, tests and charts name pages by their paths in the repository."""
    named = re.compile(r"(?<![\w/-])docs/[\w/-]+\.(?:md|ipynb)\b")
    endings = (".rs", ".py", ".md", ".yaml", ".json", ".tf", ".sh", ".toml")
    found = set()
    for folder, below, files in os.walk(ROOT):
        below[:] = [name for name in below if name[0] != "." and name not in OTHERS]
        for path in (Path(folder, name) for name in files if name.endswith(endings)):
            found |= {(path, name) for name in named.findall(path.read_text("utf-8"))}
    assert len(found) > 30
    assert not [pair for pair in sorted(found) if not (ROOT / pair[1]).exists()]


@pytest.mark.parametrize("block", BLOCKS, ids=str)
def test_code_parses(block, line: CommandLine) -> None:
    assert block.language in LANGUAGES, f"{block}: name the language, or text"
    if block.language == "python":
        compile(block.text, str(block), "exec", ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
    elif block.language == "yaml":
        list(yaml.safe_load_all(block.text))
    elif block.language == "json":
        json.loads(block.text)
    elif block.language == "toml":
        importlib.import_module("tomllib").loads(block.text)
    elif block.language == "sh":
        wrong_commands(block, line)


def wrong_commands(block, line: CommandLine) -> None:
    """Bash reads the script, and Hitherto's commands are as its help says."""
    if not block.text.startswith("$ "):
        done = subprocess.run(["bash", "-n"], input=block.text, capture_output=True, text=True)
        assert done.returncode == 0, f"{block}: {done.stderr}"
    for words in commands_of(block.text):
        if (arguments := hitherto(words)) is not None:
            why = line.wrong(list(arguments))
            assert why is None, f"{block}: {' '.join(words)}: {why}"


@pytest.mark.parametrize(
    "text",
    [
        "hitherto materialise",
        "hitherto materialize --fulll",
        "hitherto rollback one two",
        "hitherto rollback",
        "hitherto jobs cancel",
        "hitherto token",
        "hitherto push labs",
        "hitherto apply && hitherto serve --listn 0.0.0.0:7411",
        "kubectl exec pod-0 -- /usr/local/bin/hitherto inspekt",
        "hitherto get --service",
    ],
)
def test_a_wrong_command_is_noticed(text: str, line: CommandLine) -> None:
    arguments = [found for words in commands_of(text) if (found := hitherto(words)) is not None]
    assert arguments and any(line.wrong(list(each)) for each in arguments)
