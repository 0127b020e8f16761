"""Generated facts of six shapes, for what the intensive-care data does not have.

    view      key               known time          ttl     what it is for
    clicks    int64             column, late        90m     corrections, ties, NaN and -0.0
    profiles  string            + 10 min            none    decimals, dates, text
    edges     string, string    = event             500ms   keys that collide when concatenated
    ticks     string            column, nanosec.    2s      digits below a microsecond
    sensors   int64, string     + 1 h               none    composite key of two types
    scores    int64             column, late        36h     small integers, bytes, ties

Facts come in bursts, so that several compete within one ttl. Each view has
several files in no order; some facts lack a key, an event time or a known time
and answer nothing. Times are of the years 2023 and 2024.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from rule import View, quote
from spines import TIMESTAMP, doubled, edges, null_where

SECOND = 1_000_000
MINUTE = 60 * SECOND
HOUR = 60 * MINUTE
BEGIN = 1_672_531_200 * SECOND  # 2023-01-01
END = 1_735_689_600 * SECOND  # 2025-01-01
#: A knowledge cutoff that cuts: nine tenths of the way.
KNOWN_BY = BEGIN + (END - BEGIN) // 10 * 9 + 1

ARROW_TYPES = {
    "bool": pa.bool_(),
    "int8": pa.int8(),
    "int32": pa.int32(),
    "uint32": pa.uint32(),
    "int64": pa.int64(),
    "float32": pa.float32(),
    "float64": pa.float64(),
    "string": pa.string(),
    "binary": pa.binary(),
    "date32": pa.date32(),
    "decimal128(12, 2)": pa.decimal128(12, 2),
    "timestamp(ms)": pa.timestamp("ms"),
}

WORDS = ["", "a", "b", "home", "Straße", "東京", "a'b", 'q"', "line\nend", "z" * 40]


@dataclass(frozen=True)
class Shape:
    """A view's definition beyond its keys and features."""

    keys: dict[str, str]
    features: dict[str, str]
    facts_per_entity: int
    burst_micros: int
    ttl: tuple[str, int] | None = None
    delay: tuple[str, int] | None = None
    late_micros: int | None = None  # if there is a known time column
    is_nanos: bool = False
    ties: float = 0.0


SHAPES = {
    "clicks": Shape(
        keys={"user_id": "int64"},
        features={"clicks": "int64", "score": "float64", "page": "string"},
        facts_per_entity=120,
        burst_micros=20 * HOUR,
        ttl=("90m", 90 * MINUTE),
        late_micros=2 * HOUR,
        ties=0.03,
    ),
    "profiles": Shape(
        keys={"account": "string"},
        features={
            "plan": "string",
            "is_active": "bool",
            "seats": "int32",
            "revenue": "decimal128(12, 2)",
            "since": "date32",
        },
        facts_per_entity=40,
        burst_micros=30 * MINUTE,
        delay=("10m", 10 * MINUTE),
    ),
    "edges": Shape(
        keys={"left_id": "string", "right_id": "string"},
        features={"strength": "float32", "kind": "string", "is_mutual": "bool"},
        facts_per_entity=60,
        burst_micros=6 * SECOND,
        ttl=("500ms", 500_000),
        ties=0.03,
    ),
    "ticks": Shape(
        keys={"symbol": "string"},
        features={"price": "float64", "size": "uint32", "quoted_at": "timestamp(ms)"},
        facts_per_entity=600,
        burst_micros=24 * SECOND,
        ttl=("2s", 2 * SECOND),
        late_micros=SECOND,
        is_nanos=True,
    ),
    "sensors": Shape(
        keys={"site": "int64", "channel": "string"},
        features={"level": "float64", "ok": "bool"},
        facts_per_entity=150,
        burst_micros=4 * HOUR,
        delay=("1h", HOUR),
        ties=0.1,
    ),
    "scores": Shape(
        keys={"user_id": "int64"},
        features={"grade": "int8", "digest": "binary"},
        facts_per_entity=120,
        burst_micros=400 * HOUR,
        ttl=("36h", 36 * HOUR),
        late_micros=30 * HOUR,
        ties=0.05,
    ),
}


def _users(count: int) -> np.ndarray:
    """Negative ones and ones that a double cannot hold among them."""
    ids = np.arange(count, dtype=np.int64) - count // 10
    return np.where(ids % 7 == 0, ids + 2**60, ids)


def _pairs(count: int) -> list[tuple[str, str]]:
    """Pairs of which several give the same text when concatenated:
    ("a", "bc") and ("ab", "c"), with and without a separator in it."""
    pairs = []
    for place in range(count):
        text = f"{place // 5:x}|n\0de"
        cut = place % 5
        pairs.append((text[:cut], text[cut:]))
    return pairs


