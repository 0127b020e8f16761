"""Features computed when they are asked for, here and at a server: DuckDB says what is right."""

from __future__ import annotations

import datetime as dt
import json
import math
import random
import subprocess
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

import duckdb
import hitherto
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from conftest import binary, serving
from hitherto import Entity, FeatureView, Field, OnDemandFeature, OnDemandView, Online, Source

NOON = dt.datetime(2026, 1, 15, 12, tzinfo=dt.timezone.utc)
NOW = "2026-01-15T12:00:00Z"
CUSTOMERS = 40

# Of each feature its expression for Hitherto, for DuckDB, and its type.
EXPRESSIONS = {
    "ratio": ("amount / spend.mean", "amount / mean", "float64"),
    "remaining": ("visits - wanted * 2", "visits - wanted * 2", "int64"),
    "each": ("visits / wanted", "visits // wanted", "int64"),
    "rest": ("visits % wanted", "visits % wanted", "int64"),
    "best": ("greatest(amount, mean)", "greatest(amount, mean)", "float64"),
    "level": (
        "CASE WHEN amount > 3 * mean THEN 'high' WHEN amount > mean THEN 'mid' ELSE 'low' END",
        "CASE WHEN amount > 3 * mean THEN 'high' WHEN amount > mean THEN 'mid' ELSE 'low' END",
        "string",
    ),
    "known": ("city IN ('Ulm', 'Bonn') OR city LIKE 'K%'", None, "bool"),
    "label": ("upper(substr(city, 1, 2)) || '-' || length(city)", None, "string"),
    "hours": (
        "date_diff('hour', opened, request_time())",
        "date_sub('hour', opened, \"at\")",
        "int64",
    ),
    "hour": ("CAST(date_part('hour', opened) AS BIGINT)", "hour(opened)", "int64"),
    "or_zero": ("coalesce(mean, 0) + coalesce(amount, 0)", None, "float64"),
    "number": ("CAST(city AS BIGINT)", "TRY_CAST(city AS BIGINT)", "int64"),
    "root": ("sqrt(abs(amount)) + floor(mean)", None, "float64"),
}

DEFINITIONS = [
    Entity("customer", keys=[Field("customer", "int64")]),
    FeatureView(
        "spend",
        entity="customer",
        source=Source("spend", event_time="at"),
        features=[
            Field("mean", "float64"),
            Field("visits", "int64"),
            Field("city", "string"),
            Field("opened", "timestamp(us, UTC)"),
        ],
        online=Online(history="30d"),
    ),
    OnDemandView(
        "risk",
        request=[Field("amount", "float64"), Field("wanted", "int64")],
        inputs=["spend:*"],
        features=[OnDemandFeature(name, of[2], of[0]) for name, of in EXPRESSIONS.items()],
    ),
]


def facts() -> pa.Table:
    """One fact a customer, some values null; a city may be a number."""
    draw = random.Random(7)
    cities = ["Ulm", "Bonn", "Köln", "12", "", None]
    opened = [NOON - dt.timedelta(seconds=draw.randrange(10_000_000)) for _ in range(CUSTOMERS)]
    return pa.table(
        {
            "customer": range(CUSTOMERS),
            "at": pa.array([NOON - dt.timedelta(days=1)] * CUSTOMERS, pa.timestamp("us", "UTC")),
            "mean": [draw.choice([None, 2.5, 7.0, 1e10]) for _ in range(CUSTOMERS)],
            "visits": [draw.choice([None, 0, 7, 40]) for _ in range(CUSTOMERS)],
            "city": [draw.choice(cities) for _ in range(CUSTOMERS)],
            "opened": pa.array(opened, pa.timestamp("us", "UTC")),
        }
    )


def questions() -> pa.Table:
    draw = random.Random(11)
    return pa.table(
        {
            "customer": pa.array(range(CUSTOMERS + 3), pa.int64()),
            "at": pa.array([NOON] * (CUSTOMERS + 3), pa.timestamp("us", "UTC")),
            "amount": pa.array(
                [draw.choice([None, 0.0, 3.5, 99.25]) for _ in range(CUSTOMERS + 3)], pa.float64()
            ),
            "wanted": pa.array(
                [draw.choice([None, 0, 1, 3, 2]) for _ in range(CUSTOMERS + 3)], pa.int64()
            ),
        }
    )


@pytest.fixture
def root(tmp_path: Path) -> Path:
    root = tmp_path / "repository"
    (root / "spend").mkdir(parents=True)
    hitherto.definitions.dump(DEFINITIONS, root / "definitions.yaml")
    pq.write_table(facts(), root / "spend" / "first.parquet")
    with hitherto.connect(root, now=NOW) as store:
        store.apply()
        store.materialize()
    return root


