"""dbt's models and sources as feature views, and feature services as dbt's exposures.

    python -m hitherto.dbt import warehouse/target/manifest.json --out dbt.yaml
    python -m hitherto.dbt exposures --store http://host:7411 --out models/exposures.yml

A model or source whose ``meta`` has ``hitherto`` is a feature view: ``entity`` and ``keys``,
and else what a view's definition has (``eventTime``, ``knownTime``, ``ttl``, ``online``, ...).
Its columns are the features, with the types that the contract (``data_type``) or dbt's
``catalog.json`` says. What it reads is the Parquet file that dbt-duckdb writes or reads.

Nothing of dbt is imported: this reads the artifacts that every run of dbt leaves. Columns are
not compared with the files here; ``hitherto plan`` does that and casts nothing.
"""

from __future__ import annotations

import argparse
import json
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from . import _command, _yaml
from ._duckdb_types import from_duckdb
from ._environment import connect_from_environment
from ._errors import InvalidError, NotFoundError
from ._selection import views_of, views_read
from .definitions import Definition, Entity, Field, dumps, from_dict

__all__ = ["exposures", "load"]

MANIFEST_BYTES_MAX = 512 << 20
"""A larger manifest is refused: it is not one."""

TAG = "dbt"
"""The tag of an imported view that says which node it is, by which exposures find it."""

HEADER = "# Written by `python -m hitherto.dbt import`; change the dbt project instead.\n"

SOURCE = ("eventTime", "knownTime", "delay", "deleted", "timezone", "timeless", "partitionedBy")
SPEC = ("entity", "ttl", "known", "online")
OURS = (*SPEC, *SOURCE, "parquet", "keys", "owner", "tags")


def load(
    manifest: str | os.PathLike[str], *, root: str | os.PathLike[str] = ".", tag: str | None = None
) -> list[Definition]:
    """The definitions of a dbt project: entities, then views, each sorted by name.

    Args:
        manifest: the path of dbt's ``target/manifest.json``. A ``catalog.json`` beside it
            (``dbt docs generate``) says the types of columns that the manifest has none of.
        root: the Hitherto repository: locations of dbt are relative to the folder in which
            dbt ran, the project's, and are written relative to this one.
        tag: only nodes with this dbt tag.

    Raises:
        NotFoundError: there is no such file, or no node is a feature view.
        InvalidError: the file is no manifest, or a node does not say what a view needs: which
            node, and what to write there.
    """
    path = Path(manifest)
    found = _read(path, "nodes")
    beside = path.with_name("catalog.json")
    types = _read(beside, "nodes") if beside.exists() else {"nodes": {}, "sources": {}}
    # dbt runs in the project's folder, whose `target` has the manifest.
    places = (path.absolute().parent.parent, Path(root).absolute())
    entities: dict[str, Entity] = {}
    views: list[Definition] = []
    for node, ours in _nodes(found, tag):
        known = {**types["nodes"], **types.get("sources", {})}.get(node["unique_id"], {})
        columns = {name.lower(): each["type"] for name, each in known.get("columns", {}).items()}
        entity, view = _Node(node, ours, columns, *places).definitions()
        if entity is not None and entities.setdefault(entity.name, entity) != entity:
            other = ", ".join(f"{key.name} {key.type}" for key in entities[entity.name].keys)
            raise InvalidError(
                f"{node['unique_id']}: entity {entity.name!r} has the keys {other} elsewhere and "
                f"{', '.join(f'{key.name} {key.type}' for key in entity.keys)} here; name them "
                "and their types alike, or name another entity"
            )
        views.append(view)
    if not views:
        raise NotFoundError(
            f"{path}: no model or source{f' with the tag {tag!r}' if tag else ''} has "
            "meta.hitherto; write it to those that are feature views, and run `dbt parse`"
        )
    by_name = {view.name: view for view in views}
    if len(by_name) < len(views):
        raise InvalidError(
            f"{path}: two nodes would be one feature view; give one of them another name"
        )
    return [*sorted(entities.values(), key=lambda each: each.name),
            *(by_name[name] for name in sorted(by_name))]  # fmt: skip


