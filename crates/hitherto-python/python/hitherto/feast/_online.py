"""Hitherto as the online store of a Feast repository.

    online_store:
      type: hitherto.feast.OnlineStore
      path: data/hitherto-online
      url: http://127.0.0.1:7411

Feast keeps its registry, definitions and commands. ``feast apply`` writes its views
as definitions of Hitherto into ``path``, one project a folder; what Feast writes
is pushed into them and what it reads is looked up. Without ``url`` the engine
runs in this process and holds the folder, which one process at a time can; with
it, all processes of Feast ask the server that serves the folder, and show it what it
asks for: ``token``, ``cert`` with ``key``.

Values whose type Hitherto lacks (maps, structs, JSON, sets, lists of text) are
kept as Feast's own bytes, in features of type binary.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime, timedelta, timezone
from itertools import count, islice
from pathlib import Path
from typing import Any, Literal

import pandas
import pyarrow
import pyarrow.parquet as parquet
from feast import Entity as FeastEntity
from feast.feature_view import DUMMY_ENTITY_FIELD, DUMMY_ENTITY_VAL
from feast.infra.online_stores import online_store
from feast.infra.supported_async_methods import SupportedAsyncMethods
from feast.protos.feast.types.EntityKey_pb2 import EntityKey
from feast.protos.feast.types.Value_pb2 import Value
from feast.repo_config import FeastConfigBaseModel, RepoConfig
from feast.type_map import NULL_TIMESTAMP_INT_VALUE
from pydantic import SecretStr

from .. import _store, definitions
from .._errors import ConflictError, InvalidError
from ..definitions import Definition, Entity, FeatureView, Field, Source
from ._convert import plain_name, type_name

LOOKUP_ENTITIES_MAX = 5_000
"""Entities of one lookup: the engine's limit, of which Feast knows nothing."""

TIME = pyarrow.timestamp("us", "UTC")
EVENT_TIME, KNOWN_TIME = "event time", "known time"
"""Columns that no join key or feature can have the name of."""

AS_BYTES = pyarrow.binary()

NUMBERS = {
    "Int32": ("int32", pyarrow.int32()),
    "Int64": ("int64", pyarrow.int64()),
    "Float32": ("float", pyarrow.float32()),
    "Float64": ("double", pyarrow.float64()),
}

TYPES: dict[str, tuple[str, pyarrow.DataType]] = {
    "Bytes": ("bytes_val", pyarrow.binary()),
    "String": ("string_val", pyarrow.string()),
    "Bool": ("bool_val", pyarrow.bool_()),
    "UnixTimestamp": ("unix_timestamp_val", TIME),
    **{name: (f"{kind}_val", arrow) for name, (kind, arrow) in NUMBERS.items()},
    **{
        f"Array({name})": (f"{kind}_list_val", pyarrow.list_(arrow))
        for name, (kind, arrow) in NUMBERS.items()
    },
}
"""Types of Feast that have one of ours: where Feast's value has it, and ours."""

Row = tuple[EntityKey, dict[str, Value], datetime, datetime | None]
"""What Feast writes: entity, features, event time, created."""

Answer = tuple[datetime | None, dict[str, Value] | None]
"""What Feast reads: event time and features, or neither."""


class OnlineStoreConfig(FeastConfigBaseModel):  # type: ignore[misc]
    """The section ``online_store`` of ``feature_store.yaml``."""

    type: Literal["hitherto.feast.OnlineStore"] = "hitherto.feast.OnlineStore"
    """Names the plugin."""
    path: str = "data/hitherto-online"
    """A repository of Hitherto for one project of Feast, relative to Feast's."""
    url: str | None = None
    """The server that serves it. Without one, one process at a time opens it."""
    token: SecretStr | None = None
    """What the server asks for, if it has a token file."""
    ca: str | None = None
    """A PEM file with the CA that signed its certificate, relative to Feast's repository
    as the next two; the system's if left out."""
    cert: str | None = None
    """For a server that asks for one: a PEM file with the certificate to show."""
    key: str | None = None
    """A PEM file with its key, if ``cert`` does not have it."""


