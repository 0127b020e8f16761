"""Blocks of documentation, and a shell that runs them as a reader would."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import hitherto

PAGE = Path(__file__).resolve().parents[1] / "docs" / "integrate" / "pipelines.md"
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)

SECONDS_MAX = 1800
"""How long a command may take, on a machine that does other things too."""


def blocks(section: str, language: str) -> list[str]:
    """The blocks of a language below a heading of docs/integrate/pipelines.md."""
    text = PAGE.read_text().split(f"\n## {section}\n")[1].split("\n## ")[0]
    found = [body for kind, body in BLOCK.findall(text) if kind == language]
    assert found, f"{PAGE}: {section} has no {language}"
    return found


def is_part(block: str, file: Path) -> bool:
    """Whether a page shows what a file has."""
    return block in file.read_text()


class Shell:
    """A folder, and commands in it: `python` and the neighbour's own are this environment's,
    `hitherto` is the binary that is tested."""

    def __init__(self, folder: Path, **variables: str) -> None:
        bin_ = folder / ".bin"
        bin_.mkdir()
        (bin_ / "hitherto").symlink_to(Path(os.environ["HITHERTO_BIN"]).resolve())
        path = f"{bin_}:{Path(sys.executable).parent}:{os.environ['PATH']}"
        # The package beside this one, and not the folders of integrations, some of which are
        # called as their neighbour is.
        package = str(Path(hitherto.__file__).parents[1])
        self.folder = folder
        self.environment = {**os.environ, "PATH": path, "PYTHONPATH": package, **variables}

    def run(self, script: str) -> subprocess.CompletedProcess[str]:
        """What a script says; it stops at the first command that fails."""
        command = ["bash", "-euo", "pipefail", "-c", script]
        process = subprocess.Popen(
            command, cwd=self.folder, env=self.environment, text=True, start_new_session=True,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        )  # fmt: skip
        try:
            out, err = process.communicate(timeout=SECONDS_MAX)
        except subprocess.TimeoutExpired:
            # And what it started: they are a session of their own.
            os.killpg(process.pid, signal.SIGKILL)
            out, err = process.communicate()
            err += f"\nit did not end within {SECONDS_MAX} s"
        return subprocess.CompletedProcess(command, process.returncode, out, err)

    def ok(self, script: str) -> str:
        """What it prints; it must not fail."""
        done = self.run(script)
        assert done.returncode == 0, f"{script}\n{done.stdout[-4000:]}\n{done.stderr[-4000:]}"
        return done.stdout

    def refused(self, script: str) -> str:
        """All that it says, where it must fail."""
        done = self.run(script)
        assert done.returncode != 0, f"{script}\n{done.stdout[-4000:]}"
        return done.stdout + done.stderr
