#!/usr/bin/env python3
"""Qualification of an installed Hitherto: IQ, OQ and PQ, each with a record of what was seen.

    python3 qualify.py iq --hitherto /usr/bin/hitherto --repo /srv/features --checksums SHA256SUMS
    python3 qualify.py oq --hitherto /usr/bin/hitherto
    python3 qualify.py pq --hitherto /usr/bin/hitherto --repo /srv/features

Nothing beside Python's own library and the binary is needed, and openssl to sign. IQ and PQ change
nothing of the repository; OQ works in a folder of its own, which is removed. Writes RUN.json and
RUN.html into --out, and with --sign KEY.pem (Ed25519) RUN.json.sig, which anybody checks with

    openssl pkeyutl -verify -pubin -inkey PUBLIC.pem -rawin -in oq.json -sigfile oq.json.sig

Exit code 0: every step passed; 1: some did not, and the record says which. A deviation is
explained by a person, in the record's column for it.
"""

from __future__ import annotations

import argparse
import getpass
import hashlib
import html
import json
import os
import platform
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
NOW = "2030-01-02T00:00:00Z"

DEFINITIONS = """
apiVersion: hitherto/v1
kind: Entity
metadata: { name: stay }
spec: { keys: [{ name: stay, type: int64 }] }
---
apiVersion: hitherto/v1
kind: FeatureView
metadata: { name: labs }
spec:
  entity: stay
  source:
    parquet: labs.parquet
    eventTime: drawn
    knownTime: released
    deleted: withdrawn
  ttl: 12h
  features: [{ name: lactate, type: float64 }]
  online: { history: 7d }
"""

#: Of whom and when, and what is right: see labs.parquet.
ANSWERS = [
    (1, "2030-01-01T08:29:00Z", None, "nothing is known yet"),
    (1, "2030-01-01T08:30:00Z", 2.3, "known from the moment it is released"),
    (1, "2030-01-01T11:29:00Z", 2.3, "a later draw is not released yet"),
    (1, "2030-01-01T11:30:00Z", 4.1, "and now it is"),
    (1, "2030-01-01T22:00:00Z", 4.1, "as old as the ttl allows"),
    (1, "2030-01-01T22:00:00.000001Z", None, "a microsecond older"),
    (2, "2030-01-01T11:59:00Z", 1.5, "before it was corrected"),
    (2, "2030-01-01T12:00:00Z", 1.7, "after it was corrected"),
    (3, "2030-01-01T12:59:00Z", 9.0, "before it was withdrawn"),
    (3, "2030-01-01T13:00:00Z", None, "after it was withdrawn"),
    (4, "2030-01-01T12:00:00Z", None, "nobody has heard of it"),
]


class Deviation(Exception):
    """What was seen is not what is expected."""


class Run:
    """One qualification: its steps, and what was seen of each."""

    def __init__(self, kind: str, hitherto: str, repo: Path) -> None:
        self.kind, self.hitherto, self.repo = kind, hitherto, repo
        self.steps: list[dict[str, Any]] = []

    def call(self, *words: str, repo: Path | None = None, code: int = 0) -> Any:
        """The JSON that the command answers, or its error; a Deviation if it ends otherwise."""
        command = [self.hitherto, *words, "--repo", str(repo or self.repo), "--output", "json"]
        done = subprocess.run(command, capture_output=True, text=True, timeout=3600, check=False)
        if done.returncode != code:
            said = (done.stderr or done.stdout).strip()[-600:]
            raise Deviation(f"`hitherto {' '.join(words)}` ended with {done.returncode}: {said}")
        text = done.stdout if code == 0 else done.stdout or done.stderr
        try:
            return json.loads(text.strip().splitlines()[-1]) if text.strip() else None
        except ValueError:
            return text

    def step(self, name: str, requirement: str, expected: str, look: Callable[[], str]) -> None:
        """Takes one step and notes what was seen."""
        began = datetime.now(timezone.utc)
        try:
            observed, verdict = look(), "pass"
        except Deviation as deviation:
            observed, verdict = str(deviation), "fail"
        except Exception as error:  # noqa: BLE001: whatever it is, the record says it
            observed, verdict = f"{type(error).__name__}: {error}", "fail"
        number = f"{self.kind.upper()}-{len(self.steps) + 1:02}"
        self.steps.append(
            {
                "id": number, "name": name, "requirement": requirement, "expected": expected,
                "observed": observed, "verdict": verdict, "began": began.isoformat(),
                "seconds": round((datetime.now(timezone.utc) - began).total_seconds(), 3),
                "deviation": "", "explained_by": "",
            }
        )  # fmt: skip
        print(f"{number} {verdict:<4}  {name}: {observed}", file=sys.stderr)


def sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def binary_of(run: Run) -> Path:
    found = shutil.which(run.hitherto)
    if found is None:
        raise Deviation(f"{run.hitherto} is not there")
    return Path(found).resolve()


# Installation.


def iq(run: Run, checksums: Path | None) -> None:
    """What is installed, and where."""

    def is_released() -> str:
        digest = sha256(binary_of(run))
        if checksums is None:
            return f"sha256 {digest}; not compared: give --checksums"
        if digest not in checksums.read_text():
            raise Deviation(f"sha256 {digest} is not among those of {checksums.name}")
        return f"sha256 {digest}, as {checksums.name} says"

    def version() -> str:
        text = subprocess.run([run.hitherto, "--version"], capture_output=True, text=True).stdout
        if not re.match(r"hitherto \d+\.\d+\.\d+", text):
            raise Deviation(f"it says {text!r}")
        return text.strip()

    def doctor() -> str:
        report = run.call("doctor")
        findings = [each for subject in report["subjects"] for each in subject["findings"]]
        odd = [each for each in findings if each["verdict"] != "fine"]
        said = "; ".join(str(each.get("found", each)) for each in odd) or "nothing odd"
        return f"{len(findings)} checks, none wrong; {said}"

    def rights() -> str:
        folder = run.repo / ".hitherto"
        wide: list[str] = []
        for path, folders, files in os.walk(folder):
            if not os.stat(path).st_mode & 0o007:
                folders.clear()  # Nobody else comes to what is in it.
                continue
            wide += [name for name in files if (Path(path) / name).stat().st_mode & 0o007]
        if not folder.exists():
            raise Deviation("there is no store yet: run `hitherto apply` and materialize first")
        if wide:
            raise Deviation(f"others may read {', '.join(wide[:5])}")
        return "nobody else comes to a file of the store"

    def clock() -> str:
        done = subprocess.run(
            ["timedatectl", "show", "-p", "NTPSynchronized", "--value"],
            capture_output=True, text=True, check=False,
        )  # fmt: skip
        return f"synchronized: {done.stdout.strip() or 'not known'}"

    run.step("release", "11.10(a)", "the binary is that of the release", is_released)
    run.step("version", "11.10(a)", "it says its version", version)
    run.step("environment", "11.10(a)", "doctor finds nothing wrong", doctor)
    run.step("rights", "164.312(a)(1)", "the store is its owner's alone", rights)
    if shutil.which("timedatectl"):
        run.step("clock", "11.10(e)", "the clock is somebody's who keeps it right", clock)


# Operation.


