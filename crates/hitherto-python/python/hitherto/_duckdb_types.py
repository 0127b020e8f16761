"""DuckDB's names of types, and what their columns are in a Parquet file that it writes."""

from __future__ import annotations

import re

TYPES = {
    "bool": ("bool", "boolean", "logical"),
    "int8": ("tinyint", "int1"),
    "int16": ("smallint", "int2", "short"),
    "int32": ("integer", "int", "int4", "signed"),
    "int64": ("bigint", "int8", "long"),
    "uint8": ("utinyint",),
    "uint16": ("usmallint",),
    "uint32": ("uinteger",),
    "uint64": ("ubigint",),
    "float32": ("float", "real", "float4"),
    "float64": ("double", "float8", "double precision"),
    "string": ("varchar", "text", "string", "char", "bpchar"),
    "binary": ("blob", "bytea", "binary", "varbinary"),
    "date32": ("date",),
    "timestamp(us)": ("timestamp", "datetime", "timestamp without time zone"),
    "timestamp(us, UTC)": ("timestamp with time zone", "timestamptz"),
    "timestamp(ns)": ("timestamp_ns",),
    "timestamp(ms)": ("timestamp_ms",),
}
"""DuckDB's names of a type, as it writes it to Parquet."""

BY_NAME = {name: ours for ours, names in TYPES.items() for name in names}


def from_duckdb(written: str) -> str | None:
    """What a type of DuckDB's is here, None if nothing."""
    text = " ".join(written.lower().split())
    if listed := re.fullmatch(r"(.+?)\[(\d*)\]", text):
        item = from_duckdb(listed[1])
        return item and (f"list({item}, {listed[2]})" if listed[2] else f"list({item})")
    if decimal := re.fullmatch(r"(?:decimal|numeric)\((\d+), ?(\d+)\)", text):
        return f"decimal128({decimal[1]}, {decimal[2]})"
    if text in ("decimal", "numeric"):
        return "decimal128(18, 3)"
    return BY_NAME.get(re.sub(r"^(varchar|char|text)\(\d+\)$", r"\1", text))
