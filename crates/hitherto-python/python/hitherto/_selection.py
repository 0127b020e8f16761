"""What a request asks for, as the catalog has it: features and join keys.

The engine resolves a request itself. This is for what is done with the rows
afterwards: which columns are features, and which say whom a row is about.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from ._errors import ConflictError

REFERENCE = re.compile(
    r"(?:(?P<alias>\w+)=)?(?P<view>\w+)(?P<keys>(?:\[[^\]]*\])*):(?P<feature>.+)"
)
"""``view:feature``, ``view:*`` or ``alias=view[key=column]:feature``."""


@dataclass(frozen=True)
class Selection:
    """Features and join keys of a request."""

    features: tuple[str, ...]
    """Features in the order of the answer, each ``view:feature``."""
    entities: tuple[tuple[str, tuple[str, ...]], ...]
    """Every entity that is joined on, once: its name and the columns of its
    join keys. The same entity in two roles is here twice."""

    def columns(self, names: Sequence[str]) -> list[str]:
        """Which of the columns ``names`` are features: the last ones.

        Raises:
            ConflictError: they are not, as other definitions were applied since.
        """
        found = list(names[len(names) - len(self.features) :])
        short = [feature.rpartition(":")[2] for feature in self.features]
        if found != short and found != list(self.features):
            raise ConflictError(
                "other definitions were applied since this training set was made; call "
                "training_set() again"
            )
        return found


def views_of(catalog: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """The views of a catalog by their names."""
    return {view["definition"]["metadata"]["name"]: view for view in catalog["views"]}


def on_demand_of(catalog: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """The on-demand views of a catalog by their names."""
    return {view["metadata"]["name"]: view for view in catalog.get("on_demand", [])}


def views_read(catalog: dict[str, Any], features: Sequence[str]) -> list[str]:
    """Names of the feature views that ``features`` are of, or that on-demand views among them
    read; each once."""
    on_demand = on_demand_of(catalog)
    found: dict[str, None] = {}
    for reference in features:
        match = REFERENCE.fullmatch(reference)
        assert match is not None, "the engine has read it"
        computed = on_demand.get(match["view"])
        inputs = [] if computed is None else computed.get("inputs", [])
        names = [match["view"]] if computed is None else views_read(catalog, inputs)
        found |= dict.fromkeys(names)
    return list(found)


def request_of(catalog: dict[str, Any], features: Sequence[str]) -> dict[str, str]:
    """Fields that only a request has, which on-demand views among ``features`` read, and their
    types."""
    on_demand = on_demand_of(catalog)
    found: dict[str, str] = {}
    for reference in features:
        match = REFERENCE.fullmatch(reference)
        if match and (computed := on_demand.get(match["view"])):
            found |= {field["name"]: field["type"] for field in computed.get("request", [])}
            found |= request_of(catalog, computed.get("inputs", []))
    return found


def resolve(
    catalog: dict[str, Any], features: Sequence[str] | None, service: str | None
) -> Selection:
    """What a request that the engine has accepted asks for."""
    services = {found["metadata"]["name"]: found["features"] for found in catalog["services"]}
    asked: Sequence[str] = services[service] if features is None else features
    views, on_demand = views_of(catalog), on_demand_of(catalog)
    names: dict[str, None] = {}
    entities: dict[tuple[str, tuple[str, ...]], None] = {}

    def join(reference: str) -> list[str]:
        """Notes whom a reference is about; the names of its view's features."""
        match = REFERENCE.fullmatch(reference)
        assert match is not None, "the engine has read it"
        if computed := on_demand.get(match["view"]):
            for each in computed.get("inputs", []):
                join(each)
            return [feature["name"] for feature in computed["features"]]
        view = views[match["view"]]
        renamed = dict(re.findall(r"\[(\w+)=([^\]]*)\]", match["keys"]))
        keys = tuple(renamed.get(key["name"], key["name"]) for key in view["keys"])
        if keys:
            entities[view["definition"]["entity"], keys] = None
        return [feature["name"] for feature in view["definition"]["features"]]

    for reference in asked:
        match = REFERENCE.fullmatch(reference)
        assert match is not None, "the engine has read it"
        own = join(reference)
        for feature in own if match["feature"] == "*" else [match["feature"]]:
            names[f"{match['alias'] or match['view']}:{feature}"] = None
    return Selection(tuple(names), tuple(entities))
