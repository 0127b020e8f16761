"""`airflow dags test` runs deferrable tasks against a server: jobs, checks, a backup."""

from __future__ import annotations

import json
import re
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import hitherto
import pages
import pyarrow.parquet as pq
import pytest
from airflow_provider_hitherto.wire import FIELDS
from conftest import Trained, free_port, serving
from pages import Shell

HERE = Path(__file__).resolve().parent
PROTO = HERE.parents[1] / "proto" / "hitherto" / "v1" / "job.proto"


@pytest.fixture
def airflow(tmp_path: Path) -> Shell:
    """A home of Airflow's, in which the provider is installed as a package."""
    home, packages = tmp_path / "airflow", tmp_path / "packages"
    source = shutil.copytree(HERE, tmp_path / "source")
    subprocess.run(
        [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-build-isolation",
         "--disable-pip-version-check", "--target", packages, source], check=True, timeout=300,
    )  # fmt: skip
    (home / "dags").mkdir(parents=True)
    for name in ("features_dag.py", "wrong_dag.py"):
        shutil.copy(HERE / name, home / "dags")
    shell = Shell(
        tmp_path, AIRFLOW_HOME=str(home), AIRFLOW__CORE__LOAD_EXAMPLES="False",
        AIRFLOW__CORE__DAGS_FOLDER=str(home / "dags"), AIRFLOW__CORE__UNIT_TEST_MODE="False",
        AIRFLOW_CONN_AWAY=connection(f"http://127.0.0.1:{free_port()}"),
    )  # fmt: skip
    shell.environment["PYTHONPATH"] += f":{packages}"
    shell.ok("airflow db migrate")
    return shell


def connection(url: str) -> str:
    host, port = url.removeprefix("http://").split(":")
    return json.dumps({"conn_type": "hitherto", "host": host, "port": int(port)})


def test_tasks_are_jobs_of_a_server(
    trained: Trained, tmp_path: Path, airflow: Shell, row: Callable[..., None]
) -> None:
    (shown,) = pages.blocks("Airflow", "python")
    assert shown == (HERE / "features_dag.py").read_text()
    (run,) = pages.blocks("Airflow", "sh")
    root, backups = tmp_path / "features", tmp_path / "backups"
    shutil.copytree(trained.root, root)
    backups.mkdir()
    (root / "hitherto.yaml").write_text(f"server: {{ backups: {backups} }}\n")
    labs = root / "labs.parquet"
    pq.write_table(pq.read_table(labs).slice(0, 12_000), labs)
    with serving(root) as url:
        airflow.environment["AIRFLOW_CONN_HITHERTO_DEFAULT"] = connection(url)
        said = airflow.ok(f"{run.strip()} 2>&1")
        assert states(airflow, "features") == dict.fromkeys(
            ("materialize", "fresh", "verify", "backup"), "success"
        ), said[-4000:]
        # Those of materialize, verify and backup.
        assert said.count("[DAG TEST] running trigger in line") == 3, said[-20_000:]
        with hitherto.connect(url) as store:
            generations = {view["definition"]["metadata"]["name"]: view["generation"]["number"]
                           for view in store.catalog()["views"]}  # fmt: skip
        assert generations == {"labs": 2, "vitals": 1}
        assert [job["what"].split()[0] for job in jobs(airflow, url)] == ["backup", "materialize"]
        assert {job["state"] for job in jobs(airflow, url)} == {"done"}
        with hitherto.connect(backup_of(airflow, root, backups), read_only=True) as restored:
            assert restored.catalog()["version"] > 0
        row("Airflow operators, sensor and backup, deferred", "apache-airflow")

        pq.write_table(pq.read_table(labs).slice(0, 9_000), labs)
        said = airflow.run("airflow dags test wrong 2>&1").stdout
        failed = states(airflow, "wrong")
        assert set(failed.values()) == {"failed"} and len(failed) == 7, failed
        for words in (
            "conflict: feature view 'labs' is stale: ", "labs.parquet has changed; materialize it",
            'feature view "lab"', "undeclared", "nothing says how old feature view 'labs' may be",
            "did not end within 0.001 s, the deadline", "unavailable: 127.0.0.1:",
        ):  # fmt: skip
            assert words in said, f"{words}\n{said[-20_000:]}"
        row("Airflow tasks that fail, and say why", "apache-airflow")


def states(airflow: Shell, dag: str) -> dict[str, str]:
    """Of the tasks of a run, as Airflow's database has them."""
    home = airflow.environment["AIRFLOW_HOME"]
    with sqlite3.connect(f"file:{home}/airflow.db?mode=ro", uri=True) as database:
        found = "select task_id, state from task_instance where dag_id = ?"
        return dict(database.execute(found, [dag]).fetchall())


def jobs(airflow: Shell, url: str) -> list[dict[str, str]]:
    found: list[dict[str, str]] = json.loads(
        airflow.ok(f"hitherto jobs list --server {url} --output json")
    )
    return found


def backup_of(airflow: Shell, root: Path, backups: Path) -> Path:
    """A repository whose store is the backup that was made."""
    (made,) = backups.iterdir()
    assert re.fullmatch(r"features-\d{8}", made.name)
    other = root.with_name("restored")
    shutil.copytree(root, other, ignore=shutil.ignore_patterns(".hitherto"))
    airflow.ok(f"hitherto restore {made} --repo {other}")
    return other


def test_messages_have_the_numbers_of_the_contract() -> None:
    text = re.sub(r"//.*", "", PROTO.read_text())
    for message, fields in FIELDS.items():
        (body,) = re.findall(rf"message {message} {{(.*?)\n}}", text, re.DOTALL)
        declared = dict(re.findall(r"^\s*((?:repeated )?\w+ \w+) = (\d+);", body, re.MULTILINE))
        for number, field in fields.items():
            assert declared.get(field) == str(number), f"{message}: {field}"
