"""Other engines judge the joins: the rule written again for DuckDB and Polars,
over the same Parquet files and nothing else that is shared.

The modules are those of ``benches/judges``, which judge 200,000 rows the same
way; here the judges are judged as well.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import generated
import hitherto
import icu
import naive
import polars
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from compare import differences
from rule import (
    View,
    judge_by_pairs,
    judge_by_window,
    open_judge,
    ties_with_different_values,
    write_answers,
)

ICU_VIEWS = {view.name: view for view in icu.views()}
CUTOFFS = {"no cutoff": None, "known by K": generated.KNOWN_BY}


def judged(form: Any, view: View, spine: Path, scratch: Path, known_by: int | None) -> pa.Table:
    """The answers of one form of the rule."""
    connection = open_judge()
    form(connection, view, str(spine), known_by)
    write_answers(connection, str(scratch / "answers.parquet"))
    return pq.read_table(scratch / "answers.parquet")


def same(view: View) -> dict[str, str]:
    """What two judges are compared in."""
    return {name: name for name in ["is_present", "is_leak", *view.features]}


def full_names(view: View) -> dict[str, str]:
    return {feature: f"{view.name}:{feature}" for feature in view.features}


def check_report(report: dict[str, Any], answers: pa.Table) -> None:
    """One view's part of the report against the rows it stands for."""
    statuses = Counter(answers["status"].to_pylist())
    assert report["present"] == statuses.pop("present", 0)
    assert {reason: rows for reason, rows in report["absent"].items() if rows} == statuses
    assert report["leaks"] == sum(answers["is_leak"].to_pylist())


# --- Intensive care: the real spine ---------------------------------------------


@pytest.fixture(scope="module")
def icu_report(embedded: hitherto.Store, spine: pa.Table) -> dict[str, Any]:
    found = embedded.training_set(spine, [f"{view}:*" for view in ICU_VIEWS])
    found.to_arrow()
    return {view["view"]: view for view in found.report()["views"]}


@pytest.mark.parametrize("name", ICU_VIEWS)
def test_duckdb_finds_the_same_value_in_every_row(
    name: str, joined: pa.Table, icu_report: dict[str, Any], tmp_path: Path
) -> None:
    view = ICU_VIEWS[name]
    answers = judged(judge_by_window, view, icu.SPINE, tmp_path, None)
    pairs = judged(judge_by_pairs, view, icu.SPINE, tmp_path, None)
    assert answers.num_rows == joined.num_rows == 8139
    assert differences(pairs, answers, same(view)) == []
    assert differences(answers, joined, full_names(view)) == []
    check_report(icu_report[name], answers)


def test_the_judge_knows_every_view_of_the_repository(icu_report: dict[str, Any]) -> None:
    # Windows are judged in test_windows.py.
    assert len(list((icu.REPOSITORY / "views").glob("*.yaml"))) == 4 + 1
    assert set(icu_report) == set(ICU_VIEWS)
    assert len(ICU_VIEWS) == 13


def test_bytes_decide_in_one_view_of_the_real_data() -> None:
    connection = open_judge()
    ties = {name: ties_with_different_values(connection, v) for name, v in ICU_VIEWS.items()}
    assert {name for name, count in ties.items() if count} == {"mean_arterial_pressure"}
    assert ties["mean_arterial_pressure"] == 351


# --- Generated facts: every shape -----------------------------------------------


@dataclass(frozen=True)
class World:
    """A repository of generated facts, applied, and its spine."""

    root: Path
    spine: pa.Table
    views: dict[str, View]

    @property
    def spine_file(self) -> Path:
        return self.root / "spine.parquet"


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    root = tmp_path_factory.mktemp("generated") / "repository"
    spine = generated.write(root, facts=20_000, rows=5_000, seed=7)
    pq.write_table(spine, root / "spine.parquet")
    with hitherto.connect(root) as store:
        store.apply()
    return World(root, spine, {view.name: view for view in generated.views(root)})


@pytest.fixture(scope="module")
def store(world: World) -> Iterator[hitherto.Store]:
    with hitherto.connect(world.root) as store:
        yield store


