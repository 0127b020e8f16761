"""Feast's own client asks Hitherto, and every value, status and error is compared.

    ~/.cache/hitherto/peers/feast/bin/python benches/judges/feast_wire.py

Needs the environment `feast` that `benches/peers/install.sh` makes, and a built
`hitherto` (``--hitherto PATH``). In a folder of its own it writes Parquet and a
repository, applies, materializes and serves it with the clock stopped at `NOW`,
and asks as Feast does. Nothing here is our reading of Feast's protocol:

========= ================================================================
asked by  what
========= ================================================================
HTTP      ``FeatureStore.get_online_features`` on Feast's remote online
          store, with a local registry of the same views
HTTP read ``RemoteOnlineStore.online_read``, which knows the views' types
gRPC      the stub of ``feast.serving.ServingService`` out of Feast's wheel
========= ================================================================

What is expected comes from the Parquet files and from `ANSWERING`, which says by
hand which fact answers. The last line on stdout is one JSON object with the
checks done; the first difference ends it with exit code 1.
"""

from __future__ import annotations

import argparse
import json
import signal
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Any

import grpc
import pyarrow as pa
import pyarrow.parquet as pq
from feast import Entity, FeatureService, FeatureStore, FeatureView, Field, FileSource
from feast.errors import FeastError
from feast.online_response import OnlineResponse
from feast.protos.feast.serving import ServingService_pb2 as messages
from feast.protos.feast.serving.ServingService_pb2_grpc import ServingServiceStub
from feast.protos.feast.types import Value_pb2 as types
from feast.protos.feast.types.EntityKey_pb2 import EntityKey
from feast.types import Array, Bool, Float32, Float64, Int32, Int64, String, UnixTimestamp

HITHERTO = Path.home() / ".cache" / "hitherto" / "target" / "debug" / "hitherto"
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
NOW = datetime(2026, 6, 1, 12, tzinfo=UTC)
# By then everything is known.
LATER = NOW + timedelta(hours=2)
TTL = timedelta(days=1)
EXTREME = 2**63 - 1

EVENT = "event_time"
KNOWN = "known_time"
MICROS = pa.timestamp("us", tz="UTC")


@dataclass(frozen=True)
class Kind:
    """A type: in definitions, in Parquet, in Feast, and the field of Feast's
    ``Value`` that has it over gRPC and, guessed from JSON by the client, over HTTP."""

    name: str
    arrow: pa.DataType
    feast: Any
    grpc: str
    http: str


INT64 = Kind("int64", pa.int64(), Int64, "int64_val", "int64_val")
INT32 = Kind("int32", pa.int32(), Int32, "int32_val", "int64_val")
FLOAT64 = Kind("float64", pa.float64(), Float64, "double_val", "double_val")
FLOAT32 = Kind("float32", pa.float32(), Float32, "float_val", "double_val")
STRING = Kind("string", pa.string(), String, "string_val", "string_val")
BOOL = Kind("bool", pa.bool_(), Bool, "bool_val", "bool_val")
# In JSON whole seconds.
TIME = Kind("timestamp(us, UTC)", MICROS, UnixTimestamp, "unix_timestamp_val", "int64_val")
FLOATS = Kind(
    "list(float32)", pa.list_(pa.float32()), Array(Float32), "float_list_val", "double_list_val"
)


@dataclass(frozen=True)
class View:
    """A feature view and its facts, in the order of the columns."""

    keys: dict[str, Kind]
    features: dict[str, Kind]
    facts: list[tuple[Any, ...]]
    ttl: timedelta | None = None
    honors_known: bool = False

    @property
    def columns(self) -> dict[str, pa.DataType]:
        times = {EVENT: MICROS, **({KNOWN: MICROS} if self.honors_known else {})}
        fields = {name: kind.arrow for name, kind in {**self.keys, **self.features}.items()}
        return {**times, **fields}


def hours(count: float) -> datetime:
    return NOW + timedelta(hours=count)


# With fractions of a second, before and after 1970: they are cut off downwards.
SEEN = datetime(2026, 5, 31, 23, 59, 59, 999_999, tzinfo=UTC)
BEFORE_1970 = datetime(1969, 12, 31, 23, 59, 58, 500_000, tzinfo=UTC)
FULL = (42, -7, 0.1, 2.5, "Grüße, 世界", True, SEEN, [0.1, -2.5, 3.0])
EDGES = (EXTREME, -(2**31), -0.0, 1e-45, "", False, BEFORE_1970, [1e30])
NULLS = (None,) * 8
MIXED = (None, 0, None, 16777216.0, None, False, None, [1.0, 2.0])

