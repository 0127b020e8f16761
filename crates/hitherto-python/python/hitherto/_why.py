"""Why: which fact answers, or which events count, and why the others do not."""

from __future__ import annotations

import json
from datetime import datetime, timedelta
from typing import Any

from . import _html, _native, _timeline
from ._time import ALWAYS, Time, show_time, to_datetime, to_known_time, to_time
from ._values import to_values

REASONS = {
    "never_seen": "no fact had happened yet",
    "not_yet_known": "no fact was known yet",
    "expired": "the newest known fact is older than the ttl",
    "deleted": "the newest known fact is a deletion",
    "null_key": "a join key is null",
}
"""Why no fact answers, by :attr:`Why.absence`."""

SENTENCES = {
    "answers": "answers",
    "superseded": "superseded by a fact that ranks higher",
    "not_yet_known": "not known until {known}, {by} later",
    "after_cutoff": "known {by} after the cutoff",
    "not_yet_happened": "happens {by} later",
    "expired": "older than the ttl by {by}",
    "deleted": "is a deletion: nothing before it answers",
    "counts": "counts",
    "filtered": "does not meet the condition",
    "left_window": "left the window {by} before",
    "not_yet_in_window": "comes into the window {by} later",
}
"""What became of a fact, by its verdict."""

EVENTS = {
    "superseded": "superseded {by} before by a later version of the same event",
    "deleted": "is a deletion: the event does not count",
}
"""The same, where facts are versions of events."""

NO_VALUE = {
    "empty_window": "no event counts",
    "all_null": "every event that counts has a null",
    "too_few_values": "too few of the events that count have a value",
    "too_many_values": "more values differ than are told apart",
    "overflow": "the value does not fit its type",
}
"""Why nothing is computed of events, by :attr:`Why.aggregate`'s ``reason``."""


