"""TorchServe's archiver makes the archive, and its handler is called with TorchServe's own
context. Its worker needs torch, whose only Linux package is several gigabytes of CUDA, so its
server is not run; what the page says of it is `protocol-tested`. TorchServe's own project was
archived in 2025."""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import hitherto
import pytest
import risk
from conftest import EXPIRED, REFUSAL, Trained, check_bit_equal, check_overhead
from ts.context import Context, RequestProcessor

HERE = Path(__file__).resolve().parent


@pytest.fixture(scope="module")
def archive(trained: Trained, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The archive, unpacked as a worker finds it."""
    folder = tmp_path_factory.mktemp("archive")
    command = [str(Path(sys.executable).parent / "torch-model-archiver"), "--model-name", "risk"]
    command += ["--version", "1.0", "--handler", str(HERE / "hitherto_torchserve.py")]
    command += ["--extra-files", f"{trained.manifest},{HERE.parent / 'risk.py'}"]
    subprocess.run([*command, "--export-path", str(folder)], check=True, capture_output=True)
    with zipfile.ZipFile(folder / "risk.mar") as packed:
        packed.extractall(folder / "risk")
    return folder / "risk"


class Worker:
    """What TorchServe's worker does with an archive, without torch: loads the handler that the
    manifest names, and calls it with a batch."""

    def __init__(self, archive: Path, batch: int) -> None:
        manifest = json.loads((archive / "MAR-INF" / "MANIFEST.json").read_text())
        self.context = Context(
            manifest["model"]["modelName"], str(archive), manifest, batch, None, None
        )
        path = archive / manifest["model"]["handler"]
        spec = importlib.util.spec_from_file_location(path.stem, path)
        assert spec is not None and spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        self.handler = module.FeatureHandler()
        self.handler.initialize(self.context)

    def ask(self, *batch: Any) -> list[Any]:
        self.context.request_ids = dict(enumerate(map(str, range(len(batch)))))
        self.context.request_processor = [RequestProcessor({}) for _ in batch]
        bodies = [{"body": json.dumps(each).encode()} for each in batch]
        return self.handler.handle(bodies, self.context)  # type: ignore[no-any-return]

    def status(self, place: int) -> int:
        return self.context.get_response_status(place)[0]  # type: ignore[no-any-return]


def event(ids: list[str]) -> dict[str, Any]:
    return {"instances": [{"patient_id": each} for each in ids]}


def test_predictions_are_those_of_the_training_frame(
    trained: Trained, server: str, archive: Path, monkeypatch: pytest.MonkeyPatch, row: Any
) -> None:
    monkeypatch.setenv("HITHERTO_URL", server)
    worker = Worker(archive, 1)
    check_bit_equal(trained, lambda ids: worker.ask(event(ids)))
    # A batch of requests is one lookup, and one that fails does not fail the others.
    first, second = worker.ask(event(["p00000", "p00001"]), event(["p00002"]))
    assert [*first, *second] == trained.expected[:3].tolist()
    served, expired, wrong = worker.ask(event(["p00000"]), event([risk.EXPIRED]), {})
    assert served == trained.expected[:1].tolist()
    assert worker.status(1) == 404 and EXPIRED in expired
    assert worker.status(2) == 400 and "JSON like" in wrong
    [nobody] = worker.ask(event(["p00000", risk.NOBODY]))
    assert worker.status(0) == 404 and "row 1 of the request" in nobody
    check_overhead("TorchServe", worker.handler.features, lambda: worker.ask(event(["p00001"])))
    row("TorchServe handler and archive", "torchserve", "protocol-tested")


def test_another_version_of_a_view_is_refused(
    other_server: str, archive: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HITHERTO_URL", other_server)
    with pytest.raises(hitherto.ConflictError) as refused:
        Worker(archive, 1)
    assert REFUSAL in str(refused.value)
