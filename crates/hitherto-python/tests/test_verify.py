"""Verification: no difference on the real data, and stale files are named."""

from __future__ import annotations

import datetime as dt

import hitherto
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from conftest import Repository


def test_the_real_data_has_no_difference(store: hitherto.Store) -> None:
    found = store.verify(["lactate", "patient_attributes"], samples=100, seed=3)
    assert found["differences"] == 0 and found["values"] >= 200
    assert [view["view"] for view in found["views"]] == ["lactate", "patient_attributes"]
    for view in found["views"]:
        assert view["outcome"] == "compared" and view["first"] == []
        assert 0 < view["pairs_with_value"] <= view["pairs"] <= 108


def test_a_stale_view_is_no_success_and_raises_nothing(small: Repository) -> None:
    facts = pa.table({"id": [1, 2], "e": [dt.datetime(2024, 1, 1)] * 2, "value": [1, 2]})
    small.write(facts, keys={"id": "int64"}, features={"value": "int64"})
    with hitherto.connect(small.root) as store:
        store.apply()
        assert store.verify()["views"] == [{"view": "facts", "outcome": "skipped"}]
        store.materialize()
        assert store.verify()["views"][0]["outcome"] == "compared"
        pq.write_table(facts.slice(0, 1), small.root / "data" / "0.parquet")
        [view] = store.verify()["views"]
        assert view["outcome"] == "stale" and "0.parquet has changed" in view["reason"]


def test_wrong_requests_are_told_what_is_wrong(store: hitherto.Store) -> None:
    with pytest.raises(hitherto.NotFoundError, match="did you mean"):
        store.verify(["lactat"])
    with pytest.raises(hitherto.InvalidError, match="use several seeds"):
        store.verify(samples=10_000_000)
    with pytest.raises(hitherto.InvalidError, match="no negative"):
        store.verify(seed=-1)
