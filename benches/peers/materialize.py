"""Materializes Parquet files with Feast into SQLite; prints what that took, as JSON.

    python materialize.py feast_sqlite --facts FOLDER --features F

Run by ``hitherto-benches materialize --peers``. A repository with one feature view
over the folder is applied, and ``materialize`` is asked for its whole time: that call
alone is timed. Afterwards as many entities are counted in the online store as the
files have. The Python is that of the environment `feast`.
"""

from __future__ import annotations

import argparse
import json
import sqlite3
import tempfile
import time
from datetime import datetime, timedelta, timezone
from importlib.metadata import version
from pathlib import Path

KEY = "entity_id"
EVENT_TIME = "event_timestamp"

CONFIG = """\
project: peer
registry: registry.db
provider: local
online_store: {type: sqlite, path: online.db}
offline_store: {type: file}
entity_key_serialization_version: 3
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("peer", choices=["feast_sqlite"])
    parser.add_argument("--facts", required=True, type=Path)
    parser.add_argument("--features", required=True, type=int)
    args = parser.parse_args()
    print(json.dumps(measure(args)))


def measure(args: argparse.Namespace) -> dict[str, object]:
    from feast import Entity, FeatureStore, FeatureView, Field, FileSource, ValueType
    from feast.types import Float64
    from pyarrow import compute, dataset

    facts = dataset.dataset(args.facts, format="parquet").to_table([KEY, EVENT_TIME])
    span = compute.min_max(facts[EVENT_TIME]).as_py()
    entities = len(compute.unique(facts[KEY]))
    with tempfile.TemporaryDirectory(prefix="feast-materialize-") as name:
        folder = Path(name)
        (folder / "feature_store.yaml").write_text(CONFIG)
        store = FeatureStore(repo_path=folder)
        entity = Entity(name="entity", join_keys=[KEY], value_type=ValueType.INT64)
        view = FeatureView(
            name="facts",
            entities=[entity],
            ttl=timedelta(days=100_000),
            schema=[Field(name=f"f{index}", dtype=Float64) for index in range(args.features)],
            source=FileSource(path=str(args.facts.resolve()), timestamp_field=EVENT_TIME),
        )
        store.apply([entity, view])
        start = _utc(span["min"]) - timedelta(days=1)
        end = _utc(span["max"]) + timedelta(days=1)
        begun = time.perf_counter()
        store.materialize(start, end)
        seconds = time.perf_counter() - begun
        with sqlite3.connect(folder / "online.db") as online:
            table = "SELECT name FROM sqlite_master WHERE type = 'table' AND name LIKE '%facts'"
            (name,) = online.execute(table).fetchone()
            query = f'SELECT COUNT(DISTINCT entity_key) FROM "{name}"'
            (written,) = online.execute(query).fetchone()
        if written != entities:
            raise RuntimeError(f"Feast wrote {written} entities of {entities}")
    return {
        "version": version("feast"),
        "rows": len(facts),
        "entities": entities,
        "seconds": seconds,
        "rows_per_second": len(facts) / seconds,
    }


def _utc(moment: datetime) -> datetime:
    return moment if moment.tzinfo else moment.replace(tzinfo=timezone.utc)


if __name__ == "__main__":
    main()
