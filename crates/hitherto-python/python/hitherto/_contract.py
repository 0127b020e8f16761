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
from ._selection import REFERENCE, Selection, resolve, views_of
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
    nulls = null_rows(training_set.report())
    return {
        **manifest,
        "definitions": {name: _definition(views[name]) for name in sorted(names)},
        "null_features": [name for name, rows in nulls.items() if rows],
    }


def null_rows(report: dict[str, Any]) -> dict[str, int]:
    """Of each feature of a training set's report, ``view:feature``, in how many rows it is
    null."""
    return {
        f"{view['view']}:{null['feature']}": null["rows"]
        for view in report["views"]
        for null in view["nulls"]
    }


def selection(catalog: dict[str, Any], manifest: Manifest) -> Selection:
    """The manifest's features as the catalog has them.

    Raises:
        ConflictError: it lacks one.
    """
    if computed := [each["view"] for each in manifest.get("on_demand", [])]:
        raise InvalidError(
            f"features of on-demand views ({', '.join(computed)}) are of what only a request has, "
            "which is not brought along with a model yet; look them up with "
            "store.lookup(..., request=...)"
        )
    views = views_of(catalog)
    lines: list[str] = []
    for reference in manifest["features"]:
        match = REFERENCE.fullmatch(reference)
        if match is None:
            raise InvalidError(f"{reference!r} in the manifest names no feature")
        view = views.get(match["view"])
        if view is None:
            lines.append(f'feature view "{match["view"]}" is not applied here')
        elif match["feature"] not in (each["name"] for each in view["definition"]["features"]):
            lines.append(f'feature view "{match["view"]}" has no feature "{match["feature"]}" here')
    refuse(dict.fromkeys(lines))
    return resolve(catalog, manifest["features"], None)


def differences(store: Store, catalog: dict[str, Any], manifest: Manifest) -> list[str]:
    """What is otherwise in ``store`` than in training, a sentence each."""
    views = views_of(catalog)
    lines: list[str] = []
    trained = manifest.get("definitions")
    if trained is None:
        lines += _hashes(store, catalog, manifest)
    for entry in manifest["views"]:
        name, known = entry["view"], entry.get("known", "honor")
        if trained is not None:
            lines += _changes(name, trained[name], views[name])
        if known == "ignore" != views[name]["definition"]["known"]:
            lines.append(
                f'feature view "{name}": the training rows ignore known time (known="ignore"), '
                "so they have what nobody knew yet, and lookups honor it"
            )
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
    return {
        "views": views,
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
    trained = {entry["name"]: entry for entry in manifest["views"]}
    views = views_of(catalog)
    rows = store.training_set(_no_rows(catalog, manifest), manifest["features"], full_names=True)
    try:
        rows.to_arrow()
        applied = {entry["name"]: entry["definition"] for entry in rows.manifest["views"]}
    except Error as error:
        raise type(error)(
            f"the definitions cannot be compared, as that needs the views' source files here: "
            f"{error}; keep serving.contract(store, training_set) with the model instead, which "
            "needs none"
        ) from error
    for name, entry in trained.items():
        if applied[name] != entry["definition"]:
            yield (
                f'feature view "{entry["view"]}": its definition has the hash {applied[name]} '
                f"here{_since(views[entry['view']])}, and had {entry['definition']} in training"
            )


def _no_rows(catalog: dict[str, Any], manifest: Manifest) -> Any:
    """A spine without rows, with all join keys."""
    pyarrow = imported("pyarrow", "comparing definitions")
    types = keys(catalog, selection(catalog, manifest))
    fields = {name: pyarrow.type_for_alias(kind) for name, kind in types.items()}
    fields["event_timestamp"] = pyarrow.timestamp("us", "UTC")
    return pyarrow.schema(list(fields.items())).empty_table()


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


def _changes(name: str, trained: dict[str, Any], view: dict[str, Any]) -> Iterator[str]:
    now = _definition(view)
    then, here = (dict(_paths(_without(each, "version"))) for each in (trained, now))
    changed = [path for path in {**then, **here} if then.get(path) != here.get(path)]
    for path in changed:
        yield (
            f'feature view "{name}", {path.removesuffix("_micros")}: {_said(path, then)} in '
            f"training (version {trained['version']}), {_said(path, here)} here{_since(view)}"
        )
    if not changed and list(then) != list(here):
        yield f'feature view "{name}": its features are in another order{_since(view)}'


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
    return f" (version {view['version']})"
