"""Training sets without a spine: all entities at one moment, all facts of a window."""

from __future__ import annotations

import random
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import hitherto
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from conftest import LATER, SERVICE
from hitherto import Entity, FeatureView, Field, Source
from hitherto._time import EPOCH

Fact = dict[str, Any]


def moment(hours: int) -> datetime:
    return EPOCH + timedelta(hours=hours)


@dataclass
class World:
    """Two views of one entity of two keys, and one of no entity; facts at random, in few
    hours, so that times tie."""

    root: Path
    store: hitherto.Store
    facts: dict[str, list[Fact]]

    def visible(self, view: str, fact: Fact, known: bool = True) -> datetime | None:
        """When it is first seen; None is never."""
        if fact["e"] is None or fact["a"] is None or fact["b"] is None:
            return None
        if not known:
            return fact["e"]
        delayed = fact["e"] + timedelta(hours=2) if view == "delayed" else fact["n"]
        return None if delayed is None else max(fact["e"], delayed)


SCHEMA = pa.schema(
    {
        "a": pa.string(),
        "b": pa.int32(),
        "e": pa.timestamp("us", "UTC"),
        "n": pa.timestamp("us", "UTC"),
        "gone": pa.bool_(),
        "value": pa.int64(),
    }
)
ORDER = ("a", "b")


def some(chance: random.Random, value: Any, share: float = 0.05) -> Any:
    return None if chance.random() < share else value


def facts(chance: random.Random, count: int) -> list[Fact]:
    return [
        {
            "a": some(chance, chance.choice("xyz") * chance.randint(1, 2)),
            "b": some(chance, chance.randint(-1, 1)),
            "e": some(chance, moment(chance.randint(0, 12))),
            "n": some(chance, moment(chance.randint(0, 16))),
            "gone": chance.random() < 0.1,
            "value": some(chance, chance.randint(0, 9)),
        }
        for _ in range(count)
    ]


def definitions() -> list[hitherto.definitions.Definition]:
    def view(name: str, **source: Any) -> FeatureView:
        return FeatureView(
            name,
            entity=None if name == "weather" else "thing",
            source=Source(f"data/{name}", event_time="e", **source),
            features=[Field("value", "int64")],
            ttl="5h" if name == "late" else None,
        )

    return [
        Entity("thing", [Field("a", "string"), Field("b", "int32")]),
        view("late", known_time="n", deleted="gone"),
        view("delayed", delay="2h", sql="SELECT * FROM source WHERE value > 0 OR value IS NULL"),
        view("weather"),
    ]


@pytest.fixture(params=[1, 2, 3])
def world(request: pytest.FixtureRequest, tmp_path: Path) -> Any:
    chance = random.Random(request.param)
    found: dict[str, list[Fact]] = {}
    for name in ("late", "delayed", "weather"):
        folder = tmp_path / "world" / "data" / name
        folder.mkdir(parents=True)
        found[name] = facts(chance, 150)
        for place in range(3):
            part = found[name][place * 50 : place * 50 + 50]
            pq.write_table(pa.Table.from_pylist(part, SCHEMA), folder / f"{place}.parquet")
    found["delayed"] = [
        fact for fact in found["delayed"] if fact["value"] is None or fact["value"] > 0
    ]
    with hitherto.connect(tmp_path / "world", now=moment(1000)) as store:
        store.apply(definitions=definitions())
        store.materialize()
        yield World(tmp_path / "world", store, found)


FEATURES = ["late:*", "delayed:*", "weather:*"]


def spine_of(rows: list[Fact]) -> pa.Table:
    fields = [SCHEMA.field("a"), SCHEMA.field("b"), pa.field("event_timestamp", SCHEMA.types[2])]
    return pa.Table.from_pylist(rows, pa.schema(fields))


def check(world: World, found: hitherto.TrainingSet, rows: list[Fact], **options: Any) -> None:
    """The rows are the spine that a naive reading of the facts gives, with the features
    that an ordinary training set over it has."""
    table = found.to_arrow()
    keys = ["a", "b", "event_timestamp"]
    assert table.select(keys).to_pylist() == rows
    features = options.pop("features", FEATURES)
    ordinary = world.store.training_set(spine_of(rows), features, full_names=True, **options)
    assert table.to_pylist() == ordinary.to_arrow().to_pylist()
    assert found.report() == ordinary.report()
    assert found.content_hash == ordinary.content_hash


