"""Served features: one lookup, in the columns of the rows that a model was trained on."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any, Literal

from . import _arrow
from ._errors import InvalidError
from ._lookup import Lookup, Status

if TYPE_CHECKING:
    import pandas
    import polars
    import pyarrow

    from ._arrow import Matrix

Instead = Mapping[str, Mapping[int, Any]]
"""For features by name the rows that have another value than the store's, and it."""


class Served:
    """Features of the entities of one request, in their order; no column but features.

    Columns are those of the training rows: their names, order and types.
    """

    __slots__ = ("_columns", "_instead", "_lookup", "_nullable", "statuses")

    statuses: dict[str, list[Status]]
    """For each feature, ``view:feature``, the status of each entity, as
    :attr:`hitherto.Lookup.statuses`, also where the policy put another value."""

    def __init__(
        self,
        lookup: Lookup,
        statuses: dict[str, list[Status]],
        columns: Mapping[str, str],
        instead: Instead,
        nullable: Collection[str] | None,
    ) -> None:
        self._lookup = lookup
        self.statuses = statuses
        self._columns = columns
        self._instead = instead
        self._nullable = nullable

    @property
    def at(self) -> datetime:
        """The moment that was answered for, in UTC."""
        return self._lookup.at

    def __len__(self) -> int:
        """Entities asked for."""
        return len(self._lookup)

    def to_dict(self) -> dict[str, list[Any]]:
        """Columns to their values, None for null; types as :meth:`hitherto.Lookup.to_dict`."""
        found = self._lookup.to_dict()
        values = {column: found[name] for name, column in self._columns.items()}
        for name, rows in self._instead.items():
            for row, value in rows.items():
                values[self._columns[name]][row] = value
        return values

    def to_numpy(
        self,
        columns: Sequence[str] | None = None,
        dtype: Literal["float32", "float64"] = "float64",
    ) -> Matrix:
        """A matrix of shape (entities, columns), bit for bit the rows that
        ``training_set.to_numpy()`` has for the same facts; needs numpy.

        Args:
            columns: names of columns of numbers or bools, in their order; all of the
                model's if left out.
            dtype: of the matrix. Null is NaN, a bool is 0 or 1, and a number that the
                type cannot hold is the nearest that it can.

        Raises:
            InvalidError: there is no such column, or it is not of numbers or bools.
        """
        names = None if columns is None else [self._name(column) for column in columns]
        matrix = self._lookup.to_numpy(names, dtype)
        for place, name in enumerate(self._columns if names is None else names):
            for row, value in self._instead.get(name, {}).items():
                matrix[row, place] = float("nan") if value is None else value
        return matrix

    def to_arrow(self) -> pyarrow.Table:
        """A pyarrow Table, of the types of ``training_set.to_arrow()``."""
        table = self._lookup.to_arrow().select(list(self._columns))
        for name, rows in self._instead.items():
            place, kind = table.column_names.index(name), table.schema.field(name).type
            values = table.column(name).to_pylist()
            for row, value in rows.items():
                values[row] = value
            pyarrow = _arrow.imported("pyarrow", "to_arrow()")
            table = table.set_column(place, name, pyarrow.array(values, kind))
        return table.rename_columns(list(self._columns.values()))

    def to_pandas(self) -> pandas.DataFrame:
        """A pandas DataFrame, of the types of ``training_set.to_pandas()``.

        A column of integers or bools is of pandas' nullable type if it had a null in
        training, also where this request has none. With a manifest that does not say
        so (:func:`hitherto.serving.contract` does) only where this request has one.
        """
        return _arrow.to_pandas(self.to_arrow(), self._nullable_columns())

    def to_polars(self) -> polars.DataFrame:
        """A polars DataFrame, of the types of ``training_set.to_polars()``."""
        return _arrow.to_polars(self.to_arrow())

    def _nullable_columns(self) -> frozenset[str]:
        nullable = self._nullable or ()
        return frozenset(self._columns[name] for name in nullable if name in self._columns)

    def _name(self, column: str) -> str:
        for name, found in self._columns.items():
            if found == column:
                return name
        raise InvalidError(
            f"there is no column {column!r}; there are {', '.join(self._columns.values())}"
        )

    def __repr__(self) -> str:
        return f"<hitherto.serving.Served: {len(self)} entities at {self.at.isoformat()}>"
