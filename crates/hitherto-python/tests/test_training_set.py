"""Training sets: the same from every library and both stores, row for row."""

from __future__ import annotations

import datetime as dt

import hitherto
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.compute as pc
import pytest
from conftest import SERVICE

SPINES = {
    "pyarrow_table": lambda spine: spine,
    "pyarrow_reader": lambda spine: spine.to_reader(max_chunksize=1000),
    "pyarrow_batch": lambda spine: spine.combine_chunks().to_batches()[0],
    "pandas": lambda spine: spine.to_pandas(),
    # Not a range: pandas would not make a column of one.
    "pandas_with_an_index": lambda spine: spine.to_pandas().set_index(
        pd.Index([f"row {place}" for place in range(spine.num_rows)], name="place")
    ),
    "polars": lambda spine: pl.from_arrow(spine),
}


@pytest.mark.parametrize("library", SPINES)
def test_every_spine_on_both_stores_gives_the_same_rows(
    store: hitherto.Store, spine: pa.Table, joined: pa.Table, library: str
) -> None:
    given = SPINES[library](spine)
    found = store.training_set(given, service=SERVICE, full_names=True).to_arrow()
    assert found.column_names == joined.column_names
    assert found.num_rows == spine.num_rows
    for column in joined.column_names:
        same_type = found[column].cast(joined.schema.field(column).type)
        assert same_type.combine_chunks().equals(joined[column].combine_chunks()), column
        if column not in spine.column_names:
            assert found.schema.field(column).type == joined.schema.field(column).type


def test_spine_columns_come_through_unchanged(joined: pa.Table, spine: pa.Table) -> None:
    assert joined.column_names[: spine.num_columns] == spine.column_names
    assert joined.select(spine.column_names).equals(spine)


def test_rows_keep_their_order_when_shuffled_and_repeated(
    store: hitherto.Store, spine: pa.Table, joined: pa.Table
) -> None:
    # 7919 is prime, so this visits every row in an order that nothing sorts by.
    places = [(7919 * row) % spine.num_rows for row in range(spine.num_rows)] + [5, 5, 5]
    found = store.training_set(spine.take(places), service=SERVICE, full_names=True).to_arrow()
    assert (
        found.equals(joined.take(places).combine_chunks())
        or found.to_pylist() == joined.take(places).to_pylist()
    )


def test_features_have_their_declared_types(joined: pa.Table) -> None:
    types = {name: joined.schema.field(name).type for name in joined.column_names}
    assert types["event_timestamp"] == pa.timestamp("us", tz="UTC")
    assert types["lactate:lactate_mmol_l"] == pa.float64()
    assert types["stay_attributes:age_at_admission"] == pa.int64()
    assert types["ventilator:tracheostomy"] == pa.bool_()
    assert types["patient_attributes:sex_category"] == pa.string()


def test_names_are_short_unless_asked(embedded: hitherto.Store, spine: pa.Table) -> None:
    asked = ["creatinine:*", "lactate:lactate_mmol_l"]
    short = embedded.training_set(spine, asked)
    full = embedded.training_set(spine, features=asked, full_names=True)
    assert short.column_names[4:] == ["creatinine_mg_dl", "lactate_mmol_l"]
    assert full.column_names[4:] == ["creatinine:creatinine_mg_dl", "lactate:lactate_mmol_l"]


def test_an_empty_spine_gives_an_empty_training_set(store: hitherto.Store, spine: pa.Table) -> None:
    found = store.training_set(spine.slice(0, 0), service=SERVICE)
    assert found.to_arrow().num_rows == 0
    assert found.to_arrow().num_columns == 41
    assert found.report()["rows"] == 0


def test_the_report_counts_the_leaks_that_duckdb_counts(
    store: hitherto.Store, spine: pa.Table
) -> None:
    # The numbers of fixtures/icu/leak.py, which shares no code with the engine.
    labs = ["lactate", "creatinine", "white_cells", "platelets", "bilirubin"]
    found = store.training_set(spine, [f"{lab}:*" for lab in labs])
    with pytest.raises(hitherto.InvalidError, match="to its end"):
        found.report()
    found.to_arrow()
    report = found.report()
    assert report["rows"] == 8139
    assert report["leaky_rows"] == 820
    leaks = {view["view"]: view["leaks"] for view in report["views"]}
    assert leaks == dict(zip(labs, [14, 719, 436, 453, 290], strict=True))


def test_known_ignore_shows_what_nobody_knew_yet(
    store: hitherto.Store, spine: pa.Table, joined: pa.Table
) -> None:
    ignored = store.training_set(spine, ["creatinine:*"], known="ignore").to_arrow()
    honest = joined["creatinine:creatinine_mg_dl"]
    leaking = pc.not_equal(
        ignored["creatinine_mg_dl"].fill_null(-1.0), honest.combine_chunks().fill_null(-1.0)
    )
    assert 0 < pc.sum(leaking).as_py() <= 719


