"""The server of SageMaker's containers, Multi Model Server, with SageMaker's inference
toolkit as its handler, as `sagemaker_inference.model_server` configures them; but on
127.0.0.1, where that binds all addresses."""

from __future__ import annotations

import contextlib
import importlib.resources
import json
import random
import shutil
import socket
from pathlib import Path
from typing import Any

import hitherto_sagemaker
import pytest
import risk
from conftest import (
    EXPIRED,
    Neighbour,
    Trained,
    ask,
    check_bit_equal,
    check_overhead,
    is_ok,
    refuses_to_start,
    wait_until,
)

HERE = Path(__file__).resolve().parent


def low_port() -> int:
    """One below 32768: the server takes no other."""
    while True:
        port = random.randrange(20_000, 30_000)
        with contextlib.suppress(OSError), socket.socket() as found:
            found.bind(("127.0.0.1", port))
            return port


class Container:
    """`/opt/ml/model` of an endpoint, in a folder, and its server."""

    def __init__(self, start: Any, url: str, trained: Trained, folder: Path) -> None:
        model = folder / "model"
        (model / "code").mkdir(parents=True)
        shutil.copy(HERE / "inference.py", model / "code")
        shutil.copy(trained.manifest, model)
        self.url, management = (f"http://127.0.0.1:{low_port()}" for _ in range(2))
        etc = importlib.resources.files("sagemaker_inference") / "etc"
        settings = (etc / "default-mms.properties").read_text()
        settings += f"inference_address={self.url}\nmanagement_address={management}\n"
        settings += "default_service_handler=sagemaker_inference.default_handler_service\n"
        settings += "default_workers_per_model=1\nvmargs=-Xmx256m\n"
        (folder / "mms.properties").write_text(settings)
        command = ["multi-model-server", "--start", "--foreground", "--model-store", "/"]
        command += ["--mms-config", "mms.properties", "--log-config", str(etc / "log4j2.xml")]
        command += ["--models", f"model={model}"]
        folders = {"SAGEMAKER_BASE_DIR": str(folder), "TEMP": str(folder)}
        self.process: Neighbour = start(command, url, folder, model / "code", HERE, **folders)

    def is_ready(self) -> bool:
        return is_ok(f"{self.url}/ping") and self.predict(["p00000"])[0] != 503

    def predict(self, ids: list[str]) -> Any:
        body = {"instances": [{"patient_id": each} for each in ids]}
        status, answer = ask(f"{self.url}/invocations", body)
        return json.loads(answer)["predictions"] if status == 200 else (status, answer.decode())


def test_predictions_are_those_of_the_training_frame(
    trained: Trained, server: str, start: Any, tmp_path: Path, row: Any
) -> None:
    found = Container(start, server, trained, tmp_path)
    wait_until(found.is_ready, found.process)
    check_bit_equal(trained, found.predict)
    row("Amazon SageMaker, /ping and /invocations", "multi-model-server")
    # And what cannot be served says why.
    status, said = found.predict([risk.EXPIRED])
    assert status == 404 and EXPIRED in said
    status, said = found.predict(["p00000", risk.NOBODY])
    assert status == 404 and "row 1 of the request" in said
    status, answer = ask(f"{found.url}/invocations", {"rows": []})
    assert status == 400 and b'{"instances"' in answer


def test_another_version_of_a_view_is_refused(
    trained: Trained, other_server: str, start: Any, tmp_path: Path
) -> None:
    found = Container(start, other_server, trained, tmp_path)
    refuses_to_start(found.process, lambda: found.predict(["p00000"])[0] == 200)


def test_the_adapter_costs_little(
    trained: Trained, server: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HITHERTO_URL", server)
    model_fn, input_fn, predict_fn, output_fn = hitherto_sagemaker.functions(
        risk.Model(), risk.POLICY
    )
    features = model_fn(str(trained.root))
    body = json.dumps({"instances": [{"patient_id": "p00001"}]})

    def call() -> Any:
        return output_fn(predict_fn(input_fn(body, "application/json"), features), "*/*")

    check_overhead("SageMaker", features, call)
