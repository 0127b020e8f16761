"""What the tests of integrations share: a repository that a model was trained on, servers
over it, processes of neighbours, and the record of what each test has shown.

Each neighbour's folder is tested in an environment of its own: `test.sh` makes it.
"""

from __future__ import annotations

import asyncio
import contextlib
import inspect
import json
import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from importlib import metadata
from pathlib import Path
from statistics import median
from typing import Any

import hitherto
import numpy as np
import pytest
import risk

HERE = Path(__file__).resolve().parent

READY_SECONDS = 240
"""How long a neighbour may take to be ready, on a machine that does other things too."""

BATCH = 500
"""Entities of one request to a neighbour."""


@dataclass(frozen=True)
class Trained:
    """A model's repository, and what the model says of its training rows."""

    root: Path
    contract: dict[str, Any]
    matrix: Any
    expected: Any

    @property
    def manifest(self) -> Path:
        return self.root / "contract.json"


@pytest.fixture(scope="session")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Trained:
    """Trained here, unless `test.sh` has done it once for all neighbours."""
    root = Path(os.environ.get("HITHERTO_RISK", tmp_path_factory.mktemp("risk")))
    if not (root / "contract.json").exists():
        risk.train(root)
    contract = json.loads((root / "contract.json").read_text())
    matrix = np.load(root / "matrix.npy")
    expected = risk.Model().predict(matrix)
    assert len(set(expected.tolist())) > 0.99 * risk.PATIENTS
    return Trained(root, contract, matrix, expected)


@contextlib.contextmanager
def serving(root: Path, *options: str) -> Iterator[str]:
    """The URL of a server over a repository, which ends with the block."""
    command = [os.environ["HITHERTO_BIN"], "serve", "--listen", "127.0.0.1:0", "--now", risk.NOW]
    command += options
    process = subprocess.Popen(
        [*command, "--output", "json"], cwd=root, stdout=subprocess.PIPE, text=True
    )
    try:
        assert process.stdout is not None
        line = process.stdout.readline()
        assert line, f"the server ended with code {process.wait()} before it listened"
        yield json.loads(line)["url"]
    finally:
        process.terminate()
        assert process.wait(timeout=60) == 0


@pytest.fixture(scope="session")
def server(trained: Trained) -> Iterator[str]:
    """The server that the model belongs to."""
    with serving(trained.root, "--read-only") as url:
        yield url


