"""Feast's calls over a store of Hitherto, with Feast's argument names."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from .. import _arrow
from .._errors import InvalidError
from .._lookup import Lookup
from .._selection import request_of
from .._spine import Spine
from .._store import Store, connect
from .._time import Moment
from .._training_set import TrainingSet
from ..definitions import FeatureService

if TYPE_CHECKING:
    import pandas
    import pyarrow

Features = Sequence[str] | FeatureService
"""``["view:feature", ...]``, or a service."""


class FeatureStore:
    """A store with Feast's calls.

    Args:
        repo_path: a repository of Hitherto, or the URL of a server.
        now: stop the clock; as :func:`hitherto.connect`.

    ``store`` is the same store with all of Hitherto's own calls.
    """

    def __init__(self, repo_path: str | os.PathLike[str], *, now: Moment | None = None) -> None:
        self.store: Store = connect(repo_path, now=now)

    def get_feature_service(self, name: str) -> FeatureService:
        """A service by its name, to be given as ``features``.

        Raises:
            InvalidError: there is none.
        """
        services = {found["metadata"]["name"]: found for found in self.store.catalog()["services"]}
        if name not in services:
            raise InvalidError(
                f"there is no feature service {name!r}; there are {', '.join(services)}"
            )
        return FeatureService(name, features=services[name]["features"])

    def get_historical_features(
        self,
        entity_df: Spine,
        features: Features,
        full_feature_names: bool = False,
    ) -> RetrievalJob:
        """Joins features to ``entity_df``, as of its ``event_timestamp``.

        Args:
            entity_df: label rows; as the spine of ``Store.training_set``.
            features: what to join.
            full_feature_names: name columns ``view__feature``, not ``feature``.

        Raises:
            As ``Store.training_set``. Every row comes back once and in its
            place, which Feast does not promise.
        """
        given: dict[str, Any] = _selection(features)
        rows = self.store.training_set(entity_df, full_names=full_feature_names, **given)
        return RetrievalJob(rows)

    def get_online_features(
        self,
        features: Features,
        entity_rows: Sequence[Mapping[str, Any]] | Mapping[str, Iterable[Any]],
        full_feature_names: bool = False,
    ) -> OnlineResponse:
        """Looks features up, as of now.

        Args:
            features: what to look up.
            entity_rows: a mapping of join keys to values for each entity, or one
                mapping of join keys to lists. As in Feast, values that on-demand views
                take from the request are among them.
            full_feature_names: name features ``view__feature``, not ``feature``.

        Raises:
            InvalidError: rows have different join keys; two features have one
                name; and as ``Store.lookup``.
        """
        given: dict[str, Any] = _selection(features)
        columns = dict(_columns(entity_rows))
        catalog = self.store.catalog()
        services = {each["metadata"]["name"]: each["features"] for each in catalog["services"]}
        asked = given.get("features") or services.get(given.get("service"), [])
        fields = [name for name in request_of(catalog, asked) if name in columns]
        brought = {name: columns.pop(name) for name in fields}
        found = self.store.lookup(columns, **given, request=brought or None)
        return OnlineResponse(found, full_feature_names)


class RetrievalJob:
    """A training set with Feast's calls; ``training_set`` is the set itself."""

    def __init__(self, training_set: TrainingSet) -> None:
        self.training_set = training_set

    def to_df(self) -> pandas.DataFrame:
        """The rows as a pandas DataFrame."""
        frame = self.training_set.to_pandas()
        frame.columns = self._names()
        return frame

    def to_arrow(self) -> pyarrow.Table:
        """The rows as a pyarrow Table."""
        names = self._names()
        return self.training_set.to_arrow().rename_columns(names)

    def _names(self) -> list[str]:
        features = self.training_set.feature_names
        own = self.training_set.column_names[: -len(features)]
        return [*own, *(name.replace(":", "__") for name in features)]


class OnlineResponse:
    """Feature values with Feast's calls; ``lookup`` is Hitherto's own answer,
    which has statuses too."""

    def __init__(self, lookup: Lookup, full_feature_names: bool) -> None:
        self.lookup = lookup
        features = set(lookup.statuses)
        self._names: dict[str, str] = {}
        for name in lookup.to_dict():
            shown = name
            if name in features:
                shown = name.replace(":", "__") if full_feature_names else name.partition(":")[2]
            if shown in self._names.values():
                raise InvalidError(f"two columns are called {shown!r}; set full_feature_names")
            self._names[name] = shown

    def to_dict(self) -> dict[str, list[Any]]:
        """Join keys and features, a list each; None where there is no value."""
        return {self._names[name]: values for name, values in self.lookup.to_dict().items()}

    def to_df(self) -> pandas.DataFrame:
        """Join keys and features as a pandas DataFrame."""
        frame = self.lookup.to_pandas()
        frame.columns = list(self._names.values())
        return frame

    def to_arrow(self) -> pyarrow.Table:
        """Join keys and features as a pyarrow Table."""
        return _arrow.to_arrow(self.lookup).rename_columns(list(self._names.values()))


def _selection(features: Features) -> dict[str, Any]:
    if isinstance(features, FeatureService):
        return {"service": features.name}
    return {"features": features}


def _columns(
    entity_rows: Sequence[Mapping[str, Any]] | Mapping[str, Iterable[Any]],
) -> Mapping[str, Iterable[Any]]:
    if isinstance(entity_rows, Mapping):
        return entity_rows
    names = list(entity_rows[0]) if entity_rows else []
    for place, row in enumerate(entity_rows):
        if set(row) != set(names):
            raise InvalidError(
                f"row {place} of entity_rows has the join keys {sorted(row)}, and row 0 "
                f"{sorted(names)}"
            )
    return {name: [row[name] for row in entity_rows] for name in names}
