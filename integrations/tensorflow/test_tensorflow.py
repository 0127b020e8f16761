"""TensorFlow's own stubs and a real SavedModel. `tensorflow_model_server` itself is in no
package registry, so the servicer here is made of its published service definition, and runs
the model with TensorFlow; what the page says of it is `protocol-tested`."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import grpc
import hitherto
import numpy as np
import pytest
import risk
import tensorflow as tf
from conftest import EXPIRED, REFUSAL, Trained, check_bit_equal, check_overhead
from hitherto import serving
from hitherto_tensorflow import ServedModel
from tensorflow_serving.apis import predict_pb2, prediction_service_pb2_grpc


class Risk(tf.Module):
    """The model of `risk.py`, as TensorFlow computes it."""

    @tf.function(input_signature=[tf.TensorSpec([None, 6], tf.float64, "features")])
    def predict(self, features: Any) -> Any:
        score = tf.zeros(tf.shape(features)[0], tf.float64)
        for place, (middle, width) in enumerate(zip(risk.MIDDLES, risk.WIDTHS, strict=True)):
            column = features[:, place]
            near = (column - tf.constant(middle, tf.float64)) / tf.constant(width, tf.float64)
            score += tf.where(tf.math.is_nan(column), tf.constant(0.1, tf.float64), near)
        return {"predictions": score / (1 + tf.abs(score))}


class Servicer(prediction_service_pb2_grpc.PredictionServiceServicer):
    """`Predict` of the models in a folder, as TensorFlow Serving loads them."""

    def __init__(self, folder: Path) -> None:
        self._models = {
            path.name: tf.saved_model.load(str(path / "1")) for path in folder.iterdir()
        }

    def Predict(self, request: Any, context: Any) -> Any:
        model = self._models.get(request.model_spec.name)
        if model is None:
            context.abort(
                grpc.StatusCode.NOT_FOUND, f"Servable {request.model_spec.name} not found"
            )
        found = {name: tf.constant(tf.make_ndarray(each)) for name, each in request.inputs.items()}
        answer = predict_pb2.PredictResponse()
        for name, tensor in model.signatures[request.model_spec.signature_name](**found).items():
            answer.outputs[name].CopyFrom(tf.make_tensor_proto(tensor))
        return answer


@pytest.fixture(scope="module")
def target(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    folder = tmp_path_factory.mktemp("models")
    module = Risk()
    tf.saved_model.save(module, str(folder / "risk" / "1"), {"serving_default": module.predict})
    with ThreadPoolExecutor(2) as threads:
        served = grpc.server(threads)
        prediction_service_pb2_grpc.add_PredictionServiceServicer_to_server(
            Servicer(folder), served
        )
        port = served.add_insecure_port("127.0.0.1:0")
        served.start()
        yield f"127.0.0.1:{port}"
        served.stop(None).wait()


@pytest.fixture
def features(trained: Trained, server: str) -> serving.Features:
    return serving.Features(server, trained.contract, policy=risk.POLICY, deadline="30s")


def test_predictions_are_those_of_the_training_frame(
    trained: Trained, features: serving.Features, target: str, row: Any
) -> None:
    model = ServedModel(features, target, "risk")
    expected = Risk().predict(tf.constant(trained.matrix))["predictions"].numpy()
    assert np.allclose(expected, trained.expected)
    check_bit_equal(
        trained, lambda ids: model.predict({"patient_id": ids}, deadline_seconds=60), expected
    )
    row("TensorFlow Serving client, gRPC", "tensorflow-serving-api", "protocol-tested")


def test_what_cannot_be_served_says_why(
    features: serving.Features, target: str, trained: Trained, other_server: str
) -> None:
    model = ServedModel(features, target, "risk")
    with pytest.raises(hitherto.NotFoundError, match="has expired"):
        model.predict({"patient_id": [risk.EXPIRED]}, deadline_seconds=60)
    with pytest.raises(hitherto.NotFoundError, match="Servable other not found"):
        ServedModel(features, target, "other").predict({"patient_id": ["p00000"]})
    with pytest.raises(hitherto.UnavailableError, match="TensorFlow Serving, model risk"):
        ServedModel(features, "127.0.0.1:1", "risk").predict({"patient_id": ["p00000"]})
    with pytest.raises(hitherto.ConflictError) as refused:
        serving.Features(other_server, trained.contract)
    assert REFUSAL in str(refused.value) and EXPIRED


def test_the_adapter_costs_little(features: serving.Features, target: str) -> None:
    model = ServedModel(features, target, "risk")

    answer = predict_pb2.PredictResponse()
    answer.outputs["predictions"].CopyFrom(tf.make_tensor_proto(np.zeros(1)))

    def predict(request: Any, timeout: float) -> Any:
        """Without the wire and TensorFlow, which are no part of the adapter."""
        content = request.inputs["features"].tensor_content
        risk.Model().predict(np.frombuffer(content).reshape(1, 6))
        return answer

    model._stub.Predict = predict
    check_overhead(
        "TensorFlow Serving", features, lambda: model.predict({"patient_id": ["p00001"]})
    )