def oq(run: Run) -> None:
    """What it does, on facts that are known, in a folder of its own."""
    with tempfile.TemporaryDirectory(prefix="hitherto-oq-") as folder:
        run.repo = Path(folder) / "repository"
        run.repo.mkdir()
        (run.repo / "definitions.yaml").write_text(DEFINITIONS)
        (run.repo / "hitherto.yaml").write_text("audit:\n  level: strict\n")
        for name in ("labs.parquet", "spine.parquet", "pushed.parquet"):
            shutil.copy(HERE / name, run.repo / name)
        run.step("definitions", "11.10(f)", "definitions are applied", lambda: applied(run))
        run.step("build", "11.10(a)", "six facts of three stays are online", lambda: built(run))
        run.step("lookups", "11.10(a)", f"{len(ANSWERS)} answers are right", lambda: lookups(run))
        run.step("training rows", "11.10(a)", "the same, row by row", lambda: training(run))
        run.step(
            "records", "11.10(c), 164.312(c)(2)", "rows of a manifest are built again, and a "
            "changed source is found", lambda: rebuilt(run),
        )  # fmt: skip
        run.step("both sides", "11.10(a)", "online equals offline", lambda: verified(run))
        run.step(
            "push", "164.312(c)(1)", "what was acknowledged survives kill -9", lambda: killed(run)
        )
        run.step(
            "callers", "164.312(a)(2)(i), (d)", "nobody without a token; one that is taken back "
            "is refused", lambda: callers(run),
        )  # fmt: skip
        run.step(
            "audit", "164.312(b), 11.10(e)", "every call has a record, and a changed one is found",
            lambda: audited(run),
        )  # fmt: skip
        run.step(
            "backup", "164.308(a)(7)", "a backup is restored as it was, and a changed one is "
            "refused", lambda: restored(run, Path(folder)),
        )  # fmt: skip


def expect(what: str, found: object, right: object) -> None:
    if found != right:
        raise Deviation(f"{what}: found {found!r}, and {right!r} is right")


def applied(run: Run) -> str:
    run.call("apply")
    return "1 entity, 1 feature view"


def built(run: Run) -> str:
    (built,) = run.call("materialize", "--now", NOW)
    expect("facts", built["facts"], 6)
    return f"{built['facts']} facts"


def value(run: Run, stay: int, at: str, *words: str) -> float | None:
    found = run.call(
        "get", "--features", "labs:lactate", f"stay={stay}", "--as-of", at, "--now", NOW, *words
    )
    (entity,) = found["entities"]
    answered: float | None = entity["features"]["labs:lactate"]["value"]
    return answered


def lookups(run: Run) -> str:
    for stay, at, right, why in ANSWERS:
        expect(f"stay {stay} at {at} ({why})", value(run, stay, at), right)
    return f"{len(ANSWERS)} of {len(ANSWERS)} right"


def training(run: Run) -> str:
    words = ["training-set", "--spine", str(run.repo / "spine.parquet"), "--features"]
    done = run.call(*words, "labs:lactate", "--out", str(run.repo / "rows.parquet"), "--now", NOW)
    report = done["report"]
    expect("rows", report["rows"], len(ANSWERS))
    (view,) = report["views"]
    with_value = sum(right is not None for _, _, right, _ in ANSWERS)
    expect("rows with a value", view["present"], with_value)
    expect("rows that would leak", report["leaky_rows"] > 0, True)
    return f"{report['rows']} rows, {with_value} with a value, {report['leaky_rows']} would leak"


def rebuilt(run: Run) -> str:
    manifest = next(run.repo.glob("rows*manifest*.json"))
    check = ["training-set", "--check", "--manifest", str(manifest), "--now", NOW]
    check += ["--spine", str(run.repo / "spine.parquet")]
    run.call(*check)
    source = run.repo / "labs.parquet"
    bytes_then = source.read_bytes()
    try:
        source.write_bytes(flipped(bytes_then, b"\x66\x66\x66\x66\x66\x66\x02\x40"))
        said = run.call(*check, code=2)["error"]["message"]
        expect("the file that changed is named", "source file labs.parquet" in said, True)
    finally:
        source.write_bytes(bytes_then)
    return "built again; the changed source was found"


def flipped(data: bytes, around: bytes) -> bytes:
    """One bit of these bytes changed."""
    at = data.index(around)
    return data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :]


def verified(run: Run) -> str:
    found = run.call("verify", "--samples", "100", "--now", NOW)
    expect("differences", found["differences"], 0)
    return f"{found['values']} values compared, 0 differences"


