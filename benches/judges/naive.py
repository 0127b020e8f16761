"""The rule for one spine row, in plain Python: the referee.

When two judges disagree, this says who is right. It looks at one fact after the
other, encodes rows by itself, and is far too slow for anything else.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import duckdb
from rule import HEADER_BYTES, NEVER, SLOT_BYTES, View

PACKED = {
    "bool": "<?",
    "int8": "<b",
    "uint8": "<B",
    "int16": "<h",
    "uint16": "<H",
    "int32": "<i",
    "uint32": "<I",
    "int64": "<q",
    "uint64": "<Q",
    "float32": "<f",
    "float64": "<d",
}


class Fact(NamedTuple):
    """One fact of one entity; ``encoded`` is what breaks ties."""

    e: int
    n: int
    encoded: bytes
    values: tuple[Any, ...]
    deleted: bool = False


def encode(types: Sequence[str], values: Sequence[Any], deleted: bool = False) -> bytes:
    """The bytes of a row after its times, with the flags before them; empty if
    a type is not known to the judge."""
    if any(kind not in SLOT_BYTES for kind in types):
        return b""
    bitmap = sum(1 << place for place, value in enumerate(values) if value is None)
    bitmap_bytes = (len(types) + 7) // 8
    end = HEADER_BYTES + bitmap_bytes + sum(SLOT_BYTES[kind] for kind in types)
    slots, texts = b"", b""
    for kind, value in zip(types, values, strict=True):
        if value is None:
            slots += bytes(SLOT_BYTES[kind])
        elif kind in PACKED:
            slots += struct.pack(PACKED[kind], value)
        else:
            text = value.encode() if isinstance(value, str) else bytes(value)
            slots += struct.pack("<II", end + len(texts), len(text))
            texts += text
    return bytes([deleted]) + bitmap.to_bytes(bitmap_bytes, "little") + slots + texts


def answer(
    facts: Iterable[Fact], t: int, known_by: int | None, ttl_micros: int | None
) -> Fact | None:
    """The fact that answers at ``t``, or none."""
    best: Fact | None = None
    for fact in facts:
        if fact.e > t or fact.n > t:
            continue
        if known_by is not None and fact.n > known_by:
            continue
        if ttl_micros is not None and fact.e < t - ttl_micros:
            continue
        if best is None or (fact.e, fact.n, fact.encoded) > (best.e, best.n, best.encoded):
            best = fact
    return None if best is None or best.deleted else best


def is_leak(facts: Iterable[Fact], t: int, ttl_micros: int | None) -> bool:
    """Whether a join on event time alone would answer at ``t`` with a fact that
    was not known yet."""
    happened = [(fact.e, fact.n) for fact in facts if fact.e <= t]
    if not happened:
        return False
    e, n = max(happened)
    return n > t and (ttl_micros is None or e >= t - ttl_micros)


def facts_of(
    connection: duckdb.DuckDBPyConnection, view: View, key: Sequence[Any] | None = None
) -> dict[tuple[Any, ...], list[Fact]]:
    """The facts of one entity, or of all, by entity key."""
    columns = [*view.keys, "e", "n", *view.features]
    names = ", ".join(f'"{column}"' for column in columns)
    deleted = "deleted" if view.has_deletions else "false"
    query = f"SELECT {names}, {deleted} FROM ({view.facts})"
    if key is not None:
        query += " WHERE " + " AND ".join(f'"{column}" = ?' for column in view.keys)
    found: dict[tuple[Any, ...], list[Fact]] = {}
    types = list(view.features.values())
    key_columns = len(view.keys)
    for row in connection.execute(query, list(key or [])).fetchall():
        entity, (e, n, *values, is_deleted) = row[:key_columns], row[key_columns:]
        if e is None or None in entity:
            continue
        n = NEVER if n is None else n
        fact = Fact(e, n, encode(types, values, is_deleted), tuple(values), is_deleted)
        found.setdefault(entity, []).append(fact)
    return found