def exposures(catalog: Mapping[str, Any]) -> dict[str, Any]:
    """The document of dbt's exposures for the feature services of a catalog: each with the
    models and sources that its imported views were made of.

    Args:
        catalog: what ``store.catalog()`` gives.

    Raises:
        NotFoundError: no service has a feature of an imported view.
    """
    views = views_of(dict(catalog))
    found: list[dict[str, Any]] = []
    for service in catalog["services"]:
        read = views_read(dict(catalog), service["features"])
        metadata = [views[name]["definition"]["metadata"] for name in read]
        nodes = sorted({each["tags"][TAG] for each in metadata if TAG in each["tags"]})
        if not nodes:
            continue
        own = service["metadata"]
        # dbt wants an owner; where the service has none, one of its views' does.
        owners = [own["owner"], *(each["owner"] for each in metadata), "unknown"]
        exposure: dict[str, Any] = {
            "name": re.sub(r"\W", "_", own["name"]),
            "type": "ml",
            "owner": {"name": next(owner for owner in owners if owner)},
            "depends_on": [_reference(node) for node in nodes],
            "config": {"meta": {"hitherto": {"service": own["name"],
                                             "features": service["features"]}}},
        }  # fmt: skip
        if own["description"]:
            exposure["description"] = own["description"]
        found.append(exposure)
    if not found:
        raise NotFoundError(
            "no feature service has a feature of a view with the tag 'dbt'; import the dbt "
            "project and apply it first"
        )
    return {"version": 2, "exposures": found}


class _Node:
    """A model or source that is a feature view."""

    def __init__(
        self, node: Mapping[str, Any], ours: Mapping[str, Any], types: Mapping[str, str],
        project: Path, root: Path,
    ) -> None:  # fmt: skip
        self._node = node
        self._ours = ours
        self._types = types
        self._project = project
        self._root = root

    def definitions(self) -> tuple[Entity | None, Definition]:
        """Its entity, if it has one, and its view."""
        ours, node = self._ours, self._node
        for name in ours:
            if name not in OURS:
                raise self._wrong(f"meta.hitherto has {name!r}; there is {', '.join(OURS)}")
        keys: list[str] = ours.get("keys") or []
        if bool(keys) != bool(ours.get("entity")) or not isinstance(keys, list):
            raise self._wrong("meta.hitherto needs entity and keys, a list of columns, or neither")
        written: dict[str, Any] = {name.lower(): name for name in node["columns"]}
        for name in keys:
            if name.lower() not in written:
                raise self._wrong(f"the join key {name!r} is none of its columns; describe it")
        times = [str(ours[name]) for name in ("eventTime", "knownTime", "deleted") if name in ours]
        aside = {name.lower() for name in [*keys, *times]}
        features = [
            field.to_dict()
            for column in node["columns"].values()
            if column["name"].lower() not in aside
            and _meta(column).get("hitherto", {}).get("feature", True)
            for field in [self._field(column)]
        ]
        source = {name: _plain(ours[name]) for name in SOURCE if name in ours}
        spec = {name: _plain(ours[name]) for name in SPEC if name in ours}
        spec |= {"source": {"parquet": self._parquet(), **source}, "features": features}
        owner = ours.get("owner") or _meta(node).get("owner") or ""
        tags = {**_plain(ours.get("tags") or {}), TAG: node["unique_id"]}
        metadata = {"name": node["name"], "description": node.get("description") or "",
                    "owner": str(owner), "tags": tags}  # fmt: skip
        document = {"apiVersion": "hitherto/v1", "kind": "FeatureView", "metadata": metadata}
        try:
            view = from_dict({**document, "spec": spec})
        except InvalidError as error:
            raise self._wrong(str(error)) from error
        fields = [self._field(node["columns"][written[name.lower()]]) for name in keys]
        return (Entity(str(ours["entity"]), fields) if keys else None), view

    def _field(self, column: Mapping[str, Any]) -> Field:
        name, meta = column["name"], _meta(column).get("hitherto", {})
        written = column.get("data_type") or self._types.get(name.lower())
        found = meta.get("type") or (None if written is None else from_duckdb(written))
        if found is None:
            what = "has no data_type" if written is None else f"has the data_type {written!r}"
            raise self._wrong(
                f"column {name!r} {what}; write one of DuckDB's, run `dbt docs generate`, or "
                "write ours as meta.hitherto.type of the column"
            )
        default = meta.get("default")
        default = None if default is None else _plain(default)
        return Field(name, str(found), column.get("description") or "", default)

    def _parquet(self) -> str:
        """Where its rows are, as the repository says it."""
        node, meta = self._node, _meta(self._node)
        found = self._ours.get("parquet") or meta.get("external_location")
        found = found or (node.get("config") or {}).get("location")
        if not found:
            raise self._wrong(
                "no Parquet file is named; materialize it as `external` with a `location` "
                "(a source: meta.external_location), or write meta.hitherto.parquet"
            )
        names = {"name": node["name"], "schema": node.get("schema") or "",
                 "identifier": node.get("identifier") or node["name"]}  # fmt: skip
        found = re.sub(r"\{(name|schema|identifier)\}", lambda each: names[each[1]], str(found))
        if "(" in found or "'" in found:
            raise self._wrong(f"the location {found!r} is an expression; name a file or glob")
        if "://" in found or os.path.isabs(found):
            return found
        return os.path.relpath(self._project / found, self._root).replace(os.sep, "/")

    def _wrong(self, what: str) -> InvalidError:
        place = self._node.get("original_file_path", "?")
        return InvalidError(f"{self._node['unique_id']} ({place}): {what}")


