"""Sources in each object store, and state that processes share there."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import hitherto
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pyarrow.fs import AzureFileSystem, FileSystem, S3FileSystem

CACHE = Path(os.environ["HITHERTO_STORES"])
BENCHES = os.environ["HITHERTO_BENCHES"]
ACCESS, SECRET = "an-access-key", "a-secret-key"
# Azurite's own, which everybody knows.
ACCOUNT = "devstoreaccount1"
ACCOUNT_KEY = (
    "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="
)

YAML = """
apiVersion: hitherto/v1
kind: Entity
metadata: {{ name: stay }}
spec: {{ keys: [{{ name: stay, type: int64 }}] }}
---
apiVersion: hitherto/v1
kind: FeatureView
metadata: {{ name: labs }}
spec:
  entity: stay
  source: {{ parquet: "{parquet}", eventTime: drawn }}
  features: [{{ name: value, type: float64 }}]
"""


@dataclass
class Served:
    """A store that runs: how it is read, and how a test writes to it."""

    url: str
    environment: dict[str, str]
    put: Callable[[str, bytes], None]


def free_ports(count: int) -> list[int]:
    import socket

    sockets = [socket.socket() for _ in range(count)]
    for one in sockets:
        one.bind(("127.0.0.1", 0))
    ports: list[int] = [one.getsockname()[1] for one in sockets]
    for one in sockets:
        one.close()
    return ports


@contextmanager
def running(command: list[str], folder: Path, is_up: Callable[[], object]) -> Iterator[None]:
    """A server, from its first answer to the end of the block."""
    with (folder / "log").open("w") as log:
        server = subprocess.Popen(command, cwd=folder, stdout=log, stderr=log)
    try:
        until = time.monotonic() + 60
        while True:
            try:
                is_up()
                break
            except OSError:
                assert server.poll() is None, (folder / "log").read_text()
                assert time.monotonic() < until, (folder / "log").read_text()
                time.sleep(0.2)
        yield
    finally:
        server.kill()
        server.wait(timeout=30)


def writer(files: FileSystem) -> Callable[[str, bytes], None]:
    def put(key: str, data: bytes) -> None:
        with files.open_output_stream(f"facts/{key}") as out:
            out.write(data)

    return put


@pytest.fixture(scope="module")
def s3(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    folder = tmp_path_factory.mktemp("seaweed")
    credentials = [{"accessKey": ACCESS, "secretKey": SECRET}]
    identity = {
        "name": "owner", "credentials": credentials, "actions": ["Admin", "Read", "Write", "List"],
    }  # fmt: skip
    (folder / "s3.json").write_text(json.dumps({"identities": [identity]}))
    names = ["master.port", "master.port.grpc", "volume.port", "volume.port.grpc"]
    names += ["filer.port", "filer.port.grpc", "s3.port.grpc", "s3.port"]
    ports = dict(zip(names, free_ports(len(names)), strict=True))
    command = [str(Path(sys.executable).parent / "weed"), "server", "-s3", f"-dir={folder}"]
    command += ["-ip=127.0.0.1", "-ip.bind=127.0.0.1", f"-s3.config={folder / 's3.json'}"]
    command += [f"-{name}={port}" for name, port in ports.items()]
    address = f"127.0.0.1:{ports['s3.port']}"
    environment = {
        "AWS_ENDPOINT": f"http://{address}", "AWS_ALLOW_HTTP": "true", "AWS_REGION": "us-east-1",
        "AWS_ACCESS_KEY_ID": ACCESS, "AWS_SECRET_ACCESS_KEY": SECRET,
    }  # fmt: skip

    def client() -> FileSystem:
        return S3FileSystem(
            access_key=ACCESS, secret_key=SECRET, endpoint_override=address, scheme="http",
            region="us-east-1", allow_bucket_creation=True, connect_timeout=2, request_timeout=10,
        )  # fmt: skip

    with running(command, folder, lambda: client().create_dir("facts")):
        yield Served("s3://facts", environment, writer(client()))


@pytest.fixture(scope="module")
def azure(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    folder = tmp_path_factory.mktemp("azurite")
    (port,) = free_ports(1)
    address = f"127.0.0.1:{port}"
    command = [str(CACHE / "node_modules/.bin/azurite-blob"), "--location", str(folder)]
    command += ["--blobHost", "127.0.0.1", "--blobPort", str(port), "--silent"]
    command += ["--skipApiVersionCheck", "--disableTelemetry"]
    environment = {
        "AZURE_STORAGE_USE_EMULATOR": "true", "AZURITE_BLOB_STORAGE_URL": f"http://{address}",
    }  # fmt: skip

    def client() -> FileSystem:
        return AzureFileSystem(
            account_name=ACCOUNT, account_key=ACCOUNT_KEY, blob_storage_authority=address,
            dfs_storage_authority=address, blob_storage_scheme="http", dfs_storage_scheme="http",
        )  # fmt: skip

    with running(command, folder, lambda: client().create_dir("facts")):
        yield Served("az://facts", environment, writer(client()))


@pytest.fixture(scope="module")
def google(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    folder = tmp_path_factory.mktemp("google")
    (port,) = free_ports(1)
    address = f"http://127.0.0.1:{port}"
    command = [str(CACHE / "python/bin/gcp-storage-emulator"), "start", "--host=127.0.0.1"]
    command += [f"--port={port}", "--in-memory", "--default-bucket=facts"]
    environment = {"GOOGLE_BASE_URL": address, "GOOGLE_SKIP_SIGNATURE": "true"}

    def put(key: str, data: bytes) -> None:
        name = urllib.parse.quote(key, safe="")
        url = f"{address}/upload/storage/v1/b/facts/o?uploadType=media&name={name}"
        request = urllib.request.Request(url, data, {"Content-Type": "application/octet-stream"})
        urllib.request.urlopen(request, timeout=10).close()

    with running(command, folder, lambda: put("ready", b"x")):
        yield Served("gs://facts", environment, put)


@pytest.fixture(params=["s3", "azure"])
def store(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Served:
    served: Served = request.getfixturevalue(request.param)
    for name, value in served.environment.items():
        monkeypatch.setenv(name, value)
    return served


def facts(values: dict[int, float], day: int) -> bytes:
    rows = pa.table(
        {
            "stay": pa.array(values, pa.int64()),
            "drawn": pa.array([day * 86_400_000_000] * len(values), pa.timestamp("us", tz="UTC")),
            "value": pa.array(values.values(), pa.float64()),
        }
    )
    sink = pa.BufferOutputStream()
    pq.write_table(rows, sink)
    return bytes(sink.getvalue())


def test_a_source_lies_in_each_store(store: Served, tmp_path: Path) -> None:
    store.put("labs/day=1/a.parquet", facts({1: 1.0, 2: 2.0}, 1))
    (tmp_path / "labs.yaml").write_text(YAML.format(parquet=f"{store.url}/labs"))
    spine = pa.table(
        {
            "stay": pa.array([1, 2, 3], pa.int64()),
            "event_timestamp": pa.array([3 * 86_400_000_000] * 3, pa.timestamp("us", tz="UTC")),
        }
    )
    with hitherto.connect(tmp_path) as here:

        def values() -> list[float | None]:
            found = here.lookup({"stay": [1, 2, 3]}, features=["labs:value"]).to_dict()
            rows = here.training_set(spine, features=["labs:value"]).to_arrow()
            assert rows["value"].to_pylist() == found["labs:value"]
            return list(found["labs:value"])

        here.apply()
        here.materialize()
        assert values() == [1.0, 2.0, None]
        (again,) = here.materialize()
        assert again["is_up_to_date"]
        store.put("labs/day=2/100% of [b].parquet", facts({2: 20.0, 3: 30.0}, 2))
        (second,) = here.materialize()
        assert (second["mode"], second["files"]) == ("incremental", 1)
        assert values() == [1.0, 20.0, 30.0]
        assert here.verify(samples=20)["differences"] == 0


def share(store: Served, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [BENCHES, "sharing", "--root", f"{store.url}/shared", *arguments]
    environment = os.environ | store.environment
    return subprocess.run(
        command, env=environment, capture_output=True, text=True, timeout=3600, check=False
    )


def test_what_processes_share_is_neither_lost_nor_led_by_two(store: Served) -> None:
    commits = int(os.environ.get("HITHERTO_COMMITS", "40"))
    kills = int(os.environ.get("HITHERTO_LEADER_KILLS", "8"))
    stops = kills // 4
    asked = [f"--commits={commits}", f"--kills={kills}", f"--stops={stops}"]
    done = share(store, *asked, "--term=1" if kills > 50 else "--term=0.6")
    assert done.returncode == 0, done.stderr
    print(done.stdout)
    found = json.loads(done.stdout)
    assert found["commits"]["versions"] == 8 * commits
    assert found["leaders"]["leaders"] >= kills + stops


def test_google_is_not_proven(google: Served) -> None:
    """Its emulator answers no HEAD, and writes whatever the condition is.

    Google's own refuses such a write with 412. A test that fails here says that the emulator has
    learnt it, and belongs with the others then.
    """
    url = f"{google.environment['GOOGLE_BASE_URL']}/facts/condition"
    condition = {"x-goog-if-generation-match": "0"}
    for text in (b"one", b"two"):
        request = urllib.request.Request(url, text, condition, method="PUT")
        assert urllib.request.urlopen(request, timeout=10).status == 200
    with pytest.raises(urllib.error.HTTPError) as refused:
        urllib.request.urlopen(urllib.request.Request(url, method="HEAD"), timeout=10)
    assert refused.value.code == 501
    done = share(google, "--commits=1", "--kills=0", "--stops=0")
    assert done.returncode != 0
    assert "does not answer for probe" in done.stderr
