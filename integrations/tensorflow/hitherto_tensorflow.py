"""TensorFlow Serving: a client that takes join keys, looks features up and asks the model
server for predictions, over its gRPC.

    model = ServedModel(features, "tensorflow:8500", "risk")
    risks = model.predict({"patient_id": ["p1", "p2"]})

The model's signature has one input, `features`, of float64 and shape (entities, features) in
the order of `features.columns`; NaN is null. The deadline of a request is for both calls.
"""

from __future__ import annotations

import time
from datetime import timedelta
from typing import Any

import grpc
import hitherto
import numpy as np
from hitherto.serving import Features
from tensorflow.core.framework.tensor_pb2 import TensorProto
from tensorflow.core.framework.tensor_shape_pb2 import TensorShapeProto
from tensorflow.core.framework.types_pb2 import DT_DOUBLE
from tensorflow_serving.apis.predict_pb2 import PredictRequest
from tensorflow_serving.apis.prediction_service_pb2_grpc import PredictionServiceStub

INPUT = "features"
KINDS: dict[grpc.StatusCode, type[hitherto.Error]] = {
    grpc.StatusCode.DEADLINE_EXCEEDED: hitherto.UnavailableError,
    grpc.StatusCode.INVALID_ARGUMENT: hitherto.InvalidError,
    grpc.StatusCode.NOT_FOUND: hitherto.NotFoundError,
    grpc.StatusCode.UNAVAILABLE: hitherto.UnavailableError,
}


class ServedModel:
    """A model of TensorFlow Serving, behind its features."""

    def __init__(
        self,
        features: Features,
        target: str,
        name: str,
        *,
        signature: str = "serving_default",
        output: str = "predictions",
        credentials: grpc.ChannelCredentials | None = None,
    ) -> None:
        self.features, self._name, self._signature, self._output = features, name, signature, output
        plain = credentials is None
        channel = (
            grpc.insecure_channel(target) if plain else grpc.secure_channel(target, credentials)
        )
        self._stub = PredictionServiceStub(channel)

    def predict(self, keys: Any, *, deadline_seconds: float = 1.0) -> np.ndarray[Any, Any]:
        """What the model says of each entity, as float64.

        Raises:
            NotFoundError, InvalidError: as `Features.read`, or the server's own.
            UnavailableError: the deadline passed, or one of the servers is away.
        """
        until = time.monotonic() + deadline_seconds
        served = self.features.read(keys, deadline=timedelta(seconds=deadline_seconds))
        matrix = served.to_numpy()
        request = PredictRequest()
        request.model_spec.name = self._name
        request.model_spec.signature_name = self._signature
        shape = TensorShapeProto(dim=[TensorShapeProto.Dim(size=size) for size in matrix.shape])
        tensor = TensorProto(dtype=DT_DOUBLE, tensor_shape=shape, tensor_content=matrix.tobytes())
        request.inputs[INPUT].CopyFrom(tensor)
        try:
            answer = self._stub.Predict(request, timeout=max(0.001, until - time.monotonic()))
        except grpc.RpcError as error:
            said: Any = error
            kind = KINDS.get(said.code(), hitherto.InternalError)
            raise kind(f"TensorFlow Serving, model {self._name}: {said.details()}") from error
        found = answer.outputs[self._output]
        content = found.tensor_content
        return np.frombuffer(content, np.float64) if content else np.array(found.double_val)
