"""What a running server does for commands: it holds the store."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import hitherto
import pyarrow.parquet as pq
import pytest
from conftest import binary, serving
from test_push import DEFINITIONS, LATER, applied, facts, lactate


@pytest.fixture
def root(tmp_path: Path) -> Path:
    root = applied(tmp_path / "repository")
    (root / "hitherto.yaml").write_text("server: { backups: ../backups }\n")
    return root


@pytest.fixture
def url(root: Path) -> Iterator[str]:
    with serving(root, now=LATER) as url:
        yield url


def call(url: str, *words: str) -> subprocess.CompletedProcess[str]:
    command = [binary(), *words, "--server", url, "--output", "json"]
    return subprocess.run(command, capture_output=True, text=True)


def run(url: str, *words: str) -> Any:
    done = call(url, *words)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_a_server_is_changed_while_it_serves(root: Path, url: str, tmp_path: Path) -> None:
    with hitherto.connect(url) as store:
        [done] = run(url, "materialize")
        assert (done["view"], done["facts"], done["mode"]) == ("labs", 2, "full")
        assert lactate(store, 1) == 1.0
        # A file more, and a feature less.
        pq.write_table(facts([(1, 4, 4.0)]), root / "labs" / "second.parquet")
        [done] = run(url, "materialize", "labs")
        assert (done["facts"], done["mode"]) == (1, "incremental")
        assert lactate(store, 1) == 4.0
        store.push("labs", facts([(1, 5, 5.0)]))
        run(url, "materialize", "--full")
        assert run(url, "rollback", "labs") == {"view": "labs", "from": 2, "to": 1}
        assert lactate(store, 1) == 5.0

        assert run(url, "backup", "monday")["files"] > 0
        assert (tmp_path / "backups" / "monday" / "backup.json").is_file()
        assert "is there already" in call(url, "backup", "monday").stderr
        for path in ("../monday", str(tmp_path / "backup"), ".", "a/b", ".hidden"):
            assert "is no name for a backup" in call(url, "backup", path).stderr
        assert not (tmp_path / "backup").exists()

        (root / "labs.yaml").write_text(DEFINITIONS.replace(", { name: note, type: string }", ""))
        applied = run(url, "apply")
        assert [change["name"] for change in applied["changes"]] == ["labs"]
        assert call(url, "push", "labs", str(root / "labs" / "first.parquet")).returncode != 0
        run(url, "materialize")
        assert lactate(store, 1) == 5.0, "what was pushed came along"

    jobs = run(url, "jobs", "list")
    assert [job["what"] for job in jobs][-1] == "materialize"
    assert {job["state"] for job in jobs} == {"done", "failed"}
    assert [run(url, "jobs", verb, "1")[0]["state"] for verb in ("watch", "cancel")] == ["done"] * 2
    assert "there is no job 99" in call(url, "jobs", "watch", "99").stderr


def test_plans_copies_and_training_sets_are_a_servers_to_make(
    root: Path, url: str, tmp_path: Path
) -> None:
    spine, here, there = (tmp_path / name for name in ("spine.parquet", "here.parquet", "there"))
    pq.write_table(facts([(2, 9, 0.0), (1, 9, 0.0)]).select(["stay_id", "drawn"]), spine)
    asked = ["training-set", "--spine", str(spine), "--timestamp", "drawn", "--features", "labs:*"]
    built = run(url, *asked, "--out", str(there))
    command = [binary(), *asked, "--out", str(here), "--repo", str(root), "--now", LATER]
    subprocess.run(command, check=True, capture_output=True)
    assert pq.read_table(there).equals(pq.read_table(here))
    manifests = [Path(f"{path}.manifest.json").read_text() for path in (here, there)]
    assert manifests[0] == manifests[1]
    assert built["report"]["rows"] == 2

    [copy] = run(url, "optimize", "--all")
    assert (copy["view"], copy["rows"], copy["is_up_to_date"]) == ("labs", 2, False)
    assert run(url, "optimize", "labs")[0]["is_up_to_date"]
    assert not run(url, "optimize", "labs", "--full")[0]["is_up_to_date"]
    assert "did you mean \\\"labs\\\"?" in call(url, "optimize", "lab").stderr
    assert [job["rows"] for job in run(url, "jobs", "list")][1] == 2

    assert run(url, "plan")["changes"] == []
    (root / "labs.yaml").write_text(DEFINITIONS.replace(", { name: note, type: string }", ""))
    assert [change["name"] for change in run(url, "plan")["changes"]] == ["labs"]
    assert [change["name"] for change in run(url, "apply")["changes"]] == ["labs"]


def test_a_job_that_fails_says_why_with_its_kind(root: Path, url: str) -> None:
    refused = call(url, "materialize", "lab")
    error = json.loads(refused.stderr.splitlines()[-1])["error"]
    assert error["kind"] == "not_found" and "labs" in error["message"]
    (root / "labs" / "broken.parquet").write_bytes(b"PAR1")
    refused = call(url, "materialize")
    assert json.loads(refused.stderr.splitlines()[-1])["error"]["kind"] == "corrupt"


def test_commands_that_would_write_beside_a_server_are_told_to_ask_it(root: Path, url: str) -> None:
    command = [binary(), "materialize", "--repo", str(root)]
    refused = subprocess.run(command, capture_output=True, text=True)
    assert f"go through it with --server {url} " in refused.stderr
    instead = f'go through it with hitherto.connect."{url}"'
    with pytest.raises(hitherto.ConflictError, match=instead):
        hitherto.connect(root)
    reading = subprocess.run([binary(), "inspect", "--repo", str(root)], capture_output=True)
    assert reading.returncode == 0


def test_a_server_that_only_reads_runs_beside_one_that_writes(root: Path, url: str) -> None:
    run(url, "materialize")
    command = [binary(), "serve", "--read-only", "--repo", str(root), "--listen", "127.0.0.1:0"]
    command += ["--now", LATER, "--output", "json"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        address = json.loads(process.stdout.readline())["address"]
        with hitherto.connect(f"http://{address}") as store:
            assert lactate(store, 1) == 1.0
            with pytest.raises(hitherto.InvalidError, match="reading only"):
                store.push("labs", facts([(1, 5, 5.0)]))
        assert "reading only" in call(f"http://{address}", "materialize", "--full").stderr
    finally:
        process.terminate()
        process.wait(timeout=30)
