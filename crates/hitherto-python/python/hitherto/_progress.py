"""How far a call is, on a line of its own that is written again and again."""

from __future__ import annotations

import sys
import time
from typing import Protocol

_PATIENCE_SECONDS = 1.0
_WIDTH = 24


class Progress(Protocol):
    """Told of a view how many facts were read, of the rows in its files."""

    def __call__(self, view: str, facts: int, rows: int, /) -> None: ...


class Line:
    """A line on stderr, in a terminal or a notebook, once a call takes a while."""

    def __init__(self) -> None:
        self._begun = time.monotonic()
        self._written = 0

    def __call__(self, view: str, facts: int, rows: int, /) -> None:
        seconds = time.monotonic() - self._begun
        if seconds < _PATIENCE_SECONDS:
            return
        done = min(facts / rows, 1.0) if rows else 0.0
        bar = ("=" * round(done * _WIDTH)).ljust(_WIDTH)
        text = f"{view} [{bar}] {facts:,} of {rows:,} facts, {seconds:.0f} s"
        sys.stderr.write("\r" + text.ljust(self._written))
        sys.stderr.flush()
        self._written = len(text)

    def end(self) -> None:
        """Takes the line away."""
        if self._written:
            sys.stderr.write("\r" + " " * self._written + "\r")
            sys.stderr.flush()


def is_watched() -> bool:
    """Whether somebody sees stderr now: a terminal, or a notebook."""
    return "ipykernel" in sys.modules or sys.stderr.isatty()
