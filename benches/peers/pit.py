"""Asks one engine for one training set and prints what that took, as JSON.

    python pit.py ENGINE --spine FILE --features N --threads N --views FOLDER...

Run by ``hitherto-benches pit --peers``, once for each measurement, so that no
engine finds what another has left. Each engine is asked as its own documentation
recommends, with files as they are. Time runs from the question, with the spine
in the engine's own memory, to the complete result as Arrow columns in memory.

============ ================================================= ==========
engine       asked by                                          known time
============ ================================================= ==========
polars       a lazy chain of ``join_asof``, collected once     ignored
duckdb       a chain of ``ASOF LEFT JOIN`` in one query        ignored
duckdb_known a range join and ``arg_max`` for each view        honored
feast        ``get_historical_features`` with its defaults     ignored
============ ================================================= ==========

Rows of the result come in whatever order the engine gives them. Of facts with
one event time ``duckdb_known`` takes the one that was known last; the others
choose in their own way.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any

KEY = "entity_id"
EVENT_TIME = "event_timestamp"
KNOWN_TIME = "created_timestamp"


def ask_polars(args: argparse.Namespace) -> Callable[[], Any]:
    """All views in one lazy chain, so that Polars can plan as it likes."""
    import polars as pl

    assert pl.thread_pool_size() == args.threads, "POLARS_MAX_THREADS must say how many"
    spine = pl.read_parquet(args.spine, n_rows=args.labels)

    def ask() -> Any:
        rows = spine.lazy().sort(EVENT_TIME)
        for view, folder in enumerate(args.views):
            named = {f: column(view, f) for f in args.names}
            # The files follow each other in time and are sorted inside; Polars
            # must be told, or it would have to sort them.
            facts = (
                pl.scan_parquet(f"{folder}/*.parquet")
                .select(KEY, pl.col(EVENT_TIME).alias("at").set_sorted(), *args.names)
                .rename(named)
            )
            rows = rows.join_asof(
                facts,
                left_on=EVENT_TIME,
                right_on="at",
                by=KEY,
                strategy="backward",
                check_sortedness=False,
            ).drop("at", strict=False)
        return rows.collect().to_arrow()

    return ask


def open_duckdb(args: argparse.Namespace) -> Any:
    """A connection that has the spine as its own table."""
    import duckdb

    connection = duckdb.connect()
    connection.execute(f"SET threads = {args.threads}")
    connection.execute("SET TimeZone = 'UTC'")
    limit = "" if args.labels is None else f"LIMIT {args.labels}"
    connection.execute(
        f"CREATE TEMP TABLE spine AS SELECT * FROM read_parquet('{args.spine}') {limit}"
    )
    return connection


def ask_duckdb(args: argparse.Namespace) -> Callable[[], Any]:
    """All views in one query, as DuckDB's documentation chains as-of joins."""
    connection = open_duckdb(args)
    features, joins = [], []
    for view, folder in enumerate(args.views):
        features += [f"v{view}.{f} AS {column(view, f)}" for f in args.names]
        joins.append(
            f"ASOF LEFT JOIN read_parquet('{folder}/*.parquet') v{view}"
            f" ON s.{KEY} = v{view}.{KEY} AND s.{EVENT_TIME} >= v{view}.{EVENT_TIME}"
        )
    query = f"SELECT s.*, {', '.join(features)} FROM spine s {' '.join(joins)}"
    return lambda: connection.sql(query).to_arrow_table()


def ask_duckdb_known(args: argparse.Namespace) -> Callable[[], Any]:
    """An as-of join takes one inequality, so known time needs a range join; of
    the ways to pick the newest candidate, ``arg_max`` over a struct of all
    features is the fastest (a window with ``row_number`` sorts all candidates).
    """
    connection = open_duckdb(args)
    features, joins = [], []
    for view, folder in enumerate(args.views):
        fields = ", ".join(f"'{f}': v.{f}" for f in args.names)
        features += [f"w{view}.fact.{f} AS {column(view, f)}" for f in args.names]
        joins.append(
            f"LEFT JOIN (SELECT s.rid, arg_max({{{fields}}},"
            f" {{'e': v.{EVENT_TIME}, 'n': v.{KNOWN_TIME}}}) AS fact"
            f" FROM spine s JOIN read_parquet('{folder}/*.parquet') v"
            f" ON s.{KEY} = v.{KEY} AND v.{EVENT_TIME} <= s.{EVENT_TIME}"
            f" AND v.{KNOWN_TIME} <= s.{EVENT_TIME} GROUP BY s.rid) w{view}"
            f" ON s.rid = w{view}.rid"
        )
    query = f"SELECT s.*, {', '.join(features)} FROM spine s {' '.join(joins)}"
    return lambda: connection.sql(query).to_arrow_table()


