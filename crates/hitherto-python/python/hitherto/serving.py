"""Features for a model that is served: the ones that it was trained on, or none.

    contract = hitherto.serving.contract(store, training_set)      # where the model is trained
    features = hitherto.serving.Features("http://host:7411", contract)      # where it is served
    risk = model.predict(features.read({"patient_id": ["10000032"]}).to_numpy())

:class:`Features` compares the definitions of training with those of the server when it
is made, and does not come to be if one differs. What it reads then has the columns of the
training rows, in their order and types, so that a model says of a served request, bit for
bit, what it would have said of the training row of that moment.

A request is one lookup, of any number of entities, within a deadline. An entity of which
there is no value is no error to a lookup; to a model it may be one, which a
:class:`StatusPolicy` decides.
"""

from __future__ import annotations

import json
import os
import warnings
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import TimeoutError as NoAnswer
from datetime import date, timedelta
from functools import partial
from pathlib import Path
from threading import Lock
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Literal

from . import _contract
from ._environment import connect_from_environment
from ._errors import InvalidError, NotFoundError, UnavailableError
from ._frames import key_columns
from ._lookup import Lookup, Status
from ._policy import Action, StatusPolicy, refusal
from ._selection import Selection, on_demand_of, request_of, views_of
from ._served import Served
from ._store import Store, connect, listed
from ._time import Duration, Moment, format_duration, to_timedelta

if TYPE_CHECKING:
    from ._training_set import TrainingSet

__all__ = ["Action", "Features", "Served", "StatusPolicy", "contract", "from_environment"]


def contract(store: Store, training_set: TrainingSet) -> dict[str, Any]:
    """The record to keep with a model: the training set's manifest, with the definitions
    of its views and the features that are null in some row of it.

    A manifest alone will do for :class:`Features` as well. With this one an error says
    which field of a definition differs and how; the check needs no source files; and
    frames have, row for row, the types that they had in training. It is JSON, and
    ``hitherto training-set --check`` reads it as the manifest that it is.

    Args:
        store: where the rows were built.
        training_set: must have been read to its end.

    Raises:
        InvalidError: it has not been read to its end.
        ConflictError: a source file changed while the rows were built, or other
            definitions were applied since.
    """
    return _contract.record(store, training_set)


