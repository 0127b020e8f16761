"""Facts that are pushed, in process and to a server."""

from __future__ import annotations

import datetime as dt
import json
import subprocess
from collections.abc import Iterator
from pathlib import Path

import hitherto
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from conftest import binary, serving

DEFINITIONS = """
apiVersion: hitherto/v1
kind: Entity
metadata: { name: stay }
spec: { keys: [{ name: stay_id, type: int64 }] }
---
apiVersion: hitherto/v1
kind: FeatureView
metadata: { name: labs }
spec:
  entity: stay
  source: { parquet: labs, eventTime: drawn, knownTime: resulted }
  features: [{ name: lactate, type: float64 }, { name: note, type: string }]
  online: { history: 7d }
"""

NOON = dt.datetime(2026, 1, 1, 12, tzinfo=dt.timezone.utc)
LATER = "2026-01-02T00:00:00Z"


def hour(count: float) -> dt.datetime:
    return NOON + dt.timedelta(hours=count)


def facts(rows: list[tuple[int, float, float]], *, with_known: bool = True) -> pa.Table:
    """Facts of a stay: drawn so many hours after noon, known an hour later."""
    columns = {
        "stay_id": pa.array([row[0] for row in rows], pa.int64()),
        "drawn": pa.array([hour(row[1]) for row in rows], pa.timestamp("us", "UTC")),
        "resulted": pa.array([hour(row[1] + 1) for row in rows], pa.timestamp("us", "UTC")),
        "lactate": pa.array([row[2] for row in rows], pa.float64()),
        "note": pa.array(["" for _ in rows], pa.string()),
    }
    if not with_known:
        del columns["resulted"]
    return pa.table(columns)


def applied(root: Path) -> Path:
    """A repository with the view applied over two facts, nothing of it online."""
    (root / "labs").mkdir(parents=True)
    (root / "labs.yaml").write_text(DEFINITIONS)
    pq.write_table(facts([(1, 0, 1.0), (2, 0, 2.0)]), root / "labs" / "first.parquet")
    with hitherto.connect(root, now=LATER) as store:
        store.apply()
    return root


@pytest.fixture
def root(tmp_path: Path) -> Path:
    root = applied(tmp_path / "repository")
    with hitherto.connect(root, now=LATER) as store:
        store.materialize()
    return root


@pytest.fixture(params=["embedded", "remote"])
def store(request: pytest.FixtureRequest, root: Path) -> Iterator[hitherto.Store]:
    if request.param == "embedded":
        with hitherto.connect(root, now=LATER) as store:
            yield store
        return
    with serving(root, now=LATER) as url, hitherto.connect(url) as store:
        yield store


def lactate(store: hitherto.Store, stay: int, as_of: dt.datetime | None = None) -> float | None:
    answer = store.lookup({"stay_id": [stay]}, features=["labs:lactate"], as_of=as_of)
    return answer.to_dict()["labs:lactate"][0]


def test_the_next_lookup_and_training_set_have_it(store: hitherto.Store) -> None:
    assert store.push("labs", facts([(1, 2, 4.0), (3, 2, 3.0)])) == {
        "facts": 2,
        "facts_repeated": 0,
        "known_from": None,
    }
    assert lactate(store, 1) == 4.0
    assert lactate(store, 1, hour(2.5)) == 1.0, "it was not known yet"
    spine = pa.table({"stay_id": [1, 1, 3], "at": [hour(2.5), hour(3), hour(3)]})
    rows = store.training_set(spine, features=["labs:lactate"], timestamp="at").to_arrow()
    assert rows["lactate"].to_pylist() == [1.0, 4.0, 3.0]
    # Older than what is there.
    store.push("labs", facts([(1, 1, 9.0)]))
    assert lactate(store, 1) == 4.0


@pytest.mark.parametrize("frame", [pd.DataFrame, pl.DataFrame, pa.Table])
def test_every_frame_can_be_pushed(store: hitherto.Store, frame: type) -> None:
    table = facts([(1, 5, 5.5)])
    made = {pd.DataFrame: table.to_pandas, pl.DataFrame: lambda: pl.from_arrow(table)}
    store.push("labs", made.get(frame, lambda: table)())
    assert lactate(store, 1) == 5.5


