"""Plan, apply, materialize and rollback: one body for a repository and a server."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import hitherto
import pytest
from conftest import binary, serving
from test_push import DEFINITIONS, LATER, applied


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return applied(tmp_path / "repository")


@pytest.fixture(params=["embedded", "remote"])
def store(request: pytest.FixtureRequest, root: Path) -> Iterator[hitherto.Store]:
    if request.param == "embedded":
        with hitherto.connect(root, now=LATER) as opened:
            yield opened
    else:
        with serving(root, now=LATER) as url, hitherto.connect(url) as opened:
            yield opened


def test_the_same_calls_do_the_same(store: hitherto.Store, root: Path) -> None:
    plan = store.plan()
    assert len(plan) == 0 and "nothing to change" in str(plan)
    told: list[str] = []
    [done] = store.materialize(progress=lambda view, facts, rows: told.append(view))
    assert (done["view"], done["mode"], done["facts"]) == ("labs", "full", 2)
    assert set(told) <= {"labs"}
    [again] = store.materialize(["labs"])
    assert again["is_up_to_date"] is True
    [anew] = store.materialize(full=True)
    assert (anew["mode"], anew["facts"]) == ("full", 2)
    assert store.rollback("labs") == {"view": "labs", "from": 2, "to": 1}

    (root / "labs.yaml").write_text(DEFINITIONS.replace("history: 7d", "history: 2d"))
    plan, stale = store.plan(), store.plan()
    assert [(change["action"], change["name"]) for change in plan.changes] == [("update", "labs")]
    assert store.apply(plan) is plan and len(store.plan()) == 0
    with pytest.raises(hitherto.ConflictError, match="plan again"):
        store.apply(stale)
    for call in (store.materialize, store.rollback):
        with pytest.raises(hitherto.NotFoundError, match="labs"):
            call(["lab"] if call == store.materialize else "lab")  # type: ignore[operator]
    (root / "labs.yaml").write_text("kind: Nonsense")
    with pytest.raises(hitherto.InvalidError, match=r"labs\.yaml"):
        store.plan()


def test_what_is_told_can_end_a_servers_work(endless: Path) -> None:
    def tell(view: str, facts: int, rows: int) -> None:
        raise ValueError(f"enough of {view}")

    with serving(endless) as url, hitherto.connect(url) as store:
        with pytest.raises(ValueError, match="enough of facts"):
            store.materialize(progress=tell)
        # It has ended there: a second one begins.
        with pytest.raises(ValueError, match="enough of facts"):
            store.materialize(progress=tell)


def test_ctrl_c_cancels_the_job(endless: Path) -> None:
    script = (
        "import sys, hitherto\n"
        "store = hitherto.connect(sys.argv[1])\n"
        "store.materialize(progress=lambda *told: print('begun', flush=True))"
    )
    with serving(endless) as url:
        command = [sys.executable, "-c", script, url]
        process = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        assert process.stdout is not None
        assert process.stdout.readline() == "begun\n"
        sent = time.monotonic()
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=30)
        assert time.monotonic() - sent < 3 and errors.rstrip().endswith("KeyboardInterrupt")
        jobs = [binary(), "jobs", "list", "--server", url, "--output", "json"]
        listed = subprocess.run(jobs, capture_output=True, text=True, check=True).stdout
        assert [job["state"] for job in json.loads(listed)] == ["cancelled"]
