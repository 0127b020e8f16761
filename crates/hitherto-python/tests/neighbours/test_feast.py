"""Feast's own quick-start repository, moved here in three ways."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import warnings
from collections.abc import Iterator
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import hitherto
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hitherto import definitions
from hitherto.feast import FeatureStore, import_repository
from quick_start import ENVIRONMENT, feast_init, run_feast

feast = pytest.importorskip("feast")

#: How definitions of small repositories begin.
HEADER = (
    "from datetime import timedelta\n"
    "from feast import Entity, FeatureService, FeatureView, Field, FileSource, ValueType\n"
    "from feast.types import Float32, Float64, Int64, String\n"
)

ASKED = [
    "driver_hourly_stats:conv_rate",
    "driver_hourly_stats:acc_rate",
    "driver_hourly_stats:avg_daily_trips",
]


@pytest.fixture(scope="session")
def quick(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return feast_init(tmp_path_factory.mktemp("feast"))


@pytest.fixture(scope="session")
def facts(quick: Path) -> pd.DataFrame:
    return pd.read_parquet(quick / "data" / "driver_stats.parquet")


@pytest.fixture(scope="session")
def rows(facts: pd.DataFrame) -> pd.DataFrame:
    """Label rows between facts, on them, before all, and long after."""
    chance = np.random.default_rng(3)
    picked = facts.iloc[chance.integers(0, len(facts), 60)]
    shifts = pd.to_timedelta(chance.integers(-200_000, 200_000, 60), unit="s").to_numpy()
    shifts[chance.random(60) < 0.2] = 0
    return pd.DataFrame(
        {
            "driver_id": picked["driver_id"].to_numpy(),
            "event_timestamp": picked["event_timestamp"].reset_index(drop=True) + shifts,
            "label": chance.integers(0, 2, 60),
        }
    )


def as_of(facts: pd.DataFrame, row: Any) -> list[Any]:
    """Feast's promise, in a few obvious lines: the newest of the last day."""
    event = facts["event_timestamp"]
    seen = facts[
        (facts["driver_id"] == row.driver_id)
        & (event <= row.event_timestamp)
        & (event >= row.event_timestamp - timedelta(days=1))
    ].sort_values(["event_timestamp", "created"])
    last = seen.iloc[-1] if len(seen) else None
    names = [name.partition(":")[2] for name in ASKED]
    return [None if last is None or pd.isna(last[name]) else last[name] for name in names]


def check(found: pd.DataFrame, facts: pd.DataFrame, rows: pd.DataFrame) -> None:
    assert len(found) == len(rows)
    assert (found["label"].to_numpy() == rows["label"].to_numpy()).all()
    answered = 0
    for (_, row), (_, got) in zip(rows.iterrows(), found.iterrows(), strict=True):
        expected = as_of(facts, row)
        values = [got[name.partition(":")[2]] for name in ASKED]
        assert [None if pd.isna(value) else value for value in values] == expected
        answered += expected[0] is not None
    assert 10 < answered < len(rows)


def check_hidden(found: pd.DataFrame, facts: pd.DataFrame) -> None:
    """No row sees a fact before it was created."""
    early = found["event_timestamp"] < facts["created"].dt.tz_localize("UTC").min()
    assert early.sum() > len(found) / 2
    assert found.loc[early, "conv_rate"].isna().all()


# Importing.


@pytest.fixture
def imported(quick: Path, tmp_path: Path) -> Path:
    report = import_repository(quick, tmp_path / "ours", known="ignore")
    files = ("entities.yaml", "views.yaml", "on_demand.yaml", "services.yaml")
    assert report.files == files
    return report.folder


