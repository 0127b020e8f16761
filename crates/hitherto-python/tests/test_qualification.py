"""The qualification of the compliance kit, as whoever qualifies an installation runs it."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import hitherto
import pytest
from conftest import ICU, binary

SCRIPT = ICU.parents[1] / "docs" / "compliance" / "qualify" / "qualify.py"


def qualify(kind: str, out: Path, *words: str, hitherto: str = "") -> tuple[int, dict[str, Any]]:
    command = [sys.executable, str(SCRIPT), kind, "--out", str(out), *words]
    command += ["--hitherto", hitherto or binary(), "--by", "Ada"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    found: dict[str, Any] = json.loads((out / f"{kind}.json").read_text())
    assert "<h1>" in (out / f"{kind}.html").read_text()
    return done.returncode, found


def failed(found: dict[str, Any]) -> list[str]:
    return [f"{each['name']}: {each['observed']}" for each in found["steps"]
            if each["verdict"] != "pass"]  # fmt: skip


def test_its_operation_is_qualified_and_signed(tmp_path: Path) -> None:
    key, public = tmp_path / "key.pem", tmp_path / "public.pem"
    make = ["openssl", "genpkey", "-algorithm", "ed25519", "-out", str(key)]
    subprocess.run(make, check=True, capture_output=True)
    show = ["openssl", "pkey", "-in", str(key), "-pubout", "-out", str(public)]
    subprocess.run(show, check=True, capture_output=True)
    code, found = qualify("oq", tmp_path, "--sign", str(key))
    assert failed(found) == []
    assert code == 0 and found["passed"] and found["by"] == "Ada" and len(found["steps"]) == 10
    assert all(step["requirement"] and step["observed"] for step in found["steps"])
    check = ["openssl", "pkeyutl", "-verify", "-pubin", "-inkey", str(public), "-rawin"]
    check += ["-in", str(tmp_path / "oq.json"), "-sigfile", str(tmp_path / "oq.json.sig")]
    assert subprocess.run(check, capture_output=True, check=False).returncode == 0


def test_a_binary_that_answers_wrongly_does_not_pass(tmp_path: Path) -> None:
    """One that looks a day further ahead than it is asked to."""
    liar = tmp_path / "liar"
    liar.write_text(
        f'#!/bin/sh\ncase "$1" in get) shift; exec {binary()} get '
        '"$@" --as-of 2030-01-01T23:00:00Z;; esac\n'
        f'exec {binary()} "$@"\n'
    )
    liar.chmod(0o755)
    code, found = qualify("oq", tmp_path, hitherto=str(liar))
    assert code == 1 and not found["passed"]
    assert any(step["name"] == "lookups" for step in found["steps"] if step["verdict"] == "fail")


def test_an_installation_and_its_repository_are_qualified(tmp_path: Path) -> None:
    root = tmp_path / "repository"
    shutil.copytree(ICU, root, ignore=shutil.ignore_patterns(".hitherto"))
    with hitherto.connect(root) as store:
        store.apply()
        store.materialize(progress=False)
    sums = tmp_path / "SHA256SUMS"
    made = subprocess.run(["sha256sum", binary()], capture_output=True, text=True, check=True)
    sums.write_text(made.stdout)
    code, found = qualify("iq", tmp_path, "--repo", str(root), "--checksums", str(sums))
    assert failed(found) == [] and code == 0
    sums.write_text(f"{'0' * 64}  hitherto\n")
    code, found = qualify("iq", tmp_path, "--repo", str(root), "--checksums", str(sums))
    assert code == 1 and failed(found)[0].startswith("release")
    code, found = qualify("pq", tmp_path, "--repo", str(root), "--samples", "50")
    assert failed(found) == [] and code == 0


def tests_there_are() -> set[str]:
    """Names of all tests, in Rust and in Python."""
    repository = SCRIPT.parents[3]
    files = [*(repository / "crates").rglob("*.*"), *(repository / "tests").rglob("*.*")]
    sources = [file for file in files if file.suffix in (".rs", ".py") and "test" in str(file)]
    text = "".join(file.read_text() for file in sources)
    return set(re.findall(r"(?:fn|def) (\w+)\(", text))


@pytest.mark.parametrize(("page", "least"), [("hipaa.md", 12), ("part11.md", 14)])
def test_each_requirement_says_what_shows_it(page: str, least: int) -> None:
    lines = (SCRIPT.parents[1] / page).read_text().splitlines()
    rows = [line.split(" | ") for line in lines if line.startswith(("| 1", "| ("))]
    assert len(rows) >= least
    there = tests_there_are()
    for row in rows:
        named = re.findall(r"`(\w+)`", row[2])
        assert named or row[2].startswith("nothing: "), row[0]
        assert not (lost := [name for name in named if name not in there]), (row[0], lost)
