"""The product, asked about itself: a binary, and a server of it over a small repository."""

from __future__ import annotations

import html
import json
import os
import re
import subprocess
import tempfile
import urllib.request
from functools import cached_property
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]

HEADER = "<!-- python scripts/reference writes this page: change what it is made of -->\n"

# What `hitherto init` writes has none, and metrics say something of it.
ON_DEMAND = """
apiVersion: hitherto/v1
kind: OnDemandView
metadata: { name: share }
spec:
  request: [{ name: amount, type: float64 }]
  inputs: ["last_payment:*"]
  features: [{ name: of_last, type: float64, expr: amount / amount_eur }]
"""


def table(head: list[str], rows: list[list[str]]) -> str:
    """A table of Markdown; cells are on one line."""
    lines = [head, ["---"] * len(head), *rows]
    return "".join(f"| {' | '.join(cell(text) for text in line)} |\n" for line in lines)


def cell(text: str) -> str:
    """Text within a table: no line ends, and no bar, which GitHub and MkDocs escape otherwise."""

    def code(match: re.Match[str]) -> str:
        return f"<code>{html.escape(match[1])}</code>" if "|" in match[1] else match[0]

    return re.sub(r"`([^`]*)`", code, " ".join(text.split())).replace("|", "&#124;")


def plain(text: str) -> str:
    """Text as it is, of which Markdown would make tags."""
    return re.sub(r"(`[^`]*`)|<", lambda found: found[1] or "&lt;", text)


class Product:
    """A binary, whose environment has no settings of whoever asks."""

    def __init__(self, binary: Path) -> None:
        if not binary.exists():
            raise FileNotFoundError(f"{binary} is not there; build it, or set HITHERTO_BIN")
        self.binary = binary
        self.folder = tempfile.TemporaryDirectory()
        kept = {name: text for name, text in os.environ.items() if not name.startswith("HITHERTO")}
        self.environment = {**kept, "COLUMNS": "100", "NO_COLOR": "1", "LC_ALL": "C.UTF-8"}

    def __enter__(self) -> Product:
        return self

    def __exit__(self, *_: object) -> None:
        self.folder.cleanup()

    def run(self, *arguments: str, cwd: Path | None = None) -> str:
        """What a command prints; it must work."""
        command = [str(self.binary), *arguments]
        done = subprocess.run(
            command, cwd=cwd, env=self.environment, capture_output=True, text=True, check=False
        )
        if done.returncode != 0:
            raise SystemExit(f"{' '.join(command)}: {done.stderr}")
        return done.stdout

    @cached_property
    def repository(self) -> Path:
        """The small repository of `hitherto init`, materialized."""
        root = Path(self.folder.name) / "repository"
        self.run("init", str(root))
        (root / "views" / "share.yaml").write_text(ON_DEMAND)
        self.run("apply", cwd=root)
        self.run("materialize", cwd=root)
        return root

    @cached_property
    def settings(self) -> str:
        """The `hitherto.yaml` that `hitherto init` writes, with every setting in a comment."""
        self.run("init", str(Path(self.folder.name) / "new"))
        return (Path(self.folder.name) / "new" / "hitherto.yaml").read_text("utf-8")

    @cached_property
    def served(self) -> tuple[dict[str, Any], str]:
        """What a server answers to `/openapi.json` and, once it was asked, `/metrics`."""
        settings = self.repository / "hitherto.yaml"
        settings.write_text("audit: { level: strict }\n")  # which has metrics of its own
        command = [str(self.binary), "serve", "--listen", "127.0.0.1:0", "--output", "json"]
        server = subprocess.Popen(
            command, cwd=self.repository, env=self.environment, stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL, text=True,
        )  # fmt: skip
        try:
            url = json.loads(server.stdout.readline())["url"]
            question = {"features": ["share:*"], "keys": {"customer_id": [1]}}
            asked = json.dumps(question | {"request": {"amount": [1.0]}}).encode()
            get(f"{url}/v1/lookup", asked)
            return json.loads(get(f"{url}/openapi.json")), get(f"{url}/metrics")
        finally:
            server.terminate()
            server.wait()


def get(url: str, body: bytes | None = None) -> str:
    """What a URL answers."""
    with urllib.request.urlopen(url, body, timeout=60) as answer:
        return answer.read().decode()
