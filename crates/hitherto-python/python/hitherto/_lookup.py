"""Lookups: feature values of entities, at one moment."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from itertools import chain
from typing import TYPE_CHECKING, Any, Literal

from . import _arrow, _html, _native
from ._errors import InvalidError
from ._time import Time, to_datetime, to_known_time, to_time
from ._values import is_number, to_values

if TYPE_CHECKING:
    import pandas
    import polars
    import pyarrow

    from ._arrow import Matrix

Status = Literal["PRESENT", "NULL", "NOT_FOUND", "EXPIRED"]


class Lookup:
    """Features of the entities that were asked for, in their order.

    All columns have one value for each entity. Features come in the order of
    the request and are named ``view:feature``.
    """

    __slots__ = ("_keys", "_native")

    def __init__(self, native: _native.Lookup, keys: dict[str, list[Any]]) -> None:
        self._native = native
        self._keys = keys

    @property
    def at(self) -> datetime:
        """The moment that was answered for, in UTC: ``as_of``, or else now."""
        return to_datetime(self._native.at)

    @property
    def statuses(self) -> dict[str, list[Status]]:
        """For each feature the status of each entity.

        ``PRESENT``: there is a value. ``NULL``: a fact answers and its value is
        null. ``NOT_FOUND``: no fact answers, as none was ever seen, none is
        known yet or the newest is a deletion. ``EXPIRED``: the newest known
        fact is older than the view's ttl.
        """
        return self._native.statuses()

    @property
    def times(self) -> dict[str, list[tuple[Time, Time | None] | None]]:
        """For each view the event time and known time of the fact that answered
        each entity, or is too old to, in UTC; None where there is none, and for a
        known time that nobody can say. Empty unless the lookup was made with
        ``times=True``. A time that no ``datetime`` holds is text, as in
        :meth:`to_dict`.
        """
        return {
            view: [
                None if pair is None else (to_time(pair[0]), to_known_time(pair[1]))
                for pair in pairs
            ]
            for view, pairs in self._native.times().items()
        }

    def to_dict(self) -> dict[str, list[Any]]:
        """Key columns as given, then features; None where there is no value and no default.

        Values are Python's own: bool, int, float, str, bytes, ``date``,
        ``Decimal``, lists, and ``datetime``, aware if the type has a zone. A datetime
        holds microseconds; nanoseconds are cut off (:meth:`to_arrow` has them). A date
        or time outside of Python's years, 1 to 9999, is text: its count since 1970 and
        its unit, such as ``"2147483647d"``.
        """
        answer = {name: list(values) for name, values in self._keys.items()}
        for name, data_type, stored in self._native.columns():
            answer[name] = to_values(data_type, stored)
        return answer

    def to_arrow(self) -> pyarrow.Table:
        """A pyarrow Table: key columns, then features in their declared types."""
        return _arrow.to_arrow(self._native)

    def to_pandas(self) -> pandas.DataFrame:
        """A pandas DataFrame; types as in :meth:`TrainingSet.to_pandas`."""
        return _arrow.to_pandas(self._native)

    def to_polars(self) -> polars.DataFrame:
        """A polars DataFrame: key columns, then features."""
        return _arrow.to_polars(self._native)

    def to_numpy(
        self,
        features: Sequence[str] | None = None,
        dtype: Literal["float32", "float64"] = "float64",
    ) -> Matrix:
        """A matrix of shape (entities, features), for a model; needs numpy.

        Args:
            features: names of features of numbers or bools, ``view:feature``,
                in the order of the columns; all of the answer if left out.
            dtype: of the matrix. Where there is no value it is NaN, a bool is
                0 or 1, and an integer that the type cannot hold is rounded.

        Raises:
            InvalidError: a feature was not asked for, or is not of numbers or
                bools.
        """
        numpy = _arrow.imported("numpy", "to_numpy()")
        _arrow.check_names(features)
        _arrow.check_dtype(dtype)
        columns = self._native.columns()
        if features is not None:
            there = {column[0]: column for column in columns}
            missing = [name for name in features if name not in there]
            if missing:
                raise InvalidError(f"there is no {missing[0]!r}; there are {', '.join(there)}")
            columns = [there[name] for name in features]
        wrong = [f"{name} ({kind})" for name, kind, _ in columns if not is_number(kind)]
        if wrong:
            raise InvalidError(_arrow.not_numbers(wrong))
        # None becomes NaN. One array at once: a column each would cost most of a
        # lookup of one entity.
        values = [to_values(kind, stored) for _, kind, stored in columns]
        flat = numpy.array([*chain.from_iterable(values)], numpy.float64)
        matrix: Matrix = flat.reshape(len(columns), len(self)).T.astype(dtype, order="C")
        return matrix

    def __len__(self) -> int:
        """Entities asked for."""
        return len(self._native)

    def __arrow_c_schema__(self) -> object:
        return self._native.__arrow_c_schema__()

    def __arrow_c_stream__(self, requested_schema: object | None = None) -> object:
        """One record batch: key columns, then features."""
        return self._native.__arrow_c_stream__(requested_schema)

    def __repr__(self) -> str:
        return f"<hitherto.Lookup: {len(self)} entities at {self.at.isoformat()}>"

    def _repr_html_(self) -> str:
        """For notebooks: the first entities, a status where there is no value."""
        values, statuses = self.to_dict(), self.statuses

        def said(name: str, row: int) -> object:
            status = statuses[name][row] if name in statuses else "PRESENT"
            return values[name][row] if status == "PRESENT" else _html.Dim(status)

        shown = range(min(len(self), _html.ROWS_MAX))
        rows = [[said(name, row) for name in values] for row in shown]
        more = len(self) - len(shown)
        return _html.block(
            f"{len(self)} entities at {self.at:%Y-%m-%dT%H:%M:%SZ}",
            _html.table(list(values), rows, f"and {more} more" if more else ""),
        )
