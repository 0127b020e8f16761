"""Trains gradient-boosted trees on the example's rows, and logs them as a model of join keys.

python train.py FOLDER      # afterwards: mlflow models serve -m runs:/ID/model ...
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import hitherto
import mlflow
import risk
from sklearn.ensemble import HistGradientBoostingRegressor

COLUMNS = ["heart_rate", "spo2", "steps", "on_oxygen", "lactate", "dose"]


def train(root: Path) -> tuple[str, Any, Any]:
    """The logged model's URI, the model, and the rows that it was trained on."""
    with hitherto.connect(root, now=risk.NOW) as store, mlflow.start_run():
        rows = store.training_set(at=risk.NOW, service=risk.SERVICE)
        matrix = rows.to_numpy(rows.feature_names)
        model = HistGradientBoostingRegressor(max_iter=30, random_state=0)
        model.fit(matrix, risk.Model().predict(matrix))
        logged = hitherto.mlflow.log_model(model, store, rows, policy=risk.POLICY)
        return logged.model_uri, model, rows.to_pandas()


if __name__ == "__main__":
    root = Path(sys.argv[1])
    risk.train(root)
    print(train(root)[0])
