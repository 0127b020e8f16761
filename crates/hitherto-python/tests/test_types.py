"""Types survive: from Parquet through both paths to every library."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal

import hitherto
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from conftest import Repository
from hitherto._values import to_values

UTC = dt.timezone.utc
EVENT = dt.datetime(2024, 5, 1, 12, tzinfo=UTC)
ASKED = dt.datetime(2024, 5, 1, 13, tzinfo=UTC)

# name: (Arrow type, declared type, the value of entity 1)
FEATURES = {
    "flag": (pa.bool_(), "bool", True),
    "tiny": (pa.int8(), "int8", -128),
    "short": (pa.int16(), "int16", -32768),
    "medium": (pa.int32(), "int32", -(2**31)),
    # Beyond 2**53: float64 cannot hold it.
    "large": (pa.int64(), "int64", 2**53 + 1),
    "utiny": (pa.uint8(), "uint8", 255),
    "ushort": (pa.uint16(), "uint16", 65535),
    "umedium": (pa.uint32(), "uint32", 2**32 - 1),
    "ularge": (pa.uint64(), "uint64", 2**64 - 1),
    "single": (pa.float32(), "float32", 0.5),
    "double": (pa.float64(), "float64", 0.1),
    "money": (
        pa.decimal128(38, 2),
        "decimal128(38, 2)",
        Decimal("-123456789012345678901234567890123456.78"),
    ),
    "text": (pa.string(), "string", "Zürich \N{SNOWMAN}"),
    "blob": (pa.binary(), "binary", b"\x00\xff"),
    "day": (pa.date32(), "date32", dt.date(1969, 12, 31)),
    "naive": (pa.timestamp("ms"), "timestamp(ms)", dt.datetime(2024, 5, 1, 11, 59, 59, 123000)),
    "moment": (
        pa.timestamp("us", tz="UTC"),
        "timestamp(us, UTC)",
        dt.datetime(1900, 1, 1, tzinfo=UTC),
    ),
    "nanos": (pa.timestamp("ns"), "timestamp(ns)", dt.datetime(2024, 5, 1, 11, 0, 0, 1)),
    "series": (pa.list_(pa.float32()), "list(float32)", [0.5, None, -0.0]),
    "counts": (pa.list_(pa.uint64()), "list(uint64)", [2**64 - 1]),
    "embedding": (pa.list_(pa.float64(), 3), "list(float64, 3)", [0.1, -1e300, 0.3]),
}


@pytest.fixture
def typed(small: Repository) -> hitherto.Store:
    """Entity 1 has a value of every type, entity 2 a fact of nulls."""
    columns = {"id": pa.array([1, 2], pa.int64())}
    columns["e"] = pa.array([EVENT, EVENT], pa.timestamp("us", tz="UTC"))
    for name, (kind, _, value) in FEATURES.items():
        columns[name] = pa.array([value, None], kind)
    small.write(
        pa.table(columns),
        keys={"id": "int64"},
        features={name: declared for name, (_, declared, _) in FEATURES.items()},
    )
    store = hitherto.connect(small.root)
    store.apply()
    store.materialize()
    return store


@pytest.fixture
def rows() -> pa.Table:
    """Entity 1, the one of nulls, and one without facts."""
    return pa.table({"id": [1, 2, 3], "event_timestamp": [ASKED] * 3})


def test_arrow_columns_have_exactly_the_declared_types(
    typed: hitherto.Store, rows: pa.Table
) -> None:
    trained = typed.training_set(rows, ["facts:*"]).to_arrow()
    served = typed.lookup({"id": [1, 2, 3]}, ["facts:*"]).to_arrow()
    for name, (kind, _, value) in FEATURES.items():
        assert trained.schema.field(name).type == kind
        assert served.schema.field(f"facts:{name}").type == kind
        expected = pa.chunked_array([pa.array([value, None, None], kind)])
        assert trained[name].combine_chunks().equals(expected.combine_chunks()), name
        assert served[f"facts:{name}"].combine_chunks().equals(expected.combine_chunks()), name


def test_a_dict_has_pythons_own_values(typed: hitherto.Store) -> None:
    found = typed.lookup({"id": [1, 2, 3]}, ["facts:*"])
    answer = found.to_dict()
    assert answer.pop("id") == [1, 2, 3]
    for name, (_, _, value) in FEATURES.items():
        first, second, third = answer[f"facts:{name}"]
        assert type(first) is type(value) and first == value, name
        assert getattr(first, "tzinfo", None) is None or first.utcoffset() is not None
        assert second is None and third is None
        assert found.statuses[f"facts:{name}"] == ["PRESENT", "NULL", "NOT_FOUND"]


def test_pandas_keeps_integers_and_bools_beside_nulls(
    typed: hitherto.Store, rows: pa.Table
) -> None:
    frame = typed.training_set(rows, ["facts:*"]).to_pandas()
    assert list(frame.columns) == ["id", "event_timestamp", *FEATURES]
    assert isinstance(frame.index, pd.RangeIndex)
    assert frame["large"].dtype == pd.Int64Dtype()
    assert frame["ularge"].dtype == pd.UInt64Dtype()
    assert frame["flag"].dtype == pd.BooleanDtype()
    assert frame["large"][0] == 2**53 + 1 and frame["ularge"][0] == 2**64 - 1
    assert frame["large"][1] is pd.NA
    assert frame["id"].dtype == "int64" and frame["double"].dtype == "float64"
    # Without a null they are plain.
    plain = typed.training_set(rows.slice(0, 1), ["facts:*"]).to_pandas()
    assert plain["large"].dtype == "int64" and plain["flag"].dtype == "bool"
    only = typed.training_set(rows.slice(1), ["facts:large"]).to_pandas()
    assert only["large"].isna().all() and only["large"].dtype == pd.Int64Dtype()


def test_polars_has_the_same_types(typed: hitherto.Store, rows: pa.Table) -> None:
    frame = typed.training_set(rows, ["facts:*"]).to_polars()
    assert frame.schema["large"] == pl.Int64 and frame.schema["ularge"] == pl.UInt64
    assert frame.schema["money"] == pl.Decimal(38, 2)
    assert frame.schema["moment"] == pl.Datetime("us", "UTC")
    assert frame["large"].to_list() == [2**53 + 1, None, None]


def test_lookup_frames(typed: hitherto.Store) -> None:
    found = typed.lookup({"id": [1, 3]}, ["facts:large", "facts:text"])
    assert found.to_pandas()["facts:large"].dtype == pd.Int64Dtype()
    assert found.to_polars().columns == ["id", "facts:large", "facts:text"]
    assert found.to_arrow()["id"].to_pylist() == [1, 3]


@pytest.mark.parametrize(
    ("declared", "kind", "values", "absent"),
    [
        ("string", pa.string(), ["a", "b\x00c"], "zzz"),
        ("binary", pa.binary(), [b"\x00", b"\xff"], b"zzz"),
        ("int64", pa.int64(), [-5, 2**62], 0),
        ("int8", pa.int8(), [-128, 127], 0),
        ("uint64", pa.uint64(), [3, 2**64 - 1], 0),
        ("uint16", pa.uint16(), [3, 65535], 0),
        ("bool", pa.bool_(), [True], False),
        ("date32", pa.date32(), [dt.date(1969, 12, 31), dt.date(2024, 2, 29)], dt.date(1970, 1, 1)),
    ],
)
def test_keys_of_every_type_find_their_entities(
    small: Repository, declared: str, kind: pa.DataType, values: list[object], absent: object
) -> None:
    facts = pa.table(
        {
            "id": pa.array(values, kind),
            "e": pa.array([EVENT] * len(values), pa.timestamp("us", tz="UTC")),
            "value": pa.array(range(len(values)), pa.int64()),
        }
    )
    small.write(facts, keys={"id": declared}, features={"value": "int64"})
    with hitherto.connect(small.root) as store:
        store.apply()
        store.materialize()
        asked = [*values, absent, None]
        found = store.lookup({"id": asked}, ["facts:value"]).to_dict()["facts:value"]
        assert found == [*range(len(values)), None, None]
        columns = {"id": pa.array(asked, kind), "event_timestamp": [ASKED] * len(asked)}
        trained = store.training_set(pa.table(columns), ["facts:value"]).to_arrow()
        assert trained["value"].to_pylist() == found


@pytest.mark.parametrize(
    ("data_type", "stored", "value"),
    [
        ("timestamp(s, Europe/Zurich)", 1714557600, "2024-05-01T12:00:00+02:00"),
        ("timestamp(ms, +05:30)", 1714557600123, "2024-05-01T15:30:00.123000+05:30"),
        ("timestamp(us, -03:00)", -1, "1969-12-31T20:59:59.999999-03:00"),
        ("timestamp(ns, UTC)", -1, "1969-12-31T23:59:59.999999+00:00"),
        ("timestamp(ns)", 1_999, "1970-01-01T00:00:00.000001"),
    ],
)
def test_timestamps_are_shown_in_their_zone(data_type: str, stored: int, value: str) -> None:
    assert to_values(data_type, [stored, None]) == [dt.datetime.fromisoformat(value), None]
    assert to_values(data_type, [stored])[0].isoformat() == value