class Server:
    """A server of the repository, until the end of the block."""

    def __init__(self, run: Run, *words: str) -> None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.address = f"127.0.0.1:{free.getsockname()[1]}"
        command = [run.hitherto, "serve", "--listen", self.address, "--repo", str(run.repo)]
        self.process = subprocess.Popen(
            [*command, "--now", NOW, *words], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        self.url = f"http://{self.address}"

    def __enter__(self) -> Server:
        host, port = self.address.split(":")
        for _ in range(300):
            with socket.socket() as there:
                if there.connect_ex((host, int(port))) == 0:
                    return self
            if self.process.poll() is not None:
                raise Deviation(f"the server ended with {self.process.returncode}")
            time.sleep(0.1)
        raise Deviation("the server does not listen")

    def __exit__(self, *_: object) -> None:
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        self.process.wait(timeout=60)


def killed(run: Run) -> str:
    with Server(run) as server:
        run.call("push", "labs", str(run.repo / "pushed.parquet"), "--server", server.url)
        server.process.kill()
    found = value(run, 4, "2030-01-01T12:00:00Z")
    expect("the fact that was acknowledged", found, 6.5)
    return "pushed, killed, opened again: it is there"


def callers(run: Run) -> str:
    tokens = run.repo / "tokens"
    make = ["token", "make", "--expires", "1d", "--token-file", str(tokens)]
    run.call(*make, "another")
    token = run.call(*make, "oq")["token"]
    asked = ["get", "--features", "labs:lactate", "stay=1", "--server"]
    with Server(run, "--token-file", str(tokens)) as server:
        run.call(*asked, server.url, code=7)
        run.call(*asked, server.url, "--token", token)
        run.call("token", "revoke", "oq", "--token-file", str(tokens))
        for _ in range(30):
            try:
                run.call(*asked, server.url, "--token", token, code=7)
                break
            except Deviation:
                time.sleep(0.1)
        else:
            raise Deviation("a token that was taken back is answered after 3 s")
    return "refused without, answered with it, refused once it was taken back"


def audited(run: Run) -> str:
    found = run.call("audit", "verify")
    folder = run.repo / "audit"
    log = max(folder.glob("*.audit"), key=lambda path: path.stat().st_size)
    bytes_then = log.read_bytes()
    try:
        log.write_bytes(flipped(bytes_then, b"token/oq"))
        run.call("audit", "verify", code=6)
    finally:
        log.write_bytes(bytes_then)
    return f"{found['records']} records verified; a changed one was found"


def restored(run: Run, folder: Path) -> str:
    backup = folder / "backup"
    run.call("backup", str(backup), "--copy")
    elsewhere = folder / "restored"
    elsewhere.mkdir()
    for name in ("definitions.yaml", "labs.parquet"):
        shutil.copy(run.repo / name, elsewhere / name)
    run.call("restore", str(backup), repo=elsewhere)
    before, run.repo = run.repo, elsewhere
    try:
        expect("what was pushed", value(run, 4, "2030-01-01T12:00:00Z"), 6.5)
        expect("what was built", value(run, 1, "2030-01-01T11:30:00Z"), 4.1)
    finally:
        run.repo = before
    table = max(backup.rglob("*.sst"), key=lambda path: path.stat().st_size)
    bytes_then = bytearray(table.read_bytes())
    bytes_then[len(bytes_then) // 2] ^= 1
    table.chmod(0o600)
    table.write_bytes(bytes(bytes_then))
    refused = folder / "refused"
    refused.mkdir()
    run.call("restore", str(backup), repo=refused, code=6)
    return "restored and equal; one changed byte was refused"


# Performance.


def pq(run: Run, samples: int) -> None:
    """How it does on the repository, of which nothing is changed."""

    def both_sides() -> str:
        found = run.call("verify", "--samples", str(samples))
        expect("differences", found["differences"], 0)
        return f"{len(found['views'])} views, {found['values']} values compared, 0 differences"

    def recovery() -> str:
        with tempfile.TemporaryDirectory(prefix="hitherto-pq-", dir=run.repo.parent) as folder:
            begun = time.monotonic()
            run.call("backup", str(Path(folder) / "backup"))
            backed_up = time.monotonic()
            elsewhere = Path(folder) / "restored"
            elsewhere.mkdir()
            run.call("restore", str(Path(folder) / "backup"), repo=elsewhere)
            times = (backed_up - begun, time.monotonic() - backed_up)
        return f"backup in {times[0]:.1f} s, restore in {times[1]:.1f} s"

    run.step("both sides", "11.10(a)", "online equals offline on your facts", both_sides)
    run.step("recovery", "164.308(a)(7)", "a backup is made and restored", recovery)


# The record.


def record(run: Run, arguments: argparse.Namespace) -> dict[str, Any]:
    binary = shutil.which(run.hitherto)
    return {
        "qualification": run.kind, "by": arguments.by, "host": platform.node(),
        "system": platform.platform(), "python": platform.python_version(),
        "hitherto": str(binary), "sha256": sha256(Path(binary).resolve()) if binary else None,
        "made": datetime.now(timezone.utc).isoformat(), "steps": run.steps,
        "passed": all(step["verdict"] == "pass" for step in run.steps),
    }  # fmt: skip


def page(found: dict[str, Any]) -> str:
    names = ("id", "name", "requirement", "expected", "observed", "verdict", "began", "seconds",
             "deviation", "explained_by")  # fmt: skip
    cell = "<td>{}</td>".format
    rows = "".join(
        f'<tr class="{step["verdict"]}">'
        + "".join(cell(html.escape(str(step[name]))) for name in names)
        + "</tr>\n"
        for step in found["steps"]
    )
    about = "".join(
        f"<tr><th>{name}</th><td>{html.escape(str(found[name]))}</td></tr>\n"
        for name in ("by", "made", "host", "system", "hitherto", "sha256", "passed")
    )
    title = f"{found['qualification'].upper()} of Hitherto"
    return (
        f'<!doctype html><html lang="en"><meta charset="utf-8"><title>{title}</title><style>'
        "body{font:14px sans-serif;margin:2em}table{border-collapse:collapse;margin:1em 0}"
        "td,th{border:1px solid #999;padding:.3em .6em;text-align:left;vertical-align:top}"
        ".fail{background:#fdd}@media print{body{font-size:9px}}</style>"
        f"<h1>{title}</h1><table>{about}</table><table><tr>"
        + "".join(f"<th>{name}</th>" for name in names)
        + f"</tr>\n{rows}</table><p>Reviewed by: ____________________ Date: __________</p></html>\n"
    )


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("kind", choices=("iq", "oq", "pq"))
    parser.add_argument("--hitherto", default="hitherto", help="the binary that is installed")
    parser.add_argument("--repo", type=Path, default=Path(), help="the repository, for iq and pq")
    parser.add_argument("--out", type=Path, default=Path(), help="the folder of the record")
    parser.add_argument("--by", default=getpass.getuser(), help="who does it")
    parser.add_argument("--checksums", type=Path, help="SHA256SUMS of the release, for iq")
    parser.add_argument("--samples", type=int, default=1_000, help="questions a view, for pq")
    parser.add_argument("--sign", type=Path, help="an Ed25519 key in PEM")
    arguments = parser.parse_args()
    run = Run(arguments.kind, arguments.hitherto, arguments.repo.resolve())
    if arguments.kind == "iq":
        iq(run, arguments.checksums)
    elif arguments.kind == "oq":
        oq(run)
    else:
        pq(run, arguments.samples)
    arguments.out.mkdir(parents=True, exist_ok=True)
    found = record(run, arguments)
    written = arguments.out / f"{arguments.kind}.json"
    written.write_text(json.dumps(found, indent=1) + "\n")
    (arguments.out / f"{arguments.kind}.html").write_text(page(found))
    if arguments.sign:
        command = ["openssl", "pkeyutl", "-sign", "-rawin", "-inkey", str(arguments.sign), "-in"]
        subprocess.run([*command, str(written), "-out", f"{written}.sig"], check=True)
    print(os.fspath(written))
    return 0 if found["passed"] else 1


if __name__ == "__main__":
    sys.exit(main())
