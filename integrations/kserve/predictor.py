"""A predictor of KServe that knows nothing of feature stores: numbers in, risks out."""

import kserve
import numpy as np
import risk


class Predictor(kserve.Model):
    """The model over either protocol."""

    def predict(self, payload, headers=None):
        if isinstance(payload, dict):
            rows = np.array(payload["instances"], np.float64)
            return {"predictions": risk.Model().predict(rows).tolist()}
        [tensor] = payload.inputs
        risks = risk.Model().predict(tensor.as_numpy())
        output = kserve.InferOutput("risk", list(risks.shape), "FP64")
        output.set_data_from_numpy(risks, binary_data=False)
        return kserve.InferResponse(payload.id, self.name, [output])


if __name__ == "__main__":
    predictor = Predictor("risk")
    predictor.load()
    kserve.ModelServer().start([predictor])
