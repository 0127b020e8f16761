"""Definitions in Python are those of the YAML files, both ways."""

from __future__ import annotations

import dataclasses
import json
import shutil
import subprocess
from datetime import timedelta
from pathlib import Path
from typing import Any

import hitherto
import pytest
import yaml
from conftest import ICU, ROOT, binary
from hitherto import (
    Aggregate,
    Buckets,
    Entity,
    FeatureService,
    FeatureView,
    Field,
    MaxChange,
    Online,
    Source,
    definitions,
)

TEMPLATE = ROOT / "crates" / "hitherto-cli" / "src" / "commands" / "init" / "template"


def test_every_field_of_a_view_is_written_under_its_name() -> None:
    view = FeatureView(
        "lactate",
        entity="stay",
        source=Source(
            "data/labs.parquet",
            event_time="drawn",
            sql="SELECT *\nFROM source\n",
            delay=timedelta(minutes=90),
            deleted="gone",
            columns={"value": "Value"},
        ),
        features=[
            Field("value", "float64", "mmol/l", default=-0.5),
            Field("price", "decimal128(10, 2)", default="1.50"),
            Field("given", "bool", default=False),
            Field("unit", "string", default=""),
        ],
        ttl="36h",
        known="ignore",
        online=Online(
            history=timedelta(days=7, milliseconds=1), max_change=MaxChange(nulls="0.5%")
        ),
        owner="icu-team",
        tags={"phi": "true"},
    )
    expected = """\
apiVersion: hitherto/v1
kind: FeatureView
metadata:
  name: lactate
  owner: icu-team
  tags: { phi: "true" }
spec:
  entity: stay
  source:
    parquet: data/labs.parquet
    sql: |
      SELECT *
      FROM source
    eventTime: drawn
    delay: 1h30m
    deleted: gone
    columns: { value: Value }
  ttl: 1d12h
  known: ignore
  features:
    - { name: value, type: float64, default: "-0.5", description: mmol/l }
    - { name: price, type: "decimal128(10, 2)", default: "1.50" }
    - { name: given, type: bool, default: "false" }
    - { name: unit, type: string, default: "" }
  online:
    history: 7d1ms
    maxChange: { nulls: "0.5%" }
"""
    assert view.to_yaml() == expected
    assert definitions.loads(expected) == [view]
    assert definitions.from_dict(view.to_dict()) == view


def test_a_duration_may_be_written_in_many_ways() -> None:
    def of(ttl: Any) -> FeatureView:
        return FeatureView("v", Source("d", "e"), [Field("f", "bool")], ttl=ttl)

    assert of("24h") == of("1d") == of(timedelta(days=1)) == of("23h60m")
    assert of("1w").ttl == timedelta(weeks=1)
    assert of("10y") == of("3650d") and of("10y").to_dict()["spec"]["ttl"] == "10y"
    assert of("1ms500us").to_dict()["spec"]["ttl"] == "1ms500us"
    assert len({of("24h"), of("1d"), of("2d")}) == 2
    for wrong in ("24", "h", "1x", "-1d", "", timedelta(seconds=-1)):
        with pytest.raises(hitherto.InvalidError, match="duration"):
            of(wrong)


def test_a_source_has_an_event_time_or_is_timeless() -> None:
    timeless = Source("data/patients.parquet", timeless=True)
    assert timeless.to_dict() == {"parquet": "data/patients.parquet", "timeless": True}
    assert Source("d", "e").to_dict() == {"parquet": "d", "eventTime": "e"}
    for wrong in ({}, {"event_time": "e", "timeless": True}):
        with pytest.raises(hitherto.InvalidError, match="either event_time"):
            Source("d", **wrong)


