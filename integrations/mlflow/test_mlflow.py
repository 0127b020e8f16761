"""`mlflow models serve` of a logged model, and batches scored in process."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import hitherto
import mlflow
import numpy as np
import pandas as pd
import pytest
import risk
import train
from conftest import (
    EXPIRED,
    REFUSAL,
    Neighbour,
    Trained,
    ask,
    check_overhead,
    free_port,
    is_ok,
    refuses_to_start,
    wait_until,
)

HERE = Path(__file__).resolve().parent


class Logged:
    """The logged model, and what it says of its training rows."""

    def __init__(self, root: Path) -> None:
        self.uri, self.model, frame = train.train(root)
        self.ids = frame["patient_id"].tolist()
        matrix = frame[train.COLUMNS].astype({"dose": float}).to_numpy(np.float64)
        self.expected = dict(zip(self.ids, self.model.predict(matrix), strict=True))


@pytest.fixture(scope="module")
def logged(trained: Trained, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Logged]:
    folder = tmp_path_factory.mktemp("mlflow")
    os.environ["MLFLOW_TRACKING_URI"] = f"sqlite:///{folder / 'mlflow.db'}"
    mlflow.create_experiment("risk", artifact_location=(folder / "artifacts").as_uri())
    mlflow.set_experiment("risk")
    yield Logged(trained.root)
    del os.environ["MLFLOW_TRACKING_URI"]


class Server:
    """`mlflow models serve` of the logged model."""

    def __init__(self, start: Any, url: str, uri: str) -> None:
        self.url = f"http://127.0.0.1:{free_port()}"
        command = ["mlflow", "models", "serve", "--model-uri", uri, "--env-manager", "local"]
        command += ["--host", "127.0.0.1", "--port", self.url.rpartition(":")[2]]
        self.process: Neighbour = start(command, url, HERE)

    def is_ready(self) -> bool:
        return is_ok(f"{self.url}/ping")

    def predict(self, ids: list[str], column: str = "patient_id") -> Any:
        body = {"dataframe_split": {"columns": [column], "data": [[each] for each in ids]}}
        status, answer = ask(f"{self.url}/invocations", body)
        return json.loads(answer)["predictions"] if status == 200 else (status, answer.decode())


def test_served_predictions_are_those_of_the_training_frame(
    logged: Logged, server: str, start: Any, row: Any
) -> None:
    found = Server(start, server, logged.uri)
    wait_until(found.is_ready, found.process)
    ids = risk.patient_ids()
    served = [each for place in range(0, len(ids), 500)
              for each in found.predict(ids[place : place + 500])]  # fmt: skip
    assert len(served) == risk.PATIENTS
    expected = np.array([logged.expected[each] for each in ids])
    assert np.array(served).tobytes() == expected.tobytes()
    row("MLflow models serve, a model of log_model", "mlflow")
    # And what cannot be served says why.
    status, said = found.predict([risk.EXPIRED])
    assert status == 404 and EXPIRED in json.loads(said)["message"]
    status, said = found.predict(["p00000", risk.NOBODY])
    assert status == 404 and "row 1 of the request" in said
    status, said = found.predict(["p00000"], column="stay")
    assert status == 400 and "patient_id" in said


def test_another_version_of_a_view_is_refused(
    logged: Logged, other_server: str, start: Any
) -> None:
    found = Server(start, other_server, logged.uri)
    refuses_to_start(found.process, found.is_ready)


def test_a_logged_model_says_what_it_was_trained_on(logged: Logged, trained: Trained) -> None:
    contract = hitherto.mlflow.resolve(logged.uri)
    assert contract["features"] == trained.contract["features"]
    assert contract["definitions"] == trained.contract["definitions"]
    info = mlflow.models.get_model_info(logged.uri)
    assert [(each.name, each.type.name) for each in info.signature.inputs] == [
        ("patient_id", "string")
    ]
    assert info.metadata["hitherto.content"] == contract["content"]["hash"]
    run = mlflow.get_run(info.run_id)
    assert run.data.tags["hitherto.service"] == risk.SERVICE
    assert run.inputs.dataset_inputs[0].dataset.digest == contract["content"]["hash"]
    with mlflow.start_run():
        other = mlflow.pyfunc.log_model(
            name="m", python_model=lambda model_input: model_input, pip_requirements=["mlflow"]
        )
    with pytest.raises(hitherto.InvalidError, match=r"log it with hitherto\.mlflow\.log_model"):
        hitherto.mlflow.resolve(other.model_uri)


def test_batches_are_scored_with_what_was_known_then(
    logged: Logged, trained: Trained, server: str, row: Any
) -> None:
    random = np.random.default_rng(7)
    ages = pd.to_timedelta(random.integers(0, 20 * 24, risk.PATIENTS), unit="h")
    moments = pd.Timestamp(risk.NOW) - ages
    spine = pd.DataFrame({"patient_id": risk.patient_ids(), "event_timestamp": moments})
    with hitherto.connect(server) as store:
        scored = hitherto.mlflow.score_batch(logged.uri, spine, store)
        assert len(scored) == risk.PATIENTS and scored["patient_id"].equals(spine["patient_id"])
        rows = store.training_set(spine, service=risk.SERVICE)
        expected = logged.model.predict(rows.to_numpy(train.COLUMNS))
        assert scored["prediction"].to_numpy().tobytes() == expected.tobytes()
        # The same as lookups as of those moments, and not as of now.
        answer = hitherto.serving.StatusPolicy(not_found="answer", expired="answer")
        features = hitherto.serving.Features(store, trained.contract, policy=answer)
        for place in range(0, risk.PATIENTS, 50):
            keys = {"patient_id": [spine["patient_id"][place]]}
            matrix = features.read(keys, as_of=moments[place]).to_numpy()
            assert logged.model.predict(matrix)[0] == scored["prediction"][place]
    assert (scored["prediction"] != [logged.expected[each] for each in spine["patient_id"]]).any()
    row("MLflow score_batch", "mlflow", "in its process")


def test_batches_of_another_version_of_a_view_are_refused(
    logged: Logged, other_server: str
) -> None:
    spine = pd.DataFrame({"patient_id": ["p00000"], "event_timestamp": [pd.Timestamp(risk.NOW)]})
    with hitherto.connect(other_server) as store, pytest.raises(hitherto.ConflictError) as refused:
        hitherto.mlflow.score_batch(logged.uri, spine, store)
    assert REFUSAL in str(refused.value)


def test_the_adapter_costs_little(
    logged: Logged, server: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HITHERTO_URL", server)
    model = mlflow.pyfunc.load_model(logged.uri).unwrap_python_model()
    model.model = risk.Model()
    keys = pd.DataFrame({"patient_id": ["p00001"]})
    check_overhead("MLflow", model.features, lambda: model.predict(None, keys))
