"""The two sides of a judgement, each in a process of its own.

``ask`` starts a process, gives it a case and returns what it measured; its
answers are in a Parquet file. A process of its own makes memory comparable: the
peak is that side's alone, libraries included.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

from rule import (
    View,
    judge_by_window,
    open_judge,
    ties_with_different_values,
    write_answers,
)


@dataclass(frozen=True)
class Case:
    """One view, one spine, one knowledge cutoff; or several views at once,
    which only Hitherto can be asked."""

    repository: str
    spine: str
    views: tuple[View, ...]
    known_by: int | None
    answers: str  # a Parquet file that the side writes

    @classmethod
    def from_json(cls, text: str) -> Case:
        """A case as :func:`ask` passes it on."""
        fields = json.loads(text)
        views = tuple(View(**{**view, "keys": tuple(view["keys"])}) for view in fields["views"])
        return cls(**{**fields, "views": views})


def ask(side: str, case: Case) -> dict[str, Any]:
    """Runs a side: ``duckdb`` or ``hitherto``.

    Returns ``seconds`` (reading the files included; start and writing of the
    answers not), ``start_bytes`` held before the question, ``peak_bytes``; from
    DuckDB the usable ``facts`` and the ``ties`` that bytes decide, from Hitherto
    its ``report``.
    """
    command = [sys.executable, __file__, side]
    done = subprocess.run(
        command, input=json.dumps(asdict(case)), stdout=subprocess.PIPE, text=True, check=False
    )
    if done.returncode != 0:
        raise RuntimeError(f"{side} failed on {[view.name for view in case.views]}")
    measured: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return measured


def _duckdb(case: Case) -> dict[str, Any]:
    (view,) = case.views
    connection = open_judge()
    start_bytes = peak_bytes()
    begin = time.perf_counter()
    judge_by_window(connection, view, case.spine, case.known_by)
    seconds = time.perf_counter() - begin
    measured = {"seconds": seconds, "start_bytes": start_bytes, "peak_bytes": peak_bytes()}
    write_answers(connection, case.answers)
    [(facts,)] = connection.execute("SELECT count(*) FROM facts").fetchall()
    ties = ties_with_different_values(connection, view)
    return {**measured, "facts": facts, "ties": ties}


def _hitherto(case: Case) -> dict[str, Any]:
    import hitherto
    import pyarrow.parquet as pq

    epoch = datetime(1970, 1, 1, tzinfo=timezone.utc)
    known_by = None if case.known_by is None else epoch + timedelta(microseconds=case.known_by)
    with hitherto.connect(case.repository, read_only=True) as store:
        start_bytes = peak_bytes()
        begin = time.perf_counter()
        training_set = store.training_set(
            pq.read_table(case.spine),
            [f"{view.name}:*" for view in case.views],
            known_by=known_by,
            full_names=True,
        )
        found = training_set.to_arrow()
        measured = {
            "seconds": time.perf_counter() - begin,
            "start_bytes": start_bytes,
            "peak_bytes": peak_bytes(),
            "report": training_set.report(),
        }
    pq.write_table(found, case.answers)
    return measured


def peak_bytes() -> int:
    """The most memory that this process held so far.

    Not ``ru_maxrss`` on Linux: a child inherits there what its parent held at
    the moment of exec.
    """
    status = Path("/proc/self/status")
    if status.exists():
        [line] = [line for line in status.read_text().splitlines() if line.startswith("VmHWM:")]
        return int(line.split()[1]) * 1024
    import resource

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


if __name__ == "__main__":
    answer = {"duckdb": _duckdb, "hitherto": _hitherto}[sys.argv[1]]
    print(json.dumps(answer(Case.from_json(sys.stdin.read()))))
