"""Feature views as data contracts of the Open Data Contract Standard (ODCS 3.1), and back.

    python -m hitherto.contracts export labs --store http://host:7411 --out labs.odcs.yaml
    python -m hitherto.contracts import labs.odcs.yaml --out labs.yaml

A contract says of a view what others rely on: columns, types, keys, which times there are, how
fresh it is and for how long a fact answers. What the standard has no word for stands in its
``customProperties``, as in a definition: a contract that was exported is imported as the same
definition. Reading YAML needs PyYAML.
"""

from __future__ import annotations

import argparse
import os
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from . import _command, _yaml
from ._duckdb_types import from_duckdb
from ._environment import connect_from_environment
from ._errors import InvalidError, NotFoundError
from ._selection import views_of
from ._time import Duration, format_duration, to_datetime, to_timedelta
from .definitions import Definition, Entity, Field, dumps, from_dict
from .steps import TAG

__all__ = ["export", "load"]

API_VERSION = "v3.1.0"
CONTRACT_BYTES_MAX = 16 << 20
"""A larger file is refused: it is no contract."""

SOURCE = ("eventTime", "knownTime", "delay", "deleted", "timezone", "timeless", "partitionedBy",
          "sql", "columns", "partitions")  # fmt: skip
SPEC = ("ttl", "known", "online")

LOGICAL = (
    (r"string|binary", "string"),
    (r"bool", "boolean"),
    (r"u?int\d+", "integer"),
    (r"float\d+|decimal128.*", "number"),
    (r"date32", "date"),
    (r"timestamp.*", "timestamp"),
    (r"list.*", "array"),
)
"""Our types, and what the standard calls them."""

PHYSICAL = {"string": "string", "boolean": "bool", "integer": "int64", "number": "float64",
            "date": "date32", "timestamp": "timestamp(us, UTC)"}  # fmt: skip
"""What a logical type is here, where nothing says more."""

UNITS = {"d": "d", "day": "d", "days": "d", "h": "h", "hr": "h", "hour": "h", "hours": "h",
         "m": "m", "min": "m", "minute": "m", "minutes": "m", "s": "s", "second": "s",
         "seconds": "s", "y": "y", "yr": "y", "years": "y"}  # fmt: skip


def export(catalog: Mapping[str, Any], name: str) -> dict[str, Any]:
    """The contract of an applied view, as :func:`json.dumps` writes it.

    Args:
        catalog: what ``store.catalog()`` gives.
        name: the view's.

    Raises:
        NotFoundError: no such view.
    """
    view = views_of(dict(catalog)).get(name)
    if view is None:
        raise NotFoundError(
            f"there is no feature view {name!r}; apply its definition, or name another"
        )
    definition = view["definition"]
    if definition.get("aggregates"):
        raise InvalidError(
            f"the features of view {name!r} are computed of events, and a contract is of columns; "
            "export a view of the source's columns"
        )
    metadata, source = definition["metadata"], definition["source"]
    written = _written(definition)
    renamed = source.get("columns") or {}
    times = {
        source.get(field): f"{words}; UTC unless a zone is said"
        for field, words in (("event_time", "When it happened"),
                             ("known_time", "When it could first be known"))
        if source.get(field)
    }  # fmt: skip
    properties = [
        # No primary key: one entity has many facts.
        _property(each, renamed, required=True) for each in view["keys"]
    ]
    taken = {each["name"] for each in [*view["keys"], *definition["features"]]}
    properties += [
        {"name": column, "logicalType": "timestamp", "required": column == source.get("event_time"),
         "description": words}
        for column, words in times.items() if column not in taken
    ]  # fmt: skip
    defaults = definition.get("defaults", {})
    properties += [
        _property({"default": defaults.get(each["name"]), **each}, renamed)
        for each in definition["features"]
    ]
    custom = {
        "entity": definition.get("entity"),
        "keys": [each["name"] for each in view["keys"]] or None,
        "tags": metadata["tags"] or None,
        **written,
    }
    contract: dict[str, Any] = {
        "apiVersion": API_VERSION,
        "kind": "DataContract",
        "id": f"hitherto:{name}",
        "name": name,
        "version": f"{view['version']}.0.0",
        "status": "active",
        "contractCreatedTs": to_datetime(view["applied_at"]).isoformat(),
    }
    if metadata["description"]:
        contract["description"] = {"purpose": metadata["description"]}
    if metadata["owner"]:
        contract["team"] = {"name": metadata["owner"]}
    contract["servers"] = [_server(source["parquet"])]
    contract["schema"] = [
        {"name": name, "logicalType": "object", "physicalType": "file", "properties": properties}
    ]
    if freshness := metadata["tags"].get(TAG):
        value, unit = _unit(freshness)
        level = {"property": "freshness", "value": value, "unit": unit}
        element = {"element": f"{name}.{written['eventTime']}"} if written["eventTime"] else {}
        contract["slaProperties"] = [level | element]
    contract["customProperties"] = [
        {"property": field, "value": value} for field, value in custom.items() if value is not None
    ]
    return contract


