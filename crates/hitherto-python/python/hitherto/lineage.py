"""What a store does, as events of OpenLineage. Needs PyPI's openlineage-python.

    lineage = hitherto.lineage.Lineage(store, "features", root="/srv/features")
    lineage.applied()                              # what each view is made of
    lineage.materialize(["labs"])                  # START, then COMPLETE or FAIL
    with lineage.training_set(rows, "labels.parquet"):
        rows.write_parquet("labels.parquet")

Where events go is OpenLineage's own configuration (``OPENLINEAGE_URL``, ``openlineage.yml``,
``OPENLINEAGE_DISABLED``). An event that cannot be sent is a warning and never stops what it
is about. Events have names, types and numbers: no join key and no value of a feature.
"""

from __future__ import annotations

import importlib
import os
import uuid
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime, timezone
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any

from . import _contract, steps
from ._errors import InvalidError
from ._native import __version__
from ._selection import resolve, views_of
from ._store import Store
from ._time import Duration, to_watermark

if TYPE_CHECKING:
    from ._training_set import TrainingSet

__all__ = ["Lineage"]

PRODUCER = "https://pypi.org/project/hitherto"
MESSAGE_CHARS_MAX = 4_000
"""Of an error, what an event has of it."""


class Lineage:
    """Emits events about one store.

    Args:
        store: an open one.
        namespace: of the jobs and of the online copies, each named as its view; such as the
            store's name in your company.
        root: where relative paths of sources lie: a folder, or ``s3://bucket/prefix``. Left
            out, it is the repository's folder, which of a server's nobody here knows.
        client: an ``OpenLineageClient``; made of the environment if left out.

    Raises:
        ImportError: openlineage-python is not installed.
        InvalidError: a server's ``root`` is not given.
    """

    def __init__(
        self, store: Store, namespace: str, *, root: str | os.PathLike[str] | None = None,
        client: Any = None,
    ) -> None:  # fmt: skip
        self._client = client or _imported("client").OpenLineageClient()
        self._events = _imported("client.event_v2")
        self._facets = _imported("client.facet_v2")
        if root is None and "://" in store._target:
            raise InvalidError(
                f"where the sources of {store._target} lie is not known here; give root, the "
                "folder or bucket of the server's repository"
            )
        self._root = str(root) if root is not None else os.path.abspath(store._target)
        self._store = store
        self._namespace = namespace
        self._parent = _parent(self._facets)

    def applied(self) -> None:
        """An event for each feature view that is applied, with what it is made of. For after
        ``apply``; repeated, it says the same."""
        for name, view in views_of(self._store.catalog()).items():
            event = self._events.JobEvent(
                eventTime=_now(), producer=PRODUCER, job=self._job(f"materialize.{name}", view),
                inputs=[self._source(view)], outputs=[self._online(view)],
            )  # fmt: skip
            self._emit(event)

    def materialize(
        self, views: Sequence[str] | None = None, *, full: bool = False, deadline: Duration = "1h"
    ) -> list[dict[str, Any]]:
        """As :func:`hitherto.steps.materialize`, one view after the other, each of them a run."""
        done: list[dict[str, Any]] = []
        for name in views_of(self._store.catalog()) if views is None else views:
            found = views_of(self._store.catalog()).get(name)
            inputs = [] if found is None else [self._source(found)]
            outputs: list[Any] = []
            with self._run(self._job(f"materialize.{name}", found), inputs, outputs):
                done += steps.materialize(self._store, [name], full=full, deadline=deadline)
                outputs.append(self._online(views_of(self._store.catalog())[name], done[-1]))
        return done

    @contextmanager
    def training_set(self, rows: TrainingSet, output: str) -> Iterator[None]:
        """A run that ends with the block, in which ``rows`` is read to its end and written to
        ``output``, a path or URL. Its inputs are the sources of the views, as they were
        read."""
        inputs: list[Any] = []
        outputs: list[Any] = []
        with self._run(self._job(f"training_set.{PurePosixPath(output).stem}"), inputs, outputs):
            yield
            catalog, manifest = self._store.catalog(), rows.manifest
            views = views_of(catalog)
            for each in manifest["views"]:
                read = "+".join(sorted(file["fingerprint"] for file in each["files"]))
                inputs.append(self._source(views[each["view"]], version=read))
            features = resolve(catalog, manifest["features"], None).features
            names = rows.column_names[-len(features) :]
            sources = {each["name"]: views[each["view"]] for each in manifest["views"]}
            fields = {}
            for column, feature in zip(names, features, strict=True):
                view, _, name = feature.partition(":")
                # What is computed on demand is of no column alone.
                if view in sources:
                    fields |= self._column(sources[view], name, column)
            nulls = _contract.null_rows(rows.report())
            facets = self._facets
            metrics = {
                column: facets.data_quality_metrics_dataset.ColumnMetrics(
                    nullCount=nulls.get(feature, 0)
                )
                for column, feature in zip(names, features, strict=True)
            }
            schema = {each["name"]: each["type"] for each in manifest["schema"]}
            quality = facets.data_quality_metrics_dataset.DataQualityMetricsDatasetFacet
            outputs.append(self._events.OutputDataset(
                *self._place(output, ""),
                facets={
                    "schema": self._schema(schema),
                    "version": self._version(rows.content_hash),
                    "columnLineage": facets.column_lineage_dataset.ColumnLineageDatasetFacet(
                        fields=fields),
                    "dataQualityMetrics": quality(
                        columnMetrics=metrics, rowCount=manifest["content"]["rows"]),
                },
                outputFacets={"outputStatistics": self._statistics(manifest["content"]["rows"])},
            ))  # fmt: skip

    @contextmanager
    def _run(self, job: Any, inputs: list[Any], outputs: list[Any]) -> Iterator[None]:
        """START, and in the end COMPLETE, FAIL, or ABORT where it was interrupted."""
        run, states = str(uuid.uuid4()), self._events.RunState
        engine = self._facets.processing_engine_run.ProcessingEngineRunFacet(
            version=__version__, name="hitherto"
        )
        known = {"processing_engine": engine, **self._parent}

        def tell(state: Any, **facets: Any) -> None:
            self._emit(self._events.RunEvent(
                eventType=state, eventTime=_now(), producer=PRODUCER, job=job,
                run=self._events.Run(runId=run, facets={**known, **facets}),
                inputs=list(inputs), outputs=list(outputs),
            ))  # fmt: skip

        tell(states.START)
        try:
            yield
        except BaseException as error:
            failed = self._facets.error_message_run.ErrorMessageRunFacet(
                message=str(error)[:MESSAGE_CHARS_MAX], programmingLanguage="PYTHON"
            )
            tell(states.FAIL if isinstance(error, Exception) else states.ABORT, errorMessage=failed)
            raise
        tell(states.COMPLETE)

    def _emit(self, event: Any) -> None:
        try:
            self._client.emit(event)
        except Exception as error:
            warnings.warn(
                f"the event of {event.job.name} was not sent: {error}; look at OPENLINEAGE_URL and "
                "the collector that it names",
                stacklevel=2,
            )

    def _job(self, name: str, view: Mapping[str, Any] | None = None) -> Any:
        facets: dict[str, Any] = {}
        if view is not None and (sql := view["definition"]["source"].get("sql")):
            facets["sql"] = self._facets.sql_job.SQLJobFacet(query=sql)
        return self._events.Job(namespace=self._namespace, name=name, facets=facets)

    def _source(self, view: Mapping[str, Any], version: str | None = None) -> Any:
        facets = {} if version is None else {"version": self._version(version)}
        place = self._place(view["definition"]["source"]["parquet"], self._root)
        return self._events.InputDataset(*place, facets=facets)

    def _online(
        self, view: Mapping[str, Any], done: Mapping[str, Any] | None = None
    ) -> Any:  # fmt: skip
        definition, copy = view["definition"], view.get("generation")
        metadata, facets = definition["metadata"], self._facets
        fields = [*view["keys"], *definition["features"]]
        columns: dict[str, Any] = {}
        for each in fields:
            columns |= self._column(view, each["name"], each["name"])
        lineage = facets.column_lineage_dataset.ColumnLineageDatasetFacet(fields=columns)
        found: dict[str, Any] = {
            "schema": self._schema({each["name"]: each["type"] for each in fields})
        }
        if columns:
            found["columnLineage"] = lineage
        if metadata["owner"]:
            ownership = facets.ownership_dataset
            owner = ownership.Owner(name=metadata["owner"])
            found["ownership"] = ownership.OwnershipDatasetFacet(owners=[owner])
        if done is None or copy is None:
            return self._events.OutputDataset(
                self._namespace, metadata["name"], facets=found)  # fmt: skip
        version = f"{copy['number']}.{copy['materialized_at']}"
        found["version"] = self._version(version)
        newest = to_watermark(copy["watermark"])
        metrics = facets.data_quality_metrics_dataset.DataQualityMetricsDatasetFacet(
            columnMetrics={}, rowCount=copy["entities"],
            lastUpdated=None if newest is None else str(_iso(newest)),
        )  # fmt: skip
        return self._events.OutputDataset(
            self._namespace, metadata["name"],
            facets={**found, "dataQualityMetrics": metrics},
            outputFacets={"outputStatistics": self._statistics(done["facts"])},
        )  # fmt: skip

    def _column(self, view: Mapping[str, Any], name: str, column: str) -> dict[str, Any]:
        """What a column is made of, where no SQL is between."""
        source = view["definition"]["source"]
        if source.get("sql"):
            return {}
        namespace, place = self._place(source["parquet"], self._root)
        parts = self._facets.column_lineage_dataset
        field = parts.InputField(
            namespace=namespace, name=place, field=(source.get("columns") or {}).get(name, name),
            transformations=[parts.Transformation(type="DIRECT", subtype="IDENTITY")],
        )  # fmt: skip
        return {column: parts.Fields(inputFields=[field])}

    def _schema(self, types: Mapping[str, str]) -> Any:
        parts = self._facets.schema_dataset
        fields = [
            parts.SchemaDatasetFacetFields(name=name, type=kind, ordinal_position=place)
            for place, (name, kind) in enumerate(types.items(), 1)
        ]
        return parts.SchemaDatasetFacet(fields=fields)

    def _version(self, text: str) -> Any:
        return self._facets.dataset_version_dataset.DatasetVersionDatasetFacet(datasetVersion=text)

    def _statistics(self, rows: int) -> Any:
        parts = self._facets.output_statistics_output_dataset
        return parts.OutputStatisticsOutputDatasetFacet(rowCount=rows)

    def _place(self, path: str, root: str) -> tuple[str, str]:
        """A path as OpenLineage names it: `file` and the path, `s3://bucket` and the key."""
        whole = path if "://" in path or path.startswith("/") else f"{root.rstrip('/')}/{path}"
        scheme, separator, rest = whole.partition("://")
        if not separator or scheme == "file":
            return "file", os.path.abspath(rest if separator else whole)
        bucket, _, key = rest.partition("/")
        return f"{scheme}://{bucket}", key


def _imported(module: str) -> Any:
    try:
        return importlib.import_module(f"openlineage.{module}")
    except ImportError as cause:
        raise ImportError(
            "lineage needs OpenLineage's client; install it with: pip install openlineage-python"
        ) from cause


def _parent(facets: Any) -> dict[str, Any]:
    """The run that this one is part of, where a scheduler says it as OpenLineage's integrations
    do: ``OPENLINEAGE_PARENT_ID``, namespace/name/run."""
    told = os.environ.get("OPENLINEAGE_PARENT_ID", "")
    if not told:
        return {}
    parts = told.rsplit("/", 2)
    try:
        namespace, name, run = parts
        parent = facets.parent_run
        facet = parent.ParentRunFacet(
            run=parent.Run(runId=run), job=parent.Job(namespace=namespace, name=name)
        )
    except ValueError as cause:
        raise InvalidError(
            f"OPENLINEAGE_PARENT_ID is {told!r}; write namespace/name/run, where run is a UUID"
        ) from cause
    return {"parent": facet}


def _iso(moment: datetime | str) -> str:
    return moment if isinstance(moment, str) else moment.isoformat()


def _now() -> str:
    return datetime.now(timezone.utc).isoformat()