def test_the_quick_start_is_imported_and_says_what_it_is_without(
    quick: Path, tmp_path: Path
) -> None:
    command = [sys.executable, "-m", "hitherto.feast", "import", str(quick), "--into", "ours"]
    done = subprocess.run(
        [*command, "--output", "json"],
        cwd=tmp_path,
        env=ENVIRONMENT,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    findings = json.loads(done.stdout)["findings"]
    left_out = {
        (found["kind"], found["name"]) for found in findings if found["outcome"] == "left_out"
    }
    assert left_out == {
        ("feature", "driver_hourly_stats:driver_metadata"),
        ("feature", "driver_hourly_stats:driver_profile"),
        ("feature", "driver_hourly_stats_fresh:driver_metadata"),
        ("feature", "driver_hourly_stats_fresh:driver_profile"),
        ("label view", "driver_quality_labels"),
        ("source", "driver_stats_push_source"),
    }
    assert all(found["reason"] for found in findings if found["outcome"] != "taken_over")
    assert ("entity", "driver", "taken_over") in {
        (found["kind"], found["name"], found["outcome"]) for found in findings
    }
    by_name = {each.name: each for each in definitions.load(tmp_path / "ours")}
    view = by_name["driver_hourly_stats"]
    assert isinstance(view, definitions.FeatureView)
    assert view.ttl == timedelta(days=1) and view.entity == "driver" and view.known is None
    assert view.source.known_time == "created" and dict(view.tags) == {"team": "driver_performance"}
    assert [(field.name, field.type) for field in view.features] == [
        ("conv_rate", "float32"),
        ("acc_rate", "float32"),
        ("avg_daily_trips", "int64"),
        ("driver_config", "string"),
    ]
    # Read once more, it refuses to write over what is there.
    again = subprocess.run(command, cwd=tmp_path, env=ENVIRONMENT, capture_output=True, text=True)
    assert again.returncode == 2 and "is not empty" in again.stderr and again.stdout == ""


def test_exit_codes(quick: Path, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "hitherto.feast", "import"]

    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [*command, *arguments], cwd=tmp_path, env=ENVIRONMENT, capture_output=True, text=True
        )

    strict = run(str(quick), "--into", "strict", "--strict")
    assert strict.returncode == 2 and "left out 6" in strict.stdout
    missing = run("nowhere", "--into", "x", "--output", "json")
    assert missing.returncode == 3
    assert json.loads(missing.stdout)["error"]["kind"] == "not_found"
    broken = tmp_path / "broken"
    shutil.copytree(quick, broken)
    (broken / "feature_definitions.py").write_text("import nothing_of_that_name")
    refused = run(str(broken), "--into", "y")
    assert refused.returncode == 2 and "nothing_of_that_name" in refused.stderr
    assert not (tmp_path / "y").exists()


def test_the_imported_repository_gives_feasts_answers(
    imported: Path, facts: pd.DataFrame, rows: pd.DataFrame
) -> None:
    with hitherto.connect(imported) as store:
        store.apply()
        store.materialize()
    ours = FeatureStore(imported)
    check(ours.get_historical_features(rows, ASKED).to_df(), facts, rows)
    full = ours.get_historical_features(entity_df=rows, features=ASKED, full_feature_names=True)
    assert list(full.to_df().columns) == [
        "driver_id",
        "event_timestamp",
        "label",
        *(name.replace(":", "__") for name in ASKED),
    ]
    assert full.to_arrow().num_rows == len(rows)
    drivers = [int(driver) for driver in facts["driver_id"].unique()[:3]]
    answer = ours.get_online_features(
        features=ASKED, entity_rows=[{"driver_id": driver} for driver in [*drivers, 7]]
    )
    now = datetime.now(timezone.utc)
    expected = [
        as_of(facts, pd.Series({"driver_id": driver, "event_timestamp": now}))[0]
        for driver in drivers
    ]
    found = answer.to_dict()
    assert found["driver_id"] == [*drivers, 7]
    assert found["conv_rate"] == [*expected, None]
    assert list(answer.to_df().columns) == ["driver_id", "conv_rate", "acc_rate", "avg_daily_trips"]
    service = ours.get_feature_service("driver_activity_v1")
    rows_of_service = {"driver_id": drivers, "val_to_add": [1] * 3, "val_to_add_2": [2] * 3}
    columns = ours.get_online_features(service, rows_of_service, full_feature_names=True).to_dict()
    role = "transformed_conv_rate__conv_rate_plus_val"
    assert list(columns) == [
        "driver_id", "driver_hourly_stats__conv_rate", f"{role}1", f"{role}2"
    ]  # fmt: skip
    assert columns[f"{role}2"] == [value and value + 2 for value in expected]
    ours.store.close()


def test_what_is_computed_on_demand_is_what_feast_computes(
    quick: Path, imported: Path, rows: pd.DataFrame
) -> None:
    computed = ["conv_rate_plus_val1", "conv_rate_plus_val2"]
    asked = [f"transformed_conv_rate:{name}" for name in computed]
    chance = np.random.default_rng(5)
    spine = rows.assign(
        val_to_add=chance.integers(-100, 100, len(rows)),
        val_to_add_2=chance.integers(-(2**40), 2**40, len(rows)),
    )
    run_feast(quick, "apply")
    theirs = feast.FeatureStore(quick).get_historical_features(
        entity_df=spine, features=["driver_hourly_stats:conv_rate", *asked]
    )
    order = ["driver_id", "event_timestamp", "val_to_add", "val_to_add_2"]
    # Of rows that are equal in key and time Feast keeps one.
    expected = theirs.to_df().set_index(order)[computed]
    with hitherto.connect(imported) as store:
        store.apply()
        found = store.training_set(spine, asked).to_pandas()
        found = found.set_index(order).loc[expected.index, computed]
        assert len(expected) > len(rows) // 2
        assert expected.notna().to_numpy().any(axis=0).all()
        different = found.to_numpy() != expected.to_numpy()
        different &= ~(found.isna().to_numpy() & expected.isna().to_numpy())
        assert not different.any(), (found.to_numpy()[different], expected.to_numpy()[different])


