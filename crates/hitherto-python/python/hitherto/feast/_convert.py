"""Feast's objects as definitions of Hitherto, and what has no equivalent.

Objects are read by their attributes, so that this imports no Feast. Types of
columns are those of the Parquet files, since a view whose declared type differs
from its file's is refused; where a file cannot be read, those that are declared.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from .._arrow import imported
from .._errors import InvalidError
from ..definitions import (
    Definition,
    Entity,
    FeatureService,
    FeatureView,
    Field,
    OnDemandFeature,
    OnDemandView,
    Source,
)
from ._arithmetic import expressions

Outcome = Literal["taken_over", "changed", "left_out"]

DUMMY_ENTITY = "__dummy"
"""What Feast calls the entity of a view without one."""

DECLARED = {
    "Bytes": "binary",
    "String": "string",
    "Bool": "bool",
    "Int32": "int32",
    "Int64": "int64",
    "Float32": "float32",
    "Float64": "float64",
    "UnixTimestamp": "timestamp(us, UTC)",
}
"""Types of Feast that have one of ours."""


@dataclass(frozen=True)
class Finding:
    """What became of one thing of a Feast repository."""

    kind: str
    """What it is in Feast: ``entity``, ``feature view``, ``feature``, ..."""
    name: str
    """Its name there; of a feature ``view:feature``."""
    outcome: Outcome
    """``taken_over``, ``changed`` (it says something else here) or ``left_out``."""
    reason: str = ""
    """Why it is not simply taken over, and what to do."""

    def to_dict(self) -> dict[str, str]:
        """The fields by name."""
        return asdict(self)


class Conversion:
    """Collects definitions, and a finding for everything that was looked at.

    Args:
        root: the folder of Feast's repository, to which its paths are relative.
        known: what views say of known time; ``ignore`` gives Feast's answers.
        stand_ins: what stands for a type that no feature can have, if whoever reads
            the answers turns it back; by default nothing does.
    """

    def __init__(
        self,
        root: Path,
        known: Literal["honor", "ignore"] = "honor",
        stand_ins: StandIns = lambda kind: None,
    ) -> None:
        self._root = root
        self._known: Literal["honor", "ignore"] = known
        self._stand_ins = stand_ins
        self._entities: dict[str, Entity] = {}
        self._views: dict[str, FeatureView] = {}
        self._on_demand: dict[str, OnDemandView] = {}
        self._services: list[FeatureService] = []
        self._join_keys: dict[str, list[str]] = {}
        self._joined: dict[str, list[str]] = {}
        self.findings: list[Finding] = []

    @property
    def definitions(self) -> list[Definition]:
        """What was taken over: entities, views, on-demand views, services."""
        views = [*self._views.values(), *self._on_demand.values()]
        return [*self._entities.values(), *views, *self._services]

    def find(self, kind: str, name: str, outcome: Outcome, reason: str = "") -> None:
        """Notes what became of a thing."""
        self.findings.append(Finding(kind, name, outcome, reason))

    def add_entities(self, entities: Iterable[Any]) -> None:
        """Remembers join keys; an entity is written with the first view that
        says its type."""
        for entity in entities:
            if entity.name != DUMMY_ENTITY:
                self._join_keys[entity.name] = list(getattr(entity, "join_keys", None) or []) or [
                    entity.join_key
                ]

    def add_view(self, view: Any) -> None:
        """Takes a feature view over, or says why not."""
        try:
            self._views[view.name] = self._view(view)
        except _LeftOut as reason:
            self.find("feature view", view.name, "left_out", str(reason))

    def _view(self, view: Any) -> FeatureView:
        source = view.batch_source
        path = source_path(self._root, source)
        kinds = file_types(path)
        schema = None if kinds is None else {
            name: type_name(self._stand_ins(kind) or kind) or "" for name, kind in kinds.items()
        }  # fmt: skip
        # As in Feast, a mapping of a column that is not in the file says nothing.
        back = {
            feature: column
            for column, feature in source.field_mapping.items()
            if schema is None or column in schema
        }
        asked = [back.get(feature.name, feature.name) for feature in view.features]
        sql = stand_in_sql(
            {name: kinds[name] for name in asked if kinds and name in kinds}, self._stand_ins
        )
        entity = self._entity(view, schema, back)
        fields, columns = self._features(view, schema, back)
        keys = () if entity is None else self._entities[entity].keys
        for key in keys:
            if key.name in back:
                columns[key.name] = back[key.name]
        event = back.get(source.timestamp_field, source.timestamp_field)
        created = source.created_timestamp_column or None
        created = created and back.get(created, created)
        if getattr(view, "stream_source", None) is not None:
            self.find(
                "source", view.stream_source.name, "left_out",
                "what is pushed or streamed is not taken; write it to the batch source",
            )  # fmt: skip
        self.find("feature view", view.name, *self._said_of_times(view.name, source, created))
        return FeatureView(
            plain_name(view.name),
            entity=entity,
            source=Source(str(path), event, known_time=created, sql=sql, columns=columns),
            features=fields,
            ttl=view.ttl or None,
            known=None if self._known == "honor" else self._known,
            description=view.description,
            owner=view.owner,
            tags=dict(view.tags),
        )

    def _said_of_times(self, name: str, source: Any, created: str | None) -> tuple[Outcome, str]:
        renamed = "" if name == plain_name(name) else f"its name is {plain_name(name)} here; "
        if created is None:
            return ("changed" if renamed else "taken_over"), renamed.removesuffix("; ")
        if self._known == "ignore":
            return "changed", (
                f"{renamed}{created} orders facts of one event time, as in Feast, and hides none"
            )
        return "changed", (
            f"{renamed}{created} is the known time: no row sees a fact before it, where Feast "
            "does; known: ignore on the view gives Feast's answers"
        )

    def _entity(
        self, view: Any, schema: Mapping[str, str] | None, back: Mapping[str, str]
    ) -> str | None:
        names = [name for name in view.entities if name != DUMMY_ENTITY]
        if not names:
            return None
        unknown = [name for name in names if name not in self._join_keys]
        if unknown:
            raise _LeftOut(f"its entity {unknown[0]} is not defined")
        declared = {column.name: column.dtype for column in view.entity_columns}
        keys: list[Field] = []
        for key in (key for name in names for key in self._join_keys[name]):
            found = _type_of(key, back.get(key, key), schema, declared.get(key))
            if found is None:
                raise _LeftOut(f"nothing says which type its join key {key} has")
            keys.append(Field(plain_name(key), found))
        name = plain_name("_".join(names))
        entity = self._entities.setdefault(name, Entity(name, keys))
        if list(entity.keys) != keys:
            raise _LeftOut(
                f"its join keys are {_listed(keys)}, and those of another view "
                f"{_listed(entity.keys)}"
            )
        self._joined[view.name] = names
        if len(names) > 1:
            self.find("feature view", view.name, "changed", f"its entity is {name} here")
        return name

    def _features(
        self, view: Any, schema: Mapping[str, str] | None, back: Mapping[str, str]
    ) -> tuple[list[Field], dict[str, str]]:
        fields: list[Field] = []
        columns: dict[str, str] = {}
        keys = {key for name in self._joined.get(view.name, ()) for key in self._join_keys[name]}
        for feature in view.features:
            if feature.name in keys:
                continue  # A schema may name the join key, too.
            column = back.get(feature.name, feature.name)
            found = _type_of(feature.name, column, schema, feature.dtype)
            name, full = plain_name(feature.name), f"{view.name}:{feature.name}"
            if found is None:
                there = "is not in the file" if schema and column not in schema else (
                    f"has a type that no feature can have, {feature.dtype}"
                )  # fmt: skip
                self.find("feature", full, "left_out", f"it {there}")
                continue
            if any(field.name == name for field in fields):
                self.find("feature", full, "left_out", f"another feature is called {name} here")
                continue
            if name != feature.name:
                self.find("feature", full, "changed", f"its name is {name} here")
            if column != name:
                columns[name] = column
            fields.append(Field(name, found, feature.description or ""))
        if not fields:
            raise _LeftOut("none of its features can be taken over")
        return fields, columns

    def add_on_demand(self, view: Any) -> None:
        """Takes an on demand view over, if its function is plain arithmetic, or says why not."""
        kind = "on demand feature view"
        try:
            self._on_demand[view.name] = self._on_demand_view(view)
        except InvalidError as reason:
            advice = "write its expressions in SQL: kind: OnDemandView"
            self.find(kind, view.name, "left_out", f"{reason}; {advice}")
        else:
            self.find(kind, view.name, "changed", "its function is SQL here, in float64")

    def _on_demand_view(self, view: Any) -> OnDemandView:
        request: dict[str, Field] = {}
        columns: dict[str, str] = {}
        inputs: dict[str, str] = {}
        for source in view.source_request_sources.values():
            for field in source.schema:
                if (found := DECLARED.get(str(field.dtype))) is None:
                    raise _LeftOut(f"its field {field.name} has a type that none has here")
                request[field.name] = Field(plain_name(field.name), found)
                columns[field.name] = f"request.{plain_name(field.name)}"
        for projection in view.source_feature_view_projections.values():
            taken = self._views.get(projection.name)
            if taken is None:
                raise _LeftOut(f"it reads {projection.name}, which is left out")
            names = {field.name for field in taken.features}
            for feature in projection.features:
                name = plain_name(feature.name)
                if name in names:
                    called = f"{taken.name}.{name}"
                    inputs[called] = f"{taken.name}:{name}"
                    columns |= {feature.name: called, f"{projection.name}__{feature.name}": called}
        transformation = view.feature_transformation
        source = getattr(transformation, "udf_string", None)
        if not source:
            raise _LeftOut(f"its transformation is a {type(transformation).__name__}")
        computed = expressions(source, columns)
        features = [self._computed(feature, computed) for feature in view.features]
        read = " ".join(feature.expr for feature in features)

        def is_read(called: str) -> bool:
            return f"({called} " in read

        return OnDemandView(
            plain_name(view.name),
            request=[request[name] for name in request if is_read(columns[name])],
            inputs=[inputs[called] for called in inputs if is_read(called)],
            features=features,
            description=view.description,
            owner=view.owner,
            tags=dict(view.tags),
        )

    @staticmethod
    def _computed(feature: Any, computed: Mapping[str, str]) -> OnDemandFeature:
        kinds = {"Float64": ("float64", "DOUBLE"), "Float32": ("float32", "REAL")}
        if str(feature.dtype) not in kinds:
            raise _LeftOut(f"its feature {feature.name} is of type {feature.dtype}, and no float")
        if feature.name not in computed:
            raise _LeftOut(f"its function does not return {feature.name}")
        kind, sql = kinds[str(feature.dtype)]
        return OnDemandFeature(
            plain_name(feature.name), kind, f"CAST({computed[feature.name]} AS {sql})",
            description=feature.description or "",
        )  # fmt: skip

    def add_service(self, service: Any) -> None:
        """Takes a feature service over, without features that are not here."""
        references: list[str] = []
        missing: list[str] = []
        for projection in service.feature_view_projections:
            view = self._views.get(projection.name) or self._on_demand.get(projection.name)
            taken = {field.name for field in view.features} if view else set[str]()
            role = reference(projection)
            for feature in projection.features:
                if plain_name(feature.name) in taken:
                    references.append(f"{role}:{plain_name(feature.name)}")
                else:
                    missing.append(f"{projection.name}:{feature.name}")
        if not references:
            self.find("feature service", service.name, "left_out", "none of its features is here")
            return
        said = f"without {', '.join(missing)}" if missing else ""
        outcome: Outcome = "changed" if missing else "taken_over"
        self.find("feature service", service.name, outcome, said)
        self._services.append(
            FeatureService(
                plain_name(service.name),
                features=references,
                description=service.description,
                owner=service.owner,
                tags=dict(service.tags),
            )
        )

    def finish(self) -> None:
        """Keeps the entities that views have, and says what became of all."""
        used = {name for view in self._views.values() if (name := view.entity)}
        self._entities = {name: self._entities[name] for name in self._entities if name in used}
        for name in self._join_keys:
            views = [view for view, names in self._joined.items() if name in names]
            if any(view in self._views for view in views):
                self.find("entity", name, "taken_over")
            else:
                self.find("entity", name, "left_out", "no view that is here has it")


class _LeftOut(InvalidError):
    """Why a view is left out."""


def source_path(root: Path, source: Any) -> Path:
    """The Parquet file or folder of a source of Feast.

    Raises:
        InvalidError: it is of another kind.
    """
    path = getattr(source, "path", None)
    if not isinstance(path, str):
        raise _LeftOut(f"its source is a {type(source).__name__}; export it to Parquet")
    file_format = type(getattr(source, "file_format", None)).__name__
    if file_format not in ("NoneType", "ParquetFormat"):
        raise _LeftOut(f"its files are {file_format}; write Parquet")
    if "://" in path and not path.startswith("file://"):
        raise _LeftOut(f"{path} is in an object store; copy it to a disk")
    return (root / path.removeprefix("file://")).resolve()


def reference(projection: Any) -> str:
    """A view as a request names it: ``alias=view[key=column]``."""
    alias = projection.name_alias
    keys = (projection.join_key_map or {}).items()
    brackets = "".join(f"[{plain_name(key)}={column}]" for key, column in keys)
    renamed = f"{plain_name(alias)}=" if alias and alias != projection.name else ""
    return f"{renamed}{plain_name(projection.name)}{brackets}"


def _type_of(
    name: str, column: str, schema: Mapping[str, str] | None, declared: object
) -> str | None:
    if schema is not None:
        return schema.get(column) or None
    return DECLARED.get(str(declared))


def file_types(path: Path) -> dict[str, Any] | None:
    """Arrow's types of the columns of a file, or of a folder's first. None if there is
    nothing to look at."""
    parquet = imported("pyarrow.parquet", "reading a Feast repository")
    files = sorted(path.rglob("*.parquet")) if path.is_dir() else [path]
    if not files or not files[0].is_file():
        return None
    return {field.name: field.type for field in parquet.read_schema(files[0])}


StandIns = Callable[[Any], Any]
"""An Arrow type to the one that stands for it, or None."""


def stand_in(kind: Any) -> Any:
    """What keeps every value of ``kind``, and can be turned back: lists of bools and of
    times are lists of integers."""
    pyarrow = imported("pyarrow", "reading a Feast repository")
    if not (pyarrow.types.is_list(kind) or pyarrow.types.is_large_list(kind)):
        return None
    item = kind.value_type
    if pyarrow.types.is_boolean(item):
        return pyarrow.list_(pyarrow.int8())
    if pyarrow.types.is_timestamp(item):
        return pyarrow.list_(pyarrow.int64())
    return pyarrow.list_(pyarrow.int32()) if pyarrow.types.is_date32(item) else None


def stand_in_sql(kinds: Mapping[str, Any], stand_ins: StandIns) -> str | None:
    """A source's SQL that puts stand-ins into their columns; None if none is needed."""
    items = {"int8": "Int8", "int32": "Int32", "int64": "Int64"}
    quoted = {name: '"' + name.replace('"', '""') + '"' for name in kinds}
    replaced = [
        f"arrow_cast({quoted[name]}, 'List({items[str(found.value_type)]})') AS {quoted[name]}"
        for name, kind in kinds.items()
        if (found := stand_ins(kind)) is not None
    ]
    return f"SELECT * REPLACE ({', '.join(replaced)}) FROM source" if replaced else None


