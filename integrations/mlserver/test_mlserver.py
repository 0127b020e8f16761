"""`mlserver start`, asked over its REST and its gRPC."""

from __future__ import annotations

import asyncio
import json
import shutil
from pathlib import Path
from typing import Any

import grpc
import pytest
import risk
from conftest import (
    EXPIRED,
    Neighbour,
    Trained,
    ask,
    check_bit_equal,
    check_overhead,
    free_port,
    is_ok,
    refuses_to_start,
    wait_until,
)
from hitherto_mlserver import FeatureRuntime
from mlserver import ModelSettings, types
from mlserver.codecs import StringCodec
from mlserver.grpc import converters, dataplane_pb2_grpc

HERE = Path(__file__).resolve().parent


class Server:
    """MLServer over a folder with this one's files and the contract."""

    def __init__(self, start: Any, url: str, trained: Trained, folder: Path) -> None:
        for name in ("model-settings.json", "hitherto_mlserver.py"):
            shutil.copy(HERE / name, folder)
        shutil.copy(trained.manifest, folder)
        self.http, self.grpc = free_port(), free_port()
        settings = {"http_port": self.http, "grpc_port": self.grpc, "metrics_port": free_port()}
        settings |= {"host": "127.0.0.1", "parallel_workers": 0, "debug": False}
        (folder / "settings.json").write_text(json.dumps(settings))
        self.process: Neighbour = start(["mlserver", "start", "."], url, folder)

    def is_ready(self) -> bool:
        return is_ok(f"http://127.0.0.1:{self.http}/v2/models/risk/ready")

    def rest(self, ids: list[str]) -> Any:
        keys = {"name": "patient_id", "shape": [len(ids)], "datatype": "BYTES", "data": ids}
        url = f"http://127.0.0.1:{self.http}/v2/models/risk/infer"
        status, answer = ask(url, {"inputs": [keys]})
        if status != 200:
            return status, answer.decode()
        return json.loads(answer)["outputs"][0]["data"]

    def over_grpc(self, ids: list[str]) -> Any:
        asked = converters.ModelInferRequestConverter.from_types(inference(ids), "risk", "")
        with grpc.insecure_channel(f"127.0.0.1:{self.grpc}") as channel:
            stub = dataplane_pb2_grpc.GRPCInferenceServiceStub(channel)
            answer = stub.ModelInfer(asked, timeout=120)
        return converters.ModelInferResponseConverter.to_types(answer).outputs[0].data.root


def inference(ids: list[str]) -> types.InferenceRequest:
    """As gRPC has text: bytes."""
    return types.InferenceRequest(inputs=[StringCodec.encode_input("patient_id", ids)])


def test_predictions_are_those_of_the_training_frame(
    trained: Trained, server: str, start: Any, tmp_path: Path, row: Any
) -> None:
    found = Server(start, server, trained, tmp_path)
    wait_until(found.is_ready, found.process)
    check_bit_equal(trained, found.rest)
    check_bit_equal(trained, found.over_grpc)
    for how in ("REST v2", "gRPC v2"):
        row(f"Seldon MLServer runtime, {how}", "mlserver")
    # And what cannot be served says why.
    status, said = found.rest([risk.EXPIRED])
    assert status == 404 and EXPIRED in json.loads(said)["error"]
    status, said = found.rest(["p00000", risk.NOBODY])
    assert status == 404 and "row 1 of the request" in said
    with pytest.raises(grpc.RpcError, match="has expired"):
        found.over_grpc([risk.EXPIRED])


def test_another_version_of_a_view_is_refused(
    trained: Trained, other_server: str, start: Any, tmp_path: Path
) -> None:
    found = Server(start, other_server, trained, tmp_path)
    refuses_to_start(found.process, found.is_ready)


def test_the_adapter_costs_little(
    trained: Trained, server: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HITHERTO_URL", server)
    extra = {"model": "risk:Model", "policy": "risk:POLICY"}
    settings = ModelSettings(
        name="risk",
        implementation="hitherto_mlserver.FeatureRuntime",
        parameters={"uri": str(trained.manifest), "extra": extra},
    )
    runtime = FeatureRuntime(settings)
    asyncio.run(runtime.load())
    check_overhead("MLServer", runtime._features, lambda: runtime.predict(inference(["p00001"])))