ODD_FUNCTIONS = {
    "a condition": ('df["x"] = inputs["a"].clip(0)', "line 4 .* no plain arithmetic .*clip"),
    "a loop": ('for _ in range(2): df["x"] = inputs["a"]', "line 4"),
    "another power": ('df["x"] = inputs["a"] ** 2', r"line 4 .*\*\* 2"),
    "no such column": ('df["x"] = inputs["b"] + 1', "reads 'b', which is not here"),
    "an integer": ('df["x"] = inputs["a"].astype("int64")', "line 4 .*astype"),
}


@pytest.mark.parametrize("case", ODD_FUNCTIONS)
def test_a_function_that_is_no_arithmetic_is_left_out(case: str) -> None:
    from hitherto.feast._arithmetic import NotPlainError, expressions

    statement, said = ODD_FUNCTIONS[case]
    source = f'@view()\ndef f(inputs):\n    df = pd.DataFrame()\n    {statement}\n    return df\n'
    with pytest.raises(NotPlainError, match=said):
        expressions(source, {"a": "v.a"})


def test_arithmetic_is_read_in_each_of_its_forms() -> None:
    from hitherto.feast._arithmetic import expressions

    columns = {"a": "v.a", "b": "request.b"}
    right = "((CAST(v.a AS DOUBLE) + CAST(request.b AS DOUBLE)) / CAST(2 AS DOUBLE))"
    for body in (
        '"""Half of both."""\n    df = pd.DataFrame()\n    df["x"] = (inputs["a"] + inputs["b"]) / 2'
        "\n    return df",
        'both = inputs["a"].astype("float64") + inputs["b"]\n'
        '    return pd.DataFrame({"x": both / 2})',
        'return {"x": (inputs["a"] + inputs["b"].astype(float)) / 2}',
    ):
        assert expressions(f"def f(inputs):\n    {body}\n", columns) == {"x": right}
    negative = expressions('def f(i):\n    return {"x": -i["a"] * -1.5}', columns)
    assert negative == {"x": "((-CAST(v.a AS DOUBLE)) * (-CAST(1.5 AS DOUBLE)))"}


def test_with_known_time_nothing_is_seen_before_it_was_created(
    quick: Path, tmp_path: Path, facts: pd.DataFrame, rows: pd.DataFrame
) -> None:
    """The quick start's facts were all created when it was made."""
    import_repository(quick, tmp_path / "ours")
    with hitherto.connect(tmp_path / "ours") as store:
        store.apply()
        found = store.training_set(rows, ASKED).to_pandas()
    check_hidden(found, facts)


# The plugin.


@pytest.fixture
def plugged(quick: Path, tmp_path: Path) -> Iterator[Any]:
    """The quick start with another offline store, applied."""
    root = tmp_path / "plugged"
    shutil.copytree(quick, root)
    with (root / "feature_store.yaml").open("a") as file:
        file.write("\noffline_store:\n  type: hitherto.feast.OfflineStore\n  known: ignore\n")
    run_feast(root, "apply")
    yield feast.FeatureStore(root)


def test_a_feast_repository_names_it(plugged: Any, facts: pd.DataFrame, rows: pd.DataFrame) -> None:
    check(plugged.get_historical_features(entity_df=rows, features=ASKED).to_df(), facts, rows)
    # A second time from what was applied; names and order as Feast has them.
    job = plugged.get_historical_features(
        entity_df=rows, features=ASKED[::-1], full_feature_names=True
    )
    assert job.to_arrow().column_names == [
        *rows.columns,
        *(name.replace(":", "__") for name in ASKED[::-1]),
    ]
    assert job.metadata.features == ASKED[::-1]