def test_repositories_go_through_python_unchanged(tmp_path: Path) -> None:
    for root, count in ((ICU, 21), (TEMPLATE, 4)):
        found = definitions.load(root)
        assert len(found) == count
        written = definitions.dumps(found)
        assert definitions.loads(written) == found
        # As they were written, but for durations such as 24h, which is 1d.
        texts = [file.read_text() for file in sorted(root.rglob("*.yaml"))]
        plain = [each for text in texts for each in yaml.load_all(text, Loader=yaml.BaseLoader)]
        plain = [each for each in plain if each and "apiVersion" in each]
        for before, after in zip(plain, found, strict=True):
            assert _without_durations(after.to_dict()) == _without_durations(before)
        definitions.dump(found, tmp_path / "all.yaml")
        assert definitions.load(tmp_path) == definitions.load(tmp_path / "all.yaml") == found


def _without_durations(document: dict[str, Any]) -> dict[str, Any]:
    spec = {name: value for name, value in document["spec"].items() if name not in ("ttl",)}
    if "source" in spec:
        spec["source"] = {k: v for k, v in spec["source"].items() if k != "delay"}
        # Text, as it was read here.
        if timeless := spec["source"].get("timeless"):
            spec["source"]["timeless"] = str(timeless).lower()
    spec.pop("online", None)
    return {**document, "spec": spec}


def test_the_engine_applies_what_python_wrote(repository: Path, tmp_path: Path) -> None:
    rewritten = tmp_path / "rewritten"
    rewritten.mkdir()
    shutil.copytree(ICU / "data", rewritten / "data")
    definitions.dump(definitions.load(repository), rewritten / "definitions.yaml")
    with hitherto.connect(rewritten) as store:
        store.apply()
        ours = store.catalog()
    with hitherto.connect(repository, read_only=True) as store:
        theirs = store.catalog()
    assert ours["entities"] == theirs["entities"]
    assert ours["services"] == theirs["services"]
    names = [each["name"] for view in ours["views"] for each in view["definition"]["features"]]
    assert "creatinine_mg_dl_max_48h" in names
    assert [view["definition"] for view in ours["views"]] == [
        view["definition"] for view in theirs["views"]
    ]


