"""A drawing of why: facts on a line of time, and the moment that was asked.

    event *-----o known      filled: the fact that answers
                     | the moment

A row for each fact, newest first. The line runs from the earliest to the latest
time of facts that have happened, since those of next week would leave no room for
this hour's; they stand at its end. A fact of which nobody can say when it was
known has no end.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any

from ._html import text
from ._time import ALWAYS, Time

WIDTH, LEFT, RIGHT = 640, 20, 200
"""Pixels: the drawing, and what is left free beside the line of time."""
LABEL = 70
"""Pixels: half of the label of the moment asked."""
ROW, TOP = 22, 30
"""Pixels: the height of a row, and of what is above the first."""


def draw(at: datetime, counted: tuple[Time, Time] | None, facts: Sequence[dict[str, Any]]) -> str:
    """An SVG of ``facts`` (candidates of a Why) around the moment ``at``, with the event times
    ``counted`` that can count at all."""
    happened = [fact for fact in facts if fact["verdict"] != "not_yet_happened"]
    drawn = [fact[name] for fact in happened for name in ("event_time", "known_time")]
    # What always was begins where the line does.
    times = [at, *(time for time in drawn if isinstance(time, datetime) and time != ALWAYS)]
    first, last = min(times), max(times)
    span = max((last - first).total_seconds(), 1e-6)

    def x(moment: Time) -> float:
        if isinstance(moment, str):
            # Of a year that no calendar holds: at the end that it lies beyond.
            return LEFT if moment.startswith("-") else WIDTH - RIGHT
        share: float = (min(max(moment, first), last) - first).total_seconds() / span
        return round(LEFT + share * (WIDTH - LEFT - RIGHT), 1)

    height = TOP + ROW * len(facts) + 10
    asked = x(at)
    anchor = "start" if asked < LABEL else "middle"
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{height}" '
        f'viewBox="0 0 {WIDTH} {height}" role="img" font-size="12" fill="currentColor" '
        f'stroke="currentColor"><title>{text(f"facts around {at.isoformat()}")}</title>'
    ]
    if counted is not None:
        begin, end = map(x, counted)
        parts.append(
            f'<rect class="counted" x="{begin}" y="{TOP - 10}" width="{round(end - begin, 1)}" '
            f'height="{ROW * len(facts) + 10}" fill-opacity=".08" stroke="none"/>'
        )
    parts.append(
        f'<line class="asked" x1="{asked}" x2="{asked}" y1="{TOP - 14}" y2="{height}" '
        f'stroke-dasharray="4 3"/>{_label(asked, 12, f"asked {at:%Y-%m-%d %H:%M}", anchor)}'
    )
    for place, fact in enumerate(facts):
        parts.append(_fact(fact, TOP + ROW * place + ROW / 2, x))
    return "".join([*parts, "</svg>"])


def _fact(fact: dict[str, Any], y: float, x: Callable[[Time], float]) -> str:
    begin = x(fact["event_time"])
    known = fact["known_time"]
    end = WIDTH - RIGHT if known is None else x(known)
    answers = fact["verdict"] in ("answers", "counts")
    dash = ' stroke-dasharray="2 3"' if known is None else ""
    mark = "" if known is None else f'<circle class="known" cx="{end}" cy="{y}" r="4" fill="none"/>'
    values = ", ".join(str(value) for value in fact["values"].values())
    said = f"{values} {fact['verdict'].replace('_', ' ')}"
    return (
        f'<g class="{text(fact["verdict"])}" opacity="{1 if answers else 0.55}">'
        f'<line x1="{begin}" x2="{end}" y1="{y}" y2="{y}" '
        f'stroke-width="{3 if answers else 1}"{dash}/>'
        f'<circle class="event" cx="{begin}" cy="{y}" r="4"/>{mark}'
        f"{_label(WIDTH - RIGHT + 12, y + 4, said, 'start')}</g>"
    )


def _label(x: float, y: float, said: str, anchor: str) -> str:
    shown = said if len(said) <= 30 else said[:29] + "…"
    return f'<text x="{x}" y="{y}" text-anchor="{anchor}" stroke="none">{text(shown)}</text>'
