"""Damaged sources: a byte is flipped, and nobody is told a wrong value.

Parquet writers differ in whether they give pages a checksum. Where there is one
a flipped byte in a page's data is always found; without one nothing in the file
tells that a number is another number, and only a file that no longer decodes can
be refused.
"""

from __future__ import annotations

import random
from collections import Counter
from pathlib import Path

import hitherto
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

YAML = """
apiVersion: hitherto/v1
kind: Entity
metadata: { name: stay }
spec: { keys: [{ name: stay, type: int64 }] }
---
apiVersion: hitherto/v1
kind: FeatureView
metadata: { name: labs }
spec:
  entity: stay
  source: { parquet: labs.parquet, eventTime: drawn, knownTime: released }
  features: [{ name: value, type: float64 }, { name: unit, type: string }]
"""

STAYS = 500
FLIPS = 60


@pytest.fixture(params=["none", "snappy", "zstd"])
def repository(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    chance = random.Random(7)
    rows = pa.table(
        {
            "stay": pa.array(range(STAYS), pa.int64()),
            "drawn": pa.array([chance.randrange(10**6) for _ in range(STAYS)], pa.timestamp("us")),
            "released": pa.array([10**6] * STAYS, pa.timestamp("us")),
            "value": pa.array([chance.random() for _ in range(STAYS)]),
            "unit": pa.array([f"u{chance.randrange(10**9)}" for _ in range(STAYS)]),
        }
    )
    pq.write_table(
        rows,
        tmp_path / "labs.parquet",
        compression=request.param,
        write_page_checksum=True,
        use_dictionary=False,
    )
    (tmp_path / "labs.yaml").write_text(YAML)
    with hitherto.connect(tmp_path) as store:
        store.apply()
    return tmp_path


def spine() -> pa.Table:
    stays = pa.array(range(STAYS), pa.int64())
    return pa.table({"stay": stays, "at": pa.array([2 * 10**6] * STAYS, pa.timestamp("us"))})


def test_a_flipped_byte_in_a_page_with_a_checksum_is_found(repository: Path) -> None:
    path = repository / "labs.parquet"
    whole = path.read_bytes()
    with hitherto.connect(repository, read_only=True) as store:
        right = store.training_set(spine(), ["labs:*"], timestamp="at").to_arrow()
        assert right["value"].null_count == 0
        chance = random.Random(11)
        outcomes: Counter[str] = Counter()
        for place in chance.sample(range(4, pages_end(path)), FLIPS):
            damaged = bytearray(whole)
            damaged[place] ^= 1 << chance.randrange(8)
            path.write_bytes(damaged)
            try:
                found = store.training_set(spine(), ["labs:*"], timestamp="at").to_arrow()
            except hitherto.CorruptError as error:
                assert "labs.parquet" in str(error)
                outcomes["corrupt"] += 1
            else:
                # What the checksum does not cover: a page's header.
                assert found == right, f"byte {place}"
                outcomes["right"] += 1
        path.write_bytes(whole)
        assert outcomes["corrupt"] > 0.9 * FLIPS, outcomes


def pages_end(path: Path) -> int:
    """Where the last page ends, and with it all data."""
    metadata = pq.ParquetFile(path).metadata
    group = metadata.row_group(metadata.num_row_groups - 1)
    last = group.column(group.num_columns - 1)
    return int(last.data_page_offset + last.total_compressed_size)


def test_materializing_a_damaged_file_leaves_the_old_copy(repository: Path) -> None:
    path = repository / "labs.parquet"
    with hitherto.connect(repository) as store:
        store.materialize()
        before = store.lookup({"stay": [1]}, ["labs:*"]).to_dict()
        damaged = bytearray(path.read_bytes())
        damaged[pages_end(path) - 10] ^= 1
        path.write_bytes(damaged)
        with pytest.raises(hitherto.CorruptError, match=r"labs\.parquet is damaged"):
            store.materialize()
        assert store.lookup({"stay": [1]}, ["labs:*"]).to_dict() == before