VIEWS = {
    "kinds": View(
        keys={"person_id": INT64},
        features={
            "total": INT64,
            "rank": INT32,
            "share": FLOAT64,
            "weight": FLOAT32,
            "label": STRING,
            "flag": BOOL,
            "seen_at": TIME,
            "vector": FLOATS,
        },
        ttl=TTL,
        facts=[
            (hours(-1), 1, *FULL),
            (hours(-1), 2, *NULLS),
            (hours(-25), 3, *FULL),
            (hours(-2), 4, *EDGES),
            (hours(-24), 5, *MIXED),
            (hours(-3), 1, *EDGES),
        ],
    ),
    "released": View(
        keys={"person_id": INT64},
        features={"score": FLOAT64},
        honors_known=True,
        facts=[
            (hours(-3), hours(-2), 1, 1.5),
            (hours(-1), hours(1), 1, 2.5),
            (hours(-3), hours(-2), 2, 3.5),
            (hours(-1), hours(-0.5), 2, 4.5),
            (hours(-1), hours(1), 3, 5.5),
        ],
    ),
    "places": View(
        keys={"region": STRING, "code": INT64},
        features={"score": FLOAT64},
        facts=[(hours(-1), "north", 1, 0.25), (hours(-1), "south", 1, 0.75)],
    ),
}
SERVICE = "everything"
SERVICE_VIEWS = ["kinds", "released"]

# The fact that answers at NOW, by its row in the file; no fact is known of others.
ANSWERING: dict[str, dict[tuple[Any, ...], int]] = {
    # 5 is exactly as old as the ttl, which is young enough.
    "kinds": {(1,): 0, (2,): 1, (3,): 2, (4,): 3, (5,): 4},
    # The second fact of 1 and the only one of 3 are not known before 13:00.
    "released": {(1,): 0, (2,): 3},
    "places": {("north", 1): 0, ("south", 1): 1},
}
ANSWERING_LATER = {"released": {(1,): 1, (2,): 3, (3,): 4}}
EXPIRED = {("kinds", (3,))}
# 6 is unknown to every view, and nobody is nobody.
PEOPLE = [4, 1, 6, 2, 3, None, 5, 1]
PLACES = [("south", 1), ("north", 1), ("north", 2)]

KEY_FIELD = {int: "int64_val", str: "string_val", type(None): ""}

PRESENT = messages.FieldStatus.PRESENT
NULL_VALUE = messages.FieldStatus.NULL_VALUE
NOT_FOUND = messages.FieldStatus.NOT_FOUND
OUTSIDE_MAX_AGE = messages.FieldStatus.OUTSIDE_MAX_AGE


class Difference(Exception):
    """Feast's client does not see what was written."""


def write_repository(root: Path) -> None:
    """Definitions and Parquet."""
    resources = [entity("person", VIEWS["kinds"].keys), entity("place", VIEWS["places"].keys)]
    for name, view in VIEWS.items():
        columns = list(zip(*view.facts))
        arrays = [pa.array(column, kind) for column, kind in zip(columns, view.columns.values())]
        pq.write_table(pa.table(dict(zip(view.columns, arrays))), root / f"{name}.parquet")
        spec: dict[str, Any] = {
            "entity": "person" if "person_id" in view.keys else "place",
            "source": {"parquet": f"{name}.parquet", "eventTime": EVENT},
            "features": fields(view.features),
        }
        if view.honors_known:
            spec["source"]["knownTime"] = KNOWN
        if view.ttl is not None:
            spec["ttl"] = f"{int(view.ttl.total_seconds())}s"
        resources.append(resource("FeatureView", name, spec))
    chosen = [f"{name}:*" for name in SERVICE_VIEWS]
    resources.append(resource("FeatureService", SERVICE, {"features": chosen}))
    (root / "hitherto.yaml").write_text("store: .hitherto\n")
    # JSON is YAML.
    documents = (json.dumps(resource) for resource in resources)
    (root / "definitions.yaml").write_text("\n---\n".join(documents))


def entity(name: str, keys: Mapping[str, Kind]) -> dict[str, Any]:
    return resource("Entity", name, {"keys": fields(keys)})


def fields(kinds: Mapping[str, Kind]) -> list[dict[str, str]]:
    return [{"name": name, "type": kind.name} for name, kind in kinds.items()]


