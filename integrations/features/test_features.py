"""`hitherto.serving` alone, over a server: a request for each of 10,000 training rows, each as
of the row's own moment."""

from __future__ import annotations

from typing import Any

import hitherto
import numpy as np
import pyarrow as pa
import pytest
import risk
from conftest import EXPIRED, REFUSAL, Trained, check_overhead
from hitherto.serving import Features, StatusPolicy

ANYTHING = StatusPolicy(not_found="answer", expired="answer")


def test_a_request_is_the_training_row_of_its_moment(trained: Trained, server: str) -> None:
    random = np.random.default_rng(9)
    ages = random.integers(0, 16 * 24 * risk.HOUR_MICROS, risk.PATIENTS)
    moments = pa.array(risk.NOW_MICROS - ages).cast(pa.timestamp("us", "UTC"))
    spine = pa.table({"patient_id": risk.patient_ids(), "event_timestamp": moments})
    with hitherto.connect(server) as store:
        rows = store.training_set(spine, service=risk.SERVICE)
        matrix = rows.to_numpy(rows.feature_names)
        expected = risk.Model().predict(matrix)
        features = Features(store, trained.contract, policy=ANYTHING, deadline="60s")
        served = np.empty(risk.PATIENTS)
        for place, (patient, moment) in enumerate(
            zip(spine.column(0).to_pylist(), moments.to_pylist(), strict=True)
        ):
            found = features.read({"patient_id": [patient]}, as_of=moment)
            served[place] = risk.Model().predict(found.to_numpy())[0]
        assert served.tobytes() == expected.tobytes()
        # Not because nothing was there, and not because time does not matter.
        assert np.isnan(matrix).any(axis=0).all() and not np.isnan(matrix).all(axis=1).all()
        assert len(set(expected.tolist()) & set(trained.expected.tolist())) < risk.PATIENTS / 2
        counts = features.counts
        assert sum(counts.values()) == matrix.size
        assert min(counts[status] for status in ("PRESENT", "NULL", "NOT_FOUND", "EXPIRED")) > 0


def test_what_cannot_be_served_says_why(trained: Trained, server: str, other_server: str) -> None:
    features = Features(server, trained.contract, policy=risk.POLICY)
    with pytest.raises(hitherto.NotFoundError) as refused:
        features.read({"patient_id": [risk.EXPIRED]})
    assert EXPIRED in str(refused.value)
    with pytest.raises(hitherto.ConflictError) as differs:
        Features(other_server, trained.contract)
    assert REFUSAL in str(differs.value)
    bare = {name: part for name, part in trained.contract.items() if name != "definitions"}
    with pytest.raises(hitherto.ConflictError, match=r'"labs": its definition has the hash'):
        Features(other_server, bare)


def test_a_read_costs_little(trained: Trained, server: str) -> None:
    features: Any = Features(server, trained.contract, policy=risk.POLICY)
    keys = {"patient_id": ["p00001"]}
    check_overhead(
        "hitherto.serving", features, lambda: risk.Model().predict(features.read(keys).to_numpy())
    )