@pytest.fixture(scope="session")
def other_server(trained: Trained, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A server whose view has another ttl than the model was trained on."""
    root = tmp_path_factory.mktemp("other") / "repository"
    shutil.copytree(trained.root, root)
    with hitherto.connect(root, now=risk.NOW) as store:
        store.apply(definitions=[*risk.DEFINITIONS[:2], replace(risk.LABS, ttl="1d"),
                                 *risk.DEFINITIONS[3:]])  # fmt: skip
    with serving(root, "--read-only") as url:
        yield url


REFUSAL = 'feature view "labs", ttl: 5d in training (version 1), 1d here (version 2)'
"""What every neighbour has to say when it is to serve the model from `other_server`."""

EXPIRED = 'the newest fact of feature view "vitals" has expired: it is older than 14d'
"""And when it is asked about `risk.EXPIRED`."""


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port: int = found.getsockname()[1]
        return port


@dataclass
class Neighbour:
    """A running process of a neighbour."""

    process: subprocess.Popen[bytes]
    log: Path

    def said(self) -> str:
        return self.log.read_text(errors="replace")


@pytest.fixture
def start(trained: Trained, tmp_path: Path) -> Iterator[Callable[..., Neighbour]]:
    """Starts processes that know where the server and the contract are, and ends them."""
    started: list[Neighbour] = []

    def begin(command: list[str], url: str, cwd: Path, *code: Path, **variables: str) -> Neighbour:
        log = tmp_path / f"{len(started)}.log"
        environment = {
            **os.environ,
            "HITHERTO_URL": url,
            "HITHERTO_DEADLINE": "30s",
            "HITHERTO_MANIFEST": str(trained.manifest),
            "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
            "PYTHONPATH": ":".join(map(str, [HERE, cwd, *code, os.environ["PYTHONPATH"]])),
            **variables,
        }
        with log.open("wb") as out:
            process = subprocess.Popen(
                command, cwd=cwd, env=environment, stdout=out, stderr=subprocess.STDOUT,
                start_new_session=True,
            )  # fmt: skip
        started.append(Neighbour(process, log))
        return started[-1]

    yield begin
    for neighbour in reversed(started):
        end(neighbour.process)


def end(process: subprocess.Popen[bytes]) -> None:
    """Ends a process and those that it started: they are a session of their own."""
    for signal in (15, 9):
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(timeout=20)
            return


def wait_until(ready: Callable[[], Any], neighbour: Neighbour) -> None:
    """Asks again until the answer is yes; fails if the process ends first."""
    until = time.monotonic() + READY_SECONDS
    while time.monotonic() < until:
        if neighbour.process.poll() is not None:
            pytest.fail(f"it ended before it was ready:\n{neighbour.said()[-8000:]}", pytrace=False)
        with contextlib.suppress(OSError):
            if ready():
                return
        time.sleep(0.1)
    pytest.fail(f"it was not ready in time:\n{neighbour.said()[-8000:]}", pytrace=False)


def refuses_to_start(neighbour: Neighbour, ready: Callable[[], Any]) -> None:
    """The process says why and serves nothing: it ends, or never becomes ready."""
    until = time.monotonic() + READY_SECONDS
    while time.monotonic() < until and REFUSAL not in neighbour.said():
        if neighbour.process.poll() is not None:
            break
        time.sleep(0.1)
    assert REFUSAL in neighbour.said(), neighbour.said()[-8000:]
    with contextlib.suppress(OSError):
        assert not ready()


def ask(url: str, body: Any = None, timeout_seconds: float = 120) -> tuple[int, bytes]:
    """Status and body of an answer; of a POST where there is a body."""
    data = json.dumps(body).encode() if isinstance(body, (dict, list)) else body
    asked = urllib.request.Request(url, data, {"Content-Type": "application/json"})
    try:
        with urllib.request.urlopen(asked, timeout=timeout_seconds) as answer:
            return answer.status, answer.read()
    except urllib.error.HTTPError as error:
        return error.code, error.read()


def is_ok(url: str) -> bool:
    return ask(url, timeout_seconds=5)[0] == 200


def check_bit_equal(
    trained: Trained, predict: Callable[[list[str]], Any], expected: Any = None
) -> None:
    """10,000 predictions, in requests of `BATCH` patients and one of one, are those of the
    training frame, every bit."""
    expected = trained.expected if expected is None else expected
    ids = risk.patient_ids()
    found = [predict(ids[place : place + BATCH]) for place in range(0, len(ids), BATCH)]
    served = np.concatenate([np.asarray(each, np.float64).ravel() for each in found])
    assert len(served) == risk.PATIENTS
    assert served.tobytes() == expected.tobytes()
    assert np.asarray(predict(ids[:1]), np.float64).ravel()[0] == expected[0]


OVERHEAD_MILLIS_MAX = 0.5
"""What an adapter may take beyond a lookup and a prediction, by the median."""

CALLS, ROUNDS_MAX = 100, 30


def check_overhead(name: str, features: hitherto.serving.Features, call: Callable[[], Any]) -> None:
    """`call` asks an adapter about one patient, in this process: its time less that of the
    lookup and the prediction alone, in turns.

    It is tried again until the median of a round is within the limit, and recorded as it is.
    Where more wants to run than there are cores, a hop between two threads takes as long as
    others let it; there the time that this process computed counts, and the record says so.
    """
    store, asked, model = features._store, list(features.manifest["features"]), risk.Model()

    async def measured(clock: Callable[[], float]) -> float:
        spent = []
        for _ in range(CALLS):
            begun = clock()
            model.predict(store.lookup({"patient_id": ["p00001"]}, asked).to_numpy())
            between = clock()
            answer = call()
            if inspect.isawaitable(answer):
                await answer
            spent.append(clock() - between - (between - begun))
        return median(spent) * 1e3

    for _ in range(ROUNDS_MAX):
        is_crowded = os.getloadavg()[0] > (os.cpu_count() or 1)
        clock = time.process_time if is_crowded else time.perf_counter
        overhead_millis = asyncio.run(measured(clock))
        if overhead_millis <= OVERHEAD_MILLIS_MAX:
            break
    line = {"adapter": name, "p50_millis": round(overhead_millis, 3), "clock": clock.__name__}
    record("overhead.jsonl", line)
    assert overhead_millis <= OVERHEAD_MILLIS_MAX


def record(name: str, line: dict[str, Any]) -> None:
    """Adds a line to a file of the run, if it keeps any."""
    if folder := os.environ.get("HITHERTO_MATRIX"):
        with (Path(folder) / name).open("a") as lines:
            lines.write(json.dumps(line) + "\n")


@pytest.fixture
def row(request: pytest.FixtureRequest) -> Iterator[Callable[..., None]]:
    """Records what a test has shown, for the table of docs/integrate/serving.md: which integration,
    which package judged and how. Nothing is recorded of a test that fails."""
    told: list[tuple[str, str, str]] = []
    begun = time.monotonic()
    yield lambda name, package, how="real process": told.append((name, package, how))
    for name, package, how in told if getattr(request.node, "passed", False) else []:
        line = {
            "integration": name,
            "judge": f"{package} {metadata.version(package)}",
            "how": how,
            "seconds": round(time.monotonic() - begun, 1),
        }
        record("rows.jsonl", line)


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: Any) -> Iterator[None]:
    outcome: Any = yield
    if call.when == "call":
        item.passed = outcome.get_result().passed  # type: ignore[attr-defined]
