"""Hitherto as the offline store of a Feast repository.

    offline_store:
      type: hitherto.feast.OfflineStore
      path: data/hitherto
      known: honor

Feast keeps its registry, definitions and commands. What it asks of an offline
store is asked of an engine in this process: for each set of views a repository
of Hitherto is written below ``path`` and applied once, and read ever after, so
that processes do not shut each other out.

Offered are training sets (``get_historical_features``, with on demand views) and
what ``feast materialize`` reads (``pull_latest_from_table_or_query`` and
``pull_all_from_table_or_query``), over Parquet files. The rest of Feast's
interface is left as Feast leaves it: it says that it is not implemented.
"""

from __future__ import annotations

import hashlib
import warnings
from collections.abc import Callable, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any, Literal

import pandas
import pyarrow
import pyarrow.compute as compute
import pyarrow.dataset as dataset
from feast.data_source import DataSource
from feast.feature_view import FeatureView as FeastView
from feast.infra.offline_stores import offline_store, offline_utils
from feast.infra.registry.base_registry import BaseRegistry
from feast.on_demand_feature_view import OnDemandFeatureView
from feast.repo_config import FeastConfigBaseModel, RepoConfig

from .. import _store, definitions
from .._errors import InvalidError, NotFoundError
from ..definitions import Definition, Entity, FeatureView, Field, Source
from ._convert import Conversion, file_types, plain_name, reference, source_path


class OfflineStoreConfig(FeastConfigBaseModel):  # type: ignore[misc]
    """The section ``offline_store`` of ``feature_store.yaml``."""

    type: Literal["hitherto.feast.OfflineStore"] = "hitherto.feast.OfflineStore"
    """Names the plugin."""
    path: str = "data/hitherto"
    """A folder for Hitherto's repositories, relative to Feast's."""
    known: Literal["honor", "ignore"] = "honor"
    """Whether a fact is hidden before its ``created_timestamp_column``;
    ``ignore`` gives Feast's answers. Feast's ``filter_by_created_timestamp``
    always hides it."""


