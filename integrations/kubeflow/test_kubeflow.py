"""kfp compiles the pipeline, and its local runner runs each component in a process."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import hitherto
import pages
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import risk
import yaml
from conftest import Trained, serving
from pages import Shell

HERE = Path(__file__).resolve().parent


@pytest.fixture
def shell(trained: Trained, tmp_path: Path) -> Iterator[Shell]:
    """The components, label rows, and a server with a file to materialize."""
    root = shutil.copytree(trained.root, tmp_path / "features")
    labs = root / "labs.parquet"
    pq.write_table(pq.read_table(labs).slice(0, 12_000), labs)
    moments = [risk.NOW_MICROS - place * 37_000_001 for place in range(2_000)]
    spine = {
        "patient_id": risk.patient_ids()[:2_000],
        "event_timestamp": pa.array(moments).cast(pa.timestamp("us", "UTC")),
    }
    pq.write_table(pa.table(spine), tmp_path / "spine.parquet")
    for name in ("hitherto_kubeflow.py", "features_pipeline.py", "run_local.py"):
        shutil.copy(HERE / name, tmp_path)
    with serving(root) as url:
        yield Shell(tmp_path, HITHERTO_URL=url, HITHERTO_PACKAGES="", SPINE="spine.parquet")


def test_components_are_compiled_and_run(shell: Shell, row: Callable[..., None]) -> None:
    (shown,) = pages.blocks("Kubeflow Pipelines", "python")
    assert shown == (HERE / "features_pipeline.py").read_text()
    compiled, run = pages.blocks("Kubeflow Pipelines", "sh")

    # Compiled as for a cluster: what is installed there is named.
    del shell.environment["HITHERTO_PACKAGES"]
    shell.ok(compiled)
    spec, = yaml.safe_load_all((shell.folder / "features.yaml").read_text())
    executors = spec["deploymentSpec"]["executors"]
    assert {name.removeprefix("exec-") for name in executors} == {
        "materialize", "verify", "training-set", "importer"
    }  # fmt: skip
    assert "hitherto[pyarrow]" in json.dumps(executors["exec-verify"]["container"])
    row("Kubeflow Pipelines components, compiled", "kfp", "compiled by kfp")

    shell.environment["HITHERTO_PACKAGES"] = ""
    said = shell.ok(run)
    with hitherto.connect(shell.environment["HITHERTO_URL"]) as store:
        copies = {view["definition"]["metadata"]["name"]: view["generation"]["number"]
                  for view in store.catalog()["views"]}  # fmt: skip
        assert copies == {"labs": 2, "vitals": 1}
        expected = store.training_set(str(shell.folder / "spine.parquet"), service=risk.SERVICE)
        table, leaks = expected.to_arrow(), expected.report()["leaky_rows"]
    assert said.split()[-1] == expected.content_hash
    (rows,) = shell.folder.glob("outputs/**/training-set/rows")
    assert pq.read_table(rows).equals(table)
    (manifest,) = shell.folder.glob("outputs/**/training-set/manifest")
    assert json.loads(manifest.read_text()) == expected.manifest
    assert leaks > 0 and f"{leaks}" in said
    row("Kubeflow Pipelines components, kfp's local runner", "kfp")

    # What cannot be is an error of the component, and the run's.
    said = shell.refused(run.replace("risk_v1", "risk_v9"))
    assert 'feature service "risk_v9"' in said, said
