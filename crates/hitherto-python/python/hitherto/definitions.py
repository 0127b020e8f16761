"""Definitions in Python: the same that YAML files hold.

    from hitherto import Entity, FeatureView, Field, Online, Source, definitions

    stay = Entity("stay", keys=[Field("hospitalization_id", "string")])
    lactate = FeatureView(
        "lactate",
        entity="stay",
        source=Source("data/labs.parquet", event_time="drawn", known_time="released"),
        features=[Field("lactate_mmol_l", "float64")],
        ttl=timedelta(hours=12),
        online=Online(history="7d"),
    )
    definitions.dump([stay, lactate], "my-features/definitions.yaml")

Objects are immutable and equal if they define the same. Only their shape is
checked here; what names, types and references must be is for ``store.plan()``,
which reads the files and says every problem with its place.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import MISSING, dataclass, field, fields
from datetime import timedelta
from difflib import get_close_matches
from pathlib import Path
from typing import Any, ClassVar, Literal

from . import _yaml
from ._errors import InvalidError
from ._time import Duration, format_duration, to_timedelta

__all__ = [
    "Aggregate",
    "Buckets",
    "Definition",
    "Entity",
    "FeatureService",
    "FeatureView",
    "Field",
    "MaxChange",
    "OnDemandFeature",
    "OnDemandView",
    "Online",
    "Source",
    "dump",
    "dumps",
    "from_dict",
    "load",
    "loads",
]

API_VERSION = "hitherto/v1"


@dataclass(frozen=True)
class Field:
    """A join key or a feature."""

    name: str
    """The column's name, unique among its siblings."""
    type: str
    """bool, int8 to int64, uint8 to uint64, float32, float64, string, binary,
    date32, decimal128(10, 2), timestamp(us, UTC), list(float32) or, of a fixed
    length, list(float32, 768)."""
    description: str = ""
    """For people."""
    default: str | bool | float | None = None
    """Of a feature: what stands where it has no value, in lookups and training sets alike;
    null without it. Kept as the text that YAML has for it."""

    def __post_init__(self) -> None:
        _normalize(self, default=_default(self.default))

    def to_dict(self) -> dict[str, Any]:
        """The mapping of the written form."""
        return _written(
            name=self.name, type=self.type, default=self.default, description=self.description
        )


@dataclass(frozen=True)
class Source:
    """Where the facts of a view come from."""

    parquet: str
    """A file, folder or glob relative to the repository's root."""
    event_time: str | None = None
    """The column that says when a thing happened; left out of a timeless source."""
    known_time: str | None = None
    """The column that says when it could first be known."""
    delay: Duration | None = None
    """How long after its event a fact is known, where no column says so."""
    sql: str | None = None
    """DataFusion SQL over the table ``source``."""
    deleted: str | None = None
    """The boolean column that marks deletions."""
    columns: Mapping[str, str] = field(default_factory=dict[str, str], hash=False)
    """The columns of join keys and features that are called otherwise in the
    source."""
    id: str | Sequence[str] | None = None
    """For aggregates: what tells two events of an entity at one time apart, a column or
    several; the word ``eventTime`` if there is never more than one. Facts of one event are
    versions of it, of which the last that is known counts."""
    partitioned_by: str | None = None
    """The period, in UTC or the ``timezone``, whose facts a file holds, by event time, if
    its path names it: ``year``, ``month``, ``day`` or ``hour``."""
    partitions: Sequence[Field] = ()
    """Columns that no file has because the paths of files name them, as ``region=EU/``."""
    timeless: bool = False
    """Its facts have no event time: they always were, as a patient's sex. No ttl, no
    ``delay`` and no history; what can change has a ``known_time``."""
    timezone: str | None = None
    """Whose clock event and known times were read from, where they have no zone of their own,
    as the IANA database names it: ``Europe/Berlin``, or ``UTC``, as which they are read
    without this."""

    def __post_init__(self) -> None:
        if self.timeless == (self.event_time is not None):
            raise InvalidError(
                f"the source {self.parquet!r} has either event_time, the column that says when "
                "a thing happened, or timeless=True"
            )
        if not isinstance(self.id, str | None):
            _normalize(self, id=tuple(self.id))
        partitions = tuple(self.partitions)
        delay = _duration(self.delay)
        _normalize(self, delay=delay, columns=dict(self.columns), partitions=partitions)

    def to_dict(self) -> dict[str, Any]:
        """The mapping of the written form."""
        return _written(
            parquet=self.parquet,
            partitionedBy=self.partitioned_by,
            partitions=[column.to_dict() for column in self.partitions] or None,
            sql=self.sql,
            eventTime=self.event_time,
            timeless=self.timeless or None,
            knownTime=self.known_time,
            delay=_text(self.delay),
            timezone=self.timezone,
            deleted=self.deleted,
            id=list(self.id) if isinstance(self.id, tuple) else self.id,
            columns=self.columns,
        )


