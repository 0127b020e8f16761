"""Hitherto as the offline store of a Feast repository.

    offline_store:
      type: hitherto.feast.OfflineStore
      path: data/hitherto
      known: honor

Feast keeps its registry, definitions and commands. What it asks of an offline
store is asked of an engine in this process: for each set of views a repository
of Hitherto is written below ``path`` and applied once, and read ever after, so
that processes do not shut each other out.

Offered are training sets (``get_historical_features``, with on demand views, and
without ``entity_df`` for a window of time), what ``feast materialize`` reads
(``pull_latest_from_table_or_query`` and ``pull_all_from_table_or_query``), and what
Feast writes: saved datasets, rows for a view's source, logged features. All of it
over Parquet files on a disk. The rest of Feast's interface (its monitoring) is left as
Feast leaves it: it says that it is not implemented.
"""

from __future__ import annotations

import hashlib
import warnings
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any, Literal

import pandas
import pyarrow
import pyarrow.dataset as dataset
from feast.data_source import DataSource
from feast.feature_logging import LoggingConfig, LoggingSource
from feast.feature_view import DUMMY_ENTITY_ID, DUMMY_ENTITY_VAL
from feast.feature_view import FeatureView as FeastView
from feast.infra.offline_stores import offline_store
from feast.infra.registry.base_registry import BaseRegistry
from feast.on_demand_feature_view import OnDemandFeatureView
from feast.repo_config import FeastConfigBaseModel, RepoConfig
from feast.saved_dataset import SavedDatasetStorage
from feast.utils import compute_non_entity_date_range