class OnlineStore(online_store.OnlineStore):  # type: ignore[misc]
    """Feast's interface over Hitherto; see this module."""

    def __init__(self) -> None:
        self._store: _store.Store | None = None

    @property
    def async_supported(self) -> SupportedAsyncMethods:
        """Reading and writing, on threads."""
        return SupportedAsyncMethods(read=True, write=True)

    def update(
        self,
        config: RepoConfig,
        tables_to_delete: Sequence[Any],
        tables_to_keep: Sequence[Any],
        entities_to_delete: Sequence[FeastEntity],
        entities_to_keep: Sequence[FeastEntity],
        partial: bool,
    ) -> None:
        """Writes definitions of the views, and applies them.

        Raises:
            InvalidError: a join key has a type that none can have; a change would
                lose what is stored; a server has yet to apply the definitions,
                with the commands.
            ConflictError: another process has the folder open.
        """
        folder = _folder(config)
        (folder / "sources").mkdir(parents=True, exist_ok=True)
        file = folder / "feast.yaml"
        written = definitions.load(file) if file.exists() else []
        found: dict[tuple[str, str], Definition] = {
            (each.kind, each.name): each for each in written
        }
        for view in tables_to_delete:
            # Its entity stays: a repository without any definition is refused.
            found.pop((FeatureView.kind, plain_name(view.name)), None)
        kept: list[FeatureView] = []
        for view in tables_to_keep:
            entity, ours = _definitions(view)
            found |= {(each.kind, each.name): each for each in (entity, ours)}
            # A view takes pushes once it was materialized: from a file without rows.
            parquet.write_table(_facts(view, []), folder / ours.source.parquet)
            kept.append(ours)
        if not found:
            return
        definitions.dump(found.values(), file)
        store, url = self._opened(config), _options(config).url
        if url is not None:
            _check_applied(store.catalog()["views"], kept, url)
            return
        store.apply()
        if kept:
            store.materialize([view.name for view in kept])

    def teardown(
        self, config: RepoConfig, tables: Sequence[Any], entities: Sequence[FeastEntity]
    ) -> None:
        """Drops the views; the folder stays."""
        self.update(config, tables, [], entities, [], partial=True)

    def online_write_batch(
        self,
        config: RepoConfig,
        table: Any,
        data: Sequence[Row],
        progress: Callable[[int], Any] | None,
    ) -> None:
        """Pushes rows: the next read sees them. Event times stay what they are;
        created, where Feast gives it, is the known time, else a row is known from
        now on. Rows are on the disk when this returns.

        Raises:
            NotFoundError: the view is not applied.
            InvalidError: a value has another type than the view declares.
            ConflictError: another process has the folder open.
        """
        if data:
            self._opened(config).push(plain_name(table.name), _facts(table, data))
        if progress:
            progress(len(data))

    def online_read(
        self,
        config: RepoConfig,
        table: Any,
        entity_keys: Sequence[EntityKey],
        requested_features: Sequence[str] | None = None,
    ) -> list[Answer]:
        """Looks entities up as of now, an answer for each. There is none from
        facts that are older than the view's ttl or not yet known.

        Raises:
            NotFoundError: the view is not applied.
            ConflictError: another process has the folder open.
        """
        store, view = self._opened(config), plain_name(table.name)
        kept = _features(table)
        wanted = {feature.name for feature in table.features}
        wanted &= wanted if requested_features is None else set(requested_features)
        # Whatever is wanted, one feature at least tells whether a fact answers.
        features = [feature for feature in kept if feature.name in wanted] or kept[:1]
        named = wanted - {feature.name for feature in kept}
        names = [f"{view}:{plain_name(feature.name)}" for feature in features]
        answers: list[Answer] = []
        keys = iter(entity_keys)
        while some := list(islice(keys, LOOKUP_ENTITIES_MAX)):
            found = store.lookup(_key_columns(some), names, times=True)
            columns = found.to_dict()
            values = {
                feature.name: _to_feast(feature, columns[name])
                for feature, name in zip(features, names, strict=True)
            }
            answers += [
                (None, None)
                if times is None
                else (
                    _held(times[0]),
                    {name: column[row] for name, column in values.items() if name in wanted}
                    | {
                        name: value
                        for name, value in zip(key.join_keys, key.entity_values, strict=True)
                        if name in named
                    },
                )
                for key, row, times in zip(some, count(), found.times[view], strict=False)
            ]
        return answers

    async def online_write_batch_async(self, *arguments: Any, **named: Any) -> None:
        """As :meth:`online_write_batch`."""
        await asyncio.to_thread(self.online_write_batch, *arguments, **named)

    async def online_read_async(self, *arguments: Any, **named: Any) -> list[Answer]:
        """As :meth:`online_read`."""
        return await asyncio.to_thread(self.online_read, *arguments, **named)

    async def close(self) -> None:
        """Closes the folder, so that another process can open it."""
        if self._store is not None:
            self._store.close()
            self._store = None

    def _opened(self, config: RepoConfig) -> _store.Store:
        if self._store is None:
            folder, url = _folder(config), _options(config).url
            try:
                self._store = _store.connect(folder if url is None else url, **_shown(config))
            except ConflictError as error:
                raise ConflictError(
                    f"{error}; for several processes of Feast, run `hitherto serve --repo "
                    f"{folder}` and name the server under online_store: url"
                ) from error
        return self._store