@dataclass(frozen=True)
class Buckets:
    """One feature for each value of a column."""

    column: str
    """The source's column: text."""
    values: Sequence[str]
    """Its values."""
    other: bool = False
    """Whether there is one more for all other values and none."""

    def __post_init__(self) -> None:
        _normalize(self, values=_texts("values of buckets", self.values))

    def to_dict(self) -> dict[str, Any]:
        """The mapping of the written form."""
        return _written(column=self.column, values=list(self.values), other=self.other or None)


@dataclass(frozen=True)
class Aggregate:
    """A function over a column of the events in windows: a feature for each window, such as
    ``amount_sum_7d`` for ``Aggregate("sum", "amount", windows=["7d"])``."""

    function: str
    """sum, count, mean, variance, variance_pop, stddev, stddev_pop, min, max, min_by, max_by,
    first, last, first_n, last_n, last_n_distinct, min_n, max_n, count_distinct,
    approx_count_distinct, approx_quantile, mode, top_k, seconds_since_first,
    seconds_since_last, any or all."""
    column: str | None = None
    """The source's column that it is computed of; ``count`` without one counts events."""
    type: str | None = None
    """The column's type in the source; float64 without it."""
    windows: Sequence[Duration] = field(kw_only=True)
    """How far each looks back, or ``lifetime``; at least one. As it is written it is part of
    the feature's name: 48h is not 2d."""
    offset: Duration | None = field(default=None, kw_only=True)
    """How far the windows are moved back."""
    where: str | None = field(default=None, kw_only=True)
    """A condition in SQL over the source's columns: other events do not count."""
    buckets: Buckets | None = field(default=None, kw_only=True)
    """One feature for each value of a column."""
    exclude_current_time: bool = field(default=False, kw_only=True)
    """Whether an event of the very moment in question does not count: it may be the label's
    own."""
    by: str | None = field(default=None, kw_only=True)
    """For ``min_by`` and ``max_by``: the column whose least or greatest value decides."""
    by_type: str | None = field(default=None, kw_only=True)
    """That column's type in the source; float64 without it."""
    n: int | None = field(default=None, kw_only=True)
    """How many values ``first_n``, ``last_n``, ``last_n_distinct``, ``min_n`` and ``max_n``
    list at most."""
    k: int | None = field(default=None, kw_only=True)
    """How many values ``top_k`` lists at most."""
    limit: int | None = field(default=None, kw_only=True)
    """How many values ``count_distinct``, ``mode`` and ``top_k`` tell apart; 1000 without it."""
    p: Sequence[float] | None = field(default=None, kw_only=True)
    """Which quantiles, such as 0.5 and 0.95: a feature for each."""
    bits: int | None = field(default=None, kw_only=True)
    """To how many bits below the leading one ``approx_quantile`` rounds; 7 without it."""
    precision: int | None = field(default=None, kw_only=True)
    """Of ``approx_count_distinct``, whose error is 1.04 / sqrt(2^precision); 11 without it."""
    nulls: Literal["skip", "keep"] | None = field(default=None, kw_only=True)
    """Whether ``first``, ``last``, ``first_n`` and ``last_n`` keep nulls."""
    sum_type: Literal["int64", "decimal", "float64"] | None = field(default=None, kw_only=True)
    """The type of a sum, if it is not int64 of integers and otherwise the column's."""
    name: str | None = field(default=None, kw_only=True)
    """What the feature is called, if it is one."""
    default: str | bool | float | None = field(default=None, kw_only=True)
    """What stands where there is no value, as for other features."""
    description: str = field(default="", kw_only=True)
    """For people."""

    def __post_init__(self) -> None:
        if isinstance(self.windows, str | timedelta):
            raise InvalidError(
                f"{self.function} needs a list of windows; write [{self.windows!r}]"
            )
        windows = (
            window if window == "lifetime" else _as_written(window) for window in self.windows
        )
        _normalize(
            self,
            windows=tuple(windows),
            offset=None if self.offset is None else _as_written(self.offset),
            p=None if self.p is None else tuple(float(p) for p in self.p),
            default=_default(self.default),
        )

    def to_dict(self) -> dict[str, Any]:
        """The mapping of the written form."""
        return _written(
            function=self.function,
            column=self.column,
            type=self.type,
            windows=list(self.windows),
            offset=self.offset,
            where=self.where,
            buckets=None if self.buckets is None else self.buckets.to_dict(),
            excludeCurrentTime=self.exclude_current_time or None,
            by=self.by,
            byType=self.by_type,
            n=self.n,
            k=self.k,
            limit=self.limit,
            p=None if self.p is None else list(self.p),
            bits=self.bits,
            precision=self.precision,
            nulls=self.nulls,
            sumType=self.sum_type,
            name=self.name,
            default=self.default,
            description=self.description,
        )


