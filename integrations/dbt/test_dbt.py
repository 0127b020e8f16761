"""dbt builds, its models become feature views, and its services exposures that dbt reads."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import duckdb
import hitherto
import pages
import pyarrow as pa
import pytest
import risk
from conftest import Trained
from pages import Shell

HERE = Path(__file__).resolve().parent
SERVICE = """apiVersion: hitherto/v1
kind: FeatureService
metadata: { name: risk_v1 }
spec: { features: ["labs:*", "vitals:heart_rate"] }
"""


@pytest.fixture(scope="module")
def shell(trained: Trained, tmp_path_factory: pytest.TempPathFactory) -> Shell:
    """A repository, and a dbt project beside it, which was built and imported."""
    tmp_path = tmp_path_factory.mktemp("dbt")
    root = tmp_path / "features"
    root.mkdir()
    shutil.copytree(HERE / "warehouse", tmp_path / "warehouse")
    shutil.copy(trained.root / "vitals.parquet", root)
    shutil.copy(trained.root / "labs.parquet", root / "results.parquet")
    (root / "hitherto.yaml").write_text("")
    (root / "service.yaml").write_text(SERVICE)
    shell = Shell(tmp_path)
    shell.ok(pages.blocks("dbt", "sh")[0])
    return shell


def test_a_project_becomes_features_and_services_become_exposures(
    shell: Shell, row: Callable[..., None]
) -> None:
    (shown,) = pages.blocks("dbt", "yaml")
    assert pages.is_part(shown, HERE / "warehouse" / "models" / "features.yml")
    _, expose = pages.blocks("dbt", "sh")
    same_rows_as_duckdb(shell)
    listed = set(shell.ok(expose).split())
    sources = {"source:warehouse.wards.results", "source:warehouse.wards.vitals"}
    assert listed == {"exposure:warehouse.risk_v1", "warehouse.labs"} | sources
    row("dbt models and sources as feature views", "dbt-core")
    row("Feature services as dbt exposures", "dbt-core")

    # A second import changes nothing.
    before = (shell.folder / "features" / "dbt.yaml").read_text()
    shell.ok("cd features && python -m hitherto.dbt import ../warehouse/target/manifest.json "
             "--out dbt.yaml")  # fmt: skip
    assert (shell.folder / "features" / "dbt.yaml").read_text() == before

    # A model that a service reads cannot go unseen.
    models = shell.folder / "warehouse" / "models"
    (models / "labs.sql").rename(models / "laboratory.sql")
    said = shell.refused("cd warehouse && dbt parse --profiles-dir .")
    assert "risk_v1" in said and "labs" in said and "was not found" in said, said


def same_rows_as_duckdb(shell: Shell) -> None:
    """A training set over the views is DuckDB's own as-of join over dbt's relations."""
    moments = [risk.NOW_MICROS - place * 37_000_001 for place in range(5_000)]
    spine = pa.table({
        "patient_id": risk.patient_ids()[:5_000],
        "event_timestamp": pa.array(moments).cast(pa.timestamp("us", "UTC")),
    })  # fmt: skip
    with hitherto.connect(shell.folder / "features", now=risk.NOW) as store:
        rows = store.training_set(spine, service="risk_v1").to_arrow()
        assert store.verify()["differences"] == 0
        catalog = store.catalog()
    with duckdb.connect(str(shell.folder / "warehouse/warehouse.duckdb")) as warehouse:
        warehouse.execute(f"set file_search_path = '{shell.folder}/warehouse'")
        judged = warehouse.execute(
            """
            select spine.patient_id, event_timestamp,
              (select struct_pack(lactate, dose) from labs
               where labs.patient_id = spine.patient_id
               and drawn <= event_timestamp and released <= event_timestamp
               and drawn >= event_timestamp - interval 5 day
               order by drawn desc, released desc limit 1) as lab,
              (select heart_rate from '../features/vitals.parquet' as vitals
               where vitals.patient_id = spine.patient_id
               and vitals."at" + interval 1 hour <= event_timestamp
               and vitals."at" >= event_timestamp - interval 14 day
               order by vitals."at" desc limit 1) as heart_rate
            from spine order by spine.patient_id
            """
        ).fetchall()
    lab = [each[2] or {"lactate": None, "dose": None} for each in judged]
    assert rows["lactate"].to_pylist() == [each["lactate"] for each in lab]
    assert rows["dose"].to_pylist() == [each["dose"] for each in lab]
    assert rows["heart_rate"].to_pylist() == [each[3] for each in judged]
    assert 500 < rows["lactate"].null_count < 4_500
    definitions = [view["definition"] for view in catalog["views"]]
    views = {definition["metadata"]["name"]: definition for definition in definitions}
    assert views["labs"]["metadata"]["owner"] == "laboratory"
    assert views["labs"]["metadata"]["tags"] == {"dbt": "model.warehouse.labs"}
    assert views["vitals"]["defaults"] == {"steps": "0"}
    assert views["labs"]["source"]["parquet"] == "labs.parquet"


LABS, VITALS = "model.warehouse.labs", "source.warehouse.wards.vitals"


def ours(manifest: dict[str, Any], **fields: Any) -> None:
    manifest["nodes"][LABS]["config"]["meta"]["hitherto"].update(fields)
    manifest["nodes"][LABS]["meta"] = {}


def column(manifest: dict[str, Any], name: str, data_type: str | None) -> None:
    manifest["nodes"][LABS]["columns"][name]["data_type"] = data_type


WRONG: dict[str, tuple[Callable[[dict[str, Any]], Any], str]] = {
    "a node has no key": (lambda each: ours(each, keys=[]), "needs entity and keys"),
    "a key is no column": (lambda each: ours(each, keys=["patient"]), "'patient' is none of its"),
    "a field is misspelt": (lambda each: ours(each, knowntime="released"), "'knowntime'; there is"),
    "a ttl is no duration": (lambda each: ours(each, ttl=5), "'5' is not a duration"),
    "a policy is misspelt": (lambda each: ours(each, online={"histroy": "1d"}), "'history'"),
    "a column has no type": (
        lambda each: column(each, "lactate", None), "column 'lactate' has no data_type",
    ),
    "a type is unknown": (
        lambda each: column(each, "lactate", "hugeint"), "has the data_type 'hugeint'; write one",
    ),
    "nothing says where": (
        lambda each: each["nodes"][LABS]["config"].pop("location"), "no Parquet file is named",
    ),
    "a location is an expression": (
        lambda each: each["nodes"][LABS]["config"].update(location="read_parquet('a')"),
        "is an expression",
    ),
    "two keys of one entity": (
        lambda each: column(each, "patient_id", "bigint"), "the keys patient_id int64 elsewhere",
    ),
}  # fmt: skip


def test_what_a_node_lacks_is_said(shell: Shell) -> None:
    """Each with the node, its file and what to write."""
    path = shell.folder / "warehouse" / "target" / "manifest.json"
    whole = path.read_text()
    assert len(hitherto.dbt.load(path)) == 3
    assert [each.name for each in hitherto.dbt.load(path, tag="features")] == ["patient", "labs"]
    for name, (change, words) in WRONG.items():
        manifest = json.loads(whole)
        change(manifest)
        path.write_text(json.dumps(manifest))
        with pytest.raises(hitherto.InvalidError, match=re.escape(words)) as refusal:
            hitherto.dbt.load(path)
        said = str(refusal.value)
        assert f"{LABS} (models/labs.sql)" in said or VITALS in said, f"{name}: {said}"
    with pytest.raises(hitherto.NotFoundError, match="no model or source with the tag 'feature'"):
        hitherto.dbt.load(path, tag="feature")
    path.write_text("[]")
    said = shell.refused(f"python -m hitherto.dbt import {path}")
    assert said == f"error: {path} has no 'nodes'; name dbt's target/manifest.json\n"
    said = shell.refused("python -m hitherto.dbt import manifest.json")
    assert said == "error: there is no manifest.json; run `dbt parse` or `dbt build` first\n"
