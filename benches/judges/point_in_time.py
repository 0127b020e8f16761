"""DuckDB judges Hitherto's training sets: other engine, same rule, large data.

    usage: point_in_time.py [--rows N] [--facts N] [--seed N] [--out FILE]

Two repositories are judged: the intensive-care data of ``fixtures/icu`` and
generated facts of six shapes (``generated.py``), these with and without a
knowledge cutoff. For every view both engines answer every row of one spine;
then all views once more in one training set. Compared are:

- every feature value, bit by bit, null included;
- the spine's own columns and the number and order of rows;
- column types against the declared ones;
- the report: rows present, absent by reason, leaks, rows with any leak.

Progress goes to stderr; the last line on stdout is one JSON object. Exit code 1
if anything differs; the first differences of each view are then shown with what
the naive rule says (``naive.py``).
"""

from __future__ import annotations

import argparse
import json
import shutil
import sys
import tempfile
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import generated
import hitherto
import icu
import naive
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from compare import Difference, differences
from rule import View, open_judge
from sides import Case, ask
from spines import icu_spine

#: Differences of one view that are looked into; the rest are counted.
SHOWN_MAX = 5


@dataclass(frozen=True)
class Trial:
    """One repository with one spine and one cutoff."""

    name: str
    repository: Path
    spine: Path
    views: list[View]
    known_by: int | None = None


def say(text: str) -> None:
    """Progress."""
    print(text, file=sys.stderr, flush=True)


def prepare(work: Path, rows: int, facts: int, seed: int) -> list[Trial]:
    """Writes both repositories and their spines."""
    say(f"preparing {rows:,} spine rows each, about {facts:,} generated facts, seed {seed}")
    repository, spine = work / "icu", work / "icu-spine.parquet"
    shutil.copytree(icu.REPOSITORY, repository, ignore=shutil.ignore_patterns(".hitherto"))
    views = icu.views()
    stays = str(icu.REPOSITORY / "data" / "clif_hospitalization.parquet")
    pq.write_table(icu_spine(open_judge(), views, stays, rows, seed), spine)
    trials = [Trial("icu", repository, spine, views)]

    repository, spine = work / "generated", work / "generated-spine.parquet"
    pq.write_table(generated.write(repository, facts, rows, seed), spine)
    views = generated.views(repository)
    trials.append(Trial("generated", repository, spine, views))
    trials.append(Trial("generated, known by K", repository, spine, views, generated.KNOWN_BY))
    for path in (work / "icu", work / "generated"):
        with hitherto.connect(path) as store:
            store.apply()
    return trials


def judge(trial: Trial, work: Path) -> tuple[list[dict[str, Any]], int]:
    """Judges each view alone, then all together; returns what was measured and
    the number of differences."""
    say(f"\n{trial.name}: {len(trial.views)} views")
    spine = pq.read_table(trial.spine)
    judged: dict[str, pa.Table] = {}
    measured = []
    for view in trial.views:
        case = Case(
            str(trial.repository),
            str(trial.spine),
            (view,),
            trial.known_by,
            str(work / "judged.parquet"),
        )
        duckdb_side = ask("duckdb", case)
        judged[view.name] = pq.read_table(case.answers)
        entry, _ = compare_with_hitherto(trial, spine, {view.name: judged[view.name]}, work)
        counts = {name: duckdb_side[name] for name in ("facts", "ties")}
        measured.append({**entry, **counts, "duckdb": rounded(duckdb_side)})
        show(measured[-1])

    entry, leaky_rows = compare_with_hitherto(trial, spine, judged, work)
    measured.append({**entry, "view": "all in one", "leaky_rows": leaky_rows})
    show(measured[-1])
    return measured, sum(entry["differences"] for entry in measured)


def compare_with_hitherto(
    trial: Trial, spine: pa.Table, judged: dict[str, pa.Table], work: Path
) -> tuple[dict[str, Any], int]:
    """Asks Hitherto for the judged views in one training set and compares."""
    views = [view for view in trial.views if view.name in judged]
    case = Case(
        str(trial.repository),
        str(trial.spine),
        tuple(views),
        trial.known_by,
        str(work / "found.parquet"),
    )
    side = ask("hitherto", case)
    found = pq.read_table(case.answers)

    wrong = 0
    names = [f"{view.name}:{feature}" for view in views for feature in view.features]
    if found.column_names != spine.column_names + names:
        say(f"  columns differ: {found.column_names}")
        wrong += 1
    passed_through = differences(spine, found, {name: name for name in spine.column_names})
    for difference in passed_through[:SHOWN_MAX]:
        say(f"  the spine's own column differs: {difference}")
    wrong += len(passed_through)

    values = 0
    for view in views:
        answers = judged[view.name]
        wrong += wrong_types(view, found)
        counterparts = {feature: f"{view.name}:{feature}" for feature in view.features}
        different = differences(answers, found, counterparts)
        for difference in different[:SHOWN_MAX]:
            referee(trial, view, spine, difference)
        wrong += len(different)
        values += answers.num_rows * len(counterparts)

    expected, leaky_rows = expected_report(judged)
    wrong += wrong_counts(side["report"], expected, leaky_rows, spine.num_rows)
    entry = {
        "view": ", ".join(judged),
        "rows": spine.num_rows,
        "rows_with_value": sum(view["present"] for view in expected.values()),
        "leaks": sum(view["leaks"] for view in expected.values()),
        "values_compared": values,
        "differences": wrong,
        "hitherto": rounded(side),
    }
    return entry, leaky_rows


