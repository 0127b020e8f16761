"""Moments and durations: datetimes and text to microseconds UTC and back.

Naive means UTC, here as everywhere in Hitherto.
"""

from __future__ import annotations

import calendar
import re
import sys
from datetime import date, datetime, time, timedelta, timezone
from typing import TYPE_CHECKING

from . import _native
from ._errors import InvalidError

if TYPE_CHECKING:
    import numpy

    Moment = datetime | date | numpy.datetime64 | str
else:
    Moment = datetime | date | str
"""A datetime (pandas' Timestamp is one) or numpy's datetime64, aware or else in UTC; a
date, for its midnight in UTC; or RFC 3339 text."""

EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)


def to_micros(moment: Moment | None) -> int | None:
    """Microseconds UTC.

    Nanoseconds of a pandas Timestamp or of numpy are cut off: the question is then
    asked a little earlier, which can hide a fact but never show one too soon.
    """
    if moment is None:
        return None
    if isinstance(moment, str):
        return _native.parse_timestamp(moment)
    if not isinstance(moment, date):
        numpy = sys.modules.get("numpy")
        if numpy is not None and isinstance(moment, numpy.datetime64):
            return _numpy_micros(moment)
        raise InvalidError(
            f"a moment is a datetime, a date or text such as 2180-07-23T17:36:00Z; found {moment!r}"
        )
    if moment != moment:
        raise InvalidError(MISSING)
    if not isinstance(moment, datetime):
        moment = datetime.combine(moment, time(), timezone.utc)
    return calendar.timegm(moment.utctimetuple()) * 1_000_000 + moment.microsecond


MISSING = "a moment is missing (NaT); leave the argument out for none"


def _numpy_micros(moment: numpy.datetime64) -> int:
    numpy = sys.modules["numpy"]
    if numpy.isnat(moment):
        raise InvalidError(MISSING)
    micros = moment.astype("datetime64[us]")
    # What 64 bits of microseconds cannot hold wraps in numpy, without a word.
    if micros.astype("datetime64[Y]") != moment.astype("datetime64[Y]"):
        raise InvalidError(f"a moment is within the range of microseconds; found {moment!r}")
    return int(micros.astype("int64"))


Time = datetime | str
"""A moment in an answer: a datetime, or its text where that is of a year that no
datetime holds."""


def to_datetime(micros: int) -> datetime:
    """An aware datetime in UTC.

    Raises:
        OverflowError: it is of no year from 1 to 9999.
    """
    return EPOCH + timedelta(microseconds=micros)


def to_time(micros: int) -> Time:
    """An aware datetime in UTC; where no datetime holds it, microseconds since 1970 as
    text with their unit, such as ``253402300800000000us``."""
    try:
        return to_datetime(micros)
    except OverflowError:
        return f"{micros}us"


ALWAYS = datetime(1, 1, 1, tzinfo=timezone.utc)
"""The event time of what has none: it always was."""


def show_time(moment: Time | None) -> str:
    """A time for reading, to the second; ``always``, or ``never`` of None."""
    if moment is None:
        return "never"
    if isinstance(moment, str):
        return moment
    return "always" if moment == ALWAYS else f"{moment:%Y-%m-%dT%H:%M:%SZ}"


def to_watermark(micros: int) -> Time | None:
    """The greatest event time that a copy has consumed; None if it has no fact."""
    return None if micros == -(2**63) else to_time(micros)


NEVER = 2**63 - 1
"""The known time of a fact of which nobody can say when it was known."""


def to_known_time(micros: int) -> Time | None:
    """A known time in UTC; None if nobody can say when."""
    return None if micros == NEVER else to_time(micros)


Duration = timedelta | str
"""A timedelta, or text such as ``24h``, ``1h30m``, ``500ms`` or ``10y`` (a year is 365 days)."""

YEAR = timedelta(days=365)
"""A year of durations, whatever the calendar says."""

UNITS = {
    "y": YEAR,
    "w": timedelta(weeks=1),
    "d": timedelta(days=1),
    "h": timedelta(hours=1),
    "m": timedelta(minutes=1),
    "s": timedelta(seconds=1),
    "ms": timedelta(milliseconds=1),
    "us": timedelta(microseconds=1),
}
"""Units of a written duration, largest first."""


def _what_is_wrong(duration: str) -> str:
    if duration.startswith("-"):
        return ": it is negative"
    if duration.startswith("P"):
        return ": what ISO 8601 writes PT12H is 12h here"
    return ": a unit is missing" if duration[-1:].isdigit() else ""


def to_timedelta(duration: Duration) -> timedelta:
    """The length of ``duration``.

    Raises:
        InvalidError: it is negative, or text without a unit.
    """
    if isinstance(duration, str):
        if not re.fullmatch(r"([0-9]+(y|w|d|h|m|s|ms|us))+", duration.strip()):
            raise InvalidError(
                f"{duration!r} is not a duration{_what_is_wrong(duration.strip())}; write 500ms, "
                "30s, 15m, 24h, 7d, 2w, 10y (of 365 days) or a sum like 1h30m"
            )
        parts = re.findall(r"([0-9]+)([a-z]+)", duration)
        return sum((int(count) * UNITS[unit] for count, unit in parts), timedelta())
    if duration < timedelta():
        raise InvalidError(f"a duration is not negative; found {duration!r}")
    return duration


def format_duration(duration: timedelta) -> str:
    """``duration`` in the largest units that keep it exact, such as ``1h30m``; in years if
    they are whole."""
    if duration and not duration % YEAR:
        return f"{duration // YEAR}y"
    text, rest = "", duration
    for unit, length in UNITS.items():
        if unit not in ("y", "w") and rest >= length:
            count, rest = divmod(rest, length)
            text += f"{count}{unit}"
    return text or "0s"