def _nodes(
    manifest: Mapping[str, Any], tag: str | None
) -> Iterator[tuple[Mapping[str, Any], Mapping[str, Any]]]:
    """Nodes that are feature views, and what they say of it."""
    nodes = [*manifest["nodes"].values(), *manifest.get("sources", {}).values()]
    for node in sorted(nodes, key=lambda each: each["unique_id"]):
        ours = _meta(node).get("hitherto")
        if ours is None or node["resource_type"] not in ("model", "source", "seed", "snapshot"):
            continue
        if not isinstance(ours, Mapping):
            raise InvalidError(
                f"{node['unique_id']}: meta.hitherto must be a mapping; found {ours!r}"
            )
        if tag is None or tag in node.get("tags", []):
            yield node, ours


def _meta(node: Mapping[str, Any]) -> dict[str, Any]:
    """Both places in which dbt keeps it."""
    return {**(node.get("meta") or {}), **((node.get("config") or {}).get("meta") or {})}


def _plain(value: Any) -> Any:
    """YAML as definitions read it: every scalar is text."""
    if isinstance(value, Mapping):
        return {str(name): _plain(each) for name, each in value.items()}
    if isinstance(value, list):
        return [_plain(each) for each in value]
    return str(value).lower() if isinstance(value, bool) else str(value)


def _reference(node: str) -> str:
    kind, *names = node.split(".")
    if kind == "source":
        return f"source('{names[1]}', '{names[2]}')"
    version = f", v={names[2][1:]}" if len(names) > 2 else ""
    return f"ref('{names[1]}'{version})"


def _read(path: Path, needed: str) -> dict[str, Any]:
    try:
        if path.stat().st_size > MANIFEST_BYTES_MAX:
            raise InvalidError(f"{path} has more than {MANIFEST_BYTES_MAX >> 20} MiB; name another")
        found = json.loads(path.read_text("utf-8"))
    except FileNotFoundError as cause:
        raise NotFoundError(f"there is no {path}; run `dbt parse` or `dbt build` first") from cause
    except ValueError as cause:
        if isinstance(cause, InvalidError):
            raise
        raise InvalidError(f"{path} is not JSON: {cause}; name what dbt wrote") from cause
    if not isinstance(found, dict) or needed not in found:
        raise InvalidError(f"{path} has no {needed!r}; name dbt's target/manifest.json")
    return found


def main(words: Sequence[str]) -> None:
    """``import`` and ``exposures``; text goes to ``--out``, or to stdout."""
    parser = argparse.ArgumentParser("python -m hitherto.dbt", description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    commands = parser.add_subparsers(dest="command", required=True)
    imported = commands.add_parser("import", help="definitions of a dbt project")
    imported.add_argument("manifest", help="target/manifest.json")
    imported.add_argument("--root", default=".", help="the Hitherto repository's folder")
    imported.add_argument("--tag", help="only nodes with this dbt tag")
    exposed = commands.add_parser("exposures", help="dbt exposures of feature services")
    exposed.add_argument("--store", default=".", help="a repository's folder, or a server's URL")
    _command.add_out(imported, exposed)
    given = parser.parse_args(words)
    if given.command == "import":
        text = HEADER + dumps(load(given.manifest, root=given.root, tag=given.tag))
    else:
        with connect_from_environment(given.store, read_only=True) as store:
            text = _yaml.plain(exposures(store.catalog()))
    _command.put(text, given.out)


if __name__ == "__main__":
    _command.run(main)
