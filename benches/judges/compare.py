"""Differences between two tables, value by value and bit by bit."""

from __future__ import annotations

from typing import Any, NamedTuple

import pyarrow as pa
import pyarrow.compute as pc


class Difference(NamedTuple):
    """One value on which the two do not agree."""

    row: int
    column: str
    judged: Any
    found: Any


def _bits(values: pa.ChunkedArray) -> pa.Array:
    """Floats as the integers of their bits: NaN is NaN, and -0.0 is not 0.0."""
    array = values.combine_chunks()
    if isinstance(array, pa.ChunkedArray):  # no chunk at all
        array = pa.array([], values.type)
    if pa.types.is_float64(array.type):
        return array.view(pa.int64())
    if pa.types.is_float32(array.type):
        return array.view(pa.int32())
    return array


def unequal_rows(judged: pa.ChunkedArray, found: pa.ChunkedArray) -> list[int]:
    """The rows in which two columns differ; null equals null alone.

    The judged column is first cast to the found one's type, without loss.
    """
    left, right = _bits(judged.cast(found.type)), _bits(found)
    both_null = pc.and_(left.is_null(), right.is_null())
    same = pc.coalesce(pc.equal(left, right), both_null)
    rows: list[int] = pc.indices_nonzero(pc.invert(same)).to_pylist()
    return rows


def differences(judged: pa.Table, found: pa.Table, columns: dict[str, str]) -> list[Difference]:
    """Every value of the judged columns that differs; ``columns`` names each
    one's counterpart in ``found``."""
    if judged.num_rows != found.num_rows:
        return [Difference(-1, "number of rows", judged.num_rows, found.num_rows)]
    different = []
    for column, counterpart in columns.items():
        left, right = judged[column], found[counterpart]
        for row in unequal_rows(left, right):
            different.append(Difference(row, column, left[row].as_py(), right[row].as_py()))
    return different