class Why:
    """An explanation of one view's values for one entity at one moment.

    ``str(why)`` is for reading: the answer, then every fact that came near with
    what kept it from answering.
    """

    __slots__ = ("_keys", "_report", "aggregate", "candidates", "online")

    candidates: list[dict[str, Any]]
    """The facts that answer, count or came near, newest first: ``event_time``,
    ``known_time`` (None: nobody can say when), ``verdict``, ``missed_by`` (a
    timedelta: how long after the moment it happened or was known, after the
    cutoff it was known, or beyond the ttl or the window it is; of a version of
    an event how long it has been superseded), ``is_deletion``, ``arrived``
    (when it was pushed, whatever known time it claims; None for a fact of the
    source) and ``values``: by feature, or where a feature is computed of events
    by the columns that it is computed of and that identify them. A time that no
    ``datetime`` holds is text, such as ``"253402300800000000us"``.

    Verdicts: ``answers``, ``superseded``, ``not_yet_known``, ``after_cutoff``,
    ``not_yet_happened``, ``expired``, ``deleted``; of events ``counts``,
    ``filtered``, ``left_window`` and ``not_yet_in_window``, too."""

    aggregate: dict[str, Any] | None
    """What is computed of the events, if the feature is: ``feature``,
    ``computed`` (how, in words), ``window`` (the first and the last event time
    in it; None where none can be), ``value``, ``reason`` (why there is none, or
    None), ``training_set_agrees``, and ``counts`` of the facts that the moment
    sees, by what became of them, and of those outside of the window."""

    online: dict[str, Any]
    """What the online store says to the same question. ``state`` is ``answers``
    (then ``agrees``, ``event_time``, ``known_time`` and ``values``), ``nothing``
    (nothing of the view is online), ``earlier_definition`` (lookups read the copy
    of the definition before, until the view is materialized), ``before_horizon``
    (then ``horizon``) or ``not_asked`` (lookups take no cutoff)."""

    def __init__(self, native: _native.Why, keys: dict[str, Any]) -> None:
        self._keys = keys
        self._report: dict[str, Any] = json.loads(native.report())
        rows = _rows(native.columns(), len(self._report["candidates"]))
        self.candidates = [
            {
                "event_time": to_time(fact["event"]),
                "known_time": to_known_time(fact["known"]),
                "verdict": fact["verdict"],
                "missed_by": timedelta(microseconds=fact["missed_by_micros"]),
                "is_deletion": fact["is_deletion"],
                "arrived": None if fact["arrived"] is None else to_time(fact["arrived"]),
                "values": values,
            }
            for fact, values in zip(self._report["candidates"], rows, strict=True)
        ]
        self.aggregate = _aggregate(self._report["aggregate"], native.computed())
        self.online = _online(self._report["online"], native.online_columns())

    @property
    def answer(self) -> dict[str, Any] | None:
        """The candidate that answers; None if none does."""
        found = (fact for fact in self.candidates if fact["verdict"] == "answers")
        return next(found, None)

    @property
    def absence(self) -> str | None:
        """Why no fact answers: ``never_seen``, ``not_yet_known``, ``expired``,
        ``deleted`` or ``null_key``; None if one does."""
        absence: str | None = self._report["absence"]
        return absence

    @property
    def at(self) -> datetime:
        """The time in question, in UTC."""
        return to_datetime(self._report["at"])

    @property
    def counts(self) -> dict[str, int]:
        """All facts of the entity, also those that are not among the candidates:
        ``seen``, ``not_yet_known``, ``after_cutoff``, ``not_yet_happened``, and
        ``without_time`` (no event time, so that they answer nothing)."""
        return {**self._report["counts"], "without_time": self._report["facts_without_time"]}

    def to_dict(self) -> dict[str, Any]:
        """Everything: ``view``, ``keys``, ``at``, ``known_by``, ``known``, ``ttl``,
        ``answer``, ``absence``, ``candidates``, ``counts``, ``aggregate``,
        ``online``."""
        known_by, ttl = self._report["known_by"], self._report["ttl_micros"]
        return {
            "view": self._report["view"],
            "keys": dict(self._keys),
            "at": self.at,
            "known_by": None if known_by is None else to_datetime(known_by),
            "known": self._report["known"],
            "ttl": None if ttl is None else timedelta(microseconds=ttl),
            "answer": self.answer,
            "absence": self.absence,
            "candidates": self.candidates,
            "counts": self.counts,
            "aggregate": self.aggregate,
            "online": self.online,
        }

    def __str__(self) -> str:
        lines = [f"{self._asked()}: {self._answered()}"]
        lines += [
            f"  event {show_time(fact['event_time'])}  "
            f"known {show_time(fact['known_time'])}  {_said(fact['values'])}: "
            + self._sentence(fact)
            for fact in self.candidates
        ]
        if self.aggregate is not None:
            lines.append(f"training set: {_same(self.aggregate)}")
        return "\n".join([*lines, f"online: {_said_online(self.online)}"])

    def _asked(self) -> str:
        keys = ", ".join(f"{name}={value}" for name, value in self._keys.items())
        of = self._report["view"]
        if self.aggregate is not None:
            of += f":{self.aggregate['feature']}"
        return f"{of} at {self.at:%Y-%m-%dT%H:%M:%SZ} for {keys}"

    def _answered(self) -> str:
        if self.aggregate is not None:
            return _computed(self.aggregate, self.absence)
        answer = self.answer
        if answer is None:
            if not self.candidates and self.absence in (None, "never_seen"):
                return "nothing, because there is no fact of it"
            return f"nothing, because {REASONS[self.absence or 'never_seen']}"
        event = answer["event_time"]
        if event == ALWAYS:
            return f"{_said(answer['values'])}, timeless"
        age = "" if isinstance(event, str) else f", {self.at - event} old"
        return f"{_said(answer['values'])}, event {show_time(event)}{age}"

    def __repr__(self) -> str:
        return f"<hitherto.Why>\n{self}"

    def _repr_html_(self) -> str:
        """For notebooks: a drawing of the facts over time, then each in words."""
        rows = [
            (
                show_time(fact["event_time"]),
                show_time(fact["known_time"]),
                _said(fact["values"]),
                self._sentence(fact),
            )
            for fact in self.candidates
        ]
        return _html.block(
            self._asked(),
            _html.note(self._answered()),
            _timeline.draw(self.at, self._counted(), self.candidates) if rows else "",
            _html.table(
                ("event", "known", "values", ""), rows, f"online: {_said_online(self.online)}"
            ),
        )


    def _counted(self) -> tuple[Time, Time] | None:
        """The event times that can count: of the window, or up to the ttl."""
        if self.aggregate is not None:
            window: tuple[Time, Time] | None = self.aggregate["window"]
            return window
        at, ttl = self._report["at"], self._report["ttl_micros"]
        return None if ttl is None else (to_time(at - ttl), self.at)

    def _sentence(self, fact: dict[str, Any]) -> str:
        if fact["verdict"] == "not_yet_known" and fact["known_time"] is None:
            return "has no known time: nobody can say when it was known"
        sentences = SENTENCES if self.aggregate is None else {**SENTENCES, **EVENTS}
        known = show_time(fact["known_time"])
        return sentences[fact["verdict"]].format(by=fact["missed_by"], known=known)


