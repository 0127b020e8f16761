"""A reader, who does what a page says: writes its files, types its commands, runs its Python."""

from __future__ import annotations

import ast
import asyncio
import contextlib
import inspect
import io
import json
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import hitherto
from pages import ROOT, Block, blocks

sys.path.insert(0, str(ROOT / "integrations"))

BINARY = Path(os.environ.get("HITHERTO_BIN", ROOT / "target/debug/hitherto")).resolve()

SECONDS_MAX = 600
"""How long a block may take, on a machine that does other things too."""

# `hitherto serve` does not end: it is told to once it answers, on a port of its own.
WRAPPER = f"""#!/usr/bin/env bash
set -euo pipefail
[ "${{1:-}}" = serve ] || exec {BINARY} "$@" ${{STOPPED_CLOCK:+--now $STOPPED_CLOCK}}
shift; arguments=()
while [ $# -gt 0 ]; do
    if [ "$1" = --listen ]; then shift; else arguments+=("$1"); fi; shift
done
coproc server {{ exec {BINARY} serve --listen 127.0.0.1:0 --output json "${{arguments[@]}}"; }}
pid=$server_PID
read -r said <&"${{server[0]}}"
kill "$pid"
wait "$pid" 2>/dev/null || true
[[ $said == *url* ]]
"""


@contextlib.contextmanager
def serving(root: Path, *options: str) -> Iterator[str]:
    """The URL of a server over a repository, which ends with the block."""
    command = [str(BINARY), "serve", "--listen", "127.0.0.1:0", "--output", "json", *options]
    process = subprocess.Popen(command, cwd=root, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        line = process.stdout.readline()
        assert line, f"the server ended with code {process.wait()} before it listened"
        yield json.loads(line)["url"]
    finally:
        process.terminate()
        assert process.wait(timeout=60) == 0


class Reader:
    """Reads one page in a folder of its own.

    `names` are Python's, `replaced` what stands elsewhere here: addresses and folders.
    """

    def __init__(self, page: Path, folder: Path) -> None:
        self.page, self.folder = page, folder
        self.names: dict[str, Any] = {}
        self.replaced: dict[str, str] = {}
        self.left = blocks(page)
        tools = Path(tempfile.mkdtemp(dir=folder.parent))
        (tools / "hitherto").write_text(WRAPPER)
        (tools / "hitherto").chmod(0o755)
        path = f"{tools}:{Path(sys.executable).parent}:{os.environ['PATH']}"
        package = str(Path(hitherto.__file__).parents[1])
        # Without what somebody who tests may have set.
        kept = {name: text for name, text in os.environ.items() if not name.startswith("HITHERTO")}
        self.environment = {**kept, "PATH": path, "PYTHONPATH": package, "COLUMNS": "100"}

    def run(
        self, *sections: str, count: int | None = None, variables: Mapping[str, str] | None = None
    ) -> str:
        """Runs the blocks below these headings that are left, or so many of them; what the last
        of them printed."""
        mine = [block for block in self.left if block.section in sections]
        assert mine, f"{self.page}: nothing is left below {sections}"
        printed, taken = "", 0
        for block in mine:
            if block.language == "text":
                if block.before == "```":
                    assert printed == block.text, f"{block}: it prints\n{printed}"
            elif taken == count:
                break
            else:
                printed = self.take(block, dict(variables or {}))
                taken += 1
            self.left.remove(block)
        return printed

    def take(self, block: Block, variables: dict[str, str]) -> str:
        """Does one block; what it printed."""
        text = block.text
        for there, here in self.replaced.items():
            text = text.replace(there, here)
        if block.file or block.language == "yaml":
            (self.folder / (block.file or f"line-{block.line}.yaml")).write_text(text)
            return ""
        if block.language == "python":
            return self.python(block, text)
        assert block.language == "sh", f"{block}: nobody knows how to run {block.language}"
        if text.startswith("$ "):
            command, _, expected = text[2:].partition("\n")
            printed = self.shell(command)
            assert printed == expected, f"{block}: it prints\n{printed}"
            return printed
        return self.shell(text, variables)

    def python(self, block: Block, text: str) -> str:
        code = compile(text, str(block), "exec", ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
        with contextlib.redirect_stdout(io.StringIO()) as printed:
            if code.co_flags & inspect.CO_COROUTINE:
                asyncio.run(eval(code, self.names))
            else:
                exec(code, self.names)
        return printed.getvalue()

    def shell(self, script: str, variables: Mapping[str, str] | None = None) -> str:
        """What a script prints; it stops at the first command that fails, and none may."""
        command = ["bash", "-euo", "pipefail", "-c", script]
        process = subprocess.Popen(
            command, cwd=self.folder, env={**self.environment, **(variables or {})}, text=True,
            start_new_session=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        )  # fmt: skip
        try:
            out, err = process.communicate(timeout=SECONDS_MAX)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.communicate()
            raise
        assert process.returncode == 0, f"{script}\n{out[-4000:]}\n{err[-4000:]}"
        return out

    def text(self, section: str, language: str) -> str:
        """The next block of a language below a heading, taken, with what is replaced."""
        block = next(b for b in self.left if b.section == section and b.language == language)
        self.left.remove(block)
        text = block.text
        for there, here in self.replaced.items():
            text = text.replace(there, here)
        return text

    def parsed(self, section: str, why: str) -> None:
        """Takes what is left below a heading as read: `test_pages.py` parses it."""
        taken = [block for block in self.left if block.section == section]
        assert taken and why, f"{self.page}: nothing is left below {section!r}"
        self.left = [block for block in self.left if block not in taken]

    def done(self) -> None:
        """Every block was run, or named with a reason."""
        rest = [block for block in self.left if block.language in ("sh", "python")]
        assert not rest, (
            f"{', '.join(map(str, rest))}: run it in tests/docs/test_runs.py, or say why not"
        )
