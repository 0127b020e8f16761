"""Parquet in and out, a batch at a time.

What is written grows under a name beside the wanted one and is renamed when it
is complete, so that nobody ever reads half of it.
"""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Generator, Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ._arrow import check_names, imported
from ._errors import InvalidError

if TYPE_CHECKING:
    import pyarrow

GROUP_ROWS = 131_072
"""Rows of a row group, unless a file ends before: small enough to be held,
large enough to be read well."""


def found(path: str | os.PathLike[str]) -> str:
    """The path of a file that is there.

    Raises:
        InvalidError: it is not.
    """
    if not Path(path).is_file():
        raise InvalidError(
            "a spine is a frame, SQL, or the path of a Parquet file; there is no file "
            f"{os.fspath(path)}"
        )
    return os.fspath(path)


def read(path: str | os.PathLike[str]) -> pyarrow.RecordBatchReader:
    """The rows of a Parquet file, in its order."""
    arrow, parquet = imported("pyarrow", "a spine from a file"), _parquet()
    found(path)
    try:
        # Buffering ahead would hold all of the file, beside what is read of it. Nanoseconds
        # would wrap in the year 2262.
        file = parquet.ParquetFile(path, pre_buffer=False, coerce_int96_timestamp_unit="us")
    except arrow.ArrowInvalid as cause:
        raise InvalidError(f"{os.fspath(path)} is not a Parquet file: {cause}") from cause
    reader: pyarrow.RecordBatchReader = arrow.RecordBatchReader.from_batches(
        file.schema_arrow, file.iter_batches()
    )
    return reader


def write(
    reader: pyarrow.RecordBatchReader,
    path: str | os.PathLike[str],
    partition_by: Sequence[str],
    max_rows_per_file: int | None,
) -> int:
    """Writes all rows of ``reader`` to ``path``; see ``Rows.write_parquet``."""
    check_names(partition_by)
    missing = [name for name in partition_by if name not in reader.schema.names]
    if missing:
        raise InvalidError(
            f"there is no column {missing[0]!r} to partition by; there are "
            f"{', '.join(reader.schema.names)}"
        )
    if max_rows_per_file is not None and max_rows_per_file < 1:
        raise InvalidError(f"a file holds at least one row; found {max_rows_per_file=}")
    wanted = Path(path)
    if not partition_by and max_rows_per_file is None:
        with becoming(wanted) as growing:
            return _write_file(reader, growing)
    if wanted.exists() and (not wanted.is_dir() or any(wanted.iterdir())):
        raise InvalidError(f"{wanted} is not empty; name a new folder or an empty one")
    with becoming(wanted) as growing:
        return _write_folder(reader, growing, partition_by, max_rows_per_file)


def write_each(
    schema: pyarrow.Schema,
    groups: Iterable[Sequence[pyarrow.RecordBatch]],
    paths: Sequence[Path],
) -> list[int]:
    """Writes to each path its own of every group of batches, all at once."""
    with contextlib.ExitStack() as stack:
        growing = [stack.enter_context(becoming(path)) for path in paths]
        files = [stack.enter_context(_File(schema, path)) for path in growing]
        for group in groups:
            for file, batch in zip(files, group, strict=True):
                file.write(batch)
        return [file.rows for file in files]


class _File:
    """A Parquet file that is being written, a row group at a time."""

    def __init__(self, schema: pyarrow.Schema, path: Path) -> None:
        self._schema = schema
        self._writer = _parquet().ParquetWriter(path, schema, compression="zstd")
        self._waiting: list[pyarrow.RecordBatch] = []
        self._rows_waiting = 0
        self.rows = 0

    def write(self, batch: pyarrow.RecordBatch) -> None:
        self._waiting.append(batch)
        self._rows_waiting += batch.num_rows
        self.rows += batch.num_rows
        if self._rows_waiting >= GROUP_ROWS:
            self._flush()

    def _flush(self) -> None:
        pyarrow = imported("pyarrow", "write_parquet()")
        if self._rows_waiting:
            self._writer.write_table(pyarrow.Table.from_batches(self._waiting, self._schema))
        self._waiting, self._rows_waiting = [], 0

    def __enter__(self) -> _File:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is None:
            self._flush()
        self._writer.close()


def _write_file(reader: pyarrow.RecordBatchReader, path: Path) -> int:
    with _File(reader.schema, path) as file:
        for batch in reader:
            file.write(batch)
    return file.rows


def _write_folder(
    reader: pyarrow.RecordBatchReader,
    folder: Path,
    partition_by: Sequence[str],
    max_rows_per_file: int | None,
) -> int:
    arrow, dataset = (imported(name, "write_parquet()") for name in ("pyarrow", "pyarrow.dataset"))
    rows = 0

    def counted() -> Iterator[pyarrow.RecordBatch]:
        nonlocal rows
        for batch in reader:
            rows += batch.num_rows
            yield batch

    folder.mkdir()
    reader = _with_plain_text(reader, partition_by)
    partitions = arrow.schema([reader.schema.field(name) for name in partition_by])
    dataset.write_dataset(
        arrow.RecordBatchReader.from_batches(reader.schema, counted()),
        folder,
        format="parquet",
        file_options=dataset.ParquetFileFormat().make_write_options(compression="zstd"),
        partitioning=dataset.partitioning(partitions, flavor="hive"),
        basename_template="part-{i}.parquet",
        max_rows_per_file=max_rows_per_file or 0,
        min_rows_per_group=min(GROUP_ROWS, max_rows_per_file or GROUP_ROWS),
        max_rows_per_group=min(GROUP_ROWS, max_rows_per_file or GROUP_ROWS),
        # In one thread rows keep their order.
        use_threads=False,
    )
    if rows == 0 and not partition_by:
        # Without a file nobody could read which columns there are.
        _write_file(reader.schema.empty_table().to_reader(), folder / "part-0.parquet")
    return rows


def _with_plain_text(
    reader: pyarrow.RecordBatchReader, names: Sequence[str]
) -> pyarrow.RecordBatchReader:
    """The same rows; text to partition by is plain text, where pyarrow cannot take the
    views of it that polars sends."""
    arrow = imported("pyarrow", "write_parquet()")
    fields = [
        field.with_type(arrow.string())
        if field.name in names and field.type == arrow.string_view()
        else field
        for field in reader.schema
    ]
    schema = arrow.schema(fields, reader.schema.metadata)
    if schema == reader.schema:
        return reader
    return arrow.RecordBatchReader.from_batches(schema, (batch.cast(schema) for batch in reader))


@contextlib.contextmanager
def becoming(path: Path) -> Generator[Path, None, None]:
    """A name that becomes ``path`` when all went well, and is gone otherwise."""
    growing = path.with_name(f".{path.name}.{os.getpid()}.partial")
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        yield growing
        if growing.is_dir() and path.is_dir():
            path.rmdir()
        growing.replace(path)
    finally:
        if growing.is_dir():
            shutil.rmtree(growing)
        else:
            growing.unlink(missing_ok=True)


def _parquet() -> Any:
    return imported("pyarrow.parquet", "Parquet")