def test_a_label_named_like_a_feature_stands_beside_it_as_in_feast(
    quick: Path, plugged: Any, facts: pd.DataFrame, rows: pd.DataFrame
) -> None:
    labels = rows.rename(columns={"label": "conv_rate"})
    found = plugged.get_historical_features(entity_df=labels, features=ASKED).to_df()
    store = feast.FeatureStore(str(quick))
    feasts = store.get_historical_features(entity_df=labels, features=ASKED).to_df()
    names = [name.partition(":")[2] for name in ASKED]
    assert set(found.columns) == set(feasts.columns) == {*labels.columns, "conv_rate__", *names}
    assert (found["conv_rate"].to_numpy() == rows["label"].to_numpy()).all()
    check(found.assign(label=rows["label"], conv_rate=found["conv_rate__"]), facts, rows)


def test_known_time_hides_and_says_so(
    plugged: Any, facts: pd.DataFrame, rows: pd.DataFrame
) -> None:
    with pytest.warns(UserWarning, match="created after the row's time"):
        hidden = plugged.get_historical_features(
            entity_df=rows, features=ASKED, filter_by_created_timestamp=True
        ).to_df()
    check_hidden(hidden, facts)


def test_what_has_no_equivalent_is_refused(plugged: Any, rows: pd.DataFrame) -> None:
    with pytest.raises(hitherto.InvalidError, match="driver_metadata has no equivalent"):
        plugged.get_historical_features(
            entity_df=rows, features=["driver_hourly_stats:driver_metadata"]
        )
    with pytest.raises(hitherto.InvalidError, match="entity_df is a DataFrame"):
        plugged.get_historical_features(entity_df="SELECT 1", features=ASKED)


@pytest.fixture
def plain(quick: Path, tmp_path: Path) -> Path:
    """The quick start's facts in a view without maps and structs, and an on
    demand view over it; applied."""
    root = tmp_path / "plain"
    (root / "data").mkdir(parents=True)
    shutil.copy(quick / "data" / "driver_stats.parquet", root / "data")
    (root / "feature_store.yaml").write_text(
        "project: plain\nregistry: data/registry.db\nprovider: local\n"
        "online_store: { type: sqlite, path: data/online.db }\n"
        "offline_store: { type: hitherto.feast.OfflineStore, known: ignore }\n"
        "materialization: { pull_latest_features: true }\n"
        "entity_key_serialization_version: 3\n"
    )
    (root / "definitions.py").write_text(
        HEADER + "import pandas as pd\n"
        "from feast.on_demand_feature_view import on_demand_feature_view\n"
        'driver = Entity(name="driver", join_keys=["driver_id"])\n'
        'source = FileSource(path="data/driver_stats.parquet",\n'
        '    timestamp_field="event_timestamp", created_timestamp_column="created")\n'
        'stats = FeatureView(name="stats", entities=[driver], source=source,\n'
        '    ttl=timedelta(days=1), schema=[Field(name="conv_rate", dtype=Float32),\n'
        '                                   Field(name="avg_daily_trips", dtype=Int64)])\n'
        '@on_demand_feature_view(sources=[stats], schema=[Field(name="twice", dtype=Float64)])\n'
        "def derived(inputs: pd.DataFrame) -> pd.DataFrame:\n"
        '    return pd.DataFrame({"twice": inputs["conv_rate"].astype("float64") * 2})\n'
    )
    run_feast(root, "apply")
    return root


def test_on_demand_views_run_over_it(plain: Path, rows: pd.DataFrame) -> None:
    store = feast.FeatureStore(plain)
    asked = ["stats:conv_rate", "derived:twice"]
    found = store.get_historical_features(entity_df=rows, features=asked).to_df()
    assert found["conv_rate"].notna().sum() > 10
    assert np.allclose(found["twice"], found["conv_rate"].astype("float64") * 2, equal_nan=True)


@pytest.mark.parametrize("pull_latest", ["true", "false"])
def test_feast_materializes_from_it(plain: Path, facts: pd.DataFrame, pull_latest: str) -> None:
    """Into Feast's own online store, in both ways of Feast."""
    settings = plain / "feature_store.yaml"
    settings.write_text(settings.read_text().replace("features: true", f"features: {pull_latest}"))
    end = datetime.now(timezone.utc).replace(tzinfo=None, microsecond=0)
    begin = end - timedelta(days=30)
    run_feast(plain, "materialize", begin.isoformat(), end.isoformat())
    drivers = [int(driver) for driver in facts["driver_id"].unique()]
    answer = feast.FeatureStore(plain).get_online_features(
        ["stats:conv_rate"], [{"driver_id": driver} for driver in drivers]
    )
    found = dict(zip(*(answer.to_dict()[name] for name in ("driver_id", "conv_rate")), strict=True))
    newest = facts.sort_values(["event_timestamp", "created"]).groupby("driver_id").last()
    for driver in drivers:
        assert found[driver] == pytest.approx(newest.loc[driver, "conv_rate"])


