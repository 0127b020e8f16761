"""KServe: a transformer that takes join keys and asks the predictor with features.

    transformer = FeatureTransformer("risk", serving.from_environment("contract.json"))
    kserve.ModelServer().start([transformer])

It speaks the protocol that it was asked in, v1 or v2, over REST or gRPC, and the predictor
is asked in the one that `--predictor_protocol` names:

    v1           {"instances": [{"patient_id": "p1"}, ...]}
    v2, grpc-v2  one input for each join key, of shape (entities) or (entities, 1)

A v1 predictor gets `instances`, a row of numbers an entity; a v2 predictor one FP64 input
`features` of shape (entities, features). Where there is no value JSON has null, and gRPC NaN.
"""

from __future__ import annotations

from typing import Any

import hitherto
import kserve
from hitherto.serving import Features
from kserve.constants.constants import PredictorProtocol
from kserve.errors import InvalidInput, ModelNotFound, ModelNotReady

INPUT = "features"


class FeatureTransformer(kserve.Model):  # type: ignore[misc]
    """Features in the place of join keys; the answer is the predictor's."""

    def __init__(self, name: str, features: Features) -> None:
        super().__init__(name)
        self.features = features
        self.ready = True

    async def healthy(self) -> bool:
        """Whether the server's definitions are still those of training."""
        self.features.check()
        return bool(self.ready)

    async def preprocess(self, payload: Any, headers: dict[str, str] | None = None) -> Any:
        """The predictor's request."""
        is_v2 = isinstance(payload, kserve.InferRequest)
        keys: Any = payload.get("instances") if not is_v2 else _columns(payload)
        if keys is None:
            raise InvalidInput('a v1 request has "instances", a list of join keys by name')
        try:
            served = await self.features.read_async(keys)
        except hitherto.Error as error:
            raise _translated(error) from error
        matrix = served.to_numpy()
        if not is_v2:
            return {"instances": matrix.tolist()}
        tensor = kserve.InferInput(INPUT, list(matrix.shape), "FP64")
        # As bytes kserve 0.21 sends it over REST under two content types, and is refused.
        is_grpc = getattr(self.predictor_config, "protocol", "") == PredictorProtocol.GRPC_V2.value
        tensor.set_data_from_numpy(matrix, binary_data=is_grpc)
        return kserve.InferRequest(self.name, [tensor], payload.id)


def _columns(payload: kserve.InferRequest) -> dict[str, Any]:
    return {tensor.name: tensor.as_numpy().ravel() for tensor in payload.inputs}


def _translated(error: hitherto.Error) -> Exception:
    """As the error that KServe has a status for, over REST and gRPC."""
    if isinstance(error, hitherto.InvalidError):
        return InvalidInput(str(error))
    kind = ModelNotFound if isinstance(error, hitherto.NotFoundError) else ModelNotReady
    found: Any = kind("")
    found.reason = found.error_msg = str(error)
    return found  # type: ignore[no-any-return]
