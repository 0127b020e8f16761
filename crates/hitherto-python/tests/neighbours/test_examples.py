"""The examples run, and what they say of themselves is so."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import ICU, ROOT

EXAMPLES = ROOT / "crates" / "hitherto-python" / "examples"


def test_scikit_learn_trains_and_serves(tmp_path: Path) -> None:
    pytest.importorskip("sklearn")
    repository = tmp_path / "icu"
    shutil.copytree(ICU, repository, ignore=shutil.ignore_patterns(".hitherto"))
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(map(os.path.abspath, sys.path))}
    done = subprocess.run(
        [sys.executable, str(EXAMPLES / "icu_scikit_learn.py"), str(repository)],
        env=environment,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    said = json.loads(done.stdout.splitlines()[-1])
    assert said["served_as_trained"] is True and said["rows"] == 8139
    assert 0.6 < said["auc"] < 1.0
