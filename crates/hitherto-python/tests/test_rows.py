"""Matrices, readers and Parquet files of a training set."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import hitherto
import numpy as np
import pyarrow as pa
import pyarrow.dataset as ds
import pyarrow.parquet as pq
import pytest
from conftest import SERVICE
from hitherto import _arrow, _parquet

NUMBERS = [
    "lactate:*",
    "creatinine:*",
    "mean_arterial_pressure:*",
    "stay_attributes:age_at_admission",
]


def test_features_are_the_last_columns(store: hitherto.Store, spine: pa.Table) -> None:
    for full in (False, True):
        rows = store.training_set(spine, service=SERVICE, full_names=full)
        assert rows.feature_names == rows.column_names[spine.num_columns :]
        assert len(rows.feature_names) == 37


def test_features_of_other_definitions_are_not_guessed(
    embedded: hitherto.Store, spine: pa.Table
) -> None:
    made = embedded.training_set(spine, ["lactate:*"])
    later = embedded.training_set(spine, ["creatinine:*"])
    made._select = later._select
    with pytest.raises(hitherto.ConflictError, match="definitions were applied since"):
        _ = made.feature_names


def test_a_matrix_has_nan_where_there_is_null(store: hitherto.Store, spine: pa.Table) -> None:
    rows = store.training_set(spine, NUMBERS)
    matrix = rows.to_numpy()
    table = rows.to_arrow()
    assert matrix.shape == (spine.num_rows, 5) and matrix.dtype == np.float64
    for place, name in enumerate(rows.feature_names):
        column = table[name]
        assert np.isnan(matrix[:, place]).sum() == column.null_count
        expected = [np.nan if value is None else float(value) for value in column.to_pylist()]
        assert np.array_equal(matrix[:, place], expected, equal_nan=True), name
    assert rows.to_numpy(dtype="float32").dtype == np.float32
    labels = rows.to_numpy([table.column_names[3]])
    assert labels.shape == (spine.num_rows, 1)


def test_what_no_matrix_holds_is_named(embedded: hitherto.Store, spine: pa.Table) -> None:
    rows = embedded.training_set(spine, ["patient_attributes:*", "lactate:*"])
    with pytest.raises(hitherto.InvalidError, match=r"not sex_category \(string\), race_category"):
        rows.to_numpy()
    with pytest.raises(hitherto.InvalidError, match="no column 'lactate'"):
        rows.to_numpy(["lactate"])
    with pytest.raises(hitherto.InvalidError, match="list of columns"):
        rows.to_numpy("lactate_mmol_l")
    with pytest.raises(hitherto.InvalidError, match="float32 or float64"):
        rows.to_numpy(["lactate_mmol_l"], dtype="int64")  # type: ignore[arg-type]
    assert rows.to_numpy(["lactate_mmol_l"]).shape == (spine.num_rows, 1)


def test_every_number_has_its_value_in_a_matrix() -> None:
    table = pa.table(
        {
            "flag": pa.array([True, None, False]),
            "tiny": pa.array([-128, None, 127], pa.int8()),
            "large": pa.array([2**53 + 1, None, -1], pa.int64()),
            "ularge": pa.array([2**64 - 1, None, 0], pa.uint64()),
            "single": pa.array([0.5, None, float("inf")], pa.float32()),
            "money": pa.array([1, None, -3], pa.decimal128(10, 2)),
        }
    )
    matrix = _arrow.to_matrix(table, table.column_names, "float64")
    assert np.isnan(matrix[1]).all()
    assert matrix[0].tolist() == [1.0, -128.0, 2.0**53, 2.0**64, 0.5, 1.0]
    assert matrix[2].tolist() == [0.0, 127.0, -1.0, 0.0, float("inf"), -3.0]


def test_a_torch_tensor_is_over_the_same_numbers(embedded: hitherto.Store, spine: pa.Table) -> None:
    torch = pytest.importorskip("torch")
    rows = embedded.training_set(spine, NUMBERS)
    tensor = rows.to_torch()
    assert tensor.dtype == torch.float32 and tuple(tensor.shape) == (spine.num_rows, 5)
    expected = rows.to_numpy(dtype="float32")
    assert np.array_equal(tensor.numpy(), expected, equal_nan=True)


def test_without_torch_it_says_what_to_install(
    embedded: hitherto.Store, spine: pa.Table, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "torch", None)
    with pytest.raises(ImportError, match="pip install torch"):
        embedded.training_set(spine, NUMBERS).to_torch()


def test_a_reader_hands_rows_on(store: hitherto.Store, spine: pa.Table, joined: pa.Table) -> None:
    rows = store.training_set(spine, service=SERVICE, full_names=True)
    with rows.to_reader() as reader:
        assert reader.schema == rows.schema
        assert reader.read_all().equals(joined)
    with pytest.raises(hitherto.InvalidError, match="read already"):
        rows.to_arrow()


def test_a_file_has_the_rows_and_nothing_was_kept(
    store: hitherto.Store, spine: pa.Table, joined: pa.Table, tmp_path: Path
) -> None:
    rows = store.training_set(spine, service=SERVICE, full_names=True)
    assert rows.write_parquet(tmp_path / "deep" / "rows.parquet") == spine.num_rows
    assert pq.read_table(tmp_path / "deep" / "rows.parquet").equals(joined)
    assert [path.name for path in (tmp_path / "deep").iterdir()] == ["rows.parquet"]
    # The report and the manifest of the pass are there.
    assert rows.report()["rows"] == rows.manifest["content"]["rows"] == spine.num_rows
    with pytest.raises(hitherto.InvalidError, match="read already"):
        rows.to_arrow()
    # Of kept rows there may be many files.
    kept = store.training_set(spine, ["lactate:*"])
    kept.to_arrow()
    for _ in range(2):
        assert kept.write_parquet(tmp_path / "kept.parquet") == spine.num_rows


def test_a_folder_of_files_keeps_the_order(
    embedded: hitherto.Store, spine: pa.Table, tmp_path: Path
) -> None:
    rows = embedded.training_set(spine, ["lactate:*"])
    expected = rows.to_arrow()
    folder = tmp_path / "rows"
    folder.mkdir()
    assert rows.write_parquet(folder, max_rows_per_file=1000) == spine.num_rows
    files = sorted(folder.iterdir(), key=lambda path: int(path.stem.removeprefix("part-")))
    sizes = [pq.read_metadata(path).num_rows for path in files]
    assert sizes == [1000] * 8 + [spine.num_rows - 8000]
    assert pa.concat_tables([pq.read_table(path) for path in files]).equals(expected)
    with pytest.raises(hitherto.InvalidError, match="is not empty"):
        rows.write_parquet(folder, max_rows_per_file=1000)


def test_partitions_are_folders(embedded: hitherto.Store, spine: pa.Table, tmp_path: Path) -> None:
    rows = embedded.training_set(spine, ["stay_attributes:admission_type_category"])
    expected = rows.to_arrow()
    rows.write_parquet(tmp_path / "rows", partition_by=["admission_type_category"])
    names = {path.name for path in (tmp_path / "rows").iterdir()}
    assert "admission_type_category=ed" in names
    written = ds.dataset(tmp_path / "rows", partitioning="hive").to_table()

    def sorted_rows(table: pa.Table) -> list[str]:
        return sorted(str(row) for row in table.select(expected.column_names).to_pylist())

    assert sorted_rows(written) == sorted_rows(expected)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"partition_by": ["nothing"]}, "no column 'nothing' to partition by"),
        ({"partition_by": "label"}, "list of columns"),
        ({"max_rows_per_file": 0}, "at least one row"),
    ],
)
def test_what_cannot_be_written_is_refused_before_it_runs(
    embedded: hitherto.Store,
    spine: pa.Table,
    tmp_path: Path,
    options: dict[str, object],
    message: str,
) -> None:
    rows = embedded.training_set(spine, ["lactate:*"])
    with pytest.raises(hitherto.InvalidError, match=message):
        rows.write_parquet(tmp_path / "rows", **options)  # type: ignore[arg-type]
    assert list(tmp_path.iterdir()) == []
    assert rows.to_arrow().num_rows == spine.num_rows


def broken(schema: pa.Schema) -> pa.RecordBatchReader:
    def batches() -> Iterator[pa.RecordBatch]:
        yield pa.record_batch({"x": pa.array(range(10))}, schema=schema)
        raise pa.ArrowInvalid("the source is gone")

    return pa.RecordBatchReader.from_batches(schema, batches())


@pytest.mark.parametrize("options", [((), None), ((), 5), (("x",), None)])
def test_half_a_file_is_no_file(
    tmp_path: Path, options: tuple[tuple[str, ...], int | None]
) -> None:
    schema = pa.schema({"x": pa.int64()})
    (tmp_path / "rows").mkdir()
    with pytest.raises(pa.ArrowInvalid, match="the source is gone"):
        _parquet.write(broken(schema), tmp_path / "rows" / "out", *options)
    with pytest.raises(pa.ArrowInvalid, match="the source is gone"):
        _parquet.write_each(
            schema,
            ([batch, batch] for batch in broken(schema)),
            [tmp_path / "rows" / "a", tmp_path / "rows" / "b"],
        )
    assert list((tmp_path / "rows").iterdir()) == []


def test_no_rows_are_a_file_too(embedded: hitherto.Store, spine: pa.Table, tmp_path: Path) -> None:
    none = spine.slice(0, 0)
    rows = embedded.training_set(none, ["lactate:*"])
    assert rows.write_parquet(tmp_path / "none.parquet") == 0
    assert pq.read_table(tmp_path / "none.parquet").schema.names == rows.column_names
    rows = embedded.training_set(none, ["lactate:*"])
    assert rows.write_parquet(tmp_path / "folder", max_rows_per_file=10) == 0
    [file] = (tmp_path / "folder").iterdir()
    assert pq.read_table(file).schema.equals(rows.schema)


STREAMED = """
import resource, sys, pyarrow as pa
from hitherto import _parquet
batch = pa.record_batch({name: pa.array(range(8192), pa.int64()) for name in "abcdefgh"})
batches = (batch for _ in range(int(sys.argv[2])))
reader = pa.RecordBatchReader.from_batches(batch.schema, batches)
rows = _parquet.write(reader, sys.argv[1], (), None)
print(rows, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024)
"""


def test_memory_does_not_grow_with_the_rows(tmp_path: Path) -> None:
    """Half a gigabyte passes through; what grows is less than a tenth of it."""

    def peak(batches: int) -> int:
        command = [sys.executable, "-c", STREAMED, str(tmp_path / "rows.parquet"), str(batches)]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        rows, bytes_max = map(int, done.stdout.split())
        assert rows == 8192 * batches
        return bytes_max

    batch_bytes = 8192 * 8 * 8
    # Past the first row groups, so that every buffer has its size.
    few, many = peak(64), peak(1064)
    assert many - few < 1000 * batch_bytes / 10, (few, many)