def _options(config: Any) -> OnlineStoreConfig:
    options: OnlineStoreConfig = config.online_store
    return options


def _folder(config: Any) -> Path:
    return Path(config.repo_path) / _options(config).path


def _shown(config: Any) -> dict[str, Any]:
    """What ``connect`` takes for a server."""
    options, root = _options(config), Path(config.repo_path)
    ca, cert, key = (name and root / name for name in (options.ca, options.cert, options.key))
    if key and not cert:
        raise InvalidError("online_store: key is that of a certificate; name cert, too")
    token = options.token and options.token.get_secret_value()
    return {"token": token, "ca": ca, "cert": (cert, key) if key else cert}


def _held(moment: datetime | str) -> datetime:
    """A time as Feast takes it: of Python's years, or the last of them."""
    if isinstance(moment, datetime):
        return moment
    ends = datetime.min if moment.startswith("-") else datetime.max
    return ends.replace(tzinfo=timezone.utc)


def _definitions(view: Any) -> tuple[Entity, FeatureView]:
    name = plain_name(view.name)
    # An entity for each view: in Feast one join key may have a type in one view and
    # another type in the next.
    keys = [Field(plain_name(key.name), _key_type(view, key)) for key in _keys(view)]
    return Entity(name, keys), FeatureView(
        name,
        source=Source(f"sources/{name}.parquet", EVENT_TIME, known_time=KNOWN_TIME),
        features=[
            Field(plain_name(feature.name), str(type_name(_type(feature)[1])))
            for feature in _features(view)
        ],
        entity=name,
        ttl=getattr(view, "ttl", None) or None,
        description=view.description,
        owner=view.owner,
        tags=dict(view.tags),
    )


def _keys(view: Any) -> list[Any]:
    """Its join keys. A view without an entity has one of Feast's making, which
    ``write_to_online_store`` leaves out and ``get_online_features`` asks for."""
    return view.entity_columns or [DUMMY_ENTITY_FIELD]


def _features(view: Any) -> list[Any]:
    """Its features. A schema may name a join key, too: every answer has that already."""
    keys = {key.name for key in _keys(view)}
    return [feature for feature in view.features if feature.name not in keys]


