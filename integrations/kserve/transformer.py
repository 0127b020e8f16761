"""The transformer's process: KServe's options, and a contract."""

import os

import kserve
import risk
from hitherto import serving
from hitherto_kserve import FeatureTransformer

if __name__ == "__main__":
    features = serving.from_environment(os.environ["HITHERTO_MANIFEST"], risk.POLICY)
    kserve.ModelServer().start([FeatureTransformer("risk", features)])
