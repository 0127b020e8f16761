"""Features computed of events, here and behind a server: DuckDB says what is right."""

from __future__ import annotations

import datetime as dt
import json
import math
import random
import subprocess
from pathlib import Path

import duckdb
import hitherto
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from conftest import binary, serving

DEFINITIONS = """
apiVersion: hitherto/v1
kind: Entity
metadata: { name: customer }
spec: { keys: [{ name: customer, type: int64 }] }
---
apiVersion: hitherto/v1
kind: FeatureView
metadata: { name: card }
spec:
  entity: customer
  source: { parquet: card, eventTime: bought, knownTime: booked, deleted: reversed, id: tx }
  online: { history: 30d }
  aggregates:
    - { function: sum, column: amount, windows: [1h, 7d] }
    - { function: count, windows: [1h, 7d] }
    - { function: max, column: amount, windows: [7d], where: "channel = 'web'", name: web_max }
"""

NOON = dt.datetime(2026, 1, 15, 12, tzinfo=dt.timezone.utc)
NOW = "2026-01-15T12:00:00Z"
FEATURES = ["amount_sum_1h", "amount_sum_7d", "count_1h", "count_7d", "web_max"]


def events(seed: int, first: int, count: int) -> pa.Table:
    """Purchases of ten customers in the eight days before noon: late, corrected, reversed."""
    draw = random.Random(seed)
    rows = []
    for tx in range(first, first + count):
        bought = NOON - dt.timedelta(seconds=draw.randrange(8 * 86_400))
        row = (draw.randrange(10), tx, bought, bought, draw.uniform(0, 100), "web", False)
        rows.append(row)
        if draw.random() < 0.3:
            later = bought + dt.timedelta(seconds=draw.randrange(86_400))
            rows.append((*row[:3], later, draw.uniform(0, 100), "shop", draw.random() < 0.3))
    columns = zip(*rows, strict=True)
    types = [pa.int64(), pa.int64(), *[pa.timestamp("us", "UTC")] * 2, pa.float64(), pa.string()]
    names = ["customer", "tx", "bought", "booked", "amount", "channel", "reversed"]
    arrays = [
        pa.array(column, kind) for column, kind in zip(columns, [*types, pa.bool_()], strict=True)
    ]
    return pa.table(arrays, names=names)


def expected(facts: pa.Table, at: dt.datetime) -> dict[int, tuple[object, ...]]:
    """Per customer its features, of the version of each purchase that was booked last; sums are
    Python's, since DuckDB's depend on the order."""
    rows = duckdb.sql(
        f"""
        SELECT customer,
               list(amount) FILTER (bought > TIMESTAMPTZ '{at}' - INTERVAL 1 HOUR),
               count(*) FILTER (bought > TIMESTAMPTZ '{at}' - INTERVAL 1 HOUR),
               count(*), list(amount), max(amount) FILTER (channel = 'web')
        FROM (SELECT * FROM facts WHERE booked <= TIMESTAMPTZ '{at}'
              QUALIFY row_number() OVER (PARTITION BY customer, tx, bought
                                         ORDER BY booked DESC) = 1)
        WHERE NOT reversed AND bought <= TIMESTAMPTZ '{at}'
          AND bought > TIMESTAMPTZ '{at}' - INTERVAL 7 DAY
        GROUP BY customer
        """
    ).fetchall()
    return {
        row[0]: (
            math.fsum(row[1]) if row[1] else None,
            math.fsum(row[4]),
            row[2],
            row[3],
            row[5],
        )
        for row in rows
    }


@pytest.fixture
def root(tmp_path: Path) -> Path:
    root = tmp_path / "repository"
    (root / "card").mkdir(parents=True)
    (root / "card.yaml").write_text(DEFINITIONS)
    pq.write_table(events(1, 0, 3_000), root / "card" / "first.parquet")
    with hitherto.connect(root, now=NOW) as store:
        store.apply()
        store.materialize()
    return root


