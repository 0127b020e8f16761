"""The YAML of the documents is what its reader takes: definitions by the JSON Schema, settings
by the file that `hitherto init` writes, values by the chart's schema."""

from __future__ import annotations

import copy
import json
import os
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml
from pages import PAGES, ROOT, blocks

import product  # isort: skip
import schemas  # isort: skip

CHART = ROOT / "deploy/helm/hitherto"
DOCUMENTS = [
    pytest.param(document, id=f"{block}-{number}")
    for page in [*PAGES, ROOT / "README.md"]
    for block in blocks(page)
    if block.language == "yaml"
    for number, document in enumerate(yaml.safe_load_all(block.text))
]

FOREIGN = {
    "offline_store": "Feast's feature_store.yaml: the tests of neighbours use it",
    "project": "the same: test_runs.py has Feast read it",
    "models": "dbt's: make test-pipelines has dbt read it",
    "containers": "a part of a pod",
}
"""What is read by others alone."""


@pytest.fixture(scope="module")
def ours() -> Any:
    with product.Product(Path(os.environ["HITHERTO_BIN"]).resolve()) as binary:
        yield binary


@pytest.fixture(scope="module")
def schema(ours) -> dict[str, Any]:
    return json.loads(ours.run("schema"))


@pytest.fixture(scope="module")
def settings(ours) -> set[str]:
    return {name for name, _, _ in schemas.settings(ours.settings)}


def flat(document: dict[str, Any]) -> set[str]:
    """The settings of a `hitherto.yaml`, by their whole names."""
    return {
        name
        for key, value in document.items()
        for name in ([f"{key}.{each}" for each in value] if isinstance(value, dict) else [key])
    }


def merged(values: dict[str, Any], over: dict[str, Any]) -> dict[str, Any]:
    """Values as Helm merges them."""
    for key, value in over.items():
        both = isinstance(value, dict) and isinstance(values.get(key), dict)
        values[key] = merged(values[key], value) if both else value
    return values


def check(document: dict[str, Any], schema: dict[str, Any], settings: set[str]) -> str:
    """Says what a document is; fails if it is nothing that is known, or wrong."""
    view = schema["$defs"]["FeatureViewSpec"]["properties"]
    values = yaml.safe_load((CHART / "values.yaml").read_text("utf-8"))
    if str(document.get("apiVersion", "")).startswith("hitherto/"):
        jsonschema.validate(document, schema)
        return "a definition"
    if "apiVersion" in document:
        return "somebody else's resource"
    if set(document) <= set(view):
        for key, value in document.items():
            jsonschema.validate(value, {**view[key], "$defs": schema["$defs"]})
        return "a part of a view"
    if flat(document) <= settings:
        return "hitherto.yaml"
    if set(document) <= set(values):
        over = {"image": {"repository": "r", "tag": "t"}, "definitions": {"configMap": "c"}}
        whole = merged(merged(copy.deepcopy(values), over), document)
        jsonschema.validate(whole, json.loads((CHART / "values.schema.json").read_text("utf-8")))
        return "values of the chart"
    assert FOREIGN.keys() & document.keys(), f"nobody reads {sorted(document)}"
    return "somebody else's"


@pytest.mark.parametrize("document", DOCUMENTS)
def test_yaml_is_what_its_reader_takes(document, schema, settings) -> None:
    assert check(document, schema, settings)


@pytest.mark.parametrize(
    "text",
    [
        "{ apiVersion: hitherto/v1, kind: Entity, metadata: { name: a }, spec: { key: [] } }",
        "{ source: { parquet: a, eventTimes: b } }",
        "{ online: { history: 7 days } }",
        "{ server: { listens: 127.0.0.1:1 } }",
        "{ monitor: { enabled: true, rule: {} } }",
        "{ cach: 1GiB }",
    ],
)
def test_what_is_wrong_is_noticed(text, schema, settings) -> None:
    with pytest.raises((jsonschema.ValidationError, AssertionError)):
        check(yaml.safe_load(text), schema, settings)
