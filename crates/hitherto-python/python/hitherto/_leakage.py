"""What a join on event time alone would have leaked."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from . import _html


class Leakage:
    """How many rows of a training set would have seen a value before it was
    known, had they been joined on event time alone.

    Where known time counts they do not; it is what known time has kept out. Views
    whose known times are ignored (``known: ignore``) did leak: see ``leaked``.
    ``str(leakage)`` is for reading.
    """

    __slots__ = ("leaked", "leaky_rows", "rows", "views")

    rows: int
    """Rows of the training set."""
    leaky_rows: int
    """Those that would have leaked, or did, in at least one view."""
    views: dict[str, int]
    """Those that would have leaked, or did, in each view, in the order of the
    request."""
    leaked: dict[str, int]
    """Of ``views`` those whose known times are ignored and that did leak: these rows
    have what was not known yet."""

    def __init__(self, report: dict[str, Any]) -> None:
        self.rows = report["rows"]
        self.leaky_rows = report["leaky_rows"]
        self.views = {view["view"]: view["leaks"] for view in report["views"]}
        self.leaked = {
            view["view"]: view["leaks"]
            for view in report["views"]
            if view.get("known") == "ignore" and view["leaks"]
        }

    @property
    def rate(self) -> float:
        """The share of rows that would have leaked, or did, from 0 to 1."""
        return self.leaky_rows / self.rows if self.rows else 0.0

    def __bool__(self) -> bool:
        """Whether anything would have leaked, or did."""
        return self.leaky_rows > 0

    def _share(self, rows: int) -> str:
        return f"{rows / self.rows:.1%}" if self.rows else "-"

    def __str__(self) -> str:
        said = "would have seen a value before it was known"
        if self.leaked:
            names = ", ".join(self.leaked)
            said = (
                "saw a value before it was known, or would have: known times are ignored "
                f"in {names}"
            )
        lines = [
            f"{self.leaky_rows:,} of {self.rows:,} rows ({self._share(self.leaky_rows)}) {said}"
        ]
        width = max(map(len, self.views), default=0)
        lines += [
            f"  {view:<{width}}  {rows:>9,}  {self._share(rows):>6}"
            + ("  leaked" if view in self.leaked else "")
            for view, rows in self.views.items()
        ]
        return "\n".join(lines)

    def __repr__(self) -> str:
        return f"<hitherto.Leakage>\n{self}"

    def _repr_html_(self) -> str:
        """For notebooks: a row for each view."""
        rows = [
            (view, rows, self._share(rows), "yes" if view in self.leaked else "no")
            for view, rows in self.views.items()
        ]
        return _html.block(
            str(self).partition("\n")[0],
            _html.table(("view", "rows that would leak", "share", "leaked"), rows),
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
