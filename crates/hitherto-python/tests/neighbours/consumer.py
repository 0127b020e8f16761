"""Code as a careful user writes it; only checked by test_typing.py, never run."""

from collections.abc import Callable, Coroutine
from datetime import datetime, timedelta
from typing import Any, assert_type

import hitherto
import numpy as np
import pandas as pd
import polars as pl
from hitherto import (
    Entity,
    FeatureService,
    FeatureView,
    Field,
    Leakage,
    Lookup,
    Online,
    Part,
    Plan,
    Source,
    Split,
    Store,
    TrainingSet,
    Why,
    definitions,
)


def connect(spine: pd.DataFrame, frame: pl.DataFrame) -> None:
    with hitherto.connect("repository", read_only=True, now="2024-01-01") as store:
        assert_type(store, Store)
        assert_type(store.plan(), Plan)
        thing = Entity("thing", [Field("id", "int64")])
        assert_type(store.plan(definitions=[thing]), Plan)
        assert_type(store.apply(definitions=[thing]), Plan)
        rows = store.training_set(spine, ["view:feature"], known_by=datetime(2024, 1, 1))
        assert_type(rows, TrainingSet)
        store.training_set(frame, service="service", known="ignore", sample=0.1)
        store.training_set("spine.parquet", service="service", sample=100)
        store.training_set("SELECT id, t AS event_timestamp FROM view", service="service")
        store.training_set(at="2024-01-01", service="service", known_by=datetime(2024, 1, 1))
        store.training_set(between=("2024-01-01", datetime(2024, 2, 1)), features=["view:*"])
        assert_type(rows.explain(analyze=True), str)
        assert_type(rows.to_pandas(), pd.DataFrame)
        assert_type(rows.to_polars(), pl.DataFrame)
        assert_type(rows.to_numpy(dtype="float32"), np.ndarray[Any, np.dtype[Any]])
        assert_type(rows.write_parquet("rows", partition_by=["label"], max_rows_per_file=1), int)
        assert_type(rows.leakage(), Leakage)
        split = rows.split(by="time", at=("2024-01-01", datetime(2024, 2, 1)))
        assert_type(split, Split)
        assert_type(split.train, Part)
        for part in split:
            assert_type(part, Part)
        answer = store.lookup({"id": [1]}, ["view:*"], as_of="2024-01-01", times=True)
        assert_type(answer, Lookup)
        assert_type(answer.to_dict(), dict[str, list[Any]])
        why = store.why("view", {"id": 1})
        assert_type(why, Why)
        assert_type(why.at, datetime)


async def awaited(store: Store, spine: pd.DataFrame) -> None:
    assert_type(await store.aio.lookup({"id": [1]}, ["view:*"]), Lookup)
    rows = await store.aio.training_set(spine, service="service")
    assert_type(rows, TrainingSet)
    assert_type(await rows.aio.to_pandas(), pd.DataFrame)
    assert_type(await rows.aio.split(by=["id"]), Split)
    async with hitherto.aio.connect("http://host:7411") as remote:
        assert_type(await remote.catalog(), dict[str, Any])
    catalog: Callable[[], Coroutine[Any, Any, dict[str, Any]]] = remote.catalog
    await catalog()


def define() -> list[definitions.Definition]:
    view = FeatureView(
        "view",
        source=Source("facts.parquet", event_time="e", known_time="n"),
        features=[Field("feature", "float64")],
        entity="thing",
        ttl=timedelta(hours=1),
        online=Online(history="7d"),
        tags={"team": "x"},
    )
    found: list[definitions.Definition] = [
        Entity("thing", [Field("id", "int64")]),
        view,
        FeatureService("service", ["view:*"]),
    ]
    definitions.dump(found, "definitions.yaml")
    assert_type(definitions.load("definitions.yaml"), list[definitions.Definition])
    return found
