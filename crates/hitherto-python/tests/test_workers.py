"""Stores in worker processes: sent to them, or there since a fork."""

from __future__ import annotations

import multiprocessing
import os
import pickle
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import hitherto
import pyarrow as pa
import pytest
from conftest import LATER

KEYS = {"patient_id": ["10000032"]}
ASKED = ["patient_attributes:*"]


def look(store: hitherto.Store) -> tuple[int, dict[str, list[Any]]]:
    return os.getpid(), store.lookup(KEYS, ASKED).to_dict()


def join(work: tuple[hitherto.Store, pa.Table]) -> pa.Table:
    store, spine = work
    return store.training_set(spine, ["lactate:*"]).to_arrow()


@pytest.fixture(params=["spawn", "fork", "forkserver"])
def workers(request: pytest.FixtureRequest) -> Iterator[ProcessPoolExecutor]:
    context = multiprocessing.get_context(request.param)
    with ProcessPoolExecutor(2, context) as pool:
        yield pool


@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_a_store_works_in_worker_processes(
    store: hitherto.Store, spine: pa.Table, workers: ProcessPoolExecutor
) -> None:
    expected = store.lookup(KEYS, ASKED).to_dict()
    for process, found in workers.map(look, [store] * 6):
        assert process != os.getpid() and found == expected
    halves = [spine.slice(0, 4000), spine.slice(4000)]
    found = pa.concat_tables(workers.map(join, [(store, half) for half in halves]))
    assert found.equals(store.training_set(spine, ["lactate:*"]).to_arrow())
    # Here all goes on.
    assert store.lookup(KEYS, ASKED).to_dict() == expected


def test_a_store_that_was_sent_is_opened_when_it_is_used(
    embedded: hitherto.Store, remote: hitherto.Store, repository: Path
) -> None:
    sent = pickle.loads(pickle.dumps(embedded))
    assert "not open yet" in repr(sent)
    # It keeps its clock, and reads only: the process that sent it writes.
    assert sent.lookup(KEYS, ASKED).at == embedded.lookup(KEYS, ASKED).at
    assert sent.lookup(KEYS, ASKED).at.isoformat().startswith(LATER[:19])
    with pytest.raises(hitherto.InvalidError, match="reading only"):
        sent.materialize(full=True)
    sent.close()
    assert embedded.catalog() == remote.catalog()
    again = pickle.loads(pickle.dumps(pickle.loads(pickle.dumps(remote))))
    assert again.catalog() == remote.catalog()


def test_a_relative_path_is_sent_whole(
    repository: Path, embedded: hitherto.Store, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(repository.parent)
    with hitherto.connect(repository.name, read_only=True) as store:
        sent = pickle.dumps(store)
    monkeypatch.chdir(tmp_path)
    assert pickle.loads(sent).catalog() == embedded.catalog()


def test_what_cannot_be_sent_says_so(repository: Path, spine: pa.Table) -> None:
    store = hitherto.connect(repository, read_only=True)
    rows = store.training_set(spine, ["lactate:*"])
    with pytest.raises(hitherto.InvalidError, match="send the store and the spine"):
        pickle.dumps(rows)
    store.close()
    with pytest.raises(hitherto.InvalidError, match="the store is closed"):
        pickle.dumps(store)


def test_threads_open_a_sent_store_once(embedded: hitherto.Store) -> None:
    sent = pickle.loads(pickle.dumps(embedded))
    expected = embedded.lookup(KEYS, ASKED).to_dict()
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda _: look(sent)[1], range(32)))
    assert found == [expected] * 32
