"""Spines that ask where a wrong answer would hide.

Half of the rows ask at a random moment. The other half ask around a fact: at
its event, at the moment it becomes visible, when it expires, and one
microsecond to either side. Some rows are there twice, some have a null key,
some ask for entities that nobody has heard of. Rows are in no order.
"""

from __future__ import annotations

import duckdb
import numpy as np
import pyarrow as pa
from rule import View

TIMESTAMP = pa.timestamp("us", tz="UTC")


def edges(
    random: np.random.Generator, e: np.ndarray, n: np.ndarray, ttl_micros: int | None
) -> np.ndarray:
    """For each fact a moment at which one microsecond matters."""
    ends = e if ttl_micros is None else e + ttl_micros
    anchor = np.choose(random.integers(0, 4, len(e)), [e, n, np.maximum(e, n), ends])
    return anchor + random.integers(-1, 2, len(e))


def null_where(mask: np.ndarray, values: pa.Array) -> pa.Array:
    """The values with nulls where the mask is set."""
    nulls = pa.array([None], values.type).take(pa.array(np.zeros(len(mask), np.int64)))
    return pa.compute.if_else(pa.array(mask), nulls, values)


def doubled(random: np.random.Generator, spine: pa.Table, share: float = 0.02) -> pa.Table:
    """The spine with some rows replaced by copies of others."""
    rows = np.arange(spine.num_rows)
    copies = random.random(spine.num_rows) < share
    rows[copies] = random.integers(0, spine.num_rows, copies.sum())
    return spine.take(pa.array(rows))


def icu_spine(
    connection: duckdb.DuckDBPyConnection, views: list[View], stays: str, rows: int, seed: int
) -> pa.Table:
    """Random moments in the stays of ``fixtures/icu``, and the edges of its facts."""
    random = np.random.default_rng(seed)
    known = connection.execute(f"""
        SELECT hospitalization_id, patient_id, epoch_us(admission_dttm),
               epoch_us(discharge_dttm), coalesce(discharge_category = 'Expired', false)
        FROM read_parquet('{stays}') ORDER BY hospitalization_id
    """).fetchall()
    columns = (np.array(column) for column in zip(*known, strict=True))
    ids, patients, admitted, discharged, died = columns
    stay = random.integers(0, len(ids), rows)
    span = (discharged - admitted)[stay]
    t = admitted[stay] + (random.random(rows) * span).astype(np.int64)

    # A fifth of the rows stands on full hours, as the nursing chart does.
    on_the_hour = random.random(rows) < 0.2
    t[on_the_hour] -= t[on_the_hour] % 3_600_000_000

    # Half of the rows stands on the edges of facts, all views in turn.
    of_stays = [view for view in views if view.keys == ("hospitalization_id",)]
    focus = np.where(random.random(rows) < 0.5, random.integers(0, len(of_stays), rows), -1)
    row_of_stay = {name: place for place, name in enumerate(ids)}
    for place, view in enumerate(of_stays):
        facts = connection.execute(
            f"SELECT hospitalization_id, e, n FROM ({view.facts}) ORDER BY ALL"
        ).fetchall()
        here = np.flatnonzero(focus == place)
        picked = random.integers(0, len(facts), len(here))
        stay[here] = [row_of_stay[facts[fact][0]] for fact in picked]
        e, n = (np.array([fact[column] for fact in facts])[picked] for column in (1, 2))
        t[here] = edges(random, e, n, view.ttl_micros)

    stay_ids = ids[stay].astype(object)
    stay_ids[random.random(rows) < 0.005] = "unknown"
    spine = pa.table(
        {
            "row": pa.array(np.arange(rows)),
            "hospitalization_id": null_where(random.random(rows) < 0.005, pa.array(stay_ids)),
            "patient_id": null_where(random.random(rows) < 0.005, pa.array(patients[stay])),
            "event_timestamp": pa.array(t).cast(TIMESTAMP),
            "died_in_hospital": pa.array(died[stay]),
            "weight": null_where(random.random(rows) < 0.1, pa.array(random.random(rows))),
        }
    )
    return doubled(random, spine)
