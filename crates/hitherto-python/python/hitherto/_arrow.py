"""Arrow in and out: who speaks it, and frames of each library.

pandas, polars, pyarrow, numpy and torch are imported here and in no other way,
each only by the call that needs it.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Collection, Iterator, Sequence
from datetime import date
from typing import TYPE_CHECKING, Any, Protocol

from ._errors import InvalidError

if TYPE_CHECKING:
    import numpy
    import polars
    import pyarrow
    import torch
    from pandas import DataFrame

    Matrix = numpy.ndarray[Any, numpy.dtype[Any]]


EPOCH = date(1970, 1, 1)


class ArrowStream(Protocol):
    """Tables of pyarrow, polars, pandas, DuckDB and others: record batches."""

    def __arrow_c_stream__(self, requested_schema: object | None = None) -> object: ...


class ArrowArray(Protocol):
    """A single record batch."""

    def __arrow_c_array__(
        self, requested_schema: object | None = None
    ) -> tuple[object, object]: ...


def to_arrow(stream: ArrowStream) -> pyarrow.Table:
    """A pyarrow Table over the same memory."""
    return imported("pyarrow", "to_arrow()").table(stream)


def to_reader(
    stream: ArrowStream, failure: Callable[[], BaseException | None]
) -> pyarrow.RecordBatchReader:
    """A pyarrow reader. When it breaks off it raises ``failure()``, if that is something:
    the Arrow interface hands on the text of an error, and not its class."""
    readers = imported("pyarrow", "to_reader()").RecordBatchReader
    reader = readers.from_stream(stream)
    return readers.from_batches(reader.schema, _batches(reader, failure))


def _batches(
    reader: pyarrow.RecordBatchReader, failure: Callable[[], BaseException | None]
) -> Iterator[pyarrow.RecordBatch]:
    try:
        yield from reader
    except imported("pyarrow", "reading batches").ArrowException as cause:
        error = failure()
        if error is None:
            raise
        raise error from cause


def chosen(rows: Any, places: Matrix) -> Any:
    """The rows of a table or batch at ``places``, in columns of the same types.

    pyarrow cannot choose among views of text and bytes, which polars sends; they
    become plain ones for as long as it takes.
    """
    pyarrow = imported("pyarrow", "choosing rows")
    plain = {
        pyarrow.string_view(): pyarrow.large_string(),
        pyarrow.binary_view(): pyarrow.large_binary(),
    }
    fields = [field.with_type(plain.get(field.type, field.type)) for field in rows.schema]
    taken = rows.cast(pyarrow.schema(fields)).take(pyarrow.array(places))
    return taken.cast(rows.schema)


def to_schema(exporter: Any) -> pyarrow.Schema:
    """A pyarrow Schema."""
    return imported("pyarrow", "schema").schema(exporter)


def to_polars(stream: ArrowStream) -> polars.DataFrame:
    """A polars DataFrame, mostly over the same memory."""
    frame: polars.DataFrame = imported("polars", "to_polars()").DataFrame(stream)
    return frame


def to_pandas(stream: ArrowStream, nullable_names: Collection[str] = ()) -> DataFrame:
    """A pandas DataFrame with a fresh RangeIndex.

    Every column gets the type that pyarrow chooses for it, with one exception:
    integer and boolean columns that contain nulls. pyarrow would turn the first
    into float64, which rounds beyond 2**53, and the second into objects; they
    get pandas' nullable types instead (``Int64``, ``boolean``, ...). Without a
    null they stay ``int64`` and ``bool``. A column of dates, of which some lie outside
    of Python's years 1 to 9999, is of pandas' ``datetime64[ms]`` and not of objects.
    """
    pandas = imported("pandas", "to_pandas()")
    pyarrow = imported("pyarrow", "to_pandas()")
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
    names = table.column_names
    apart = [
        place
        for place, column in enumerate(table.columns)
        if column.type in nullable and (column.null_count or names[place] in nullable_names)
    ]
    together = [place for place in range(table.num_columns) if place not in set(apart)]
    table = _with_far_dates(table)
    frame: DataFrame = table.select(together).to_pandas()
    if not together:
        frame = pandas.DataFrame(index=range(table.num_rows))
    # In ascending order, so that each lands at its own place.
    for place in apart:
        series = table.column(place).to_pandas(types_mapper=nullable.get)
        frame.insert(place, table.column_names[place], series)
    return frame


def _with_far_dates(table: pyarrow.Table) -> pyarrow.Table:
    """Columns of dates that Python's calendar does not hold, as timestamps, which
    pandas does."""
    pyarrow, compute = (imported(name, "to_pandas()") for name in ("pyarrow", "pyarrow.compute"))
    for place, column in enumerate(table.columns):
        if pyarrow.types.is_date32(column.type) and len(column) > column.null_count:
            bounds = compute.min_max(column.cast(pyarrow.int32())).as_py()
            if bounds["min"] < FIRST_DAY or bounds["max"] > LAST_DAY:
                days = column.cast(pyarrow.int32()).cast(pyarrow.int64())
                millis = compute.multiply(days, 86_400_000).cast(pyarrow.timestamp("ms"))
                table = table.set_column(place, table.column_names[place], millis)
    return table


FIRST_DAY, LAST_DAY = (day.toordinal() - EPOCH.toordinal() for day in (date.min, date.max))
"""Days since 1970 of the ends of Python's calendar."""


