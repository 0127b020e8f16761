"""Training sets as datasets of Hugging Face and of Ray, without a network."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import hitherto
import numpy as np
import pyarrow as pa
import pytest

FEATURES = ["creatinine:*", "lactate:*"]


@pytest.fixture
def rows(embedded: hitherto.Store, spine: pa.Table) -> hitherto.TrainingSet:
    return embedded.training_set(spine, FEATURES)


def test_hugging_face_reads_the_same_memory(
    rows: hitherto.TrainingSet, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    datasets = pytest.importorskip("datasets")
    table = rows.to_arrow()
    dataset = datasets.Dataset(datasets.table.InMemoryTable(table))
    assert dataset.data.table.equals(table)

    def address(of: pa.Table) -> int:
        buffer = of.column("creatinine_mg_dl").chunk(0).buffers()[1]
        return buffer.address  # type: ignore[no-any-return]

    assert address(dataset.data) == address(table)
    matrix = dataset.with_format("numpy", columns=["creatinine_mg_dl"])[:]["creatinine_mg_dl"]
    expected = rows.to_numpy(["creatinine_mg_dl"], "float32")[:, 0]
    assert np.array_equal(matrix, expected, equal_nan=True)
    # Larger than memory: from files, of which it maps its own copy.
    rows.write_parquet(tmp_path / "rows.parquet")
    read = datasets.Dataset.from_parquet(
        str(tmp_path / "rows.parquet"), cache_dir=str(tmp_path / "cache")
    )
    assert read.data.table.combine_chunks().equals(table.combine_chunks())


@pytest.fixture
def ray() -> Iterator[Any]:
    ray = pytest.importorskip("ray")
    ray.init(address="local", num_cpus=1, include_dashboard=False, log_to_driver=False)
    yield ray
    ray.shutdown()


def test_ray_reads_rows_and_its_workers_look_up(
    ray: Any, rows: hitherto.TrainingSet, embedded: hitherto.Store
) -> None:
    table = rows.to_arrow()
    dataset = ray.data.from_arrow(table.slice(0, 50))

    def served(batch: pa.Table) -> pa.Table:
        answers = [
            embedded.lookup(
                {"hospitalization_id": [row["hospitalization_id"]]},
                ["creatinine:*"],
                as_of=row["event_timestamp"],
            ).to_dict()["creatinine:creatinine_mg_dl"][0]
            for row in batch.to_pylist()
        ]
        return batch.append_column("served", pa.array(answers, pa.float64()))

    found = pa.table(dataset.map_batches(served, batch_format="pyarrow").to_pandas())
    assert found.num_rows == 50 and found["served"].null_count < 50
    assert found["served"].to_pylist() == found["creatinine_mg_dl"].to_pylist()