def load(path: str | os.PathLike[str]) -> list[Definition]:
    """The definitions that a contract stands for: an entity for each that its schema names, and
    a view for each object of the schema.

    Raises:
        NotFoundError: there is no such file.
        InvalidError: it is no contract of ODCS 3, or does not say what a view needs: which
            object, and what to write there.
    """
    file = Path(path)
    try:
        if file.stat().st_size > CONTRACT_BYTES_MAX:
            raise InvalidError(f"{file} has more than {CONTRACT_BYTES_MAX >> 20} MiB; name another")
        documents = _yaml.documents(file.read_text("utf-8"))
    except FileNotFoundError as cause:
        raise NotFoundError(f"there is no {file}; name a contract, a YAML file") from cause
    except UnicodeDecodeError as cause:
        raise InvalidError(f"{file} is not UTF-8 text; save it as UTF-8") from cause
    contract = documents[0] if len(documents) == 1 else None
    if not isinstance(contract, Mapping) or contract.get("kind") != "DataContract":
        raise InvalidError(f"{file} is no data contract; it needs kind: DataContract")
    if not str(contract.get("apiVersion")).startswith("v3."):
        raise InvalidError(
            f"{file}: apiVersion {contract.get('apiVersion')!r} is not known; write {API_VERSION}"
        )
    entities: dict[str, Entity] = {}
    views: list[Definition] = []
    for each in _listed(contract.get("schema"), f"{file}: schema"):
        entity, view = _Object(file, contract, each).definitions()
        if entity is not None:
            entities.setdefault(entity.name, entity)
        views.append(view)
    if not views:
        raise InvalidError(f"{file} has no schema; write the view's columns there")
    return [*entities.values(), *views]


