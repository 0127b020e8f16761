"""Splits: the rows of a training set in three parts.

By entity, a row's part follows from its join keys and the seed alone, whatever
the order of rows, the batches and the machine:

    BLAKE2b, 8 bytes, keyed with the seed (8 bytes, big endian), of every join
    key in turn: a letter for its kind (n null, b bool, i integer, s text,
    x bytes, d date), the length of what follows (8 bytes, big endian), the
    value: decimal digits, UTF-8, bytes, or a date as 2180-07-23

read as a big-endian number, is a point of [0, 2**64): the first share of that
range is training, the next validation, the rest test. So more rows never move
an entity, and neither does a wider integer type.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from datetime import date, datetime
from hashlib import blake2b
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from . import _arrow, _parquet
from ._errors import InvalidError
from ._rows import Rows

if TYPE_CHECKING:
    import os

    import pyarrow

    from ._arrow import Matrix

PARTS = ("train", "validation", "test")


class Assignment(Protocol):
    """Says for each row of a batch which part it belongs to: 0, 1 or 2."""

    def __call__(self, batch: pyarrow.RecordBatch) -> Matrix: ...


class Split:
    """The rows of a training set, each in one of three parts.

    ``train, validation, test = split`` also works. Reading a part keeps the
    rows of the whole training set, as reading that does;
    :meth:`write_parquet` does not.
    """

    __slots__ = ("_assign", "_whole", "test", "train", "validation")

    train: Part
    validation: Part
    test: Part

    def __init__(self, whole: Rows, assign: Assignment) -> None:
        self._whole = whole
        self._assign = assign
        self.train, self.validation, self.test = (
            Part(whole, assign, place) for place in range(len(PARTS))
        )

    def __iter__(self) -> Iterator[Part]:
        return iter((self.train, self.validation, self.test))

    def write_parquet(self, folder: str | os.PathLike[str]) -> dict[str, int]:
        """Writes ``train.parquet``, ``validation.parquet`` and ``test.parquet``
        in one pass, batch by batch.

        Returns:
            How many rows each has, by its name.

        Raises:
            As :meth:`~hitherto.TrainingSet.to_arrow`; nothing is written then.
        """
        reader = self._whole.to_reader()
        paths = [Path(folder) / f"{part}.parquet" for part in PARTS]
        rows = _parquet.write_each(reader.schema, self._parts(reader), paths)
        return dict(zip(PARTS, rows, strict=True))

    def _parts(self, reader: pyarrow.RecordBatchReader) -> Iterator[list[pyarrow.RecordBatch]]:
        for batch in reader:
            assigned = self._assign(batch)
            yield [
                _arrow.chosen(batch, (assigned == place).nonzero()[0])
                for place in range(len(PARTS))
            ]

    def __repr__(self) -> str:
        return f"<hitherto.Split of {self._whole!r}>"


class Part(Rows):
    """One part of a :class:`Split`: rows in the order of the whole."""

    __slots__ = ("_assign", "_place", "_whole")

    def __init__(self, whole: Rows, assign: Assignment, place: int) -> None:
        self._whole = whole
        self._assign = assign
        self._place = place

    @property
    def column_names(self) -> list[str]:
        """Names of all columns, in order. Runs nothing."""
        return self._whole.column_names

    @property
    def feature_names(self) -> list[str]:
        """Names of the columns that are features. Runs nothing."""
        return self._whole.feature_names

    def _keep(self) -> None:
        self._whole._keep()

    def _failure(self) -> BaseException | None:
        return self._whole._failure()

    def _batches(self) -> Iterator[pyarrow.RecordBatch]:
        for batch in self._whole.to_reader():
            yield _arrow.chosen(batch, (self._assign(batch) == self._place).nonzero()[0])

    def __arrow_c_schema__(self) -> object:
        return self._whole.__arrow_c_schema__()

    def __arrow_c_stream__(self, requested_schema: object | None = None) -> object:
        """Record batches, in the order of the whole."""
        self._keep()
        readers = _arrow.imported("pyarrow", "split()").RecordBatchReader
        return readers.from_batches(self.schema, self._batches()).__arrow_c_stream__(
            requested_schema
        )

    def __repr__(self) -> str:
        return f"<hitherto.Part: {PARTS[self._place]} of {self._whole!r}>"


def check_shares(shares: Sequence[float]) -> None:
    """Refuses what is not a whole cut in three."""
    if not (all(0 <= share <= 1 for share in shares) and math.isclose(sum(shares), 1)):
        said = ", ".join(f"{part}={share}" for part, share in zip(PARTS, shares, strict=True))
        raise InvalidError(f"the three shares are from 0 to 1 and make 1 together; found {said}")


def by_keys(names: Sequence[str], shares: Sequence[float], seed: int) -> Assignment:
    """Assigns by the hash of the columns ``names``."""
    if not 0 <= seed < 2**64:
        raise InvalidError(f"a seed is from 0 to 2**64 - 1; found {seed!r}")
    key = seed.to_bytes(8, "big")
    ends = [round(share * 2**64) for share in (shares[0], 1 - shares[2])]

    def part(values: Sequence[Any]) -> int:
        digest = blake2b(b"".join(map(_encoded, values)), digest_size=8, key=key).digest()
        point = int.from_bytes(digest, "big")
        return sum(point >= end for end in ends)

    def assign(batch: pyarrow.RecordBatch) -> Matrix:
        numpy = _arrow.imported("numpy", "split()")
        columns = [batch.column(name) for name in names]
        # Every entity of the batch once: its first row, and which rows are its.
        codes = numpy.zeros(batch.num_rows, numpy.int64)
        for column in columns:
            coded = column.dictionary_encode()
            indices = coded.indices.fill_null(len(coded.dictionary)).to_numpy(zero_copy_only=False)
            codes = codes * (len(coded.dictionary) + 1) + indices
            _, codes = numpy.unique(codes, return_inverse=True)
        _, first, rows = numpy.unique(codes, return_index=True, return_inverse=True)
        found = [part([column[int(row)].as_py() for column in columns]) for row in first]
        parts: Matrix = numpy.array(found, numpy.int8)[rows]
        return parts

    return assign


def by_time(name: str, ends: Sequence[int], timezone: str | None = None) -> Assignment:
    """Assigns by the times of the column ``name``: before the first of
    ``ends`` (microseconds UTC), before the second, or later."""

    def assign(batch: pyarrow.RecordBatch) -> Matrix:
        numpy = _arrow.imported("numpy", "split()")
        micros = to_micros(batch.column(name), timezone)
        parts: Matrix = numpy.searchsorted(numpy.array(ends), micros, side="right")
        return parts

    return assign


def quantiles(
    times: pyarrow.ChunkedArray, shares: Sequence[float], timezone: str | None = None
) -> list[int]:
    """The moments at which validation and test begin, so that each part has
    about its share of rows and no moment is in two of them."""
    numpy = _arrow.imported("numpy", "split()")
    micros = numpy.sort(to_micros(times, timezone))
    ends: list[int] = []
    for share in (shares[0], 1 - shares[2]):
        place = round(share * len(micros))
        ends.append(int(micros[place]) if place < len(micros) else 2**63 - 1)
    return ends


def to_micros(times: Any, timezone: str | None = None) -> Matrix:
    """Microseconds UTC; a null is before everything.

    Times without a zone are local times of ``timezone``, or else UTC's. Of one that a clock
    showed twice the earlier counts, as for the rows themselves; one that it never showed is
    the last moment before.
    """
    pyarrow = _arrow.imported("pyarrow", "split()")
    is_local = timezone is not None and getattr(times.type, "tz", None) is None
    micros = times.cast(pyarrow.timestamp("us"), safe=False)
    if is_local:
        compute = _arrow.imported("pyarrow.compute", "split()")
        micros = compute.assume_timezone(
            micros, timezone, ambiguous="earliest", nonexistent="earliest"
        )
    filled: Matrix = micros.cast(pyarrow.int64()).fill_null(-(2**63)).to_numpy()
    return filled


def _encoded(value: Any) -> bytes:
    """A join key's value, so that no two of them, and no two lists, are alike."""
    match value:
        case None:
            kind, text = b"n", b""
        case bool():
            kind, text = b"b", b"1" if value else b"0"
        case int():
            kind, text = b"i", str(value).encode()
        case str():
            kind, text = b"s", value.encode()
        case bytes():
            kind, text = b"x", value
        case date() if not isinstance(value, datetime):
            kind, text = b"d", value.isoformat().encode()
        case _:
            raise InvalidError(
                "rows are split by columns of bools, integers, text, bytes or dates; found "
                f"{value!r}"
            )
    return kind + len(text).to_bytes(8, "big") + text
