"""The line that says how far a call is."""

from __future__ import annotations

import pytest
from hitherto import _progress


def test_the_line_comes_late_grows_and_goes(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    now = 10.0
    monkeypatch.setattr(_progress.time, "monotonic", lambda: now)
    line = _progress.Line()
    line("labs", 1, 4)
    assert capsys.readouterr().err == "", "a short call says nothing"
    now = 13.0
    line("labs", 1_000, 4_000)
    assert capsys.readouterr().err == f"\rlabs [{'=' * 6}{' ' * 18}] 1,000 of 4,000 facts, 3 s"
    line("labs", 9, 4)
    shown = capsys.readouterr().err
    assert shown.startswith(f"\rlabs [{'=' * 24}] 9 of 4 facts, 3 s ")
    line.end()
    assert capsys.readouterr().err.endswith("\r")


def test_a_view_without_rows_is_no_division() -> None:
    line = _progress.Line()
    line._begun -= 60
    line("labs", 0, 0)