@pytest.mark.parametrize(
    "cutoff",
    [
        "2150-01-01",
        dt.datetime(2150, 1, 1),
        dt.datetime(2150, 1, 1, 1, tzinfo=dt.timezone(dt.timedelta(hours=1))),
        pd.Timestamp("2150-01-01"),
        pd.Timestamp("2150-01-01", tz="UTC"),
    ],
    ids=["text", "naive", "aware", "pandas_naive", "pandas_aware"],
)
def test_a_knowledge_cutoff_hides_what_became_known_later(
    store: hitherto.Store, spine: pa.Table, joined: pa.Table, cutoff: hitherto._time.Moment
) -> None:
    found = store.training_set(spine, ["creatinine:*"], known_by=cutoff).to_arrow()
    moment = dt.datetime(2150, 1, 1, tzinfo=dt.timezone.utc)
    before = pc.less_equal(found["event_timestamp"], pa.scalar(moment))
    kept = found.filter(before)["creatinine_mg_dl"]
    assert kept.to_pylist() == joined.filter(before)["creatinine:creatinine_mg_dl"].to_pylist()
    # Two days after it every result that was known by then has expired.
    later = moment + dt.timedelta(days=2)
    after = found.filter(pc.greater(found["event_timestamp"], pa.scalar(later)))
    assert after.num_rows > 0 and after["creatinine_mg_dl"].null_count == after.num_rows


def test_it_runs_once_and_keeps_its_rows(store: hitherto.Store, spine: pa.Table) -> None:
    found = store.training_set(spine, ["lactate:*"])
    assert "not collected" in repr(found)
    arrow = found.to_arrow()
    assert "8139 rows" in repr(found)
    assert found.to_arrow().equals(arrow)
    assert pl.from_arrow(arrow).equals(found.to_polars())
    assert pa.table(found).equals(arrow)
    assert found.schema == arrow.schema


def test_a_stream_is_read_once(store: hitherto.Store, spine: pa.Table, joined: pa.Table) -> None:
    found = store.training_set(spine, service=SERVICE, full_names=True)
    reader = pa.RecordBatchReader.from_stream(found)
    looked_at = pa.RecordBatchReader.from_stream(found).schema
    assert looked_at == reader.schema == found.schema
    batches = list(reader)
    assert len(batches) > 0 and max(batch.num_rows for batch in batches) <= 8192
    assert pa.Table.from_batches(batches).equals(joined)
    assert found.report()["rows"] == spine.num_rows
    with pytest.raises(hitherto.InvalidError, match="read already"):
        found.to_arrow()
    with pytest.raises(pa.ArrowInvalid, match="read already"):
        pa.table(found)


def test_duckdb_reads_it(embedded: hitherto.Store, spine: pa.Table) -> None:
    import duckdb

    found = embedded.training_set(spine, ["lactate:*"])
    connection = duckdb.connect()
    connection.register("found", pa.RecordBatchReader.from_stream(found))
    assert connection.execute("SELECT count(*) FROM found").fetchall() == [(8139,)]


def test_a_spine_may_be_a_training_set(embedded: hitherto.Store, spine: pa.Table) -> None:
    first = embedded.training_set(spine, ["lactate:*"])
    both = embedded.training_set(first, ["creatinine:*"])
    assert both.column_names[-2:] == ["lactate_mmol_l", "creatinine_mg_dl"]
    assert both.to_arrow().num_rows == spine.num_rows


def test_times_of_other_units_and_names(embedded: hitherto.Store, spine: pa.Table) -> None:
    expected = embedded.training_set(spine, ["lactate:*"]).to_arrow()["lactate_mmol_l"]
    times = spine["event_timestamp"]
    for kind in (pa.timestamp("s"), pa.timestamp("ms", tz="UTC"), pa.timestamp("us")):
        other = spine.drop_columns("event_timestamp").append_column("moment", times.cast(kind))
        found = embedded.training_set(other, ["lactate:*"], timestamp="moment").to_arrow()
        assert found["lactate_mmol_l"].equals(expected), kind
        assert found.schema.field("moment").type == kind


def test_explain_shows_the_plan_and_what_it_measured(
    store: hitherto.Store, spine: pa.Table
) -> None:
    found = store.training_set(spine, ["lactate:*"])
    plan = found.explain()
    assert plan.startswith("PointInTimeJoinExec: at=event_timestamp, views=[lactate], features=1")
    assert "metrics" not in plan and "not collected" in repr(found)
    measured = found.explain(analyze=True)
    assert "output_rows=8.14 K" in measured and "passes=1" in measured
    assert "8139 rows" in repr(found)
    assert found.explain() == plan
    streamed = store.training_set(spine, ["lactate:*"])
    reader = streamed.to_reader()
    reader.read_next_batch()
    with pytest.raises(hitherto.InvalidError, match="to its end"):
        streamed.explain(analyze=True)
    assert list(reader) == []
    assert "output_rows=8.14 K" in streamed.explain(analyze=True)