def resource(kind: str, name: str, spec: dict[str, Any]) -> dict[str, Any]:
    return {"apiVersion": "hitherto/v1", "kind": kind, "metadata": {"name": name}, "spec": spec}


@contextmanager
def serving(hitherto: Path, root: Path, now: datetime) -> Iterator[str]:
    """A server on 127.0.0.1, by its address; it ends with the block."""
    command = [str(hitherto), "--repo", str(root), "--now", now.isoformat()]
    command += ["--output", "json", "serve", "--listen", "127.0.0.1:0"]
    with (root / "serve.log").open("w+") as log:
        server = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=log, text=True)
        try:
            assert server.stdout is not None
            line = server.stdout.readline()
            if not line:
                log.seek(0)
                raise RuntimeError(f"{hitherto} does not serve:\n{log.read()}")
            yield json.loads(line)["address"]
        finally:
            server.terminate()
            server.wait()


def feast_store(root: Path, address: str) -> FeatureStore:
    """Feast, with the same views in a registry of its own and our server's address."""
    folder = root / "feast"
    folder.mkdir()
    config = {
        "project": "wire",
        "provider": "local",
        "registry": str(folder / "registry.db"),
        "online_store": {"type": "remote", "path": f"http://{address}"},
        "entity_key_serialization_version": 3,
    }
    (folder / "feature_store.yaml").write_text(json.dumps(config))
    store = FeatureStore(repo_path=str(folder))
    # An entity of Feast has one join key.
    keys = {key: kind for view in VIEWS.values() for key, kind in view.keys.items()}
    entities = {
        key: Entity(name=key, join_keys=[key], value_type=kind.feast.to_value_type())
        for key, kind in keys.items()
    }
    views = {
        name: FeatureView(
            name=name,
            entities=[entities[key] for key in view.keys],
            ttl=view.ttl or timedelta(0),
            schema=[Field(name=f, dtype=kind.feast) for f, kind in view.features.items()],
            source=FileSource(
                name=f"{name}_source",
                path=str(root / f"{name}.parquet"),
                timestamp_field=EVENT,
                created_timestamp_column=KNOWN if view.honors_known else "",
            ),
        )
        for name, view in VIEWS.items()
    }
    service = FeatureService(name=SERVICE, features=[views[name] for name in SERVICE_VIEWS])
    store.apply([*entities.values(), *views.values(), service])
    return store