# Smaller repositories, for what the quick start does not have.


def small(root: Path, body: str, table: pa.Table) -> Path:
    root.mkdir()
    (root / "feature_store.yaml").write_text(
        "project: small\nregistry: registry.db\nprovider: local\n"
        "online_store: { type: sqlite, path: online.db }\nentity_key_serialization_version: 3\n"
    )
    (root / "small.py").write_text(HEADER + body)
    pq.write_table(table, root / "facts.parquet")
    return root


def test_names_roles_and_composite_keys(tmp_path: Path) -> None:
    moment = datetime(2024, 1, 1, tzinfo=timezone.utc)
    table = pa.table(
        {
            "user_id": [1],
            "item_id": ["a"],
            "ts": [moment],
            "Score-Raw": [0.5],
            "Rank": pa.array([3], pa.int64()),
        }
    )
    root = small(
        tmp_path / "theirs",
        'user = Entity(name="user", join_keys=["user_id"])\n'
        'item = Entity(name="item", join_keys=["item_id"])\n'
        'unused = Entity(name="unused", join_keys=["x"])\n'
        'source = FileSource(path="facts.parquet", timestamp_field="ts",\n'
        '                    field_mapping={"Score-Raw": "score"})\n'
        'view = FeatureView(name="Pair-Stats", entities=[user, item], source=source, ttl=None,\n'
        '    schema=[Field(name="score", dtype=Float64), Field(name="Rank", dtype=Int64),\n'
        '            Field(name="gone", dtype=Int64)])\n'
        'service = FeatureService(name="svc", features=[\n'
        '    view[["score"]].with_name("other").with_join_key_map({"user_id": "friend_id"})])\n',
        table,
    )
    report = import_repository(root, tmp_path / "ours")
    entity, view, service = definitions.load(tmp_path / "ours" / "entities.yaml") + (
        definitions.load(tmp_path / "ours" / "views.yaml")
        + definitions.load(tmp_path / "ours" / "services.yaml")
    )
    assert isinstance(entity, definitions.Entity) and isinstance(view, definitions.FeatureView)
    assert isinstance(service, definitions.FeatureService)
    assert [(key.name, key.type) for key in entity.keys] == [
        ("user_id", "int64"),
        ("item_id", "string"),
    ]
    assert view.name == "pair_stats" and view.ttl is None
    assert dict(view.source.columns) == {"score": "Score-Raw", "rank": "Rank"}
    assert service.features == ("other=pair_stats[user_id=friend_id]:score",)
    said = {(found.kind, found.name): found for found in report.findings}
    assert said["feature", "Pair-Stats:gone"].reason == "it is not in the file"
    assert said["feature view", "Pair-Stats"].outcome == "changed"
    assert said["entity", "unused"].outcome == "left_out"
    with hitherto.connect(tmp_path / "ours") as store:
        store.apply()
        store.materialize()
        spine = pa.table({"friend_id": [1], "item_id": ["a"], "event_timestamp": [moment]})
        found = store.training_set(spine, service="svc").to_arrow()
        assert found["score"].to_pylist() == [0.5]


def test_sources_of_other_kinds_are_left_out(tmp_path: Path) -> None:
    root = small(
        tmp_path / "theirs",
        "from feast import BigQuerySource\n"
        'user = Entity(name="user", join_keys=["user_id"], value_type=ValueType.INT64)\n'
        'far = FileSource(path="s3://bucket/x.parquet", timestamp_field="ts")\n'
        'a = FeatureView(name="a", entities=[user], source=far,\n'
        '    schema=[Field(name="x", dtype=Float64)])\n'
        'there = FileSource(path="facts.parquet", timestamp_field="ts")\n'
        'b = FeatureView(name="b", entities=[], source=there,\n'
        '    schema=[Field(name="x", dtype=Float64)])\n',
        pa.table({"ts": [datetime(2024, 1, 1)], "x": [1.0]}),
    )
    report = import_repository(root, tmp_path / "ours")
    [left_out] = [found for found in report.left_out if found.kind == "feature view"]
    assert left_out.name == "a" and "object store" in left_out.reason
    [view] = definitions.load(tmp_path / "ours")
    assert isinstance(view, definitions.FeatureView) and view.entity is None


def test_importing_leaves_the_process_as_it_was(quick: Path, tmp_path: Path) -> None:
    before = Path.cwd(), list(sys.path)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import_repository(quick, tmp_path / "ours")
    assert (Path.cwd(), list(sys.path)) == before
    assert "feature_definitions" not in sys.modules
