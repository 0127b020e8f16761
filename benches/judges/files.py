"""Random files of every writer, their statistics as written, taken out or forged: what
Hitherto reads of them is what DuckDB has in memory.

    PYTHONPATH=crates/hitherto-python/python python benches/judges/files.py --files 300

No statistic may change a value, whatever it says. Judged are training sets and lookups
of a view without SQL, of one with, and of views whose SQL keeps some rows; all over the
same file, whose keys are of a random type. fastparquet writes, too, if it is installed.
"""

from __future__ import annotations

import argparse
import datetime as dt
import json
import random
import struct
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import duckdb
import footers
import hitherto
import polars
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

UTC = dt.timezone.utc
MOMENT = dt.datetime(2024, 1, 1, tzinfo=UTC)
LATER = dt.datetime(2025, 1, 1, tzinfo=UTC)
NAN, ZEROS = float("nan"), (0.0, -0.0)


def _ints(low: int, high: int) -> Callable[[random.Random], Any]:
    return lambda draw: draw.choice([low, high, 0, 1, draw.randint(low, high), draw.randint(0, 9)])


def _float(draw: random.Random) -> float:
    numbers = [NAN, *ZEROS, float("inf"), float("-inf"), 1.0, 5.0, draw.uniform(-9, 9)]
    return draw.choice(numbers)


def _text(draw: random.Random) -> str:
    words = ["", "apple", "zebra", "éclair", "ørsted", "ÿ" * 40, "long " * 30, "z" * 70]
    return draw.choice([*words, str(draw.randint(0, 999))])


def _moment(draw: random.Random) -> dt.datetime:
    return MOMENT + dt.timedelta(seconds=draw.randint(-(10**9), 10**9))


#: Arrow type, declared type, values, and conditions on column {} that DuckDB and DataFusion
#: read alike.
TYPES: dict[str, tuple[pa.DataType, str, Callable[[random.Random], Any], list[str]]] = {
    "b": (pa.bool_(), "bool", lambda draw: draw.random() < 0.5, ["{} = true"]),
    "i8": (pa.int8(), "int8", _ints(-128, 127), ["{} > 5", "{} = 1"]),
    "i32": (pa.int32(), "int32", _ints(-(2**31), 2**31 - 1), ["{} >= 7", "{} < 0"]),
    "i64": (pa.int64(), "int64", _ints(-(2**63), 2**63 - 1), ["{} > 5", "{} = 1"]),
    "u8": (pa.uint8(), "uint8", _ints(0, 255), ["{} > 200"]),
    "u32": (pa.uint32(), "uint32", _ints(0, 2**32 - 1), ["{} > 3000000000"]),
    "u64": (pa.uint64(), "uint64", _ints(0, 2**64 - 1), ["{} > 9223372036854775808"]),
    "f32": (pa.float32(), "float32", _float, ["{} > 4", "{} < 4", "{} = 1"]),
    "f64": (pa.float64(), "float64", _float, ["{} > 4", "{} <= 4", "{} = 5", "{} <> 5"]),
    "s": (pa.string(), "string", _text, ["{} = 'apple'", "{} > 'zz'", "{} < 'b'"]),
    "y": (pa.binary(), "binary", lambda draw: _text(draw).encode(), ["{} IS NULL"]),
    "d": (pa.date32(), "date32", lambda draw: _moment(draw).date(), ["{} > DATE '2024-01-01'"]),
    "t": (
        pa.timestamp("us", "UTC"),
        "timestamp(us, UTC)",
        _moment,
        ["{} > TIMESTAMPTZ '2024-01-01T00:00:00Z'"],
    ),
}
KEYS = {"i64": "int64", "u32": "uint32", "s": "string", "d": "date32", "i32": "int32"}


def _signed(data: bytes) -> list[int]:
    return [byte - 256 if byte > 127 else byte for byte in data]


def stripped(footer: footers.Struct, _: random.Random) -> None:
    """As if no statistic had been written."""
    for chunk, data in footers.chunks(footer):
        data.pop(12, None)
        chunk.pop(6, None)
        chunk.pop(7, None)


def deprecated(footer: footers.Struct, _: random.Random) -> None:
    """As parquet-mr before 1.10: only the fields whose order is signed."""
    footer.pop(7, None)
    for chunk, data in footers.chunks(footer):
        if 12 in data:
            known = data[12][1]
            bounds = [known.pop(field)[1] for field in (6, 5) if field in known]
            if data[1][1] == 6:
                bounds.sort(key=_signed)
            if len(bounds) == 2:
                known[2], known[1] = ((footers.BINARY, bound) for bound in bounds)
        chunk.pop(6, None)
        chunk.pop(7, None)


def swapped(footer: footers.Struct, _: random.Random) -> None:
    """Greatest before least."""
    for chunk, data in footers.chunks(footer):
        known = data.get(12, (0, {}))[1]
        if 5 in known and 6 in known:
            known[5], known[6] = known[6], known[5]
        chunk.pop(6, None)
        chunk.pop(7, None)


