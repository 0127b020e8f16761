"""The example's function: `function.handler`."""

import os

import hitherto_lambda
import risk
from hitherto import serving

handler = hitherto_lambda.handler_of(
    risk.Model(), serving.from_environment(os.environ["HITHERTO_MANIFEST"], risk.POLICY)
)