def _key_type(view: Any, key: Any) -> str:
    kind, arrow = _type(key)
    if kind is None:
        raise InvalidError(
            f"join key {key.name!r} of {view.name} is a {key.dtype}, which no join key can be; "
            "make it String or Int64"
        )
    return str(type_name(arrow))


def _type(field: Any) -> tuple[str | None, pyarrow.DataType]:
    return TYPES.get(str(field.dtype), (None, AS_BYTES))


def _check_applied(
    applied: Sequence[dict[str, Any]], wanted: Sequence[FeatureView], url: str
) -> None:
    """Refuses to go on before the server has the definitions."""
    there = {
        view["definition"]["metadata"]["name"]: view["definition"]
        for view in applied
        if view["generation"] is not None
    }
    for view in wanted:
        definition = there.get(view.name, {"features": [], "ttl_micros": None})
        features = [Field(field["name"], field["type"]) for field in definition["features"]]
        micros = definition["ttl_micros"]
        ttl = None if micros is None else timedelta(microseconds=micros)
        if (features, ttl) != (list(view.features), view.ttl):
            raise InvalidError(
                f"the server has yet to take the new definition of {view.name}; run `hitherto "
                f"apply --server {url}` and `hitherto materialize --server {url}`, and then "
                "`feast apply` again"
            )


def _facts(view: Any, rows: Sequence[Row]) -> pyarrow.Table:
    """Rows as Hitherto takes them."""
    arrival = datetime.now(timezone.utc)
    keys = _key_columns([row[0] for row in rows])
    columns = {
        EVENT_TIME: pyarrow.array([row[2] for row in rows], TIME),
        KNOWN_TIME: pyarrow.array(
            [arrival if pandas.isna(row[3]) else row[3] for row in rows], TIME
        ),
    }
    for key in _keys(view):
        name = plain_name(key.name)
        values = keys.get(name) or [DUMMY_ENTITY_VAL] * len(rows)
        columns[name] = pyarrow.array(values, _type(key)[1])
    for feature in _features(view):
        found = _from_feast(view, feature, (row[1].get(feature.name, Value()) for row in rows))
        columns[plain_name(feature.name)] = pyarrow.array(found, _type(feature)[1])
    return pyarrow.table(columns)


def _key_columns(keys: Sequence[EntityKey]) -> dict[str, list[Any]]:
    """Join keys' values, a list each."""
    columns: dict[str, list[Any]] = {}
    for key in keys:
        for name, value in zip(key.join_keys, key.entity_values, strict=True):
            kind = value.WhichOneof("val")
            columns.setdefault(plain_name(name), []).append(kind and getattr(value, kind))
    return columns


def _from_feast(view: Any, feature: Any, values: Iterator[Value]) -> list[Any]:
    """What Hitherto keeps of Feast's values."""
    kind, arrow = _type(feature)
    found: list[Any] = []
    for value in values:
        given = value.WhichOneof("val")
        if given in (None, "null_val"):
            found.append(None)
        elif kind is None:
            found.append(value.SerializeToString())
        elif given == kind:
            plain = getattr(value, kind)
            if arrow.num_fields:
                found.append(list(plain.val))
            elif arrow == TIME:
                found.append(None if plain == NULL_TIMESTAMP_INT_VALUE else plain * 1_000_000)
            else:
                found.append(plain)
        else:
            raise InvalidError(
                f"feature {feature.name!r} of {view.name} is a {feature.dtype}; found a {given}"
            )
    return found


def _to_feast(feature: Any, values: Sequence[Any]) -> list[Value]:
    """The other way."""
    kind, arrow = _type(feature)
    if kind is None:
        return [Value() if value is None else Value.FromString(value) for value in values]
    if arrow == TIME:
        values = [None if value is None else int(value.timestamp()) for value in values]
    if arrow.num_fields:
        values = [None if value is None else {"val": value} for value in values]
    return [Value() if value is None else Value(**{kind: value}) for value in values]