def expected() -> dict[str, list[Any]]:
    asked, stored = questions(), facts().drop_columns(["at"])
    columns = ", ".join(
        f"CAST({(of[1] or of[0]).replace('spend.', '')} AS {duckdb_type(of[2])}) AS \"{name}\""
        for name, of in EXPRESSIONS.items()
    )
    with duckdb.connect() as judge:
        judge.execute("SET TimeZone = 'UTC'; SET error_on_division_by_zero = false")
        judge.register("asked", asked)
        judge.register("stored", stored)
        rows = judge.sql(
            f"SELECT {columns} FROM asked LEFT JOIN stored USING (customer) ORDER BY customer"
        ).fetchall()
    return dict(zip(EXPRESSIONS, map(list, zip(*rows, strict=True)), strict=True))


def duckdb_type(kind: str) -> str:
    return {"float64": "DOUBLE", "int64": "BIGINT", "string": "VARCHAR", "bool": "BOOLEAN"}[kind]


def check(store: hitherto.Store) -> None:
    """Lookups and a training set, beside DuckDB's answers."""
    right, asked = expected(), questions()
    request = {name: asked[name].to_pylist() for name in ("amount", "wanted")}
    keys = {"customer": asked["customer"].to_pylist()}
    online = store.lookup(keys, ["risk:*"], request=request).to_dict()
    offline = store.training_set(asked, ["risk:*"], timestamp="at").to_arrow()
    for name in EXPRESSIONS:
        wanted = right[name]
        assert online[f"risk:{name}"] == wanted, name
        assert offline[name].to_pylist() == wanted, name


def test_lookups_and_training_sets_answer_as_duckdb(root: Path) -> None:
    with hitherto.connect(root, now=NOW) as store:
        check(store)


def test_behind_a_server_they_are_the_same(root: Path) -> None:
    with serving(root, now=NOW) as url, hitherto.connect(url) as store:
        check(store)
        # What a server said it takes is remembered, and asked for again where it does not fit.
        hitherto.definitions.dump(
            [
                *DEFINITIONS[:2],
                OnDemandView(
                    "risk",
                    request=[Field("amount", "int64")],
                    inputs=["spend:*"],
                    features=[OnDemandFeature("left_over", "int64", "visits - amount")],
                ),
            ],
            root / "definitions.yaml",
        )
        store.apply()
        again = store.lookup({"customer": [1]}, ["risk:*"], request={"amount": [3]})
        visits = facts()["visits"][1].as_py()
        assert again.to_dict()["risk:left_over"] == [None if visits is None else visits - 3]


def post(url: str, path: str, body: object) -> Any:
    request = urllib.request.Request(
        url + path, json.dumps(body).encode(), {"content-type": "application/json"}
    )
    with urllib.request.urlopen(request) as answer:
        return json.load(answer)


def test_http_and_feasts_wire_bring_the_same(root: Path) -> None:
    with serving(root, now=NOW) as url:
        body = {
            "features": ["risk:best", "risk:hours"],
            "keys": {"customer": [1, 2]},
            "request": {"amount": [5, None], "wanted": [1, 2]},
        }
        ours = post(url, "/v1/lookup", body)
        with hitherto.connect(url) as store:
            here = store.lookup(
                {"customer": [1, 2]},
                ["risk:best", "risk:hours"],
                request={"amount": [5, None], "wanted": [1, 2]},
            ).to_dict()
        for row, entity in enumerate(ours["entities"]):
            for name, answer in entity["features"].items():
                assert answer["value"] == here[name][row], name
        feast = post(
            url,
            "/get-online-features",
            {
                "features": ["risk:best", "risk:hours"],
                "entities": {"customer": [1, 2], "amount": [5.0, None], "wanted": [1, 2]},
            },
        )
        names = feast["metadata"]["feature_names"]
        for name in ("best", "hours"):
            values = feast["results"][names.index(name)]["values"]
            assert values == here[f"risk:{name}"], name
        with pytest.raises(urllib.error.HTTPError) as refused:
            post(url, "/v1/lookup", {**body, "request": {"amount": ["5", None], "wanted": [1, 2]}})
        message = json.load(refused.value)["error"]["message"]
        assert 'field "amount" of the request has a string at position 0' in message


def test_what_a_request_must_bring_is_said(root: Path) -> None:
    with hitherto.connect(root, now=NOW) as store:
        keys = {"customer": [1]}
        with pytest.raises(hitherto.InvalidError, match='"amount".* is missing from the request'):
            store.lookup(keys, ["risk:ratio"])
        with pytest.raises(hitherto.InvalidError, match="did you mean"):
            store.lookup(keys, ["risk:ratio"], request={"amuont": [1.0], "wanted": [1]})
        with pytest.raises(hitherto.InvalidError, match="another value at position 0"):
            store.lookup(keys, ["risk:ratio"], request={"amount": [1.0], "wanted": [1.5]})
        with pytest.raises(hitherto.InvalidError, match="the spine has no column"):
            spine = questions().drop_columns(["wanted"])
            store.training_set(spine, ["risk:ratio"], timestamp="at").to_arrow()
        with pytest.raises(hitherto.InvalidError, match="is an on-demand view"):
            store.materialize(["risk"])
        with pytest.raises(hitherto.InvalidError, match="is an on-demand view"):
            store.why("risk", {"customer": 1})


