"""Types, as mypy and pyright see them in strict mode: the package, a careful
user's code, and mistakes that must be found."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).resolve().parent
PACKAGE = HERE.parents[1]
SOURCES = PACKAGE / "python"
ENVIRONMENT = {**os.environ, "MYPYPATH": str(SOURCES), "PYTHONPATH": str(SOURCES)}


def mypy(*arguments: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    pytest.importorskip("mypy")
    command = [sys.executable, "-m", "mypy", "--strict", "--no-incremental", *arguments]
    return subprocess.run(command, cwd=cwd, env=ENVIRONMENT, capture_output=True, text=True)


def pyright(folder: Path, config: dict[str, object]) -> list[dict[str, object]]:
    """Its errors."""
    pytest.importorskip("pyright")
    (folder / "pyrightconfig.json").write_text(json.dumps(config))
    command = [sys.executable, "-m", "pyright", "--outputjson", "--pythonpath", sys.executable]
    done = subprocess.run(command, cwd=folder, env=ENVIRONMENT, capture_output=True, text=True)
    found = json.loads(done.stdout)["generalDiagnostics"]
    return [each for each in found if each["severity"] == "error"]


def marked() -> list[int]:
    """Lines of refused.py that are wrong, from 1."""
    lines = (HERE / "refused.py").read_text().splitlines()
    return [number for number, line in enumerate(lines, 1) if line.endswith("# wrong")]


def test_mypy_accepts_the_package() -> None:
    done = mypy("--config-file", "pyproject.toml", "python/hitherto", cwd=PACKAGE)
    assert done.returncode == 0, done.stdout


def test_pyright_accepts_the_package() -> None:
    pytest.importorskip("pyright")
    command = [sys.executable, "-m", "pyright", "--pythonpath", sys.executable]
    done = subprocess.run(command, cwd=PACKAGE, env=ENVIRONMENT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout


@pytest.fixture
def consumer(tmp_path: Path) -> Path:
    """A user's folder, in which the package is found as an installed one."""
    for name in ("consumer.py", "refused.py"):
        shutil.copy(HERE / name, tmp_path)
    return tmp_path


def test_mypy_accepts_a_careful_user_and_finds_mistakes(consumer: Path) -> None:
    accepted = mypy("--follow-imports=silent", "consumer.py", cwd=consumer)
    assert accepted.returncode == 0, accepted.stdout
    refused = mypy("--follow-imports=silent", "refused.py", cwd=consumer)
    lines = re.findall(r"^refused\.py:(\d+): error", refused.stdout, re.MULTILINE)
    assert sorted({int(line) for line in lines}) == marked(), refused.stdout


def test_pyright_accepts_a_careful_user_and_finds_mistakes(consumer: Path) -> None:
    strict: dict[str, object] = {
        "typeCheckingMode": "strict",
        "extraPaths": [str(SOURCES)],
        # Statements of refused.py are made for their types alone.
        "reportUnusedExpression": False,
        "reportUnusedCoroutine": False,
        "reportUnknownMemberType": False,
    }
    errors = pyright(consumer, strict)
    accepted = [each for each in errors if str(each["file"]).endswith("consumer.py")]
    assert accepted == []
    lines = {
        each["range"]["start"]["line"] + 1  # type: ignore[index]
        for each in errors
        if str(each["file"]).endswith("refused.py")
    }
    assert sorted(lines) == marked(), errors
