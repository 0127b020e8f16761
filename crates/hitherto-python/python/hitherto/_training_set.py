"""Training sets: the spine's rows with their features."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from . import _arrow, _native

if TYPE_CHECKING:
    import pandas
    import polars
    import pyarrow


class TrainingSet:
    """The rows of a spine, each with the features known at its own moment.

    Columns are the spine's own, then the features in the order of the request.
    Rows are the spine's, each exactly once and in the same order. A feature is
    null where no fact answered; :meth:`report` counts why.

    It is lazy, and reads its sources once. The first ``to_*`` call runs it and
    keeps the rows, so that further calls of any kind cost no second run. Read
    as an Arrow stream instead (``pyarrow.RecordBatchReader.from_stream(ts)``,
    DuckDB, ...), it hands rows on without keeping them, once; after that every
    call raises :class:`~hitherto.InvalidError`.

    Use it in the process that made it, from one thread at a time.
    """

    __slots__ = ("_native",)

    def __init__(self, native: _native.TrainingSet) -> None:
        self._native = native

    @property
    def schema(self) -> pyarrow.Schema:
        """Names and types of all columns. Runs nothing; needs pyarrow."""
        return _arrow.to_schema(self._native)

    @property
    def column_names(self) -> list[str]:
        """Names of all columns, in order. Runs nothing."""
        return self._native.column_names

    def to_arrow(self) -> pyarrow.Table:
        """A pyarrow Table over the kept rows, without a copy.

        Feature columns have their declared types. The spine's have the types
        they came in; times stay in their unit and zone.

        Raises:
            UnavailableError: a source or the server cannot be read now.
            InvalidError: a source no longer fits its definition, or the rows
                were handed on as a stream before.
            KeyboardInterrupt: within 50 ms of Ctrl-C; the run is dropped.
        """
        self._native.collect()
        return _arrow.to_arrow(self._native)

    def to_pandas(self) -> pandas.DataFrame:
        """A pandas DataFrame with a RangeIndex; needs pyarrow beside pandas.

        Integer and boolean columns that contain nulls get pandas' nullable
        types (``Int64``, ``boolean``), so that no integer is ever rounded
        through float64; without a null they are ``int64`` and ``bool``. Dates
        and decimals are objects, as pandas has no other type for them.

        Raises:
            As :meth:`to_arrow`.
        """
        self._native.collect()
        return _arrow.to_pandas(self._native)

    def to_polars(self) -> polars.DataFrame:
        """A polars DataFrame, mostly over the same memory.

        Raises:
            As :meth:`to_arrow`.
        """
        self._native.collect()
        return _arrow.to_polars(self._native)

    def report(self) -> dict[str, Any]:
        """What the run found, complete once it has been read to its end.

        ``rows``: rows of the spine. ``leaky_rows``: those in which at least one
        view would have shown a value before it was known, had it been joined
        on event time alone. ``views``: for each view its name (``view``),
        ``facts`` read, rows ``present``, rows ``absent`` by reason, ``leaks``.

        Raises:
            InvalidError: it has not been read to its end.
        """
        report: dict[str, Any] = json.loads(self._native.report())
        return report

    def __arrow_c_schema__(self) -> object:
        return self._native.__arrow_c_schema__()

    def __arrow_c_stream__(self, requested_schema: object | None = None) -> object:
        """Record batches of at most 8,192 rows, in the spine's order."""
        return self._native.__arrow_c_stream__(requested_schema)

    def __repr__(self) -> str:
        rows = self._native.rows
        state = "not collected" if rows is None else f"{rows} rows"
        return f"<hitherto.TrainingSet: {state}, {len(self.column_names)} columns>"
