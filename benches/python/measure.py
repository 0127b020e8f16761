"""What Python adds to the engine; prints one JSON object last.

    PYTHONPATH=crates/hitherto-python/python python benches/python/measure.py

Whatever module `hitherto` is importable is measured. Data are generated at the
first use, the same on every machine, and kept (700 MB; `--data`). Progress goes to
stderr. Linux only: peaks of memory are read from /proc.

=============== ===========================================================
part            what is measured
=============== ===========================================================
`import`        `import hitherto` in new processes, and which of the large
                libraries it loads
`lookup`        one entity, 50 features, in process, asked over and over:
                the native call alone, and with `to_dict()`, `to_numpy()`
                and `statuses`; the difference is what Python adds
`training_set`  1,000,000 label rows, 50 features: all record batches read and
                dropped, against `to_arrow()`, `to_polars()` and `to_pandas()`,
                in turn, each of a training set of its own
`write_parquet` peak memory of a process that writes 2 and 20 million rows,
                labels read from a Parquet file, under a memory limit
=============== ===========================================================
"""

from __future__ import annotations

import argparse
import gc
import json
import os
import platform
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import hitherto
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from hitherto import Entity, FeatureView, Field, Source, definitions

SEED = 7
ENTITIES = 100_000
FACTS = 1_000_000
FEATURES = 50
#: Of the features, so many are integers.
INTEGERS = 10
MEMORY = "512MiB"
BEGIN = np.datetime64("2026-01-01T00:00:00", "us")
DAY = 86_400_000_000
NOW = "2026-02-01T00:00:00Z"
ENTITY = 4_242
#: Spines, by rows.
LABELS, FEW, MANY = 1_000_000, 2_000_000, 20_000_000
ROW_GROUP = 500_000

