"""The example service: join keys in, risks out."""

import os

import bentoml
import risk
from hitherto_bentoml import FeatureService


@bentoml.service(workers=1)
class Risk(FeatureService):
    """A model behind its features."""

    manifest = os.environ["HITHERTO_MANIFEST"]
    policy = risk.POLICY
    model = risk.Model()

    @bentoml.api
    async def predict(self, rows: list[dict[str, str]]) -> list[float]:
        """A risk for each row."""
        served = await self.read(rows)
        return self.model.predict(served.to_numpy()).tolist()
