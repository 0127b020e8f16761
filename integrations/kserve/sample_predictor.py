"""What the sample ranks drivers with: it gives the numbers back that it was asked with."""

import kserve


class Predictor(kserve.Model):
    """The rows of the request."""

    def predict(self, payload, headers=None):
        return {"predictions": payload["instances"]}


if __name__ == "__main__":
    predictor = Predictor("driver")
    predictor.load()
    kserve.ModelServer().start([predictor])
