"""The views of a catalog, for notebooks."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import timedelta
from typing import Any

from . import _html
from ._time import format_duration, show_time, to_watermark

VIEW_COLUMNS = ("view", "entity", "features", "ttl", "online entities", "up to")
"""What a notebook shows of each view."""


def _row(view: dict[str, Any]) -> tuple[object, ...]:
    definition, generation = view["definition"], view["generation"]
    ttl = definition["ttl_micros"]
    return (
        definition["metadata"]["name"],
        definition["entity"] or "",
        ", ".join(feature["name"] for feature in definition["features"]),
        "" if ttl is None else format_duration(timedelta(microseconds=ttl)),
        _html.Dim("not online") if generation is None else generation["entities"],
        "" if generation is None else _watermark(generation),
    )


def _watermark(generation: dict[str, Any]) -> str:
    newest = to_watermark(generation["watermark"])
    return "no fact" if newest is None else show_time(newest)


def table(views: Iterable[dict[str, Any]]) -> str:
    """A row for each view."""
    return _html.table(VIEW_COLUMNS, map(_row, views))
