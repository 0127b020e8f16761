"""TorchServe: a handler that takes join keys, looks features up and predicts.

    torch-model-archiver --model-name risk --version 1.0 --handler hitherto_torchserve.py \
        --extra-files contract.json,risk.py --export-path store

A request's body is `{"instances": [{"patient_id": "p1"}, ...]}`, and the answer a list of
numbers. TorchServe hands a handler several requests at a time: they are one lookup. What
`make_model` returns has a `predict` that takes a matrix of features; subclass to load
another.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import hitherto
from hitherto import serving

STATUSES: dict[type[hitherto.Error], tuple[int, str]] = {
    hitherto.InvalidError: (400, "Bad Request"),
    hitherto.NotFoundError: (404, "Not Found"),
    hitherto.UnavailableError: (503, "Service Unavailable"),
}


class FeatureHandler:
    """A model behind its features."""

    policy: serving.StatusPolicy | None = None

    def make_model(self, folder: Path) -> Any:
        """The model in the archive's folder."""
        import risk

        self.policy = risk.POLICY
        return risk.Model()

    def initialize(self, context: Any) -> None:
        """Refuses a model that belongs to other definitions: the worker does not start."""
        folder = Path(context.system_properties["model_dir"])
        self.model = self.make_model(folder)
        self.features = serving.from_environment(folder / "contract.json", self.policy)

    def handle(self, requests: list[dict[str, Any]], context: Any) -> list[Any]:
        """An answer for each request of the batch."""
        try:
            instances = [_instances(each) for each in requests]
            served = self.features.read([keys for each in instances for keys in each])
        except hitherto.Error as error:
            if len(requests) > 1:
                # One of them is to blame; each is asked alone, so that the others are served.
                return [self._alone(place, each, context) for place, each in enumerate(requests)]
            return [_refused(error, 0, context)]
        found = iter(self.model.predict(served.to_numpy()).tolist())
        return [[next(found) for _ in each] for each in instances]

    def _alone(self, place: int, request: dict[str, Any], context: Any) -> Any:
        try:
            served = self.features.read(_instances(request))
        except hitherto.Error as error:
            return _refused(error, place, context)
        return self.model.predict(served.to_numpy()).tolist()


def _instances(request: dict[str, Any]) -> list[Any]:
    body = request.get("body") or request.get("data")
    try:
        parsed = json.loads(body) if isinstance(body, (bytes, bytearray, str)) else body
        return list(parsed["instances"])
    except (ValueError, KeyError, TypeError) as error:
        said = 'the body is JSON like {"instances": [{"patient_id": "p1"}]}'
        raise hitherto.InvalidError(said) from error


def _refused(error: hitherto.Error, place: int, context: Any) -> str:
    status, phrase = STATUSES.get(type(error), (500, "Internal Server Error"))
    context.set_response_status(status, phrase, place)
    return str(error)
