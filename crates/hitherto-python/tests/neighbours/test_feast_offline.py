"""Hitherto as Feast's offline store beside Feast's own: the same files, the same calls,
and where Feast has an answer of its own, the same answer."""

from __future__ import annotations

from datetime import date, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import hitherto
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

feast = pytest.importorskip("feast")

from feast import Entity, FeatureService, FeatureView, Field, FileSource, RepoConfig  # noqa: E402
from feast.errors import SavedDatasetLocationAlreadyExists  # noqa: E402
from feast.feature_logging import LoggingConfig  # noqa: E402
from feast.infra.offline_stores.file_source import (  # noqa: E402
    FileLoggingDestination,
    SavedDatasetFileStorage,
)
from feast.protos.feast.types.EntityKey_pb2 import EntityKey  # noqa: E402
from feast.protos.feast.types.Value_pb2 import Value  # noqa: E402
from feast.types import Array, Bool, Float64, Int64, UnixTimestamp  # noqa: E402
from feast.value_type import ValueType  # noqa: E402

DAY = timedelta(days=1)
NOW = datetime(2026, 3, 1, 12, tzinfo=timezone.utc)

OURS = {"type": "hitherto.feast.OfflineStore", "known": "ignore"}
STORES: dict[str, dict[str, Any]] = {"ours": OURS, "theirs": {"type": "dask"}}

driver = Entity(name="driver", join_keys=["driver_id"], value_type=ValueType.INT64)


def opened(
    root: Path,
    offline: dict[str, Any] = OURS,
    online_store: dict[str, Any] | None = None,
    **settings: Any,
) -> Any:
    """A Feast store in ``root``, with its own registry and online store."""
    root.mkdir(exist_ok=True)
    return feast.FeatureStore(
        config=RepoConfig(
            project="p",
            provider="local",
            registry=str(root / "registry.db"),
            offline_store=offline,
            online_store=online_store or {"type": "sqlite", "path": str(root / "online.db")},
            entity_key_serialization_version=3,
            repo_path=root,
            **settings,
        )
    )


@pytest.fixture(params=sorted(STORES))
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Any:
    """Ours and theirs, one after the other."""
    return opened(tmp_path / "feast", STORES[request.param])


def facts(path: Path, **columns: Any) -> pa.Table:
    """Two facts of driver 1 and one of driver 2, at -2, -1 and -1 days."""
    times = pa.array([NOW - 2 * DAY, NOW - DAY, NOW - DAY], pa.timestamp("us", "UTC"))
    base: dict[str, Any] = {
        "driver_id": pa.array([1, 1, 2], pa.int64()),
        "event_timestamp": times,
        "created": times,
        "value": [1.0, 2.0, 3.0],
    }
    table = pa.table(base | columns)
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(table, path)
    return table


def view(
    path: Path, schema: list[Any] | None = None, entities: list[Any] | None = None, **source: Any
) -> Any:
    named = {"timestamp_field": "event_timestamp", "created_timestamp_column": "created"} | source
    return FeatureView(
        name="stats",
        entities=[driver] if entities is None else entities,
        schema=schema or [Field(name="value", dtype=Float64)],
        source=FileSource(path=str(path), **named),
        ttl=7 * DAY,
    )


def rows(**columns: Any) -> pd.DataFrame:
    return pd.DataFrame({"driver_id": [1, 2, 3], "event_timestamp": [NOW] * 3} | columns)


def values(store: Any, name: str = "value", frame: pd.DataFrame | None = None) -> list[Any]:
    job = store.get_historical_features(rows() if frame is None else frame, [f"stats:{name}"])
    found = job.to_df().sort_values("driver_id") if frame is None else job.to_df()
    return [None if value is None or pd.isna(value) else value for value in found[name]]


def test_time_columns_are_mapped_as_well(store: Any, tmp_path: Path) -> None:
    table = facts(tmp_path / "f.parquet")
    renamed = table.rename_columns(["id", "ts_1", "made", "value"])
    pq.write_table(renamed, tmp_path / "f.parquet")
    mapping = {"ts_1": "ts", "made": "created", "id": "driver_id", "gone": "nothing"}
    stats = view(tmp_path / "f.parquet", timestamp_field="ts", field_mapping=mapping)
    store.apply([driver, stats])
    assert values(store) == [2.0, 3.0, None]
    store.materialize(NOW - 7 * DAY, NOW)
    answer = store.get_online_features(["stats:value"], [{"driver_id": 1}, {"driver_id": 3}])
    assert answer.to_dict()["value"] == [2.0, None]