class Features:
    """A model's features, from one store. Thread-safe; made once in each process.

    Args:
        store: the URL of a server, or a store that is open, for what
            :func:`hitherto.connect` takes beyond a URL.
        manifest: what :func:`contract` or ``training_set.manifest`` was, or the path of
            a JSON file with it.
        policy: what becomes of features without a value.
        deadline: how long a request may take, a timedelta or text such as ``"50ms"``;
            with None it may take as long as the store does, on the caller's thread.
        on_difference: ``"warn"`` serves the model in spite of a difference, with a
            warning for each.

    Raises:
        ConflictError: the model was trained on other definitions. A line for each
            difference: which view, what differs, and what to do.
        InvalidError: this is no manifest, or the policy names what the model does not have.
        UnavailableError: a view has nothing online, or as :func:`hitherto.connect`.
        DeniedError: as :func:`hitherto.connect`.
    """

    def __init__(
        self,
        store: Store | str,
        manifest: Mapping[str, Any] | str | os.PathLike[str],
        *,
        policy: StatusPolicy | None = None,
        deadline: Duration | None = "1s",
        on_difference: Literal["refuse", "warn"] = "refuse",
    ) -> None:
        found: Mapping[str, Any] = (
            manifest
            if isinstance(manifest, Mapping)
            else json.loads(Path(os.fspath(manifest)).read_text())
        )
        self._manifest = _contract.read(found)
        self._store = connect(store) if isinstance(store, str) else store
        self._policy = policy or StatusPolicy()
        self._deadline = None if deadline is None else to_timedelta(deadline)
        self._counts: Counter[Status] = Counter()
        self._lock = Lock()
        catalog = self._store.catalog()
        self._selection: Selection = _contract.selection(catalog, self._manifest)
        self._keys = _contract.keys(catalog, self._selection)
        self._request = request_of(catalog, self._manifest["features"])
        self._asked = list(self._manifest["features"])
        differences = _contract.differences(self._store, catalog, self._manifest)
        if on_difference == "refuse":
            _contract.refuse(differences)
        for line in differences:
            warnings.warn(line, stacklevel=2)
        _refuse_offline(catalog, self._manifest)
        self._declared, self._types = _declared(catalog, self._manifest)
        self._columns = self._names()
        self._policy.check({name: self._types[name] for name in self.names})

    @property
    def names(self) -> list[str]:
        """Features in the order of the columns, each ``view:feature``."""
        return list(self._selection.features)

    @property
    def columns(self) -> list[str]:
        """Names of the columns, as in the training rows."""
        return list(self._columns.values())

    @property
    def keys(self) -> dict[str, str]:
        """Join keys that a request has, and their types as declared, such as ``int64``."""
        return dict(self._keys)

    @property
    def request(self) -> dict[str, str]:
        """Fields that only a request has, which on-demand views read, and their types."""
        return dict(self._request)

    @property
    def manifest(self) -> Mapping[str, Any]:
        """What the model was trained on."""
        return MappingProxyType(dict(self._manifest))

    @property
    def counts(self) -> dict[Status, int]:
        """Values served so far, by status; those of refused requests too."""
        with self._lock:
            return dict(self._counts)

    def check(self) -> None:
        """Compares definitions again, as when this was made: for a probe of readiness,
        where definitions may be applied while a model is served. Reads the catalog.

        Raises:
            ConflictError: as the constructor, also where it was told to warn.
            UnavailableError: a view has nothing online.
        """
        catalog = self._store.catalog()
        _contract.selection(catalog, self._manifest)
        _contract.refuse(_contract.differences(self._store, catalog, self._manifest))
        _refuse_offline(catalog, self._manifest)

    def read(
        self,
        keys: Mapping[str, Iterable[Any]] | Sequence[Mapping[str, Any]] | Any,
        *,
        as_of: Moment | None = None,
        deadline: Duration | None = None,
    ) -> Served:
        """The features of entities, by one lookup.

        Args:
            keys: as for :meth:`hitherto.Store.lookup`: for each join key a list or
                column, all of one length; or a frame; or a list of mappings, one for each
                entity. Bytes are text where the key is text, and text is a date where it
                is a date (``2180-07-23``), as requests have them. Fields that on-demand
                views take from the request (:attr:`request`) are further columns, as they
                are in the rows of training.
            as_of: the moment to answer for, now if left out.
            deadline: of this request, instead of the one of all; what is left of the
                caller's.

        Returns:
            A row for each entity, in their order.

        Raises:
            NotFoundError: the policy refuses a status; which view, rows and why.
            InvalidError: a join key is missing or unknown, or the lists differ in length.
            UnavailableError: there was no answer by the deadline, or the server is busy.
        """
        from .aio import _threads

        call, limit = self._call(keys, as_of), self._limit(deadline)
        if limit is None:
            return self._served(call())
        answer = _threads.submit(call)
        try:
            return self._served(answer.result(limit))
        except NoAnswer as cause:
            answer.cancel()
            raise self._late(limit) from cause

    async def read_async(
        self, keys: Any, *, as_of: Moment | None = None, deadline: Duration | None = None
    ) -> Served:
        """As :meth:`read`, to be awaited. The lookup runs on a thread, of which a process
        has at most ``hitherto.aio.WORKERS_MAX``."""
        import asyncio

        from .aio import _threads

        call, limit = self._call(keys, as_of), self._limit(deadline)
        try:
            return self._served(await asyncio.wait_for(_threads.run(call), limit))
        except asyncio.TimeoutError as cause:
            raise self._late(limit) from cause

    def close(self) -> None:
        """Closes the store."""
        self._store.close()

    def _call(self, keys: Any, as_of: Moment | None) -> Callable[[], Lookup]:
        columns, brought = self._key_columns(keys), None
        if self._request:
            columns = dict(key_columns(columns))
            brought = {name: columns.pop(name) for name in self._request if name in columns}
        lookup = self._store.lookup
        return partial(lookup, columns, self._asked, as_of=as_of, request=brought or None)

    def _limit(self, deadline: Duration | None) -> float | None:
        length = self._deadline if deadline is None else to_timedelta(deadline)
        return None if length is None else length.total_seconds()

    @staticmethod
    def _late(seconds: float | None) -> UnavailableError:
        shown = format_duration(timedelta(seconds=seconds or 0))
        return UnavailableError(
            f"the features did not come within {shown}, the request's deadline; ask again, give "
            "it more time (deadline=), or look whether the server is busy"
        )

    def _key_columns(self, keys: Any) -> Any:
        if isinstance(keys, Sequence) and not isinstance(keys, (str, bytes)):
            keys = _by_column(keys, self._keys, self._request)
        if not isinstance(keys, Mapping):
            return keys
        return {name: self._key_values(name, values) for name, values in keys.items()}

    def _key_values(self, name: str, column: Any) -> list[Any]:
        values = listed(name, column)
        kind = self._keys.get(name) or self._request.get(name)
        try:
            if kind == "string":
                return [each.decode() if isinstance(each, bytes) else each for each in values]
            if kind == "date32":
                return [
                    date.fromisoformat(each) if isinstance(each, str) else each for each in values
                ]
        except ValueError as cause:
            expected = "UTF-8 text" if kind == "string" else "a date such as 2180-07-23"
            raise InvalidError(
                f"join key {name!r} is {expected}; a value of the request is not"
            ) from cause
        return values

    def _served(self, lookup: Lookup) -> Served:
        statuses = lookup.statuses
        counted: Counter[Status] = Counter()
        absent: dict[str, list[Status]] = {}
        for name, found in statuses.items():
            present = found.count("PRESENT")
            counted["PRESENT"] += present
            if present != len(found):
                absent[name] = found
                counted.update(status for status in found if status != "PRESENT")
        with self._lock:
            self._counts.update(counted)
        instead = self._instead(absent) if absent else {}
        nullable = self._manifest.get("null_features")
        return Served(lookup, statuses, self._columns, instead, nullable)

    def _instead(self, absent: dict[str, list[Status]]) -> dict[str, dict[int, Any]]:
        """For features the rows that get another value than the store's, and it."""
        instead: dict[str, dict[int, Any]] = {}
        refused: dict[tuple[str, Status], dict[int, list[str]]] = {}
        for name, found in absent.items():
            view = name.partition(":")[0]
            policy = self._policy.of(view)
            for row, status in enumerate(found):
                action = "answer" if status == "PRESENT" else policy.action(status)
                if action == "answer" or (action == "refuse" and name in self._declared):
                    continue
                if action == "refuse":
                    refused.setdefault((view, status), {}).setdefault(row, []).append(name)
                else:
                    value = policy.defaults[name] if action == "default" else None
                    instead.setdefault(name, {})[row] = value
        if refused:
            catalog = self._store.catalog()
            lines = [
                refusal(view, status, rows, _ttl(catalog, self._manifest, view))
                for (view, status), rows in refused.items()
            ]
            raise NotFoundError("; ".join(lines))
        return instead

    def _names(self) -> dict[str, str]:
        names = [column["name"] for column in self._manifest["schema"]]
        return dict(zip(self.names, self._selection.columns(names), strict=True))


