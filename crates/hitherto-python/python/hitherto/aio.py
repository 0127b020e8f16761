"""Async twins: every call that blocks, to be awaited.

    async with hitherto.aio.connect("http://host:7411") as store:
        answer = await store.lookup(keys, service="fraud_v1")

There is one convention. A store and a training set have an attribute ``aio``,
and under it each method that blocks, with the same name, arguments, result and
errors: ``await store.aio.lookup(...)``, ``await training_set.aio.to_arrow()``.

A call runs on a thread, of which a process has at most ``WORKERS_MAX``; further
calls wait for one. A task that is cancelled stops waiting; the call itself runs
to its end.
"""

from __future__ import annotations

import asyncio
import contextvars
import os
from collections.abc import Callable, Coroutine, Generator
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from threading import Lock
from types import TracebackType
from typing import Any, Concatenate, Generic, ParamSpec, TypeVar, overload

from ._store import File, Store
from ._store import connect as connect_now
from ._time import Moment
from ._training_set import TrainingSet

__all__ = ["WORKERS_MAX", "StoreTwin", "TrainingSetTwin", "connect"]

WORKERS_MAX = 16
"""Calls of one process that run at a time."""

Owner = TypeVar("Owner")
OwnerCo = TypeVar("OwnerCo", covariant=True)
Arguments = ParamSpec("Arguments")
Result = TypeVar("Result")


class _Threads:
    """The threads of this process; a child of ``fork`` gets its own."""

    def __init__(self) -> None:
        self._begin()
        os.register_at_fork(after_in_child=self._begin)

    def _begin(self) -> None:
        self._lock = Lock()
        self._executor: ThreadPoolExecutor | None = None

    def submit(self, call: Callable[[], Result]) -> Future[Result]:
        """``call``, which runs on one of the threads."""
        with self._lock:
            if self._executor is None:
                self._executor = ThreadPoolExecutor(WORKERS_MAX, "hitherto")
            executor = self._executor
        return executor.submit(contextvars.copy_context().run, call)

    async def run(self, call: Callable[[], Result]) -> Result:
        """Waits for ``call``, which runs on one of the threads."""
        return await asyncio.wrap_future(self.submit(call))


_threads = _Threads()


class _Twins(Generic[OwnerCo]):
    """An object's methods that block, as coroutines."""

    def __init__(self, owner: OwnerCo) -> None:
        self._owner = owner


class _Twin(Generic[Owner, Arguments, Result]):
    """One such method."""

    def __init__(self, method: Callable[Concatenate[Owner, Arguments], Result]) -> None:
        self._method = method
        self.__doc__ = method.__doc__

    @overload
    def __get__(self, twins: None, kind: type[Any]) -> _Twin[Owner, Arguments, Result]: ...

    @overload
    def __get__(
        self, twins: _Twins[Owner], kind: type[Any]
    ) -> Callable[Arguments, Coroutine[Any, Any, Result]]: ...

    def __get__(self, twins: _Twins[Owner] | None, kind: type[Any]) -> Any:
        if twins is None:
            return self

        def call(
            *positional: Arguments.args, **named: Arguments.kwargs
        ) -> Coroutine[Any, Any, Result]:
            return _threads.run(partial(self._method, twins._owner, *positional, **named))

        call.__doc__ = self.__doc__
        return call


class StoreTwin(_Twins[Store]):
    """A store whose calls are awaited. An async context manager."""

    training_set = _Twin(Store.training_set)
    lookup = _Twin(Store.lookup)
    why = _Twin(Store.why)
    verify = _Twin(Store.verify)
    plan = _Twin(Store.plan)
    apply = _Twin(Store.apply)
    materialize = _Twin(Store.materialize)
    push = _Twin(Store.push)
    rollback = _Twin(Store.rollback)
    whoami = _Twin(Store.whoami)
    catalog = _Twin(Store.catalog)
    close = _Twin(Store.close)

    async def __aenter__(self) -> StoreTwin:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.close()


class TrainingSetTwin(_Twins[TrainingSet]):
    """A training set whose calls are awaited."""

    to_arrow = _Twin(TrainingSet.to_arrow)
    to_pandas = _Twin(TrainingSet.to_pandas)
    to_polars = _Twin(TrainingSet.to_polars)
    to_numpy = _Twin(TrainingSet.to_numpy)
    to_torch = _Twin(TrainingSet.to_torch)
    write_parquet = _Twin(TrainingSet.write_parquet)
    split = _Twin(TrainingSet.split)
    explain = _Twin(TrainingSet.explain)


class _Connecting:
    """A store that is being opened: to be awaited, or entered."""

    def __init__(self, opening: Callable[[], Store]) -> None:
        self._opening = opening
        self._store: StoreTwin | None = None

    async def _open(self) -> StoreTwin:
        return StoreTwin(await _threads.run(self._opening))

    def __await__(self) -> Generator[Any, Any, StoreTwin]:
        return self._open().__await__()

    async def __aenter__(self) -> StoreTwin:
        self._store = await self._open()
        return self._store

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._store is not None:
            await self._store.close()


def connect(
    target: File,
    *,
    read_only: bool = False,
    now: Moment | None = None,
    token: str | None = None,
    ca: File | None = None,
    cert: File | tuple[File, File] | None = None,
) -> _Connecting:
    """Opens a feature store as :func:`hitherto.connect` does, for ``async with``
    or ``await``; what it gives has every call as a coroutine."""
    opening = partial(
        connect_now, target, read_only=read_only, now=now, token=token, ca=ca, cert=cert
    )
    return _Connecting(opening)
