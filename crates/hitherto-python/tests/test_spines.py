"""Spines that are no frame: SQL, files, and readers, pulled as rows are needed."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from itertools import repeat
from pathlib import Path
from typing import Any

import duckdb
import hitherto
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from conftest import ICU, LATER, SERVICE, Repository, binary, serving
from hitherto._spine import SQL

LABS = """
SELECT hospitalization_id, lab_collect_dttm AS event_timestamp, lab_value AS label
FROM {table}
WHERE lab_category = 'lactate' AND lab_value_numeric > 2
ORDER BY lab_collect_dttm DESC, hospitalization_id, lab_value
"""


def test_a_query_is_a_spine(store: hitherto.Store) -> None:
    labs = f"read_parquet('{ICU}/data/clif_labs.parquet')"
    labels = duckdb.sql("SET TimeZone = 'UTC'; " + LABS.format(table=labs)).to_arrow_table()
    expected = store.training_set(labels, ["lactate:*", "creatinine:*"])
    found = store.training_set(LABS.format(table="lactate"), ["lactate:*", "creatinine:*"])
    assert found.column_names == expected.column_names
    assert found.to_arrow().num_rows == labels.num_rows > 100
    assert found.to_arrow().to_pylist() == expected.to_arrow().to_pylist()
    for one, other in zip(found.report()["views"], expected.report()["views"], strict=True):
        # Of frames the times are known before the first row, so fewer facts are read.
        assert one.pop("facts") >= other.pop("facts")
        assert one == other
    assert found.manifest["spine"]["hash"] == expected.manifest["spine"]["hash"]
    assert found.manifest["request"]["spine"] == {"sql": LABS.format(table="lactate")}
    assert "spine" not in expected.manifest["request"]


def test_without_an_order_rows_come_as_the_files_have_them(embedded: hitherto.Store) -> None:
    query = "select hospitalization_id, lab_collect_dttm as event_timestamp from creatinine"
    file = pq.read_table(ICU / "data" / "clif_labs.parquet")
    for _ in range(3):
        found = embedded.training_set(query, ["lactate:*"]).to_arrow()
        assert found["hospitalization_id"].to_pylist() == file["hospitalization_id"].to_pylist()


def test_a_query_may_read_several_views_and_aggregate(store: hitherto.Store) -> None:
    query = """
        -- the first high lactate of every stay with a creatinine
        WITH high AS (
            SELECT hospitalization_id, min(lab_result_dttm) AS event_timestamp
            FROM lactate WHERE lab_category = 'lactate' AND lab_value_numeric > 4
            GROUP BY hospitalization_id
        )
        SELECT high.* FROM high
        WHERE hospitalization_id IN (
            SELECT hospitalization_id FROM creatinine WHERE lab_category = 'creatinine')
    """
    found = store.training_set(query, ["lactate:*"]).to_arrow()
    assert found.num_rows > 10
    assert len(set(found["hospitalization_id"].to_pylist())) == found.num_rows
    # At the moment of its release a result is known, and a newer one may be, too.
    assert found["lactate_mmol_l"].null_count == 0


def test_a_query_reads_files_where_it_is_its_owners(
    embedded: hitherto.Store, remote: hitherto.Store, joined: pa.Table, tmp_path: Path
) -> None:
    query = f"SELECT * FROM '{ICU}/spine.parquet'"
    found = embedded.training_set(query, service=SERVICE, full_names=True)
    assert found.to_arrow().equals(joined)
    with pytest.raises(hitherto.InvalidError, match="no feature view that is applied"):
        remote.training_set(query, service=SERVICE)
    with pytest.raises(hitherto.NotFoundError, match=r"there is no file at .*no\.parquet"):
        embedded.training_set(f"SELECT * FROM '{tmp_path}/no.parquet'", service=SERVICE)


def test_a_query_over_the_wire_has_bounds(small: Repository) -> None:
    limited(small)
    (small.root / "hitherto.yaml").write_text("server: { sqlRowsMax: 1000, sqlSecondsMax: 1 }\n")
    some, many = "SELECT id, e FROM facts", "SELECT a.id, a.e FROM facts a, facts b"
    endless = f"{many}, facts c WHERE a.id + b.id + c.id < 0"
    with hitherto.connect(small.root) as store:
        # Of its owner it has none.
        found = store.training_set(many, ["facts:*"], timestamp="e")
        assert found.to_arrow().num_rows == 1_000_000
    with serving(small.root) as url, hitherto.connect(url) as store:
        assert store.training_set(some, ["facts:*"], timestamp="e").to_arrow().num_rows == 1000
        for query, words in (
            (many, r"more than 1000 rows.* raise server\.sqlRowsMax"),
            (endless, r"more than 1 seconds.* raise server\.sqlSecondsMax"),
        ):
            found = store.training_set(query, ["facts:*"], timestamp="e")
            with pytest.raises(hitherto.InvalidError, match=words):
                found.to_arrow()


def test_now_is_the_stores_clock(store: hitherto.Store) -> None:
    query = "SELECT DISTINCT hospitalization_id, now() AS event_timestamp FROM lactate"
    times = store.training_set(query, ["lactate:*"]).to_arrow()["event_timestamp"]
    assert {f"{time:%Y-%m-%dT%H:%M:%SZ}" for time in times.to_pylist()} == {LATER}


@pytest.mark.parametrize(
    ("query", "reason"),
    [
        ("SELECT * FROM lactat", 'did you mean "lactate"'),
        ("SELECT * FROM other.lactate", "no feature view|neither a feature view"),
        ("SELECT nope FROM lactate", "No field named nope"),
        ("SELECT 1 AS a", 'no column "event_timestamp"'),
        ("SELECT (", "cannot be read"),
        ("SELECT 1; DROP TABLE lactate", "single SQL statement"),
        ("WITH x AS (SELECT 1) INSERT INTO lactate SELECT * FROM x", "does not run"),
        ("SELECT lab_collect_dttm AS event_timestamp FROM lactate", 'no column "hospitalization_i'),
        ("SELECT hospitalization_id, 1 AS event_timestamp FROM lactate", "a timestamp or date"),
        ("SELECT a.*, b.* FROM lactate a, lactate b", "two columns named|event_timestamp"),
    ],
)
def test_what_is_no_query_for_a_spine_is_refused(
    store: hitherto.Store, query: str, reason: str
) -> None:
    with pytest.raises(hitherto.InvalidError, match=reason):
        store.training_set(query, ["lactate:*"])


def test_an_error_of_a_row_is_the_readers(store: hitherto.Store) -> None:
    query = "SELECT hospitalization_id, CAST(NULL AS TIMESTAMP) AS event_timestamp FROM lactate"
    with pytest.raises(hitherto.InvalidError, match="leave that row out, or give it its time"):
        store.training_set(query, ["lactate:*"]).to_arrow()


def test_an_error_of_a_row_at_hand_is_the_calls(store: hitherto.Store, spine: pa.Table) -> None:
    times = pa.array([None] * spine.num_rows, pa.timestamp("us", "UTC"))
    untimed = spine.drop_columns("event_timestamp").append_column("event_timestamp", times)
    with pytest.raises(hitherto.InvalidError, match="leave that row out, or give it its time"):
        store.training_set(untimed, ["lactate:*"])
    found = store.training_set(untimed.to_reader(), ["lactate:*"])
    with pytest.raises(hitherto.InvalidError, match="leave that row out, or give it its time"):
        found.to_arrow()


def test_which_texts_are_sql() -> None:
    for sql in (
        "SELECT 1",
        "select*from t",
        "\n\t with x AS (select 1) select 1",
        "-- labels\nSELECT(1)",
        "/* all\nof them */ -- two\n /**/SELECT'a'",
        "select--\n1",
        "(SELECT 1)",
        " ( /* a */ (with x as (select 1) select 1))",
        "EXPLAIN SELECT 1",
        "values (1)",
    ):
        assert SQL.match(sql), sql
    for path in (
        "select.parquet",
        "with-labels.parquet",
        "selected labels.parquet",
        "data/select 1",
        "select/x.parquet",
        "withal",
        "",
        "-- SELECT 1",
        "explain.parquet",
        "show me.parquet",
        "(explained)",
    ):
        assert not SQL.match(path), path


def test_a_sample_is_of_rows(store: hitherto.Store) -> None:
    with pytest.raises(hitherto.InvalidError, match="choose in the query"):
        store.training_set(LABS.format(table="lactate"), ["lactate:*"], sample=10)


def test_a_reader_is_read_when_the_training_set_is(store: hitherto.Store) -> None:
    asked = []
    schema = pa.schema({"id": pa.string(), "t": pa.timestamp("us", "UTC")})

    def batches() -> Any:
        for number in range(5):
            asked.append(number)
            yield pa.record_batch([["20044587"] * 10, [number] * 10], schema=schema)

    reader = pa.RecordBatchReader.from_batches(schema, batches())
    view = "stay=lactate[hospitalization_id=id]:*"
    found = store.training_set(reader, [view], timestamp="t")
    assert asked == []
    assert found.to_arrow().num_rows == 50
    assert asked == [0, 1, 2, 3, 4]
    assert found.manifest["spine"]["rows"] == 50


def test_readers_of_others_are_spines(
    store: hitherto.Store, embedded: hitherto.Store, spine: pa.Table
) -> None:
    """Of a training set, which waits for the engine on a thread of the engine, and of
    DuckDB; and DuckDB reads what such a spine gives, on threads of its own."""
    expected = embedded.training_set(spine, ["lactate:*", "creatinine:*"]).to_arrow()
    first = store.training_set(spine.to_reader(max_chunksize=500), ["lactate:*"])
    both = store.training_set(first.to_reader(), ["creatinine:*"])
    connection = duckdb.connect()
    connection.execute("SET TimeZone = 'UTC'")
    connection.register("found", both.to_reader())
    table = connection.sql("SELECT * FROM found").to_arrow_reader(1000)
    again = store.training_set(table, ["heart_rate:*"]).to_arrow()
    assert again.select(expected.column_names).to_pylist() == expected.to_pylist()


def test_a_readers_own_metadata_stays_outside(store: hitherto.Store, spine: pa.Table) -> None:
    frame = pa.Table.from_pandas(spine.to_pandas().set_index("patient_id", drop=False))
    assert frame.schema.metadata
    found = store.training_set(frame.to_reader(), ["lactate:*"])
    assert found.to_arrow().schema.metadata is None
    assert len(found.to_pandas()) == spine.num_rows


def test_a_damaged_file_is_named(small: Repository, tmp_path: Path) -> None:
    rows = 200_000
    facts = pa.table(
        {
            "id": pa.array(range(rows), pa.int64()),
            "e": pa.array(range(rows), pa.timestamp("us")),
            "value": pa.array(range(rows), pa.int64()),
        }
    )
    small.write(facts, keys={"id": "int64"}, features={"value": "int64"})
    path = tmp_path / "labels.parquet"
    pq.write_table(facts.select(["id", "e"]), path, write_page_checksum=True)
    content = bytearray(path.read_bytes())
    content[len(content) // 4] ^= 1
    path.write_bytes(content)
    with hitherto.connect(small.root) as store:
        store.apply()
        found = store.training_set(path, ["facts:*"], timestamp="e")
        with pytest.raises(hitherto.CorruptError, match=r"labels\.parquet"):
            found.to_arrow()


def test_a_manifest_of_sql_is_checked_without_label_rows(repository: Path, tmp_path: Path) -> None:
    def run(*arguments: str) -> Any:
        command = [binary(), "training-set", *arguments, "--now", LATER, "--output", "json"]
        done = subprocess.run(command, cwd=repository, capture_output=True, text=True)
        return done.returncode, done.stdout, done.stderr

    query = LABS.format(table="lactate")
    rows, manifest = tmp_path / "rows.parquet", tmp_path / "rows.parquet.manifest.json"
    code, out, err = run("--sql", query, "--features", "lactate:*", "--out", str(rows))
    assert code == 0, err
    built = json.loads(out)
    assert pq.read_metadata(rows).num_rows == built["report"]["rows"] > 100
    code, out, err = run("--manifest", str(manifest), "--check")
    assert code == 0, err
    checked = json.loads(out)
    assert checked["content_hash"] == built["content_hash"] and checked["differences"] == []
    record = json.loads(manifest.read_text())
    del record["request"]["spine"]
    manifest.write_text(json.dumps(record))
    code, _, err = run("--manifest", str(manifest), "--check")
    assert code != 0 and "was label rows" in err
    code, _, err = run("--features", "lactate:*", "--out", str(rows))
    assert code != 0 and "--force" in err, "nothing is written over"
    code, _, err = run("--features", "lactate:*", "--out", str(rows), "--force")
    assert code != 0 and "--sql QUERY" in err
    code, _, err = run("--sql", query, "--spine", "x", "--features", "lactate:*", "--out", "x")
    assert code != 0 and "cannot be used with" in err


MEASURE = """
import resource, sys
import hitherto, pyarrow as pa, pyarrow.parquet as pq

