"""What a join on event time alone would have leaked."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from . import _html


class Leakage:
    """How many rows of a training set would have seen a value before it was
    known, had they been joined on event time alone.

    In this training set they do not; it is what known time has kept out.
    ``str(leakage)`` is for reading.
    """

    __slots__ = ("leaky_rows", "rows", "views")

    rows: int
    """Rows of the training set."""
    leaky_rows: int
    """Those that would have leaked in at least one view."""
    views: dict[str, int]
    """Those that would have leaked in each view, in the order of the request."""

    def __init__(self, report: dict[str, Any]) -> None:
        self.rows = report["rows"]
        self.leaky_rows = report["leaky_rows"]
        self.views = {view["view"]: view["leaks"] for view in report["views"]}

    @property
    def rate(self) -> float:
        """The share of rows that would have leaked, from 0 to 1."""
        return self.leaky_rows / self.rows if self.rows else 0.0

    def __bool__(self) -> bool:
        """Whether anything would have leaked."""
        return self.leaky_rows > 0

    def _share(self, rows: int) -> str:
        return f"{rows / self.rows:.1%}" if self.rows else "-"

    def __str__(self) -> str:
        lines = [
            f"{self.leaky_rows:,} of {self.rows:,} rows ({self._share(self.leaky_rows)}) would "
            "have seen a value before it was known"
        ]
        width = max(map(len, self.views), default=0)
        lines += [
            f"  {view:<{width}}  {rows:>9,}  {self._share(rows):>6}"
            for view, rows in self.views.items()
        ]
        return "\n".join(lines)

    def __repr__(self) -> str:
        return f"<hitherto.Leakage>\n{self}"

    def _repr_html_(self) -> str:
        """For notebooks: a row for each view."""
        rows = [(view, rows, self._share(rows)) for view, rows in self.views.items()]
        return _html.block(
            str(self).partition("\n")[0],
            _html.table(("view", "rows that would leak", "share"), rows),
        )


def ages(report: dict[str, Any]) -> dict[str, dict[str, timedelta]]:
    """Of a report, for each view that answers how old its facts are: ``p50``,
    ``p95`` and ``max``."""
    return {
        view["view"]: {
            name: timedelta(microseconds=view["age"][f"{name}_micros"])
            for name in ("p50", "p95", "max")
        }
        for view in report["views"]
        if view["age"]
    }