class OfflineStore(offline_store.OfflineStore):  # type: ignore[misc]
    """Feast's interface over Hitherto; see this module."""

    supports_filter_by_created_timestamp = True

    @staticmethod
    def get_historical_features(
        config: RepoConfig,
        feature_views: list[FeastView],
        feature_refs: list[str],
        entity_df: pandas.DataFrame | str | None,
        registry: BaseRegistry,
        project: str,
        full_feature_names: bool = False,
        filter_by_created_timestamp: bool = False,
        **_: Any,
    ) -> offline_store.RetrievalJob:
        """Joins features to ``entity_df``, a row for each of its rows and in its
        order.

        Raises:
            InvalidError: ``entity_df`` is no DataFrame; a view or feature has no
                equivalent, and why.
        """
        if not isinstance(entity_df, pandas.DataFrame):
            raise InvalidError(
                "entity_df is a DataFrame; SQL and ranges of time without one are not taken"
            )
        options = _options(config, filter_by_created_timestamp)
        conversion = Conversion(_root(config), options.known)
        conversion.add_entities(registry.list_entities(project))
        asked: dict[str, str] = {}
        for view in feature_views:
            conversion.add_view(view)
            role = view.projection.name_to_use()
            for ref in feature_refs:
                of, feature = ref.rsplit(":", 1)
                if of == role:
                    shown = f"{role}__{feature}" if full_feature_names else feature
                    asked[f"{reference(view.projection)}:{plain_name(feature)}"] = shown
                    _refuse_left_out(conversion, view.name, feature)
        timestamp = offline_utils.infer_event_timestamp_from_entity_df(
            dict(zip(entity_df.columns, entity_df.dtypes, strict=True))
        )
        spine = entity_df.copy()
        if not pandas.api.types.is_datetime64_any_dtype(spine[timestamp]):
            spine[timestamp] = pandas.to_datetime(spine[timestamp], utc=True)

        def run() -> pyarrow.Table:
            store = _applied(config, options, conversion.definitions)
            rows = store.training_set(
                spine, list(asked), timestamp=timestamp, known=options.known, full_names=True
            )
            table = rows.to_arrow()
            _warn_of_unknown(rows.report())
            return table.rename_columns(
                [*table.column_names[: len(spine.columns)], *asked.values()]
            )

        return _Job(
            run,
            full_feature_names,
            OnDemandFeatureView.get_requested_odfvs(feature_refs, project, registry),
            offline_store.RetrievalMetadata(
                features=feature_refs,
                keys=[name for name in entity_df.columns if name != timestamp],
                min_event_timestamp=spine[timestamp].min(),
                max_event_timestamp=spine[timestamp].max(),
            ),
        )

    @staticmethod
    def pull_latest_from_table_or_query(
        config: RepoConfig,
        data_source: DataSource,
        join_key_columns: list[str],
        feature_name_columns: list[str],
        timestamp_field: str,
        created_timestamp_column: str | None,
        start_date: datetime,
        end_date: datetime,
    ) -> offline_store.RetrievalJob:
        """The newest fact of each entity up to ``end_date``, if it is not from
        before ``start_date``.

        Raises:
            InvalidError: the source is not of Parquet files, or a column has a
                type that no feature can have.
        """
        options = _options(config, False)
        path = source_path(_root(config), data_source)
        times = [timestamp_field, *([created_timestamp_column] if created_timestamp_column else [])]
        # Columns have names here that any column's name allows.
        keys = {f"k{place}": name for place, name in enumerate(join_key_columns)}
        features = {f"f{place}": name for place, name in enumerate([*feature_name_columns, *times])}
        known = created_timestamp_column or None
        source = Source(str(path), timestamp_field, known_time=known, columns={**keys, **features})
        found: list[Definition] = [
            Entity("entity", _fields(path, keys)),
            FeatureView("facts", source, _fields(path, features), "entity"),
        ]

        def run() -> pyarrow.Table:
            spine = _entities(path, list(keys.values())).rename_columns(list(keys))
            end = pyarrow.repeat(
                pyarrow.scalar(end_date, pyarrow.timestamp("us", "UTC")), len(spine)
            )
            rows = _applied(config, options, found).training_set(
                spine.append_column("t", end), ["facts:*"], timestamp="t", known=options.known
            )
            table = rows.to_arrow().drop_columns("t")
            table = table.rename_columns([*keys.values(), *features.values()])
            begin = pyarrow.scalar(start_date).cast(table.schema.field(timestamp_field).type)
            return table.filter(compute.field(timestamp_field) >= begin)

        return _Job(run, False, [], None)

    @staticmethod
    def pull_all_from_table_or_query(
        config: RepoConfig,
        data_source: DataSource,
        join_key_columns: list[str],
        feature_name_columns: list[str],
        timestamp_field: str,
        created_timestamp_column: str | None = None,
        start_date: datetime | None = None,
        end_date: datetime | None = None,
    ) -> offline_store.RetrievalJob:
        """All facts from ``start_date`` to ``end_date``, as the files have them.

        Raises:
            InvalidError: the source is not of Parquet files.
        """
        path = source_path(_root(config), data_source)
        columns = [*join_key_columns, *feature_name_columns, timestamp_field]
        columns += [created_timestamp_column] if created_timestamp_column else []

        def run() -> pyarrow.Table:
            files = dataset.dataset(path)
            event, kind = dataset.field(timestamp_field), files.schema.field(timestamp_field).type
            within = dataset.scalar(True)
            if start_date is not None:
                within = within & (event >= pyarrow.scalar(start_date).cast(kind))
            if end_date is not None:
                within = within & (event <= pyarrow.scalar(end_date).cast(kind))
            return files.to_table(columns=columns, filter=within)

        return _Job(run, False, [], None)


