"""Writes what a run has shown into the table of a page, or says what it would.

    python matrix.py RUN PAGE

RUN has `rows.jsonl`, a line for each thing that a test has shown, and `overhead.jsonl`. Rows
of integrations that this run did not test stay. With CI=true the page is not written: the
run fails if a row of the page has another version or is not shown any more.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

BEGIN, END = "<!-- matrix: integrations/test.sh writes it -->", "<!-- end of matrix -->"
HEAD = ["| integration | judge | how | seconds |", "| --- | --- | --- | --- |"]


def main(run: Path, page: Path) -> int:
    shown = {}
    for line in (run / "rows.jsonl").read_text().splitlines():
        row = json.loads(line)
        shown[row["integration"]] = [row["judge"], row["how"], str(round(row["seconds"]))]
    text = page.read_text()
    before, _, rest = text.partition(BEGIN)
    table, _, after = rest.partition(END)
    written = {}
    for line in table.strip().splitlines()[len(HEAD) :]:
        name, *cells = (cell.strip() for cell in line.strip("|").split("|"))
        written[name] = cells
    if os.environ.get("CI") == "true":
        stale = [name for name in shown if written.get(name, [])[:2] != shown[name][:2]]
        for name in stale:
            print(f"{page}: the row {name!r} is not what was shown: {shown[name]}")
        return 1 if stale else 0
    rows = [f"| {name} | {' | '.join(cells)} |" for name, cells in (written | shown).items()]
    page.write_text(f"{before}{BEGIN}\n" + "\n".join([*HEAD, *rows]) + f"\n{END}{after}")
    for path in (run / "overhead.jsonl",):
        print(path.read_text() if path.exists() else "", end="")
    print("\n".join(rows))
    return 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), Path(sys.argv[2])))
