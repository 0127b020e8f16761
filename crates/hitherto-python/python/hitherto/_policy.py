"""What becomes of a served model's features that have no value."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from numbers import Real
from typing import Any, Literal

from ._errors import InvalidError
from ._lookup import Status
from ._values import is_number

Action = Literal["answer", "refuse", "null", "default"]
"""What becomes of a feature without a value: what a training row would have there (the
default that its definition declares, or else null); an error; null; or the value that the
policy's ``defaults`` have."""

ACTIONS = ("answer", "refuse", "null", "default")


@dataclass(frozen=True)
class StatusPolicy:
    """What becomes of features that have no value.

    Without a word of yours a request is refused if one of its entities was never seen or
    its facts have all expired: nobody decided yet what the model is to make of that. Where
    training rows had nulls for the same reason, ``"answer"`` is right.
    """

    null: Action = "answer"
    """A fact answers, and its value is null."""
    not_found: Action = "refuse"
    """No fact is known: never seen, not yet known, or deleted."""
    expired: Action = "refuse"
    """The newest known fact is older than the view's ttl."""
    defaults: Mapping[str, Any] = field(default_factory=dict[str, Any])
    """For ``"default"``: the value of each feature, ``view:feature``."""
    views: Mapping[str, StatusPolicy] = field(default_factory=dict[str, "StatusPolicy"])
    """Views, as the request calls them, for which another policy holds."""

    def __post_init__(self) -> None:
        for status in ("null", "not_found", "expired"):
            action = getattr(self, status)
            if action not in ACTIONS:
                raise InvalidError(f"{status} is one of {', '.join(ACTIONS)}; found {action!r}")

    def of(self, view: str) -> StatusPolicy:
        """The policy that holds for ``view``."""
        return self.views.get(view, self)

    def action(self, status: Status) -> Action:
        """What becomes of a feature with ``status``, which is not ``PRESENT``."""
        actions: dict[str, Action] = {
            "NULL": self.null,
            "NOT_FOUND": self.not_found,
            "EXPIRED": self.expired,
        }
        return actions[status]

    def check(self, types: Mapping[str, str]) -> None:
        """Holds the policy against a model's features, by name, and their types.

        Raises:
            InvalidError: it is about a view that the model does not have, or its default of
                a feature is missing or of another type.
        """
        views = dict.fromkeys(name.partition(":")[0] for name in types)
        for view in self.views:
            if view not in views:
                raise InvalidError(
                    f'the policy is about feature view "{view}", which the model does not have; '
                    f"it has {', '.join(views)}"
                )
        for name, kind in types.items():
            self.of(name.partition(":")[0])._check_default(name, kind)

    def _check_default(self, name: str, kind: str) -> None:
        if "default" not in (self.null, self.not_found, self.expired):
            return
        if name not in self.defaults:
            raise InvalidError(
                f'the policy says "default" and has none for {name}; add it to defaults'
            )
        value = self.defaults[name]
        if not _fits(value, kind):
            raise InvalidError(f"the default of {name} is of type {kind}; found {value!r}")


def refusal(
    view: str, status: Status, rows: Mapping[int, Iterable[str]], ttl: str | None
) -> str:
    """Why a request is refused: features of ``view`` have ``status`` in ``rows``. ``ttl`` is that
    of a feature view; an on-demand view has none, and the status of what it reads."""
    said = ", ".join(str(row) for row in list(rows)[:ROWS_SAID_MAX])
    more = f" and {len(rows) - ROWS_SAID_MAX} more" if len(rows) > ROWS_SAID_MAX else ""
    where = f"row{'s' if len(rows) > 1 else ''} {said}{more} of the request"
    allowed = f'allow it: StatusPolicy({status.lower()}="answer")'
    if status == "NULL":
        names = ", ".join(dict.fromkeys(name for each in rows.values() for name in each))
        return f"{where}: {names} is null; bring a value, or {allowed}"
    of = f'feature view "{view}"' if ttl else f'a view that on-demand view "{view}" reads'
    if status == "NOT_FOUND":
        return (
            f"{where}: {of} has no fact that is known; look whether the join key is right, bring "
            f"facts, or {allowed}"
        )
    age = f": it is older than {ttl}, the view's ttl" if ttl else ""
    return (
        f"{where}: the newest fact of {of} has expired{age}; bring newer facts (`hitherto "
        f"materialize`, or push), or {allowed}"
    )


ROWS_SAID_MAX = 3
"""Rows of a request that an error names."""


def _fits(value: Any, kind: str) -> bool:
    if kind == "bool" or kind == "string":
        return isinstance(value, bool if kind == "bool" else str)
    if not is_number(kind):
        return True
    is_whole = "int" in kind
    return not isinstance(value, bool) and isinstance(value, int if is_whole else (Real, Decimal))
