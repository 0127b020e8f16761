"""What every integration serves: a small model of patients' risk, and the facts it is about.

    python risk.py FOLDER

writes a repository to FOLDER, trains on it, and leaves there `contract.json`, which is what a
model is deployed with.

10,000 patients have vital signs and laboratory results that are random and reproducible.
Laboratory results are missing, null or expired for some of them, as in life; the model was
trained on such rows and may be served them. Vital signs are always there in training, so
a patient without is refused: see `POLICY`.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import hitherto
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from hitherto import Entity, FeatureService, FeatureView, Field, Online, Source, serving

PATIENTS = 10_000
NOW = "2030-01-31T00:00:00Z"
NOW_MICROS = 1_896_048_000_000_000
HOUR_MICROS = 3_600_000_000
SERVICE = "risk_v1"

#: Vital signs of 29 days ago, and none since.
EXPIRED = "p-expired"
NOBODY = "p-nobody"

POLICY = serving.StatusPolicy(
    views={"labs": serving.StatusPolicy(not_found="answer", expired="answer")}
)

VITALS = FeatureView(
    "vitals",
    Source("vitals.parquet", "at", delay="1h"),
    [
        Field("heart_rate", "float64"),
        Field("spo2", "float32"),
        Field("steps", "int64"),
        Field("on_oxygen", "bool"),
    ],
    entity="patient",
    ttl="14d",
    online=Online(history="30d"),
)

LABS = FeatureView(
    "labs",
    Source("labs.parquet", "drawn", known_time="released"),
    [Field("lactate", "float64"), Field("dose", "decimal128(20, 7)")],
    entity="patient",
    ttl="5d",
    online=Online(history="30d"),
)

DEFINITIONS: list[Any] = [
    Entity("patient", [Field("patient_id", "string")]),
    VITALS,
    LABS,
    FeatureService(SERVICE, ["vitals:*", "labs:*"]),
]


MIDDLES = (80, 96, 10_000, 0, 2, 50)
WIDTHS = (15, 2, 5_773, 0.4, 1.4, 29)
"""Of heart rate, spo2, steps, on_oxygen, lactate and dose, so that each of them counts."""


class Model:
    """A risk between -1 and 1. Of plain arithmetic, one column after the other, so that what
    it says of a row depends neither on the rows beside it nor on a library of linear
    algebra, which adds in another order for another number of rows."""

    def predict(self, rows: Any) -> np.ndarray[Any, Any]:
        """One number for each of `rows`, of shape (rows, 6)."""
        matrix = np.asarray(rows, np.float64)
        score = np.zeros(len(matrix))
        for column, middle, width in zip(matrix.T, MIDDLES, WIDTHS, strict=True):
            score += np.where(np.isnan(column), 0.1, (column - middle) / width)
        return score / (1 + np.abs(score))


def patient_ids() -> list[str]:
    """Everybody who is served."""
    return [f"p{number:05}" for number in range(PATIENTS)]


def write(root: Path) -> None:
    """The repository's files."""
    root.mkdir(parents=True, exist_ok=True)
    random = np.random.default_rng(20)

    def times(micros: Any) -> pa.Array:
        return pa.array(np.array(micros, np.int64)).cast(pa.timestamp("us", "UTC"))

    def facts(count: int, days: int) -> tuple[list[str], Any]:
        """So many facts of each patient, at any moment of the last days but the last two hours."""
        ids = np.repeat(patient_ids(), count)
        age = random.integers(2 * HOUR_MICROS, days * 24 * HOUR_MICROS, len(ids))
        return ids.tolist(), NOW_MICROS - age

    ids, at = facts(2, 13)
    vitals = {
        "patient_id": [*ids, EXPIRED],
        "at": times([*at, NOW_MICROS - 29 * 24 * HOUR_MICROS]),
        "heart_rate": np.append(random.normal(80, 15, len(ids)), 80.0),
        "spo2": np.append(random.normal(96, 2, len(ids)), 96.0).astype(np.float32),
        "steps": np.append(random.integers(0, 20_000, len(ids)), 0),
        "on_oxygen": np.append(random.random(len(ids)) < 0.2, False),
    }
    pq.write_table(pa.table(vitals), root / "vitals.parquet")
    ids, drawn = facts(2, 25)
    doses = pa.array(random.integers(0, 10**9, len(ids)), pa.int64()).cast(pa.decimal128(19, 0))
    scaled = pa.Array.from_buffers(pa.decimal128(20, 7), len(ids), doses.buffers())
    labs = {
        "patient_id": ids,
        "drawn": times(drawn),
        "released": times(drawn + HOUR_MICROS),
        "lactate": pa.array(random.gamma(2, 1, len(ids)), mask=random.random(len(ids)) < 0.1),
        "dose": scaled,
    }
    keep = random.random(len(ids)) < 0.8
    pq.write_table(pa.table(labs).filter(pa.array(keep)), root / "labs.parquet")


def train(root: Path) -> None:
    """Applies, materializes and trains. Leaves `contract.json`, and in `matrix.npy` the
    training rows, in the order of `patient_ids`."""
    write(root)
    with hitherto.connect(root, now=NOW) as store:
        store.apply(definitions=DEFINITIONS)
        store.materialize(progress=False)
        moments = pa.array([NOW_MICROS] * PATIENTS).cast(pa.timestamp("us", "UTC"))
        spine = pa.table({"patient_id": patient_ids(), "event_timestamp": moments})
        rows = store.training_set(spine, service=SERVICE)
        np.save(root / "matrix.npy", rows.to_numpy(rows.feature_names))
        (root / "contract.json").write_text(json.dumps(serving.contract(store, rows)))


if __name__ == "__main__":
    train(Path(sys.argv[1]))
