"""Where the store is, as the environment says it: what serving systems, pipelines and
schedulers configure a process by."""

from __future__ import annotations

import os
from pathlib import Path

from ._errors import InvalidError
from ._store import File, Store, connect


def connect_from_environment(target: File | None = None, *, read_only: bool = False) -> Store:
    """Opens the store that the environment names.

    ``HITHERTO_URL``: the server. ``HITHERTO_TOKEN_FILE``, ``HITHERTO_CA``,
    ``HITHERTO_CERT``: files with what it asks for (:func:`hitherto.connect`).

    Args:
        target: instead of ``HITHERTO_URL``.
        read_only: as for :func:`hitherto.connect`.

    Raises:
        InvalidError: there is neither ``target`` nor ``HITHERTO_URL``, or no token in its file.
        As :func:`hitherto.connect`.
    """
    url = os.environ.get("HITHERTO_URL") if target is None else os.fspath(target)
    if not url:
        raise InvalidError("HITHERTO_URL is not set; it says where the feature store is")
    token = os.environ.get("HITHERTO_TOKEN_FILE")
    try:
        shown = Path(token).read_text().strip() if token else None
    except OSError as cause:
        raise InvalidError(
            f"HITHERTO_TOKEN_FILE={token} cannot be read: {cause.strerror}; name the file that "
            "has the token"
        ) from cause
    return connect(
        url,
        read_only=read_only,
        token=shown,
        ca=os.environ.get("HITHERTO_CA"),
        cert=os.environ.get("HITHERTO_CERT"),
    )
