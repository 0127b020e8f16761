"""Sources in an object store, against SeaweedFS: a server of S3 that we did not write."""

from __future__ import annotations

import json
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import hitherto
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from conftest import ICU, SERVICE
from pyarrow.fs import FileSystem, S3FileSystem

ACCESS, SECRET = "an-access-key", "a-secret-key"

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


def free_ports(count: int) -> list[int]:
    sockets = [socket.socket() for _ in range(count)]
    for one in sockets:
        one.bind(("127.0.0.1", 0))
    ports: list[int] = [one.getsockname()[1] for one in sockets]
    for one in sockets:
        one.close()
    return ports


@pytest.fixture(scope="module")
def endpoint(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Where the server listens."""
    folder = tmp_path_factory.mktemp("seaweed")
    credentials = [{"accessKey": ACCESS, "secretKey": SECRET}]
    actions = ["Admin", "Read", "Write", "List"]
    identity = {"name": "owner", "credentials": credentials, "actions": actions}
    (folder / "s3.json").write_text(json.dumps({"identities": [identity]}))
    names = ["master.port", "master.port.grpc", "volume.port", "volume.port.grpc"]
    names += ["filer.port", "filer.port.grpc", "s3.port.grpc", "s3.port"]
    ports = dict(zip(names, free_ports(len(names)), strict=True))
    command = [str(Path(sys.executable).parent / "weed"), "server", "-s3", f"-dir={folder}"]
    command += ["-ip=127.0.0.1", "-ip.bind=127.0.0.1", f"-s3.config={folder / 's3.json'}"]
    command += [f"-{name}={port}" for name, port in ports.items()]
    with (folder / "log").open("w") as log:
        server = subprocess.Popen(command, cwd=folder, stdout=log, stderr=log)
    try:
        address = f"127.0.0.1:{ports['s3.port']}"
        until = time.monotonic() + 60
        while True:
            try:
                client(address).create_dir("facts")
                break
            except OSError:
                assert server.poll() is None, (folder / "log").read_text()
                assert time.monotonic() < until, (folder / "log").read_text()
                time.sleep(0.2)
        yield address
    finally:
        # Its way of ending in order takes half a minute.
        server.kill()
        server.wait(timeout=30)


def client(address: str) -> FileSystem:
    return S3FileSystem(
        access_key=ACCESS,
        secret_key=SECRET,
        endpoint_override=address,
        scheme="http",
        region="us-east-1",
        allow_bucket_creation=True,
        connect_timeout=2,
        request_timeout=10,
    )


@pytest.fixture
def bucket(endpoint: str, monkeypatch: pytest.MonkeyPatch) -> FileSystem:
    """A client that writes, with this process set up to read."""
    monkeypatch.setenv("AWS_ENDPOINT", f"http://{endpoint}")
    monkeypatch.setenv("AWS_ALLOW_HTTP", "true")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", ACCESS)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", SECRET)
    monkeypatch.setenv("AWS_REGION", "us-east-1")
    return client(endpoint)


def upload(bucket: FileSystem, key: str, source: Path) -> None:
    with bucket.open_output_stream(f"facts/{key}") as out:
        out.write(source.read_bytes())


def write(bucket: FileSystem, key: str, facts: dict[int, float], day: int = 1) -> None:
    rows = pa.table(
        {
            "stay": pa.array(facts, pa.int64()),
            "drawn": pa.array([day * 86_400_000_000] * len(facts), pa.timestamp("us", tz="UTC")),
            "value": pa.array(facts.values(), pa.float64()),
        }
    )
    pq.write_table(rows, f"facts/{key}", filesystem=bucket)


def repository(root: Path, parquet: str) -> Path:
    root.mkdir(exist_ok=True)
    (root / "labs.yaml").write_text(YAML.format(parquet=parquet))
    return root


def values(store: hitherto.Store, stays: list[int]) -> list[float | None]:
    found = store.lookup({"stay": stays}, features=["labs:value"]).to_dict()
    return list(found["labs:value"])


def test_real_data_gives_the_same_rows_as_on_disk(
    bucket: FileSystem, tmp_path: Path, spine: pa.Table, joined: pa.Table
) -> None:
    for file in (ICU / "data").glob("*.parquet"):
        upload(bucket, f"icu/{file.name}", file)
    root = tmp_path / "repository"
    shutil.copytree(ICU, root, ignore=shutil.ignore_patterns(".hitherto", "data"))
    for view in (root / "views").glob("*.yaml"):
        view.write_text(view.read_text().replace("parquet: data/", "parquet: s3://facts/icu/"))
    with hitherto.connect(root) as store:
        store.apply()
        store.materialize()
        training_set = store.training_set(spine, service=SERVICE, full_names=True)
        assert training_set.to_arrow() == joined
        files = [file for view in training_set.manifest["views"] for file in view["files"]]
        assert files
        assert all(file["name"].startswith("s3://facts/icu/") for file in files)
        assert all(file["fingerprint"].startswith("etag:") for file in files)
        verified = store.verify(samples=200)
        assert verified["differences"] == 0 and verified["values"] > 0


@pytest.mark.parametrize(
    "parquet", ["s3://facts/runs", "s3://facts/runs/", "s3://facts/r*s/**/day=*/*.parquet"]
)
def test_a_run_takes_what_is_new_or_changed(
    bucket: FileSystem, tmp_path: Path, parquet: str
) -> None:
    bucket.delete_dir_contents("facts/runs", missing_dir_ok=True)
    write(bucket, "runs/day=1/a.parquet", {1: 1.0, 2: 2.0})
    write(bucket, "runs/.hidden/a.parquet" if "*" not in parquet else "runs/b.parquet", {1: -1.0})
    with hitherto.connect(repository(tmp_path, parquet)) as store:
        store.apply()
        (first,) = store.materialize()
        assert (first["mode"], first["files"]) == ("full", 1)
        (again,) = store.materialize()
        assert again["is_up_to_date"]

        # Keys that a URL or a glob would read otherwise.
        write(bucket, "runs/day=2/100% of [b], new?.parquet", {2: 20.0, 3: 30.0}, day=2)
        (second,) = store.materialize()
        assert (second["mode"], second["files"]) == ("incremental", 1)
        assert values(store, [1, 2, 3, 4]) == [1.0, 20.0, 30.0, None]

        # The same bytes written again are the same file; other bytes are not.
        write(bucket, "runs/day=1/a.parquet", {1: 1.0, 2: 2.0})
        (touched,) = store.materialize()
        assert touched["is_up_to_date"]
        write(bucket, "runs/day=1/a.parquet", {1: 7.0, 2: 2.0})
        (changed,) = store.materialize()
        assert (changed["mode"], changed["files"]) == ("full", 2)
        assert values(store, [1, 2, 3]) == [7.0, 20.0, 30.0]

        bucket.delete_file("facts/runs/day=1/a.parquet")
        (lost,) = store.materialize()
        assert (lost["mode"], lost["files"]) == ("full", 1)
        assert values(store, [1, 2, 3]) == [None, 20.0, 30.0]


def test_many_row_groups_are_read_in_part(bucket: FileSystem, tmp_path: Path) -> None:
    """A few entities of a large object, whose pages are read by themselves."""
    rows = 400_000
    facts = pa.table(
        {
            "stay": pa.array(range(rows), pa.int64()),
            "drawn": pa.array([0] * rows, pa.timestamp("us", tz="UTC")),
            "value": pa.array([index / 7 for index in range(rows)], pa.float64()),
        }
    )
    pq.write_table(
        facts, "facts/large.parquet", filesystem=bucket, row_group_size=rows // 2,
        write_page_index=True, data_page_size=8 << 10,
    )  # fmt: skip
    stays = [3, rows // 2 - 1, rows // 2, rows - 1, rows]
    spine = pa.table(
        {
            "stay": pa.array(stays, pa.int64()),
            "event_timestamp": pa.array([1] * len(stays), pa.timestamp("us", tz="UTC")),
        }
    )
    with hitherto.connect(repository(tmp_path, "s3://facts/large.parquet")) as store:
        store.apply()
        found = store.training_set(spine, features=["labs:value"]).to_arrow()
        expected = [stay / 7 if stay < rows else None for stay in stays]
        assert found["value"].to_pylist() == expected
        found = store.training_set(spine, features=["labs:value"], sample=2).to_arrow()
        assert set(found["value"].to_pylist()) <= set(expected)


def test_what_cannot_be_read_is_told(
    bucket: FileSystem, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(bucket, "errors/a.parquet", {1: 1.0})

    def apply(parquet: str, name: str) -> None:
        with hitherto.connect(repository(tmp_path / name, parquet)) as store:
            store.apply()

    with pytest.raises(hitherto.Error, match="no Parquet file"):
        apply("s3://facts/nothing-here/", "empty")
    with pytest.raises(hitherto.InvalidError, match="at ftp://, which is not read here"):
        apply("ftp://facts/errors/", "scheme")
    with bucket.open_output_stream("facts/broken/a.parquet") as out:
        out.write(b"no Parquet file at all, whatever its name says")
    with pytest.raises(hitherto.CorruptError, match="s3://facts/broken/a.parquet"):
        apply("s3://facts/broken/", "broken")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "another")
    with pytest.raises(hitherto.Error, match="credentials"):
        apply("s3://facts/errors/", "refused")