def test_a_push_of_one_name_counts_once(store: hitherto.Store) -> None:
    arrived = facts([(1, 3, 4.0)], with_known=False)
    assert store.push("labs", arrived, idempotency_key="a")["facts_repeated"] == 0
    assert store.push("labs", arrived, idempotency_key="a")["facts_repeated"] == 1
    assert store.push("labs", arrived, idempotency_key="b")["facts_repeated"] == 0
    with pytest.raises(hitherto.ConflictError):
        store.push("labs", facts([(1, 3, 5.0)], with_known=False), idempotency_key="a")
    # By default the facts are their own name.
    first = store.push("labs", arrived)
    assert (first["facts_repeated"], first["known_from"]) == (0, first["known_from"])
    again = store.push("labs", arrived)
    assert (again["facts_repeated"], again["known_from"]) == (1, first["known_from"])
    assert store.push("labs", arrived, idempotency_key="")["facts_repeated"] == 0
    assert lactate(store, 1) == 4.0
    # Known when it arrived, which was later than every result of that day.
    assert lactate(store, 1, hour(11)) == 1.0


def test_more_facts_than_one_batch_holds(store: hitherto.Store) -> None:
    many = facts([(stay, 6, float(stay)) for stay in range(20_000)])
    assert store.push("labs", many, idempotency_key="many")["facts"] == 20_000
    assert store.push("labs", many, idempotency_key="many")["facts_repeated"] == 20_000
    assert lactate(store, 19_999) == 19_999.0


def test_what_does_not_fit_is_refused(store: hitherto.Store) -> None:
    good = facts([(1, 2, 4.0)])
    with pytest.raises(hitherto.InvalidError, match='no column "lactate"'):
        store.push("labs", good.drop(["lactate"]))
    with pytest.raises(hitherto.InvalidError, match='did you mean "lactate"'):
        store.push("labs", good.append_column("lactat", good["lactate"]))
    with pytest.raises(hitherto.NotFoundError, match="labs"):
        store.push("lab", good)
    with pytest.raises(hitherto.InvalidError, match="facts are a pandas"):
        store.push("labs", [1, 2])  # type: ignore[arg-type]
    with pytest.raises(hitherto.InvalidError, match="durable"):
        store.push("labs", good, ack="soon")  # type: ignore[arg-type]
    assert lactate(store, 1) == 1.0


def test_going_back_takes_what_was_pushed_along(root: Path) -> None:
    with hitherto.connect(root, now=LATER) as store:
        with pytest.raises(hitherto.NotFoundError, match="no previous generation"):
            store.rollback("labs")
        store.push("labs", facts([(1, 2, 4.0)]))
        store.materialize(full=True)
        store.push("labs", facts([(2, 2, 5.0)]))
        assert store.rollback("labs") == {"view": "labs", "from": 2, "to": 1}
        assert (lactate(store, 1), lactate(store, 2)) == (4.0, 5.0)
        assert store.verify()["differences"] == 0


def run(root: Path, *words: str) -> object:
    command = [binary(), *words, "--repo", str(root), "--output", "json"]
    return json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


def test_the_command_line_pushes_backs_up_and_restores(root: Path, tmp_path: Path) -> None:
    file = tmp_path / "new.parquet"
    pq.write_table(facts([(1, 2, 4.0)]), file)
    pushed = {"view": "labs", "facts": 1, "facts_repeated": 0}
    pushed |= {"known_from": None, "clock_off_micros": 0}
    assert run(root, "push", "labs", str(file), "--idempotency-key", "n") == pushed
    again = run(root, "push", "labs", str(file), "--idempotency-key", "n")
    assert again == {**pushed, "facts_repeated": 1}
    command = [binary(), "push", "labs", str(file), "--idempotency-key", "n", "--repo", str(root)]
    said = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert said == "labs: nothing new: 1 fact had been pushed under this key before\n\n"
    backup = tmp_path / "backup"
    run(root, "backup", str(backup), "--now", LATER)
    with hitherto.connect(root, now=LATER) as store:
        store.push("labs", facts([(1, 3, 7.0)]))
        assert lactate(store, 1) == 7.0
    (root / ".hitherto").rename(tmp_path / "lost")
    run(root, "restore", str(backup))
    with hitherto.connect(root, now=LATER) as store:
        assert lactate(store, 1) == 4.0
    # A flipped byte is named, and nothing is put in place.
    (root / ".hitherto").rename(tmp_path / "restored")
    table = next((backup / "online" / "rocksdb").glob("*.sst"))
    damaged = bytearray(table.read_bytes())
    damaged[len(damaged) // 2] ^= 1
    table.unlink()
    table.write_bytes(damaged)
    command = [binary(), "restore", str(backup), "--repo", str(root)]
    refused = subprocess.run(command, capture_output=True, text=True)
    assert refused.returncode != 0 and table.name in refused.stderr
    assert not (root / ".hitherto").exists()
