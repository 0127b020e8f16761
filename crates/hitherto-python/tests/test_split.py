"""Splits and samples: the same on every machine, and no entity on both sides."""

from __future__ import annotations

import datetime as dt
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import hitherto
import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
from conftest import SERVICE
from hitherto import _spine, _split

PARTS = ("train", "validation", "test")
SHARES = (0.8, 0.1, 0.1)

#: Computed once by other code, from the description in hitherto/_split.py.
PINNED_TEXT = {"a": 0, "b": 1, "j": 2, "": 0, None: 0}
PINNED_NUMBERS = {0: 0, 1: 2, 2: 0, -1: 0, 2**62: 0}


def test_where_an_entity_goes_is_pinned() -> None:
    """Nothing may ever change this: models were validated on it."""
    for seed, pinned in ((7, PINNED_TEXT), (0, PINNED_NUMBERS)):
        batch = pa.record_batch({"id": pa.array(list(pinned))})
        assert _split.by_keys(["id"], SHARES, seed)(batch).tolist() == list(pinned.values())


def test_another_process_with_another_hash_seed_agrees() -> None:
    script = (
        "import pyarrow as pa; from hitherto import _split; "
        "batch = pa.record_batch({'id': [str(i) for i in range(500)]}); "
        "print(_split.by_keys(['id'], (0.5, 0.25, 0.25), 3)(batch).tolist())"
    )
    said = {
        subprocess.run(
            [sys.executable, "-c", script],
            capture_output=True,
            text=True,
            check=True,
            env={**os.environ, "PYTHONHASHSEED": seed, "PYTHONPATH": os.pathsep.join(sys.path)},
        ).stdout
        for seed in ("1", "2")
    }
    assert len(said) == 1 and {"0", "1", "2"} <= set(said.pop())


@pytest.mark.parametrize(
    "kind",
    [pa.int8(), pa.int32(), pa.uint64(), None],
    ids=str,
)
def test_a_key_of_another_width_goes_the_same_way(kind: pa.DataType | None) -> None:
    values = pa.array(range(100), pa.int64())
    assign = _split.by_keys(["id"], SHARES, 0)
    other = values.dictionary_encode() if kind is None else values.cast(kind)
    there = assign(pa.record_batch({"id": other}))
    assert there.tolist() == assign(pa.record_batch({"id": values})).tolist()
    assert set(there.tolist()) == {0, 1, 2}


def test_composite_keys_do_not_collide() -> None:
    assign = _split.by_keys(["a", "b"], (0.5, 0.25, 0.25), 0)
    # Written one after the other with their letters, both are "sx..ssy".
    left = assign(pa.record_batch({"a": [f"x{i}s" for i in range(200)], "b": ["y"] * 200}))
    right = assign(pa.record_batch({"a": [f"x{i}" for i in range(200)], "b": ["sy"] * 200}))
    assert left.tolist() != right.tolist()
    # The same pair in any row of any batch goes the same way.
    rows = pa.table({"a": ["p", "q", "p", None, "q"], "b": [1, 1, 1, 1, 1]})
    whole = assign(rows.to_batches()[0]).tolist()
    assert whole[0] == whole[2] and whole[1] == whole[4]
    assert [int(assign(rows.slice(place, 1).to_batches()[0])[0]) for place in range(5)] == whole


def test_shares_hold_on_many_entities() -> None:
    batch = pa.record_batch({"id": pa.array(range(20_000), pa.int64())})
    counts = np.bincount(_split.by_keys(["id"], SHARES, 1)(batch), minlength=3) / 20_000
    assert np.abs(counts - SHARES).max() < 0.01
    only = _split.by_keys(["id"], (1.0, 0.0, 0.0), 1)(batch)
    assert set(only.tolist()) == {0}


@pytest.fixture
def whole(store: hitherto.Store, spine: pa.Table) -> hitherto.TrainingSet:
    return store.training_set(spine, ["lactate:*", "creatinine:*"])


