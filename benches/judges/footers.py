"""The footer of a Parquet file as plain values, to be changed and written back.

Thrift's compact protocol without its schema: a struct is ``{field: (type, value)}``,
a list ``(type, [values])``. That is all that forging takes; field numbers are those
of ``parquet.thrift``.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

TRUE, FALSE, BYTE, I16, I32, I64, DOUBLE, BINARY, LIST, STRUCT = 1, 2, 3, 4, 5, 6, 7, 8, 9, 12
MAGIC = b"PAR1"

Struct = dict[int, tuple[int, Any]]


class _Reader:
    def __init__(self, data: bytes) -> None:
        self.data, self.at = data, 0

    def byte(self) -> int:
        self.at += 1
        return self.data[self.at - 1]

    def varint(self) -> int:
        value = shift = 0
        while True:
            byte = self.byte()
            value |= (byte & 0x7F) << shift
            shift += 7
            if byte < 0x80:
                return value

    def zigzag(self) -> int:
        value = self.varint()
        return (value >> 1) ^ -(value & 1)

    def value(self, kind: int) -> Any:
        if kind in (TRUE, FALSE):
            return kind == TRUE
        if kind == BYTE:
            return self.byte()
        if kind in (I16, I32, I64):
            return self.zigzag()
        if kind == DOUBLE:
            self.at += 8
            return self.data[self.at - 8 : self.at]
        if kind == BINARY:
            length = self.varint()
            self.at += length
            return self.data[self.at - length : self.at]
        if kind == LIST:
            head = self.byte()
            count, of = head >> 4, head & 0x0F
            count = self.varint() if count == 15 else count
            if of in (TRUE, FALSE):
                return of, [self.byte() for _ in range(count)]
            return of, [self.value(of) for _ in range(count)]
        return self.struct()

    def struct(self) -> Struct:
        fields: Struct = {}
        field = 0
        while head := self.byte():
            delta, kind = head >> 4, head & 0x0F
            field = field + delta if delta else self.zigzag()
            fields[field] = (kind, self.value(kind))
        return fields


def _varint(value: int) -> bytes:
    out = bytearray()
    while value >= 0x80:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def _zigzag(value: int) -> bytes:
    return _varint((value << 1) ^ (value >> 63) & 0xFFFFFFFFFFFFFFFF)


def _encoded(kind: int, value: Any) -> bytes:
    if kind in (TRUE, FALSE):
        return b""
    if kind == BYTE:
        return bytes([value])
    if kind in (I16, I32, I64):
        return _zigzag(value)
    if kind == DOUBLE:
        return bytes(value)
    if kind == BINARY:
        return _varint(len(value)) + value
    if kind == LIST:
        of, values = value
        head = bytes([len(values) << 4 | of]) if len(values) < 15 else b""
        head = head or bytes([0xF0 | of]) + _varint(len(values))
        if of in (TRUE, FALSE):
            return head + bytes(values)
        return head + b"".join(_encoded(of, one) for one in values)
    out, before = bytearray(), 0
    for field, (of, one) in sorted(value.items()):
        of = (TRUE if one else FALSE) if of in (TRUE, FALSE) else of
        delta = field - before
        out += bytes([delta << 4 | of]) if 0 < delta < 16 else bytes([of]) + _zigzag(field)
        out += _encoded(of, one)
        before = field
    return bytes(out) + b"\0"


def change(path: Path, forge: Callable[[Struct], None]) -> None:
    """Writes a file's footer back as ``forge`` leaves it."""
    raw = path.read_bytes()
    (length,) = struct.unpack("<I", raw[-8:-4])
    pages, footer = raw[: -8 - length], _Reader(raw[-8 - length : -8]).struct()
    forge(footer)
    written = _encoded(STRUCT, footer)
    path.write_bytes(pages + written + struct.pack("<I", len(written)) + MAGIC)


def chunks(footer: Struct) -> list[tuple[Struct, Struct]]:
    """Every column chunk, with its metadata."""
    groups = footer[4][1][1]
    found = [chunk for group in groups for chunk in group[1][1][1]]
    return [(chunk, chunk[3][1]) for chunk in found]
