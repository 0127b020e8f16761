"""What modules share that are commands, as ``python -m hitherto.dbt``: where their text goes, and
how they end."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from ._errors import Error


def add_out(*commands: argparse.ArgumentParser) -> None:
    """Lets commands take ``--out``, for :func:`put`."""
    for command in commands:
        command.add_argument("--out", type=Path, help="the file to write; stdout if left out")


def put(text: str, out: Path | None) -> None:
    """Writes a text to a file, or to stdout."""
    if out is None:
        print(text, end="")
    else:
        out.write_text(text, "utf-8")


def run(main: Callable[[Sequence[str]], None]) -> None:
    """Runs a command with the words that it was given; an error of ours is a line of text."""
    try:
        main(sys.argv[1:])
    except Error as error:
        sys.exit(f"error: {error}")