def unordered(footer: footers.Struct, draw: random.Random) -> None:
    """Bounds in any order, and none that is named."""
    swapped(footer, draw)
    footer.pop(7, None)


def uncounted(footer: footers.Struct, _: random.Random) -> None:
    """Without counts of nulls."""
    for _chunk, data in footers.chunks(footer):
        data.get(12, (0, {}))[1].pop(3, None)


def floats(footer: footers.Struct, draw: random.Random) -> None:
    """Bounds of floats that are not numbers, or of either zero."""
    for _chunk, data in footers.chunks(footer):
        form = {4: "<f", 5: "<d"}.get(data[1][1])
        if form and 12 in data:
            one = struct.pack(form, draw.choice([NAN, 0.0, -0.0, 1.0]))
            data[12][1].update({5: (footers.BINARY, one), 6: (footers.BINARY, one)})


def no_rows(footer: footers.Struct, _: random.Random) -> None:
    """A file of no rows, whose row groups have some."""
    footer[3] = (footers.I64, 0)


FORGERIES: dict[str, Callable[[footers.Struct, random.Random], None] | None] = {
    "as written": None,
    "stripped": stripped,
    "deprecated": deprecated,
    "swapped": swapped,
    "unordered": unordered,
    "uncounted": uncounted,
    "floats": floats,
    "no rows": no_rows,
}


def _pyarrow(table: pa.Table, path: Path, draw: random.Random) -> None:
    pq.write_table(
        table,
        path,
        row_group_size=draw.choice([1, 2, 7, 1000]),
        use_dictionary=draw.random() < 0.5,
        data_page_version=draw.choice(["1.0", "2.0"]),
        write_page_index=draw.random() < 0.5,
        data_page_size=draw.choice([16, 1 << 20]),
        compression=draw.choice(["none", "snappy", "zstd"]),
        store_schema=draw.random() < 0.5,
    )


def _polars(table: pa.Table, path: Path, draw: random.Random) -> None:
    frame = polars.from_arrow(table)
    assert isinstance(frame, polars.DataFrame)
    statistics = draw.choice([True, "full"])
    frame.write_parquet(path, statistics=statistics, row_group_size=draw.choice([2, 1000]))


def _duckdb(table: pa.Table, path: Path, draw: random.Random) -> None:
    # Its V2 packs deltas of 32-bit integers in 33 bits, which Arrow's readers refuse.
    size = draw.choice([2048, 100000])
    with duckdb.connect() as connection:
        connection.register("written", table)
        options = f"FORMAT parquet, PARQUET_VERSION V1, ROW_GROUP_SIZE {size}"
        connection.sql(f"COPY written TO '{path}' ({options})")


def _fastparquet(table: pa.Table, path: Path, draw: random.Random) -> None:
    import fastparquet

    if table["k"].type == pa.date32():
        return _pyarrow(table, path, draw)
    # What pandas keeps as it is; the judge leaves out columns of which it makes others. To it
    # NaN is no value.
    nans = [name for name in ("f32", "f64") if pc.any(pc.is_nan(table[name])).as_py()]
    frame = table.drop_columns(["b", "d", "y", *nans]).to_pandas()
    offsets = list(range(0, len(frame), draw.choice([2, 1000])))
    fastparquet.write(str(path), frame, row_group_offsets=offsets, stats=True)


WRITERS: dict[str, Callable[[pa.Table, Path, random.Random], None]] = {
    "pyarrow": _pyarrow,
    "polars": _polars,
    "duckdb": _duckdb,
}


@dataclass
class Tally:
    """What was compared, and what differs."""

    files: int = 0
    values: int = 0
    refused: int = 0
    differences: list[str] = field(default_factory=list)


def _bits(value: Any) -> Any:
    if isinstance(value, dt.datetime):
        return value.timestamp()
    return struct.pack("<d", value) if isinstance(value, float) and value == value else repr(value)


def _facts(draw: random.Random) -> tuple[str, pa.Table]:
    """Facts of as many entities, the key's type first."""
    rows = draw.choice([1, 2, 3, 8, 40, 3000])
    key = draw.choice(list(KEYS))
    make = TYPES[key][2]
    keys: dict[Any, None] = {}
    for _ in range(rows * 3):
        keys[make(draw)] = None
    if key == "i64" or len(keys) < rows:
        keys.update(dict.fromkeys(range(rows) if key in ("i64", "i32", "u32") else ()))
    chosen = list(keys)[:rows]
    draw.shuffle(chosen)
    if draw.random() < 0.5:
        chosen.sort()
    columns = {"k": pa.array(chosen, TYPES[key][0])}
    columns["ts"] = pa.array([MOMENT] * len(chosen), pa.timestamp("us", "UTC"))
    for name, (kind, _, value, _) in TYPES.items():
        nulls = draw.choice([0, 0, 0.3, 1])
        few = [value(draw) for _ in range(draw.choice([1, 2, 9]))]
        drawn = [None if draw.random() < nulls else draw.choice(few) for _ in chosen]
        columns[name] = pa.array(drawn, kind)
    return KEYS[key], pa.table(columns)


