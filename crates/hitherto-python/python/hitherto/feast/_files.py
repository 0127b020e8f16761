"""Parquet files of a Feast repository, as Feast reads and writes them.

No file is written in place: one that grows, or is replaced, is written beside itself
and renamed, and a folder gets one more file. Two processes that add to one file at the
same time can still lose the rows of one of them; give the source a folder, then.
"""

from __future__ import annotations

import uuid
from datetime import datetime
from pathlib import Path

import pyarrow
import pyarrow.compute as compute
import pyarrow.dataset as dataset
import pyarrow.parquet as parquet
from feast.errors import SavedDatasetLocationAlreadyExists

from .._errors import InvalidError
from .._parquet import becoming
from .._time import to_micros

MICROS = {"s": 1_000_000, "ms": 1_000, "us": 1}
DAY_MICROS = 86_400 * MICROS["s"]


def within(
    column: str, kind: pyarrow.DataType, start: datetime | None, end: datetime | None
) -> compute.Expression:
    """Rows whose time is from ``start`` to ``end``, both included.

    A bound is turned into the column's own unit, inwards: a file of milliseconds has
    nothing between two of them.

    Raises:
        InvalidError: the column is not one of times.
    """
    time, found = compute.field(column), compute.scalar(True)
    if start is not None:
        found = found & (time >= _bound(column, kind, start, is_start=True))
    if end is not None:
        found = found & (time <= _bound(column, kind, end, is_start=False))
    return found


def _bound(
    column: str, kind: pyarrow.DataType, moment: datetime, *, is_start: bool
) -> pyarrow.Scalar:
    micros = to_micros(moment) or 0
    if pyarrow.types.is_timestamp(kind) and kind.unit == "ns":
        # What a column of nanoseconds cannot hold is before or after all of it.
        count = max(-(2**63), min(micros * 1_000, 2**63 - 1))
        return pyarrow.scalar(count, pyarrow.int64()).cast(kind)
    if pyarrow.types.is_timestamp(kind):
        per, number = MICROS[kind.unit], pyarrow.int64()
    elif pyarrow.types.is_date32(kind):
        per, number = DAY_MICROS, pyarrow.int32()
    else:
        raise InvalidError(f"column {column!r} holds no times: it is {kind}, not a timestamp")
    return pyarrow.scalar(-(-micros // per) if is_start else micros // per, number).cast(kind)


def append(path: Path, table: pyarrow.Table) -> None:
    """Adds rows to the file or folder at ``path``, in the types that it has.

    Raises:
        InvalidError: the columns are others, or a value does not fit its column.
    """
    files = dataset.dataset(path, format="parquet")
    if sorted(table.column_names) != sorted(files.schema.names):
        raise InvalidError(
            f"{path} has the columns {', '.join(files.schema.names)}; found "
            f"{', '.join(table.column_names)}"
        )
    rows = _cast(path, table.select(files.schema.names), files.schema)
    if path.is_dir():
        with becoming(path / f"{uuid.uuid4().hex}.parquet") as growing:
            parquet.write_table(rows, growing)
        return
    with (
        becoming(path) as growing,
        parquet.ParquetFile(path) as before,
        parquet.ParquetWriter(growing, files.schema) as writer,
    ):
        for group in range(before.num_row_groups):
            writer.write_table(before.read_row_group(group).cast(files.schema))
        writer.write_table(rows)


def _cast(path: Path, table: pyarrow.Table, schema: pyarrow.Schema) -> pyarrow.Table:
    columns: list[pyarrow.ChunkedArray] = []
    for field in schema:
        try:
            columns.append(table.column(field.name).cast(field.type))
        except pyarrow.ArrowException as cause:
            raise InvalidError(
                f"column {field.name!r} of {path} is {field.type}, and the rows to add have "
                f"{table.schema.field(field.name).type}: {cause}"
            ) from cause
    return pyarrow.table(columns, schema=schema)


def check_free(path: Path, *, allow_overwrite: bool) -> None:
    """Refuses to write over something.

    Raises:
        SavedDatasetLocationAlreadyExists: there is something already.
    """
    if path.exists() and not allow_overwrite:
        raise SavedDatasetLocationAlreadyExists(location=str(path))


def persist(path: Path, table: pyarrow.Table) -> None:
    """Writes a saved dataset: a file, if it is named ``*.parquet``, or else one file in
    a folder, instead of the Parquet files that lie in it."""
    if path.suffix == ".parquet":
        with becoming(path) as growing:
            parquet.write_table(table, growing)
        return
    former = list(path.glob("*.parquet"))
    with becoming(path / f"{uuid.uuid4().hex}.parquet") as growing:
        parquet.write_table(table, growing)
    for file in former:
        file.unlink()


def write_logs(path: Path, logs: pyarrow.Table | Path, partition_by: list[str] | None) -> None:
    """Adds logged features to a folder, as files of their own."""
    dataset.write_dataset(
        parquet.read_table(logs) if isinstance(logs, Path) else logs,
        path,
        basename_template=f"{uuid.uuid4().hex}-{{i}}.parquet",
        partitioning=partition_by,
        format="parquet",
        existing_data_behavior="overwrite_or_ignore",
    )
