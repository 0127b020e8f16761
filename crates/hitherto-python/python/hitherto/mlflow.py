"""Training sets as datasets of MLflow, and models whose input is join keys. Needs PyPI's
mlflow.

    with mlflow.start_run():
        mlflow.log_input(hitherto.mlflow.dataset(training_set), context="training")
        hitherto.mlflow.log_model(model, store, training_set)

A logged model is served by ``mlflow models serve`` and any other server of MLflow's models:
it is asked with join keys, looks its features up and predicts, or does not load where
definitions differ from those of training. :func:`score_batch` has it predict rows of the
past, each with what was known then.

What MLflow keeps of a training set is the record of the rows and not the rows: name, columns and
their types, the content hash as digest, and the manifest as source, from which
``hitherto training-set --manifest FILE --check`` builds the same rows again.
"""

from __future__ import annotations

import json
import os
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from . import _contract
from ._arrow import imported
from ._errors import InvalidError
from ._spine import Spine
from ._store import Store
from ._time import Moment
from ._training_set import TrainingSet

if TYPE_CHECKING:
    import pandas
    from mlflow.data.dataset import Dataset

    from .serving import StatusPolicy

__all__ = ["dataset", "log_model", "resolve", "score_batch"]

CONTRACT = "contract.json"
"""The artifact of a logged model that says what it was trained on."""

DIGEST_CHARS_MAX = 36
"""What MLflow's databases hold of a digest."""


def dataset(training_set: TrainingSet, name: str | None = None) -> Dataset:
    """The record of ``training_set``, for ``mlflow.log_input``.

    Args:
        training_set: must have been read to its end. Its manifest is made.
        name: what MLflow shows; the feature service's name if left out, or else
            ``training_set``.

    Returns:
        An MLflow dataset. Its ``profile`` has the numbers of rows, of rows that
        would have leaked (``num_leaky_rows_avoided``; ``num_leaky_rows`` if known
        times are ignored and they did), and of nulls by feature.

    Raises:
        InvalidError: it has not been read to its end.
        ConflictError: a source file changed while the rows were built.
    """
    imported("mlflow", "mlflow.dataset()")
    from ._mlflow_dataset import ManifestSource, TrainingSetDataset

    manifest = training_set.manifest
    shown = name or manifest["request"]["service"] or "training_set"
    return TrainingSetDataset(ManifestSource(manifest), _profile(training_set.report()), shown)


def log_model(
    model: Any,
    store: Store,
    training_set: TrainingSet,
    *,
    name: str = "model",
    form: Literal["numpy", "pandas"] = "numpy",
    policy: StatusPolicy | None = None,
    url: str | None = None,
    **options: Any,
) -> Any:
    """Logs ``model`` to the active run as a model of join keys, with its contract, and
    ``training_set`` as the run's dataset.

    Its signature has the join keys and their types. Its tags are ``hitherto.service`` and
    ``hitherto.content``, the content hash of the rows.

    Args:
        model: anything with ``predict``, which MLflow can pickle.
        store: where ``training_set`` was built; it must have been read to its end.
        name: of the logged model.
        form: what ``predict`` takes: the matrix of ``to_numpy()``, or the frame of
            ``to_pandas()``, without join keys and times.
        policy: what becomes of features without a value.
        url: the server of a process whose environment has no ``HITHERTO_URL``
            (:func:`hitherto.serving.from_environment`).
        options: for ``mlflow.pyfunc.log_model``, such as ``registered_model_name``.

    Returns:
        What ``mlflow.pyfunc.log_model`` does.

    Raises:
        As :func:`hitherto.serving.contract` and :func:`dataset`.
    """
    mlflow = imported("mlflow", "mlflow.log_model()")
    from . import serving
    from ._mlflow_dataset import signature
    from ._mlflow_model import OFFLINE, KeyModel

    contract = serving.contract(store, training_set)
    mlflow.log_input(dataset(training_set), context="training")
    tags = {"hitherto.service": contract["request"]["service"] or ""}
    tags["hitherto.content"] = contract["content"]["hash"]
    mlflow.set_tags(tags)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / CONTRACT
        path.write_text(json.dumps(contract))
        return mlflow.pyfunc.log_model(
            name=name,
            python_model=KeyModel(model, form, policy),
            artifacts={"contract": str(path)},
            signature=signature(contract),
            model_config={"url": url or "", OFFLINE: False},
            metadata=tags,
            **options,
        )


def resolve(model_uri: str) -> dict[str, Any]:
    """The contract of a model that :func:`log_model` logged: features, views, definitions.

    Raises:
        InvalidError: another logged it.
    """
    artifacts = imported("mlflow.artifacts", "mlflow.resolve()")
    with tempfile.TemporaryDirectory() as folder:
        # All of it: of a model that is registered MLflow knows no single file.
        model = artifacts.download_artifacts(artifact_uri=model_uri, dst_path=folder)
        path = Path(model) / "artifacts" / CONTRACT
        if not path.exists():
            raise InvalidError(
                f"the model {model_uri} has no {CONTRACT}; log it with hitherto.mlflow.log_model()"
            )
        found: dict[str, Any] = json.loads(path.read_text())
    return found


def score_batch(
    model_uri: str,
    spine: Spine,
    store: Store,
    *,
    timestamp: str = "event_timestamp",
    timezone: str | None = None,
    known_by: Moment | None = None,
) -> pandas.DataFrame:
    """What a logged model says of rows of the past, each as of its own moment: its features
    are those that were known then, as in a training set.

    Args:
        model_uri: of :func:`log_model`, such as ``models:/risk/1``.
        spine, timestamp, timezone, known_by: as for :meth:`hitherto.Store.training_set`.
        store: where the features are.

    Returns:
        The training set's frame with one more column, ``prediction``.

    Raises:
        ConflictError: the model was trained on other definitions.
        InvalidError: :func:`log_model` did not log it; or as ``training_set``.
    """
    pyfunc = imported("mlflow.pyfunc", "mlflow.score_batch()")
    from ._mlflow_model import OFFLINE

    contract = resolve(model_uri)
    catalog = store.catalog()
    _contract.selection(catalog, contract)
    _contract.refuse(_contract.differences(store, catalog, contract))
    loaded = pyfunc.load_model(os.fspath(model_uri), model_config={OFFLINE: True})
    request = contract["request"]
    rows = store.training_set(
        spine,
        contract["features"],
        timestamp=timestamp,
        timezone=timezone,
        known_by=known_by,
        known=request["known"],
        full_names=request["full_names"],
    )
    frame = rows.to_pandas()
    frame["prediction"] = loaded.unwrap_python_model().score(_FeatureRows(rows))
    return frame


class _FeatureRows:
    """A training set's features, as served ones are handed to a model."""

    def __init__(self, rows: TrainingSet) -> None:
        self._rows = rows

    def to_numpy(self) -> Any:
        return self._rows.to_numpy(self._rows.feature_names)

    def to_pandas(self) -> Any:
        return self._rows.to_pandas()[self._rows.feature_names]


def _profile(report: dict[str, Any]) -> str:
    has_leaked = any(view["leaks"] and view["known"] == "ignore" for view in report["views"])
    leaky = "num_leaky_rows" if has_leaked else "num_leaky_rows_avoided"
    rows = {"num_rows": report["rows"], leaky: report["leaky_rows"]}
    return json.dumps({**rows, "num_nulls": _contract.null_rows(report)})
