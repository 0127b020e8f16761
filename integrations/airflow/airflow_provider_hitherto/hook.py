"""A connection of Airflow as a store, and as the jobs of its server."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import grpc
import hitherto
from airflow.sdk import BaseHook, Connection

from .wire import MESSAGES

CALL_SECONDS = 30
"""How long the server may take to start or cancel a job."""


class HithertoHook(BaseHook):
    """Host and port, schema `https` for TLS, the token as password; `ca` and `cert`, files,
    as extra."""

    conn_name_attr, default_conn_name = "conn_id", "hitherto_default"
    conn_type, hook_name = "hitherto", "Hitherto"

    def __init__(self, conn_id: str = default_conn_name, connection: Connection | None = None):
        super().__init__()
        self._connection = connection or self.get_connection(conn_id)

    @classmethod
    async def find(cls, conn_id: str) -> HithertoHook:
        """As the constructor, where nothing may block."""
        return cls(conn_id, await cls.aget_connection(conn_id))

    @property
    def address(self) -> str:
        """Host and port."""
        return f"{self._connection.host or '127.0.0.1'}:{self._connection.port or 7411}"

    @property
    def _is_secure(self) -> bool:
        return self._connection.schema == "https"

    def store(self) -> hitherto.Store:
        """The server, as a store."""
        extra, token = self._connection.extra_dejson, self._connection.password or None
        url = f"{'https' if self._is_secure else 'http'}://{self.address}"
        return hitherto.connect(url, token=token, ca=extra.get("ca"), cert=extra.get("cert"))

    def _channel(self) -> grpc.aio.Channel:
        options = [("grpc.keepalive_time_ms", 30_000), ("grpc.max_receive_message_length", 8 << 20)]
        if not self._is_secure:
            return grpc.aio.insecure_channel(self.address, options)
        files = [self._connection.extra_dejson.get(name) for name in ("ca", "cert", "cert")]
        read = [None if name is None else Path(name).read_bytes() for name in files]
        return grpc.aio.secure_channel(self.address, grpc.ssl_channel_credentials(*read), options)

    @asynccontextmanager
    async def jobs(self) -> AsyncIterator[Any]:
        """`await call(method, request, fields)` and, as an iterator, `call.watch(id)`."""
        shown = [("authorization", f"Bearer {self._connection.password}")]
        metadata = shown if self._connection.password else []
        async with self._channel() as channel:

            def method(kind: Any, name: str, message: str) -> Any:
                request = MESSAGES[message].SerializeToString
                return kind(f"/hitherto.v1.JobService/{name}", request, MESSAGES["Job"].FromString)

            async def call(name: str, **fields: Any) -> Any:
                asked, unary = MESSAGES[f"{name}Request"](**fields), channel.unary_unary
                send = method(unary, name, f"{name}Request")
                return await send(asked, metadata=metadata, timeout=CALL_SECONDS)

            watch = method(channel.unary_stream, "WatchJob", "WatchJobRequest")
            call.watch = lambda job: watch(MESSAGES["WatchJobRequest"](id=job), metadata=metadata)
            yield call
