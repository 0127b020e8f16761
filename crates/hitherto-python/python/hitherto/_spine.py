"""What a spine can be, and which of its rows are sampled."""

from __future__ import annotations

import os
import re
import sys
from typing import Any

from . import _frames, _parquet
from ._arrow import ArrowArray, ArrowStream, chosen, imported
from ._errors import InvalidError
from ._time import Moment, to_micros

Spine = ArrowStream | ArrowArray | str | os.PathLike[str]
"""Label rows: a DataFrame, a Table, a RecordBatchReader, a RecordBatch, the path of
a Parquet file, or SQL."""

SQL = re.compile(
    r"""(?:[\s(]|--[^\n]*(?:\n|$)|/\*.*?\*/)*"""
    r"""(?:(?:select|with)(?=[\s("'*]|--|/\*)"""
    r"""|(?:explain|describe|show|values|insert|update|delete|create|drop|copy|set)(?=[\s(])"""
    r"""(?!.*\.parquet$))""",
    re.IGNORECASE | re.DOTALL,
)
"""How a text that is SQL begins: after space, parentheses and comments with one of the
words that begin a statement, and not as ``with-labels.parquet`` does. That a spine is a
query, and no other statement, is for the engine to say."""

Asked = tuple[str, object]
"""The form of a spine, and what it is made of."""


def asked(
    spine: Spine | None,
    at: Moment | None,
    between: tuple[Moment, Moment] | None,
    sample: float | None,
    is_remote: bool,
) -> Asked:
    """The spine in the form that the engine takes. A server is sent rows for a file.

    Raises:
        InvalidError: there is not exactly one of the three, or rows to sample.
    """
    if sum(given is not None for given in (spine, at, between)) != 1:
        raise InvalidError(
            "rows come from one place: a spine, at=... for all entities at one moment, or "
            "between=(..., ...) for all facts of a window"
        )
    if spine is None:
        if sample is not None:
            raise InvalidError("sample= chooses among label rows; filter what at= or between= give")
        return ("at", to_micros(at)) if between is None else ("between", _window(between))
    if isinstance(spine, str) and SQL.match(spine):
        if sample is not None:
            raise InvalidError("sample= chooses among rows; choose in the query, such as by LIMIT")
        return "sql", spine
    if sample is not None:
        return "rows", _sampled(read(spine), sample)
    if isinstance(spine, (str, os.PathLike)) and not is_remote:
        return "file", _parquet.found(spine)
    rows = read(spine)
    pyarrow = sys.modules.get("pyarrow")
    is_reader = pyarrow is not None and isinstance(rows, pyarrow.RecordBatchReader)
    return ("reader" if is_reader else "rows"), rows


def _window(between: object) -> tuple[int, int]:
    """Begin and end in microseconds UTC."""
    if isinstance(between, (tuple, list)) and len(between) == 2:
        after, until = (to_micros(moment) for moment in between)
        if after is not None and until is not None:
            return after, until
    raise InvalidError(f"between is two moments, such as ('2026-01-01', '2026-02-01'); {between=}")


def read(spine: Spine) -> ArrowStream | ArrowArray:
    """The columns of ``spine`` and nothing else: an index of pandas is no column.

    Raises:
        InvalidError: a frame cannot be read as Arrow data; it is one column alone.
    """
    if isinstance(spine, (str, os.PathLike)):
        reader: ArrowStream = _parquet.read(spine)
        return reader
    if _frames.is_series(spine):
        raise InvalidError(
            "rows come in a frame with named columns; found a Series: write series.to_frame()"
        )
    rows = _frames.to_table(spine) if _frames.is_frame(spine) else _frames.plain(spine)
    found: ArrowStream | ArrowArray = rows
    return found


def _sampled(rows: Any, sample: float) -> ArrowStream:
    """So many rows, or such a share of them.

    A row is chosen by a hash of its place, so the same spine gives the same
    rows, and a larger sample holds a smaller one.
    """
    pyarrow, numpy = imported("pyarrow", "sample="), imported("numpy", "sample=")
    is_share = isinstance(sample, float)
    if isinstance(sample, bool) or sample < 0 or (is_share and not sample <= 1):
        raise InvalidError(
            f"sample is a number of rows, or a share of them from 0.0 to 1.0; found {sample!r}"
        )
    speaks_stream = hasattr(rows, "__arrow_c_stream__")
    table = pyarrow.table(rows) if speaks_stream else pyarrow.table(pyarrow.record_batch(rows))
    wanted = min(round(sample * table.num_rows) if is_share else int(sample), table.num_rows)
    order = numpy.argsort(place_hashes(table.num_rows), kind="stable")
    sampled: ArrowStream = chosen(table, numpy.sort(order[:wanted]))
    return sampled


def place_hashes(rows: int) -> Any:
    """SplitMix64 of 0, 1, 2, ...: 64 bits a row, no two alike."""
    numpy = imported("numpy", "sample=")
    state = numpy.arange(1, rows + 1, dtype=numpy.uint64) * numpy.uint64(0x9E3779B97F4A7C15)
    state = (state ^ (state >> numpy.uint64(30))) * numpy.uint64(0xBF58476D1CE4E5B9)
    state = (state ^ (state >> numpy.uint64(27))) * numpy.uint64(0x94D049BB133111EB)
    return state ^ (state >> numpy.uint64(31))
