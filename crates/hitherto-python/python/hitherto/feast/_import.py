"""``python -m hitherto.feast import REPO --into DIR``."""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections import Counter
from collections.abc import Generator, Sequence
from contextlib import contextmanager, redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from .. import definitions
from .._arrow import imported
from .._errors import Error, InvalidError, NotFoundError
from ._convert import Conversion, Finding

EXIT_CODES = {
    "internal": 1,
    "invalid": 2,
    "not_found": 3,
    "conflict": 4,
    "unavailable": 5,
    "corrupt": 6,
}
"""As the command line's."""

FILES = (
    ("entities.yaml", definitions.Entity),
    ("views.yaml", definitions.FeatureView),
    ("on_demand.yaml", definitions.OnDemandView),
    ("services.yaml", definitions.FeatureService),
)


@dataclass(frozen=True)
class Report:
    """What an import did."""

    folder: Path
    """Where the definitions are."""
    files: tuple[str, ...]
    """What was written there."""
    findings: tuple[Finding, ...]
    """What became of everything."""

    @property
    def left_out(self) -> list[Finding]:
        """What has no equivalent."""
        return [finding for finding in self.findings if finding.outcome == "left_out"]

    def to_dict(self) -> dict[str, Any]:
        """The fields by name."""
        return {
            "folder": str(self.folder),
            "files": list(self.files),
            "findings": [finding.to_dict() for finding in self.findings],
        }

    def __str__(self) -> str:
        counts = Counter(finding.outcome for finding in self.findings)
        lines = [
            f"{self.folder}: {', '.join(self.files)}",
            f"taken over {counts['taken_over']}, changed {counts['changed']}, left out "
            f"{counts['left_out']}",
        ]
        for outcome in ("left_out", "changed", "taken_over"):
            for finding in self.findings:
                if finding.outcome == outcome:
                    reason = f": {finding.reason}" if finding.reason else ""
                    said = outcome.replace("_", " ")
                    lines.append(f"  {said:<10}  {finding.kind} {finding.name}{reason}")
        return "\n".join([*lines, f"next: hitherto plan --repo {self.folder}"])


def import_repository(
    repository: str | os.PathLike[str],
    into: str | os.PathLike[str],
    *,
    known: Literal["honor", "ignore"] = "honor",
) -> Report:
    """Reads a Feast repository with PyPI's feast and writes definitions.

    Its Python files are run, as ``feast apply`` does.

    Args:
        repository: the folder of a ``feature_store.yaml``.
        into: a new or empty folder.
        known: what views say of known time, for which Feast's
            ``created_timestamp_column`` is taken. ``"ignore"`` gives Feast's
            answers.

    Raises:
        NotFoundError: there is no Feast repository.
        InvalidError: the folder is not empty, or the repository cannot be read.
    """
    source, folder = Path(repository).resolve(), Path(into)
    if not (source / "feature_store.yaml").is_file():
        raise NotFoundError(f"there is no feature_store.yaml in {source}")
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise InvalidError(f"{folder} is not empty; name a new folder or an empty one")
    conversion = Conversion(source, known)
    _convert(_contents(source), conversion)
    folder.mkdir(parents=True, exist_ok=True)
    files: list[str] = []
    for name, kind in FILES:
        found = [each for each in conversion.definitions if isinstance(each, kind)]
        if found:
            definitions.dump(found, folder / name)
            files.append(name)
    return Report(folder, tuple(files), tuple(conversion.findings))


def _contents(repository: Path) -> Any:
    """What Feast finds in its repository."""
    operations = imported("feast.repo_operations", "importing a Feast repository")
    with _inside(repository), redirect_stdout(sys.stderr):
        try:
            return operations.parse_repo(repository)
        except Exception as cause:
            raise InvalidError(f"Feast cannot read {repository}: {cause}") from cause


@contextmanager
def _inside(folder: Path) -> Generator[None, None, None]:
    """Feast imports files relative to the current folder."""
    before, path, modules = Path.cwd(), list(sys.path), set(sys.modules)
    os.chdir(folder)
    sys.path.insert(0, str(folder))
    try:
        yield
    finally:
        os.chdir(before)
        sys.path[:] = path
        # A second repository may have files of the same names.
        for name in set(sys.modules) - modules:
            file = getattr(sys.modules[name], "__file__", None)
            if file is not None and Path(file).is_relative_to(folder):
                del sys.modules[name]


def _convert(contents: Any, conversion: Conversion) -> None:
    conversion.add_entities(contents.entities)
    for view in contents.feature_views:
        conversion.add_view(view)
    for view in contents.on_demand_feature_views:
        conversion.add_on_demand(view)
    for service in contents.feature_services:
        conversion.add_service(service)
    others = (
        ("stream feature view", contents.stream_feature_views,
         "streams are not read; write facts to Parquet and define a view over them"),
        ("label view", contents.label_views,
         "labels are the rows of a spine; give them to training_set()"),
        ("permission", contents.permissions, "there is no access control yet"),
    )  # fmt: skip
    for kind, found, reason in others:
        for each in found:
            conversion.find(kind, each.name, "left_out", reason)
    conversion.finish()


def main(arguments: Sequence[str] | None = None) -> int:
    """The command; returns its exit code."""
    parser = argparse.ArgumentParser(prog="python -m hitherto.feast")
    commands = parser.add_subparsers(dest="command", required=True)
    command = commands.add_parser(
        "import",
        help="write definitions for a Feast repository",
        description="Reads a Feast repository (its Python files are run) and writes definitions "
        "for Hitherto. Says what has no equivalent. Exit code 0: written, whatever was left "
        "out, unless --strict; otherwise as the command line's.",
    )
    command.add_argument("repository", metavar="REPO", help="the folder of feature_store.yaml")
    command.add_argument("--into", metavar="DIR", required=True, help="a new or empty folder")
    command.add_argument(
        "--known",
        choices=("honor", "ignore"),
        default="honor",
        help="whether created_timestamp_column hides facts; ignore gives Feast's answers",
    )
    command.add_argument(
        "--strict", action="store_true", help="exit with code 2 if anything was left out"
    )
    command.add_argument("--output", choices=("text", "json"), default="text")
    options = parser.parse_args(arguments)
    is_json = options.output == "json"
    try:
        report = import_repository(options.repository, options.into, known=options.known)
    except (Error, ImportError) as error:
        kind = error.kind if isinstance(error, Error) else "not_found"
        if is_json:
            print(json.dumps({"error": {"kind": kind, "message": str(error)}}))
        print(f"error: {error}", file=sys.stderr)
        return EXIT_CODES[kind]
    print(json.dumps(report.to_dict()) if is_json else report)
    return EXIT_CODES["invalid"] if options.strict and report.left_out else 0