@dataclass(frozen=True)
class MaxChange:
    """By how much a new copy may differ from the one that it replaces. Shares are
    written in percent, such as ``"5%"``; what is left out may differ by anything."""

    entities: str | None = None
    """Of the number of entities with values."""
    nulls: str | None = None
    """How many values of a feature are null, of all."""
    range: str | None = None
    """How far a feature's numbers reach beyond the old range, of that range."""

    def to_dict(self) -> dict[str, Any]:
        """The mapping of the written form."""
        return _written(entities=self.entities, nulls=self.nulls, range=self.range)


@dataclass(frozen=True)
class Online:
    """What the online store keeps beyond the latest fact."""

    history: Duration | None = None
    """How far back a lookup can ask; not at all without it."""
    max_change: MaxChange | None = None
    """By how much a new copy may differ from the one that it replaces; if it differs by
    more, readers go on seeing the old one."""

    def __post_init__(self) -> None:
        _normalize(self, history=_duration(self.history))

    def to_dict(self) -> dict[str, Any]:
        """The mapping of the written form."""
        max_change = None if self.max_change is None else self.max_change.to_dict()
        return _written(history=_text(self.history), maxChange=max_change)


@dataclass(frozen=True)
class _Resource:
    """What every definition has."""

    kind: ClassVar[str]

    name: str
    """Unique among definitions of one kind."""
    description: str = field(default="", kw_only=True)
    """For people."""
    owner: str = field(default="", kw_only=True)
    """Who answers for it."""
    tags: Mapping[str, str] = field(default_factory=dict[str, str], kw_only=True, hash=False)
    """Free labels, such as ``{"phi": "true"}``."""

    def __post_init__(self) -> None:
        _normalize(self, tags=dict(self.tags))

    def _spec(self) -> dict[str, Any]:
        raise NotImplementedError

    def to_dict(self) -> dict[str, Any]:
        """The document: ``apiVersion``, ``kind``, ``metadata`` and ``spec``."""
        metadata = _written(
            name=self.name, description=self.description, owner=self.owner, tags=self.tags
        )
        return {
            "apiVersion": API_VERSION,
            "kind": self.kind,
            "metadata": metadata,
            "spec": self._spec(),
        }

    def to_yaml(self) -> str:
        """The document as YAML."""
        return _yaml.dump(self.to_dict())


@dataclass(frozen=True)
class Entity(_Resource):
    """The thing that features describe: its join keys."""

    kind: ClassVar[str] = "Entity"

    keys: Sequence[Field]
    """Join keys, in the order in which they are encoded; at least one."""

    def __post_init__(self) -> None:
        super().__post_init__()
        _normalize(self, keys=_fields(self, "keys", self.keys))

    def _spec(self) -> dict[str, Any]:
        return {"keys": [key.to_dict() for key in self.keys]}


