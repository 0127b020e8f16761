"""What people hand over: frames, keys, moments, text. Right, or one clear error."""

from __future__ import annotations

from datetime import date, datetime, timezone
from pathlib import Path

import hitherto
import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from conftest import Repository
from hitherto import definitions
from hitherto._time import to_micros

MOMENT = datetime(2024, 1, 1, tzinfo=timezone.utc)


@pytest.fixture
def things(small: Repository) -> hitherto.Store:
    """Things 0 to 2, each with a number, a word and a day, online."""
    facts = pa.table(
        {
            "id": pa.array(range(3), pa.int64()),
            "e": pa.array([MOMENT] * 3, pa.timestamp("us", "UTC")),
            "value": [0.0, 1.0, 2.0],
            "word": ["a", "b", "c"],
            "day": pa.array([date(2024, 1, day) for day in (1, 2, 3)]),
        }
    )
    features = {"value": "float64", "word": "string", "day": "date32"}
    small.write(facts, keys={"id": "int64"}, features=features)
    store = hitherto.connect(small.root)
    store.apply()
    store.materialize()
    return store


def frame(**columns: object) -> pd.DataFrame:
    return pd.DataFrame(
        {"id": [2, 0], "event_timestamp": [pd.Timestamp("2025", tz="UTC")] * 2} | columns
    )


def refusal(store: hitherto.Store, spine: object) -> str:
    with pytest.raises(hitherto.InvalidError) as refused:
        store.training_set(spine, ["facts:value"])  # type: ignore[arg-type]
    return str(refused.value)


# Frames.


def test_a_column_of_mixed_objects_is_named_with_its_rows(things: hitherto.Store) -> None:
    said = refusal(things, frame(label=[1, "two"]))
    assert "column 'label' of the frame mixes int (row 0) and str (row 1)" in said
    said = refusal(things, frame(label=[object(), object()]))
    assert "column 'label' of the frame holds values of type object" in said
    with pytest.raises(hitherto.InvalidError, match="column 'word' of the frame mixes"):
        things.push("facts", frame(word=["a", 7]))


def test_two_columns_of_one_name_are_refused(things: hitherto.Store) -> None:
    double = pd.concat([frame(label=[1, 2]), pd.Series([3, 4], name="label")], axis=1)
    assert "two columns named 'label'" in refusal(things, double)
    with pytest.raises(hitherto.InvalidError, match="two columns named 'id'"):
        things.lookup(pd.concat([frame()[["id"]], frame()[["id"]]], axis=1), ["facts:value"])


def test_what_the_index_has_is_said(things: hitherto.Store) -> None:
    said = refusal(things, frame().set_index("id"))
    assert said.endswith("'id' is in the frame's index: reset_index() makes a column of it")
    said = refusal(things, frame().set_index(["event_timestamp", "id"]))
    assert "'event_timestamp' is in the frame's index: reset_index()" in said
    said = refusal(things, frame().set_index("event_timestamp").rename_axis(None))
    assert "rename_axis('event_timestamp').reset_index()" in said
    with pytest.raises(hitherto.InvalidError, match="'id' is in the frame's index"):
        things.push("facts", frame().rename(columns={"event_timestamp": "e"}).set_index("id"))
    found = things.training_set(frame().set_index("id").reset_index(), ["facts:value"])
    assert found.to_arrow()["value"].to_pylist() == [2.0, 0.0]


def test_an_empty_frame_of_objects_has_no_rows(things: hitherto.Store) -> None:
    """Nothing says the types of its columns: Arrow's are null."""
    empty = pd.DataFrame({"id": [], "event_timestamp": [], "label": []}, dtype=object)
    found = things.training_set(empty, ["facts:value"]).to_arrow()
    assert found.num_rows == 0
    assert found.column_names == ["id", "event_timestamp", "label", "value"]
    pushed = things.push(
        "facts", pd.DataFrame({"id": [], "e": [], "value": [], "word": [], "day": []})
    )
    assert pushed == {"facts": 0, "facts_repeated": 0, "known_from": None}