from .. import _store, definitions
from .._errors import InvalidError, NotFoundError
from ..definitions import Definition, Entity, FeatureView, Field, Source
from . import _files
from ._asked import Asked, label_rows
from ._convert import file_types, source_path, stand_in, stand_in_sql, type_name


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
        start_date: datetime | None = None,
        end_date: datetime | None = None,
    ) -> offline_store.RetrievalJob:
        """Joins features to ``entity_df``, a row for each of its rows and in its
        order. Without it there is a row for every entity and event time of the views'
        facts from ``start_date`` to ``end_date``, ordered by them.

        A feature that is called as a column of ``entity_df`` gets ``__`` behind its
        name, as in Feast.

        Raises:
            InvalidError: ``entity_df`` is SQL; it is left out and the views have
                different join keys; a view or feature has no equivalent, and why.
        """
        options, root = _options(config, filter_by_created_timestamp), _root(config)
        asked = Asked(root, options.known, registry.list_entities(project))
        asked.add(feature_views, feature_refs, full_feature_names)
        if entity_df is None:
            window = compute_non_entity_date_range(feature_views, start_date, end_date)
            spine = asked.facts_within(*window)
        else:
            spine, window = label_rows(entity_df)

        def run() -> pyarrow.Table:
            store = _applied(config, options, asked.definitions)
            rows = store.training_set(
                spine.table,
                list(asked.shown),
                timestamp=spine.time,
                known=options.known,
                full_names=True,
            )
            table = rows.to_arrow()
            _warn_of_unknown(rows.report())
            return asked.answer(table)

        return _Job(
            root,
            run,
            full_feature_names,
            OnDemandFeatureView.get_requested_odfvs(feature_refs, project, registry),
            offline_store.RetrievalMetadata(
                features=feature_refs,
                keys=[name for name in spine.table.column_names if name != spine.time],
                min_event_timestamp=window[0],
                max_event_timestamp=window[1],
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
        options, root = _options(config, False), _root(config)
        path = source_path(root, data_source)
        times = [timestamp_field, *([created_timestamp_column] if created_timestamp_column else [])]
        # Columns have names here that any column's name allows.
        keys = {f"k{place}": name for place, name in enumerate(join_key_columns)}
        features = {f"f{place}": name for place, name in enumerate([*feature_name_columns, *times])}
        kinds = _kinds(path, [*keys.values(), *features.values()])
        source = Source(
            str(path),
            timestamp_field,
            known_time=created_timestamp_column or None,
            sql=stand_in_sql({name: kinds[name] for name in feature_name_columns}, stand_in),
            columns={**keys, **features},
        )
        entity = [Entity("entity", _fields(path, keys, kinds))] if keys else []
        found: list[Definition] = [
            *entity,
            FeatureView(
                "facts", source, _fields(path, features, kinds), "entity" if entity else None
            ),
        ]

        def run() -> pyarrow.Table:
            spine = _entities(path, keys, end_date)
            rows = _applied(config, options, found).training_set(
                spine, ["facts:*"], timestamp="t", known=options.known
            )
            table = rows.to_arrow().drop_columns("t")
            names = [*keys.values(), *features.values()]
            columns = [
                column.cast(kinds[name]) for name, column in zip(names, table.columns, strict=True)
            ]
            table = pyarrow.table(columns, names)
            kind = kinds[timestamp_field]
            recent = _files.within(timestamp_field, kind, start_date, None)
            return _with_dummy(table.filter(recent), join_key_columns)

        return _Job(root, run, False, [], None)

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
        """All facts from ``start_date`` to ``end_date``, as the files have them;
        all columns, if no features are named.

        Raises:
            InvalidError: the source is not of Parquet files.
        """
        path = source_path(_root(config), data_source)
        columns = [*join_key_columns, *feature_name_columns, timestamp_field]
        columns += [created_timestamp_column] if created_timestamp_column else []

        def run() -> pyarrow.Table:
            files = dataset.dataset(path, format="parquet")
            kind = files.schema.field(timestamp_field).type
            within = _files.within(timestamp_field, kind, start_date, end_date)
            named = list(dict.fromkeys(columns)) if feature_name_columns else None
            return _with_dummy(files.to_table(columns=named, filter=within), join_key_columns)

        return _Job(_root(config), run, False, [], None)

    @staticmethod
    def offline_write_batch(
        config: RepoConfig,
        feature_view: FeastView,
        table: pyarrow.Table,
        progress: Callable[[int], Any] | None,
    ) -> None:
        """Adds rows to the source of a view: to its file, or as one more file of its
        folder. Readers see all of them or none.

        Raises:
            InvalidError: the rows have other columns than the source, or a value that
                does not fit.
        """
        source: Any = feature_view.batch_source
        # Feast has renamed the columns already; the files have the names of before.
        back = {new: old for old, new in source.field_mapping.items()}
        path = source_path(_root(config), source)
        there = _kinds(path, [])
        names = [
            back[name] if name not in there and name in back else name
            for name in table.column_names
        ]
        _files.append(path, table.rename_columns(names))
        if progress:
            progress(table.num_rows)

    @staticmethod
    def write_logged_features(
        config: RepoConfig,
        data: pyarrow.Table | Path,
        source: LoggingSource,
        logging_config: LoggingConfig,
        registry: BaseRegistry,
    ) -> None:
        """Adds logged features to the folder of their destination.

        Raises:
            InvalidError: the destination is not a folder on a disk.
        """
        destination: Any = logging_config.destination
        path = source_path(_root(config), destination.to_data_source())
        _files.write_logs(path, data, destination.partition_by)


class _Job(offline_store.RetrievalJob):  # type: ignore[misc]
    """A table that is made when it is asked for."""

    def __init__(
        self,
        root: Path,
        run: Callable[[], pyarrow.Table],
        full_feature_names: bool,
        on_demand_feature_views: Sequence[OnDemandFeatureView],
        metadata: offline_store.RetrievalMetadata | None,
    ) -> None:
        self._root = root
        self._run = run
        self._full_feature_names = full_feature_names
        self._on_demand_feature_views = list(on_demand_feature_views)
        self._metadata = metadata

    def _to_arrow_internal(self, timeout: int | None = None) -> pyarrow.Table:
        return self._run()

    def _to_df_internal(self, timeout: int | None = None) -> pandas.DataFrame:
        frame: pandas.DataFrame = self._run().to_pandas()
        return frame

    def persist(
        self,
        storage: SavedDatasetStorage,
        allow_overwrite: bool = False,
        timeout: int | None = None,
    ) -> None:
        """Writes the rows to a file, or to a folder instead of its Parquet files.

        Raises:
            SavedDatasetLocationAlreadyExists: there is something, and it may not be
                written over.
            InvalidError: the storage is not of Parquet files on a disk.
        """
        path = source_path(self._root, storage.to_data_source())
        _files.check_free(path, allow_overwrite=allow_overwrite)
        _files.persist(path, self.to_arrow())

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


def _kinds(path: Path, columns: Iterable[str]) -> Mapping[str, Any]:
    """Types of all columns of the files, ``columns`` among them."""
    kinds = file_types(path)
    if kinds is None:
        raise InvalidError(f"there is no Parquet file at {path}")
    missing = [column for column in columns if column not in kinds]
    if missing:
        raise InvalidError(
            f"{path} has no column {', '.join(missing)}; there are {', '.join(kinds)}"
        )
    return kinds


def _fields(path: Path, columns: dict[str, str], kinds: Mapping[str, Any]) -> list[Field]:
    types = {
        name: type_name(stand_in(kinds[column]) or kinds[column])
        for name, column in columns.items()
    }
    wrong = [f"{columns[name]} ({kinds[columns[name]]})" for name in types if types[name] is None]
    if wrong:
        raise InvalidError(
            f"{path} has no column of a type that a feature can have for {', '.join(wrong)}; leave "
            "it out of the view's schema, or let Feast pull all facts (materialization: "
            "pull_latest_features: false)"
        )
    return [Field(name, str(found)) for name, found in types.items()]


def _entities(path: Path, keys: dict[str, str], moment: datetime) -> pyarrow.Table:
    """Every combination of join keys in the files, once, as of ``moment``; one row, if
    there are none."""
    rows = 1
    columns: list[Any] = []
    if keys:
        names = list(keys.values())
        found: pyarrow.Table | None = None
        for batch in dataset.dataset(path, format="parquet").scanner(columns=names).to_batches():
            more = pyarrow.Table.from_batches([batch])
            both = more if found is None else pyarrow.concat_tables([found, more])
            found = both.group_by(names).aggregate([]).select(names)
        if found is None:
            raise InvalidError(f"{path} has no rows; there is nothing to materialize")
        rows, columns = found.num_rows, found.columns
    time = pyarrow.repeat(pyarrow.scalar(moment, pyarrow.timestamp("us", "UTC")), rows)
    return pyarrow.table([*columns, time], [*keys, "t"])


def _with_dummy(table: pyarrow.Table, keys: Sequence[str]) -> pyarrow.Table:
    """The join key that Feast makes up for a view without an entity."""
    if keys or DUMMY_ENTITY_ID in table.column_names:
        return table
    made_up = pyarrow.repeat(pyarrow.scalar(DUMMY_ENTITY_VAL), table.num_rows)
    return table.append_column(DUMMY_ENTITY_ID, made_up)
