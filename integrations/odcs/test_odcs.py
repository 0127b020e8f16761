"""datacontract-cli reads contracts of views and tests the views' files against them."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import hitherto
import pages
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import risk
from conftest import Trained
from hitherto import FeatureView, Field, MaxChange, Online, Source, contracts
from open_data_contract_standard.model import OpenDataContractStandard
from pages import Shell

LABS = FeatureView(
    "labs",
    Source("labs.parquet", "drawn", known_time="released"),
    [Field("lactate", "float64", description="mmol/l: high is bad"),
     Field("dose", "decimal128(20, 7)", default="1.5")],
    entity="patient", ttl="36h", online=Online("30d", MaxChange("5%", None, "10%")),
    owner="laboratory", tags={"freshness": "6h", "phi": "true"}, description="Results\nof labs",
)  # fmt: skip
OTHERS = [
    replace(risk.VITALS, ttl=None, known="ignore", online=None),
    FeatureView(
        "renamed", Source("labs.parquet", "drawn", delay="1h", columns={"lac": "lactate"}),
        [Field("lac", "float64")], entity="patient",
    ),
    FeatureView(
        "sql", Source("labs.parquet", "drawn", sql="SELECT *, lactate * 2 AS twice FROM source"),
        [Field("twice", "float64")], entity="patient",
    ),
    FeatureView(
        "fixed", Source("fixed.parquet", timeless=True, deleted="gone"),
        [Field("sex", "string"), Field("vector", "list(float32, 2)")], entity="patient",
    ),
]  # fmt: skip
ENTITY = risk.DEFINITIONS[0]


@pytest.fixture
def shell(trained: Trained, tmp_path: Path) -> Shell:
    """A repository with views of every sort."""
    root = tmp_path / "features"
    root.mkdir()
    for name in ("labs", "vitals"):
        shutil.copy(trained.root / f"{name}.parquet", root)
    vectors = pa.array([[1.0, 2.0]], pa.list_(pa.float32(), 2))
    fixed = {"patient_id": ["p1"], "sex": ["f"], "vector": vectors, "gone": [False]}
    pq.write_table(pa.table(fixed), root / "fixed.parquet")
    with hitherto.connect(root, now=risk.NOW) as store:
        store.apply(definitions=[ENTITY, LABS, *OTHERS])
    return Shell(tmp_path)


def test_a_view_is_a_contract_and_comes_back(shell: Shell, row: Callable[..., None]) -> None:
    export, back = pages.blocks("Data contracts", "sh")
    shell.ok(export)
    root = shell.folder / "features"
    (read,) = [OpenDataContractStandard.from_file(str(root / "labs.odcs.yaml"))]
    assert read.schema_ is not None and read.schema_[0].properties is not None
    assert [each.name for each in read.schema_[0].properties] == [
        "patient_id", "drawn", "released", "lactate", "dose"
    ]  # fmt: skip
    levels = {each.property: (each.value, each.unit) for each in read.slaProperties or []}
    assert levels == {"freshness": (6, "h")}
    row("ODCS contract of a feature view, linted and tested", "datacontract-cli")

    shell.ok(back)
    imported = hitherto.definitions.load(root / "imported.yaml")
    assert imported == [ENTITY, LABS]
    with hitherto.connect(root, read_only=True) as store:
        for view in OTHERS:
            path = root / f"{view.name}.odcs.yaml"
            shell.ok(f"cd features && python -m hitherto.contracts export {view.name} "
                     f"--out {path}")  # fmt: skip
            assert contracts.load(path) == [ENTITY, view], view.name
            OpenDataContractStandard.from_file(str(path))
        with pytest.raises(hitherto.NotFoundError, match="no feature view 'lab'"):
            contracts.export(store.catalog(), "lab")
    row("ODCS contract as a feature view", "open-data-contract-standard", "in its process")

    # A contract that the file breaks.
    labs = root / "labs.parquet"
    table = pq.read_table(labs)
    pq.write_table(table.set_column(table.column_names.index("drawn"), "drawn",
                                    pa.nulls(len(table), table.schema.field("drawn").type)), labs)
    said = shell.refused("cd features && datacontract test labs.odcs.yaml")
    assert "drawn" in said, said


THEIRS = """
apiVersion: v3.1.0
kind: DataContract
id: 5b0e3a8e
version: 1.0.0
status: active
team: { name: laboratory }
servers: [{ server: lake, type: local, path: "lake/{model}.parquet", format: parquet }]
schema:
  - name: results
    properties:
      - { name: patient, physicalName: patient_id, logicalType: string, primaryKey: true,
          primaryKeyPosition: 1 }
      - { name: drawn, logicalType: timestamp }
      - { name: lactate, logicalType: number, physicalType: FLOAT }
      - { name: count, logicalType: integer }
slaProperties:
  - { property: freshness, value: 90, unit: min, element: results.drawn }
customProperties: [{ property: entity, value: patient }]
"""


def test_a_contract_of_others_is_a_view(tmp_path: Path) -> None:
    path = tmp_path / "theirs.yaml"
    path.write_text(THEIRS)
    assert contracts.load(path) == [
        hitherto.Entity("patient", [Field("patient", "string")]),
        FeatureView(
            "results",
            Source("lake/results.parquet", "drawn", columns={"patient": "patient_id"}),
            [Field("lactate", "float32"), Field("count", "int64")],
            entity="patient", owner="laboratory", tags={"freshness": "1h30m"},
        ),
    ]  # fmt: skip
    for old, new, words in (
        ("property: entity", "property: entities", "results: customProperties has no entity"),
        ("element: results.drawn", "driver: analytics", "nothing says when a fact happened"),
        ("path: \"lake", "roles: \"lake", "servers has no Parquet file"),
        ("physicalType: FLOAT", "physicalType: GEOMETRY", ""),
        ("logicalType: integer", "logicalType: object", "property 'count' has the types None and"),
        ("unit: min", "unit: moons", "90 moons is no duration"),
        ("v3.1.0", "v2.2.2", "apiVersion 'v2.2.2' is not known"),
        ("DataContract", "Contract", "is no data contract"),
        ("schema:", "schemas:", "has no schema"),
    ):
        assert old in THEIRS
        path.write_text(THEIRS.replace(old, new))
        if words:
            with pytest.raises(hitherto.InvalidError, match=re.escape(words)):
                contracts.load(path)
        else:
            # The logical type says enough.
            assert contracts.load(path)[1].features[0].type == "float64"
    path.write_text("a: [")
    with pytest.raises(hitherto.InvalidError, match="this is not YAML"):
        contracts.load(path)
