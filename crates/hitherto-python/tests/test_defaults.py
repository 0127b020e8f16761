"""What stands where a feature has no value, in every form of an answer."""

from __future__ import annotations

from pathlib import Path

import hitherto
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hitherto import Entity, FeatureView, Field, Source, definitions


@pytest.fixture
def defaulting(tmp_path: Path) -> hitherto.Store:
    """Of thing 1 one fact, without values; none of any other."""
    features = [
        Field("amount", "float64", default=0),
        Field("unit", "string", default="none"),
        Field("plain", "int64"),
    ]
    view = FeatureView("facts", Source("facts.parquet", "at"), features, entity="thing")
    definitions.dump([Entity("thing", [Field("id", "int64")]), view], tmp_path / "facts.yaml")
    types = [("id", "int64"), ("at", "timestamp[us]"), ("amount", "float64"), ("unit", "string")]
    schema = pa.schema([*types, ("plain", "int64")])
    fact = {"id": 1, "at": 1, "amount": None, "unit": None, "plain": None}
    pq.write_table(pa.Table.from_pylist([fact], schema=schema), tmp_path / "facts.parquet")
    store = hitherto.connect(tmp_path)
    store.apply()
    store.materialize(progress=False)
    return store


def test_lookups_and_training_sets_have_the_default(defaulting: hitherto.Store) -> None:
    expected = {
        "facts:amount": [0.0, 0.0],
        "facts:unit": ["none", "none"],
        "facts:plain": [None, None],
    }
    found = defaulting.lookup({"id": [1, 2]}, features=["facts:*"])
    assert found.to_dict() == {"id": [1, 2], **expected}
    assert {tuple(statuses) for statuses in found.statuses.values()} == {("NULL", "NOT_FOUND")}
    assert found.to_arrow().select(list(expected)).to_pydict() == expected
    amounts = defaulting.lookup({"id": [1, 2]}, features=["facts:amount"]).to_numpy()
    assert amounts.tolist() == [[0.0], [0.0]]

    spine = pd.DataFrame({"id": [1, 2], "event_timestamp": pd.Timestamp("2020-01-01", tz="UTC")})
    rows = defaulting.training_set(spine, features=["facts:*"], full_names=True)
    assert rows.to_arrow().select(list(expected)).to_pydict() == expected