def _entity_count(name: str, facts: int) -> int:
    return max(5, facts // SHAPES[name].facts_per_entity)


def entities(name: str, count: int) -> dict[str, pa.Array]:
    """The keys of a view's entities, column by column."""
    if name == "edges":
        lefts, rights = zip(*_pairs(count), strict=True)
        return {"left_id": pa.array(lefts), "right_id": pa.array(rights)}
    if name == "sensors":
        sites = np.arange(count, dtype=np.int64) // 4
        return {"site": pa.array(sites), "channel": pa.array([f"c{i % 4}" for i in range(count)])}
    (column,) = SHAPES[name].keys
    if column == "user_id":
        return {column: pa.array(_users(count))}
    return {column: pa.array([f"{name}-{place:05d}" for place in range(count)])}


def _values(random: np.random.Generator, kind: str, count: int) -> pa.Array:
    """Random values of a type, a tenth of them null."""
    numbers = random.integers(0, 100, count)
    if kind == "float64" or kind == "float32":
        floats = random.normal(0, 100, count)
        odd = random.random(count)
        floats[odd < 0.02] = np.nan
        floats[(odd >= 0.02) & (odd < 0.04)] = -0.0
        floats[(odd >= 0.04) & (odd < 0.05)] = np.inf
        values = pa.array(floats).cast(ARROW_TYPES[kind], safe=False)
    elif kind == "bool":
        values = pa.array(numbers < 50)
    elif kind == "string":
        values = pa.array(WORDS).take(pa.array(numbers % len(WORDS)))
    elif kind == "binary":
        options = pa.array([b"", b"\x00", b"\x00\x01", b"\xff" * 5, bytes(range(9))])
        values = options.take(pa.array(numbers % 5))
    elif kind == "int64":
        # Above 2**53 a value that passes through a double shows.
        values = pa.array(random.integers(-(2**62), 2**62, count) >> random.integers(0, 62, count))
    elif kind == "decimal128(12, 2)":
        # A decimal is 128 bits of its hundredths, low word first.
        cents = random.integers(-(10**9), 10**9, count)
        words = np.stack([cents, cents >> 63], axis=1)
        buffers = [None, pa.py_buffer(words.tobytes())]
        values = pa.Array.from_buffers(ARROW_TYPES[kind], count, buffers)
    elif kind == "date32":
        values = pa.array((15_000 + numbers).astype(np.int32)).cast(pa.date32())
    elif kind == "timestamp(ms)":
        values = pa.array(BEGIN // 1_000 + numbers * 7).cast(pa.timestamp("ms"))
    else:
        values = pa.array(numbers - 20 * (kind == "int8")).cast(ARROW_TYPES[kind])
    return null_where(random.random(count) < 0.1, values)


def _facts(random: np.random.Generator, name: str, count: int) -> pa.Table:
    """About ``count`` facts of one view, with its faults, in no order."""
    shape = SHAPES[name]
    unit = 1_000 if shape.is_nanos else 1
    bursts = max(1, count // 20)
    keys = entities(name, _entity_count(name, count))
    entity_of_burst = random.integers(0, len(next(iter(keys.values()))), bursts)
    begin_of_burst = random.integers(BEGIN, END, bursts)
    burst = random.integers(0, bursts, count)
    e = (begin_of_burst[burst] + random.integers(0, shape.burst_micros, count)) * unit
    if shape.is_nanos:
        e += random.integers(0, 1_000, count)
    late = shape.late_micros
    if late is None:
        n = e
    else:
        # Most are known soon, some late, a few before they happen.
        soon, later = random.integers(0, late // 50, count), random.integers(0, late, count)
        n = e + np.where(random.random(count) < 0.3, later, soon) * unit - late // 500 * unit

    row = np.arange(count)
    if late is not None:
        # Corrections: the same event, known later, with another value.
        again = random.random(count) < 0.1
        row = np.concatenate([row, row[again]])
        n = np.concatenate([n, n[again] + random.integers(0, late, again.sum()) * unit])
    tied = row[random.random(len(row)) < shape.ties]
    n, row = np.concatenate([n, n[tied]]), np.concatenate([row, tied])
    e, entity = e[row], entity_of_burst[burst][row]

    time = pa.timestamp("ns" if shape.is_nanos else "us", tz="UTC")

    def faulty(values: pa.Array) -> pa.Array:
        return null_where(random.random(len(row)) < 0.005, values)

    columns = {key: faulty(values.take(pa.array(entity))) for key, values in keys.items()}
    columns["happened_at"] = faulty(pa.array(e).cast(time))
    if late is not None:
        columns["known_at"] = faulty(pa.array(n).cast(time))
    for feature, kind in shape.features.items():
        columns[feature] = _values(random, kind, len(row))
    facts = pa.table(columns)
    if shape.ties:
        # Equal facts too: a file that was delivered twice.
        facts = pa.concat_tables([facts, facts.slice(0, len(row) // 100)])
    return facts.take(pa.array(random.permutation(facts.num_rows)))


def definitions() -> str:
    """The repository's definitions in YAML."""
    documents = []
    entities_written = set()
    for name, shape in SHAPES.items():
        entity = "_".join(shape.keys)
        if entity not in entities_written:
            entities_written.add(entity)
            documents.append(
                f"apiVersion: hitherto/v1\nkind: Entity\nmetadata: {{ name: {entity} }}\n"
                f"spec:\n  keys:\n{_fields(shape.keys)}"
            )
        ttl = f"  ttl: {shape.ttl[0]}\n" if shape.ttl else ""
        delay = f"    delay: {shape.delay[0]}\n" if shape.delay else ""
        known = "    knownTime: known_at\n" if shape.late_micros is not None else ""
        documents.append(
            f"apiVersion: hitherto/v1\nkind: FeatureView\nmetadata: {{ name: {name} }}\n"
            f"spec:\n  entity: {entity}\n"
            f"  source:\n    parquet: data/{name}/\n    eventTime: happened_at\n{known}{delay}"
            f"{ttl}  features:\n{_fields(shape.features)}"
        )
    return "---\n".join(documents)


def _fields(fields: dict[str, str]) -> str:
    return "".join(f"    - {{ name: {name}, type: '{kind}' }}\n" for name, kind in fields.items())


def views(repository: Path) -> list[View]:
    """The six views, over the repository's files."""
    found = []
    for name, shape in SHAPES.items():
        # Digits below a microsecond make a fact later, never earlier. DuckDB
        # divides integers towards zero, so the remainder is positive after 1970.
        nanos = "(epoch_ns({0}) // 1000 + (epoch_ns({0}) % 1000 > 0)::BIGINT)"
        micros = nanos if shape.is_nanos else "epoch_us({0})"
        e = micros.format("happened_at")
        delay = shape.delay[1] if shape.delay else 0
        n = micros.format("known_at") if shape.late_micros is not None else f"{e} + {delay}"
        columns = ", ".join([*shape.keys, *shape.features])
        files = quote(str(repository / "data" / name / "*.parquet"))
        found.append(
            View(
                name,
                tuple(shape.keys),
                shape.features,
                f"SELECT {columns}, {e} AS e, {n} AS n FROM read_parquet({files})",
                shape.ttl[1] if shape.ttl else None,
            )
        )
    return found


def write(repository: Path, facts: int, rows: int, seed: int, files: int = 4) -> pa.Table:
    """Writes definitions and about ``facts`` facts; returns a spine of ``rows``.

    The spine has the keys of all views. Each row has one view in focus, a fact
    of which it asks for; its other keys are of random entities.
    """
    random = np.random.default_rng(seed)
    repository.mkdir(parents=True)
    (repository / "definitions.yaml").write_text(definitions())
    t = random.integers(BEGIN, END, rows)
    focus = random.integers(0, len(SHAPES), rows)
    spine: dict[str, pa.Array] = {}
    for place, (name, shape) in enumerate(SHAPES.items()):
        table = _facts(random, name, facts // len(SHAPES))
        folder = repository / "data" / name
        folder.mkdir(parents=True)
        length = -(-table.num_rows // files)
        for file in range(files):
            pq.write_table(table.slice(file * length, length), folder / f"{file}.parquet")

        usable = table.filter(_all_valid(table, [*shape.keys, "happened_at"]))
        here = np.flatnonzero(focus == place)
        picked = usable.take(pa.array(random.integers(0, usable.num_rows, len(here))))
        unit = 1_000 if shape.is_nanos else 1
        e = -(-picked["happened_at"].cast(pa.int64()).to_numpy() // unit)
        n = e + (shape.delay[1] if shape.delay else 0)
        if shape.late_micros is not None:
            known = pc.coalesce(picked["known_at"], picked["happened_at"])
            n = -(-known.cast(pa.int64()).to_numpy() // unit)
        on_edge = random.random(len(here)) < 0.5
        ttl = shape.ttl[1] if shape.ttl else None
        within = e + random.integers(0, 3 * (ttl or shape.burst_micros), len(here))
        t[here] = np.where(on_edge, edges(random, e, n, ttl), within)
        keys = entities(name, _entity_count(name, facts // len(SHAPES)))
        anyone = pa.array(random.integers(0, len(next(iter(keys.values()))), rows))
        for key, values in keys.items():
            others = values.take(anyone)
            column = spine.get(key, others)
            spine[key] = pc.replace_with_mask(
                column, pa.array(focus == place), picked[key].combine_chunks()
            )
    for key, values in spine.items():
        unknown = pa.scalar("nobody" if values.type == pa.string() else -(2**40), values.type)
        values = pc.if_else(pa.array(random.random(rows) < 0.005), unknown, values)
        spine[key] = null_where(random.random(rows) < 0.005, values)
    extra = {
        "label": pa.array(random.random(rows) < 0.1),
        "event_timestamp": pa.array(t).cast(TIMESTAMP),
        "amount": pa.array(random.random(rows)),
        "note": _values(random, "string", rows),
    }
    return doubled(random, pa.table({"row": pa.array(np.arange(rows)), **spine, **extra}))


def _all_valid(table: pa.Table, columns: list[str]) -> pa.Array:
    valid = table[columns[0]].is_valid()
    for column in columns[1:]:
        valid = pc.and_(valid, table[column].is_valid())
    return valid
