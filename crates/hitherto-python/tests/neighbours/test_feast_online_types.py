"""Values of every type in Feast's online store, here and in SQLite."""

from __future__ import annotations

import asyncio
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import hitherto
import pandas as pd
import pytest

feast = pytest.importorskip("feast")

from feast import types  # noqa: E402

NOON = datetime.now(timezone.utc).replace(microsecond=0)

VALUES: dict[str, tuple[Any, list[Any]]] = {
    "raw": (types.Bytes, [b"\x00\xff", None]),
    "text": (types.String, ["", None]),
    "flag": (types.Bool, [False, None]),
    "small": (types.Int32, [-(2**31), None]),
    "large": (types.Int64, [2**53, None]),
    "single": (types.Float32, [0.1, None]),
    "double": (types.Float64, [0.1, None]),
    "moment": (types.UnixTimestamp, [NOON, None]),
    "counts": (types.Array(types.Int64), [[1, -2], None]),
    "Embedding-32": (types.Array(types.Float32), [[0.1, 0.2], None]),
    "words": (types.Array(types.String), [["a", ""], None]),
    "moments": (types.Array(types.UnixTimestamp), [[NOON, NOON], None]),
}

STORES = {
    "hitherto": "type: hitherto.feast.OnlineStore, path: there",
    "sqlite": "type: sqlite, path: online.db",
}


def opened(root: Path, online_store: str) -> Any:
    root.mkdir()
    (root / "feature_store.yaml").write_text(
        "project: types\nregistry: registry.db\nprovider: local\n"
        f"online_store: {{ {online_store} }}\nentity_key_serialization_version: 3\n"
    )
    return feast.FeatureStore(root)


def view(name: str, entities: list[Any]) -> Any:
    """A view of all types; its source is written to and never read."""
    schema = [feast.Field(name=each, dtype=kind) for each, (kind, _) in VALUES.items()]
    keys = [feast.Field(name=entity.join_key, dtype=types.String) for entity in entities]
    source = feast.FileSource(name=f"{name}_source", path="none.parquet", timestamp_field="ts")
    return feast.FeatureView(
        name=name, entities=entities, schema=[*keys, *schema], source=source, ttl=timedelta(0)
    )


def test_values_of_every_type_are_those_of_sqlite(tmp_path: Path) -> None:
    user = feast.Entity(name="user", join_keys=["user_id"], value_type=feast.ValueType.STRING)
    item = feast.Entity(name="item", join_keys=["item_id"], value_type=feast.ValueType.STRING)
    columns = {name: values for name, (_, values) in VALUES.items()}
    times = {"ts": [NOON, NOON]}
    # Joined, these two keys would be one.
    pairs = {"user_id": ["a", "ab"], "item_id": ["bc", "c"]}
    keys = {"user_id": ["a", "ab", "ab"], "item_id": ["bc", "c", "bc"]}
    found: dict[str, dict[str, Any]] = {}
    for name, online_store in STORES.items():
        store = opened(tmp_path / name, online_store)
        store.apply([user, item, view("Pair-Stats", [user, item])])
        store.write_to_online_store("Pair-Stats", pd.DataFrame(pairs | columns | times))
        asked = [f"Pair-Stats:{name}" for name in VALUES]
        found[name] = store.get_online_features(asked, keys).to_dict()
        asyncio.run(store.close())
    assert found["hitherto"] == found["sqlite"]
    for name in VALUES:
        first, *others = found["hitherto"][name]
        assert first is not None and others == [None, None]


def test_a_view_without_an_entity(tmp_path: Path) -> None:
    """SQLite does not find what ``write_to_online_store`` wrote."""
    store = opened(tmp_path / "here", STORES["hitherto"])
    store.apply([view("overall", [])])
    columns = {name: values[:1] for name, (_, values) in VALUES.items()}
    store.write_to_online_store("overall", pd.DataFrame(columns | {"ts": [NOON]}))
    found = store.get_online_features(["overall:text", "overall:large"], {"any": [1, 2]})
    assert found.to_dict() == {"text": ["", ""], "large": [2**53] * 2}


def test_a_join_key_of_a_type_that_none_can_have_is_refused(tmp_path: Path) -> None:
    store = opened(tmp_path / "here", STORES["hitherto"])
    for kind, said in (
        (types.Float64, "keys are compared for exact equality"),
        (types.Uuid, "join key 'user_id' of stats is a Uuid"),
    ):
        user = feast.Entity(name="user", join_keys=["user_id"])
        stats = feast.FeatureView(
            name="stats",
            entities=[user],
            schema=[feast.Field(name="user_id", dtype=kind), feast.Field(name="x", dtype=kind)],
            source=feast.FileSource(path="none.parquet", timestamp_field="ts"),
        )
        with pytest.raises(hitherto.InvalidError, match=said):
            store.apply([user, stats])


def test_a_view_is_written_to_once_it_is_applied(tmp_path: Path) -> None:
    store = opened(tmp_path / "here", STORES["hitherto"])
    with pytest.raises(hitherto.NotFoundError, match="there"):
        store._get_provider().online_read(store.config, view("overall", []), [])