def check(store: hitherto.Store, facts: pa.Table, at: dt.datetime) -> None:
    """Lookups and a training set of one moment, beside DuckDB's answers."""
    right = expected(facts, at)
    customers = list(range(12))
    online = store.lookup({"customer": customers}, features=["card:*"], as_of=at).to_dict()
    spine = pa.table({"customer": customers, "at": pa.array([at] * 12, pa.timestamp("us", "UTC"))})
    offline = store.training_set(spine, features=["card:*"], timestamp="at").to_arrow()
    for customer in customers:
        wanted = right.get(customer, (None, None, 0, 0, None))
        for name, value in zip(FEATURES, wanted, strict=True):
            assert online[f"card:{name}"][customer] == value, (customer, name, at)
            assert offline[name][customer].as_py() == value, (customer, name, at)


def test_lookups_and_training_sets_answer_as_duckdb(root: Path) -> None:
    first, pushed = pq.read_table(root / "card" / "first.parquet"), events(2, 5_000, 300)
    moments = [NOON, NOON - dt.timedelta(hours=5), NOON - dt.timedelta(days=3, minutes=7)]
    with hitherto.connect(root, now=NOW) as store:
        for at in moments:
            check(store, first, at)
        store.push("card", pushed)
        store.push("card", pushed)
        for at in moments:
            check(store, pa.concat_tables([first, pushed]), at)
        assert store.verify()["differences"] == 0


def test_behind_a_server_they_are_the_same(root: Path) -> None:
    first, pushed = pq.read_table(root / "card" / "first.parquet"), events(3, 9_000, 50)
    with serving(root, now=NOW) as url, hitherto.connect(url) as store:
        check(store, first, NOON)
        store.push("card", pushed)
        check(store, pa.concat_tables([first, pushed]), NOON)


def test_a_push_that_lacks_what_a_condition_names_says_so(root: Path) -> None:
    with hitherto.connect(root, now=NOW) as store:
        with pytest.raises(hitherto.InvalidError, match="push the columns that it names"):
            store.push("card", events(4, 0, 1).drop_columns(["channel"]))
        with pytest.raises(hitherto.InvalidError, match='no column "tx"'):
            store.push("card", events(4, 0, 1).drop_columns(["tx"]))


def test_why_says_which_events_count_here_and_behind_a_server(root: Path) -> None:
    with hitherto.connect(root, now=NOW) as store:
        with pytest.raises(hitherto.InvalidError, match="name the one to explain, such as card:"):
            store.why("card", {"customer": 1})
        with pytest.raises(hitherto.InvalidError, match="ask for 1 to 1000"):
            store.why("card:count_7d", {"customer": 1}, facts=0)
        answers = store.lookup({"customer": [1]}, features=["card:*"]).to_dict()
        found = {name: store.why(f"card:{name}", {"customer": 1}, facts=1_000) for name in FEATURES}
    for name, why in found.items():
        assert why.aggregate is not None
        assert why.aggregate["value"] == answers[f"card:{name}"][0], name
        assert why.aggregate["training_set_agrees"], name
        assert why.online["agrees"], name
        counting = [fact for fact in why.candidates if fact["verdict"] == "counts"]
        assert len(counting) == why.aggregate["counts"]["counts"], name
        assert f"card:{name} at" in str(why)
    sums = found["amount_sum_7d"]
    amounts = [fact["values"]["amount"] for fact in sums.candidates if fact["verdict"] == "counts"]
    assert sums.aggregate["value"] == math.fsum(amount for amount in amounts if amount is not None)
    with serving(root, now=NOW) as url, hitherto.connect(url) as store:
        for name, why in found.items():
            there = store.why(f"card:{name}", {"customer": 1}, facts=1_000)
            assert there.to_dict() == why.to_dict(), name


def test_the_command_line_looks_up_and_pushes(root: Path, tmp_path: Path) -> None:
    def run(*words: str) -> object:
        command = [binary(), *words, "--repo", str(root), "--output", "json"]
        done = subprocess.run(command, check=True, capture_output=True, text=True)
        return json.loads(done.stdout)

    ask = ("get", "--features", "card:count_7d", "customer=3", "--as-of", NOW)
    before = run(*ask)
    pq.write_table(events(5, 20_000, 40), tmp_path / "more.parquet")
    run("push", "card", str(tmp_path / "more.parquet"))
    assert run(*ask) != before
