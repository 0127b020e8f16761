"""What a model was trained on, held against what a store has applied.

A manifest has of each view a hash of its definition, which says that something differs
and not what. A *contract* is a manifest with the definitions themselves, and with the
features that were null in training rows; :func:`record` makes one where the model is
trained. Both are read here, and a manifest alone is compared by its hashes, which the
store makes by planning a training set of no rows.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from ._arrow import imported
from ._errors import ConflictError, Error, InvalidError
from ._selection import REFERENCE, Selection, on_demand_of, request_of, resolve, views_of
from ._time import format_duration

if TYPE_CHECKING:
    from ._store import Store
    from ._training_set import TrainingSet

FORMAT = 1
"""The form of manifests that this release reads."""

NOTHING: tuple[Any, ...] = (None, "", [], {})
"""What a field has that nobody wrote."""

Manifest = Mapping[str, Any]


def read(manifest: Manifest) -> Manifest:
    """``manifest``, if it is one.

    Raises:
        InvalidError: it is not, or a newer release wrote it.
    """
    missing = [part for part in ("format", "features", "views", "schema") if part not in manifest]
    if missing:
        raise InvalidError(
            f"this is not the manifest of a training set: it has no {missing[0]!r}; give what "
            "training_set.manifest or serving.contract() was"
        )
    if manifest["format"] > FORMAT:
        raise InvalidError(
            f"the manifest has format {manifest['format']}, this release reads up to {FORMAT}; "
            "use the release that wrote it or a newer one"
        )
    return manifest


def record(store: Store, training_set: TrainingSet) -> dict[str, Any]:
    """A manifest with definitions: see :func:`hitherto.serving.contract`."""
    manifest = training_set.manifest
    catalog = store.catalog()
    views = views_of(catalog)
    different = [*_hashes(store, catalog, manifest)]
    if different:
        raise ConflictError(
            "other definitions were applied since these rows were built: "
            + "; ".join(different)
            + "; build the training set again"
        )
    names = {entry["view"] for entry in manifest["views"]}
    computed = {name: _computation(on_demand_of(catalog)[name]) for name in _computed(manifest)}
    nulls = null_rows(training_set.report())
    return {
        **manifest,
        "definitions": {name: _definition(views[name]) for name in sorted(names)},
        **({"on_demand_definitions": computed} if computed else {}),
        "null_features": [name for name, rows in nulls.items() if rows],
    }


def null_rows(report: dict[str, Any]) -> dict[str, int]:
    """Of each feature of a training set's report, ``view:feature``, in how many rows it is
    null."""
    return {
        f"{view['view']}:{null['feature']}": null["rows"]
        for view in (*report["views"], *report.get("on_demand", []))
        for null in view["nulls"]
    }


def selection(catalog: dict[str, Any], manifest: Manifest) -> Selection:
    """The manifest's features as the catalog has them.

    Raises:
        ConflictError: it lacks one, or a view that one is computed of.
    """
    features = {
        name: [each["name"] for each in definition["features"]]
        for name, definition in _definitions(catalog).items()
    }
    lines: list[str] = []
    for reference in manifest["features"]:
        match = REFERENCE.fullmatch(reference)
        if match is None:
            raise InvalidError(f"{reference!r} in the manifest names no feature")
        view = match["view"]
        if view in features and match["feature"] not in features[view]:
            lines.append(f'{_kind(manifest, view)} has no feature "{match["feature"]}" here')
        elif view not in features:
            lines.append(f"{_kind(manifest, view)} is not applied here")
    for name in (*(entry["view"] for entry in manifest["views"]), *_computed(manifest)):
        if name not in features:
            lines.append(f"{_kind(manifest, name)} is not applied here")
    refuse(dict.fromkeys(lines))
    return resolve(catalog, manifest["features"], None)


def differences(store: Store, catalog: dict[str, Any], manifest: Manifest) -> list[str]:
    """What is otherwise in ``store`` than in training, a sentence each."""
    views, computed = views_of(catalog), on_demand_of(catalog)
    lines: list[str] = []
    trained = manifest.get("definitions")
    if trained is None:
        lines += _hashes(store, catalog, manifest)
    for entry in manifest["views"]:
        name, known = entry["view"], entry.get("known", "honor")
        if trained is not None:
            lines += _changes(f'feature view "{name}"', trained[name], _definition(views[name]))
        if known == "ignore" != views[name]["definition"]["known"]:
            lines.append(
                f'feature view "{name}": the training rows ignore known time (known="ignore"), '
                "so they have what nobody knew yet, and lookups honor it"
            )
    for name, definition in manifest.get("on_demand_definitions", {}).items():
        lines += _changes(f'on-demand view "{name}"', definition, _computation(computed[name]))
    return list(dict.fromkeys(lines))


def not_online(catalog: dict[str, Any], manifest: Manifest) -> list[str]:
    """Views of which lookups find nothing, a sentence each."""
    names = {entry["view"] for entry in manifest["views"]}
    return [
        f'feature view "{name}" has nothing online here; run `hitherto materialize {name}`'
        for name, view in views_of(catalog).items()
        if view["generation"] is None and name in names
    ]


def trained_catalog(contract: Manifest) -> dict[str, Any]:
    """The part of the catalog of training that a contract keeps.

    Raises:
        InvalidError: it is a manifest alone.
    """
    if "definitions" not in contract:
        raise InvalidError(
            "a manifest does not say what the join keys are; give what "
            "hitherto.serving.contract(store, training_set) returns"
        )
    views = [
        {"definition": {**definition, "metadata": {"name": name}}, "keys": definition["keys"]}
        for name, definition in contract["definitions"].items()
    ]
    entities = {
        view["definition"]["entity"]: view["keys"] for view in views if view["definition"]["entity"]
    }
    computed = [
        {"metadata": {"name": name}, **definition}
        for name, definition in contract.get("on_demand_definitions", {}).items()
    ]
    return {
        "views": views,
        "on_demand": computed,
        "services": [],
        "entities": [{"metadata": {"name": name}, "keys": keys} for name, keys in entities.items()],
    }


def refuse(lines: Iterable[str]) -> None:
    """Raises all ``lines`` as one error, if there are any."""
    lines = list(lines)
    if lines:
        raise ConflictError(
            "the model was trained on other definitions than this store has:\n  "
            + "\n  ".join(lines)
            + "\ntrain it again on what is applied here, or apply here what it was trained on"
        )


def _hashes(store: Store, catalog: dict[str, Any], manifest: Manifest) -> Iterator[str]:
    """Views whose hash is another, as the store hashes what is applied."""
    views = views_of(catalog)
    rows = store.training_set(_no_rows(catalog, manifest), manifest["features"], full_names=True)
    try:
        rows.to_arrow()
        applied = rows.manifest
    except Error as error:
        raise type(error)(
            f"the definitions cannot be compared, as that needs the views' source files here: "
            f"{error}; keep serving.contract(store, training_set) with the model instead, which "
            "needs none"
        ) from error
    here = {entry["name"]: entry["definition"] for entry in applied["views"]}
    for entry in manifest["views"]:
        name, view = entry["name"], entry["view"]
        if here.get(name) != entry["definition"]:
            yield (
                f'feature view "{view}": its definition has the hash {here.get(name)} here'
                f"{_since(views[view])}, and had {entry['definition']} in training"
            )
    expressions = {each["view"]: each["definition"] for each in applied.get("on_demand", [])}
    for entry in manifest.get("on_demand", []):
        if expressions.get(entry["view"]) != entry["definition"]:
            yield (
                f'on-demand view "{entry["view"]}": its definition has the hash '
                f"{expressions.get(entry['view'])} here, and had {entry['definition']} in training"
            )


def _no_rows(catalog: dict[str, Any], manifest: Manifest) -> Any:
    """A spine without rows, with all join keys."""
    pyarrow = imported("pyarrow", "comparing definitions")
    types = keys(catalog, selection(catalog, manifest))
    fields = {name: pyarrow.type_for_alias(kind) for name, kind in types.items()}
    brought = request_of(catalog, manifest["features"])
    fields |= {name: _arrow_type(kind) for name, kind in brought.items()}
    fields["event_timestamp"] = pyarrow.timestamp("us", "UTC")
    return pyarrow.schema(list(fields.items())).empty_table()


def _arrow_type(kind: str) -> Any:
    """Arrow's type of a declared one, such as ``list(float32)``."""
    pyarrow = imported("pyarrow", "comparing definitions")
    name, _, rest = kind.removesuffix(")").partition("(")
    parts = [part.strip() for part in rest.split(",") if part.strip()]
    if name == "decimal128":
        return pyarrow.decimal128(*map(int, parts))
    if name == "timestamp":
        return pyarrow.timestamp(*parts)
    if name == "list":
        return pyarrow.list_(_arrow_type(parts[0]), *map(int, parts[1:]))
    return pyarrow.type_for_alias(kind)


