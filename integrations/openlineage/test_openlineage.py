"""Events go through OpenLineage's own client to a collector, and are read back as its classes."""

from __future__ import annotations

import json
import shutil
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import attr
import hitherto
import pages
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import risk
from conftest import Trained, free_port, serving
from hitherto.lineage import Lineage
from openlineage.client import event_v2, facet_v2
from pages import Shell

HERE = Path(__file__).resolve().parent


class Collector:
    """An HTTP server that keeps what it is sent."""

    def __init__(self) -> None:
        events: list[dict[str, Any]] = []

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                assert self.path == "/api/v1/lineage"
                events.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
                self.send_response(201)
                self.end_headers()

            def log_message(self, *_: Any) -> None:
                pass

        self.events = events
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()


@pytest.fixture
def collector() -> Iterator[Collector]:
    found = Collector()
    yield found
    found.server.shutdown()


@pytest.fixture
def root(trained: Trained, tmp_path: Path) -> Path:
    """A repository with a file to materialize, and label rows beside it."""
    found = Path(shutil.copytree(trained.root, tmp_path / "features"))
    labs = found / "labs.parquet"
    pq.write_table(pq.read_table(labs).slice(0, 12_000), labs)
    moments = [risk.NOW_MICROS - place * 37_000_001 for place in range(2_000)]
    spine = {"patient_id": risk.patient_ids()[:2_000],
             "event_timestamp": pa.array(moments).cast(pa.timestamp("us", "UTC"))}  # fmt: skip
    pq.write_table(pa.table(spine), tmp_path / "spine.parquet")
    return found


STATISTICS = facet_v2.output_statistics_output_dataset.OutputStatisticsOutputDatasetFacet
FACETS = {
    "schema": facet_v2.schema_dataset.SchemaDatasetFacet,
    "version": facet_v2.dataset_version_dataset.DatasetVersionDatasetFacet,
    "columnLineage": facet_v2.column_lineage_dataset.ColumnLineageDatasetFacet,
    "dataQualityMetrics": facet_v2.data_quality_metrics_dataset.DataQualityMetricsDatasetFacet,
    "outputStatistics": STATISTICS,
    "processing_engine": facet_v2.processing_engine_run.ProcessingEngineRunFacet,
    "parent": facet_v2.parent_run.ParentRunFacet,
    "tags": facet_v2.tags_run.TagsRunFacet,
    "sourceCodeLocation": facet_v2.source_code_location_job.SourceCodeLocationJobFacet,
    "errorMessage": facet_v2.error_message_run.ErrorMessageRunFacet,
}


def judged(event: dict[str, Any]) -> None:
    """An event as OpenLineage's classes take it: every field of every facet is one of theirs,
    and its schema's address is that of the class."""
    kind = event_v2.RunEvent if "run" in event else event_v2.JobEvent
    names = {field.name for field in attr.fields(kind)}
    assert set(event) <= names, set(event) - names
    assert event["producer"] == hitherto.lineage.PRODUCER
    kind(**{name: event[name] for name in ("eventTime", "producer", "job")} | (
        {"run": event_v2.Run(runId=event["run"]["runId"]),
         "eventType": event_v2.RunState(event["eventType"])} if "run" in event else {}
    ))  # fmt: skip
    datasets = [*event.get("inputs", []), *event.get("outputs", [])]
    places = [event["job"], event.get("run", {}), *datasets]
    for place in places:
        found = {**place.get("facets", {}), **place.get("outputFacets", {})}
        for name, facet in found.items():
            known = FACETS[name]
            fields = {field.name for field in attr.fields(known)}
            own = {field for field in facet if not field.startswith("_")}
            assert own <= fields, f"{name}: {own - fields}"
            assert facet["_schemaURL"] == known._get_schema()


def test_what_a_store_does_is_told(
    root: Path, collector: Collector, row: Callable[..., None]
) -> None:
    (shown,) = pages.blocks("OpenLineage", "python")
    assert shown == (HERE / "features_lineage.py").read_text()
    parent = "airflow/features.materialize/0190e1a8-9a0c-7d7a-8f5e-1d6c1a6c9f11"
    with serving(root) as url:
        shell = Shell(root.parent, HITHERTO_URL=url, OPENLINEAGE_URL=collector.url,
                      OPENLINEAGE_PARENT_ID=parent)  # fmt: skip
        shell.ok(f"python - <<'E'\n{shown}E")
    events = collector.events
    for event in events:
        judged(event)
    told = [(event["job"]["name"], event.get("eventType", "static")) for event in events]
    assert told == [
        ("materialize.labs", "static"), ("materialize.vitals", "static"),
        ("materialize.labs", "START"), ("materialize.labs", "COMPLETE"),
        ("training_set.training", "START"), ("training_set.training", "COMPLETE"),
    ]  # fmt: skip
    start, done, _, trained = events[2:]
    assert start["run"]["runId"] == done["run"]["runId"] != trained["run"]["runId"]
    assert done["run"]["facets"]["parent"]["job"]["name"] == "features.materialize"

    (source,), (online,) = done["inputs"], done["outputs"]
    assert (source["namespace"], source["name"]) == ("file", "/srv/features/labs.parquet")
    assert (online["namespace"], online["name"]) == ("features", "labs")
    assert online["outputFacets"]["outputStatistics"]["rowCount"] == 12_000
    assert online["facets"]["version"]["datasetVersion"].startswith("2.")
    lineage = online["facets"]["columnLineage"]["fields"]
    assert lineage["lactate"]["inputFields"][0]["name"] == source["name"]

    assert {each["name"] for each in trained["inputs"]} == {
        "/srv/features/labs.parquet", "/srv/features/vitals.parquet"
    }  # fmt: skip
    (written,) = trained["outputs"]
    rows = pq.read_table(root.parent / "training.parquet")
    quality = written["facets"]["dataQualityMetrics"]
    assert quality["rowCount"] == rows.num_rows == 2_000
    nulls = {name: each["nullCount"] for name, each in quality["columnMetrics"].items()}
    assert nulls == {name: rows[name].null_count for name in nulls} and nulls["lactate"] > 0
    assert [each["name"] for each in written["facets"]["schema"]["fields"]] == rows.column_names
    assert not any("p00" in json.dumps(event) for event in events), "a join key was told"
    row("OpenLineage events of materializations and training sets", "openlineage-python")


def test_a_failure_is_told_and_a_collector_that_is_away_stops_nothing(
    root: Path, collector: Collector, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENLINEAGE_URL", collector.url)
    with hitherto.connect(root, now=risk.NOW) as store:
        with pytest.raises(hitherto.NotFoundError):
            Lineage(store, "features").materialize(["lab"])
        start, failed = collector.events
        judged(failed)
        assert (start["eventType"], failed["eventType"]) == ("START", "FAIL")
        assert "lab" in failed["run"]["facets"]["errorMessage"]["message"]

        monkeypatch.setenv("OPENLINEAGE_URL", f"http://127.0.0.1:{free_port()}")
        with pytest.warns(UserWarning, match="the event of materialize.vitals was not sent: "):
            (done,) = Lineage(store, "features").materialize(["vitals"])
        assert done["view"] == "vitals"

        monkeypatch.setenv("OPENLINEAGE_PARENT_ID", "features/1")
        with pytest.raises(hitherto.InvalidError, match="write namespace/name/run"):
            Lineage(store, "features")
    with (
        serving(root) as url,
        hitherto.connect(url) as store,
        pytest.raises(hitherto.InvalidError, match="give root"),
    ):
        Lineage(store, "features")