def type_name(kind: Any) -> str | None:
    """The name of an Arrow type in definitions; None if it is none of them."""
    types = imported("pyarrow", "reading a Feast repository").types
    if types.is_timestamp(kind):
        return f"timestamp({kind.unit}, {kind.tz})" if kind.tz else f"timestamp({kind.unit})"
    if types.is_decimal128(kind):
        return f"decimal128({kind.precision}, {kind.scale})"
    if types.is_list(kind) or types.is_fixed_size_list(kind):
        item = type_name(kind.value_type)
        size = f", {kind.list_size}" if types.is_fixed_size_list(kind) else ""
        numbers = types.is_integer(kind.value_type) or types.is_floating(kind.value_type)
        return f"list({item}{size})" if numbers and item else None
    plain = {"float": "float32", "double": "float64", "date32[day]": "date32"}
    found = plain.get(str(kind), str(kind))
    return (
        found if re.fullmatch(r"bool|u?int\d+|float(32|64)|string|binary|date32", found) else None
    )


def plain_name(name: str) -> str:
    """A name that is allowed here: a-z, 0-9 and _, beginning with a letter."""
    plain = re.sub(r"[^a-z0-9_]", "_", name.lower())
    return plain if re.match("[a-z]", plain) else f"f_{plain}"


def _listed(keys: Sequence[Field]) -> str:
    return ", ".join(f"{key.name} {key.type}" for key in keys)