def test_no_entity_is_on_both_sides(whole: hitherto.TrainingSet, spine: pa.Table) -> None:
    split = whole.split(seed=5)
    tables = [part.to_arrow() for part in split]
    assert sum(table.num_rows for table in tables) == spine.num_rows
    assert all(table.num_rows > 0 for table in tables)
    stays = [set(table["hospitalization_id"].to_pylist()) for table in tables]
    assert not (stays[0] & stays[1] or stays[0] & stays[2] or stays[1] & stays[2])
    # Rows keep their order and their features.
    rows = whole.to_arrow().to_pylist()
    for table, ids in zip(tables, stays, strict=True):
        assert table.to_pylist() == [row for row in rows if row["hospitalization_id"] in ids]
    assert set(whole.split(seed=6).test.to_arrow()["hospitalization_id"].to_pylist()) != stays[2]


def test_order_of_rows_and_frame_library_change_nothing(
    embedded: hitherto.Store, spine: pa.Table
) -> None:
    def stays(rows: object) -> set[str]:
        train = embedded.training_set(rows, ["lactate:*"]).split(seed=1).train  # type: ignore[arg-type]
        return set(train.to_arrow()["hospitalization_id"].to_pylist())

    expected = stays(spine)
    shuffled = spine.take(np.random.default_rng(0).permutation(spine.num_rows))
    assert stays(shuffled) == stays(pl.from_arrow(spine)) == stays(spine.to_pandas()) == expected
    assert stays(spine.slice(0, 4000)) == expected & set(
        spine.slice(0, 4000)["hospitalization_id"].to_pylist()
    )


def test_several_entities_must_be_named(embedded: hitherto.Store, spine: pa.Table) -> None:
    whole = embedded.training_set(spine, service=SERVICE)
    with pytest.raises(hitherto.InvalidError, match=r"by=\['hospitalization_id'\] or by=\['pat"):
        whole.split()
    for by in ("patient", "patient_id", ["patient_id"]):
        train, validation, test = (part.to_arrow() for part in whole.split(by=by))
        assert train.num_rows + validation.num_rows + test.num_rows == spine.num_rows
        for column in ("patient_id", "hospitalization_id"):
            sides = [set(part[column].to_pylist()) for part in (train, validation, test)]
            assert not (sides[0] & sides[1] or sides[0] & sides[2] or sides[1] & sides[2])


def test_a_role_is_split_by_its_column(embedded: hitherto.Store, spine: pa.Table) -> None:
    renamed = spine.rename_columns(
        ["stay" if name == "hospitalization_id" else name for name in spine.column_names]
    )
    asked = ["before=lactate[hospitalization_id=stay]:*"]
    whole = embedded.training_set(renamed, asked)
    assert whole.feature_names == ["lactate_mmol_l"]
    train, _, test = (set(part.to_arrow()["stay"].to_pylist()) for part in whole.split())
    assert train and test and not train & test


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"train": 0.9}, "make 1 together"),
        ({"train": 1.2, "validation": -0.1, "test": -0.1}, "from 0 to 1"),
        ({"by": "nothing"}, "no entity and no column 'nothing'"),
        ({"by": []}, "to split by"),
        ({"seed": -1}, "a seed is"),
        ({"at": ("2150-01-01", "2160-01-01")}, 'split\\(by="time"'),
        ({"by": "time", "at": ("2160-01-01", "2150-01-01")}, "then when test begins"),
    ],
)
def test_a_split_that_cannot_be_is_refused(
    embedded: hitherto.Store, spine: pa.Table, arguments: dict[str, object], message: str
) -> None:
    with pytest.raises(hitherto.InvalidError, match=message):
        embedded.training_set(spine, ["lactate:*"]).split(**arguments)  # type: ignore[arg-type]


def test_by_time_no_moment_is_in_two_parts(whole: hitherto.TrainingSet, spine: pa.Table) -> None:
    train, validation, test = (part.to_arrow() for part in whole.split(by="time"))
    assert train.num_rows + validation.num_rows + test.num_rows == spine.num_rows
    assert abs(train.num_rows / spine.num_rows - 0.8) < 0.01
    times = [part["event_timestamp"].to_pylist() for part in (train, validation, test)]
    assert max(times[0]) < min(times[1]) and max(times[1]) < min(times[2])