class Judge:
    """Compares answers with the files and counts what it compared."""

    def __init__(self, root: Path) -> None:
        self.facts = {name: pq.read_table(root / f"{name}.parquet").to_pylist() for name in VIEWS}
        self.answering = ANSWERING
        self.checks: Counter[str] = Counter()

    def expected(self, view: str, key: tuple[Any, ...], feature: str) -> tuple[int, Any, datetime]:
        """Status, value, and the event time of the fact that answers."""
        row = self.answering[view].get(key)
        if row is None:
            return NOT_FOUND, None, EPOCH
        if (view, key) in EXPIRED:
            return OUTSIDE_MAX_AGE, None, EPOCH
        fact = self.facts[view][row]
        value = fact[feature]
        return (NULL_VALUE if value is None else PRESENT), value, fact[EVENT]

    def equal(self, what: str, found: Any, expected: Any) -> None:
        if found != expected:
            raise Difference(f"{what}: {found!r} answers, expected {expected!r}")

    def value(self, what: str, found: types.Value, field: str, expected: Any) -> None:
        """The kind of a value, and the value bit for bit."""
        if expected is None:
            self.equal(what, found.WhichOneof("val"), None)
            return
        self.equal(f"kind of {what}", found.WhichOneof("val"), field)
        other = getattr(found, field)
        if isinstance(expected, datetime):
            expected = (expected - EPOCH) // timedelta(seconds=1)
        if field.endswith("_list_val"):
            other = list(other.val)
        # Text tells floats apart by every bit, -0.0 from 0.0 and True from 1.
        self.equal(what, repr(other), repr(expected))

    def answer(
        self,
        way: str,
        answer: OnlineResponse,
        features: Sequence[str],
        keys: Mapping[str, Sequence[Any]],
        full_names: bool,
    ) -> None:
        """A whole answer: names, and each value with its status and, where the
        client passes it on, its event time."""
        proto = answer.proto
        named = [name.replace(":", "__") if full_names else name.split(":")[1] for name in features]
        self.equal(f"{way} names", list(proto.metadata.feature_names.val), sorted(keys) + named)
        self.equal(f"{way} to_dict", list(answer.to_dict()), sorted(keys) + named)
        for name, vector in zip(sorted(keys), proto.results):
            statuses = [NULL_VALUE if key is None else PRESENT for key in keys[name]]
            self.equal(f"{way} statuses of {name}", list(vector.statuses), statuses)
            for found, key in zip(vector.values, keys[name], strict=True):
                self.value(f"{way} join key {name}", found, KEY_FIELD[type(key)], key)
        for name, vector in zip(features, proto.results[len(keys) :]):
            self.vector(way, name, vector, keys)

    def vector(self, way: str, name: str, vector: Any, keys: Mapping[str, Sequence[Any]]) -> None:
        view, feature = name.split(":")
        rows = list(zip(*(keys[key] for key in VIEWS[view].keys)))
        self.equal(f"{way} rows of {name}", len(vector.values), len(rows))
        for row, key in enumerate(rows):
            what = f"{way} {name} of {key}"
            status, value, at = self.expected(view, key, feature)
            self.equal(f"status of {what}", vector.statuses[row], status)
            self.value(what, vector.values[row], self.field(way, view, feature), value)
            if way == "grpc":
                found = vector.event_timestamps[row].ToDatetime(tzinfo=UTC)
                self.equal(f"event time of {what}", found, at)
            self.checks[f"{way}_values"] += 1

    def field(self, way: str, view: str, feature: str) -> str:
        kind = VIEWS[view].features[feature]
        return kind.http if way == "http" else kind.grpc

    def refusal(self, way: str, kind: type[Exception], word: str, ask: Callable[[], Any]) -> None:
        """The question must be refused with this kind of error, which says the word."""
        try:
            ask()
        except kind as error:
            text = error.details() if isinstance(error, grpc.RpcError) else str(error)
            if word not in text:
                raise Difference(f"{way} error does not say {word!r}: {text}") from error
            self.checks[f"{way}_errors"] += 1
            return
        except Exception as error:
            name = type(error).__name__
            raise Difference(f"{way} raises {name} and not {kind.__name__}: {error}") from error
        raise Difference(f"{way} answers a question about {word!r}")


def references(*views: str) -> list[str]:
    return [f"{view}:{feature}" for view in views for feature in VIEWS[view].features]


def questions() -> Iterator[tuple[list[str] | str, list[str], dict[str, list[Any]], bool]]:
    """What is asked (a list or a service), which features that is, of which entities,
    and whether with full names."""
    people: dict[str, list[Any]] = {"person_id": PEOPLE}
    regions, codes = (list(column) for column in zip(*PLACES))
    places = {"region": regions, "code": codes}
    service = references(*SERVICE_VIEWS)
    for full_names in (False, True):
        yield references("kinds"), references("kinds"), people, full_names
        yield references("released"), references("released"), people, full_names
        yield references("places"), references("places"), places, full_names
        yield SERVICE, service, people, full_names
    # Both views have a feature `score`.
    both = references("released", "places", "kinds")
    yield both, both, {"person_id": PEOPLE[: len(PLACES)], **places}, True


def judge_http(judge: Judge, store: FeatureStore) -> None:
    """Feast's FeatureStore asks."""
    for asked, features, keys, full_names in questions():
        answer = store.get_online_features(
            features=store.get_feature_service(asked) if isinstance(asked, str) else asked,
            entity_rows=entity_rows(keys),
            full_feature_names=full_names,
        )
        judge.answer("http", answer, features, keys, full_names)
    for word, asked, keys in refused():
        # A service that only Feast has heard of.
        wanted = FeatureService(name=asked, features=[]) if isinstance(asked, str) else asked
        ask = partial(store.get_online_features, wanted, entity_rows(keys))
        judge.refusal("http", FeastError, word, ask)


