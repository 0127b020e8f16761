"""What a lookup brings for on-demand views, as JSON: the engine reads it as the types say."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping
from datetime import date, datetime, timezone
from decimal import Decimal
from typing import Any

from ._errors import InvalidError


def dumps(columns: Mapping[str, Iterable[Any]]) -> str:
    """The values of fields, a list each.

    Raises:
        InvalidError: a value is of a kind that no field has.
    """
    lists = {
        name: [_plain(name, value) for value in _present(values)]
        for name, values in columns.items()
    }
    return json.dumps(lists, allow_nan=False)


def _present(values: Any) -> Iterable[Any]:
    """Values of a column; what pandas has where one is missing is None, as in a spine."""
    if not hasattr(values, "isna"):
        found: Iterable[Any] = values
        return found
    pairs = zip(values, values.isna(), strict=True)
    return [None if is_missing else value for value, is_missing in pairs]


def _plain(name: str, value: Any) -> Any:
    if value is None or isinstance(value, bool | int | str):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else _beyond(value)
    if isinstance(value, datetime):
        # A NaT is a datetime that is not equal to itself.
        if value != value:  # noqa: PLR0124
            return None
        zoned = value if value.tzinfo else value.replace(tzinfo=timezone.utc)
        return zoned.astimezone(timezone.utc).isoformat()
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, Decimal):
        return str(value)
    if type(value).__name__ in ("NAType", "NaTType"):
        return None
    for read in ("tolist", "as_py"):
        # Scalars and arrays of NumPy, and scalars of Arrow.
        if hasattr(value, read):
            return _plain(name, getattr(value, read)())
    if isinstance(value, Iterable):
        return [_plain(name, item) for item in value]
    raise InvalidError(
        f"field {name!r} of the request has {value!r}; give numbers, str, bool, datetime, date, "
        "Decimal, lists of numbers or None"
    )


def _beyond(value: float) -> dict[str, str]:
    """A number that JSON lacks, told from the same text."""
    return {"float": "NaN" if math.isnan(value) else "inf" if value > 0 else "-inf"}