root, kind, path, out, rows = sys.argv[1:]
rows, schema = int(rows), pa.schema(
    {"id": pa.int64(), "e": pa.timestamp("us"), "label": pa.binary(400)}
)

def batches():
    for begin in range(0, rows, 8192):
        count = min(8192, rows - begin)
        ids = pa.array([(begin + place) % 1000 for place in range(count)], pa.int64())
        label = pa.array([b"x" * 400] * count, pa.binary(400))
        yield pa.record_batch([ids, pa.array([5] * count, pa.timestamp("us")), label], schema)

if kind == "write":
    with pq.ParquetWriter(path, schema) as writer:
        for batch in batches():
            writer.write_batch(batch)
    sys.exit()
spine = {
    "reader": lambda: pa.RecordBatchReader.from_batches(schema, batches()),
    "file": lambda: path,
    "sql": lambda: f"SELECT * FROM '{path}'",
}[kind]()
with hitherto.connect(root) as store:
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    found = store.training_set(spine, ["facts:*"], timestamp="e")
    assert found.write_parquet(out) == rows
    assert found.report()["views"][0]["present"] == rows
    print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) // 1024)
"""


def limited(small: Repository) -> None:
    """A repository whose training sets may take 64 MiB."""
    facts = pa.table(
        {
            "id": pa.array(range(1000), pa.int64()),
            "e": pa.array([0] * 1000, pa.timestamp("us")),
            "value": pa.array(range(1000), pa.int64()),
        }
    )
    small.write(facts, keys={"id": "int64"}, features={"value": "int64"})
    # One caller may have half of all.
    settings = "memory: 64MiB\nserver: { trainingSetsInFlightMax: 8 }\n"
    (small.root / "hitherto.yaml").write_text(settings)
    with hitherto.connect(small.root) as store:
        store.apply()


ROWS = 1_500_000


def measured(target: str, kind: str, folder: Path) -> int:
    """The most memory that a process took for it, in MiB, beyond that of its start."""
    arguments = [target, kind, str(folder / "labels.parquet"), str(folder / "out.parquet")]
    done = subprocess.run(
        [sys.executable, "-c", MEASURE, *arguments, str(ROWS)],
        capture_output=True,
        text=True,
        env={**os.environ, "MALLOC_ARENA_MAX": "2"},
    )
    assert done.returncode == 0, done.stderr
    return int(done.stdout or 0)


@pytest.mark.parametrize("kind", ["reader", "file", "sql"])
def test_memory_does_not_grow_with_the_rows(small: Repository, tmp_path: Path, kind: str) -> None:
    """What it takes follows the limit and the row groups that are written, 64 and 55 MiB, of
    each a few times over; the 595 MiB of labels are beyond what is allowed here."""
    limited(small)
    if kind != "reader":
        measured(str(small.root), "write", tmp_path)
    mebibytes = measured(str(small.root), kind, tmp_path)
    assert mebibytes < 400, f"{mebibytes} MiB for {ROWS * 416 >> 20} MiB of labels"


def test_nor_does_it_at_either_end_of_a_connection(small: Repository, tmp_path: Path) -> None:
    limited(small)
    command = [binary(), "serve", "--repo", str(small.root), "--listen", "127.0.0.1:0"]
    command += ["--output", "json"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
        try:
            assert server.stdout is not None
            url = json.loads(server.stdout.readline())["url"]
            ours = measured(url, "reader", tmp_path)
            status = Path(f"/proc/{server.pid}/status").read_text()
        finally:
            server.terminate()
    [peak] = [line.split()[1] for line in status.splitlines() if line.startswith("VmHWM")]
    theirs = int(peak) // 1024
    assert max(ours, theirs) < 400, f"{ours} and {theirs} MiB for {ROWS * 416 >> 20} MiB of labels"


def test_a_spine_that_waits_delays_no_other_call(small: Repository) -> None:
    """Some answers are left unread, and the last of the spines too: its training set takes
    more passes than one. More is then on its way than a connection takes ahead of a call."""
    limited(small)
    schema = pa.schema({"id": pa.int64(), "e": pa.timestamp("us"), "label": pa.binary(400)})
    ids, labels = range(1000), pa.array([b"x" * 400] * 1000, pa.binary(400))
    times = pa.array([5] * 1000, pa.timestamp("us"))
    batch = pa.record_batch([pa.array(ids, pa.int64()), times, labels], schema)
    with hitherto.connect(small.root) as store:
        store.materialize()
    with serving(small.root) as url, hitherto.connect(url) as store:
        begun = []
        for batches in (20, 20, 20, 500):
            spine = pa.RecordBatchReader.from_batches(schema, repeat(batch, batches))
            rows = store.training_set(spine, ["facts:*"], timestamp="e").to_reader()
            begun.append((rows, [rows.read_next_batch().num_rows]))
            assert len(store.lookup({"id": list(ids)}, ["facts:*"])) == 1000
        while any(counts[-1] for _, counts in begun):
            for rows, counts in begun:
                counts.append(next((found.num_rows for found in rows), 0))
            assert len(store.lookup({"id": list(ids)}, ["facts:*"])) == 1000
    assert [sum(counts) for _, counts in begun] == [20_000, 20_000, 20_000, 500_000]


HALF_READ = """
import itertools, sys
import hitherto, pyarrow as pa

schema = pa.schema({"id": pa.int64(), "e": pa.timestamp("us"), "label": pa.binary(400)})
columns = [[1] * 1000, [5] * 1000, [b"x" * 400] * 1000]

def batches():
    while True:
        yield pa.record_batch([pa.array(*each) for each in zip(columns, schema.types)], schema)

store = hitherto.connect(sys.argv[1])
spine = pa.RecordBatchReader.from_batches(schema, batches())
print(store.training_set(spine, ["facts:*"], timestamp="e").to_reader().read_next_batch().num_rows)
"""


def test_a_process_can_end_while_its_spine_is_half_sent(small: Repository) -> None:
    limited(small)
    with serving(small.root) as url:
        for _ in range(3):
            script = [sys.executable, "-c", HALF_READ, url]
            done = subprocess.run(script, capture_output=True, text=True, timeout=60)
            assert (done.returncode, done.stderr) == (0, ""), done.stderr
            assert int(done.stdout) > 0
