"""What lies in `code/` of the example's archive."""

import hitherto_sagemaker
from risk import POLICY, Model

model_fn, input_fn, predict_fn, output_fn = hitherto_sagemaker.functions(Model(), POLICY)
