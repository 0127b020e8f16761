"""Connecting, definitions, materializing, closing."""

from __future__ import annotations

import datetime as dt
import shutil
from pathlib import Path

import hitherto
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from conftest import ICU, Repository


@pytest.fixture
def fresh(tmp_path: Path) -> Path:
    root = tmp_path / "repository"
    shutil.copytree(ICU, root, ignore=shutil.ignore_patterns(".hitherto"))
    return root


def test_from_nothing_to_a_lookup(fresh: Path) -> None:
    with hitherto.connect(fresh) as store:
        assert store.catalog()["version"] == 0
        plan = store.plan()
        assert len(plan) == 21 and "lactate" in str(plan)
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
    assert len(theirs["views"]) == 16
    assert theirs == ours


def test_a_server_that_only_reads_changes_nothing(remote: hitherto.Store) -> None:
    assert len(remote.plan()) == 0
    with pytest.raises(hitherto.InvalidError, match="reading only"):
        remote.materialize(full=True)


def test_a_view_without_keys_is_asked_without_keys(small: Repository) -> None:
    """And answers where known time does not count, also what has none."""
    (small.root / "data").mkdir(parents=True)
    moment = dt.datetime(2024, 1, 1, tzinfo=dt.timezone.utc)
    facts = {"e": pa.array([moment]), "n": pa.array([None], pa.timestamp("us")), "price": [1.5]}
    pq.write_table(pa.table(facts), small.root / "data" / "0.parquet")
    definition = small.root / "fuel.yaml"
    definition.write_text(
        "apiVersion: hitherto/v1\nkind: FeatureView\nmetadata: { name: fuel }\nspec:\n"
        "  known: ignore\n  source: { parquet: data, eventTime: e, knownTime: n }\n"
        "  features: [{ name: price, type: float64 }]\n"
    )
    with hitherto.connect(small.root) as store:
        store.apply()
        store.materialize()
        found = store.lookup({}, ["fuel:*"], times=True)
        assert found.to_dict() == {"fuel:price": [1.5]}
        assert found.times == {"fuel": [(moment, None)]}
        assert len(found.to_arrow()) == 1
        assert store.why("fuel", {}).online["agrees"]
        assert store.why("fuel", {}, known="honor").absence == "not_yet_known"
        definition.write_text(definition.read_text().replace("known: ignore", "known: honor"))
        store.apply()
        assert store.lookup({}, ["fuel:*"]).statuses == {"fuel:price": ["NOT_FOUND"]}
        why = store.why("fuel", {})
        assert why.absence == "not_yet_known"
        assert "nobody can say when it was known" in str(why)
        assert why.candidates[0]["known_time"] is None
