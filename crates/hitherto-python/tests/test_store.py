"""Connecting, definitions, materializing, closing."""

from __future__ import annotations

import shutil
from pathlib import Path

import hitherto
import pyarrow as pa
import pytest
from conftest import ICU


@pytest.fixture
def fresh(tmp_path: Path) -> Path:
    root = tmp_path / "repository"
    shutil.copytree(ICU, root, ignore=shutil.ignore_patterns(".hitherto"))
    return root


def test_from_nothing_to_a_lookup(fresh: Path) -> None:
    with hitherto.connect(fresh) as store:
        assert store.catalog()["version"] == 0
        plan = store.plan()
        assert len(plan) == 16 and "lactate" in str(plan)
        assert {change["action"] for change in plan.changes} == {"create"}
        store.apply(plan)
        assert not store.plan()

        [done] = store.materialize(["lactate"])
        assert done["view"] == "lactate" and done["facts"] == 709
        [again] = store.materialize(["lactate"])
        assert again["is_up_to_date"]
        [full] = store.materialize(["lactate"], full=True)
        assert not full["is_up_to_date"] and full["facts"] == 709

        with pytest.raises(hitherto.ConflictError, match="plan again"):
            store.apply(plan)


def test_a_wrong_definition_is_refused_with_its_place(fresh: Path) -> None:
    with hitherto.connect(fresh) as store:
        (fresh / "services.yaml").write_text(
            (fresh / "services.yaml").read_text().replace("lactate:lactate_mmol_l", "lactat:x")
        )
        with pytest.raises(hitherto.InvalidError, match=r"services\.yaml") as caught:
            store.apply()
        assert "lactate" in str(caught.value)
        assert store.catalog()["version"] == 0


def test_one_process_shares_one_engine(fresh: Path) -> None:
    with hitherto.connect(fresh) as first, hitherto.connect(str(fresh) + "/.") as second:
        first.apply()
        assert second.catalog() == first.catalog()
    with hitherto.connect(fresh) as again:
        assert again.catalog()["version"] > 0


def test_read_only_reads_beside_a_writer(embedded: hitherto.Store, repository: Path) -> None:
    with hitherto.connect(repository, read_only=True) as reader:
        keys = {"patient_id": ["10000032"]}
        asked = ["patient_attributes:*"]
        assert reader.lookup(keys, asked).to_dict() == embedded.lookup(keys, asked).to_dict()
        with pytest.raises(hitherto.InvalidError, match="reading only"):
            reader.materialize(full=True)


def test_a_closed_store_says_so(fresh: Path) -> None:
    store = hitherto.connect(fresh)
    store.close()
    store.close()
    assert "closed" in repr(store)
    with pytest.raises(hitherto.InvalidError, match="closed"):
        store.catalog()


def test_a_training_set_outlives_its_store(repository: Path, spine: pa.Table) -> None:
    with hitherto.connect(repository, read_only=True) as store:
        found = store.training_set(spine, ["lactate:*"])
    assert found.to_arrow().num_rows == spine.num_rows


def test_the_catalog_is_the_same_from_a_server(
    embedded: hitherto.Store, remote: hitherto.Store
) -> None:
    ours, theirs = embedded.catalog(), remote.catalog()
    assert theirs["version"] == ours["version"]
    assert len(theirs["views"]) == 13
    assert theirs == ours


def test_only_the_repository_can_be_changed(remote: hitherto.Store) -> None:
    for change in (remote.plan, remote.apply, remote.materialize):
        with pytest.raises(hitherto.InvalidError, match="where the repository is"):
            change()
