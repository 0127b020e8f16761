"""A training set that Feast asks for: its views, its rows, and its columns' names.

Rows are given in a frame, or are the facts of a window of time. Features come back
under the engine's names and types and leave under Feast's.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Literal

import pandas
import pyarrow
import pyarrow.compute as compute
import pyarrow.dataset as dataset
from feast.infra.offline_stores import offline_utils

from .._errors import InvalidError
from .._frames import to_table
from ._convert import Conversion, file_types, plain_name, reference, source_path, stand_in
from ._files import within

TIME = "event_timestamp"
"""The column of times that Feast makes for a window."""


@dataclass(frozen=True)
class Spine:
    """Label rows."""

    table: Any
    """A pyarrow Table."""
    time: str
    """Its column of times."""


def label_rows(frame: pandas.DataFrame | str) -> tuple[Spine, tuple[datetime, datetime]]:
    """The rows of ``entity_df``, and the first and last of their times.

    Raises:
        InvalidError: it is SQL.
    """
    if not isinstance(frame, pandas.DataFrame):
        raise InvalidError(
            "entity_df is a DataFrame, or left out with start_date and end_date; SQL is not taken"
        )
    time = offline_utils.infer_event_timestamp_from_entity_df(
        dict(zip(frame.columns, frame.dtypes, strict=True))
    )
    rows = frame.copy()
    if not pandas.api.types.is_datetime64_any_dtype(rows[time]):
        rows[time] = pandas.to_datetime(rows[time], utc=True)
    return Spine(to_table(rows), time), (rows[time].min(), rows[time].max())


@dataclass(frozen=True)
class _Facts:
    """Where the facts of a view are."""

    path: Path
    time: str
    """The column of event times."""
    keys: dict[str, str]
    """Columns of a spine to the columns of the files that are joined on them."""


class Asked(Conversion):
    """The views of a training set, and what its columns are called in Feast."""

    def __init__(
        self, root: Path, known: Literal["honor", "ignore"], entities: Sequence[Any]
    ) -> None:
        super().__init__(root, known, stand_in)
        self.add_entities(entities)
        self.shown: dict[str, str] = {}
        """Features as the engine calls them, and as Feast does."""
        self._kinds: list[Any] = []
        self._facts: list[_Facts] = []

    def add(self, views: Sequence[Any], refs: Sequence[str], full_names: bool) -> None:
        """Takes views over with the features that are asked of them.

        Raises:
            InvalidError: one has no equivalent, and why.
        """
        for view in views:
            self.add_view(view)
            self._refuse_left_out(view.name)
            path = source_path(self._root, view.batch_source)
            kinds = file_types(path) or {}
            mapping = view.batch_source.field_mapping
            back = {new: old for old, new in mapping.items() if old in kinds}
            renamed = view.projection.join_key_map or {}
            joined = [
                key for name in self._joined.get(view.name, []) for key in self._join_keys[name]
            ]
            keys = {renamed.get(key, key): back.get(key, key) for key in joined}
            time = view.batch_source.timestamp_field
            self._facts.append(_Facts(path, back.get(time, time), keys))
            role = view.projection.name_to_use()
            for ref in refs:
                of, feature = ref.rsplit(":", 1)
                if of == role:
                    self._refuse_left_out(f"{view.name}:{feature}")
                    name = f"{reference(view.projection)}:{plain_name(feature)}"
                    self.shown[name] = f"{role}__{feature}" if full_names else feature
                    self._kinds.append(kinds.get(back.get(feature, feature)))

    def _refuse_left_out(self, name: str) -> None:
        for finding in self.findings:
            if finding.outcome == "left_out" and finding.name == name:
                raise InvalidError(f"{finding.kind} {name} has no equivalent: {finding.reason}")

    def facts_within(self, start: datetime, end: datetime) -> Spine:
        """A row for every entity and event time of the views' facts from ``start`` to
        ``end``, ordered by time and join keys.

        Raises:
            InvalidError: the views are not all of one entity.
        """
        keyed = [facts for facts in self._facts if facts.keys] or self._facts
        names = list(keyed[0].keys) if keyed else []
        for facts in keyed:
            if set(facts.keys) != set(names):
                raise InvalidError(
                    "without entity_df all views have the same join keys; found "
                    f"{', '.join(names)} and {', '.join(facts.keys)}: give entity_df"
                )
        tables = [_moments(facts, names, start, end) for facts in keyed]
        place = len(names)
        rows = pyarrow.concat_tables(
            [table.set_column(place, TIME, _as_facts(table[TIME])) for table in tables],
            promote_options="permissive",
        )
        rows = rows.group_by([*names, TIME]).aggregate([]).select([*names, TIME])
        return Spine(rows.sort_by([(name, "ascending") for name in (TIME, *names)]), TIME)

    def answer(self, table: pyarrow.Table) -> pyarrow.Table:
        """The training set with Feast's names and the files' types."""
        own = table.column_names[: len(table.column_names) - len(self.shown)]
        names = list(own)
        for name in self.shown.values():
            while name in names:
                name += "__"
            names.append(name)
        columns = list(table.columns)
        for place, kind in enumerate(self._kinds, len(own)):
            if kind is not None and stand_in(kind) is not None:
                columns[place] = columns[place].cast(kind)
        return pyarrow.table(columns, names)


def _moments(facts: _Facts, names: list[str], start: datetime, end: datetime) -> pyarrow.Table:
    files = dataset.dataset(facts.path, format="parquet")
    kind = files.schema.field(facts.time).type
    columns = {name: compute.field(facts.keys[name]) for name in names}
    time = compute.field(facts.time)
    if not pyarrow.types.is_timestamp(kind):
        time = time.cast(pyarrow.timestamp("us"))
    found = files.to_table(
        columns={**columns, TIME: time}, filter=within(facts.time, kind, start, end)
    )
    return found.group_by([*names, TIME]).aggregate([]).select([*names, TIME])


def _as_facts(times: Any) -> Any:
    """Moments as the engine reads facts: what is finer than a microsecond is the next one, so
    that no row asks before its own fact."""
    if times.type.unit == "ns":
        times = compute.ceil_temporal(times, unit="microsecond")
    return times.cast(pyarrow.timestamp("us", "UTC"))
