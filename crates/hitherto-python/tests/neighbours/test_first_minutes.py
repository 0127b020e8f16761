"""docs/start/first-five-minutes.md: its Python runs, and prints what the page says."""

from __future__ import annotations

import contextlib
import io
import re
import shutil
from pathlib import Path
from typing import Any

import pytest
from conftest import ICU, ROOT

PAGE = ROOT / "docs" / "start" / "first-five-minutes.md"

STEP = re.compile(r"^```python\n(.*?)^```\n\n```text\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def test_the_first_five_minutes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("sklearn")
    shutil.copytree(ICU, tmp_path / "icu", ignore=shutil.ignore_patterns(".hitherto"))
    monkeypatch.chdir(tmp_path)
    page = PAGE.read_text("utf-8")
    steps = STEP.findall(page)
    assert len(steps) == page.count("```python") == 4
    names: dict[str, Any] = {}
    for code, expected in steps:
        with contextlib.redirect_stdout(io.StringIO()) as printed:
            exec(compile(code, PAGE.name, "exec"), names)
        assert printed.getvalue() == expected
