"""Training sets: the spine's rows with their features."""

from __future__ import annotations

import json
from datetime import timedelta
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
        ``facts`` read, rows ``present``, rows ``absent`` by reason, ``leaks``,
        ``age`` of the facts that answer (``p50_micros``, ``p95_micros``,
        ``max_micros``; None without one), and for each feature the rows in which
        it is null (``nulls``).

        Raises:
            InvalidError: it has not been read to its end.
        """
        report: dict[str, Any] = json.loads(self._native.report())
        return report

    def check(
        self,
        *,
        max_null_rate: float | None = None,
        max_leak_rate: float | None = None,
        max_age: timedelta | None = None,
    ) -> None:
        """Raises when the report is beyond a bound; for pipelines.

        Args:
            max_null_rate: share of rows, from 0 to 1, in which any one feature
                may be null.
            max_leak_rate: share of rows that a join on event time alone may leak
                into, in any one view.
            max_age: what 19 of 20 facts of any one view may not be older than.

        Raises:
            InvalidError: a line for everything beyond its bound; or it has not
                been read to its end.
        """
        micros = None if max_age is None else max_age // timedelta(microseconds=1)
        self._native.check(max_null_rate, max_leak_rate, micros)

    @property
    def manifest(self) -> dict[str, Any]:
        """The record of what the rows are made of, to be kept with a model.

        The request, the features as they were found, a hash of every view's
        definition, every source file with size and fingerprint, spine and rows
        each with their number and content hash. Reads source files that no
        online copy has consumed as they are. ``hitherto training-set --check``
        builds the rows again and compares.

        Raises:
            InvalidError: it has not been read to its end.
            ConflictError: a source file changed while the rows were built.
        """
        manifest: dict[str, Any] = json.loads(self._native.manifest())
        return manifest

    @property
    def content_hash(self) -> str:
        """A hash of all rows and columns, the same for the same rows however
        they were built. Not cryptographic: it finds accidents, not forgery.

        Raises:
            As :attr:`manifest`.
        """
        content: str = self.manifest["content"]["hash"]
        return content

    def __arrow_c_schema__(self) -> object:
        return self._native.__arrow_c_schema__()

    def __arrow_c_stream__(self, requested_schema: object | None = None) -> object:
        """Record batches of at most 8,192 rows, in the spine's order."""
        return self._native.__arrow_c_stream__(requested_schema)

    def __repr__(self) -> str:
        rows = self._native.rows
        state = "not collected" if rows is None else f"{rows} rows"
        return f"<hitherto.TrainingSet: {state}, {len(self.column_names)} columns>"
