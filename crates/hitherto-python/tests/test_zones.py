"""Times without a zone: read as local times of a place, or as UTC, and that is told."""

from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path
from random import Random
from typing import Any

import duckdb
import hitherto
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from conftest import LATER, serving

YAML = """
apiVersion: hitherto/v1
kind: Entity
metadata: {{ name: stay }}
spec: {{ keys: [{{ name: id, type: int64 }}] }}
---
apiVersion: hitherto/v1
kind: FeatureView
metadata: {{ name: labs }}
spec:
  entity: stay
  source: {{ parquet: labs.parquet, eventTime: drawn, knownTime: released{zone} }}
  features: [{{ name: value, type: int64 }}]
"""

#: Places whose clocks go forward and back, by an hour and by half of one, and one that
#: stays; and years before, after and far after now: of a record whose dates were shifted.
ZONES = ["Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Asia/Kathmandu"]
YEARS = [1995, 2026, 2180]

#: The rule over DuckDB's own conversion of local times. It takes one of two readings where a
#: clock went forward or back, so rows near that are left to tests that say which one counts.
JUDGE = """
SET TimeZone = 'UTC';
WITH facts AS (
    SELECT id, value, drawn AT TIME ZONE '{zone}' AS e, released AT TIME ZONE '{zone}' AS n
    FROM 'labs.parquet'
), spine AS (
    SELECT row, id, event_timestamp AT TIME ZONE '{zone}' AS t FROM 'spine.parquet'
)
SELECT row, (
    SELECT value FROM facts
    WHERE facts.id = spine.id AND e <= t AND n <= t ORDER BY e DESC, n DESC, value DESC LIMIT 1
) AS value
FROM spine ORDER BY row
"""


def calm(zone: str, random: Random, rows: int) -> list[datetime]:
    """Local times, none of them within three hours of a change of the clock."""
    kept: list[datetime] = []
    connection = duckdb.connect()
    while len(kept) < rows:
        drawn = [
            datetime(random.choice(YEARS), 1, 1)
            + timedelta(microseconds=random.randrange(365 * 86_400 * 10**6))
            for _ in range(rows)
        ]
        times = pa.table({"local": pa.array(drawn, pa.timestamp("us"))})  # noqa: F841
        around = [f"(local + INTERVAL '{hours}' HOUR) AT TIME ZONE '{zone}'" for hours in (-3, 0, 3)]
        found = connection.sql(
            f"SET TimeZone = 'UTC'; SELECT local FROM times WHERE {around[2]} - {around[1]} = "
            f"INTERVAL 3 HOUR AND {around[1]} - {around[0]} = INTERVAL 3 HOUR"
        )
        kept += [at for (at,) in found.fetchall()]
    return kept[:rows]