def test_a_column_of_nothing_but_none_is_null(things: hitherto.Store) -> None:
    spine = frame(label=[None, None]).assign(id=pd.Series([None, None], dtype=object))
    found = things.training_set(spine, ["facts:value"])
    assert found.to_arrow()["value"].to_pylist() == [None, None]
    assert found.report()["views"][0]["absent"]["null_key"] == 2
    when = pd.Series([None, None], dtype=object)
    with pytest.raises(hitherto.InvalidError, match="leave that row out, or give it its time"):
        things.training_set(frame().assign(event_timestamp=when), ["facts:value"]).to_arrow()

    facts = {"id": [7], "e": [MOMENT], "value": [None], "word": [None], "day": [None]}
    for rows in (pa.table(facts), pd.DataFrame(facts), pl.DataFrame(facts)):
        assert things.push("facts", rows)["facts"] == 1
    answer = things.lookup({"id": [7]}, ["facts:*"])
    assert answer.statuses["facts:word"] == ["NULL"]
    with pytest.raises(hitherto.InvalidError, match='fact 0 for feature view "facts" has no event'):
        things.push("facts", pa.table(facts | {"e": [None]}))
    with pytest.raises(hitherto.InvalidError, match='fact 0 for feature view "facts" has a null'):
        things.push("facts", pa.table(facts | {"id": [None]}))


def test_a_pushed_column_of_another_type_says_which_to_push(things: hitherto.Store) -> None:
    facts = pa.table({"id": [7], "e": [MOMENT], "value": [1], "word": ["x"], "day": [None]})
    with pytest.raises(hitherto.InvalidError) as refused:
        things.push("facts", facts)
    assert 'feature view "facts": column "value" has type int64 where float64 is declared' in str(
        refused.value
    )
    assert "source.sql" not in str(refused.value)


def misaligned(array: pa.Array) -> pa.Array:
    """The same array, its buffers one byte further on than Arrow's are."""
    buffers = [
        buffer and pa.py_buffer(b"\0" + buffer.to_pybytes()).slice(1) for buffer in array.buffers()
    ]
    return pa.Array.from_buffers(array.type, len(array), buffers)


def test_buffers_may_begin_anywhere(things: hitherto.Store) -> None:
    arrays = {
        "id": pa.array([2, 0], pa.int64()),
        "event_timestamp": pa.array([MOMENT] * 2, pa.timestamp("us", "UTC")),
        "label": pa.array(["long enough to be kept", ""]),
        "large": pa.array(["a", None], pa.large_string()),
        "list": pa.array([["x"], []], pa.list_(pa.string())),
    }
    odd = {name: misaligned(array) if name != "list" else array for name, array in arrays.items()}
    assert any(buffer.address % 8 for buffer in odd["label"].buffers() if buffer)
    for rows in (pa.table(odd), pa.record_batch(odd)):
        found = things.training_set(rows, ["facts:value"]).to_arrow()
        assert found["value"].to_pylist() == [2.0, 0.0]
        for name, array in arrays.items():
            assert found[name].to_pylist() == array.to_pylist()


def test_text_of_polars_can_be_partitioned_by(things: hitherto.Store, tmp_path: Path) -> None:
    spine = pl.DataFrame({"id": [0, 1], "event_timestamp": [MOMENT] * 2, "where": ["é", "x y"]})
    rows = things.training_set(spine, ["facts:value"])
    assert rows.write_parquet(tmp_path / "out", partition_by=["where"]) == 2
    found = pq.read_table(tmp_path / "out").sort_by("id")
    assert found["where"].to_pylist() == ["é", "x y"]
    assert found["value"].to_pylist() == [0.0, 1.0]


# Keys.


def test_a_series_is_no_mapping_of_keys(things: hitherto.Store) -> None:
    with pytest.raises(hitherto.InvalidError, match=r"\{'id': series\}; found a pandas Series"):
        things.lookup(frame()["id"], ["facts:value"])  # type: ignore[arg-type]
    with pytest.raises(hitherto.InvalidError, match=r"\{'id': series\}; found a polars Series"):
        things.lookup(pl.Series("id", [1]), ["facts:value"])  # type: ignore[arg-type]
    with pytest.raises(hitherto.InvalidError, match="keys is a mapping of join keys to lists"):
        things.lookup([1, 2], ["facts:value"])  # type: ignore[arg-type]
    assert "series.to_frame()" in refusal(things, frame()["id"])
    for keys in (frame()[["id"]], pl.DataFrame({"id": [2, 0]}), {"id": frame()["id"]}):
        assert things.lookup(keys, ["facts:value"]).to_dict()["facts:value"] == [2.0, 0.0]