def wrong_types(view: View, found: pa.Table) -> int:
    """Columns whose type is not the declared one."""
    wrong = 0
    for feature, kind in view.features.items():
        have = found.schema.field(f"{view.name}:{feature}").type
        if have != generated.ARROW_TYPES[kind]:
            say(f"  {view.name}:{feature} has type {have}, declared is {kind}")
            wrong += 1
    return wrong


def expected_report(judged: dict[str, pa.Table]) -> tuple[dict[str, dict[str, Any]], int]:
    """What Hitherto's report has to say, by view, and the rows with any leak."""
    expected = {}
    leaky = None
    for name, answers in judged.items():
        counts = Counter(answers["status"].to_pylist())
        is_leak = answers["is_leak"]
        expected[name] = {
            "present": counts.pop("present", 0),
            "absent": dict(counts),
            "leaks": pc.sum(is_leak).as_py() or 0,
        }
        leaky = is_leak if leaky is None else pc.or_(leaky, is_leak)
    return expected, pc.sum(leaky).as_py() or 0


def wrong_counts(
    report: dict[str, Any], expected: dict[str, dict[str, Any]], leaky_rows: int, rows: int
) -> int:
    """Counts of the report that are not what the judge counted."""
    pairs = [("rows", rows, report["rows"]), ("leaky rows", leaky_rows, report["leaky_rows"])]
    for view in report["views"]:
        name, counts = view["view"], expected[view["view"]]
        pairs += [(f"{name}: {what}", counts[what], view[what]) for what in ("present", "leaks")]
        for reason in sorted({*counts["absent"], *view["absent"]}):
            judged, found = (side["absent"].get(reason, 0) for side in (counts, view))
            pairs.append((f"{name}: {reason}", judged, found))
    wrong = [pair for pair in pairs if pair[1] != pair[2]]
    for what, judged, found in wrong:
        say(f"  the report says {found} for {what}, the judge counted {judged}")
    return len(wrong)


def referee(trial: Trial, view: View, spine: pa.Table, difference: Difference) -> None:
    """Shows one difference beside what the naive rule says."""
    row = difference.row
    if row < 0:
        say(f"  {view.name}: {difference}")
        return
    key = [spine[name][row].as_py() for name in view.keys]
    t = spine["event_timestamp"][row].cast(pa.timestamp("us")).cast(pa.int64()).as_py()
    facts = naive.facts_of(open_judge(), view, key).get(tuple(key), [])
    answer = naive.answer(facts, t, trial.known_by, view.ttl_micros)
    value = answer and answer.values[list(view.features).index(difference.column)]
    say(
        f"  {view.name}:{difference.column} at row {row}, key {key}, t {t}: "
        f"DuckDB {difference.judged!r}, Hitherto {difference.found!r}, naive rule {value!r}"
    )


def rounded(side: dict[str, Any]) -> dict[str, Any]:
    """Seconds and mebibytes of one side: before the question, and at most."""
    return {
        "seconds": round(side["seconds"], 3),
        "start_mib": round(side["start_bytes"] / 2**20, 1),
        "peak_mib": round(side["peak_bytes"] / 2**20, 1),
    }


def show(entry: dict[str, Any]) -> None:
    """One line of progress."""
    sides = "".join(
        f"  {side} {entry[side]['seconds']:7.2f} s {entry[side]['peak_mib']:6.0f} MiB"
        for side in ("duckdb", "hitherto")
        if side in entry
    )
    say(
        f"  {entry['view']:24}{entry['rows_with_value']:>9,} with value{entry['leaks']:>8,} leaks"
        f"{entry['differences']:>4} differences{sides}"
    )


def main() -> int:
    """Runs all trials; the exit code."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=200_000, help="rows of each spine")
    parser.add_argument("--facts", type=int, default=2_000_000, help="generated facts, about")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--out", type=Path, help="a file for the JSON object as well")
    options = parser.parse_args()

    begin = time.perf_counter()
    trials: dict[str, Any] = {}
    total = 0
    with tempfile.TemporaryDirectory(prefix="hitherto-judge-") as folder:
        work = Path(folder)
        for trial in prepare(work, options.rows, options.facts, options.seed):
            trials[trial.name], different = judge(trial, work)
            total += different
    result = {
        "rows": options.rows,
        "facts": options.facts,
        "seed": options.seed,
        "seconds": round(time.perf_counter() - begin, 1),
        "differences": total,
        "trials": trials,
    }
    text = json.dumps(result)
    if options.out:
        options.out.write_text(text + "\n")
    print(text)
    return 1 if total else 0


if __name__ == "__main__":
    sys.exit(main())
