"""Amazon SageMaker: the functions that its inference toolkit calls behind `/ping` and
`/invocations`.

`code/inference.py` of a model's archive, beside which lies `contract.json`:

    import hitherto_sagemaker
    from risk import POLICY, Model

    model_fn, input_fn, predict_fn, output_fn = hitherto_sagemaker.functions(Model(), POLICY)

A request is JSON, `{"instances": [{"patient_id": "p1"}, ...]}`, and the answer
`{"predictions": [...]}`. The endpoint's environment says where the server is
(`hitherto.serving.from_environment`). A model that belongs to other definitions does not
load, so that the endpoint's deployment fails.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import hitherto
from hitherto import serving
from sagemaker_inference.errors import BaseInferenceToolkitError

STATUSES: dict[type[hitherto.Error], tuple[int, str]] = {
    hitherto.InvalidError: (400, "Bad Request"),
    hitherto.NotFoundError: (404, "Not Found"),
    hitherto.UnavailableError: (503, "Service Unavailable"),
}

Functions = tuple[Callable[..., Any], Callable[..., Any], Callable[..., Any], Callable[..., Any]]


def functions(model: Any, policy: serving.StatusPolicy | None = None) -> Functions:
    """`model_fn`, `input_fn`, `predict_fn` and `output_fn` of `model`, anything with a
    `predict` that takes a matrix of features."""

    def model_fn(model_dir: str, context: Any = None) -> serving.Features:
        return serving.from_environment(Path(model_dir) / "contract.json", policy)

    def input_fn(body: Any, content_type: str, context: Any = None) -> Any:
        try:
            return json.loads(body)["instances"]
        except (ValueError, KeyError, TypeError) as error:
            said = 'the body is JSON like {"instances": [{"patient_id": "p1"}]}'
            raise BaseInferenceToolkitError(400, said, "Bad Request") from error

    def predict_fn(keys: Any, features: serving.Features, context: Any = None) -> Any:
        try:
            served = features.read(keys)
        except hitherto.Error as error:
            status, phrase = STATUSES.get(type(error), (500, "Internal Server Error"))
            raise BaseInferenceToolkitError(status, str(error), phrase) from error
        return model.predict(served.to_numpy())

    def output_fn(predictions: Any, accept: str, context: Any = None) -> str:
        return json.dumps({"predictions": predictions.tolist()})

    return model_fn, input_fn, predict_fn, output_fn
