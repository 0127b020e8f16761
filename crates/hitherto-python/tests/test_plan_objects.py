"""Definitions from Python, planned and applied as one file of the repository."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

import hitherto
import pyarrow as pa
import pytest
from conftest import Repository, binary
from hitherto import Entity, FeatureService, FeatureView, Field, Source, definitions
from hitherto._plan import FILE

FACTS = pa.table(
    {
        "id": pa.array(range(10), pa.int64()),
        "e": pa.array(range(10), pa.timestamp("us")),
        "value": pa.array(range(10), pa.int64()),
    }
)
MORE = FeatureView(
    "more", Source("data/", event_time="e"), [Field("value", "int64")], entity="thing", ttl="1d"
)
MODEL = FeatureService("model", ["facts:value", "m=more:*"])


@pytest.fixture
def root(small: Repository) -> Path:
    small.write(FACTS, keys={"id": "int64"}, features={"value": "int64"})
    return small.root


def actions(plan: hitherto.Plan) -> list[tuple[str, str]]:
    return [(change["action"], change["name"]) for change in plan.changes]


def test_a_plan_writes_nothing(root: Path) -> None:
    with hitherto.connect(root) as store:
        files = sorted(root.iterdir())
        plan = store.plan(definitions=[MORE, MODEL])
        assert sorted(actions(plan)) == [
            ("create", name) for name in ("facts", "model", "more", "thing")
        ]
        assert "more" in str(plan) and "<table" in plan._repr_html_()
        assert sorted(root.iterdir()) == files
        assert store.catalog()["views"] == []


def test_applied_objects_are_a_file_that_the_command_line_applies_again(root: Path) -> None:
    with hitherto.connect(root) as store:
        plan = store.apply(definitions=[MORE, MODEL])
        assert len(plan) == 4
        assert definitions.load(root / FILE) == [MORE, MODEL]
        assert (root / FILE).read_text().startswith("# Written by")
        assert [path.name for path in root.iterdir() if path.suffix == ".partial"] == []
        assert not store.plan() and not store.plan(definitions=[MORE, MODEL])
        names = {view["definition"]["metadata"]["name"] for view in store.catalog()["views"]}
        assert names == {"facts", "more"}
        version = store.catalog()["version"]
    done = subprocess.run([binary(), "plan"], cwd=root, capture_output=True, text=True)
    assert done.returncode == 0 and "nothing to change" in done.stdout, done.stderr
    with hitherto.connect(root) as store:
        # The file is replaced, all of it; what other files define stays.
        assert actions(store.plan(definitions=[MORE])) == [("delete", "model")]
        assert actions(store.apply(definitions=[MORE])) == [("delete", "model")]
        assert actions(store.apply(definitions=[])) == [("delete", "more")]
        assert store.catalog()["version"] == version + 2
        assert not store.plan()


def wrong() -> list[tuple[list[Any], str]]:
    facts = FeatureView("facts", MORE.source, MORE.features, entity="thing")
    missing = FeatureView("more", MORE.source, [Field("valeu", "int64")], entity="thing")
    return [
        ([MORE, MORE], rf"{FILE}:\d+"),
        ([facts], "facts.*definitions.yaml|definitions.yaml.*facts"),
        ([missing], 'did you mean "value"'),
        ([FeatureService("model", ["nothing:*"])], FILE),
        ([Entity("other", [])], FILE),
    ]


@pytest.mark.parametrize(("given", "reason"), wrong())
@pytest.mark.parametrize("has_file", [False, True])
def test_what_is_refused_leaves_the_file_as_it_was(
    root: Path, given: list[Any], reason: str, has_file: bool
) -> None:
    with hitherto.connect(root) as store:
        if has_file:
            store.apply(definitions=[MORE])
        before = (root / FILE).read_bytes() if has_file else None
        catalog = store.catalog()
        for call in (store.plan, store.apply):
            with pytest.raises(hitherto.InvalidError, match=f"(?s){reason}"):
                call(definitions=given)
        assert ((root / FILE).read_bytes() if (root / FILE).exists() else None) == before
        assert store.catalog() == catalog


def test_an_apply_that_the_store_refuses_leaves_no_file(root: Path) -> None:
    with hitherto.connect(root) as store:
        store.apply()
    with hitherto.connect(root, read_only=True) as store, pytest.raises(hitherto.Error):
        store.apply(definitions=[MORE])
    assert not (root / FILE).exists()
    with hitherto.connect(root) as store:
        assert actions(store.plan(definitions=[MORE])) == [("create", "more")]


def test_only_definitions_are_applied(root: Path, remote: hitherto.Store) -> None:
    with hitherto.connect(root) as store:
        with pytest.raises(hitherto.InvalidError, match=r"hitherto\.definitions; found 'more'"):
            store.apply(definitions=["more"])  # type: ignore[list-item]
        with pytest.raises(hitherto.InvalidError, match="one of the two"):
            store.apply(store.plan(), definitions=[MORE])
        assert len(store.plan(definitions=MORE)) == 3  # type: ignore[arg-type]
    for call in (remote.plan, remote.apply):
        with pytest.raises(hitherto.InvalidError, match=r"any file of .*\.definitions\.dump"):
            call(definitions=[MORE])
