"""hitherto doctor: each check says what is wrong, odd or fine, and what mends it."""

from __future__ import annotations

import json
import os
import socket
import subprocess
from pathlib import Path
from typing import Any

import pytest
from conftest import binary, serving
from test_push import DEFINITIONS, LATER, applied


def look(*words: str, code: int = 0, **environment: str) -> dict[str, dict[str, Any]]:
    """Findings by subject and check."""
    command = [binary(), "doctor", "--output", "json", *words]
    env = {**os.environ, **environment}
    done = subprocess.run(command, capture_output=True, text=True, env=env)
    assert done.returncode == code, done.stderr + done.stdout
    return {
        subject["subject"]: {finding["check"]: finding for finding in subject["findings"]}
        for subject in json.loads(done.stdout)["subjects"]
    }


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return applied(tmp_path / "repository")


def test_what_is_fine_and_what_is_still_to_be_done(root: Path) -> None:
    found = look("--repo", str(root), "--now", LATER)
    assert {"machine", "configuration", "repository", "store"} <= set(found)
    assert found["repository"]["definitions"]["verdict"] == "fine"
    assert found["repository"]["sources"]["verdict"] == "fine"
    online = found["repository"]["online"]
    assert (online["verdict"], online["mend"]) == ("odd", "hitherto materialize")
    assert found["store"]["held by"]["found"] == "nobody"

    text = (root / "labs.yaml").read_text()
    (root / "labs.yaml").write_text(text.replace(", { name: note, type: string }", ""))
    changed = look("--repo", str(root), "--now", LATER)["repository"]["applied"]
    assert (changed["verdict"], changed["mend"]) == ("odd", "hitherto plan, then hitherto apply")


def test_a_folder_that_is_no_repository_is_told_how_to_begin(tmp_path: Path) -> None:
    empty = tmp_path / "nothing"
    folder = look("--repo", str(empty))["repository"]["folder"]
    assert folder["verdict"] == "odd" and f"hitherto init {empty}" in folder["mend"]


def test_definitions_and_sources_that_are_wrong_fail_it(root: Path) -> None:
    (root / "labs.yaml").write_text(DEFINITIONS.replace("entity: stay", "entity: stya"))
    wrong = look("--repo", str(root), code=2)["repository"]["definitions"]
    assert wrong["verdict"] == "wrong" and 'did you mean "stay"?' in wrong["found"]
    (root / "labs.yaml").write_text(DEFINITIONS)
    next((root / "labs").iterdir()).unlink()
    found = look("--repo", str(root), code=2)["repository"]
    assert "wrong" in {finding["verdict"] for finding in found.values()}


def test_a_configuration_that_cannot_be_is_wrong(root: Path) -> None:
    (root / "hitherto.yaml").write_text("cashe: 1GiB\n")
    found = look("--repo", str(root), code=2)["configuration"]
    file = found["hitherto.yaml"]
    assert file["verdict"] == "wrong" and "cache" in file["found"]
    (root / "hitherto.yaml").write_text("server: { listen: 0.0.0.0:7411, tokenFile: gone }\n")
    found = look("--repo", str(root), code=2)["configuration"]
    assert found["server"]["verdict"] == "wrong" and "gone" in found["server"]["found"]
    assert found["hitherto.yaml"]["found"].startswith("2 settings of its own")
    (root / "hitherto.yaml").write_text("server: { listen: 0.0.0.0:7411 }\n")
    found = look("--repo", str(root), code=2)["configuration"]
    assert found["server"]["verdict"] == "wrong" and "refuse" in found["server"]["found"]
    open_to_all = "server: { listen: 0.0.0.0:7411, allowAnonymous: true }\n"
    (root / "hitherto.yaml").write_text(open_to_all)
    found = look("--repo", str(root), HITHERTO_REPOS="x")["configuration"]
    assert found["server"]["verdict"] == "odd" and "tokenFile" in found["server"]["mend"]
    assert found["environment"]["mend"] == "unset HITHERTO_REPOS"


def test_a_store_of_a_newer_release_is_wrong(root: Path) -> None:
    (root / ".hitherto" / "online" / "FORMAT").write_text("99\n")
    found = look("--repo", str(root), code=2)["store"]["store"]
    assert found["verdict"] == "wrong" and "format 99" in found["found"]


def test_a_server_is_looked_at_and_a_lock_is_named(root: Path) -> None:
    with serving(root, now=LATER) as url:
        found = look("--repo", str(root), "--now", LATER)
        assert url in found["store"]["held by"]["found"]
        assert found["server"]["reached"]["found"] == url
        alone = look("--server", url)
        assert set(alone) == {"machine", "configuration", "server"}
        assert alone["server"]["health"]["found"] == "serving"
        assert alone["server"]["release"]["verdict"] == "fine"
        assert alone["server"]["views"]["mend"] == f"hitherto materialize --server {url}"
    gone = look("--server", url, code=2)["server"]["reached"]
    assert gone["verdict"] == "wrong" and "no server answers" in gone["found"]
    # Another process has its port now: its note is no reason to look there.
    with socket.create_server(("127.0.0.1", int(url.rsplit(":", 1)[1]))):
        gone = look("--repo", str(root), "--now", LATER)["server"]
    assert gone["reached"]["verdict"] == "fine" and "no process" in gone["reached"]["found"]
    assert set(gone) == {"reached"}
    assert look("--repo", str(root), "--now", LATER)["store"]["held by"]["found"] == "nobody"
