"""Arrow in and out: what a spine can be, and frames of each library.

pandas, polars and pyarrow are imported here and nowhere else, each only by the
call that needs it.
"""

from __future__ import annotations

import importlib
import sys
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    import pandas
    import polars
    import pyarrow


class ArrowStream(Protocol):
    """Tables of pyarrow, polars, pandas, DuckDB and others: record batches."""

    def __arrow_c_stream__(self, requested_schema: object | None = None) -> object: ...


class ArrowArray(Protocol):
    """A single record batch."""

    def __arrow_c_array__(
        self, requested_schema: object | None = None
    ) -> tuple[object, object]: ...


Spine = ArrowStream | ArrowArray
"""Label rows: a DataFrame, a Table, a RecordBatchReader, a RecordBatch."""


def from_spine(spine: Spine) -> Spine:
    """The columns of ``spine`` and nothing else: an index of pandas is no column."""
    pandas = sys.modules.get("pandas")
    if pandas is None or not isinstance(spine, pandas.DataFrame):
        return spine
    columns: Spine = spine.reset_index(drop=True)
    return columns


def to_arrow(stream: ArrowStream) -> pyarrow.Table:
    """A pyarrow Table over the same memory."""
    return _imported("pyarrow", "to_arrow()").table(stream)


def to_schema(exporter: Any) -> pyarrow.Schema:
    """A pyarrow Schema."""
    return _imported("pyarrow", "schema").schema(exporter)


def to_polars(stream: ArrowStream) -> polars.DataFrame:
    """A polars DataFrame, mostly over the same memory."""
    frame: polars.DataFrame = _imported("polars", "to_polars()").DataFrame(stream)
    return frame


def to_pandas(stream: ArrowStream) -> pandas.DataFrame:
    """A pandas DataFrame with a fresh RangeIndex.

    Every column gets the type that pyarrow chooses for it, with one exception:
    integer and boolean columns that contain nulls. pyarrow would turn the first
    into float64, which rounds beyond 2**53, and the second into objects; they
    get pandas' nullable types instead (``Int64``, ``boolean``, ...). Without a
    null they stay ``int64`` and ``bool``.
    """
    pandas = _imported("pandas", "to_pandas()")
    pyarrow = _imported("pyarrow", "to_pandas()")
    nullable = {
        pyarrow.bool_(): pandas.BooleanDtype(),
        pyarrow.int8(): pandas.Int8Dtype(),
        pyarrow.int16(): pandas.Int16Dtype(),
        pyarrow.int32(): pandas.Int32Dtype(),
        pyarrow.int64(): pandas.Int64Dtype(),
        pyarrow.uint8(): pandas.UInt8Dtype(),
        pyarrow.uint16(): pandas.UInt16Dtype(),
        pyarrow.uint32(): pandas.UInt32Dtype(),
        pyarrow.uint64(): pandas.UInt64Dtype(),
    }
    # A spine's own metadata may ask for an index; a training set has none.
    table = pyarrow.table(stream).replace_schema_metadata(None)
    apart = [
        place
        for place, column in enumerate(table.columns)
        if column.null_count and column.type in nullable
    ]
    together = [place for place in range(table.num_columns) if place not in set(apart)]
    frame = table.select(together).to_pandas()
    if not together:
        frame = pandas.DataFrame(index=range(table.num_rows))
    # In ascending order, so that each lands at its own place.
    for place in apart:
        series = table.column(place).to_pandas(types_mapper=nullable.get)
        frame.insert(place, table.column_names[place], series)
    return frame


def _imported(library: str, purpose: str) -> Any:
    try:
        return importlib.import_module(library)
    except ImportError as cause:
        extra = "pandas" if purpose == "to_pandas()" else library
        raise ImportError(
            f'{purpose} needs {library}; install it with: pip install "hitherto[{extra}]"'
        ) from cause