@dataclass(frozen=True)
class FeatureView(_Resource):
    """Features of one entity from one source."""

    kind: ClassVar[str] = "FeatureView"

    source: Source
    """Where facts come from."""
    features: Sequence[Field] = ()
    """Features that are columns of the source, in the order of the answer. The newest fact
    answers."""
    entity: str | None = None
    """The entity's name; without it the features are about everything there
    is, and are looked up and joined without keys."""
    ttl: Duration | None = None
    """How long a fact answers; for ever without it."""
    known: Literal["honor", "ignore"] | None = None
    """Whether known time counts: ``honor`` (the default), or ``ignore``."""
    online: Online | None = None
    """What the online store keeps beyond the latest fact."""
    aggregates: Sequence[Aggregate] = ()
    """In the place of ``features``: functions of the events in windows, such as a sum over
    7d."""

    def __post_init__(self) -> None:
        super().__post_init__()
        features, aggregates = _fields(self, "features", self.features), tuple(self.aggregates)
        if bool(features) == bool(aggregates):
            raise InvalidError(
                f"feature view {self.name!r} has either features, columns of the source, or "
                "aggregates, functions of its events"
            )
        _normalize(self, features=features, aggregates=aggregates, ttl=_duration(self.ttl))

    def _spec(self) -> dict[str, Any]:
        return _written(
            entity=self.entity,
            source=self.source.to_dict(),
            ttl=_text(self.ttl),
            known=self.known,
            features=[feature.to_dict() for feature in self.features] or None,
            aggregates=[aggregate.to_dict() for aggregate in self.aggregates] or None,
            online=None if self.online is None else self.online.to_dict(),
        )


@dataclass(frozen=True)
class OnDemandFeature:
    """A feature that is computed of one row."""

    name: str
    """The feature's name, unique among its siblings."""
    type: str
    """The type of its expression, exactly: as for :class:`Field`."""
    expr: str
    """SQL over one row: inputs as ``view.feature`` (or ``feature``, where only one is called
    so), fields of the request by their names, and ``request_time()``."""
    description: str = ""
    """For people."""
    default: str | bool | float | None = None
    """What stands where it has no value; null without it."""

    def __post_init__(self) -> None:
        _normalize(self, default=_default(self.default))

    def to_dict(self) -> dict[str, Any]:
        """The mapping of the written form."""
        return _written(
            name=self.name,
            type=self.type,
            expr=self.expr,
            default=self.default,
            description=self.description,
        )


@dataclass(frozen=True)
class OnDemandView(_Resource):
    """Features that are computed when they are asked for. Nothing of them is stored."""

    kind: ClassVar[str] = "OnDemandView"

    features: Sequence[OnDemandFeature]
    """Features, in the order of the answer."""
    request: Sequence[Field] = ()
    """What the request brings, one value a row; in a training set columns of the spine."""
    inputs: Sequence[str] = ()
    """Features that expressions can read: ``view:feature`` or ``view:*``."""
    entities: Sequence[str] = ()
    """The entities whose features are read together, if there are several."""

    def __post_init__(self) -> None:
        super().__post_init__()
        features = tuple(self.features)
        for each in features:
            if not isinstance(each, OnDemandFeature):
                raise InvalidError(
                    f"features of OnDemandView {self.name!r} are OnDemandFeatures; write "
                    f'OnDemandFeature("...", "float64", "...") for {each!r}'
                )
        _normalize(
            self,
            features=features,
            request=_fields(self, "request", self.request),
            inputs=_texts(f"inputs of OnDemandView {self.name!r}", self.inputs),
            entities=_texts(f"entities of OnDemandView {self.name!r}", self.entities),
        )

    def _spec(self) -> dict[str, Any]:
        return _written(
            entities=list(self.entities) or None,
            request=[each.to_dict() for each in self.request] or None,
            inputs=list(self.inputs) or None,
            features=[feature.to_dict() for feature in self.features],
        )