@pytest.mark.parametrize("zone", ZONES)
def test_duckdb_finds_the_same_values_at_local_times(
    zone: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    random = Random(zone)
    monkeypatch.chdir(tmp_path)
    drawn = calm(zone, random, 400)
    released = [at + timedelta(minutes=random.randrange(170)) for at in drawn]
    naive = pa.timestamp("us")
    facts = {"id": [random.randrange(3) for _ in drawn], "value": list(range(len(drawn)))}
    facts |= {"drawn": pa.array(drawn, naive), "released": pa.array(released, naive)}
    pq.write_table(pa.table(facts), "labs.parquet")
    # Just before, at and after what changes an answer.
    moments = [at + timedelta(microseconds=by) for at in released for by in (-1, 0, 1)]
    spine = pa.table(
        {
            "row": list(range(len(moments))),
            "id": [random.randrange(3) for _ in moments],
            "event_timestamp": pa.array(moments, naive),
        }
    )
    pq.write_table(spine, "spine.parquet")
    (tmp_path / "labs.yaml").write_text(YAML.format(zone=f", timezone: {zone}"))
    expected = [value for _, value in duckdb.sql(JUDGE.format(zone=zone)).fetchall()]
    with hitherto.connect(tmp_path, now=LATER) as store:
        assert store.apply().warnings == []
        assert store.materialize(progress=False)[0]["warnings"] == []
        for form in (spine, str(tmp_path / "spine.parquet")):
            found = store.training_set(form, ["labs:*"], timezone=zone)
            rows = found.to_arrow()
            assert rows["value"].to_pylist() == expected
            assert rows["event_timestamp"].type == naive, "it passes through as it is"
            assert found.report()["warnings"] == []
            assert found.manifest["request"]["timezone"] == zone
        assert sum(value is not None for value in expected) > 1_000
        assert store.verify()["differences"] == 0
    with serving(tmp_path, "--read-only") as url, hitherto.connect(url) as remote:
        found = remote.training_set(spine, ["labs:*"], timezone=zone)
        assert found.to_arrow()["value"].to_pylist() == expected


@pytest.fixture
def untold(tmp_path: Path) -> Path:
    """A repository that does not say whose times it has."""
    at = pa.array([datetime(2026, 1, 5, 12)], pa.timestamp("us"))
    pq.write_table(
        pa.table({"id": [1], "drawn": at, "released": at, "value": [7]}), tmp_path / "labs.parquet"
    )
    (tmp_path / "labs.yaml").write_text(YAML.format(zone=""))
    return tmp_path


def told(warnings: list[str], *words: str) -> None:
    assert len(warnings) == len(words), warnings
    for warning, word in zip(warnings, words, strict=True):
        assert word in warning and "read as UTC" in warning


def test_times_that_are_read_as_utc_are_told(untold: Path) -> None:
    at = pa.array([datetime(2026, 1, 5, 12)], pa.timestamp("us"))
    spine = pa.table({"id": [1], "event_timestamp": at})
    with hitherto.connect(untold, now=LATER) as store:
        plan = store.apply()
        told(plan.warnings, 'view "labs"')
        assert "warning: event and known times" in str(plan)
        told(store.materialize(progress=False)[0]["warnings"], 'view "labs"')
        found = store.training_set(spine, ["labs:*"])
        assert found.to_arrow()["value"].to_pylist() == [7]
        words = ("name theirs with timezone=, such as", 'view "labs"')
        told(found.report()["warnings"], *words)
        assert len(found.manifest["warnings"]) == 2
        # The same local time is an hour earlier where clocks are ahead.
        early = store.training_set(spine, ["labs:*"], timezone="Europe/Berlin")
        assert early.to_arrow()["value"].to_pylist() == [None]
        told(early.report()["warnings"], 'view "labs"')
        with pytest.raises(hitherto.InvalidError, match='"Berlin" is no time zone'):
            store.training_set(spine, ["labs:*"], timezone="Berlin")
    with serving(untold, "--read-only") as url, hitherto.connect(url) as remote:
        told(remote.plan().warnings, 'view "labs"')
        remote_rows: Any = remote.training_set(spine, ["labs:*"])
        remote_rows.to_arrow()
        told(remote_rows.report()["warnings"], *words)


def test_errors_say_what_python_calls_things(untold: Path) -> None:
    with hitherto.connect(untold, now=LATER) as store:
        store.apply()
        with pytest.raises(hitherto.UnavailableError) as refused:
            store.lookup({"id": [1]}, ["labs:*"])
        assert str(refused.value).endswith('run store.materialize(["labs"])')
        timeless = pa.table({"id": [1], "event_timestamp": ["now"]})
        with pytest.raises(hitherto.InvalidError, match=r"at one moment with at=$"):
            store.training_set(timeless, ["labs:*"])
        dated = pa.table({"id": [1], "taken": pa.array([datetime(2026, 1, 1)])})
        with pytest.raises(hitherto.InvalidError, match=r"name it with timestamp=$"):
            store.training_set(dated, ["labs:*"])