def from_environment(
    manifest: Mapping[str, Any] | str | os.PathLike[str], policy: StatusPolicy | None = None
) -> Features:
    """Features as the environment says, which is how serving systems configure a model.

    ``HITHERTO_URL``: the server. ``HITHERTO_TOKEN_FILE``, ``HITHERTO_CA``,
    ``HITHERTO_CERT``: files with what it asks for (:func:`hitherto.connect`).
    ``HITHERTO_DEADLINE``: of a request, such as ``50ms``.

    Raises:
        InvalidError: there is no ``HITHERTO_URL``.
        As :class:`Features`.
    """
    store = connect_from_environment()
    deadline = os.environ.get("HITHERTO_DEADLINE", "1s")
    return Features(store, manifest, policy=policy, deadline=deadline)


def _by_column(
    rows: Sequence[Any], keys: Mapping[str, str], request: Mapping[str, str]
) -> dict[str, list[Any]]:
    """Mappings, one for each entity, as columns."""
    names = [*keys, *request]
    for place, row in enumerate(rows):
        if not isinstance(row, Mapping) or set(row) != set(names):
            found = ", ".join(map(str, row)) if isinstance(row, Mapping) else type(row).__name__
            fields = f" and the fields {', '.join(request)}" if request else ""
            raise InvalidError(
                f"row {place} of the request is to have the join keys {', '.join(keys)}{fields}; "
                f"found {found or 'none'}"
            )
    return {name: [row[name] for row in rows] for name in names}


def _refuse_offline(catalog: dict[str, Any], manifest: Mapping[str, Any]) -> None:
    lines = _contract.not_online(catalog, manifest)
    if lines:
        raise UnavailableError("; ".join(lines))


def _declared(
    catalog: dict[str, Any], manifest: Mapping[str, Any]
) -> tuple[frozenset[str], dict[str, str]]:
    """Features whose definition has a default, so that what their absence means is decided;
    and the types of all."""
    views = views_of(catalog)
    defaults: set[str] = set()
    types: dict[str, str] = {}
    for entry in manifest["views"]:
        definition = views[entry["view"]]["definition"]
        defaults |= {f"{entry['name']}:{feature}" for feature in definition.get("defaults", {})}
        types |= {
            f"{entry['name']}:{each['name']}": each["type"] for each in definition["features"]
        }
    for name, computed in on_demand_of(catalog).items():
        types |= {f"{name}:{each['name']}": each["type"] for each in computed["features"]}
    return frozenset(defaults), types


def _ttl(catalog: dict[str, Any], manifest: Mapping[str, Any], name: str) -> str | None:
    """How long a fact of the view that the request calls ``name`` answers; None if it has no
    facts, as an on-demand view."""
    applied = {entry["name"]: entry["view"] for entry in manifest["views"]}.get(name)
    if applied is None:
        return None
    micros = views_of(catalog)[applied]["definition"]["ttl_micros"]
    return "ever" if micros is None else format_duration(timedelta(microseconds=micros))
