"""Signals, threads and fork: the engine as a good citizen of a Python process."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import hitherto
import pyarrow as pa
import pytest

# It is noticed within 50 ms; the rest is for a busy machine and the interpreter's
# end. What is interrupted here would go on for minutes.
SOON = 3.0


@pytest.fixture
def silent() -> Iterator[str]:
    """A server that accepts connections and never says a word."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"


PREPARED = """
import sys, pyarrow as pa, hitherto
target = sys.argv[1]
spine = pa.table({"id": [1], "event_timestamp": pa.array([10**6], pa.timestamp("us"))})
"""

LONG_CALLS = {
    "to_arrow": "hitherto.connect(target).training_set(spine, ['facts:*']).to_arrow()",
    # A stream's consumer raises an error of its own. Ctrl-C is raised beside it,
    # so that a loop which tries again is left all the same.
    "stream": "store = hitherto.connect(target)\n"
    "while True:\n"
    " stream = store.training_set(spine, ['facts:*'])\n"
    " try: pa.RecordBatchReader.from_stream(stream).read_all()\n"
    " except pa.ArrowInvalid: pass",
    "materialize": "hitherto.connect(target).materialize()",
    "server": "hitherto.connect(target).lookup({'id': [1]}, ['facts:*'])",
}


@pytest.mark.parametrize("call", LONG_CALLS)
def test_ctrl_c_ends_a_call(endless: Path, silent: str, call: str) -> None:
    target = silent if call == "server" else str(endless)
    script = f"{PREPARED}print('begun')\n{LONG_CALLS[call]}\nsys.exit('finished')"
    command = [sys.executable, "-u", "-c", script, target]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        assert process.stdout.readline() == "begun\n", process.communicate()[1]
        # Long enough for the call to begin; it cannot have ended.
        time.sleep(0.5)
        assert process.poll() is None, process.communicate()[1]
        sent = time.monotonic()
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=30)
        assert time.monotonic() - sent < SOON
        assert errors.rstrip().endswith("KeyboardInterrupt")
    finally:
        process.kill()
    if call == "materialize":
        with hitherto.connect(endless) as store:
            assert store.catalog()["views"][0]["generation"] is None


def test_progress_is_told_and_can_end_the_call(endless: Path) -> None:
    script = (
        "import hitherto, sys\n"
        "def tell(view, facts, rows):\n"
        "    assert facts <= rows and rows > 0, (facts, rows)\n"
        "    raise ValueError('enough of ' + view)\n"
        "hitherto.connect(sys.argv[1]).materialize(progress=tell)\n"
    )
    command = [sys.executable, "-c", script, str(endless)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=30)
    assert done.stderr.rstrip().endswith("ValueError: enough of facts"), done.stderr
    with hitherto.connect(endless) as store:
        assert store.catalog()["views"][0]["generation"] is None


def test_other_threads_run_during_a_call(endless: Path) -> None:
    """A call that cannot end in time is made in one thread; this one goes on."""
    script = (
        f"{PREPARED}import threading, time, os\n"
        "long = hitherto.connect(target).training_set(spine, ['facts:*'])\n"
        "call = threading.Thread(target=long.to_arrow, daemon=True)\n"
        "call.start()\n"
        "for _ in range(100): time.sleep(0.001)\n"
        "print('ticked' if call.is_alive() else 'ended', flush=True)\n"
        "os._exit(0)"
    )
    command = [sys.executable, "-u", "-c", script, str(endless)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=30)
    assert done.stdout == "ticked\n", done.stderr


AFTER_CTRL_C = """
store = hitherto.connect(target)
long = store.training_set(spine, ['facts:*'])
print('begun')
try: long.to_arrow()
except KeyboardInterrupt: pass
else: sys.exit('finished')
try: long.to_arrow()
except hitherto.InvalidError as error: assert 'interrupted' in str(error), error
else: sys.exit('ran again')
assert store.catalog()['version'] == 1
print('usable')
"""


def test_after_ctrl_c_the_training_set_is_over_and_the_store_usable(endless: Path) -> None:
    command = [sys.executable, "-u", "-c", PREPARED + AFTER_CTRL_C, str(endless)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        assert process.stdout.readline() == "begun\n", process.communicate()[1]
        time.sleep(0.5)
        process.send_signal(signal.SIGINT)
        output, errors = process.communicate(timeout=30)
        assert (process.returncode, output) == (0, "usable\n"), errors
    finally:
        process.kill()


def test_many_threads_share_a_store(store: hitherto.Store, joined: pa.Table) -> None:
    rows = joined.slice(0, 40).to_pylist()
    wrong: list[object] = []

    def look(row: dict[str, object]) -> None:
        keys = {"hospitalization_id": [row["hospitalization_id"]]}
        for _ in range(5):
            found = store.lookup(keys, ["creatinine:*"], as_of=row["event_timestamp"])  # type: ignore[arg-type]
            if found.to_dict()["creatinine:creatinine_mg_dl"] != [
                row["creatinine:creatinine_mg_dl"]
            ]:
                wrong.append(row)

    threads = [threading.Thread(target=look, args=(row,)) for row in rows]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_a_child_of_fork_has_its_own_store(store: hitherto.Store, spine: pa.Table) -> None:
    keys = {"patient_id": ["10000032"]}
    asked = ["patient_attributes:*"]
    expected = store.lookup(keys, asked).to_dict()
    unread = store.training_set(spine, ["lactate:*"])
    child = os.fork()
    if child == 0:
        code = 1
        try:
            assert store.lookup(keys, asked).to_dict() == expected
            assert store.training_set(spine, ["lactate:*"]).to_arrow().num_rows == 8139
            try:
                unread.to_arrow()
            except hitherto.InvalidError as error:
                assert "fork" in str(error)
                del unread
                code = 0
        finally:
            os._exit(code)
    deadline = time.monotonic() + 20
    while (ended := os.waitpid(child, os.WNOHANG))[0] == 0:
        if time.monotonic() > deadline:
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)
            pytest.fail("the child of fork hangs")
        time.sleep(0.01)
    assert os.waitstatus_to_exitcode(ended[1]) == 0
    # The parent goes on as before.
    assert store.lookup(keys, asked).to_dict() == expected
    assert unread.to_arrow().num_rows == 8139
