"""Dagster's own command materializes views by a server's jobs and records what its checks say."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import dagster as dg
import hitherto
import pages
import pyarrow.parquet as pq
import pytest
import risk
from conftest import Trained, serving
from hitherto_dagster import definitions_from
from pages import Shell

HERE = Path(__file__).resolve().parent
LABS, VITALS = (dg.AssetKey(["hitherto", name]) for name in ("labs", "vitals"))


def checked(home: Path, key: dg.AssetKey, name: str) -> tuple[bool, str]:
    """What Dagster's storage has of the last evaluation of a check."""
    with dg.DagsterInstance.from_config(str(home)) as instance:
        found = dg.AssetCheckKey(key, name)
        record = instance.event_log_storage.get_latest_asset_check_execution_by_key([found])[found]
        evaluation: Any = record.event.dagster_event.event_specific_data
        return evaluation.passed, evaluation.description or ""


def test_assets_are_materialized_and_checked(
    trained: Trained, tmp_path: Path, row: Callable[..., None]
) -> None:
    (shown,) = pages.blocks("Dagster", "python")
    assert shown == (HERE / "definitions.py").read_text()
    run, check = pages.blocks("Dagster", "sh")
    root, home = tmp_path / "features", tmp_path / "dagster"
    home.mkdir()
    (home / "dagster.yaml").write_text("telemetry: { enabled: false }\n")
    shutil.copytree(trained.root, root)
    with hitherto.connect(root, now=risk.NOW) as store:
        views = [replace(risk.VITALS, tags={"freshness": "1d"}, owner="icu"),
                 replace(risk.LABS, tags={"freshness": "1h"})]  # fmt: skip
        store.apply(definitions=[risk.DEFINITIONS[0], *views, risk.DEFINITIONS[3]])
    labs = root / "labs.parquet"
    # Facts that are new, so that there is something to do.
    pq.write_table(pq.read_table(labs).slice(0, 12_000), labs)

    with serving(root) as url:
        shell = Shell(tmp_path, HITHERTO_URL=url, DAGSTER_HOME=str(home))
        shell.environment["PYTHONPATH"] += f":{HERE}"
        shutil.copy(HERE / "definitions.py", tmp_path)
        shell.ok(run)
        with hitherto.connect(url) as store:
            copies = {view["definition"]["metadata"]["name"]: view["generation"]
                      for view in store.catalog()["views"]}  # fmt: skip
        assert copies["labs"]["number"] == 2, "it was not materialized anew"
        with dg.DagsterInstance.from_config(str(home)) as instance:
            for key, copy in ((LABS, copies["labs"]), (VITALS, copies["vitals"])):
                event = instance.get_latest_materialization_event(key)
                assert event is not None and event.asset_materialization is not None
                done = event.asset_materialization
                assert done.metadata["dagster/row_count"].value == copy["entities"]
                version = f"{copy['number']}.{copy['materialized_at']}"
                assert done.tags is not None
                assert done.tags["dagster/data_version"] == version
        assert checked(home, LABS, "online_equals_offline") == (True, "")
        assert checked(home, VITALS, "online_equals_offline") == (True, "")
        assert checked(home, VITALS, "fresh")[0]
        passed, said = checked(home, LABS, "fresh")
        assert not passed and "ago; 1h are allowed" in said, said
        row("Dagster assets of feature views", "dagster")

        # The source changes, and nobody materializes.
        pq.write_table(pq.read_table(labs).slice(0, 9_000), labs)
        shell.run(check)
        passed, said = checked(home, LABS, "online_equals_offline")
        assert not passed and "labs.parquet has changed; materialize it" in said, said
        assert checked(home, VITALS, "online_equals_offline") == (True, "")
        row("Dagster checks: equality and freshness", "dagster")

        with pytest.raises(hitherto.NotFoundError, match="there is no feature view 'lab' at http"):
            definitions_from(url, ["lab"])
    with pytest.raises(hitherto.UnavailableError, match=url.removeprefix("http://")):
        definitions_from(url)
