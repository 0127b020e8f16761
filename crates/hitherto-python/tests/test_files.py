"""Files of every make and number."""

from __future__ import annotations

import os
import subprocess
import sys
from datetime import datetime, timezone
from pathlib import Path

import files
import pyarrow as pa
import pyarrow.parquet as pq

#: With so many open files at most, as many files and more are read.
OPEN_MAX, FILES = 160, 400

YAML = """
apiVersion: hitherto/v1
kind: Entity
metadata: { name: thing }
spec: { keys: [{ name: id, type: int64 }] }
"""
VIEW = """
---
apiVersion: hitherto/v1
kind: FeatureView
metadata: { name: %s }
spec:
  entity: thing
  source: { parquet: data, eventTime: ts %s }
  features: [{ name: x, type: int64 }]
"""


def test_no_statistic_changes_a_value() -> None:
    """See benches/judges/files.py, which goes on for as long as one likes."""
    count = int(os.environ.get("HITHERTO_FILES", "8"))
    tally = files.run(count, seed=7)
    assert not tally.differences
    assert tally.files == count and tally.values > 40 * count


def test_more_files_are_read_than_may_be_open(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    moment = pa.array([datetime(2024, 1, 1, tzinfo=timezone.utc)])
    for number in range(FILES):
        table = pa.table({"id": [number], "ts": moment, "x": [number * 2]})
        pq.write_table(table, tmp_path / "data" / f"{number:04}.parquet")
    views = VIEW % ("plain", "") + VIEW % ("queried", ", sql: SELECT * FROM source")
    (tmp_path / "definitions.yaml").write_text(YAML + views)
    code = f"""
import resource
resource.setrlimit(resource.RLIMIT_NOFILE, ({OPEN_MAX}, {OPEN_MAX}))
import hitherto, pyarrow
from datetime import datetime, timezone
store = hitherto.connect({str(tmp_path)!r})
store.apply()
assert [run["facts"] for run in store.materialize(progress=False)] == [{FILES}, {FILES}]
at = pyarrow.array([datetime(2025, 1, 1, tzinfo=timezone.utc)] * {FILES})
spine = pyarrow.table({{"id": list(range({FILES})), "event_timestamp": at}})
for view in ("plain", "queried"):
    rows = store.training_set(spine, [view + ":x"]).to_arrow()["x"].to_pylist()
    assert rows == [number * 2 for number in range({FILES})], view
    assert store.lookup({{"id": [399]}}, [view + ":x"]).to_arrow()[view + ":x"][0].as_py() == 798
assert store.verify()["differences"] == 0
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
