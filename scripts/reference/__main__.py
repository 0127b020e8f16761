"""Writes docs/reference out of the product itself, and docs/llms.txt out of the nav.

    python scripts/reference [--check]        HITHERTO_BIN, or target/debug/hitherto, says it

The binary tells its commands and schemas, a server that runs its interface and metrics; proto
files, the list of errors and the headers of modules tell the rest. With `--check` nothing is
written: it fails if a page is not what would be.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

import commands
import schemas
import sources
import wire
from product import ROOT, Product

REFERENCE = ROOT / "docs" / "reference"


def pages(product: Product) -> dict[Path, str]:
    """Every generated page, by its path."""
    written = {
        "cli": commands.page(product),
        "definitions": schemas.definitions(product),
        "configuration": schemas.configuration(product),
        "http": wire.http(product),
        "grpc": wire.grpc(),
        "metrics": wire.metrics(product),
        "errors": sources.errors(product),
        "formats": sources.formats(),
    }
    found = {REFERENCE / f"{name}.md": text for name, text in written.items()}
    return found | {ROOT / "docs" / "llms.txt": sources.llms()}


def stale(written: dict[Path, str]) -> list[str]:
    """The pages that are not what they would be, and those that nothing writes."""
    there = {path: path.read_text("utf-8") for path in written if path.exists()}
    wrong = [path for path, text in written.items() if there.get(path) != text]
    wrong += [path for path in REFERENCE.glob("*.md") if path not in written]
    return sorted(str(path.relative_to(ROOT)) for path in wrong)


def main(arguments: list[str]) -> int:
    binary = Path(os.environ.get("HITHERTO_BIN", ROOT / "target" / "debug" / "hitherto"))
    with Product(binary.resolve()) as product:
        written = pages(product)
    if arguments == ["--check"]:
        wrong = stale(written)
        for path in wrong:
            print(f"{path} is stale; write it anew: python scripts/reference", file=sys.stderr)
        return 1 if wrong else 0
    if arguments:
        print(__doc__, file=sys.stderr)
        return 2
    REFERENCE.mkdir(parents=True, exist_ok=True)
    for path, text in written.items():
        path.write_text(text, "utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