Way = Callable[[], object]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    home = Path.home() / ".cache" / "hitherto" / "bench" / "python"
    parser.add_argument("--data", type=Path, default=home, help="where data are kept")
    parser.add_argument("--repetitions", type=int, default=7, help="of each training set")
    parser.add_argument("--write", type=Path, metavar="SPINE", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.write:
        print(write_peak_bytes(options.data, options.write))
        return
    generate(options.data)
    with hitherto.connect(options.data, now=NOW) as store:
        store.apply()
        store.materialize(["wide"])
        lookup = measure_lookup(store)
        training_set = measure_training_set(store, options.data, options.repetitions)
    result = {
        "module": str(Path(hitherto.__file__).parent),
        "native_bytes": next(Path(hitherto.__file__).parent.glob("_native*.so")).stat().st_size,
        "python": platform.python_version(),
        "cores": os.cpu_count(),
        "import": measure_import(),
        "lookup": lookup,
        "training_set": training_set,
        "write_parquet": measure_write(options.data),
    }
    print(json.dumps(result))


def say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


# Data.


def generate(root: Path) -> None:
    """A repository of one fact table, and spines of three sizes."""
    if (root / "spine-20000000.parquet").exists():
        return
    say(f"generating data in {root}")
    (root / "facts").mkdir(parents=True, exist_ok=True)
    chance = np.random.default_rng(SEED)
    for day in range(30):
        rows = FACTS // 30
        columns = {
            "entity_id": chance.integers(0, ENTITIES, rows),
            "happened": times(chance, rows, day, 1),
        }
        for place in range(FEATURES):
            values = chance.integers(0, 10_000, rows) if is_integer(place) else chance.random(rows)
            columns[f"f{place}"] = pa.array(values, mask=chance.random(rows) < 0.02)
        table = pa.table(columns).sort_by("happened")
        pq.write_table(table, root / "facts" / f"{day:02}.parquet", compression="zstd")
    source = Source("facts", event_time="happened")
    fields = [
        Field(f"f{place}", "int64" if is_integer(place) else "float64") for place in range(FEATURES)
    ]
    views = [
        FeatureView("wide", source, fields, "thing"),
        FeatureView("slim", source, fields[:3], "thing"),
    ]
    thing = Entity("thing", [Field("entity_id", "int64")])
    definitions.dump([thing, *views], root / "definitions.yaml")
    (root / "hitherto.yaml").write_text(f"memory: {MEMORY}\n")
    for rows in (LABELS, FEW, MANY):
        write_spine(root, rows)


def write_spine(root: Path, rows: int) -> None:
    chance = np.random.default_rng(rows)
    schema = pa.schema(
        [("entity_id", pa.int64()), ("at", pa.timestamp("us", "UTC")), ("label", pa.int8())]
    )
    unfinished = root / "spine.parquet"
    with pq.ParquetWriter(unfinished, schema, compression="zstd") as writer:
        for _ in range(rows // ROW_GROUP):
            columns = [
                chance.integers(0, ENTITIES, ROW_GROUP),
                times(chance, ROW_GROUP, 20, 10),
                chance.integers(0, 2, ROW_GROUP, np.int8),
            ]
            writer.write_table(pa.table(columns, schema))
    unfinished.rename(root / f"spine-{rows}.parquet")


def times(chance: np.random.Generator, rows: int, first_day: int, days: int) -> pa.Array:
    """Moments of so many days, in no order."""
    micros = chance.integers(first_day * DAY, (first_day + days) * DAY, rows)
    return pa.array(BEGIN + micros.astype("timedelta64[us]"), pa.timestamp("us", "UTC"))


def is_integer(place: int) -> bool:
    return place < INTEGERS


# Importing.


def measure_import(processes: int = 15) -> dict[str, Any]:
    """Seconds of `import hitherto`, beside those of a Python that imports nothing."""
    code = (
        "import time, sys; begin = time.perf_counter(); import hitherto; "
        "print(time.perf_counter() - begin); print(*sys.modules)"
    )
    seconds: list[float] = []
    loaded: set[str] = set()
    for _ in range(processes):
        done = subprocess.run(
            [sys.executable, "-c", code], check=True, capture_output=True, text=True
        )
        taken, modules = done.stdout.splitlines()
        seconds.append(float(taken))
        loaded |= set(modules.split())
    heavy = sorted(loaded & {"numpy", "pandas", "polars", "pyarrow", "torch", "yaml"})
    say(f"import: {statistics.median(seconds) * 1e3:.1f} ms, with {heavy or 'no large library'}")
    return {"seconds": statistics.median(seconds), "all": seconds, "large_libraries": heavy}


# Lookups.


def measure_lookup(store: hitherto.Store) -> dict[str, Any]:
    """Microseconds of a call, and what is above those of the native call."""
    keys, features = {"entity_id": [ENTITY]}, ["wide:*"]
    native = store._native
    ways: dict[str, Way] = {
        "native": lambda: native.lookup(keys, features, None, None, False),
        "lookup": lambda: store.lookup(keys, features),
        "to_dict": lambda: store.lookup(keys, features).to_dict(),
        "to_numpy": lambda: store.lookup(keys, features).to_numpy(),
        "statuses": lambda: store.lookup(keys, features).statuses,
    }
    answer = store.lookup(keys, features)
    assert len(answer.statuses) == FEATURES and len(answer) == 1
    found = rounds(ways, 100, 50)
    result: dict[str, Any] = {}
    # The least is what the code takes, the median what this machine makes of it.
    for kind, chosen in (("median", statistics.median), ("least", min)):
        micros = {name: chosen(seconds) * 1e6 for name, seconds in found.items()}
        added = {name: micros[name] - micros["native"] for name in ways if name != "native"}
        result[kind] = {"micros": micros, "added_micros": added}
        for name, value in added.items():
            say(f"lookup, {kind}: {name} adds {value:.1f} us to {micros['native']:.1f} us")
    return result


def rounds(ways: dict[str, Way], count: int, calls: int) -> dict[str, list[float]]:
    """Seconds of a call in each round; the ways take turns, so that a busy
    machine is busy for all of them."""
    found: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(count):
        for name, way in ways.items():
            begin = time.perf_counter()
            for _ in range(calls):
                way()
            found[name].append((time.perf_counter() - begin) / calls)
    return found


# Training sets.


def measure_training_set(store: hitherto.Store, root: Path, repetitions: int) -> dict[str, Any]:
    """Seconds of a training set in each form, and their ratio to reading all
    batches of it and keeping none."""
    spine = pq.read_table(root / f"spine-{LABELS}.parquet")

    def rows() -> hitherto.TrainingSet:
        return store.training_set(spine, ["wide:*"], timestamp="at")

    ways: dict[str, Way] = {
        "batches": lambda: sum(batch.num_rows for batch in rows().to_reader()),
        "to_arrow": lambda: rows().to_arrow(),
        "to_polars": lambda: rows().to_polars(),
        "to_pandas": lambda: rows().to_pandas(),
    }
    found: dict[str, list[float]] = {name: [] for name in ways}
    for repetition in range(repetitions + 1):
        for name, way in ways.items():
            gc.collect()
            begin = time.perf_counter()
            result = way()
            seconds = time.perf_counter() - begin
            del result
            if repetition:  # The first warms up.
                found[name].append(seconds)
            say(f"training set: {name} {seconds:.2f} s")
    # Of each round by itself: whatever else the machine does, both have it.
    ratios = {
        name: [own / floor for own, floor in zip(found[name], found["batches"], strict=True)]
        for name in ways
    }
    return {
        "rows": LABELS,
        "features": FEATURES,
        "seconds": {name: statistics.median(seconds) for name, seconds in found.items()},
        "all": found,
        "ratio_to_batches": {name: statistics.median(each) for name, each in ratios.items()},
    }


# Files.


def measure_write(root: Path, processes: int = 3) -> dict[str, Any]:
    """The most memory of processes that write a training set, and what the labels
    take in it: they are held whole, beside what the limit is about."""
    runs: list[dict[str, int]] = []
    for rows in (FEW, MANY):
        spine = root / f"spine-{rows}.parquet"
        command = [sys.executable, __file__, "--data", str(root), "--write", str(spine)]
        peaks: list[int] = []
        for _ in range(processes):
            done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
            peaks.append(int(done.stdout))
            say(f"write_parquet: {rows:,} rows, {peaks[-1] >> 20} MiB")
        held = pq.read_table(spine).nbytes
        runs.append({"rows": rows, "peak_rss_bytes": max(peaks), "labels_bytes": held})
    return {"memory": MEMORY, "runs": runs}


def write_peak_bytes(root: Path, spine: Path) -> int:
    """Writes a training set of 3 features; returns the most memory that this
    process ever had."""
    target = root / "out.parquet"
    with hitherto.connect(root, read_only=True, now=NOW) as store:
        rows = store.training_set(spine, ["slim:*"], timestamp="at").write_parquet(target)
    assert rows == pq.read_metadata(spine).num_rows
    target.unlink()
    status = Path("/proc/self/status").read_text()
    return int(status.partition("VmHWM:")[2].split()[0]) * 1024


if __name__ == "__main__":
    main()
