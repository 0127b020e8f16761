"""Dates and times of years that Python's calendar does not have: every form of an
answer says them, in its documented way, and none is an error."""

from __future__ import annotations

import json
import subprocess
from datetime import datetime, timezone

import hitherto
import pandas as pd
import pyarrow as pa
import pytest
from conftest import Repository, binary, serving

MOMENT = datetime(2024, 1, 1, tzinfo=timezone.utc)

#: DuckDB's infinity as a date, and the last second of 9999 where it is 10000 already.
DAY, LAST = 2**31 - 1, datetime(9999, 12, 31, 23, 59, 59, tzinfo=timezone.utc)

FEATURES = {
    "day": "date32",
    "zoned": "timestamp(us, Asia/Tokyo)",
    "milli": "timestamp(ms)",
    "early": "date32",
}


@pytest.fixture
def far(small: Repository) -> Repository:
    def times(zone: str | None, unit: str, value: object) -> pa.Array:
        return pa.array([value], pa.timestamp(unit, zone))

    facts = pa.table(
        {
            "id": [0],
            "e": pa.array([MOMENT], pa.timestamp("us", "UTC")),
            "day": pa.array([DAY], pa.date32()),
            "zoned": times("UTC", "us", LAST).cast(pa.timestamp("us", "Asia/Tokyo")),
            "milli": times(None, "ms", 2**61),
            "early": pa.array([-DAY], pa.date32()),
        }
    )
    small.write(facts, keys={"id": "int64"}, features=FEATURES)
    with hitherto.connect(small.root) as store:
        store.apply()
        store.materialize()
    return small


def check(store: hitherto.Store) -> None:
    answer = store.lookup({"id": [0]}, ["facts:*"], times=True)
    assert answer.to_dict() == {
        "id": [0],
        "facts:day": [f"{DAY}d"],
        "facts:zoned": [LAST],
        "facts:milli": [f"{2**61}ms"],
        "facts:early": [f"-{DAY}d"],
    }
    assert f"{DAY}d" in answer._repr_html_()
    table = answer.to_arrow()
    assert table["facts:day"].cast(pa.int32()).to_pylist() == [DAY]
    assert table["facts:milli"].cast(pa.int64()).to_pylist() == [2**61]
    frame = answer.to_pandas()
    assert frame["facts:day"].dtype == "datetime64[ms]"
    assert frame["facts:day"].astype("int64").tolist() == [DAY * 86_400_000]
    assert str(frame["facts:zoned"].dtype) == "datetime64[us, Asia/Tokyo]"
    assert len(repr(frame["facts:day"])) > 0
    assert answer.to_polars()["facts:day"].to_physical().to_list() == [DAY]

    why = store.why("facts", {"id": 0})
    assert why.answer is not None and why.answer["values"]["day"] == f"{DAY}d"
    assert f"{DAY}d" in str(why) and f"{DAY}d" in why._repr_html_()
    assert why.to_dict()["online"]["values"]["milli"] == f"{2**61}ms"

    spine = pa.table({"id": [0], "event_timestamp": [LAST]})
    rows = store.training_set(spine, ["facts:*"])
    assert rows.to_pandas()["early"].astype("int64").tolist() == [-DAY * 86_400_000]
    assert rows._repr_html_()


def test_answers_say_what_no_calendar_holds(far: Repository) -> None:
    with hitherto.connect(far.root) as store:
        check(store)


def test_and_so_they_do_over_the_wire(far: Repository) -> None:
    with serving(far.root, now="2026-01-01T00:00:00Z") as url, hitherto.connect(url) as store:
        check(store)


def test_and_so_does_the_command_line(far: Repository) -> None:
    for command in (["get", "id=0", "--features", "facts:*"], ["why", "facts", "id=0"]):
        for output in ("table", "json"):
            done = subprocess.run(
                [binary(), *command, "--output", output],
                cwd=far.root,
                capture_output=True,
                text=True,
            )
            assert done.returncode == 0, done.stderr
            assert f"{DAY}d" in done.stdout and f"{2**61}ms" in done.stdout
            assert "10000-01-01" in done.stdout
            if output == "json":
                json.loads(done.stdout)


def test_dates_of_the_calendar_stay_dates(small: Repository) -> None:
    days = pa.array([datetime(9999, 12, 31).date(), None])
    facts = pa.table({"id": [0, 1], "e": [MOMENT] * 2, "day": days})
    small.write(facts, keys={"id": "int64"}, features={"day": "date32"})
    with hitherto.connect(small.root) as store:
        store.apply()
        store.materialize()
        answer = store.lookup({"id": [0, 1, 2]}, ["facts:day"])
        assert answer.to_dict()["facts:day"] == [datetime(9999, 12, 31).date(), None, None]
        assert answer.to_pandas()["facts:day"].dtype == object


def test_an_event_of_a_far_year_is_told(small: Repository) -> None:
    """Known in 2024, of the year 20000: nothing that Python could subtract."""
    far = 568_971_820_800_000_000
    events = pa.array([far, 0], pa.timestamp("us", "UTC"))
    facts = pa.table({"id": [0, 0], "e": events, "value": [1.0, 2.0]})
    small.write(facts, keys={"id": "int64"}, features={"value": "float64"})
    with hitherto.connect(small.root, now=LAST) as store:
        store.apply()
        store.materialize()
        why = store.why("facts", {"id": 0})
        assert [fact["event_time"] for fact in why.candidates] == [
            f"{far}us",
            datetime(1970, 1, 1, tzinfo=timezone.utc),
        ]
        assert f"event {far}us" in str(why) and "<svg" in why._repr_html_()
        assert store._repr_html_()
        assert pd.DataFrame(why.candidates).shape[0] == 2