# Moments.


@pytest.mark.parametrize(
    "moment",
    [
        date(2024, 1, 1),
        np.datetime64("2024-01-01"),
        np.datetime64("2024-01-01T00:00:00.000000999", "ns"),
        np.datetime64("2024-01", "M"),
        pd.Timestamp("2024-01-01"),
        "2024-01-01",
    ],
)
def test_what_a_moment_can_be(things: hitherto.Store, moment: object) -> None:
    assert to_micros(moment) == to_micros(MOMENT)  # type: ignore[arg-type]
    found = things.training_set(at=moment, features=["facts:value"])  # type: ignore[arg-type]
    assert found.to_arrow().num_rows == 3
    assert things.why("facts", {"id": 1}, at=moment).at == MOMENT  # type: ignore[arg-type]


def test_a_moment_that_is_none_says_so() -> None:
    for missing in (np.datetime64("NaT"), pd.NaT):
        with pytest.raises(hitherto.InvalidError, match="NaT"):
            to_micros(missing)
    with pytest.raises(hitherto.InvalidError, match="range of microseconds"):
        to_micros(np.datetime64("300000-01-01"))
    with pytest.raises(hitherto.InvalidError, match="a moment is a datetime, a date or text"):
        to_micros(20240101)  # type: ignore[arg-type]
    assert to_micros(np.datetime64(-1, "ns")) == -1


# Text.


def test_sql_may_stand_in_parentheses(things: hitherto.Store) -> None:
    query = "(SELECT id, e AS event_timestamp FROM facts ORDER BY id DESC)"
    found = things.training_set(query, ["facts:value"]).to_arrow()
    assert found["value"].to_pylist() == [2.0, 1.0, 0.0]


@pytest.mark.parametrize(
    "statement",
    ["EXPLAIN SELECT * FROM facts", "explain analyze select 1", "SHOW TABLES", "DROP TABLE facts"],
)
def test_other_statements_are_no_rows(things: hitherto.Store, statement: str) -> None:
    assert "a spine is a query and changes nothing; write one SELECT" in refusal(things, statement)


def test_definitions_are_utf_8(small: Repository, tmp_path: Path) -> None:
    small.root.mkdir()
    text = definitions.dumps([definitions.Entity("thing", [definitions.Field("id", "int64")])])
    file = small.root / "definitions.yaml"
    for encoding in ("utf-16", "utf-32", "latin-1"):
        file.write_text(text + "# é\n", encoding)
        with pytest.raises(hitherto.InvalidError, match="definitions.yaml is not UTF-8 text; save"):
            definitions.load(small.root)
        with pytest.raises(hitherto.InvalidError, match="definitions.yaml is not UTF-8 text; save"):
            hitherto.connect(small.root).plan()


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("double", "float64"),
        ("real", "float32"),
        ("Float", 'float64", or "float32'),
        ("BIGINT", "int64"),
        ("str", "string"),
        ("boolean", "bool"),
        ("datetime", "timestamp(us, UTC)"),
        ("flot64", "float64"),
    ],
)
def test_types_of_elsewhere_are_known(small: Repository, written: str, meant: str) -> None:
    facts = pa.table({"id": [1], "e": [MOMENT], "value": [1.0]})
    small.write(facts, keys={"id": "int64"}, features={"value": written})
    with pytest.raises(hitherto.InvalidError) as refused:
        hitherto.connect(small.root).plan()
    assert f'type "{written}" is not known; did you mean "{meant}"' in str(refused.value)


# Rows that fail say which they are.


def test_a_time_beyond_microseconds_names_column_and_row(things: hitherto.Store) -> None:
    times = pa.array([0, 2**62], pa.timestamp("s", "UTC"))
    spine = pa.table({"id": [0, 1], "event_timestamp": times})
    with pytest.raises(hitherto.InvalidError) as refused:
        things.training_set(spine, ["facts:value"]).to_arrow()
    assert '"event_timestamp"' in str(refused.value) and "row 1" in str(refused.value)


def test_a_key_that_cannot_be_one_names_key_and_position(things: hitherto.Store) -> None:
    with pytest.raises(hitherto.InvalidError, match='join key "id" has .* at position 1'):
        things.lookup({"id": [1, "two"]}, ["facts:value"])
