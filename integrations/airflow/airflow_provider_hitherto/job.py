"""A task that is a job of a server, and waits without a worker."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import grpc
from airflow.sdk import BaseOperator
from airflow.sdk.exceptions import AirflowException, AirflowFailException

from .hook import HithertoHook
from .triggers import JobTrigger

NOT_AGAIN = ("invalid", "not_found", "denied", "forbidden", "corrupt")
"""Kinds of error that the next attempt would meet, too."""

CODES = {"INVALID_ARGUMENT": "invalid", "NOT_FOUND": "not_found", "UNAUTHENTICATED": "denied",
         "PERMISSION_DENIED": "forbidden", "DATA_LOSS": "corrupt"}  # fmt: skip


class JobOperator(BaseOperator):
    """A job of the server. `deferrable=False` waits on a worker."""

    template_fields: Sequence[str] = ("conn_id",)

    def __init__(
        self, *, conn_id: str = HithertoHook.default_conn_name, deferrable: bool = True,
        deadline: timedelta = timedelta(hours=1), **options: Any,
    ) -> None:  # fmt: skip
        super().__init__(**options)
        self.conn_id, self.deferrable, self.deadline = conn_id, deferrable, deadline
        self._job: int | None = None

    def work(self) -> dict[str, Any]:
        """What `StartJob` is asked for."""
        raise NotImplementedError

    def execute(self, context: Any) -> Any:
        self._job = asyncio.run(self._call(HithertoHook(self.conn_id), "StartJob", **self.work()))
        self.log.info("job %s of the server does it", self._job)
        given = {"conn_id": self.conn_id, "job": self._job}
        trigger = JobTrigger(**given, seconds=self.deadline.total_seconds())
        if self.deferrable:
            self.defer(trigger=trigger, method_name="finish")
        return self.finish(context, asyncio.run(trigger.outcome()))

    def finish(self, context: Any, event: dict[str, Any]) -> Any:
        """What came of the job: for XCom."""
        if "error" in event:
            raise failure(event["kind"], event["error"])
        return event["result"]

    def on_kill(self) -> None:
        """The job ends with the task; a deferred one ends by its deadline."""
        if self._job is not None:
            asyncio.run(self._call(HithertoHook(self.conn_id), "CancelJob", id=self._job))

    async def _call(self, hook: HithertoHook, method: str, **fields: Any) -> int:
        try:
            async with hook.jobs() as call:
                return (await call(method, **fields)).id
        except grpc.aio.AioRpcError as error:
            kind = CODES.get(error.code().name, "unavailable")
            raise failure(kind, f"{hook.address}: {error.details()}") from error


def failure(kind: str, text: str) -> AirflowException:
    """An error that is tried again, if that may help."""
    return (AirflowFailException if kind in NOT_AGAIN else AirflowException)(f"{kind}: {text}")
