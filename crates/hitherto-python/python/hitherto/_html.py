"""Pieces of HTML for notebooks. Everything that is not made here is escaped.

Colours are of the page, so that a dark notebook stays dark; nothing is loaded
and no script runs.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape

ROWS_MAX = 20
"""Rows of a table that are shown."""
CELL_CHARS_MAX = 80
"""Characters of a cell that are shown."""


class Dim:
    """Text that stands where there is no value."""

    def __init__(self, text: object) -> None:
        self.text = text


def block(title: object, *parts: str) -> str:
    """A title over parts that are HTML already."""
    return f"<div><b>{text(title)}</b>{''.join(parts)}</div>"


def note(said: object) -> str:
    """A line of text."""
    return f'<div style="opacity: .7">{text(said)}</div>'


def table(head: Sequence[object], rows: Iterable[Sequence[object]], below: object = "") -> str:
    """A table, and a line below it."""
    names = "".join(f'<th style="text-align: left">{text(name)}</th>' for name in head)
    body = "".join(f"<tr>{''.join(map(_cell, row))}</tr>" for row in rows)
    end = note(below) if below != "" else ""
    return f"<table><thead><tr>{names}</tr></thead><tbody>{body}</tbody></table>{end}"


def text(said: object) -> str:
    """``said`` as text of HTML, shortened to what a cell holds."""
    whole = str(said)
    return escape(whole if len(whole) <= CELL_CHARS_MAX else whole[: CELL_CHARS_MAX - 1] + "…")


def _cell(value: object) -> str:
    if isinstance(value, Dim):
        return f'<td style="opacity: .5">{text(value.text)}</td>'
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return f"<td>{text(value)}</td>"
    return f'<td style="text-align: right">{text(f"{value:,}")}</td>'
