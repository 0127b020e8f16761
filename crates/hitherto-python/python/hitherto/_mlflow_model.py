"""A model of MLflow whose input is join keys. Imports mlflow."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any, Literal

from mlflow.exceptions import MlflowException
from mlflow.protos.databricks_pb2 import (
    INVALID_PARAMETER_VALUE,
    RESOURCE_DOES_NOT_EXIST,
    TEMPORARILY_UNAVAILABLE,
)
from mlflow.pyfunc import PythonModel

from . import serving
from ._errors import Error, InvalidError, NotFoundError, UnavailableError

Form = Literal["numpy", "pandas"]

CODES: dict[type[Error], Any] = {
    InvalidError: INVALID_PARAMETER_VALUE,
    NotFoundError: RESOURCE_DOES_NOT_EXIST,
    UnavailableError: TEMPORARILY_UNAVAILABLE,
}
"""What MLflow's server has a status for; anything else is its 500."""

OFFLINE = "hitherto_offline"
"""The setting with which a model is loaded without its features, to score rows."""


class KeyModel(PythonModel):  # type: ignore[misc]
    """A model behind its features."""

    def __init__(self, model: Any, form: Form, policy: serving.StatusPolicy | None) -> None:
        self.model, self.form, self.policy = model, form, policy

    def load_context(self, context: Any) -> None:
        """Connects, and refuses a model that belongs to other definitions."""
        settings = context.model_config or {}
        if settings.get(OFFLINE):
            return
        manifest = json.loads(Path(context.artifacts["contract"]).read_text())
        if settings.get("url") and "HITHERTO_URL" not in os.environ:
            self.features = serving.Features(settings["url"], manifest, policy=self.policy)
        else:
            self.features = serving.from_environment(manifest, self.policy)

    # Without annotations, from which MLflow would make a signature of its own.
    def predict(self, context, model_input, params=None):  # type: ignore[no-untyped-def]
        """One lookup, one prediction. `model_input`: a frame of join keys."""
        try:
            served = self.features.read(model_input)
        except Error as error:
            code = CODES.get(type(error))
            raise MlflowException(str(error), **({"error_code": code} if code else {})) from error
        return self.score(served)

    def score(self, rows: Any) -> Any:
        """What the model says of feature rows, served ones or those of a training set."""
        return self.model.predict(rows.to_pandas() if self.form == "pandas" else rows.to_numpy())

    def __getstate__(self) -> dict[str, Any]:
        """What is logged: no connection."""
        return {name: value for name, value in self.__dict__.items() if name != "features"}