def test_by_time_the_moments_may_be_named(whole: hitherto.TrainingSet) -> None:
    begin, end = dt.datetime(2150, 1, 1, tzinfo=dt.timezone.utc), "2160-01-01"
    train, validation, test = whole.split(by="time", at=(begin, end))
    times = validation.to_arrow()["event_timestamp"].to_pylist()
    assert (
        times
        and begin <= min(times)
        and max(times) < dt.datetime(2160, 1, 1, tzinfo=dt.timezone.utc)
    )
    assert max(train.to_arrow()["event_timestamp"].to_pylist()) < begin
    assert len(test.to_pandas()) > 0


def test_naive_times_are_those_of_their_zone(embedded: hitherto.Store, spine: pa.Table) -> None:
    zone, place = "Asia/Kathmandu", spine.column_names.index("event_timestamp")
    times = spine["event_timestamp"].cast(pa.timestamp("us", zone))
    naive = spine.set_column(place, "event_timestamp", pc.local_timestamp(times))
    whole = embedded.training_set(spine, ["lactate:*"])
    local = embedded.training_set(naive, ["lactate:*"], timezone=zone)
    cases: list[dict[str, Any]] = [{}, {"at": ("2150-01-01", "2160-01-01")}]
    for options in cases:
        parts = zip(whole.split(by="time", **options), local.split(by="time", **options))
        for expected, found in parts:
            rows = expected.to_arrow()
            assert rows.num_rows > 0
            assert rows.drop(["event_timestamp"]).equals(
                found.to_arrow().drop(["event_timestamp"])
            )


def test_a_part_begins_at_its_moment() -> None:
    times = pa.array([9, 10, 19, 20, None], pa.timestamp("us"))
    batch = pa.record_batch({"t": times})
    assert _split.by_time("t", [10, 20])(batch).tolist() == [0, 1, 1, 2, 0]
    # Rows of one moment stay together, wherever the share would cut.
    many = pa.chunked_array([pa.array([1, 5, 5, 5, 5, 5, 5, 5, 9, 9], pa.timestamp("us"))])
    assert _split.quantiles(many, (0.5, 0.25, 0.25)) == [5, 9]
    assert _split.quantiles(many, (1.0, 0.0, 0.0)) == [2**63 - 1] * 2


def test_times_of_every_unit_and_zone_are_one_line() -> None:
    moment = dt.datetime(2150, 1, 1, tzinfo=dt.timezone.utc)
    micros = int(
        (moment - dt.datetime(1970, 1, 1, tzinfo=dt.timezone.utc)) / dt.timedelta.resolution
    )
    kinds = [pa.timestamp(unit) for unit in ("s", "ms", "us", "ns")]
    kinds += [pa.timestamp("us", tz="Europe/Zurich"), pa.timestamp("ms", tz="UTC"), pa.date32()]
    for kind in kinds:
        times = pa.array([moment.replace(tzinfo=None)], pa.timestamp("us"))
        times = pa.array([moment], kind) if getattr(kind, "tz", None) else times.cast(kind)
        assert _split.to_micros(times).tolist() == [micros], kind
    assert _split.to_micros(pa.array([None], pa.timestamp("us"))).tolist() == [-(2**63)]


def test_three_files_in_one_pass(embedded: hitherto.Store, spine: pa.Table, tmp_path: Path) -> None:
    streamed = embedded.training_set(spine, ["lactate:*"])
    rows = streamed.split(seed=2).write_parquet(tmp_path / "parts")
    # Nothing was kept: the one pass is over.
    with pytest.raises(hitherto.InvalidError, match="read already"):
        streamed.to_arrow()
    assert streamed.report()["rows"] == sum(rows.values()) == spine.num_rows
    kept = embedded.training_set(spine, ["lactate:*"]).split(seed=2)
    for name, part in zip(PARTS, kept, strict=True):
        written = pq.read_table(tmp_path / "parts" / f"{name}.parquet")
        assert written.num_rows == rows[name]
        assert written.equals(part.to_arrow().combine_chunks()) or (
            written.to_pylist() == part.to_arrow().to_pylist()
        )
    assert sorted(path.name for path in (tmp_path / "parts").iterdir()) == [
        f"{name}.parquet" for name in sorted(PARTS)
    ]


