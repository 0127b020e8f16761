"""`bentoml serve`, asked over HTTP and by BentoML's own client."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import bentoml
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
from hitherto_bentoml import FeatureService

HERE = Path(__file__).resolve().parent


class Server:
    """`bentoml serve` of the example."""

    def __init__(self, start: Any, url: str, home: Path) -> None:
        self.url = f"http://127.0.0.1:{free_port()}"
        command = ["bentoml", "serve", "service:Risk", "--host", "127.0.0.1"]
        command += ["--port", self.url.rpartition(":")[2]]
        variables = {"BENTOML_DO_NOT_TRACK": "True", "BENTOML_HOME": str(home)}
        self.process: Neighbour = start(command, url, HERE, **variables)

    def is_ready(self) -> bool:
        return is_ok(f"{self.url}/readyz")

    def predict(self, ids: list[str]) -> Any:
        body = {"rows": [{"patient_id": each} for each in ids]}
        status, answer = ask(f"{self.url}/predict", body)
        return json.loads(answer) if status == 200 else (status, answer.decode())


def test_predictions_are_those_of_the_training_frame(
    trained: Trained, server: str, start: Any, tmp_path: Path, row: Any
) -> None:
    found = Server(start, server, tmp_path)
    wait_until(found.is_ready, found.process)
    check_bit_equal(trained, found.predict)
    with bentoml.SyncHTTPClient(found.url) as client:
        check_bit_equal(
            trained, lambda ids: client.predict(rows=[{"patient_id": each} for each in ids])
        )
    row("BentoML service", "bentoml")
    # And what cannot be served says why.
    status, said = found.predict([risk.EXPIRED])
    assert status == 404 and json.dumps(EXPIRED)[1:-1] in said, said
    status, said = found.predict(["p00000", risk.NOBODY])
    assert status == 404 and "row 1 of the request" in said
    status, answer = ask(f"{found.url}/predict", {"rows": [{"stay": "1"}]})
    assert status == 400 and b"join keys patient_id; found stay" in answer


def test_another_version_of_a_view_is_refused(
    other_server: str, start: Any, tmp_path: Path
) -> None:
    found = Server(start, other_server, tmp_path)
    refuses_to_start(found.process, found.is_ready)


def test_the_adapter_costs_little(
    trained: Trained, server: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HITHERTO_URL", server)

    class Service(FeatureService):
        manifest = trained.manifest
        policy = risk.POLICY

    service = Service()

    async def call() -> Any:
        return risk.Model().predict((await service.read([{"patient_id": "p00001"}])).to_numpy())

    check_overhead("BentoML", service.features, call)
