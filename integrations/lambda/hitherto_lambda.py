"""AWS Lambda: a handler that takes join keys, looks features up and predicts.

    handler = hitherto_lambda.handler_of(Model(), serving.from_environment("contract.json"))

It is made while the function's environment starts, and a model that belongs to other
definitions ends that start. An event has `instances`, as `{"instances": [{"patient_id":
"p1"}]}`, or is that of an API Gateway or a function URL, with such a JSON as its `body`. A
lookup may take what is left of the invocation's time.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import hitherto
from hitherto.serving import Features

ANSWER_MILLIS = 20
"""Of an invocation's time what is left for the prediction and the answer."""

STATUSES: dict[type[hitherto.Error], int] = {
    hitherto.InvalidError: 400,
    hitherto.NotFoundError: 404,
    hitherto.UnavailableError: 503,
}


def handler_of(model: Any, features: Features) -> Callable[[dict[str, Any], Any], Any]:
    """A handler of `model`, anything with a `predict` that takes a matrix of features."""

    def predict(event: Any, context: Any) -> dict[str, Any]:
        if not isinstance(event, dict) or "instances" not in event:
            raise hitherto.InvalidError(
                'the event is JSON like {"instances": [{"patient_id": "p1"}]}'
            )
        millis = max(1, context.get_remaining_time_in_millis() - ANSWER_MILLIS)
        served = features.read(event["instances"], deadline=timedelta(milliseconds=millis))
        return {"predictions": model.predict(served.to_numpy()).tolist()}

    def handler(event: dict[str, Any], context: Any) -> Any:
        if "body" not in event:
            return predict(event, context)
        try:
            text = event["body"] or "null"
            body = base64.b64decode(text) if event.get("isBase64Encoded") else text
            return _answer(200, predict(json.loads(body), context))
        except json.JSONDecodeError as error:
            return _answer(400, {"error": f"the body is no JSON: {error}"})
        except hitherto.Error as error:
            return _answer(STATUSES.get(type(error), 500), {"error": str(error)})

    return handler


def _answer(status: int, body: dict[str, Any]) -> dict[str, Any]:
    headers = {"content-type": "application/json"}
    return {"statusCode": status, "headers": headers, "body": json.dumps(body)}