def judge_read(judge: Judge, store: FeatureStore) -> None:
    """Feast's online store asks for one view, whose types it knows."""
    online = store._get_provider().online_store
    for name in SERVICE_VIEWS:
        people = [person for person in PEOPLE if person is not None]
        keys = [
            EntityKey(join_keys=["person_id"], entity_values=[types.Value(int64_val=person)])
            for person in people
        ]
        names = list(VIEWS[name].features)
        table = store.get_feature_view(name)
        rows = online.online_read(store.config, table, keys, names)
        judge.equal(f"rows of {name}", len(rows), len(people))
        # Feast's client has one event time: that of the first entity.
        first = judge.expected(name, (people[0],), names[0])[2]
        judge.equal(f"read event time of {name}", rows[0][0], first)
        for person, (_, values) in zip(people, rows):
            assert values is not None
            for feature in names:
                what = f"read {name}:{feature} of {person}"
                value = judge.expected(name, (person,), feature)[1]
                judge.value(what, values[feature], VIEWS[name].features[feature].grpc, value)
                judge.checks["read_values"] += 1


def judge_grpc(judge: Judge, stub: ServingServiceStub) -> None:
    """Feast's stub asks."""
    info = stub.GetFeastServingInfo(messages.GetFeastServingInfoRequest())
    if not info.version:
        raise Difference("GetFeastServingInfo has no version")
    for asked, features, keys, full_names in questions():
        answer = stub.GetOnlineFeatures(request(asked, keys, full_names))
        judge.equal("grpc status", answer.status, True)
        judge.answer("grpc", OnlineResponse(answer), features, keys, full_names)
    for word, asked, keys in refused():
        ask = partial(stub.GetOnlineFeatures, request(asked, keys, False))
        judge.refusal("grpc", grpc.RpcError, word, ask)


def judge_later(judge: Judge, store: FeatureStore) -> None:
    """The same question, two hours later: what was not yet known is now."""
    judge.answering = ANSWERING_LATER
    features = references("released")
    keys = {"person_id": PEOPLE}
    answer = store.get_online_features(features, entity_rows(keys))
    judge.answer("http", answer, features, keys, False)


def refused() -> Iterator[tuple[str, list[str] | str, dict[str, list[Any]]]]:
    """What cannot be answered, with the word that the error has to say."""
    person: dict[str, list[Any]] = {"person_id": [1]}
    yield "nobody_knows", ["nobody_knows:total"], person
    yield "nobody_knows", [*references("kinds"), "nobody_knows:total"], person
    yield "nothing_like_it", ["kinds:nothing_like_it"], person
    yield "nobody_serves", "nobody_serves", person
    yield "region", ["places:score"], person
    # Two features that would have one name.
    clash = references("released", "places")
    yield "full_feature_names", clash, {**person, "region": ["north"], "code": [1]}


def entity_rows(keys: Mapping[str, Sequence[Any]]) -> list[dict[str, Any]]:
    return [dict(zip(keys, row)) for row in zip(*keys.values())]


def request(
    asked: list[str] | str, keys: Mapping[str, Sequence[Any]], full_names: bool
) -> messages.GetOnlineFeaturesRequest:
    def value(key: Any) -> types.Value:
        return types.Value() if key is None else types.Value(**{KEY_FIELD[type(key)]: key})

    entities = {
        name: types.RepeatedValue(val=map(value, values)) for name, values in keys.items()
    }
    selected: dict[str, Any] = {"feature_service": asked}
    if not isinstance(asked, str):
        selected = {"features": messages.FeatureList(val=asked)}
    return messages.GetOnlineFeaturesRequest(
        entities=entities, full_feature_names=full_names, **selected
    )


def run(hitherto: Path, root: Path) -> Counter[str]:
    """Everything, in an empty folder, up to the first difference."""
    write_repository(root)
    for command in ("apply", "materialize"):
        subprocess.run(
            [hitherto, "--repo", root, "--now", NOW.isoformat(), command],
            check=True,
            stdout=sys.stderr,
        )
    judge = Judge(root)
    with serving(hitherto, root, NOW) as address:
        store = feast_store(root, address)
        judge_http(judge, store)
        judge_read(judge, store)
        with grpc.insecure_channel(address) as channel:
            judge_grpc(judge, ServingServiceStub(channel))
    with serving(hitherto, root, LATER) as address:
        store.config.online_store.path = f"http://{address}"
        judge_later(judge, store)
    return judge.checks


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--hitherto", type=Path, default=HITHERTO, help="the binary")
    args = parser.parse_args()
    # The server must end with this process, however it is ended.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    with tempfile.TemporaryDirectory(prefix="hitherto-wire-") as folder:
        try:
            checks = run(args.hitherto, Path(folder))
        except Difference as difference:
            sys.exit(f"difference: {difference}")
    json.dump({"feast": version("feast"), **checks, "differences": 0}, sys.stdout)


if __name__ == "__main__":
    main()
