"""Frames of pandas and columns of pyarrow, as the engine can take them.

What a frame cannot say in Arrow is said here in the frame's own words, by column and
row; values stay out of messages. A frame's index is no column, and where a column is
missed that the index has, the error says so.
"""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Generator, Iterable, Mapping
from typing import Any

from ._arrow import imported
from ._errors import InvalidError

ALIGNED_BYTES = 8
"""Where buffers of a C interface begin, at a multiple of this; Arrow's specification
asks for it, and does not promise it."""


def is_frame(rows: object) -> bool:
    """Whether it is a DataFrame of pandas."""
    pandas = sys.modules.get("pandas")
    return pandas is not None and isinstance(rows, pandas.DataFrame)


def is_series(rows: object) -> bool:
    """Whether it is one column, of pandas or polars."""
    libraries = (sys.modules.get("pandas"), sys.modules.get("polars"))
    return any(library is not None and isinstance(rows, library.Series) for library in libraries)


def to_table(frame: Any) -> Any:
    """The columns of a DataFrame of pandas, without its index.

    Raises:
        InvalidError: two columns have one name, or the values of one have several types.
    """
    pyarrow = imported("pyarrow", "a DataFrame of pandas")
    check_names(frame.columns)
    try:
        table: Any = pyarrow.Table.from_pandas(frame, preserve_index=False)
    except (pyarrow.ArrowException, TypeError, ValueError, OverflowError) as cause:
        raise InvalidError(_unreadable(frame) or f"the frame cannot be read: {cause}") from cause
    return table


def check_names(names: Iterable[object]) -> None:
    """Refuses two columns of one name."""
    seen: set[object] = set()
    for name in names:
        if name in seen:
            raise InvalidError(f"the frame has two columns named {name!r}; rename one, or drop it")
        seen.add(name)


def _unreadable(frame: Any) -> str | None:
    """Which column is in no Arrow type, and why."""
    pyarrow = imported("pyarrow", "a DataFrame of pandas")
    for place, name in enumerate(frame.columns):
        column = frame.iloc[:, place]
        try:
            pyarrow.Array.from_pandas(column)
        except (pyarrow.ArrowException, TypeError, ValueError, OverflowError) as cause:
            first: dict[str, int] = {}
            for row, value in enumerate(column):
                if value is not None and not (isinstance(value, float) and value != value):
                    first.setdefault(type(value).__name__, row)
            if len(first) < 2:
                return (
                    f"column {name!r} of the frame holds values of type {', '.join(first)} that "
                    f"Arrow cannot keep ({type(cause).__name__}); make them numbers, text or times"
                )
            types = " and ".join(f"{kind} (row {row})" for kind, row in list(first.items())[:3])
            return (
                f"column {name!r} of the frame mixes {types}; give all of its values one type, "
                "such as by astype(str), or leave the column out"
            )
    return None


@contextlib.contextmanager
def naming_index(rows: object) -> Generator[None, None, None]:
    """Adds to an error about a column that is missing that the frame's index has it."""
    try:
        yield
    except InvalidError as error:
        hint = _index_hint(rows, str(error)) if is_frame(rows) else None
        if hint is None:
            raise
        raise InvalidError(f"{error}; {hint}") from error


def _index_hint(frame: Any, error: str) -> str | None:
    if "no column" not in error:
        return None
    for name in frame.index.names:
        if name is not None and f'no column "{name}"' in error:
            return f"{name!r} is in the frame's index: reset_index() makes a column of it"
    is_unnamed = frame.index.names == [None]
    if is_unnamed and "datetime64" in str(frame.index.dtype) and "column of times" in error:
        return (
            "the frame's index has times: rename_axis('event_timestamp').reset_index() makes a "
            "column of them"
        )
    return None


def key_columns(keys: Any) -> Mapping[str, Any]:
    """Join keys to their values.

    Raises:
        InvalidError: it is one column, whose join key nothing says, or nothing like a
            mapping.
    """
    if isinstance(keys, Mapping):
        return keys
    if is_frame(keys):
        check_names(keys.columns)
        return {str(name): keys[name] for name in keys.columns}
    polars = sys.modules.get("polars")
    if polars is not None and isinstance(keys, polars.DataFrame):
        return {column.name: column for column in keys.iter_columns()}
    shown = '{"customer_id": [1, 2]}'
    if is_series(keys):
        shown = f"{{{str(keys.name or 'customer_id')!r}: series}}"
    raise InvalidError(
        f"keys is a mapping of join keys to lists, such as {shown}; found {_kind(keys)}"
    )


def _kind(value: object) -> str:
    module, name = type(value).__module__.partition(".")[0], type(value).__name__
    return f"a {name}" if module == "builtins" else f"a {module} {name}"


def plain(rows: Any) -> Any:
    """Rows as the C interface hands them on without loss. A frame of polars with a
    column of nothing but null goes by way of pyarrow, since polars sends a buffer for
    it, which Arrow has none for; batches of pyarrow, see :func:`aligned`."""
    polars = sys.modules.get("polars")
    if polars is not None and isinstance(rows, polars.DataFrame) and polars.Null in rows.dtypes:
        imported("pyarrow", "a polars column of nothing but null")
        return rows.to_arrow()
    return aligned(rows)


def aligned(rows: Any) -> Any:
    """A Table or RecordBatch of pyarrow whose buffers begin where Arrow's do; a batch
    with one that does not is copied. Anything else is what it was."""
    pyarrow = sys.modules.get("pyarrow")
    if pyarrow is None or not isinstance(rows, (pyarrow.Table, pyarrow.RecordBatch)):
        return rows
    is_table = isinstance(rows, pyarrow.Table)
    arrays = [
        chunk for column in rows.columns for chunk in (column.chunks if is_table else [column])
    ]
    if all(_is_aligned(array) for array in arrays):
        return rows
    batches = rows.to_batches() if is_table else [rows]
    sink = pyarrow.BufferOutputStream()
    with pyarrow.ipc.new_stream(sink, rows.schema) as stream:
        for batch in batches:
            stream.write_batch(batch)
    return pyarrow.ipc.open_stream(sink.getvalue()).read_all()


def _is_aligned(array: Any) -> bool:
    return all(buffer is None or buffer.address % ALIGNED_BYTES == 0 for buffer in array.buffers())