Columns = list[tuple[str, str, list[Any]]]


def _rows(columns: Columns, rows: int) -> list[dict[str, Any]]:
    """Values by feature, without the view's name, for each row."""
    named = [
        (name.partition(":")[2], to_values(data_type, stored))
        for name, data_type, stored in columns
    ]
    return [{name: values[row] for name, values in named} for row in range(rows)]


def _online(online: dict[str, Any], columns: Columns) -> dict[str, Any]:
    if online["state"] == "before_horizon":
        return {"state": "before_horizon", "horizon": to_time(online["horizon"])}
    if online["state"] != "answers":
        return {"state": online["state"]}
    event, known = online["event"], online["known"]
    return {
        "state": "answers",
        "agrees": online["agrees"],
        "event_time": None if event is None else to_time(event),
        "known_time": None if known is None else to_known_time(known),
        "values": _rows(columns, 1)[0],
    }


def _aggregate(aggregate: dict[str, Any] | None, columns: Columns) -> dict[str, Any] | None:
    if aggregate is None:
        return None
    window = aggregate["window"]
    return {
        **aggregate,
        "window": None if window is None else tuple(to_time(time) for time in window),
        "value": next(iter(_rows(columns, 1)[0].values())),
    }


def _computed(aggregate: dict[str, Any], absence: str | None) -> str:
    because = None if absence is None else REASONS[absence]
    if aggregate["reason"] is not None and because is None:
        because = NO_VALUE[aggregate["reason"]]
    if because is None:
        return f"{aggregate['value']}, {aggregate['computed']}"
    if aggregate["value"] is None:
        return f"nothing, because {because}"
    return f"{aggregate['value']}, the default, because {because}"


def _same(aggregate: dict[str, Any]) -> str:
    return "the same" if aggregate["training_set_agrees"] else "DIFFERS"


def _said(values: dict[str, Any]) -> str:
    if len(values) == 1:
        return str(next(iter(values.values())))
    return ", ".join(f"{name} {value}" for name, value in values.items())


def _said_online(online: dict[str, Any]) -> str:
    match online["state"]:
        case "answers":
            return "the same" if online["agrees"] else f"DIFFERS: {_said(online['values'])}"
        case "before_horizon":
            return f"not kept; its history begins at {show_time(online['horizon'])}"
        case "nothing":
            return "nothing of the view yet; materialize it"
        case "earlier_definition":
            return "the copy of the definition before; materialize the view"
        case _:
            return "not asked; lookups take no cutoff and no other setting of known time"
