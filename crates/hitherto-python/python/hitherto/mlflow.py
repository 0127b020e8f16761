"""Training sets as datasets of MLflow. Needs PyPI's mlflow.

    with mlflow.start_run():
        mlflow.log_input(hitherto.mlflow.dataset(training_set), context="training")

What MLflow keeps is the record of the rows and not the rows: name, columns and
their types, the content hash as digest, and the manifest as source, from which
``hitherto training-set --manifest FILE --check`` builds the same rows again.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from ._arrow import imported
from ._training_set import TrainingSet

if TYPE_CHECKING:
    from mlflow.data.dataset import Dataset

__all__ = ["dataset"]

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


def _profile(report: dict[str, Any]) -> str:
    nulls = {
        f"{view['view']}:{null['feature']}": null["rows"]
        for view in report["views"]
        for null in view["nulls"]
    }
    has_leaked = any(view["leaks"] and view["known"] == "ignore" for view in report["views"])
    leaky = "num_leaky_rows" if has_leaked else "num_leaky_rows_avoided"
    rows = {"num_rows": report["rows"], leaky: report["leaky_rows"]}
    return json.dumps({**rows, "num_nulls": nulls})