def keys(catalog: dict[str, Any], selected: Selection) -> dict[str, str]:
    """Columns of join keys and their declared types, in the order of the request."""
    types = {
        entity["metadata"]["name"]: [key["type"] for key in entity["keys"]]
        for entity in catalog["entities"]
    }
    return {
        column: kind
        for entity, columns in selected.entities
        for column, kind in zip(columns, types[entity], strict=True)
    }


def _definition(view: dict[str, Any]) -> dict[str, Any]:
    """What of a view's definition can change its answers."""
    definition = {**view["definition"], "keys": view["keys"]}
    del definition["metadata"]
    for part in ("keys", "features"):
        definition[part] = [_without(field, "description") for field in definition[part]]
    definition["online"] = _without(definition["online"], "max_change")
    return {"version": view["version"], **definition}


def _without(fields: dict[str, Any], name: str) -> dict[str, Any]:
    return {key: value for key, value in fields.items() if key != name}


def _definitions(catalog: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """The definitions of all views, by their names."""
    stored = {name: view["definition"] for name, view in views_of(catalog).items()}
    return stored | on_demand_of(catalog)


def _computed(manifest: Manifest) -> list[str]:
    """Names of the on-demand views that the manifest's features are of."""
    return [each["view"] for each in manifest.get("on_demand", [])]


def _kind(manifest: Manifest, name: str) -> str:
    kind = "on-demand" if name in _computed(manifest) else "feature"
    return f'{kind} view "{name}"'


def _computation(view: dict[str, Any]) -> dict[str, Any]:
    """What of an on-demand view's definition can change its answers."""
    definition = _without(view, "metadata")
    for part in ("features", "request"):
        definition[part] = [_without(field, "description") for field in view.get(part, [])]
    return definition


def _changes(what: str, trained: dict[str, Any], now: dict[str, Any]) -> Iterator[str]:
    then, here = (dict(_paths(_without(each, "version"))) for each in (trained, now))
    changed = [path for path in {**then, **here} if then.get(path) != here.get(path)]
    for path in changed:
        yield (
            f"{what}, {path.removesuffix('_micros')}: {_said(path, then)} in training"
            f"{_since(trained)}, {_said(path, here)} here{_since(now)}"
        )
    if not changed and list(then) != list(here):
        yield f"{what}: its features are in another order{_since(now)}"


def _paths(value: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    """Every field that has a value, by its path; lists of fields by their names."""
    if isinstance(value, list) and value and all(isinstance(each, dict) for each in value):
        for each in value:
            yield f"{path}.{each['name']}", each["type"]
            yield from _paths(_without(_without(each, "name"), "type"), f"{path}.{each['name']}")
    elif isinstance(value, dict):
        for key, each in value.items():
            yield from _paths(each, f"{path}.{key}" if path else key)
    elif value not in NOTHING:
        yield path, value


def _said(path: str, values: dict[str, Any]) -> str:
    value = values.get(path)
    if value is not None and path.endswith("_micros"):
        return format_duration(timedelta(microseconds=value))
    return "none" if value is None else " ".join(str(value).split())


def _since(view: dict[str, Any]) -> str:
    """The version of what has versions: an on-demand view has none."""
    return f" (version {view['version']})" if "version" in view else ""
