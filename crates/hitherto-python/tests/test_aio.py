"""Async twins: the same calls, many at a time."""

from __future__ import annotations

import asyncio
import inspect
import os
import threading
import time
from pathlib import Path

import hitherto
import pyarrow as pa
import pytest
from conftest import LATER
from hitherto import aio

KEYS = {"patient_id": ["10000032"]}
ASKED = ["patient_attributes:*"]


def test_every_call_has_a_twin() -> None:
    """Of a store all methods, of a training set those that run it."""

    def methods(kind: type) -> set[str]:
        found = (name for name, value in vars(kind).items() if inspect.isfunction(value))
        return {name for name in found if not name.startswith("_")}

    twins = {name for name in vars(aio.StoreTwin) if not name.startswith("_")}
    assert twins == methods(hitherto.Store)
    rows = {name for name in dir(hitherto.TrainingSet) if name.startswith(("to_", "write_"))}
    twins = {name for name in vars(aio.TrainingSetTwin) if not name.startswith("_")}
    assert twins == (rows - {"to_reader"}) | {"split", "explain"}
    assert aio.StoreTwin.lookup.__doc__ == hitherto.Store.lookup.__doc__


def test_answers_are_the_same(store: hitherto.Store, spine: pa.Table, tmp_path: Path) -> None:
    expected = store.lookup(KEYS, ASKED).to_dict()

    async def ask() -> None:
        found = await store.aio.lookup(KEYS, ASKED)
        assert found.to_dict() == expected
        rows = await store.aio.training_set(spine, ["lactate:*"])
        assert (await rows.aio.to_arrow()).num_rows == spine.num_rows
        assert len(await rows.aio.to_pandas()) == len(await rows.aio.to_polars()) == spine.num_rows
        assert (await rows.aio.to_numpy()).shape == (spine.num_rows, 1)
        if not store._native.is_remote:
            assert "passes=1" in await rows.aio.explain(analyze=True)
        assert await rows.aio.write_parquet(tmp_path / "rows.parquet") == spine.num_rows
        split = await rows.aio.split(by="time")
        assert len(split.train.to_pandas()) > 0
        with pytest.raises(hitherto.NotFoundError, match="did you mean"):
            await store.aio.lookup(KEYS, ["patient_attribute:*"])

    asyncio.run(ask())


def test_many_calls_at_a_time(store: hitherto.Store) -> None:
    expected = store.lookup(KEYS, ASKED).to_dict()

    async def ask() -> list[dict[str, object]]:
        found = await asyncio.gather(*(store.aio.lookup(KEYS, ASKED) for _ in range(200)))
        return [each.to_dict() for each in found]

    assert asyncio.run(ask()) == [expected] * 200


def test_calls_are_bounded_and_the_loop_goes_on() -> None:
    running, most, lock = 0, 0, threading.Lock()

    def call() -> None:
        nonlocal running, most
        with lock:
            running += 1
            most = max(most, running)
        time.sleep(0.02)
        with lock:
            running -= 1

    async def many() -> int:
        tasks = [asyncio.create_task(aio._threads.run(call)) for _ in range(4 * aio.WORKERS_MAX)]
        ticks = 0
        while not all(task.done() for task in tasks):
            await asyncio.sleep(0.001)
            ticks += 1
        return ticks

    assert asyncio.run(many()) > 10
    assert most == aio.WORKERS_MAX


def test_connecting_is_awaited_or_entered(
    repository: Path, embedded: hitherto.Store, server: str
) -> None:
    expected = embedded.lookup(KEYS, ASKED).to_dict()

    async def ask() -> None:
        async with hitherto.aio.connect(server) as store:
            assert (await store.lookup(KEYS, ASKED)).to_dict() == expected
        with pytest.raises(hitherto.InvalidError, match="closed"):
            await store.catalog()
        store = await hitherto.aio.connect(repository, read_only=True, now=LATER)
        assert (await store.lookup(KEYS, ASKED)).to_dict() == expected
        async with store:
            pass
        with pytest.raises(hitherto.InvalidError, match="closed"):
            await store.catalog()
        with pytest.raises(hitherto.NotFoundError, match="no repository"):
            await hitherto.aio.connect(repository / "nowhere")

    asyncio.run(ask())


@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_a_child_of_fork_has_its_own_threads() -> None:
    async def here() -> int:
        return await aio._threads.run(os.getpid)

    assert asyncio.run(here()) == os.getpid()
    child = os.fork()
    if child == 0:
        code = 1
        try:
            code = 0 if asyncio.run(here()) == os.getpid() else 1
        finally:
            os._exit(code)
    deadline = time.monotonic() + 20
    while (ended := os.waitpid(child, os.WNOHANG))[0] == 0:
        assert time.monotonic() < deadline, "the child of fork hangs"
        time.sleep(0.01)
    assert os.waitstatus_to_exitcode(ended[1]) == 0
