"""What waits while a task is deferred: for a server's job, or for a verification."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import grpc
from hitherto import Error, steps
from hitherto.aio import StoreTwin

from .hook import HithertoHook
from .waiting import Waiting
from .wire import RUNNING

RETRY_SECONDS = 5
"""Between two attempts to reach a server that is away."""


class JobTrigger(Waiting):
    """`conn_id`, `job`, `seconds`: follows a job to its end, also across a server's absence;
    cancels one that is late."""

    async def wait(self, hook: HithertoHook) -> dict[str, Any]:
        while True:
            try:
                async with hook.jobs() as call:
                    async for job in call.watch(self._given["job"]):
                        if job.state != RUNNING:
                            kind = job.error_kind or "conflict"
                            error = job.error or f"job {job.id} was cancelled; start it again"
                            done = json.loads(job.result_json or "null")
                            return {"result": done} if done is not None else {
                                "error": error, "kind": kind}  # fmt: skip
            except grpc.aio.AioRpcError as error:
                if error.code() != grpc.StatusCode.UNAVAILABLE:
                    where = f"job {self._given['job']} at {hook.address}"
                    return {"error": f"{where}: {error.details()}", "kind": "not_found"}
            await asyncio.sleep(RETRY_SECONDS)

    async def late(self, hook: HithertoHook) -> str:
        async with hook.jobs() as call:
            await call("CancelJob", id=self._given["job"])
        return f"job {self._given['job']} at {hook.address} was told to end: it"


class VerifyTrigger(Waiting):
    """`conn_id`, `seconds`, `asked`: what `hitherto.Store.verify` is asked, and says."""

    async def wait(self, hook: HithertoHook) -> dict[str, Any]:
        try:
            async with StoreTwin(await asyncio.to_thread(hook.store)) as store:
                found = await store.verify(**self._given["asked"])
            steps.refuse(found)
        except Error as error:
            return {"error": str(error), "kind": error.kind}
        return {"result": found}

    async def late(self, hook: HithertoHook) -> str:
        return f"the verification at {hook.address}"
