"""Lookups: the same on both stores, and the same as the training row."""

from __future__ import annotations

import datetime as dt

import hitherto
import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from conftest import SERVICE

UTC = dt.timezone.utc


@pytest.fixture(scope="session")
def recent(joined: pa.Table) -> pa.Table:
    """Rows for which every view keeps its history online: views keep a week
    before now, and all of this data lies later."""
    places = range(0, joined.num_rows, 97)
    return joined.take(list(places))


def test_as_of_equals_the_training_row(store: hitherto.Store, recent: pa.Table) -> None:
    features = recent.column_names[4:]
    for row in recent.to_pylist():
        keys = {name: [row[name]] for name in ("hospitalization_id", "patient_id")}
        found = store.lookup(keys, service=SERVICE, as_of=row["event_timestamp"])
        assert found.at == row["event_timestamp"]
        answer = found.to_dict()
        assert {name: answer[name][0] for name in features} == {
            name: row[name] for name in features
        }


def test_both_stores_answer_alike(
    embedded: hitherto.Store, remote: hitherto.Store, recent: pa.Table
) -> None:
    moment = "2180-08-01T00:00:00Z"
    keys = {name: recent[name] for name in ("hospitalization_id", "patient_id")}
    ours, theirs = (
        store.lookup(keys, service=SERVICE, as_of=moment, times=True)
        for store in (embedded, remote)
    )
    assert ours.to_arrow().equals(theirs.to_arrow())
    assert ours.to_dict() == theirs.to_dict()
    assert ours.statuses == theirs.statuses
    assert ours.times == theirs.times
    assert ours.at == theirs.at == dt.datetime(2180, 8, 1, tzinfo=UTC)
    assert {status for column in ours.statuses.values() for status in column} >= {
        "PRESENT",
        "NOT_FOUND",
    }


def test_times_say_when_a_fact_happened_and_was_known(
    store: hitherto.Store, joined: pa.Table
) -> None:
    row = next(row for row in joined.to_pylist() if row["creatinine:creatinine_mg_dl"])
    keys = {"hospitalization_id": [row["hospitalization_id"], "nobody"]}
    moment = row["event_timestamp"]
    found = store.lookup(keys, ["creatinine:*"], as_of=moment, times=True)
    (event, known), nothing = found.times["creatinine"]
    assert nothing is None
    assert event <= known <= moment and event.tzinfo is not None
    assert moment - dt.timedelta(hours=36) <= event
    assert store.lookup(keys, ["creatinine:*"], as_of=moment).times == {}


@pytest.mark.parametrize(
    "column",
    [
        list,
        tuple,
        pd.Series,
        pl.Series,
        pa.array,
        np.array,
        lambda keys: np.array(keys, dtype=object),
    ],
)
def test_key_columns_of_every_library(store: hitherto.Store, column: object) -> None:
    keys = ["10000032", "nobody", "10000032"]
    found = store.lookup({"patient_id": column(keys)}, ["patient_attributes:*"])  # type: ignore[operator]
    assert found.to_dict()["patient_id"] == keys
    assert found.to_dict()["patient_attributes:sex_category"] == ["Female", None, "Female"]
    statuses = found.statuses["patient_attributes:sex_category"]
    assert statuses == ["PRESENT", "NOT_FOUND", "PRESENT"]


def test_null_keys_are_entities_without_facts(store: hitherto.Store) -> None:
    found = store.lookup({"hospitalization_id": [None, float("nan"), pd.NA]}, ["lactate:*"])
    assert found.to_dict()["lactate:lactate_mmol_l"] == [None] * 3
    assert found.statuses["lactate:lactate_mmol_l"] == ["NOT_FOUND"] * 3


def test_no_entity_is_no_error(store: hitherto.Store) -> None:
    found = store.lookup({"hospitalization_id": []}, ["lactate:*"])
    assert len(found) == 0
    assert found.to_dict() == {"hospitalization_id": [], "lactate:lactate_mmol_l": []}
    assert found.to_arrow().num_rows == 0


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ("22595853", "needs a list"),
        (22595853, "needs a list"),
        (["a", 1], "has 1 at position 1, where a str is expected"),
        ([1, "a"], "has 'a' at position 1"),
        ([1.5], "has 1.5 at position 0, where str, int"),
        ([2**64], "at position 0"),
        ([-1, 2**63], "at position 0"),
        ([object], "position 0"),
    ],
)
def test_values_that_cannot_be_keys_are_named(
    embedded: hitherto.Store, values: object, message: str
) -> None:
    with pytest.raises(hitherto.InvalidError, match=message):
        embedded.lookup({"hospitalization_id": values}, ["lactate:*"])  # type: ignore[dict-item]


def test_a_moment_may_be_written_in_many_ways(store: hitherto.Store) -> None:
    moments = [
        "2180-07-24T00:00:00Z",
        "2180-07-24",
        dt.datetime(2180, 7, 24),
        dt.datetime(2180, 7, 24, tzinfo=UTC),
        dt.datetime(2180, 7, 24, 2, tzinfo=dt.timezone(dt.timedelta(hours=2))),
        pd.Timestamp("2180-07-24"),
        pd.Timestamp("2180-07-24", tz="UTC"),
    ]
    for moment in moments:
        found = store.lookup({"hospitalization_id": ["x"]}, ["lactate:*"], as_of=moment)
        assert found.at == dt.datetime(2180, 7, 24, tzinfo=UTC), moment


@pytest.mark.parametrize("moment", [pd.NaT, 17, "yesterday", dt.time(12)])
def test_what_is_no_moment_is_refused(embedded: hitherto.Store, moment: object) -> None:
    with pytest.raises(hitherto.InvalidError):
        embedded.lookup({"hospitalization_id": ["x"]}, ["lactate:*"], as_of=moment)  # type: ignore[arg-type]


def test_a_matrix_for_a_model(store: hitherto.Store, recent: pa.Table) -> None:
    asked = ["mean_arterial_pressure:*", "creatinine:*"]
    row = next(row for row in recent.to_pylist() if row["creatinine:creatinine_mg_dl"])
    keys = {"hospitalization_id": [row["hospitalization_id"], "nobody"]}
    found = store.lookup(keys, asked, as_of=row["event_timestamp"])
    matrix = found.to_numpy()
    names = list(found.statuses)
    expected = [np.nan if row[name] is None else float(row[name]) for name in names]
    assert matrix.shape == (2, 3) and np.array_equal(matrix[0], expected, equal_nan=True)
    assert np.isnan(matrix[1]).all()
    # In any order, and as the training set has it.
    assert np.array_equal(found.to_numpy(names[::-1]), matrix[:, ::-1], equal_nan=True)
    assert found.to_numpy(dtype="float32").dtype == np.float32
    spine = pa.table(
        {
            "hospitalization_id": keys["hospitalization_id"],
            "event_timestamp": [row["event_timestamp"]] * 2,
        }
    )
    trained = store.training_set(spine, asked).to_numpy()
    assert np.array_equal(trained, matrix, equal_nan=True)


def test_what_no_matrix_holds_is_named(store: hitherto.Store) -> None:
    found = store.lookup({"patient_id": ["10000032"]}, ["patient_attributes:sex_category"])
    with pytest.raises(hitherto.InvalidError, match=r"patient_attributes:sex_category \(string\)"):
        found.to_numpy()
    with pytest.raises(hitherto.InvalidError, match="there is no 'age'"):
        found.to_numpy(["age"])
    with pytest.raises(hitherto.InvalidError, match="list of columns"):
        found.to_numpy("age")
    assert found.to_numpy([]).shape == (1, 0)
