"""Plans: what applying definitions would change, and the file that objects are."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

from . import _html, _native
from ._errors import InvalidError
from .definitions import Definition, dumps

FILE = "from_python.yaml"
"""The file of a repository that holds what ``definitions=`` applied."""

HEADER = "# Written by store.apply(definitions=...), which writes it anew.\n"


class Plan:
    """What applying a repository's definitions would change.

    ``str(plan)`` is for reading, a line for each resource; ``len(plan)`` counts
    the changes, so that an empty plan is false.
    """

    __slots__ = ("_native",)

    def __init__(self, native: _native.Plan) -> None:
        self._native = native

    @property
    def changes(self) -> list[dict[str, Any]]:
        """Every change: ``action``, ``kind``, ``name``, ``fields``, ``effect``."""
        changes: list[dict[str, Any]] = json.loads(self._native.changes())
        return changes

    @property
    def catalog_version(self) -> int:
        """The version of the catalog that the plan was made against."""
        return self._native.catalog_version

    @property
    def warnings(self) -> list[str]:
        """What is allowed and may not be meant, such as times without a zone."""
        return self._native.warnings

    def __len__(self) -> int:
        return len(self._native)

    def __str__(self) -> str:
        return str(self._native).rstrip()

    def __repr__(self) -> str:
        return f"<hitherto.Plan: {len(self)} changes>\n{self}"

    def _repr_html_(self) -> str:
        """For notebooks: a row for each change."""
        rows = [
            (change["action"], change["kind"], change["name"], _plain(change["effect"]))
            for change in self.changes
        ]
        head = ("action", "kind", "name", "effect")
        return _html.block(f"Plan: {len(self)} changes", _html.table(head, rows))


def file_of(definitions: Iterable[Definition]) -> tuple[str, str]:
    """Name and text of the file that holds ``definitions``.

    Raises:
        InvalidError: something among them is no definition.
    """
    found = [definitions] if isinstance(definitions, Definition) else list(definitions)
    for each in found:
        if not isinstance(each, Definition):
            raise InvalidError(
                "definitions are Entity, FeatureView, OnDemandView and FeatureService objects of "
                f"hitherto.definitions; found {each!r}"
            )
    return FILE, HEADER + dumps(found)


def _plain(effect: Any) -> str:
    """An effect of a change, in words."""
    return effect.replace("_", " ") if isinstance(effect, str) else json.dumps(effect)
