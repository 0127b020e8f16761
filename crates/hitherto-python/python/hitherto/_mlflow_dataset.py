"""MLflow's classes of a dataset and its source, for training sets. Imports mlflow."""

from __future__ import annotations

import json
from typing import Any, NoReturn

from mlflow.data.dataset import Dataset
from mlflow.data.dataset_source import DatasetSource
from mlflow.data.dataset_source_registry import register_dataset_source
from mlflow.models import ModelSignature
from mlflow.types import ColSpec, DataType, Schema
from mlflow.types.schema import AnyType

from . import _contract
from ._errors import InvalidError
from ._selection import request_of

SOURCE_CHARS_MAX = 65_535
"""What MLflow's databases hold of a source."""

TYPES = {
    "Boolean": DataType.boolean,
    "Int8": DataType.integer,
    "Int16": DataType.integer,
    "Int32": DataType.integer,
    "Int64": DataType.long,
    "UInt8": DataType.integer,
    "UInt16": DataType.integer,
    "UInt32": DataType.long,
    "Float32": DataType.float,
    "Float64": DataType.double,
    "Utf8": DataType.string,
    "LargeUtf8": DataType.string,
    "Utf8View": DataType.string,
    "Binary": DataType.binary,
    "LargeBinary": DataType.binary,
    "Date32": DataType.datetime,
}
"""Types of a manifest's columns that MLflow has; it calls the others any."""


class ManifestSource(DatasetSource):  # type: ignore[misc]
    """Where rows come from: all that a manifest says but the schema, which
    MLflow keeps beside it."""

    def __init__(self, manifest: dict[str, Any]) -> None:
        self.manifest = manifest

    @staticmethod
    def _get_source_type() -> str:
        return "hitherto_manifest"

    def load(self, **_: Any) -> NoReturn:
        """Rows are not in MLflow.

        Raises:
            InvalidError: always; it says how they are built again.
        """
        raise InvalidError(
            "MLflow keeps the record of a training set and not its rows; build them again with "
            "`hitherto training-set --manifest FILE --check`"
        )

    @staticmethod
    def _can_resolve(raw_source: Any) -> bool:
        return isinstance(raw_source, dict) and {"format", "engine", "content"} <= set(raw_source)

    @classmethod
    def _resolve(cls, raw_source: dict[str, Any]) -> ManifestSource:
        return cls(raw_source)

    def to_dict(self) -> dict[str, Any]:
        """The manifest without its schema.

        Raises:
            InvalidError: it is more than MLflow holds.
        """
        record = {name: value for name, value in self.manifest.items() if name != "schema"}
        if len(json.dumps(record)) > SOURCE_CHARS_MAX:
            raise InvalidError(
                f"the manifest has more than the {SOURCE_CHARS_MAX} characters that MLflow holds "
                "of a dataset's source; log it as an artifact: "
                'mlflow.log_dict(training_set.manifest, "manifest.json")'
            )
        return record

    @classmethod
    def from_dict(cls, source_dict: dict[str, Any]) -> ManifestSource:
        """The source of :meth:`to_dict`."""
        return cls(source_dict)


class TrainingSetDataset(Dataset):  # type: ignore[misc]
    """The record of a training set."""

    def __init__(self, source: ManifestSource, profile: str, name: str) -> None:
        self._profile = profile
        self._columns = source.manifest["schema"]
        super().__init__(source, name, source.manifest["content"]["hash"])

    def _compute_digest(self) -> str:
        raise AssertionError("the content hash is the digest")

    @property
    def profile(self) -> str:
        """Numbers of rows, of leaks avoided or not, and of nulls, as JSON."""
        return self._profile

    @property
    def schema(self) -> Schema:
        """Columns of the training set with MLflow's types."""
        return Schema(
            [
                ColSpec(_type(column["type"]), column["name"], required=False)
                for column in self._columns
            ]
        )

    def to_dict(self) -> dict[str, str]:
        """What MLflow stores."""
        schema = json.dumps({"mlflow_colspec": self.schema.to_dict()})
        return {**super().to_dict(), "schema": schema, "profile": self._profile}


INPUT_TYPES = {
    "bool": DataType.boolean,
    "int64": DataType.long,
    "uint32": DataType.long,
    "uint64": DataType.long,
    "float32": DataType.float,
    "float64": DataType.double,
    "string": DataType.string,
    "binary": DataType.binary,
}
"""Types of what a request brings that MLflow has; smaller integers are its integer. Dates,
timestamps and decimals are text, as in JSON."""


def signature(contract: dict[str, Any]) -> ModelSignature:
    """What a request of the model brings: join keys, and fields of on-demand views."""
    catalog = _contract.trained_catalog(contract)
    keys = _contract.keys(catalog, _contract.selection(catalog, contract))
    inputs = keys | request_of(catalog, contract["features"])
    return ModelSignature(inputs=Schema([ColSpec(_input(inputs[name]), name) for name in inputs]))


def _input(kind: str) -> DataType | AnyType:
    if kind.startswith("list"):
        return AnyType()
    return INPUT_TYPES.get(kind) or (DataType.integer if "int" in kind else DataType.string)


def _type(name: str) -> DataType | AnyType:
    if name.startswith("Timestamp"):
        return DataType.datetime
    return TYPES.get(name) or AnyType()


# So that what was logged can be read again where this package is. MLflow takes
# the class, although it declares an instance.
_registered: Any = ManifestSource
register_dataset_source(_registered)
