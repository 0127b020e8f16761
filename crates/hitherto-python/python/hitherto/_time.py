"""Moments and durations: datetimes and text to microseconds UTC and back.

Naive means UTC, here as everywhere in Hitherto.
"""

from __future__ import annotations

import calendar
import re
from datetime import datetime, timedelta, timezone

from . import _native
from ._errors import InvalidError

Moment = datetime | str
"""A datetime (pandas' Timestamp is one), aware or else in UTC, or RFC 3339 text."""

EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)


def to_micros(moment: Moment | None) -> int | None:
    """Microseconds UTC.

    Nanoseconds of a pandas Timestamp are cut off: the question is then asked a
    little earlier, which can hide a fact but never show one too soon.
    """
    if moment is None:
        return None
    if isinstance(moment, str):
        return _native.parse_timestamp(moment)
    if not isinstance(moment, datetime):
        raise InvalidError(
            f"a moment is a datetime or text such as 2180-07-23T17:36:00Z; found {moment!r}"
        )
    if moment != moment:
        raise InvalidError("a moment is missing (NaT); leave the argument out for none")
    return calendar.timegm(moment.utctimetuple()) * 1_000_000 + moment.microsecond


def to_datetime(micros: int) -> datetime:
    """An aware datetime in UTC."""
    return EPOCH + timedelta(microseconds=micros)


NEVER = 2**63 - 1
"""The known time of a fact of which nobody can say when it was known."""


def to_known_time(micros: int) -> datetime | None:
    """A known time in UTC; None if nobody can say when."""
    return None if micros == NEVER else to_datetime(micros)


Duration = timedelta | str
"""A timedelta, or text such as ``24h``, ``1h30m`` or ``500ms``."""

UNITS = {
    "w": timedelta(weeks=1),
    "d": timedelta(days=1),
    "h": timedelta(hours=1),
    "m": timedelta(minutes=1),
    "s": timedelta(seconds=1),
    "ms": timedelta(milliseconds=1),
    "us": timedelta(microseconds=1),
}
"""Units of a written duration, largest first."""


def to_timedelta(duration: Duration) -> timedelta:
    """The length of ``duration``.

    Raises:
        InvalidError: it is negative, or text without a unit.
    """
    if isinstance(duration, str):
        if not re.fullmatch(r"([0-9]+(w|d|h|m|s|ms|us))+", duration.strip()):
            raise InvalidError(
                f"{duration!r} is not a duration; write 500ms, 30s, 15m, 24h, 7d, 2w or a sum "
                "like 1h30m"
            )
        parts = re.findall(r"([0-9]+)([a-z]+)", duration)
        return sum((int(count) * UNITS[unit] for count, unit in parts), timedelta())
    if duration < timedelta():
        raise InvalidError(f"a duration is not negative; found {duration!r}")
    return duration


def format_duration(duration: timedelta) -> str:
    """``duration`` in the largest units that keep it exact, such as ``1h30m``."""
    text, rest = "", duration
    for unit, length in UNITS.items():
        if unit != "w" and rest >= length:
            count, rest = divmod(rest, length)
            text += f"{count}{unit}"
    return text or "0s"
