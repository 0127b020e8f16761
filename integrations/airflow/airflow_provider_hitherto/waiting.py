"""What waits for a while at most, and tells what came of it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

from airflow.triggers.base import BaseTrigger, TriggerEvent

from .hook import HithertoHook


class Waiting(BaseTrigger):
    """Its attributes are its arguments."""

    def __init__(self, **given: Any) -> None:
        super().__init__()
        self._given = given

    def serialize(self) -> tuple[str, dict[str, Any]]:
        return f"{type(self).__module__}.{type(self).__qualname__}", self._given

    async def run(self) -> AsyncIterator[TriggerEvent]:
        yield TriggerEvent(await self.outcome())

    async def outcome(self) -> dict[str, Any]:
        """`result`, or `error` with its `kind`."""
        hook, seconds = await HithertoHook.find(self._given["conn_id"]), self._given["seconds"]
        try:
            return await asyncio.wait_for(self.wait(hook), seconds)
        except asyncio.TimeoutError:
            what = await self.late(hook)
            error = f"{what} did not end within {seconds:g} s, the deadline; give it more time"
            return {"error": error, "kind": "unavailable"}

    async def wait(self, hook: HithertoHook) -> dict[str, Any]:
        raise NotImplementedError

    async def late(self, hook: HithertoHook) -> str:
        raise NotImplementedError
