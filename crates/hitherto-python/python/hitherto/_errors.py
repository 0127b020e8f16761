"""Eight kinds of error, each of which says what to do next.

``BY_KIND`` is the one table from kind to exception; the native module raises by
looking it up.
"""

from __future__ import annotations

from typing import ClassVar


class Error(Exception):
    """What everything in this package raises."""

    kind: ClassVar[str] = "internal"
    """The kind's stable name, as in JSON output, metrics and exit codes."""


class InvalidError(Error, ValueError):
    """The request or a definition is wrong: fix it."""

    kind = "invalid"


class NotFoundError(Error, LookupError):
    """The named thing is not there: name another, or create it."""

    kind = "not_found"


class ConflictError(Error):
    """Somebody else got there first: look again and retry."""

    kind = "conflict"


class DeniedError(Error, PermissionError):
    """One end does not trust the other: bring a token or certificate that it knows."""

    kind = "denied"


class ForbiddenError(Error, PermissionError):
    """The caller is known and may not do this: ask whoever grants it."""

    kind = "forbidden"


class UnavailableError(Error):
    """Not now: back off and retry."""

    kind = "unavailable"


class CorruptError(Error):
    """Stored bytes are not what was written: stop and restore."""

    kind = "corrupt"


class InternalError(Error):
    """A bug or an unforeseen failure: report it."""

    kind = "internal"


BY_KIND: dict[str, type[Error]] = {
    error.kind: error
    for error in (
        InvalidError,
        NotFoundError,
        ConflictError,
        DeniedError,
        ForbiddenError,
        UnavailableError,
        CorruptError,
        InternalError,
    )
}
