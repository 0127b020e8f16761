"""AWS's own runtime client for Python, awslambdaric, runs the function. What it talks to
is Lambda's runtime API, of which there is no server to be had: the one here speaks its four
calls (`docs.aws.amazon.com/lambda/latest/dg/runtimes-api.html`)."""

from __future__ import annotations

import base64
import json
import queue
import sys
import threading
import time
import types
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import hitherto_lambda
import pytest
import risk
from conftest import EXPIRED, REFUSAL, Trained, check_bit_equal, check_overhead, wait_until
from hitherto import serving

HERE = Path(__file__).resolve().parent
PREFIX = "/2018-06-01/runtime"
INVOCATION_SECONDS = 120


class RuntimeApi(ThreadingHTTPServer):
    """Hands events to the runtime client, and keeps what it answers."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Calls)
        self.events: queue.Queue[Any] = queue.Queue()
        self.answers: queue.Queue[tuple[str, Any]] = queue.Queue()
        self.is_asked = threading.Event()

    def invoke(self, event: Any) -> tuple[str, Any]:
        """What became of an event: `response` or `error`, and its body."""
        self.events.put(event)
        return self.answers.get(timeout=INVOCATION_SECONDS)


class Calls(BaseHTTPRequestHandler):
    """`next`, `response`, `error` and `init/error`."""

    server: RuntimeApi

    def do_GET(self) -> None:
        assert self.path == f"{PREFIX}/invocation/next"
        self.server.is_asked.set()
        body = json.dumps(self.server.events.get()).encode()
        self.send_response(200)
        self.send_header("Lambda-Runtime-Aws-Request-Id", "1")
        deadline = int((time.time() + INVOCATION_SECONDS) * 1000)
        self.send_header("Lambda-Runtime-Deadline-Ms", str(deadline))
        arn = "arn:aws:lambda:eu-central-1:123456789012:function:risk"
        self.send_header("Lambda-Runtime-Invoked-Function-Arn", arn)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"] or 0))
        self.server.answers.put((self.path.rpartition("/")[2], json.loads(body or b"null")))
        self.send_response(202)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, format: str, *arguments: Any) -> None:
        """Nothing."""


@pytest.fixture
def api() -> Iterator[RuntimeApi]:
    with RuntimeApi() as found:
        thread = threading.Thread(target=found.serve_forever, daemon=True)
        thread.start()
        yield found
        found.shutdown()


def begin(start: Any, url: str, api: RuntimeApi) -> Any:
    host = f"127.0.0.1:{api.server_address[1]}"
    command = [sys.executable, "-m", "awslambdaric", "function.handler"]
    return start(command, url, HERE, AWS_LAMBDA_RUNTIME_API=host)


def event(ids: list[str]) -> dict[str, Any]:
    return {"instances": [{"patient_id": each} for each in ids]}


def test_predictions_are_those_of_the_training_frame(
    trained: Trained, server: str, start: Any, api: RuntimeApi, row: Any
) -> None:
    wait_until(api.is_asked.is_set, begin(start, server, api))

    def direct(ids: list[str]) -> Any:
        kind, answer = api.invoke(event(ids))
        assert kind == "response", answer
        return answer["predictions"]

    def gateway(ids: list[str]) -> Any:
        body = base64.b64encode(json.dumps(event(ids)).encode()).decode()
        kind, answer = api.invoke({"body": body, "isBase64Encoded": True})
        assert kind == "response" and answer["statusCode"] == 200, answer
        return json.loads(answer["body"])["predictions"]

    check_bit_equal(trained, direct)
    check_bit_equal(trained, gateway)
    row("AWS Lambda handler", "awslambdaric", "real runtime client, API by protocol")
    # And what cannot be served says why.
    kind, answer = api.invoke(event([risk.EXPIRED]))
    assert kind == "error" and EXPIRED in answer["errorMessage"]
    for body, status, said in (
        (event([risk.EXPIRED]), 404, EXPIRED),
        (event(["p00000", risk.NOBODY]), 404, "row 1 of the request"),
        ({"rows": []}, 400, "the event is JSON like"),
        ({"instances": [{"stay": "1"}]}, 400, "join keys patient_id; found stay"),
    ):
        kind, answer = api.invoke({"body": json.dumps(body)})
        assert kind == "response" and answer["statusCode"] == status
        assert said in json.loads(answer["body"])["error"]
    assert api.invoke({"body": "{"})[1]["statusCode"] == 400


def test_another_version_of_a_view_is_refused(
    other_server: str, start: Any, api: RuntimeApi
) -> None:
    process = begin(start, other_server, api)
    kind, answer = api.answers.get(timeout=INVOCATION_SECONDS)
    assert kind == "error" and REFUSAL in answer["errorMessage"]
    assert process.process.wait(timeout=60) != 0 and not api.is_asked.is_set()


def test_the_adapter_costs_little(trained: Trained, server: str) -> None:
    features = serving.Features(server, trained.contract, policy=risk.POLICY)
    handler = hitherto_lambda.handler_of(risk.Model(), features)
    context = types.SimpleNamespace(get_remaining_time_in_millis=lambda: 1000)
    check_overhead("AWS Lambda", features, lambda: handler(event(["p00001"]), context))
