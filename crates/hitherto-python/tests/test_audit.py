"""hitherto audit: a server's calls recorded, found, checked by others, and what was changed."""

from __future__ import annotations

import base64
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import hitherto
import pytest
from conftest import ROOT, binary, serving
from test_push import LATER, applied

#: Checks a log with hashlib and openssl alone.
JUDGE = ROOT / "docs" / "operate" / "verify_audit.py"


def run(root: Path, *words: str, code: int = 0) -> Any:
    command = [binary(), "audit", *words, "--repo", str(root), "--output", "json"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == code, done.stderr + done.stdout
    return done


@pytest.fixture
def root(tmp_path: Path) -> Path:
    root = applied(tmp_path / "repository")
    with hitherto.connect(root, now=LATER) as store:
        store.materialize(progress=False)
    (root / "hitherto.yaml").write_text("audit: { level: strict, retention: 6y }\n")
    with serving(root, now=LATER) as url, hitherto.connect(url) as store:
        store.lookup({"stay_id": [1, 2]}, ["labs:*"])
        with pytest.raises(hitherto.NotFoundError):
            store.lookup({"stay_id": [1]}, ["nothing:x"])
    return root


def test_calls_are_found_by_who_and_of_whom(root: Path) -> None:
    found = json.loads(run(root, "find", "--method", "lookup").stdout)["records"]
    assert [record["outcome"] for record in found] == ["ok", "not_found"]
    first = found[0]
    assert (first["caller"], first["entities"], len(first["hashes"])) == ("anonymous", 2, 2)
    assert not first["time"].startswith(LATER[:10]), "it is the world's time and not the answer's"
    entity = ["--entity", "stay", "--key", "stay_id=1"]
    of_one = json.loads(run(root, "find", *entity).stdout)["records"]
    # What failed had no answer, and says of how many only.
    assert [(one["outcome"], one["is_certain"]) for one in of_one] == [
        ("ok", True),
        ("not_found", False),
    ]
    of_nobody = ["--entity", "stay", "--key", "stay_id=3"]
    found = json.loads(run(root, "find", *of_nobody).stdout)["records"]
    assert [one["is_certain"] for one in found] == [False]
    lines = run(root, "export").stdout.splitlines()
    events = [json.loads(line)["event"] for line in lines]
    assert (events[0], events[-1]) == ("started", "stopped")
    assert len(events) == json.loads(run(root, "verify").stdout)["records"]


def test_others_check_the_same_log(root: Path) -> None:
    log = root / "audit"
    judged = subprocess.run([sys.executable, str(JUDGE), str(log)], capture_output=True, text=True)
    assert judged.returncode == 0, judged.stderr
    note = (root / "audit-keys" / "last.checkpoint").read_text()
    text, signed = note.split("\n\n")[:2]
    (root / "text").write_text(text + "\n")
    (root / "signature").write_bytes(base64.b64decode(signed.split(" ")[-1])[4:])
    check = ["openssl", "pkeyutl", "-verify", "-rawin", "-pubin", "-inkey", str(log / "key.pem")]
    check += ["-in", str(root / "text"), "-sigfile", str(root / "signature")]
    assert subprocess.run(check, capture_output=True).returncode == 0


def test_what_was_changed_is_named(root: Path) -> None:
    assert json.loads(run(root, "verify").stdout)["problem"] is None
    path = root / "audit" / "0000000000000000.audit"
    data = path.read_bytes()
    at = data.index(b"not_found")
    path.write_bytes(data.replace(b"not_found", b"not_fount"))
    done = run(root, "verify", code=6)
    problem = json.loads(done.stdout)["problem"]
    assert problem["file"] == path.name and problem["offset"] < at
    assert "is not what was written" in done.stderr
    judged = subprocess.run(
        [sys.executable, str(JUDGE), str(path.parent)], capture_output=True, text=True
    )
    assert judged.returncode != 0 and f"record {problem['record']}" in judged.stderr
    command = [binary(), "doctor", "--repo", str(root), "--output", "json", "--now", LATER]
    doctor = subprocess.run(command, capture_output=True, text=True)
    subjects = json.loads(doctor.stdout)["subjects"]
    log = next(subject for subject in subjects if subject["subject"] == "audit log")
    assert {finding["check"]: finding["verdict"] for finding in log["findings"]}["log"] == "wrong"


def test_an_older_copy_is_not_taken_for_the_log(root: Path) -> None:
    older = {path.name: path.read_bytes() for path in (root / "audit").glob("0*")}
    with serving(root, now=LATER) as url, hitherto.connect(url) as store:
        store.lookup({"stay_id": [1]}, ["labs:*"])
    for path in (root / "audit").glob("0*"):
        path.unlink()
    for name, data in older.items():
        (root / "audit" / name).write_bytes(data)
    assert "set back" in run(root, "verify", code=6).stderr
    command = [binary(), "serve", "--repo", str(root), "--listen", "127.0.0.1:0"]
    refused = subprocess.run(command, capture_output=True, text=True)
    assert refused.returncode == 6 and "audit verify" in refused.stderr


def test_a_hold_is_placed_and_lifted_beside_a_server(root: Path) -> None:
    with serving(root, now=LATER):
        run(root, "hold", "add", "CASE-7", "--reason", "an inquiry")
        held = json.loads(run(root, "hold").stdout)["holds"]
        assert [hold["name"] for hold in held] == ["CASE-7"]
        run(root, "hold", "add", "CASE-7", "--reason", "again", code=4)
    run(root, "hold", "lift", "CASE-7")
    run(root, "hold", "lift", "CASE-7", code=3)
    lines = run(root, "export").stdout.splitlines()
    held = [record for record in map(json.loads, lines) if record["event"] == "held"]
    assert "CASE-7" in held[0]["detail"] and "an inquiry" in held[0]["detail"]
