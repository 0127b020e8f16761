"""Asks one other online store for features again and again; prints what that took, as JSON.

    python online.py PEER --facts FOLDER --entities N --rows R --features F \\
        --connections C --seconds S --home PEERS_FOLDER

Run by ``hitherto-benches online --peers``, once for each measurement. The store
is filled with the first N entities of the Parquet files, served on 127.0.0.1 by
processes that this one starts and ends, and asked by C client processes in
closed loop: each has one connection and one request for R entities in flight.
Entities are uniform at random. A quarter of the seconds warms up.

=============== ============================================ =======================
peer            store                                        asked by
=============== ============================================ =======================
redis_pipelined a hash per entity, features of 8 bytes,      a pipeline of ``HMGET``
                little-endian; nothing persisted             by redis-py and hiredis
feast_sqlite    ``feast serve`` on Feast's default store     POST /get-online-features
feast_redis     ``feast serve`` on Redis                     POST /get-online-features
=============== ============================================ =======================

``feast serve`` has its defaults: one worker process, which is replaced after
1,000 to 1,050 requests, an access log, a registry that is read anew each minute.
It is asked for a list of features, which it answers sooner than a feature service.

A latency includes what a client has to do: encode the request and decode the
answer, into Python floats. ``cpu_seconds`` is what all processes of the servers
used meanwhile. At the end a handful of answers is compared with the files, bit
for bit. The Python is that of the peer's environment, `redis` or `feast`.
"""

from __future__ import annotations

import argparse
import json
import math
import multiprocessing
import os
import random
import shutil
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import time
from array import array
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from functools import partial
from importlib.metadata import version
from pathlib import Path
from threading import BrokenBarrierError
from typing import Any, Protocol

KEY = "entity_id"
EVENT_TIME = "event_timestamp"
VIEW = "v0"

# Everything random begins here.
SEED = 7
# Of all prepared requests of a connection; they are asked again and again.
PREPARED_ENTITIES = 1 << 17
PREPARED_MIN = 256
CHECKED = 16
LOAD_ROWS = 1_000
START_SECONDS = 120.0
STOP_SECONDS = 15.0

SPAWN = multiprocessing.get_context("spawn")
# All clients and who measures them, set in each client's process: they begin and
# end together.
together: Any = None


class Client(Protocol):
    """One connection."""

    def ask(self, entities: Sequence[int]) -> Any:
        """The features of some entities, in floats."""

    def rows(self, answer: Any) -> list[tuple[float, ...]]:
        """An answer as one tuple of features for each entity."""


class RedisClient:
    """What a service of one's own does."""

    def __init__(self, port: int, features: int) -> None:
        import redis

        self.redis = redis.Redis(host="127.0.0.1", port=port)
        self.names = [f"f{feature}" for feature in range(features)]
        self.floats = struct.Struct(f"<{features}d")

    def ask(self, entities: Sequence[int]) -> list[tuple[float, ...]]:
        pipeline = self.redis.pipeline(transaction=False)
        for entity in entities:
            pipeline.hmget(redis_key(entity), self.names)
        return [self.floats.unpack(b"".join(values)) for values in pipeline.execute()]

    def rows(self, answer: list[tuple[float, ...]]) -> list[tuple[float, ...]]:
        return answer


class FeastClient:
    """A client of the feature server, as thin as Python has it."""

    def __init__(self, port: int, features: int) -> None:
        import urllib3

        # A worker that is replaced closes its connections: asking again is what
        # Feast's own client does.
        retries = urllib3.Retry(total=3, allowed_methods=None, backoff_factor=0)
        self.pool = urllib3.HTTPConnectionPool("127.0.0.1", port, maxsize=1, retries=retries)
        self.names = [f"f{feature}" for feature in range(features)]
        self.features = [f"{VIEW}:{name}" for name in self.names]

    def ask(self, entities: Sequence[int]) -> dict[str, Any]:
        body = {"features": self.features, "entities": {KEY: list(entities)}}
        answer = self.pool.request(
            "POST",
            "/get-online-features",
            body=json.dumps(body),
            headers={"Content-Type": "application/json"},
        )
        if answer.status != 200:
            raise RuntimeError(f"Feast answers {answer.status}: {answer.data[:500]!r}")
        return json.loads(answer.data)

    def rows(self, answer: dict[str, Any]) -> list[tuple[float, ...]]:
        names = answer["metadata"]["feature_names"]
        columns = {name: column["values"] for name, column in zip(names, answer["results"])}
        return list(zip(*(columns[name] for name in self.names)))


