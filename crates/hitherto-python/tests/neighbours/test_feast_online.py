"""Hitherto as Feast's online store, judged by Feast's own SQLite store: the same
repository twice, the same commands, and every value compared."""

from __future__ import annotations

import asyncio
import contextlib
import json
import shutil
import subprocess
from collections.abc import Iterator
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import hitherto
import pandas as pd
import pytest
from conftest import binary
from hitherto import definitions
from quick_start import feast_init, run_feast
from test_security import TOKEN, Authority

feast = pytest.importorskip("feast")

STORES = {
    "sqlite": "",
    "hitherto": (
        "offline_store: { type: hitherto.feast.OfflineStore, known: ignore }\n"
        "online_store: { type: hitherto.feast.OnlineStore }\n"
    ),
}

SERVICES = ("driver_activity_v1", "driver_activity_v2", "driver_activity_v3")

LABELS = ("is_reliable", "quality_score", "reviewer_notes", "labeler")


@pytest.fixture(scope="module")
def materialized(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The quick start with Feast's stores and with ours, materialized by Feast."""
    folder = tmp_path_factory.mktemp("online")
    quick = feast_init(folder)
    roots = {name: folder / name for name in STORES}
    end = datetime.now(timezone.utc).replace(tzinfo=None, microsecond=0)
    begin = end - timedelta(days=30)
    for name, root in roots.items():
        shutil.copytree(quick, root)
        settings = (root / "feature_store.yaml").read_text()
        if STORES[name]:
            before, after = settings.split("online_store:\n    type: sqlite\n")
            settings = before + STORES[name] + after.partition("\n")[2]
        (root / "feature_store.yaml").write_text(settings)
        run_feast(root, "apply")
        run_feast(root, "materialize", begin.isoformat(), end.isoformat())
    return roots


@pytest.fixture
def both(materialized: dict[str, Path], tmp_path: Path) -> Iterator[dict[str, Any]]:
    """A copy of both, opened."""
    stores: dict[str, Any] = {}
    for name, root in materialized.items():
        shutil.copytree(root, tmp_path / name)
        stores[name] = feast.FeatureStore(tmp_path / name)
    yield stores
    asyncio.run(stores["hitherto"].close())


def drivers(store: Any) -> list[int]:
    frame = pd.read_parquet(Path(store.repo_path) / "data" / "driver_stats.parquet")
    return [int(driver) for driver in frame["driver_id"].unique()]


def answers(store: Any) -> dict[str, Any]:
    """Everything that can be asked of the quick start, on demand views too."""
    rows = [
        {"driver_id": driver, "val_to_add": 1, "val_to_add_2": 20}
        for driver in [*drivers(store), 7, drivers(store)[0]]
    ]
    found = {
        name: store.get_online_features(store.get_feature_service(name), rows).to_dict()
        for name in SERVICES
    }
    labels = [f"driver_quality_labels:{name}" for name in LABELS]
    found["labels"] = store.get_online_features(labels, [{"driver_id": 1001}]).to_dict()
    return found


def fresh(store: Any, conv_rate: float, when: datetime) -> pd.DataFrame:
    """A row as the quick start's file has it, of another time."""
    frame = pd.read_parquet(Path(store.repo_path) / "data" / "driver_stats.parquet")
    row = frame.tail(1).assign(conv_rate=conv_rate, event_timestamp=when, created=when)
    return row.astype({"conv_rate": "float32"})


def test_materialized_values_are_those_of_sqlite(both: dict[str, Any]) -> None:
    found = answers(both["hitherto"])
    assert found == answers(both["sqlite"])
    wide = found["driver_activity_v2"]
    assert sum(value is not None for value in wide["conv_rate"]) == len(wide["conv_rate"]) - 1
    assert isinstance(wide["driver_metadata"][0], dict)
    assert isinstance(wide["driver_profile"][0], dict)


def test_what_is_pushed_is_read_at_once(both: dict[str, Any]) -> None:
    now = datetime.now(timezone.utc)
    for store in both.values():
        before = answers(store)
        store.push("driver_stats_push_source", fresh(store, 0.25, now))
        store.write_to_online_store("driver_hourly_stats", fresh(store, 0.75, now))
        labels = {"driver_id": [1001], "event_timestamp": [now], "is_reliable": [1]}
        labels |= {"quality_score": [0.5], "reviewer_notes": [None], "labeler": ["me"]}
        store.write_to_online_store("driver_quality_labels", pd.DataFrame(labels))
        assert answers(store) != before
    found = answers(both["hitherto"])
    assert found == answers(both["sqlite"])
    assert 0.25 in found["driver_activity_v3"]["conv_rate"]
    assert 0.75 in found["driver_activity_v2"]["conv_rate"]
    assert found["labels"]["quality_score"] == [0.5]
    assert found["labels"]["reviewer_notes"] == [None]


def conv_rates(store: Any) -> set[float | None]:
    asked = ["driver_hourly_stats:conv_rate"]
    rows = [{"driver_id": driver} for driver in drivers(store)]
    return set(store.get_online_features(asked, rows).to_dict()["conv_rate"])


def test_the_newest_answers_and_not_the_last_written(both: dict[str, Any]) -> None:
    store = both["hitherto"]
    before, now = conv_rates(store), datetime.now(timezone.utc)
    store.write_to_online_store("driver_hourly_stats", fresh(store, 0.75, now))
    store.write_to_online_store("driver_hourly_stats", fresh(store, 0.5, now - timedelta(hours=1)))
    assert conv_rates(store) - before == {0.75}
    # Created later than now: it is not known yet.
    later = fresh(store, 0.5, datetime.now(timezone.utc))
    later = later.assign(created=now + timedelta(hours=1))
    store.write_to_online_store("driver_hourly_stats", later)
    assert conv_rates(store) - before == {0.75}


def test_a_fact_older_than_the_ttl_is_no_value(both: dict[str, Any]) -> None:
    old = datetime.now(timezone.utc) - timedelta(days=2)
    for name, expected in (("hitherto", None), ("sqlite", 0.5)):
        store = both[name]
        row = fresh(store, 0.5, old).assign(driver_id=8)
        store.write_to_online_store("driver_hourly_stats", row)
        answer = store.get_online_features(["driver_hourly_stats:conv_rate"], [{"driver_id": 8}])
        assert answer.to_dict()["conv_rate"] == [expected]


def test_async_calls(both: dict[str, Any]) -> None:
    store = both["hitherto"]

    async def call() -> dict[str, Any]:
        row = fresh(store, 0.75, datetime.now(timezone.utc))
        await store.write_to_online_store_async("driver_hourly_stats", row)
        keys = [{"driver_id": int(row["driver_id"].iloc[0])}]
        answer = await store.get_online_features_async(["driver_hourly_stats:conv_rate"], keys)
        return answer.to_dict()  # type: ignore[no-any-return]

    assert asyncio.run(call())["conv_rate"] == [0.75]


def test_more_entities_than_one_lookup_takes(both: dict[str, Any]) -> None:
    keys = {"driver_id": [*range(2_000_000, 2_012_000), drivers(both["hitherto"])[0]]}
    asked = ["driver_hourly_stats:conv_rate"]
    found = {name: both[name].get_online_features(asked, keys).to_dict() for name in both}
    assert found["hitherto"] == found["sqlite"]
    assert found["hitherto"]["conv_rate"][-1] is not None


def test_types_that_are_there_and_types_that_are_bytes(both: dict[str, Any]) -> None:
    root = Path(both["hitherto"].repo_path) / "data" / "hitherto-online"
    views = {each.name: each for each in definitions.load(root)}
    view = views["driver_hourly_stats"]
    assert isinstance(view, definitions.FeatureView) and view.ttl == timedelta(days=1)
    assert {field.name: field.type for field in view.features} == {
        "conv_rate": "float32",
        "acc_rate": "float32",
        "avg_daily_trips": "int64",
        "driver_metadata": "binary",
        "driver_config": "binary",
        "driver_profile": "binary",
    }


def test_a_second_process_is_told_of_the_server(both: dict[str, Any]) -> None:
    store = both["hitherto"]
    conv_rates(store)  # opens the folder
    with pytest.raises(AssertionError, match="hitherto serve --repo"):
        run_feast(Path(store.repo_path), "apply")
    asyncio.run(store.close())
    run_feast(Path(store.repo_path), "apply")


def test_views_that_are_gone_are_dropped(both: dict[str, Any]) -> None:
    root = Path(both["hitherto"].repo_path)
    run_feast(root, "teardown")
    with hitherto.connect(root / "data" / "hitherto-online") as store:
        assert store.catalog()["views"] == []


@contextlib.contextmanager
def behind_a_server(root: Path, *options: str, **shown: str) -> Iterator[Any]:
    """Our repository behind a server, as Feast's online store."""
    command = [binary(), "serve", "--listen", "127.0.0.1:0", "--output", "json", *options]
    process = subprocess.Popen(
        command, cwd=root / "data" / "hitherto-online", stdout=subprocess.PIPE, text=True
    )
    try:
        assert process.stdout is not None
        shown["url"] = json.loads(process.stdout.readline())["url"]
        settings = root / "feature_store.yaml"
        named = "".join(f", {name}: '{value}'" for name, value in shown.items())
        settings.write_text(settings.read_text().replace("OnlineStore }", f"OnlineStore{named} }}"))
        yield feast.FeatureStore(root)
    finally:
        process.terminate()
        assert process.wait(timeout=30) == 0


@pytest.fixture
def served(both: dict[str, Any]) -> Iterator[Any]:
    with behind_a_server(Path(both["hitherto"].repo_path)) as store:
        yield store


def test_processes_share_a_server(served: Any, both: dict[str, Any]) -> None:
    root = Path(served.repo_path)
    assert answers(served) == answers(both["sqlite"])
    run_feast(root, "apply")
    now = datetime.now(timezone.utc)
    served.write_to_online_store("driver_hourly_stats", fresh(served, 0.75, now))
    assert 0.75 in conv_rates(feast.FeatureStore(root))
    # A definition that the server does not have yet.
    file = root / "feature_definitions.py"
    file.write_text(file.read_text().replace("days=1", "days=2"))
    with pytest.raises(AssertionError, match="hitherto materialize --server"):
        run_feast(root, "apply")
    for command in ("apply", "materialize"):
        server = ["--server", served.config.online_store.url]
        done = subprocess.run([binary(), command, *server], capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
    run_feast(root, "apply")
    assert 0.75 in conv_rates(feast.FeatureStore(root))


def test_a_server_is_shown_what_it_asks_for(
    both: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = Path(both["hitherto"].repo_path)
    authority = Authority(root / "pki")
    cert, key = authority.sign("server")
    authority.sign("feast")
    (tmp_path / "tokens").write_text(TOKEN)
    (tmp_path / "tokens").chmod(0o600)
    options = ["--tls-cert", cert, "--tls-key", key, "--client-ca", str(authority.ca)]
    options += ["--token-file", str(tmp_path / "tokens")]
    monkeypatch.setenv("TOKEN_OF_FEAST", TOKEN)
    shown = {"token": "${TOKEN_OF_FEAST}", "ca": "pki/ca.crt"}
    shown |= {"cert": "pki/feast.crt", "key": "pki/feast.key"}
    with behind_a_server(root, *options, **shown) as store:
        assert answers(store) == answers(both["sqlite"])
        assert TOKEN not in repr(store.config.online_store)
        for missing, error, reason in (
            ("token", hitherto.DeniedError, "asks for a token"),
            ("cert", hitherto.InvalidError, "name cert, too"),
            ("url", hitherto.InvalidError, "are for a server; leave them out"),
        ):
            store = feast.FeatureStore(root)
            setattr(store.config.online_store, missing, None)
            with pytest.raises(error, match=reason):
                conv_rates(store)