@pytest.fixture(params=CUTOFFS)
def known_by(request: pytest.FixtureRequest) -> int | None:
    return CUTOFFS[request.param]


def to_datetime(micros: int | None) -> datetime | None:
    epoch = datetime(1970, 1, 1, tzinfo=timezone.utc)
    return None if micros is None else epoch + timedelta(microseconds=micros)


def key_and_time(view: View, spine: pa.Table) -> list[tuple[Any, ...]]:
    times = spine["event_timestamp"].cast(pa.timestamp("us")).cast(pa.int64())
    keys = (spine[key].to_pylist() for key in view.keys)
    return list(zip(*keys, times.to_pylist(), strict=True))


@pytest.mark.parametrize("name", generated.SHAPES)
def test_duckdb_finds_the_same_value_in_every_generated_row(
    name: str, world: World, store: hitherto.Store, known_by: int | None, tmp_path: Path
) -> None:
    view = world.views[name]
    found = store.training_set(
        world.spine, [f"{name}:*"], known_by=to_datetime(known_by), full_names=True
    )
    table = found.to_arrow()
    answers = judged(judge_by_window, view, world.spine_file, tmp_path, known_by)

    names = world.spine.column_names
    assert table.column_names == names + list(full_names(view).values())
    assert differences(world.spine, table, {column: column for column in names}) == []
    assert differences(answers, table, full_names(view)) == []
    for feature, column in full_names(view).items():
        assert table.schema.field(column).type == generated.ARROW_TYPES[view.features[feature]]
    [report] = found.report()["views"]
    check_report(report, answers)
    assert 400 < report["present"] < 4_800


@pytest.mark.parametrize("name", generated.SHAPES)
def test_both_forms_in_sql_and_python_agree(
    name: str, world: World, known_by: int | None, tmp_path: Path
) -> None:
    view = world.views[name]
    window = judged(judge_by_window, view, world.spine_file, tmp_path, known_by)
    pairs = judged(judge_by_pairs, view, world.spine_file, tmp_path, known_by)
    assert differences(pairs, window, same(view)) == []
    check_by_hand(view, world.spine, known_by, window)


def test_both_forms_in_sql_and_python_agree_on_deletions(world: World, tmp_path: Path) -> None:
    clicks = world.views["clicks"]
    facts = f"SELECT *, e % 5 = 0 AS deleted FROM ({clicks.facts})"
    view = replace(clicks, facts=facts, has_deletions=True)
    window = judged(judge_by_window, view, world.spine_file, tmp_path, None)
    pairs = judged(judge_by_pairs, view, world.spine_file, tmp_path, None)
    assert differences(pairs, window, same(view)) == []
    check_by_hand(view, world.spine, None, window)
    assert "deleted" in window["status"].to_pylist()


def check_by_hand(view: View, spine: pa.Table, known_by: int | None, answers: pa.Table) -> None:
    """Compares the first rows with the naive rule, one fact after the other."""
    spine, answers = spine.slice(0, 1_000), answers.slice(0, 1_000)
    facts = naive.facts_of(open_judge(), view)
    columns: dict[str, list[Any]] = {name: [] for name in same(view)}
    for *key, t in key_and_time(view, spine):
        mine = facts.get(tuple(key), [])
        answer = naive.answer(mine, t, known_by, view.ttl_micros)
        columns["is_present"].append(answer is not None)
        columns["is_leak"].append(naive.is_leak(mine, t, view.ttl_micros))
        for place, feature in enumerate(view.features):
            columns[feature].append(answer and answer.values[place])
    by_hand = {name: pa.array(rows, answers[name].type) for name, rows in columns.items()}
    assert differences(pa.table(by_hand), answers, same(view)) == []


@pytest.mark.parametrize("name", generated.SHAPES)
def test_polars_finds_the_same_value_in_every_generated_row(
    name: str, world: World, store: hitherto.Store, known_by: int | None
) -> None:
    """Polars reads the files by itself, so that times and rounding are judged
    as well. Its ``join_asof`` on the visible time would be another rule: it
    takes the fact that became visible last, and a late fact about an earlier
    event is not the newest."""
    view = world.views[name]
    found = store.training_set(
        world.spine, [f"{name}:*"], known_by=to_datetime(known_by), full_names=True
    )
    answers = by_polars(world, name, known_by).to_arrow()
    assert differences(answers, found.to_arrow(), full_names(view)) == []


