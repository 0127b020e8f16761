"""The windows over real intensive-care results, every row of the spine judged by DuckDB."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from typing import Any

import duckdb
import hitherto
import pyarrow as pa
import pytest
from conftest import ICU

LABS = "read_parquet('{}/data/clif_labs.parquet') WHERE lab_value_numeric IS NOT NULL"
SUPPORT = "read_parquet('{}/data/clif_respiratory_support.parquet') WHERE true"
COLLECTED = ("lab_collect_dttm", "lab_result_dttm", "lab_value_numeric")

Row = list[Any]


def labs(category: str, hours: int) -> tuple[str, tuple[str, str, str], int]:
    return f"{LABS} AND lab_category = '{category}'", COLLECTED, hours


def support(value: str) -> tuple[str, tuple[str, str, str], int]:
    return SUPPORT, ("recorded_dttm", "recorded_dttm + INTERVAL 1 HOUR", value), 24


def some(function: Callable[[Row], Any]) -> Callable[[Row], Any]:
    return lambda values: function(values) if values else None


def mean(values: Row) -> float:
    return float(sum(map(Fraction, values)) / len(values))


FEATURES = {
    "creatinine_windows:creatinine_mg_dl_max_48h": (labs("creatinine", 48), some(max)),
    "creatinine_windows:creatinine_mg_dl_min_7d": (labs("creatinine", 168), some(min)),
    "lactate_windows:lactate_mmol_l_mean_6h": (labs("lactate", 6), some(mean)),
    "lactate_windows:lactates_24h": (labs("lactate", 24), len),
    "ventilator_windows:devices_24h": (support("device_category"), lambda row: len(set(row))),
    "ventilator_windows:fio2_max_24h": (support("fio2_set"), some(max)),
}


def known(facts: str, columns: tuple[str, str, str], hours: int) -> dict[int, Row]:
    """Per spine row the values of its last hours that were known, of each moment the last."""
    event, known, value = columns
    rows = duckdb.sql(
        f"""
        WITH spine AS (SELECT row_number() OVER () - 1 AS row, hospitalization_id AS stay,
                              event_timestamp AS asked FROM read_parquet('{ICU}/spine.parquet')),
        facts AS (SELECT hospitalization_id AS stay, {event} AS e, {known} AS n, {value} AS v
                  FROM {facts.format(ICU)}),
        seen AS (SELECT row, e, last(v ORDER BY n) AS v FROM spine JOIN facts USING (stay)
                 WHERE e <= asked AND n <= asked AND e > asked - to_hours({hours}) GROUP BY row, e)
        SELECT row, list(v) FILTER (v IS NOT NULL) FROM seen GROUP BY row
        """
    ).fetchall()
    return {row: values or [] for row, values in rows}


def test_ratios_are_of_what_was_known_and_of_what_is_brought(
    embedded: hitherto.Store, spine: pa.Table
) -> None:
    brought = [50.0 + row % 60 for row in range(spine.num_rows)]
    asked = spine.append_column("map_now_mmhg", pa.array(brought))
    stored = ["heart_rate:heart_rate_bpm", *list(FEATURES)[:2]]
    features = ["urgency:shock_index", "urgency:creatinine_rise", *stored]
    found = embedded.training_set(asked, features, full_names=True).to_arrow()
    index, rise, rate, worst, best = (found[name].to_pylist() for name in features)
    ratio = lambda a, b: None if a is None or b is None else a / b  # noqa: E731
    assert index == list(map(ratio, rate, brought)) and sum(map(bool, index)) > 2_000
    assert rise == list(map(ratio, worst, best)) and sum(map(bool, rise)) > 7_000
    for row in range(0, spine.num_rows, 400):
        stay, at = (spine[name][row].as_py() for name in ("hospitalization_id", "event_timestamp"))
        keys, request = {"hospitalization_id": [stay]}, {"map_now_mmhg": [brought[row]]}
        online = embedded.lookup(keys, features, as_of=at, request=request).to_dict()
        assert online["urgency:shock_index"] == [index[row]]
        assert online["urgency:creatinine_rise"] == [rise[row]]


@pytest.mark.parametrize("feature", FEATURES)
def test_every_row_of_the_spine_is_as_duckdb_has_it(
    feature: str, embedded: hitherto.Store, spine: pa.Table
) -> None:
    facts, function = FEATURES[feature]
    values = known(*facts)
    expected = [function(values.get(row, [])) for row in range(spine.num_rows)]
    found = embedded.training_set(spine, [feature], full_names=True).to_arrow()[feature]
    assert sum(value is not None for value in expected) > 500
    assert found.to_pylist() == expected
