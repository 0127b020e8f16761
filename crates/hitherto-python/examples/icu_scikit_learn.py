"""Trains a model of death in hospital on the ICU data and serves it with lookups.

    usage: icu_scikit_learn.py REPOSITORY

REPOSITORY is a copy of fixtures/icu. Needs scikit-learn and pyarrow. The last
line printed is JSON.
"""

import json
import sys
from pathlib import Path

import hitherto
import numpy as np
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.metrics import roc_auc_score

VIEWS = ("heart_rate", "mean_arterial_pressure", "spo2", "respiratory_rate", "temperature")
LABS = ("lactate", "creatinine", "white_cells", "platelets", "bilirubin")
FEATURES = [f"{view}:*" for view in VIEWS + LABS] + ["stay_attributes:age_at_admission"]
LABEL = "died_in_hospital"


def main() -> None:
    if len(sys.argv) != 2:
        sys.exit("usage: icu_scikit_learn.py REPOSITORY (a copy of fixtures/icu)")
    repository = Path(sys.argv[1])

    with hitherto.connect(repository) as store:
        store.apply()
        store.materialize()
    # The clock stands after the data, whose years are shifted into the future.
    with hitherto.connect(repository, now="2250-01-01") as store:
        rows = store.training_set(repository / "spine.parquet", FEATURES)
        # A patient has several stays: none is in two parts.
        train, _, test = rows.split(by=["patient_id"], train=0.7, validation=0.0, test=0.3, seed=1)

        model = HistGradientBoostingClassifier(max_iter=60, random_state=0)
        model.fit(train.to_numpy(), labels(train))
        score = roc_auc_score(labels(test), model.predict_proba(test.to_numpy())[:, 1])
        print(f"trained on {len(train.to_numpy())} rows; AUC {score:.3f} on other patients")

        # The same features at the same moments, from the online store.
        asked = test.to_arrow().slice(0, 20)
        served = np.vstack([serve(store, row) for row in asked.to_pylist()])
        trained = test.to_numpy()[:20]
        same = bool(np.array_equal(served, trained, equal_nan=True))
        risks = model.predict_proba(served)[:, 1]
        print(f"risks of {len(risks)} moments: {risks.min():.2f} to {risks.max():.2f}")
        print(json.dumps({"auc": score, "served_as_trained": same, "rows": len(rows.to_arrow())}))


def labels(part: hitherto.Part) -> "np.ndarray":
    return part.to_numpy([LABEL])[:, 0]


def serve(store: hitherto.Store, row: dict) -> "np.ndarray":
    """The features of one stay as of one moment, in the model's order."""
    keys = {"hospitalization_id": [row["hospitalization_id"]]}
    return store.lookup(keys, FEATURES, as_of=row["event_timestamp"]).to_numpy()


if __name__ == "__main__":
    main()
