"""MLflow keeps the record of a training set, in SQLite."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import hitherto
import pyarrow as pa
import pytest
from conftest import SERVICE

mlflow = pytest.importorskip("mlflow")


@pytest.fixture
def tracking(tmp_path: Path) -> Iterator[Any]:
    mlflow.set_tracking_uri(f"sqlite:///{tmp_path / 'mlflow.db'}")
    mlflow.create_experiment("icu", artifact_location=str(tmp_path / "artifacts"))
    mlflow.set_experiment("icu")
    yield mlflow.MlflowClient()
    mlflow.set_tracking_uri(None)


def logged(client: Any, training_set: hitherto.TrainingSet, name: str | None = None) -> Any:
    with mlflow.start_run() as run:
        mlflow.log_input(hitherto.mlflow.dataset(training_set, name), context="training")
    [found] = client.get_run(run.info.run_id).inputs.dataset_inputs
    assert found.tags[0].value == "training"
    return found.dataset


def test_a_run_shows_name_schema_manifest_and_content_hash(
    tracking: Any, store: hitherto.Store, spine: pa.Table
) -> None:
    rows = store.training_set(spine, service=SERVICE)
    rows.to_arrow()
    found = logged(tracking, rows)
    assert found.name == SERVICE
    assert found.digest == rows.content_hash
    columns = json.loads(found.schema)["mlflow_colspec"]
    assert [column["name"] for column in columns] == rows.column_names
    types = {column["name"]: column["type"] for column in columns}
    assert types["hospitalization_id"] == "string"
    assert types["event_timestamp"] == "datetime"
    assert types["lactate_mmol_l"] == "double" and types["age_at_admission"] == "long"
    assert types["tracheostomy"] == "boolean"
    source = json.loads(found.source)
    manifest = rows.manifest
    assert found.source_type == "hitherto_manifest"
    assert {**source, "schema": manifest["schema"]} == manifest
    profile = json.loads(found.profile)
    assert profile["num_rows"] == spine.num_rows
    assert profile["num_leaky_rows_avoided"] == rows.leakage().leaky_rows > 0
    assert profile["num_nulls"]["lactate:lactate_mmol_l"] == 7284
    # It can be read back as what it is.
    again = mlflow.data.get_source(found)
    assert again.manifest == source
    with pytest.raises(hitherto.InvalidError, match="--manifest FILE --check"):
        again.load()


def test_a_name_may_be_given_and_other_rows_have_another_digest(
    tracking: Any, embedded: hitherto.Store, spine: pa.Table
) -> None:
    digests = []
    for asked, name in ((["lactate:*"], None), (["creatinine:*"], "labs")):
        rows = embedded.training_set(spine, asked)
        rows.to_arrow()
        found = logged(tracking, rows, name)
        assert found.name == (name or "training_set")
        digests.append(found.digest)
    assert digests[0] != digests[1]


def test_rows_must_have_been_read(embedded: hitherto.Store, spine: pa.Table) -> None:
    with pytest.raises(hitherto.InvalidError, match="to its end"):
        hitherto.mlflow.dataset(embedded.training_set(spine, ["lactate:*"]))


def test_a_manifest_that_mlflow_cannot_hold_is_an_artifact(
    embedded: hitherto.Store, spine: pa.Table
) -> None:
    rows = embedded.training_set(spine, ["lactate:*"])
    rows.to_arrow()
    dataset = hitherto.mlflow.dataset(rows)
    dataset.source.manifest["features"] = ["lactate:lactate_mmol_l"] * 10_000
    with pytest.raises(hitherto.InvalidError, match="log it as an artifact"):
        dataset.to_dict()