class _Object:
    """An object of a contract's schema, a view."""

    def __init__(self, file: Path, contract: Mapping[str, Any], each: Mapping[str, Any]) -> None:
        self._contract = contract
        self._object = each
        self._where = f"{file}: {each.get('name', 'an object of schema without a name')}"
        # What an object says counts more than what the contract does.
        self._custom = {**_custom(contract), **_custom(each)}

    def _keys(self, properties: list[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
        """Whom a row is about: what ``keys`` names, or else the primary key without its times."""
        named = self._custom.get("keys")
        if named is None:
            keys = [each for each in properties if each.get("primaryKey") == "true"]
            return sorted(keys, key=lambda each: int(each.get("primaryKeyPosition", 0)))
        by_name = {each.get("name"): each for each in properties}
        if not isinstance(named, list) or not all(name in by_name for name in named):
            raise self._wrong(f"keys must be a list of its properties; found {named!r}")
        return [by_name[name] for name in named]

    def definitions(self) -> tuple[Entity | None, Definition]:
        """Its entity, if it has one, and its view."""
        custom = self._custom
        properties = _listed(self._object.get("properties"), f"{self._where}: properties")
        keys = self._keys(properties)
        if keys and not custom.get("entity"):
            raise self._wrong(
                "customProperties has no entity, whom a row is about; write property: entity"
            )
        if "eventTime" not in custom and "timeless" not in custom:
            # The standard's own way to say which column freshness is about.
            elements = [level.get("element", "") for level in self._levels("freshness")]
            found = [element.rpartition(".")[2] for element in elements if element]
            if not found:
                raise self._wrong(
                    "nothing says when a fact happened; write property: eventTime (or timeless) "
                    "to customProperties, or a freshness with its element to slaProperties"
                )
            custom = {**custom, "eventTime": found[0]}
        times = [custom.get(name) for name in ("eventTime", "knownTime", "deleted")]
        keys = [each for each in keys if each.get("name") not in times]
        features = [
            self._field(each) for each in properties
            if each not in keys and each.get("name") not in times
        ]  # fmt: skip
        source: dict[str, Any] = {"parquet": self._parquet()}
        source |= {name: custom[name] for name in SOURCE if name in custom}
        renamed = {each["name"]: each["physicalName"] for each in properties
                   if each.get("physicalName", each.get("name")) != each.get("name")}  # fmt: skip
        if renamed:
            source["columns"] = renamed
        spec: dict[str, Any] = {name: custom[name] for name in SPEC if name in custom}
        spec |= {"source": source, "features": [field.to_dict() for field in features]}
        tags = dict(custom.get("tags") or {})
        if keys:
            spec["entity"] = custom["entity"]
        for level in self._levels("freshness"):
            tags.setdefault(TAG, self._duration(level))
        team = self._contract.get("team")
        description = self._contract.get("description") or {}
        metadata = {
            "name": str(self._object.get("name")),
            "description": str(self._object.get("description") or description.get("purpose", "")),
            "owner": str(team.get("name", "")) if isinstance(team, Mapping) else "",
            "tags": tags,
        }
        document = {"apiVersion": "hitherto/v1", "kind": "FeatureView", "metadata": metadata}
        try:
            view = from_dict({**document, "spec": spec})
        except InvalidError as error:
            raise self._wrong(str(error)) from error
        fields = [self._field(each) for each in keys]
        return (Entity(custom["entity"], fields) if keys else None), view

    def _field(self, each: Mapping[str, Any]) -> Field:
        name, custom = str(each.get("name")), _custom(each)
        physical, logical = each.get("physicalType"), each.get("logicalType")
        found = custom.get("type") or (from_duckdb(physical) if physical else None)
        found = found or PHYSICAL.get(str(logical))
        if found is None:
            raise self._wrong(
                f"property {name!r} has the types {physical!r} and {logical!r}; write ours, such "
                "as list(float32), as property: type to its customProperties"
            )
        return Field(name, found, str(each.get("description") or ""), custom.get("default"))

    def _parquet(self) -> str:
        servers = _listed(self._contract.get("servers"), f"{self._where}: servers")
        for server in servers:
            if found := server.get("path") or server.get("location"):
                return str(found).replace("{model}", str(self._object.get("name")))
        raise self._wrong(
            "servers has no Parquet file; write a server of type local with its path, or of s3 "
            "with its location"
        )

    def _levels(self, name: str) -> list[Mapping[str, Any]]:
        levels = _listed(self._contract.get("slaProperties"), f"{self._where}: slaProperties")
        own = str(self._object.get("name"))
        return [
            each for each in levels
            if each.get("property") == name and each.get("element", own).split(".")[0] == own
        ]  # fmt: skip

    def _duration(self, level: Mapping[str, Any]) -> str:
        value, unit = str(level.get("value")), UNITS.get(str(level.get("unit", "")).lower())
        if unit is None or not value.isdigit():
            raise self._wrong(
                f"slaProperties: {value} {level.get('unit')} is no duration; write a whole number "
                f"of {', '.join(sorted(set(UNITS.values())))}"
            )
        return format_duration(to_timedelta(f"{value}{unit}"))

    def _wrong(self, what: str) -> InvalidError:
        return InvalidError(f"{self._where}: {what}")


def _written(definition: Mapping[str, Any]) -> dict[str, Any]:
    """What a definition has beyond columns, in its written form."""
    source, online = definition["source"], definition.get("online")
    timeless = None if source.get("event_time") else "true"
    changes = (online or {}).get("max_change")
    history = (online or {}).get("history_micros")
    kept = {
        "history": None if history is None else _micros(history),
        "maxChange": changes and {name: text for name, text in changes.items() if text},
    }
    delay = source.get("delay_micros")
    ttl = definition.get("ttl_micros")
    return {
        "eventTime": source.get("event_time") or None,
        "timeless": timeless,
        "knownTime": source.get("known_time"),
        "delay": _micros(delay) if delay else None,
        "deleted": source.get("deleted"),
        "timezone": source.get("timezone"),
        "partitionedBy": source.get("partitioned_by"),
        "partitions": source.get("partitions") or None,
        "sql": source.get("sql"),
        "ttl": None if ttl is None else _micros(ttl),
        "known": None if definition.get("known") == "honor" else definition.get("known"),
        "online": {name: each for name, each in kept.items() if each} or None,
    }


def _property(
    each: Mapping[str, Any], renamed: Mapping[str, str], **more: Any
) -> dict[str, Any]:  # fmt: skip
    logical = next(name for pattern, name in LOGICAL if re.fullmatch(pattern, each["type"]))
    custom = [{"property": "type", "value": each["type"]}]
    if each.get("default") is not None:
        custom.append({"property": "default", "value": each["default"]})
    found: dict[str, Any] = {"name": each["name"], "logicalType": logical, **more}
    if logical == "array":
        item = re.sub(r"list\((.+?)(, *\d+)?\)", r"\1", each["type"])
        found["items"] = {"logicalType": "integer" if "int" in item else "number"}
    if each["name"] in renamed:
        found["physicalName"] = renamed[each["name"]]
    if each.get("description"):
        found["description"] = each["description"]
    return {**found, "customProperties": custom}


def _server(parquet: str) -> dict[str, str]:
    scheme = parquet.partition("://")[0] if "://" in parquet else "local"
    kinds = {"s3": "s3", "gs": "gcs", "az": "azure", "abfs": "azure", "abfss": "azure"}
    where = {"path": parquet} if scheme in ("local", "file") else {"location": parquet}
    return {"server": "source", "type": kinds.get(scheme, "local"), **where, "format": "parquet"}


def _unit(duration: Duration) -> tuple[int, str]:
    """A duration as a number of its largest unit that is whole."""
    seconds = to_timedelta(duration).total_seconds()
    for unit, length in (("d", 86_400), ("h", 3_600), ("m", 60)):
        if seconds % length == 0:
            return int(seconds // length), unit
    return int(seconds), "s"


def _micros(micros: int) -> str:
    return format_duration(to_datetime(micros) - to_datetime(0))


def _custom(each: Mapping[str, Any]) -> dict[str, Any]:
    found = _listed(each.get("customProperties"), "customProperties")
    return {str(custom.get("property")): custom.get("value") for custom in found}


def _listed(value: Any, where: str) -> list[Mapping[str, Any]]:
    found = value or []
    if not isinstance(found, list) or not all(isinstance(each, Mapping) for each in found):
        raise InvalidError(f"{where} must be a list of mappings; found {value!r}")
    return list(found)


def main(words: Sequence[str]) -> None:
    """``export`` and ``import``; text goes to ``--out``, or to stdout."""
    parser = argparse.ArgumentParser("python -m hitherto.contracts", description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    commands = parser.add_subparsers(dest="command", required=True)
    exported = commands.add_parser("export", help="the contract of an applied view")
    exported.add_argument("view", help="its name")
    exported.add_argument("--store", default=".", help="a repository's folder, or a server's URL")
    imported = commands.add_parser("import", help="definitions of a contract")
    imported.add_argument("contract", help="a YAML file of ODCS 3")
    _command.add_out(exported, imported)
    given = parser.parse_args(words)
    if given.command == "import":
        text = dumps(load(given.contract))
    else:
        with connect_from_environment(given.store, read_only=True) as store:
            text = _yaml.plain(export(store.catalog(), given.view))
    _command.put(text, given.out)


if __name__ == "__main__":
    _command.run(main)