def test_a_schema_may_name_the_join_key(store: Any, tmp_path: Path) -> None:
    facts(tmp_path / "f.parquet")
    schema = [Field(name="value", dtype=Float64), Field(name="driver_id", dtype=Int64)]
    stats = view(tmp_path / "f.parquet", schema)
    store.apply([driver, stats])
    assert values(store) == [2.0, 3.0, None]
    # Where Feast does not see that it is one, before its entity is known.
    stats.features.append(Field(name="driver_id", dtype=Int64))
    store.registry.apply_feature_view(stats, "p")
    assert values(store) == [2.0, 3.0, None]


def test_the_online_store_has_such_a_key_once(tmp_path: Path) -> None:
    online = {"type": "hitherto.feast.OnlineStore"}
    store = opened(tmp_path / "feast", online_store=online)
    facts(tmp_path / "f.parquet")
    stats = view(tmp_path / "f.parquet")
    stats.ttl = timedelta()
    stats.features.append(Field(name="driver_id", dtype=Int64))
    stats.entity_columns = [Field(name="driver_id", dtype=Int64)]
    provider = store._get_provider()
    provider.update_infra("p", [], [stats], [], [driver], partial=True)
    times = (NOW - DAY, NOW - DAY)
    key = EntityKey(join_keys=["driver_id"], entity_values=[Value(int64_val=7)])
    value = {"value": Value(double_val=2.5), "driver_id": Value(int64_val=7)}
    write, read = provider.online_write_batch, provider.online_read
    write(store.config, stats, [(key, value, *times)], None)
    other = EntityKey(join_keys=["driver_id"], entity_values=[Value(int64_val=8)])
    asked = [other, key]
    assert read(store.config, stats, asked) == [(None, None), (NOW - DAY, value)]
    only = {"driver_id": value["driver_id"]}
    assert read(store.config, stats, asked, ["driver_id"]) == [(None, None), (NOW - DAY, only)]
    assert read(store.config, stats, asked, ["value"])[1][1] == {"value": value["value"]}


@pytest.mark.parametrize("pull_latest", [True, False])
@pytest.mark.parametrize("whose", sorted(STORES))
def test_a_view_without_an_entity_is_materialized(
    tmp_path: Path, whose: str, pull_latest: bool
) -> None:
    settings = {"materialization_config": {"pull_latest_features": pull_latest}}
    store = opened(tmp_path / "feast", STORES[whose], **settings)
    facts(tmp_path / "f.parquet", driver_id=[0, 0, 0], value=[1.0, 2.0, 2.0])
    store.apply([view(tmp_path / "f.parquet", entities=[])])
    # One row: of several at one time Feast keeps one.
    assert values(store, frame=rows().head(1)) == [2.0]
    store.materialize(NOW - 7 * DAY, NOW)
    found = store.get_online_features(["stats:value"], [{"driver_id": 1}]).to_dict()
    assert found["value"] == [2.0]


@pytest.mark.parametrize(
    ("unit", "zone"),
    [(unit, zone) for unit in ("ms", "us", "ns") for zone in (None, "UTC", "Asia/Tokyo")]
    + [("s", None), ("s", "UTC")],
)
@pytest.mark.parametrize("pull_latest", [True, False])
def test_bounds_may_be_finer_than_the_file(
    tmp_path: Path, unit: str, zone: str | None, pull_latest: bool
) -> None:
    settings = {"materialization_config": {"pull_latest_features": pull_latest}}
    store = opened(tmp_path / "feast", **settings)
    table = facts(tmp_path / "f.parquet")
    kind = pa.timestamp(unit, zone)
    for name in ("event_timestamp", "created"):
        place = table.column_names.index(name)
        table = table.set_column(place, name, table[name].cast(kind))
    pq.write_table(table, tmp_path / "f.parquet")
    store.apply([driver, view(tmp_path / "f.parquet")])
    last = NOW - DAY

    def found(begin: datetime, end: datetime) -> list[Any]:
        job = store._get_provider().offline_store.pull_all_from_table_or_query(
            store.config,
            view(tmp_path / "f.parquet").batch_source,
            ["driver_id"],
            ["value"],
            "event_timestamp",
            "created",
            begin,
            end,
        )
        return sorted(job.to_arrow()["value"].to_pylist())

    micro = timedelta(microseconds=1)
    assert found(last, last) == [2.0, 3.0]
    assert found(last - micro, last + micro) == [2.0, 3.0]
    assert found(last + micro, NOW) == []
    assert found(NOW - 30 * DAY, last - micro) == [1.0]
    store.materialize(NOW - 30 * DAY, last - micro)
    answer = store.get_online_features(["stats:value"], [{"driver_id": 1}, {"driver_id": 2}])
    assert answer.to_dict()["value"] == [1.0, None]