def by_polars(world: World, name: str, known_by: int | None) -> polars.DataFrame:
    shape, col = generated.SHAPES[name], polars.col
    keys, features = list(shape.keys), list(shape.features)

    def micros(column: str) -> polars.Expr:
        count = col(column).to_physical()
        return -(-count // 1000) if shape.is_nanos else count

    delay = shape.delay[1] if shape.delay else 0
    known = micros("happened_at") + delay if shape.late_micros is None else micros("known_at")
    facts = polars.read_parquet(world.root / "data" / name / "*.parquet")
    facts = facts.with_columns(e=micros("happened_at"), n=known)
    types = list(shape.features.values())
    encoded = [naive.encode(types, row) for row in facts.select(features).iter_rows()]
    facts = facts.with_columns(polars.Series("encoded", encoded, polars.Binary))
    facts = facts.select(*keys, "e", "n", "encoded", *features).drop_nulls([*keys, "e", "n"])

    spine = polars.from_arrow(world.spine.select([*keys, "event_timestamp"]))
    assert isinstance(spine, polars.DataFrame)
    spine = spine.with_columns(t=col("event_timestamp").to_physical()).with_row_index("place")
    is_candidate = (col("e") <= col("t")) & (col("n") <= col("t"))
    if known_by is not None:
        is_candidate &= col("n") <= known_by
    if shape.ttl is not None:
        is_candidate &= col("e") >= col("t") - shape.ttl[1]
    winners = (
        spine.join(facts, on=keys, how="inner")
        .filter(is_candidate)
        .sort("e", "n", "encoded")
        .group_by("place", maintain_order=True)
        .last()
    )
    answers = spine.select("place").join(
        winners.select("place", *features), on="place", how="left", maintain_order="left"
    )
    assert len(answers) == len(spine)
    return answers


# --- Could the judges see a mistake? --------------------------------------------


@pytest.mark.parametrize("name", generated.SHAPES)
def test_a_small_mistake_changes_answers(name: str, world: World, tmp_path: Path) -> None:
    view = world.views[name]

    def moved(e: int, n: int) -> str:
        return f"SELECT * REPLACE (e + {e} AS e, n + {n} AS n) FROM ({view.facts})"

    wrong = {"known later": replace(view, facts=moved(0, 1))}
    wrong["known earlier"] = replace(view, facts=moved(0, -1))
    wrong["all later"] = replace(view, facts=moved(1, 1))
    if view.ttl_micros is not None:
        wrong["shorter ttl"] = replace(view, ttl_micros=view.ttl_micros - 1)
        wrong["longer ttl"] = replace(view, ttl_micros=view.ttl_micros + 1)
    if generated.SHAPES[name].ties:
        features = dict(reversed(view.features.items()))
        wrong["features laid out in another order"] = replace(view, features=features)
    # A fact known at its event, or before it, is visible from its event on.
    if name == "edges":
        del wrong["known earlier"]
    right = judged(judge_by_window, view, world.spine_file, tmp_path, None)
    for mistake, mistaken in wrong.items():
        answers = judged(judge_by_window, mistaken, world.spine_file, tmp_path, None)
        assert differences(answers, right, same(view)), mistake


def test_the_generated_facts_have_what_they_are_for(world: World) -> None:
    connection = open_judge()
    ties = {name: ties_with_different_values(connection, v) for name, v in world.views.items()}
    with_ties = {name for name, shape in generated.SHAPES.items() if shape.ties}
    assert {name for name, count in ties.items() if count >= 20} == with_ties

    pairs = world.spine.select(["left_id", "right_id"]).to_pylist()
    keys = {tuple(pair.values()) for pair in pairs}
    keys = {pair for pair in keys if not {None, "nobody"} & set(pair)}
    assert len({left + right for left, right in keys}) < len(keys) / 2

    assert world.spine.num_rows > len(set(world.spine["row"].to_pylist()))
    assert all(world.spine[key].null_count for key in ("user_id", "account", "left_id", "site"))
