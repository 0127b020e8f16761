"""Moments: datetimes and text to microseconds UTC and back.

Naive means UTC, here as everywhere in Hitherto.
"""

from __future__ import annotations

import calendar
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
