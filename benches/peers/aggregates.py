"""Asks one engine for functions over rolling windows and prints what that took, as JSON.

    python aggregates.py ENGINE --spine FILE --facts FOLDER --threads N --windows 7 30 \
        --functions sum count mean

Run by ``hitherto-benches aggregates --peers``, once for each measurement. Facts and labels go
into one frame, as both engines' documentation has it for windows that end at other rows than
facts, and the windows of the labels are what is kept. Time runs from the question, with the
spine in the engine's own memory, to the complete result as Arrow columns in memory. Known time
is ignored: neither engine can honor it in a rolling window.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable
from typing import Any

KEY = "entity_id"
TIME = "event_timestamp"


def ask_polars(args: argparse.Namespace) -> Callable[[], Any]:
    """``rolling_*_by`` within each entity, over facts and labels sorted by time."""
    import polars as pl

    assert pl.thread_pool_size() == args.threads, "POLARS_MAX_THREADS must say how many"
    spine = pl.read_parquet(args.spine).select(KEY, TIME).with_row_index("row")

    def one(function: str, days: int) -> Any:
        value, window = pl.col("f0"), {"by": TIME, "window_size": f"{days}d"}
        match function:
            case "sum":
                found = value.rolling_sum_by(**window)
            case "count":
                found = value.is_not_null().cast(pl.Int64).rolling_sum_by(**window)
            case "mean":
                found = value.rolling_mean_by(**window)
            case "min":
                found = value.rolling_min_by(**window)
            case "max":
                found = value.rolling_max_by(**window)
            case "approx_quantile":
                found = value.rolling_quantile_by(quantile=0.95, **window)
            case _:
                raise SystemExit(f"polars has no rolling {function}")
        return found.over(KEY).alias(f"{function}_{days}d")

    def ask() -> Any:
        facts = pl.scan_parquet(f"{args.facts}/*.parquet").select(KEY, TIME, "f0")
        both = pl.concat([facts, spine.lazy()], how="diagonal").sort(KEY, TIME)
        columns = [one(function, days) for function in args.functions for days in args.windows]
        rows = both.with_columns(columns).filter(pl.col("row").is_not_null())
        return rows.drop("f0").sort("row").collect().to_arrow()

    return ask


def ask_duckdb(args: argparse.Namespace) -> Callable[[], Any]:
    """Windows by RANGE, one for each length."""
    import duckdb

    connection = duckdb.connect()
    connection.execute(f"SET threads = {args.threads}")
    connection.execute("SET TimeZone = 'UTC'")
    connection.execute(
        f"CREATE TEMP TABLE spine AS SELECT {KEY}, {TIME}, row_number() OVER () AS row"
        f" FROM read_parquet('{args.spine}')"
    )
    names = {
        "count_distinct": "count(DISTINCT f0)",
        "approx_quantile": "quantile_disc(f0, 0.95)",
        "mean": "avg(f0)",
    }
    columns = [
        f"{names.get(function, f'{function}(f0)')} OVER w{days} AS {function}_{days}d"
        for function in args.functions
        for days in args.windows
    ]
    windows = [
        f"w{days} AS (PARTITION BY {KEY} ORDER BY {TIME} RANGE BETWEEN"
        f" INTERVAL '{days * 86_400_000_000 - 1} microseconds' PRECEDING AND CURRENT ROW)"
        for days in args.windows
    ]
    query = (
        f"SELECT * FROM (SELECT {KEY}, {TIME}, row, {', '.join(columns)} FROM ("
        f"SELECT {KEY}, {TIME}, f0, NULL AS row FROM read_parquet('{args.facts}/*.parquet')"
        f" UNION ALL SELECT {KEY}, {TIME}, NULL, row FROM spine) WINDOW {', '.join(windows)})"
        " WHERE row IS NOT NULL ORDER BY row"
    )
    return lambda: connection.sql(query).to_arrow_table()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("engine", choices=["polars", "duckdb"])
    parser.add_argument("--spine", required=True)
    parser.add_argument("--facts", required=True)
    parser.add_argument("--threads", type=int, required=True)
    parser.add_argument("--windows", type=int, nargs="+", required=True)
    parser.add_argument("--functions", nargs="+", required=True)
    args = parser.parse_args()
    ask = {"polars": ask_polars, "duckdb": ask_duckdb}[args.engine](args)
    started = time.perf_counter()
    table = ask()
    seconds = time.perf_counter() - started
    print(json.dumps({"seconds": seconds, "rows": table.num_rows}))


if __name__ == "__main__":
    main()