def test_a_dataset_is_saved_and_not_written_over(store: Any, tmp_path: Path) -> None:
    facts(tmp_path / "f.parquet")
    store.apply([driver, view(tmp_path / "f.parquet")])
    for path in (tmp_path / "saved", tmp_path / "saved.parquet"):
        job = store.get_historical_features(rows(), ["stats:value"])
        storage = SavedDatasetFileStorage(path=str(path))
        saved = store.create_saved_dataset(job, path.stem, storage, allow_overwrite=True)
        frame = saved.to_df().sort_values("driver_id")
        assert frame["value"].tolist()[:2] == [2.0, 3.0]
        with pytest.raises(SavedDatasetLocationAlreadyExists):
            store.create_saved_dataset(job, path.stem, storage)


def test_a_saved_dataset_replaces_the_one_before(tmp_path: Path) -> None:
    """Feast's own store leaves the rows of both in a folder."""
    store = opened(tmp_path / "feast")
    facts(tmp_path / "f.parquet")
    store.apply([driver, view(tmp_path / "f.parquet")])
    (tmp_path / "saved").mkdir()
    (tmp_path / "saved" / "notes.txt").write_text("stay")
    for _ in range(2):
        job = store.get_historical_features(rows(), ["stats:value"])
        storage = SavedDatasetFileStorage(path=str(tmp_path / "saved"))
        store.create_saved_dataset(job, "saved", storage, allow_overwrite=True)
    assert sorted(file.suffix for file in (tmp_path / "saved").iterdir()) == [".parquet", ".txt"]
    assert sum(len(pq.read_table(file)) for file in (tmp_path / "saved").glob("*.parquet")) == 3


@pytest.mark.parametrize("whose", sorted(STORES))
def test_rows_are_added_to_a_views_file(tmp_path: Path, whose: str) -> None:
    store = opened(tmp_path / "feast", STORES[whose])
    before = facts(tmp_path / "f.parquet")
    store.apply([driver, view(tmp_path / "f.parquet")])
    # In another order, of other types where nothing is lost.
    more = pd.DataFrame(
        {"value": [9.0], "driver_id": [3], "created": [NOW], "event_timestamp": [NOW]}
    )
    store.write_to_offline_store("stats", more)
    after = pq.read_table(tmp_path / "f.parquet")
    assert after.schema.equals(before.schema) and after.num_rows == 4
    assert values(store) == [2.0, 3.0, 9.0]
    assert sorted(file.name for file in tmp_path.iterdir()) == ["f.parquet", "feast"]


def test_rows_are_added_to_a_views_folder(tmp_path: Path) -> None:
    store = opened(tmp_path / "feast")
    mapping = {"ts": "event_timestamp"}
    table = facts(tmp_path / "d" / "f.parquet")
    names = ["driver_id", "ts", "created", "value"]
    pq.write_table(table.rename_columns(names), tmp_path / "d" / "f.parquet")
    store.apply([driver, view(tmp_path / "d", field_mapping=mapping)])
    more = pd.DataFrame({"driver_id": [3], "ts": [NOW], "created": [NOW], "value": [9.0]})
    store.write_to_offline_store("stats", more)
    assert len(list((tmp_path / "d").iterdir())) == 2
    assert values(store) == [2.0, 3.0, 9.0]
    for wrong in (more.assign(value=["x"]), more.assign(driver_id=[1.5])):
        with pytest.raises(hitherto.InvalidError, match="column '(value|driver_id)' of .* is "):
            store.write_to_offline_store("stats", wrong)
    assert len(list((tmp_path / "d").iterdir())) == 2


def test_logged_features_are_written_and_found(store: Any, tmp_path: Path) -> None:
    facts(tmp_path / "f.parquet")
    stats = view(tmp_path / "f.parquet")
    destination = FileLoggingDestination(path=str(tmp_path / "logs"))
    service = FeatureService(
        name="svc", features=[stats], logging_config=LoggingConfig(destination=destination)
    )
    store.apply([driver, stats, service])
    logs = pa.table(
        {
            "driver_id": pa.array([1], pa.int64()),
            "stats__value": [2.0],
            "stats__value__timestamp": pa.array([NOW - DAY], pa.timestamp("us", "UTC")),
            "stats__value__status": pa.array([1], pa.int32()),
            "__log_timestamp": pa.array([NOW], pa.timestamp("us", "UTC")),
            "__log_date": [date(2026, 3, 1)],
            "__request_id": ["r"],
        }
    )
    for _ in range(2):
        store.write_logged_features(source=service, logs=logs)
    job = store._get_provider().retrieve_feature_service_logs(
        feature_service=service,
        start_date=NOW,
        end_date=NOW + DAY,
        config=store.config,
        registry=store.registry,
    )
    assert job.to_df()["stats__value"].tolist() == [2.0, 2.0]