@dataclass(frozen=True)
class FeatureService(_Resource):
    """The features of one model."""

    kind: ClassVar[str] = "FeatureService"

    features: Sequence[str]
    """Features in the order of the answer: ``view:feature``, or ``view:*``."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if isinstance(self.features, str):
            raise InvalidError(
                f"feature service {self.name!r} needs a list of features; write [{self.features!r}]"
            )
        _normalize(self, features=tuple(self.features))

    def _spec(self) -> dict[str, Any]:
        return {"features": list(self.features)}


Definition = Entity | FeatureView | OnDemandView | FeatureService
"""What a document defines."""


def from_dict(document: Mapping[str, Any]) -> Definition:
    """The definition of a document, as :meth:`Entity.to_dict` gives it.

    Raises:
        InvalidError: a field is unknown or missing, or is not what it must be.
    """
    kinds: dict[str, type[Definition]] = {
        kind.kind: kind for kind in (Entity, FeatureView, OnDemandView, FeatureService)
    }
    whole = _mapping("the document", document, ("apiVersion", "kind", "metadata", "spec"))
    if whole.get("apiVersion") != API_VERSION:
        raise InvalidError(
            f"apiVersion {whole.get('apiVersion')!r} is not known; write {API_VERSION}"
        )
    kind = kinds.get(whole.get("kind", ""))
    if kind is None:
        raise InvalidError(f"kind {whole.get('kind')!r} is not one of {', '.join(kinds)}")
    given: dict[str, Any] = {}
    metadata = [each.name for each in fields(_Resource)]
    spec = [each.name for each in fields(kind) if each.name not in metadata]
    for part, names in (("metadata", metadata), ("spec", spec)):
        where = f"{part} of {kind.kind} {given.get('name', '')!r}"
        given |= _arguments(where, kind, names, whole.get(part))
    return kind(**given)


def loads(text: str) -> list[Definition]:
    """The definitions of a YAML text, in its order. Needs PyYAML.

    Raises:
        InvalidError: it is not YAML, or a document is not of the written form.
    """
    return [from_dict(document) for document in _yaml.documents(text)]


def load(path: str | os.PathLike[str]) -> list[Definition]:
    """The definitions of a YAML file, or of all files of a repository, sorted
    by their path. Needs PyYAML.

    Raises:
        InvalidError: as :func:`loads`, with the file's name.
    """
    found: list[Definition] = []
    for file in _files(Path(path)):
        try:
            found += loads(file.read_text("utf-8"))
        except UnicodeDecodeError as cause:
            raise InvalidError(f"{file} is not UTF-8 text; save it as UTF-8") from cause
        except InvalidError as error:
            raise InvalidError(f"{file}: {error}") from error
    return found


def dumps(definitions: Iterable[Definition]) -> str:
    """A YAML text of ``definitions``, a document each, in their order."""
    return "---\n".join(definition.to_yaml() for definition in definitions)


def dump(definitions: Iterable[Definition], path: str | os.PathLike[str]) -> None:
    """Writes ``definitions`` to a YAML file."""
    Path(path).write_text(dumps(definitions), "utf-8")


def _files(path: Path) -> list[Path]:
    """A file itself, and of a repository what the engine reads of it."""
    if not path.is_dir():
        return [path]
    return sorted(
        file
        for file in path.rglob("*")
        if file.suffix in (".yaml", ".yml")
        and file != path / "hitherto.yaml"
        and not any(part.startswith(".") for part in file.relative_to(path).parts)
    )


def _written(**entries: Any) -> dict[str, Any]:
    """The entries that say something."""
    return {
        name: dict(value) if isinstance(value, Mapping) else value
        for name, value in entries.items()
        if value is not None
        and (name == "default" or value != "")
        and (name == "online" or value != {})
    }


def _normalize(instance: object, **values: object) -> None:
    """Puts values into a frozen dataclass that is being made."""
    for name, value in values.items():
        object.__setattr__(instance, name, value)


def _fields(owner: _Resource, what: str, fields: Iterable[Field]) -> tuple[Field, ...]:
    found = tuple(fields)
    for each in found:
        if not isinstance(each, Field):
            raise InvalidError(
                f"{what} of {owner.kind} {owner.name!r} are Fields; write "
                f'Field("...", "float64") for {each!r}'
            )
    return found


def _default(default: str | float | None) -> str | None:
    """As the text that YAML has for it."""
    if default is None:
        return None
    return str(default).lower() if isinstance(default, bool) else str(default)


def _texts(what: str, found: Sequence[str]) -> tuple[str, ...]:
    if isinstance(found, str):
        raise InvalidError(f"{what} are a list; write [{found!r}]")
    return tuple(found)


def _duration(duration: Duration | None) -> timedelta | None:
    return None if duration is None else to_timedelta(duration)


def _as_written(duration: Duration) -> str:
    """A duration that names a feature: its text, if it is one."""
    checked = to_timedelta(duration)
    return duration.strip() if isinstance(duration, str) else format_duration(checked)


def _text(duration: Duration | None) -> str | None:
    return None if duration is None else format_duration(to_timedelta(duration))


def _arguments(where: str, kind: type[Any], names: Iterable[str], form: object) -> dict[str, Any]:
    """The arguments for ``names`` of a class, from their written form."""
    written = {_camel(name): name for name in names}
    found = _mapping(where, form, written)
    for each in fields(kind):
        is_needed = each.default is MISSING and each.default_factory is MISSING
        if each.name in names and is_needed and _camel(each.name) not in found:
            raise InvalidError(f"{where}: field {_camel(each.name)!r} is missing")
    return {
        name: _argument(f"{where}: field {field!r}", kind, name, found[field])
        for field, name in written.items()
        if field in found
    }


_PARTS: dict[str, type[Any]] = {
    "source": Source,
    "online": Online,
    "max_change": MaxChange,
    "buckets": Buckets,
}
_FLAGS = ("timeless", "exclude_current_time", "other")
_LISTS = (
    "keys",
    "features",
    "partitions",
    "aggregates",
    "windows",
    "values",
    "p",
    "request",
    "inputs",
    "entities",
)
_NUMBERS = ("n", "k", "limit", "bits", "precision")


def _argument(where: str, kind: type[Any], name: str, value: object) -> object:
    if part := _PARTS.get(name):
        return part(**_arguments(where, part, [each.name for each in fields(part)], value))
    if name in ("tags", "columns"):
        return {key: _string(where, text) for key, text in _mapping(where, value, None).items()}
    if name in _FLAGS:
        # As text where it was read from YAML.
        for truth in (True, False):
            if value is truth or value == str(truth).lower():
                return truth
        raise InvalidError(f"{where} must be true or false; found {value!r}")
    if name in _NUMBERS:
        text = str(value)
        if not text.isdecimal():
            raise InvalidError(f"{where} must be a number; found {value!r}")
        return int(text)
    is_list = name in _LISTS
    if not is_list and not (name == "id" and isinstance(value, list)):
        return _string(where, value)
    if not isinstance(value, list):
        raise InvalidError(f"{where} must be a list; found {value!r}")
    items: list[Any] = value
    if name == "p":
        return [_number(where, item) for item in items]
    if kind is FeatureService or name in ("windows", "values", "id", "inputs", "entities"):
        return [_string(where, item) for item in items]
    if name == "aggregates":
        names = [each.name for each in fields(Aggregate)]
        return [Aggregate(**_arguments(where, Aggregate, names, item)) for item in items]
    part = OnDemandFeature if kind is OnDemandView and name == "features" else Field
    names = [each.name for each in fields(part)]
    return [part(**_arguments(where, part, names, item)) for item in items]


def _mapping(where: str, form: object, known: Iterable[str] | None) -> dict[str, Any]:
    """A mapping whose fields are all among the known ones."""
    if not isinstance(form, Mapping):
        raise InvalidError(f"{where} must be a mapping; found {form!r}")
    found: dict[str, Any] = dict(form)
    names = list(found if known is None else known)
    for name in found:
        if name not in names:
            close = get_close_matches(str(name), names, n=1)
            meant = f"; did you mean {close[0]!r}?" if close else f"; there is {', '.join(names)}"
            raise InvalidError(f"{where}: unknown field {name!r}{meant}")
    return found


def _number(where: str, value: object) -> float:
    try:
        return float(str(value))
    except ValueError:
        raise InvalidError(f"{where} must be numbers; found {value!r}") from None


def _string(where: str, value: object) -> str:
    if not isinstance(value, str):
        raise InvalidError(f"{where} must be text; found {value!r}")
    return value


def _camel(name: str) -> str:
    return re.sub(r"_([a-z])", lambda letter: letter[1].upper(), name)