class _Job(offline_store.RetrievalJob):  # type: ignore[misc]
    """A table that is made when it is asked for."""

    def __init__(
        self,
        run: Callable[[], pyarrow.Table],
        full_feature_names: bool,
        on_demand_feature_views: Sequence[OnDemandFeatureView],
        metadata: offline_store.RetrievalMetadata | None,
    ) -> None:
        self._run = run
        self._full_feature_names = full_feature_names
        self._on_demand_feature_views = list(on_demand_feature_views)
        self._metadata = metadata

    def _to_arrow_internal(self, timeout: int | None = None) -> pyarrow.Table:
        return self._run()

    def _to_df_internal(self, timeout: int | None = None) -> pandas.DataFrame:
        frame: pandas.DataFrame = self._run().to_pandas()
        return frame

    @property
    def full_feature_names(self) -> bool:
        return self._full_feature_names

    @property
    def on_demand_feature_views(self) -> list[OnDemandFeatureView]:
        return self._on_demand_feature_views

    @property
    def metadata(self) -> offline_store.RetrievalMetadata | None:
        return self._metadata


def _root(config: Any) -> Path:
    """The folder of Feast's repository, to which its paths are relative."""
    return Path(config.repo_path)


def _options(config: Any, filter_by_created: bool) -> OfflineStoreConfig:
    options: OfflineStoreConfig = config.offline_store
    return options.model_copy(update={"known": "honor"}) if filter_by_created else options


def _applied(
    config: RepoConfig, options: OfflineStoreConfig, found: Sequence[Definition]
) -> _store.Store:
    """A store, for reading, to which ``found`` is applied."""
    text = definitions.dumps(found)
    name = hashlib.sha256(text.encode()).hexdigest()[:16]
    folder = _root(config) / options.path / name
    try:
        return _store.connect(folder, read_only=True)
    except NotFoundError:
        folder.mkdir(parents=True, exist_ok=True)
    (folder / "definitions.yaml").write_text(text, "utf-8")
    with _store.connect(folder) as writer:
        writer.apply()
    return _store.connect(folder, read_only=True)


def _refuse_left_out(conversion: Conversion, view: str, feature: str) -> None:
    for finding in conversion.findings:
        if finding.outcome == "left_out" and finding.name in (view, f"{view}:{feature}"):
            raise InvalidError(f"{finding.kind} {finding.name} has no equivalent: {finding.reason}")


def _warn_of_unknown(report: dict[str, Any]) -> None:
    """Feast's users do not expect a fact to be hidden: it is said."""
    for view in report["views"]:
        hidden = view["absent"].get("not_yet_known", 0)
        if hidden:
            warnings.warn(
                f"{view['view']} has no value in {hidden} of {report['rows']} rows because its "
                "facts were created after the row's time; offline_store: {known: ignore} shows "
                "them all the same, as Feast does",
                stacklevel=2,
            )


def _fields(path: Path, columns: dict[str, str]) -> list[Field]:
    types = file_types(path) or {}
    wrong = [column for column in columns.values() if not types.get(column)]
    if wrong:
        raise InvalidError(
            f"{path} has no column of a type that a feature can have for {', '.join(wrong)}; leave "
            "it out of the view's schema"
        )
    return [Field(name, types[column]) for name, column in columns.items()]


def _entities(path: Path, keys: list[str]) -> pyarrow.Table:
    """Every combination of join keys in the files, once."""
    batches = dataset.dataset(path).scanner(columns=keys).to_batches()
    found: pyarrow.Table | None = None
    for batch in batches:
        more = pyarrow.Table.from_batches([batch])
        both = more if found is None else pyarrow.concat_tables([found, more])
        found = both.group_by(keys).aggregate([]).select(keys)
    if found is None:
        raise InvalidError(f"{path} has no rows; there is nothing to materialize")
    return found