def _written(path: Path) -> list[str]:
    """The columns that a writer kept as they were."""
    found = pq.read_schema(path)
    texts = {pa.large_string(): pa.string(), pa.large_binary(): pa.binary()}
    kept = {one.name: texts.get(one.type, one.type) for one in found}
    return [name for name in TYPES if kept.get(name) == TYPES[name][0]]


def _documents(key: str, columns: list[str], wheres: list[str]) -> str:
    features = [{"name": name, "type": TYPES[name][1]} for name in columns]
    entity = {"keys": [{"name": "k", "type": key}]}
    documents: list[dict[str, Any]] = [
        {"kind": "Entity", "metadata": {"name": "e"}, "spec": entity}
    ]
    queries = {"plain": None, "queried": "SELECT * FROM source"}
    queries |= {f"kept{n}": f"SELECT * FROM source WHERE {one}" for n, one in enumerate(wheres)}
    for name, sql in queries.items():
        source = {"parquet": "a.parquet", "eventTime": "ts"} | ({"sql": sql} if sql else {})
        spec = {"entity": "e", "source": source, "features": features}
        documents.append({"kind": "FeatureView", "metadata": {"name": name}, "spec": spec})
    return "\n---\n".join(json.dumps({"apiVersion": "hitherto/v1"} | one) for one in documents)


def _expected(facts: pa.Table, where: str, asked: pa.Array) -> dict[str, list[Any]]:
    """What DuckDB has of these entities."""
    with duckdb.connect() as connection:
        connection.register("source", facts)
        connection.register("asked", pa.table({"k": asked, "n": range(len(asked))}))
        rows = connection.sql(
            f"SELECT source.* FROM asked LEFT JOIN (SELECT * FROM source WHERE {where}) source "
            "USING (k) ORDER BY n"
        )
        table = rows.to_arrow_table()
    return {name: table[name].to_pylist() for name in TYPES}


def judge(root: Path, draw: random.Random, tally: Tally) -> None:
    """One file, in an empty folder."""
    writer, forgery = draw.choice(list(WRITERS)), draw.choice(list(FORGERIES))
    key, facts = _facts(draw)
    WRITERS[writer](facts, root / "a.parquet", draw)
    columns = _written(root / "a.parquet")
    if forge := FORGERIES[forgery]:
        footers.change(root / "a.parquet", lambda footer: forge(footer, draw))
    names = draw.sample(columns, 3)
    wheres = [draw.choice([*TYPES[n][3], "{} IS NULL", "{} IS NOT NULL"]).format(n) for n in names]
    (root / "definitions.yaml").write_text(_documents(key, columns, wheres))
    count = draw.choice([1, 3, len(facts)])
    chosen = draw.sample(facts["k"].to_pylist(), min(count, len(facts)))
    asked = pa.array(chosen, facts["k"].type)
    spine = pa.table({"k": asked, "event_timestamp": pa.array([LATER] * len(asked))})
    views = {"plain": "true", "queried": "true"}
    views |= {f"kept{number}": one for number, one in enumerate(wheres)}
    tally.files += 1
    shown = f"{writer}, statistics {forgery}, {len(facts)} rows, {key} keys"
    with hitherto.connect(root) as store:
        try:
            store.apply()
            store.materialize(progress=False)
        except hitherto.Error as error:
            tally.refused += 1
            tally.differences.append(f"{shown}: {error}")
            return
        for view, where in views.items():
            expected = _expected(facts, where, asked)
            features = [f"{view}:*"]
            trained = store.training_set(spine, features).to_arrow()
            found = store.lookup({"k": asked.to_pylist()}, features).to_arrow()
            for name in columns:
                ways = {"training": trained[name], "lookup": found[f"{view}:{name}"]}
                want = [_bits(value) for value in expected[name]]
                for way, column in ways.items():
                    tally.values += len(asked)
                    got = [_bits(value) for value in column.to_pylist()]
                    if got != want:
                        wrong = [pair for pair in zip(got, want, strict=True) if pair[0] != pair[1]]
                        told = f"{shown}: {way} {view} ({where}) {name}: {wrong[:3]}"
                        tally.differences.append(told)


def run(files: int, seed: int) -> Tally:
    """Judges so many files."""
    tally = Tally()
    for number in range(files):
        draw = random.Random(f"{seed} {number}")
        with tempfile.TemporaryDirectory() as folder:
            before = len(tally.differences)
            judge(Path(folder), draw, tally)
            if len(tally.differences) > before:
                tally.differences[before] += f" [seed {seed}, file {number}]"
    return tally


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--files", type=int, default=300)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    try:
        import fastparquet  # noqa: F401

        WRITERS["fastparquet"] = _fastparquet
    except ImportError:
        pass
    tally = run(options.files, options.seed)
    print(*tally.differences, sep="\n")
    print(
        f"{tally.files} files of {', '.join(WRITERS)}: {tally.values} values, "
        f"{tally.refused} refused, {len(tally.differences)} differences"
    )
    raise SystemExit(bool(tally.differences))


if __name__ == "__main__":
    main()