def to_matrix(table: pyarrow.Table, names: Sequence[str], dtype: str) -> Matrix:
    """The columns ``names`` as a matrix of floats, nulls as NaN.

    Raises:
        InvalidError: one is not there, or is not of numbers or bools.
    """
    pyarrow, numpy = imported("pyarrow", "to_numpy()"), imported("numpy", "to_numpy()")
    check_names(names)
    check_dtype(dtype)
    missing = [name for name in names if name not in table.column_names]
    if missing:
        there = ", ".join(table.column_names)
        raise InvalidError(f"there is no column {missing[0]!r}; there are {there}")
    kinds = pyarrow.types
    wrong = [
        f"{name} ({table.schema.field(name).type})"
        for name in names
        if not any(
            check(table.schema.field(name).type)
            for check in (kinds.is_integer, kinds.is_floating, kinds.is_boolean, kinds.is_decimal)
        )
    ]
    if wrong:
        raise InvalidError(not_numbers(wrong))
    matrix: Matrix = numpy.empty((table.num_rows, len(names)), dtype)
    for place, name in enumerate(names):
        column = table.column(name)
        if kinds.is_boolean(column.type):
            column = column.cast(pyarrow.uint8())
        # Arrow multiplies a decimal by a power of ten, which is often off by a bit; text is
        # read as the nearest float, which is what a lookup gives.
        if kinds.is_decimal(column.type):
            column = column.cast(pyarrow.string())
        # A null becomes NaN, an integer beyond 2**53 its nearest neighbour.
        matrix[:, place] = column.cast(pyarrow.float64(), safe=False).to_numpy()
    return matrix


def check_names(names: Sequence[str] | None) -> None:
    """Refuses one name for a list of them."""
    if isinstance(names, str):
        raise InvalidError(f"a list of columns is needed; write [{names!r}]")


def check_dtype(dtype: str) -> None:
    """Refuses what cannot say that there is no value."""
    if dtype not in ("float32", "float64"):
        raise InvalidError(f"a matrix is of float32 or float64, where NaN is null; found {dtype!r}")


def not_numbers(wrong: Sequence[str]) -> str:
    """What to say of columns that no matrix can hold."""
    return (
        f"a matrix holds numbers and bools, not {', '.join(wrong)}; name the columns that it "
        "is to have, or take to_pandas(), to_polars() or to_arrow()"
    )


def to_tensor(matrix: Matrix) -> torch.Tensor:
    """A torch tensor over the same memory."""
    tensor: torch.Tensor = imported("torch", "to_torch()").from_numpy(matrix)
    return tensor


EXTRAS = {"numpy", "pandas", "polars", "pyarrow"}
"""Libraries that are extras of the package, under their own names."""


def imported(library: str, purpose: str) -> Any:
    """``library``, or what to install for ``purpose``.

    Raises:
        ImportError: it is not installed.
    """
    try:
        return importlib.import_module(library)
    except ImportError as cause:
        name = library.partition(".")[0]
        extra = "pandas" if purpose == "to_pandas()" else name
        what = f'"hitherto[{extra}]"' if extra in EXTRAS else name
        raise ImportError(f"{purpose} needs {name}; install it with: pip install {what}") from cause