def ask_feast(args: argparse.Namespace) -> Callable[[], Any]:
    """A repository in a folder of its own, with everything at its default."""
    from datetime import timedelta

    import pandas as pd
    from feast import Entity, FeatureStore, FeatureView, Field, FileSource, RepoConfig, ValueType
    from feast.types import Float64

    spine = pd.read_parquet(args.spine)
    if args.labels is not None:
        spine = spine.head(args.labels)
    is_text = spine[KEY].dtype == object or pd.api.types.is_string_dtype(spine[KEY])
    folder = tempfile.mkdtemp(prefix="hitherto-feast-")
    store = FeatureStore(
        config=RepoConfig(
            project="pit",
            provider="local",
            registry=f"{folder}/registry.db",
            online_store={"type": "sqlite", "path": f"{folder}/online.db"},
            entity_key_serialization_version=3,
        )
    )
    entity = Entity(
        name="entity",
        join_keys=[KEY],
        value_type=ValueType.STRING if is_text else ValueType.INT64,
    )
    views = [
        FeatureView(
            name=f"v{view}",
            entities=[entity],
            ttl=timedelta(0),
            schema=[Field(name=f, dtype=Float64) for f in args.names],
            online=False,
            source=FileSource(
                name=f"source{view}",
                path=files,
                timestamp_field=EVENT_TIME,
                created_timestamp_column=KNOWN_TIME,
            ),
        )
        for view, files in enumerate(args.views)
    ]
    store.apply([entity, *views])
    features = [f"v{view}:{f}" for view in range(len(args.views)) for f in args.names]

    def ask() -> Any:
        job = store.get_historical_features(
            entity_df=spine, features=features, full_feature_names=True
        )
        return job.to_arrow()

    return ask


ENGINES: dict[str, Callable[[argparse.Namespace], Callable[[], Any]]] = {
    "polars": ask_polars,
    "duckdb": ask_duckdb,
    "duckdb_known": ask_duckdb_known,
    "feast": ask_feast,
}


def column(view: int, feature: str) -> str:
    """What a feature is called in the result; Feast calls it so by itself."""
    return f"v{view}__{feature}"


def read_peak_rss_bytes() -> int:
    """Peak resident set of this process, which unlike ``getrusage`` does not
    begin with that of the process that started it."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) << 10
    raise RuntimeError("/proc/self/status has no VmHWM")


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("engine", choices=ENGINES)
    parser.add_argument("--spine", required=True, help="a Parquet file")
    parser.add_argument("--labels", type=int, help="the first so many rows of the spine")
    parser.add_argument("--views", nargs="+", required=True, help="folders of Parquet files")
    parser.add_argument("--features", type=int, required=True, help="f0, f1, ... in each view")
    parser.add_argument("--threads", type=int, required=True)
    args = parser.parse_args()
    args.names = [f"f{feature}" for feature in range(args.features)]
    return args


def main() -> None:
    args = parse_arguments()
    ask = ENGINES[args.engine](args)
    started = time.perf_counter()
    result = ask()
    seconds = time.perf_counter() - started
    peak_rss_bytes = read_peak_rss_bytes()

    import pyarrow.compute as pc

    firsts = [result.column(column(view, "f0")) for view in range(len(args.views))]
    answer = {
        "seconds": seconds,
        "peak_rss_bytes": peak_rss_bytes,
        "rows": result.num_rows,
        "matched": [len(first) - first.null_count for first in firsts],
        "sum_f0": [pc.sum(first).as_py() or 0.0 for first in firsts],
        "version": version(args.engine.removesuffix("_known")),
    }
    json.dump(answer, sys.stdout)


if __name__ == "__main__":
    main()
