"""Feature views of a server as assets of Dagster, and what must hold of them as checks.

    defs = dagster.Definitions(**definitions_from(os.environ["HITHERTO_URL"]))
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import dagster as dg
import hitherto
from hitherto import steps


def definitions_from(
    url: str, views: Sequence[str] | None = None, *, deadline: str = "1h",
    deps: Mapping[str, Sequence[str | dg.AssetKey]] | None = None,
) -> dict[str, Any]:  # fmt: skip
    """``assets`` and ``asset_checks`` of feature views, all that are applied if none is named.

    An asset is the view's online copy, its data version the copy's. Where a view has the tag
    ``freshness`` it is checked, as is that lookups give what training sets do. ``deps`` are
    the assets that a view's source is made by.
    """
    with hitherto.connect_from_environment(url) as store:
        applied = _views(store)
    if missing := sorted(set(views or ()) - set(applied)):
        raise hitherto.NotFoundError(f"there is no feature view {missing[0]!r} at {url}; apply it")
    chosen = {name: applied[name]["definition"] for name in views or applied}
    assets = [_asset(url, chosen[name], deadline, (deps or {}).get(name, ())) for name in chosen]
    return {"assets": assets, "asset_checks": [
        check for view in chosen.values() for check in _checks(url, view, deadline)
    ]}  # fmt: skip


def _asset(url: str, view: Mapping[str, Any], deadline: str, deps: Iterable[Any]) -> Any:
    name, metadata = view["metadata"]["name"], view["metadata"]
    columns = [dg.TableColumn(each["name"], each["type"]) for each in view["features"]]

    @dg.asset(
        key=["hitherto", name], deps=list(deps), group_name="features", kinds={"hitherto"},
        description=metadata["description"] or None, tags=_tags(metadata["tags"]),
        metadata={"dagster/column_schema": dg.TableSchema(columns), "owner": metadata["owner"]},
    )  # fmt: skip
    def materialize() -> Any:
        with hitherto.connect_from_environment(url) as store:
            (done,) = steps.materialize(store, [name], deadline=deadline)
            copy = _views(store)[name]["generation"]
        newest = {} if done["watermark"] is None else {
            "watermark": dg.MetadataValue.timestamp(done["watermark"] / 1e6)
        }  # fmt: skip
        return dg.MaterializeResult(
            data_version=dg.DataVersion(f"{copy['number']}.{copy['materialized_at']}"),
            metadata={"dagster/row_count": copy["entities"], "generation": copy["number"],
                      "facts_read": done["facts"], "files_read": done["files"], **newest},
        )  # fmt: skip

    return materialize


def _checks(url: str, view: Mapping[str, Any], deadline: str) -> Iterable[Any]:
    name = view["metadata"]["name"]

    @dg.asset_check(asset=["hitherto", name], name="online_equals_offline")
    def verify() -> dg.AssetCheckResult:
        with hitherto.connect_from_environment(url) as store:
            try:
                found = steps.verify(store, [name], deadline=deadline)
            except (hitherto.ConflictError, hitherto.UnavailableError) as error:
                return dg.AssetCheckResult(passed=False, description=str(error))
        return dg.AssetCheckResult(passed=True, metadata={"values_compared": found["values"]})

    @dg.asset_check(asset=["hitherto", name], name="fresh")
    def fresh() -> dg.AssetCheckResult:
        with hitherto.connect_from_environment(url) as store:
            found = steps.freshness(store, name)
        age = {"age_seconds": found.age.total_seconds()}
        return dg.AssetCheckResult(passed=found.is_fresh, description=str(found), metadata=age)

    return [verify, fresh] if steps.TAG in view["metadata"]["tags"] else [verify]


def _views(store: hitherto.Store) -> dict[str, Any]:
    return {each["definition"]["metadata"]["name"]: each for each in store.catalog()["views"]}


def _tags(tags: Mapping[str, str]) -> dict[str, str]:
    """Those that Dagster takes."""
    fits = re.compile(r"[\w.-]{1,63}").fullmatch
    return {name: text for name, text in tags.items() if fits(name) and fits(text)}