def test_a_report_and_a_manifest_have_them(root: Path) -> None:
    with hitherto.connect(root, now=NOW) as store:
        rows = store.training_set(questions(), ["risk:each", "risk:number"], timestamp="at")
        rows.to_arrow()
        assert [record["view"] for record in rows.manifest["on_demand"]] == ["risk"]
        assert rows.manifest["expressions"]
        nulls = {each["feature"]: each for each in rows.report()["on_demand"][0]["nulls"]}
        assert set(nulls["each"]["reasons"]) == {"null_input", "division_by_zero"}
        assert set(nulls["number"]["reasons"]) == {"null_input", "cast"}


def test_a_service_of_them_is_an_exposure(root: Path) -> None:
    with hitherto.connect(root, now=NOW) as store:
        catalog = store.catalog()
        catalog["views"][0]["definition"]["metadata"]["tags"] = {"dbt": "model.shop.spend"}
        catalog["services"] = [
            {
                "metadata": {"name": "fraud", "description": "", "owner": "", "tags": {}},
                "features": ["risk:each"],
            }
        ]
        assert hitherto.dbt.exposures(catalog)["exposures"][0]["name"] == "fraud"


def test_what_is_missing_in_a_frame_is_null_and_a_nan_is_a_nan(root: Path) -> None:
    nan = float("nan")
    echo = OnDemandView(
        "echo",
        request=[Field("number", "float64"), Field("text", "string")],
        inputs=["spend:mean"],
        features=[
            OnDemandFeature("number_again", "float64", "number"),
            OnDemandFeature("text_again", "string", "text"),
            OnDemandFeature("mean_again", "float64", "mean"),
        ],
    )
    keys = {"customer": [1, 2, 3]}
    brought = {"number": [1.5, nan, nan], "text": ["a", None, "NaN"]}
    frame = pd.DataFrame({**keys, **brought})
    spine = frame.assign(event_timestamp=pd.Timestamp(NOON))
    with hitherto.connect(root, now=NOW) as store:
        store.apply(definitions=[echo])

        def echoed(request: Any) -> list[list[Any]]:
            found = store.lookup(keys, ["echo:*"], request=request).to_dict()
            return [found["echo:number_again"], found["echo:text_again"]]

        rows = store.training_set(spine, ["echo:*"]).to_arrow()
        trained = [rows[name].to_pylist() for name in ("number_again", "text_again")]
        assert trained == [[1.5, None, None], ["a", None, "NaN"]]
        assert echoed(frame[["number", "text"]]) == trained
        numbers, texts = echoed(brought)
        assert math.isnan(numbers[1]) and math.isnan(numbers[2])
        assert texts == ["a", None, "NaN"]
        assert echoed({**brought, "number": [math.inf, -math.inf, 0]})[0] == [
            math.inf, -math.inf, 0,
        ]  # fmt: skip
        # Not the text "NaN".
        with pytest.raises(hitherto.InvalidError, match="text.*an object at position 1.*string"):
            echoed({**brought, "text": ["a", nan, None]})


def test_the_command_line_brings_fields_beside_keys(root: Path) -> None:
    command = [binary(), "get", "--features", "risk:best", "customer=1,2", "amount=5,"]
    command += ["wanted=1,2", "--as-of", NOW, "--repo", str(root), "--output", "json"]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    answered = [entity["features"]["risk:best"] for entity in json.loads(done.stdout)["entities"]]
    with hitherto.connect(root, now=NOW) as store:
        right = store.lookup(
            {"customer": [1, 2]}, ["risk:best"], request={"amount": [5, None], "wanted": [1, 2]}
        )
    assert [answer["value"] for answer in answered] == right.to_dict()["risk:best"]


def test_what_was_written_is_read_again() -> None:
    view = OnDemandView(
        "risk",
        request=[Field("amount", "float64", "of the payment")],
        inputs=["spend:*", "home=place[place_id=home_id]:lat"],
        entities=["customer", "place"],
        features=[OnDemandFeature("ratio", "float64", "amount / mean", "how much", default=-1)],
        owner="fraud",
    )
    assert hitherto.definitions.loads(view.to_yaml()) == [view]
    assert hitherto.definitions.from_dict(view.to_dict()) == view
    with pytest.raises(hitherto.InvalidError, match="are OnDemandFeatures"):
        OnDemandView("risk", features=[Field("ratio", "float64")])  # type: ignore[list-item]
    with pytest.raises(hitherto.InvalidError, match=r"write \['spend:\*'\]"):
        OnDemandView("risk", features=[], inputs="spend:*")
