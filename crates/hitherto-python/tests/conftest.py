"""What the tests share: the intensive-care repository, materialized once, in
this process and behind a server."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import hitherto
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

ROOT = Path(__file__).resolve().parents[3]
ICU = ROOT / "fixtures" / "icu"

SERVICE = "deterioration_v1"

#: When the clock stands still, here and in the server: after all of the data,
#: whose years are shifted into the future.
LATER = "2250-01-01T00:00:00Z"


def binary() -> str:
    """The binary `hitherto`: $HITHERTO_BIN, or the one of the last build."""
    target = Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target"))
    path = Path(os.environ.get("HITHERTO_BIN", target / "debug" / "hitherto"))
    if not path.exists():
        pytest.fail(f"{path} is not there; build it, or set HITHERTO_BIN", pytrace=False)
    return str(path)


@pytest.fixture(scope="session")
def repository(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of fixtures/icu, applied and materialized."""
    root = tmp_path_factory.mktemp("icu") / "repository"
    shutil.copytree(ICU, root, ignore=shutil.ignore_patterns(".hitherto"))
    with hitherto.connect(root) as store:
        store.apply()
        store.materialize()
    return root


@pytest.fixture(scope="session")
def embedded(repository: Path) -> Iterator[hitherto.Store]:
    with hitherto.connect(repository, now=LATER) as store:
        yield store


@contextlib.contextmanager
def serving(repository: Path, *options: str, now: str = LATER) -> Iterator[str]:
    """The URL of a server over a repository."""
    command = [binary(), "serve", "--listen", "127.0.0.1:0", "--now", now]
    command += ["--output", "json", *options]
    process = subprocess.Popen(command, cwd=repository, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        line = process.stdout.readline()
        assert line, f"the server ended with code {process.wait()} before it listened"
        yield json.loads(line)["url"]
    finally:
        process.terminate()
        assert process.wait(timeout=30) == 0


@pytest.fixture(scope="session")
def server(repository: Path) -> Iterator[str]:
    """The URL of a server over the same repository: it reads beside a writer."""
    with serving(repository, "--read-only") as url:
        yield url


@pytest.fixture(scope="session")
def remote(server: str) -> Iterator[hitherto.Store]:
    with hitherto.connect(server) as store:
        yield store


@pytest.fixture(params=["embedded", "remote"])
def store(request: pytest.FixtureRequest) -> hitherto.Store:
    """Both stores, one after the other: one API."""
    found: hitherto.Store = request.getfixturevalue(request.param)
    return found


@pytest.fixture(scope="session")
def spine() -> pa.Table:
    """Every stay every six hours; label: died in hospital."""
    return pq.read_table(ICU / "spine.parquet")


@pytest.fixture(scope="session")
def joined(embedded: hitherto.Store, spine: pa.Table) -> pa.Table:
    """The whole training set of the service, once."""
    return embedded.training_set(spine, service=SERVICE, full_names=True).to_arrow()


@dataclass
class Repository:
    """A repository of one view over a folder of facts, for what the real data
    does not have."""

    root: Path

    def write(
        self, facts: pa.Table, keys: dict[str, str], features: dict[str, str], copies: int = 1
    ) -> None:
        data = self.root / "data"
        data.mkdir(parents=True)
        pq.write_table(facts, data / "0.parquet")
        for copy in range(1, copies):
            (data / f"{copy}.parquet").hardlink_to(data / "0.parquet")
        listed = {
            part: "".join(
                f"    - {{ name: {name}, type: '{kind}' }}\n" for name, kind in fields.items()
            )
            for part, fields in (("keys", keys), ("features", features))
        }
        (self.root / "definitions.yaml").write_text(
            "apiVersion: hitherto/v1\nkind: Entity\nmetadata: { name: thing }\n"
            f"spec:\n  keys:\n{listed['keys']}"
            "---\n"
            "apiVersion: hitherto/v1\nkind: FeatureView\nmetadata: { name: facts }\n"
            "spec:\n  entity: thing\n"
            "  source: { parquet: data/, eventTime: e }\n"
            f"  features:\n{listed['features']}"
            "  online: { history: 7d }\n"
        )


@pytest.fixture
def small(tmp_path: Path) -> Repository:
    return Repository(tmp_path / "small")


@pytest.fixture(scope="session")
def endless(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A repository, applied, whose 300 million facts nobody waits for: one file
    of a million under many names."""
    rows = 1_000_000
    event = pa.scalar(0, pa.timestamp("us", tz="UTC"))
    facts = pa.table(
        {
            "id": pa.array(range(rows), pa.int64()),
            "e": pa.repeat(event, rows),
            "value": pa.repeat(pa.scalar(1, pa.int64()), rows),
        }
    )
    repository = Repository(tmp_path_factory.mktemp("endless") / "repository")
    repository.write(facts, keys={"id": "int64"}, features={"value": "int64"}, copies=300)
    with hitherto.connect(repository.root) as store:
        store.apply()
    return repository.root