@pytest.mark.parametrize(
    "text",
    [
        "plain",
        "true",
        "1.5",
        "a: b # c",
        "two\nlines\n",
        "two\nlines",
        "\n leading\n",
        "trailing \n space\n",
        "many\n\n\n",
        "tab\tand \x7f and \x85 and \u2028",
        "\N{SNOWMAN} \N{GRINNING FACE}",
        "---\n...\n",
        "- { x: [1] }",
        "'\"\\",
    ],
)
def test_any_text_survives_the_engine_and_pyyaml(tmp_path: Path, text: str) -> None:
    entity = Entity("thing", [Field("id", "int64", text)], description=text, tags={"label": text})
    service = FeatureService("all", ["facts:x"], description=text)
    assert definitions.loads(definitions.dumps([entity, service])) == [entity, service]
    (tmp_path / "entity.yaml").write_text(entity.to_yaml(), "utf-8")
    with hitherto.connect(tmp_path) as store:
        store.apply()
        [found] = store.catalog()["entities"]
    assert found["metadata"]["description"] == found["keys"][0]["description"] == text
    assert found["metadata"]["tags"] == {"label": text}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("kind: Entity", "apiVersion None"),
        ("apiVersion: hitherto/v1\nkind: Thing", "'Thing' is not one of Entity"),
        ("apiVersion: hitherto/v1\nkind: Entity\nmetadata: { name: x }", "spec of Entity 'x' must"),
        (
            "apiVersion: hitherto/v1\nkind: Entity\nmetadata: { name: x }\nspec: { key: [] }",
            "unknown field 'key'; did you mean 'keys'",
        ),
        (
            "apiVersion: hitherto/v1\nkind: Entity\nmetadata: {}\nspec: { keys: [] }",
            "field 'name' is missing",
        ),
        (
            "apiVersion: hitherto/v1\nkind: Entity\nmetadata: { name: x }\n"
            "spec: { keys: [{ name: id, type: [] }] }",
            "field 'type' must be text",
        ),
        ("a: [", "not YAML"),
    ],
)
def test_a_wrong_document_is_named(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(hitherto.InvalidError, match=message):
        definitions.loads(text)
    (tmp_path / "wrong.yaml").write_text(text)
    with pytest.raises(hitherto.InvalidError, match=r"wrong\.yaml: .*"):
        definitions.load(tmp_path)


def test_aggregates_are_written_and_read_again() -> None:
    view = FeatureView(
        "card",
        entity="customer",
        source=Source("data/", event_time="bought", known_time="booked", id=["tx", "line"]),
        aggregates=[
            Aggregate("sum", "amount", windows=["1h", timedelta(days=7), "lifetime"]),
            Aggregate("count", windows=["7d"], where="channel = 'web'", name="web_count"),
            Aggregate("approx_quantile", "amount", windows=["30d"], p=[0.5, 0.95], bits=6),
            Aggregate(
                "last_n",
                "price",
                "int16",
                windows=["2w"],
                n=5,
                nulls="keep",
                offset="1d",
                exclude_current_time=True,
                buckets=Buckets("kind", ["visa", "amex"], other=True),
                description="the last prices",
            ),
            Aggregate("max_by", "shop", "string", windows=["1d"], by="amount", default="none"),
        ],
    )
    text = view.to_yaml()
    written = yaml.safe_load(text)["spec"]
    assert written["source"]["id"] == ["tx", "line"]
    assert "features" not in written
    assert written["aggregates"][0] == {
        "function": "sum",
        "column": "amount",
        "windows": ["1h", "7d", "lifetime"],
    }
    assert written["aggregates"][3]["excludeCurrentTime"] is True
    assert definitions.loads(text) == [view]
    assert definitions.from_dict(view.to_dict()) == view


def test_a_view_has_features_or_aggregates() -> None:
    source = Source("data/", event_time="bought")
    with pytest.raises(hitherto.InvalidError, match="either features"):
        FeatureView("card", source=source)
    with pytest.raises(hitherto.InvalidError, match=r"write \['7d'\]"):
        Aggregate("count", windows="7d")
    with pytest.raises(hitherto.InvalidError, match="'n' must be a number"):
        definitions.loads(
            "apiVersion: hitherto/v1\nkind: FeatureView\nmetadata: { name: a }\nspec:\n"
            "  source: { parquet: a, eventTime: e, id: eventTime }\n"
            "  aggregates: [{ function: last_n, column: x, windows: [1d], n: few }]\n"
        )


def test_a_list_is_asked_for() -> None:
    with pytest.raises(hitherto.InvalidError, match=r"write \['a:b'\]"):
        FeatureService("s", "a:b")
    with pytest.raises(hitherto.InvalidError, match="are Fields"):
        Entity("e", ["id"])  # type: ignore[list-item]


def test_the_classes_have_the_fields_of_the_published_schema() -> None:
    done = subprocess.run([binary(), "schema"], capture_output=True, text=True, check=True)
    schema = json.loads(done.stdout)["$defs"]
    parts = {
        "Source": Source,
        "Online": Online,
        "Aggregate": Aggregate,
        "Buckets": Buckets,
        "MaxChange": MaxChange,
        "Feature": Field,
        "EntitySpec": Entity,
        "FeatureViewSpec": FeatureView,
        "OnDemandFeature": hitherto.OnDemandFeature,
        "OnDemandViewSpec": hitherto.OnDemandView,
        "FeatureServiceSpec": FeatureService,
    }
    metadata = set(schema["Metadata"]["properties"])
    assert metadata == {"name", "description", "owner", "tags"}
    # One class for both: a join key has no default.
    key, feature = (set(schema[name]["properties"]) for name in ("Field", "Feature"))
    assert feature - key == {"default"}
    for name, part in parts.items():
        ours = {definitions._camel(each.name) for each in dataclasses.fields(part)}
        assert ours - (metadata if name.endswith("Spec") else set()) == set(
            schema[name]["properties"]
        ), name
