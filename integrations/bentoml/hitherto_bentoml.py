"""BentoML: features inside a service, and errors as the statuses that it has.

    @bentoml.service
    class Risk(FeatureService):
        manifest = "contract.json"

        @bentoml.api
        async def predict(self, rows: list[dict[str, str]]) -> list[float]:
            served = await self.read(rows)
            return self.model.predict(served.to_numpy()).tolist()

`/readyz` compares definitions again; a service whose model belongs to other definitions does
not start.
"""

from __future__ import annotations

import os
from typing import Any

import hitherto
from bentoml.exceptions import BentoMLException, InvalidArgument, NotFound, ServiceUnavailable
from hitherto import serving

ERRORS: dict[type[hitherto.Error], type[BentoMLException]] = {
    hitherto.InvalidError: InvalidArgument,
    hitherto.NotFoundError: NotFound,
    hitherto.UnavailableError: ServiceUnavailable,
}


class FeatureService:
    """The base of a service that reads features. Configured as
    `hitherto.serving.from_environment` says."""

    manifest: str | os.PathLike[str]
    """The path of what the model was trained on."""
    policy: serving.StatusPolicy | None = None

    def __init__(self) -> None:
        self.features = serving.from_environment(self.manifest, self.policy)

    async def read(self, keys: Any) -> serving.Served:
        """The features of `keys`: a row of join keys an entity, or columns of them."""
        try:
            return await self.features.read_async(keys)
        except hitherto.Error as error:
            raise ERRORS.get(type(error), BentoMLException)(str(error)) from error

    async def __is_ready__(self) -> bool:
        self.features.check()
        return True
