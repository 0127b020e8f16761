"""Python values of each declared type, from what the native module hands over.

Numbers, text and bytes come as themselves. Dates, timestamps and decimals come
as the integers that are stored, and get their meaning from the type's name.

Python's calendar has the years 1 to 9999. A date or a time of another year is text:
its count since 1970 with its unit, such as ``2147483647d``, which is what JSON has
where its calendar ends, too. A time that its zone alone would move out of these years
stays in UTC.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import date, datetime, timedelta, timezone, tzinfo
from decimal import Decimal
from functools import lru_cache
from typing import Any
from zoneinfo import ZoneInfo

NUMBER = re.compile(r"bool|u?int\d+|float\d+|decimal128\(.*\)")

TYPES_MAX = 256
"""Types whose conversion is remembered: finding it takes longer than converting the
values of a lookup."""

MICROS = {"s": 1_000_000, "ms": 1_000, "us": 1}


def to_values(data_type: str, stored: list[Any]) -> list[Any]:
    """``stored`` as values of ``data_type``; None stays None."""
    convert = _converter(data_type)
    if convert is None:
        return stored
    return [None if value is None else convert(value) for value in stored]


@lru_cache(TYPES_MAX)
def is_number(data_type: str) -> bool:
    """Whether a matrix of floats can hold ``data_type``: numbers and bools."""
    return NUMBER.fullmatch(data_type) is not None


@lru_cache(TYPES_MAX)
def _converter(data_type: str) -> Callable[[int], Any] | None:
    name, _, arguments = data_type.rstrip(")").partition("(")
    parameters = arguments.split(", ")
    if name == "date32":
        return _date
    if name == "decimal128":
        exponent = -int(parameters[1])
        return lambda unscaled: Decimal(f"{unscaled}E{exponent}")
    if name == "timestamp":
        unit, zone = parameters[0], parameters[1] if len(parameters) > 1 else None
        return _timestamp(unit, None if zone is None else _zone(zone))
    return None


def _date(days: int) -> date | str:
    try:
        return date(1970, 1, 1) + timedelta(days=days)
    except OverflowError:
        return f"{days}d"


def _timestamp(unit: str, zone: tzinfo | None) -> Callable[[int], datetime | str]:
    epoch = datetime(1970, 1, 1, tzinfo=timezone.utc)

    def convert(count: int) -> datetime | str:
        micros = count // 1_000 if unit == "ns" else count * MICROS[unit]
        try:
            moment = epoch + timedelta(microseconds=micros)
        except OverflowError:
            return f"{count}{unit}"
        if zone is None:
            return moment.replace(tzinfo=None)
        try:
            return moment.astimezone(zone)
        except OverflowError:
            return moment

    return convert


def _zone(name: str) -> tzinfo:
    if name == "UTC":
        return timezone.utc
    if name[0] in "+-":
        hours, minutes = name[1:].split(":")
        offset = timedelta(hours=int(hours), minutes=int(minutes))
        return timezone(-offset if name[0] == "-" else offset)
    return ZoneInfo(name)