def test_a_part_is_rows_like_the_whole(whole: hitherto.TrainingSet, tmp_path: Path) -> None:
    part = whole.split().validation
    assert part.column_names == whole.column_names
    assert part.schema == whole.schema
    assert part.feature_names == whole.feature_names
    count = part.to_arrow().num_rows
    assert len(part.to_pandas()) == len(part.to_polars()) == len(part.to_numpy()) == count
    assert part.write_parquet(tmp_path / "part.parquet") == count


def test_parts_may_be_read_as_streams_one_after_the_other(
    whole: hitherto.TrainingSet, spine: pa.Table
) -> None:
    rows = sum(pa.table(part).num_rows for part in whole.split())
    assert rows == spine.num_rows == whole.to_arrow().num_rows


def test_a_part_says_what_it_is(whole: hitherto.TrainingSet) -> None:
    part = whole.split().validation
    assert "validation" in repr(part)


# Samples.

LIBRARIES: dict[str, Callable[[pa.Table], object]] = {
    "pyarrow": lambda table: table,
    "batch": lambda table: table.combine_chunks().to_batches()[0],
    "polars": pl.from_arrow,
    "pandas": lambda table: table.to_pandas(),
}


@pytest.mark.parametrize("library", LIBRARIES)
def test_a_sample_is_the_same_rows_every_time(
    store: hitherto.Store, spine: pa.Table, library: str
) -> None:
    given = LIBRARIES[library](spine)
    sampled = store.training_set(given, ["lactate:*"], sample=100)  # type: ignore[arg-type]
    rows = sampled.to_arrow().drop_columns("lactate_mmol_l").to_pylist()
    assert len(rows) == 100
    places = np.sort(np.argsort(_spine.place_hashes(spine.num_rows))[:100])
    expected = spine.take(places).to_pylist()
    assert [row["hospitalization_id"] for row in rows] == [
        row["hospitalization_id"] for row in expected
    ]
    # Spread over all of the spine.
    assert places[0] < spine.num_rows * 0.1 and places[-1] > spine.num_rows * 0.9


def test_the_hash_of_places_is_splitmix64() -> None:
    # The first outputs of the published algorithm for the seed 0.
    assert _spine.place_hashes(2).tolist() == [0xE220A8397B1DCDAF, 0x6E789E6AA1B965F4]


def test_a_larger_sample_holds_a_smaller_one(embedded: hitherto.Store, spine: pa.Table) -> None:
    def rows(sample: float) -> list[str]:
        found = embedded.training_set(spine, ["lactate:*"], sample=sample).to_arrow()
        return [str(row) for row in found.to_pylist()]

    assert rows(0.0) == [] == rows(0)
    assert len(rows(0.5)) == round(spine.num_rows * 0.5)
    assert len(rows(1.0)) == len(rows(10**9)) == spine.num_rows
    assert set(rows(50)) < set(rows(500))
    for wrong in (1.5, -1, -0.1, True):
        with pytest.raises(hitherto.InvalidError, match="sample is"):
            rows(wrong)


def test_a_spine_may_be_the_path_of_a_file(
    store: hitherto.Store, spine: pa.Table, tmp_path: Path
) -> None:
    pq.write_table(spine, tmp_path / "spine.parquet", row_group_size=1000)
    expected = store.training_set(spine, ["lactate:*"]).to_arrow()
    for path in (tmp_path / "spine.parquet", str(tmp_path / "spine.parquet")):
        assert store.training_set(path, ["lactate:*"]).to_arrow().to_pylist() == (
            expected.to_pylist()
        )
    with pytest.raises(hitherto.InvalidError, match="there is no file"):
        store.training_set(tmp_path / "no.parquet", ["lactate:*"])
    (tmp_path / "text").write_text("no Parquet at all")
    with pytest.raises(hitherto.InvalidError, match=r"is not a (readable )?Parquet file"):
        store.training_set(tmp_path / "text", ["lactate:*"])


def test_pandas_is_sampled_without_its_index(embedded: hitherto.Store, spine: pa.Table) -> None:
    frame = spine.to_pandas().set_index(pd.Index(range(spine.num_rows, 0, -1)))
    found = embedded.training_set(frame, ["lactate:*"], sample=10).column_names
    assert found == [*spine.column_names, "lactate_mmol_l"]