@pytest.mark.parametrize("cutoff", [None, 6])
@pytest.mark.parametrize("known", [None, "ignore"])
@pytest.mark.parametrize("hour", [0, 3, 7, 20])
def test_at_a_moment_everybody_who_was_seen_has_a_row(
    world: World, hour: int, known: Any, cutoff: int | None
) -> None:
    def is_seen(view: str, fact: Fact) -> bool:
        seen = world.visible(view, fact, known is None)
        late = view == "late" and known is None and cutoff is not None
        if view == "delayed" and known is None and cutoff is not None and seen is not None:
            return seen <= moment(hour) and fact["e"] + timedelta(hours=2) <= moment(cutoff)
        return (
            seen is not None
            and seen <= moment(hour)
            and not (late and fact["n"] > moment(cutoff or 0))
        )

    people = {
        (fact["a"], fact["b"])
        for view in ("late", "delayed")
        for fact in world.facts[view]
        if is_seen(view, fact)
    }
    rows = [{"a": a, "b": b, "event_timestamp": moment(hour)} for a, b in sorted(people)]
    options = {"known": known, "known_by": None if cutoff is None else moment(cutoff)}
    found = world.store.training_set(at=moment(hour), features=FEATURES, full_names=True, **options)
    check(world, found, rows, **options)


@pytest.mark.parametrize("first", ["late", "delayed"])
@pytest.mark.parametrize("window", [(-1, 30), (2, 7), (3, 4)])
def test_in_a_window_every_fact_has_a_row_at_the_moment_it_is_first_seen(
    world: World, first: str, window: tuple[int, int]
) -> None:
    after, until = (moment(hour) for hour in window)
    features = [f"{first}:*", *(each for each in FEATURES if not each.startswith(first))]
    seen = [(world.visible(first, fact), fact["a"], fact["b"]) for fact in world.facts[first]]
    found_rows = sorted(each for each in seen if each[0] is not None and after < each[0] <= until)
    assert found_rows
    rows = [{"a": a, "b": b, "event_timestamp": at} for at, a, b in found_rows]
    found = world.store.training_set(between=(after, until), features=features, full_names=True)
    check(world, found, rows, features=features)


def test_pushed_facts_are_facts(world: World) -> None:
    pushed = [
        {"a": "new", "b": 5, "e": moment(9), "n": moment(11), "gone": False, "value": 77},
        {"a": "new", "b": 5, "e": moment(10), "n": moment(10), "gone": True, "value": None},
    ]
    world.store.push("late", pa.Table.from_pylist(pushed, SCHEMA))
    world.facts["late"] += pushed
    found = world.store.training_set(at=moment(10), features=["late:*"]).to_arrow().to_pylist()
    assert {"a": "new", "b": 5, "event_timestamp": moment(10), "value": None} in found
    window = world.store.training_set(between=(moment(9), moment(11)), features=["late:*"])
    times = [row["event_timestamp"] for row in window.to_arrow().to_pylist() if row["a"] == "new"]
    assert times == [moment(10), moment(11)]


def test_a_role_names_the_columns(world: World) -> None:
    features = ["other=late[a=whom]:*"]
    found = world.store.training_set(at=moment(7), features=features, timestamp="t")
    assert found.column_names == ["whom", "b", "t", "value"]
    plain = world.store.training_set(at=moment(7), features=["late:*"]).to_arrow()
    assert found.to_arrow()["value"].equals(plain["value"])


def test_what_makes_no_rows_is_refused(world: World) -> None:
    def check(reason: str, **arguments: Any) -> None:
        with pytest.raises(hitherto.InvalidError, match=reason):
            world.store.training_set(**arguments)

    rows = spine_of([])
    window = (moment(1), moment(2))
    check("from one place", features=["late:*"])
    check("from one place", spine=rows, at=moment(1), features=["late:*"])
    check("from one place", at=moment(1), between=window, features=["late:*"])
    check("two moments", between=moment(1), features=["late:*"])
    check("two moments", between=(moment(1), None), features=["late:*"])
    check("ends no later", between=(moment(2), moment(2)), features=["late:*"])
    check("one entity in one role", at=moment(1), features=["late:*", "x=delayed[a=c]:*"])
    check("those of an entity", at=moment(1), features=["weather:*"])
    check("those of an entity", between=window, features=["weather:*", "late:*"])
    check("sample", at=moment(1), features=["late:*"], sample=5)
    check("two columns named", at=moment(1), features=["late:*", "delayed:*"])


def test_both_stores_scan_alike(embedded: hitherto.Store, remote: hitherto.Store) -> None:
    labs = ["lactate:*", "creatinine:*", "heart_rate:*"]
    for scan in (
        {"at": "2180-01-01T00:00:00Z"},
        {"at": LATER, "known_by": "2150-01-01"},
        {"between": ("2150-01-01", datetime(2180, 1, 1))},
    ):
        here = embedded.training_set(features=labs, **scan)
        there = remote.training_set(features=labs, **scan)
        assert here.to_arrow().num_rows > 50
        assert here.to_arrow().equals(there.to_arrow())
        assert here.manifest == there.manifest
    for store in (embedded, remote):
        with pytest.raises(hitherto.InvalidError, match="one entity in one role"):
            store.training_set(at=LATER, service=SERVICE)
