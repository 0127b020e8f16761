"""What a spine can be, and which of its rows are sampled."""

from __future__ import annotations

import os
import sys
from typing import Any

from . import _parquet
from ._arrow import ArrowArray, ArrowStream, chosen, imported
from ._errors import InvalidError

Spine = ArrowStream | ArrowArray | str | os.PathLike[str]
"""Label rows: a DataFrame, a Table, a RecordBatchReader, a RecordBatch, or the
path of a Parquet file."""


def read(spine: Spine, sample: float | None) -> ArrowStream | ArrowArray:
    """The columns of ``spine`` and nothing else: an index of pandas is no column.

    Of its rows those that are sampled, in their order.
    """
    if isinstance(spine, (str, os.PathLike)):
        rows: Any = _parquet.read(spine)
    else:
        pandas = sys.modules.get("pandas")
        rows = spine
        if pandas is not None and isinstance(spine, pandas.DataFrame):
            rows = rows.reset_index(drop=True)
    return rows if sample is None else _sampled(rows, sample)


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
