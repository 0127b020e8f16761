"""Feast's own quick-start repository and its commands, for the tests."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

#: Of commands that run elsewhere: the package is found all the same.
ENVIRONMENT = {**os.environ, "PYTHONPATH": os.pathsep.join(map(os.path.abspath, sys.path))}


def feast_init(folder: Path) -> Path:
    """The repository that ``feast init`` makes in ``folder``."""
    command = [str(Path(sys.executable).with_name("feast")), "init", "quick"]
    subprocess.run(command, cwd=folder, check=True, capture_output=True)
    return folder / "quick" / "feature_repo"


def run_feast(root: Path, *arguments: str) -> None:
    """Runs a command of Feast that must succeed."""
    command = [str(Path(sys.executable).with_name("feast")), *arguments]
    done = subprocess.run(command, cwd=root, env=ENVIRONMENT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-2000:]