def test_without_label_rows_there_is_a_row_for_every_fact(tmp_path: Path) -> None:
    store = opened(tmp_path / "feast")
    facts(tmp_path / "f.parquet")
    store.apply([driver, view(tmp_path / "f.parquet")])

    def found(begin: datetime, end: datetime) -> list[tuple[Any, ...]]:
        job = store.get_historical_features(
            entity_df=None, features=["stats:value"], start_date=begin, end_date=end
        )
        frame = job.to_df()
        assert list(frame.columns) == ["driver_id", "event_timestamp", "value"]
        return [tuple(row) for row in frame.itertuples(index=False)]

    old, new = pd.Timestamp(NOW - 2 * DAY), pd.Timestamp(NOW - DAY)
    assert found(NOW - 2 * DAY, NOW) == [(1, old, 1.0), (1, new, 2.0), (2, new, 3.0)]
    assert found(NOW - DAY, NOW - DAY) == [(1, new, 2.0), (2, new, 3.0)]
    assert found(NOW, NOW + DAY) == []


def test_without_label_rows_views_have_one_entity(tmp_path: Path) -> None:
    store = opened(tmp_path / "feast")
    facts(tmp_path / "f.parquet")
    item = Entity(name="item", join_keys=["item_id"], value_type=ValueType.INT64)
    other = facts(tmp_path / "o.parquet").rename_columns(
        ["item_id", "event_timestamp", "created", "value"]
    )
    pq.write_table(other, tmp_path / "o.parquet")
    stats, items = view(tmp_path / "f.parquet"), view(tmp_path / "o.parquet", entities=[item])
    items.name = items.projection.name = "items"
    store.apply([driver, item, stats, items])
    with pytest.raises(hitherto.InvalidError, match="driver_id and item_id: give entity_df"):
        store.get_historical_features(
            None,
            ["stats:value", "items:value"],
            full_feature_names=True,
            start_date=NOW - 2 * DAY,
            end_date=NOW,
        )


@pytest.mark.parametrize("pull_latest", [True, False])
def test_lists_of_bools_times_and_dates_come_back_as_they_are(
    tmp_path: Path, pull_latest: bool
) -> None:
    settings = {"materialization_config": {"pull_latest_features": pull_latest}}
    store = opened(tmp_path / "feast", **settings)
    moments = [datetime(1980, 1, 1), datetime(2026, 1, 1, microsecond=1)]
    lists = {
        "bools": pa.array([[True], [True, False, None], []], pa.list_(pa.bool_())),
        "moments": pa.array([None, moments, []], pa.list_(pa.timestamp("us"))),
        "zoned": pa.array([None, moments, [None]], pa.list_(pa.timestamp("ns", "UTC"))),
        "dates": pa.array([None, [date(1969, 12, 31)], []], pa.list_(pa.date32())),
    }
    table = facts(tmp_path / "f.parquet", **lists)
    types = {"bools": Array(Bool), "moments": Array(UnixTimestamp), "zoned": Array(UnixTimestamp)}
    schema = [Field(name=name, dtype=kind) for name, kind in types.items()]
    schema.append(Field(name="dates", dtype=Array(UnixTimestamp)))
    store.apply([driver, view(tmp_path / "f.parquet", schema)])
    asked = [f"stats:{name}" for name in lists]
    found = store.get_historical_features(rows(), asked).to_arrow()
    for name, array in lists.items():
        assert found.schema.field(name).type == array.type
        assert found[name].to_pylist() == [*table[name].to_pylist()[1:], None]
    pulled = store._get_provider().offline_store.pull_latest_from_table_or_query(
        store.config,
        view(tmp_path / "f.parquet").batch_source,
        ["driver_id"],
        list(lists),
        "event_timestamp",
        "created",
        NOW - 7 * DAY,
        NOW,
    )
    latest = pulled.to_arrow().sort_by("driver_id")
    for name, array in lists.items():
        assert latest.schema.field(name).type == array.type
        assert latest[name].to_pylist() == table[name].to_pylist()[1:]


def test_a_label_called_as_a_feature_stays_beside_it(store: Any, tmp_path: Path) -> None:
    facts(tmp_path / "f.parquet")
    store.apply([driver, view(tmp_path / "f.parquet")])
    frame = rows(value=[10, 20, 30])
    found = store.get_historical_features(frame, ["stats:value"]).to_df().sort_values("driver_id")
    assert found["value"].tolist() == [10, 20, 30]
    assert found["value__"].tolist()[:2] == [2.0, 3.0] and pd.isna(found["value__"].iloc[2])