def redis_key(entity: int) -> str:
    return f"user:{entity}"


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@contextmanager
def started(command: list[str], folder: Path, is_ready: Callable[[], bool]) -> Iterator[int]:
    """A server, ready, by its process; it and its children end with the block."""
    log = folder / f"{Path(command[0]).name}.log"
    with log.open("wb") as out:
        server = subprocess.Popen(
            command, cwd=folder, stdout=out, stderr=out, start_new_session=True
        )
    try:
        deadline = time.monotonic() + START_SECONDS
        while not is_ready():
            if server.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"{command[0]} does not serve:\n{log.read_text()[-2000:]}")
            time.sleep(0.05)
        yield server.pid
    finally:
        server.terminate()
        try:
            server.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            server.kill()
            server.wait()
        try:
            # Workers that the server has left; the session is ours alone.
            os.killpg(server.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass


@contextmanager
def redis_server(args: argparse.Namespace, folder: Path) -> Iterator[tuple[int, int]]:
    """Redis with nothing on disk: its port and process."""
    port = free_port()
    command = [redis_binary(args), "--bind", "127.0.0.1", "--port", str(port)]
    command += ["--save", "", "--appendonly", "no"]

    def is_ready() -> bool:
        try:
            with socket.create_connection(("127.0.0.1", port), 1.0) as connection:
                connection.sendall(b"PING\r\n")
                return connection.recv(16) == b"+PONG\r\n"
        except OSError:
            return False

    with started(command, folder, is_ready) as pid:
        yield port, pid


@contextmanager
def feast_server(args: argparse.Namespace, folder: Path) -> Iterator[tuple[int, int]]:
    """Feast over the repository in a folder: its port and process."""
    import urllib3

    port = free_port()
    feast = str(args.home / "feast" / "bin" / "feast")
    command = [feast, "serve", "--host", "127.0.0.1", "--port", str(port)]

    def is_ready() -> bool:
        url = f"http://127.0.0.1:{port}/health"
        try:
            return urllib3.request("GET", url, retries=False, timeout=1.0).status == 200
        except urllib3.exceptions.HTTPError:
            return False

    with started(command, folder, is_ready) as pid:
        yield port, pid


def redis_binary(args: argparse.Namespace) -> str:
    return shutil.which("redis-server") or str(args.home / "redis-server" / "redis-server")


def redis_version(args: argparse.Namespace) -> str:
    """Such as 7.0.15, out of ``Redis server v=7.0.15 sha=...``."""
    words = subprocess.check_output([redis_binary(args), "--version"], text=True).split()
    return next(word.removeprefix("v=") for word in words if word.startswith("v="))


def facts(args: argparse.Namespace, rows_max: int) -> Iterator[Any]:
    """The first entities of the files, in Arrow batches."""
    import pyarrow.dataset

    found = 0
    files = pyarrow.dataset.dataset(args.facts, format="parquet")
    for batch in files.to_batches(
        columns=[KEY, EVENT_TIME, *args.names],
        filter=pyarrow.dataset.field(KEY) < args.entities,
        batch_size=rows_max,
    ):
        found += batch.num_rows
        if batch.num_rows > 0:
            yield batch
    if found != args.entities:
        raise RuntimeError(f"{args.facts} has {found} of {args.entities} entities")


def fill_redis(args: argparse.Namespace, port: int) -> None:
    """Commands go out as bytes: with redis-py packing them, filling takes twice as long."""
    import numpy

    heads = [f"${len(f)}\r\n{f}\r\n$8\r\n".encode() for f in args.names]
    ends = numpy.cumsum([len(head) + 10 for head in heads])
    empty = b"".join(head + bytes(8) + b"\r\n" for head in heads)
    with socket.create_connection(("127.0.0.1", port)) as connection:
        answers = connection.makefile("rb")
        for batch in facts(args, LOAD_ROWS):
            fields = numpy.tile(numpy.frombuffer(empty, numpy.uint8), (batch.num_rows, 1))
            for end, name in zip(ends, args.names):
                values = batch.column(name).to_numpy().astype("<f8")
                fields[:, end - 10 : end - 2] = values.view(numpy.uint8).reshape(-1, 8)
            count = 2 + 2 * len(args.names)
            commands = []
            for entity, row in zip(batch.column(KEY).to_pylist(), fields):
                key = redis_key(entity)
                command = f"*{count}\r\n$4\r\nHSET\r\n${len(key)}\r\n{key}\r\n"
                commands += [command.encode(), row.tobytes()]
            connection.sendall(b"".join(commands))
            expected = f":{len(args.names)}\r\n".encode() * batch.num_rows
            if answers.read(len(expected)) != expected:
                raise RuntimeError("Redis did not take a row")


def fill_feast(args: argparse.Namespace, folder: Path, online_store: dict[str, str]) -> None:
    """Writes a repository and sends every row through Feast's own write path.

    In a process of its own, so that nobody keeps Feast in memory who need not.
    """
    from datetime import timedelta

    import yaml
    from feast import Entity, FeatureStore, FeatureView, Field, FileSource, ValueType
    from feast.types import Float64

    config = {
        "project": "online",
        "provider": "local",
        "registry": str(folder / "registry.db"),
        "online_store": online_store,
        "entity_key_serialization_version": 3,
    }
    (folder / "feature_store.yaml").write_text(yaml.safe_dump(config))
    store = FeatureStore(repo_path=str(folder))
    entity = Entity(name="user", join_keys=[KEY], value_type=ValueType.INT64)
    view = FeatureView(
        name=VIEW,
        entities=[entity],
        ttl=timedelta(0),
        schema=[Field(name=f, dtype=Float64) for f in args.names],
        source=FileSource(name="source", path=str(args.facts), timestamp_field=EVENT_TIME),
    )
    store.apply([entity, view])
    for batch in facts(args, LOAD_ROWS):
        store.write_to_online_store(VIEW, batch.to_pandas())


# What connects, and the processes of the servers. The former goes to other
# processes, which a lambda cannot.
Serving = tuple[Callable[[], Client], list[int]]


def serve_redis(args: argparse.Namespace, folder: Path, until_end: ExitStack) -> Serving:
    port, pid = until_end.enter_context(redis_server(args, folder))
    fill_redis(args, port)
    return partial(RedisClient, port, args.features), [pid]


def serve_feast(args: argparse.Namespace, folder: Path, until_end: ExitStack) -> Serving:
    pids = []
    online_store = {"type": "sqlite", "path": str(folder / "online.db")}
    if args.peer == "feast_redis":
        port, pid = until_end.enter_context(redis_server(args, folder))
        online_store = {"type": "redis", "connection_string": f"127.0.0.1:{port}"}
        pids.append(pid)
    with SPAWN.Pool(1) as pool:
        pool.apply(fill_feast, (args, folder, online_store))
    port, pid = until_end.enter_context(feast_server(args, folder))
    return partial(FeastClient, port, args.features), [*pids, pid]


PEERS: dict[str, Callable[[argparse.Namespace, Path, ExitStack], Serving]] = {
    "redis_pipelined": serve_redis,
    "feast_sqlite": serve_feast,
    "feast_redis": serve_feast,
}


def cpu_seconds(pid: int) -> float:
    """What a process used, with all that it started: those that ended are counted
    by their parent."""
    # The second field is a name that may hold anything, in parentheses.
    stat = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    ticks = sum(int(field) for field in stat[11:15])
    children = Path(f"/proc/{pid}/task").glob("*/children")
    pids = [int(child) for file in children for child in file.read_text().split()]
    return ticks / os.sysconf("SC_CLK_TCK") + sum(map(cpu_seconds, pids))


def drive(connect: Callable[[], Client], args: argparse.Namespace, seed: int) -> Any:
    """One connection: its latencies in nanoseconds, and the seconds they took."""
    try:
        client = connect()
        draw = random.Random(seed)
        prepared = max(PREPARED_ENTITIES // args.rows, PREPARED_MIN)
        requests = [
            [draw.randrange(args.entities) for _ in range(args.rows)] for _ in range(prepared)
        ]
        ask_for(client, requests, args.seconds / 4)
        together.wait()
        measured = ask_for(client, requests, args.seconds)
        together.wait()
        return measured
    except BrokenBarrierError:
        # Another one failed and says why.
        return None
    except BaseException:
        together.abort()
        raise


def ask_for(
    client: Client, requests: list[list[int]], seconds: float
) -> tuple[array[int], float]:
    latencies = array("q")
    started_at = sent = time.perf_counter_ns()
    end = started_at + int(seconds * 1e9)
    turn = 0
    while sent < end:
        client.ask(requests[turn])
        answered = time.perf_counter_ns()
        latencies.append(answered - sent)
        turn = (turn + 1) % len(requests)
        sent = time.perf_counter_ns()
    return latencies, (sent - started_at) / 1e9


def share(barrier: Any) -> None:
    global together
    together = barrier


def measure(
    args: argparse.Namespace, connect: Callable[[], Client], pids: list[int]
) -> dict[str, Any]:
    barrier = SPAWN.Barrier(args.connections + 1, timeout=2 * args.seconds + START_SECONDS)
    questions = [(connect, args, SEED + connection) for connection in range(args.connections)]
    with SPAWN.Pool(args.connections, share, (barrier,)) as pool:
        answers = pool.starmap_async(drive, questions, chunksize=1)
        try:
            barrier.wait()
            before = sum(map(cpu_seconds, pids))
            barrier.wait()
            used = sum(map(cpu_seconds, pids)) - before
        except BrokenBarrierError:
            answers.get(START_SECONDS)
            raise
        runs = answers.get(START_SECONDS)
    latencies = sorted(latency for run, _ in runs for latency in run)
    seconds = max(seconds for _, seconds in runs)
    return {
        "seconds": seconds,
        "requests": len(latencies),
        "requests_per_second": len(latencies) / seconds,
        "p50_micros": percentile(latencies, 0.5),
        "p99_micros": percentile(latencies, 0.99),
        "p999_micros": percentile(latencies, 0.999),
        "cpu_seconds": used,
    }


def percentile(latencies: list[int], quantile: float) -> float:
    """In microseconds; a share of ``quantile`` took no longer."""
    return latencies[math.ceil(quantile * len(latencies)) - 1] / 1e3


def check(args: argparse.Namespace, client: Client) -> None:
    """Compares a few answers with the files."""
    import pyarrow.dataset

    last = args.entities - 1
    entities = sorted({n * last // CHECKED for n in range(CHECKED)} | {last})
    files = pyarrow.dataset.dataset(args.facts, format="parquet")
    table = files.to_table(filter=pyarrow.dataset.field(KEY).isin(entities)).sort_by(KEY)
    expected = list(zip(*(table.column(name).to_pylist() for name in args.names)))
    found = client.rows(client.ask(entities))
    if len(found) != len(expected):
        raise RuntimeError(f"{len(found)} rows answer for {len(expected)} entities")
    for entity, ours, theirs in zip(entities, expected, found):
        for name, value, other in zip(args.names, ours, theirs):
            if not isinstance(other, float) or struct.pack("<d", value) != struct.pack("<d", other):
                raise RuntimeError(f"{name} of {entity} is {value!r}, but {other!r} answers")


def peer_version(args: argparse.Namespace) -> str:
    versions = []
    if "feast" in args.peer:
        versions.append(f"feast {version('feast')}")
    if "redis" in args.peer:
        versions += [f"redis {redis_version(args)}", f"redis-py {version('redis')}"]
    return ", ".join(versions)


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("peer", choices=PEERS)
    parser.add_argument("--facts", required=True, type=Path, help="a folder of Parquet files")
    parser.add_argument("--entities", type=int, required=True, help="the first so many")
    parser.add_argument("--rows", type=int, required=True, help="entities of one request")
    parser.add_argument("--features", type=int, required=True, help="f0, f1, ...")
    parser.add_argument("--connections", type=int, required=True)
    parser.add_argument("--seconds", type=float, required=True)
    parser.add_argument("--home", type=Path, required=True, help="where install.sh put peers")
    args = parser.parse_args()
    args.facts = args.facts.resolve()
    args.names = [f"f{feature}" for feature in range(args.features)]
    return args


def main() -> None:
    args = parse_arguments()
    # What was started must end with this process, however it is ended.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    with ExitStack() as until_end:
        folder = Path(until_end.enter_context(tempfile.TemporaryDirectory(prefix="hitherto-peer-")))
        connect, pids = PEERS[args.peer](args, folder, until_end)
        measured = measure(args, connect, pids)
        check(args, connect())
        answer = {
            "peer": args.peer,
            "version": peer_version(args),
            "entities": args.entities,
            "rows": args.rows,
            "features": args.features,
            "connections": args.connections,
            **measured,
            "checked": True,
        }
    json.dump(answer, sys.stdout)


if __name__ == "__main__":
    main()
