"""KServe's own servers, transformer before predictor, over each of its protocols."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import grpc
import hitherto_kserve
import kserve
import numpy as np
import pytest
import risk
from conftest import (
    EXPIRED,
    Trained,
    ask,
    check_bit_equal,
    check_overhead,
    free_port,
    is_ok,
    refuses_to_start,
    wait_until,
)
from hitherto import serving
from kserve.protocol.grpc import grpc_predict_v2_pb2, grpc_predict_v2_pb2_grpc

HERE = Path(__file__).resolve().parent


class Chain:
    """A transformer before a predictor."""

    def __init__(self, start: Any, url: str, protocol: str, is_refused: bool = False) -> None:
        self.http, self.grpc = free_port(), free_port()
        http, grpc_port = free_port(), free_port()
        ports = ["--http_port", str(http), "--grpc_port", str(grpc_port)]
        host = f"127.0.0.1:{grpc_port if protocol == 'grpc-v2' else http}"
        predictor = start([sys.executable, "predictor.py", *ports], url, HERE)
        wait_until(lambda: is_ok(f"http://127.0.0.1:{http}/v2/health/ready"), predictor)
        ports = ["--http_port", str(self.http), "--grpc_port", str(self.grpc)]
        options = ["--predictor_host", host, "--predictor_protocol", protocol]
        self.transformer = start([sys.executable, "transformer.py", *ports, *options], url, HERE)
        if not is_refused:
            wait_until(self.is_ready, self.transformer)

    def is_ready(self) -> bool:
        return is_ok(f"http://127.0.0.1:{self.http}/v2/health/ready")

    def v1(self, ids: list[str]) -> Any:
        body = {"instances": [{"patient_id": each} for each in ids]}
        status, answer = ask(f"http://127.0.0.1:{self.http}/v1/models/risk:predict", body)
        return json.loads(answer)["predictions"] if status == 200 else (status, answer.decode())

    def v2(self, ids: list[str]) -> Any:
        keys = {"name": "patient_id", "shape": [len(ids)], "datatype": "BYTES", "data": ids}
        url = f"http://127.0.0.1:{self.http}/v2/models/risk/infer"
        status, answer = ask(url, {"inputs": [keys]})
        if status != 200:
            return status, answer.decode()
        [output] = json.loads(answer)["outputs"]
        return output["data"]

    def v2_grpc(self, ids: list[str]) -> Any:
        keys = kserve.InferInput("patient_id", [len(ids)], "BYTES")
        keys.set_data_from_numpy(np.array(ids, object), binary_data=True)
        with grpc.insecure_channel(f"127.0.0.1:{self.grpc}") as channel:
            stub = grpc_predict_v2_pb2_grpc.GRPCInferenceServiceStub(channel)
            asked = kserve.InferRequest("risk", [keys]).to_grpc()
            assert isinstance(asked, grpc_predict_v2_pb2.ModelInferRequest)
            answer = kserve.InferResponse.from_grpc(stub.ModelInfer(asked, timeout=120))
        return answer.outputs[0].as_numpy()


@pytest.mark.parametrize(
    ("protocol", "calls"),
    [("v1", ["v1"]), ("v2", ["v2", "v2_grpc"]), ("grpc-v2", ["v2_grpc", "v2"])],
)
def test_predictions_are_those_of_the_training_frame(
    protocol: str, calls: list[str], trained: Trained, server: str, start: Any, row: Any
) -> None:
    chain = Chain(start, server, protocol)
    for call in calls:
        check_bit_equal(trained, getattr(chain, call))
        how = {"v1": "REST v1", "v2": "REST v2", "v2_grpc": "gRPC v2"}[call]
        row(f"KServe transformer, {how}, predictor {protocol}", "kserve")


def test_what_cannot_be_served_says_why(trained: Trained, server: str, start: Any) -> None:
    chain = Chain(start, server, "v2")
    for call in (chain.v2, chain.v1):
        status, said = call([risk.EXPIRED])
        assert status == 404 and "row 0 of the request" in said
        assert EXPIRED in json.loads(said)["error"]
        status, said = call(["p00000", risk.NOBODY])
        assert status == 404 and "row 1 of the request" in said
    with pytest.raises(grpc.RpcError) as refused:
        chain.v2_grpc([risk.EXPIRED])
    error: Any = refused.value
    assert error.code() == grpc.StatusCode.NOT_FOUND and EXPIRED in error.details()
    body = {"instances": [{"stay": 1}]}
    status, answer = ask(f"http://127.0.0.1:{chain.http}/v1/models/risk:predict", body)
    assert status == 400 and b"join keys patient_id; found stay" in answer


def test_another_version_of_a_view_is_refused(other_server: str, start: Any) -> None:
    chain = Chain(start, other_server, "v2", is_refused=True)
    refuses_to_start(chain.transformer, chain.is_ready)


def test_the_adapter_costs_little(trained: Trained, server: str) -> None:
    features = serving.Features(server, trained.contract, policy=risk.POLICY)
    adapter = hitherto_kserve.FeatureTransformer("risk", features)
    keys = kserve.InferInput("patient_id", [1], "BYTES")
    keys.set_data_from_numpy(np.array(["p00001"], object), binary_data=False)
    asked = kserve.InferRequest("risk", [keys])

    async def call() -> Any:
        return risk.Model().predict((await adapter.preprocess(asked)).inputs[0].as_numpy())

    check_overhead("KServe", features, call)
