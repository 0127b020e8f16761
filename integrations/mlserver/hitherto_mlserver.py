"""Seldon's MLServer: a runtime that takes join keys, looks features up and predicts.

`model-settings.json` names it, the contract and the model:

    {"name": "risk", "implementation": "hitherto_mlserver.FeatureRuntime",
     "parameters": {"uri": "contract.json", "extra": {"model": "risk:Model"}}}

A request has one input for each join key, of shape (entities) or (entities, 1), and the
answer one output `predictions`. `extra.policy`, which may be left out, names a
`StatusPolicy`. Where the server is says the environment: `HITHERTO_URL` and others, see
`hitherto.serving.from_environment`.
"""

from __future__ import annotations

import importlib
from typing import Any

import hitherto
from hitherto import serving
from mlserver import MLModel
from mlserver.codecs import NumpyCodec
from mlserver.errors import MLServerError
from mlserver.types import InferenceRequest, InferenceResponse

STATUSES: dict[type[hitherto.Error], int] = {
    hitherto.InvalidError: 422,
    hitherto.NotFoundError: 404,
    hitherto.UnavailableError: 503,
}


class FeatureRuntime(MLModel):  # type: ignore[misc]
    """A model behind its features."""

    async def load(self) -> bool:
        """Refuses a model that was trained on other definitions than the server has."""
        parameters = self.settings.parameters
        extra = parameters.extra or {}
        policy = _named(extra["policy"]) if "policy" in extra else None
        self._features = serving.from_environment(parameters.uri, policy)
        self._model = _named(extra["model"])()
        return True

    async def predict(self, payload: InferenceRequest) -> InferenceResponse:
        """One lookup, one prediction."""
        keys = {tensor.name: _values(tensor.data.root) for tensor in payload.inputs}
        try:
            served = await self._features.read_async(keys)
        except hitherto.Error as error:
            raise MLServerError(str(error), STATUSES.get(type(error), 500)) from error
        predictions = self._model.predict(served.to_numpy())
        return InferenceResponse(
            model_name=self.name,
            model_version=self.version,
            id=payload.id,
            outputs=[NumpyCodec.encode_output("predictions", predictions)],
        )


def _named(path: str) -> Any:
    """What `module:name` names."""
    module, _, name = path.partition(":")
    return getattr(importlib.import_module(module), name)


def _values(data: Any) -> list[Any]:
    """A column, of shape (entities) or (entities, 1)."""
    return [each[0] if isinstance(each, list) else each for each in data]
