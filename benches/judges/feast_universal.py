"""Feast's own universal tests of its stores, run over Hitherto's.

    python benches/judges/feast_universal.py CHECKOUT [--stores feast] [pytest's options]

`CHECKOUT` is a checkout of Feast; nothing of it is copied. Its tests run where they lie,
with PyPI's feast and what their imports need:

    git clone --depth 1 https://github.com/feast-dev/feast CHECKOUT
    python -m venv .judge
    .judge/bin/pip install 'feast==0.67.*' 'pandas<3' pytest pytest-asyncio pytest-env \\
        pytest-mock pytest-timeout assertpy boto3 cryptography fastapi \\
        google-cloud-bigquery minio python-keycloak testcontainers 'uvicorn[standard]'
    PYTHONPATH=crates/hitherto-python/python .judge/bin/python \\
        benches/judges/feast_universal.py CHECKOUT

This file is also the module that Feast's tests ask for their stores
(`FULL_REPO_CONFIGS_MODULE`). With `--stores hitherto` every test over Parquet files has
`hitherto.feast.OfflineStore` (`known: ignore`, which gives Feast's answers) for Feast's own
offline store and `hitherto.feast.OnlineStore` for its SQLite one; with `--stores feast`
they are what they were. The online store goes by the name `sqlite`, since some tests ask
for that one only. Tests that need a service of somebody else's (DynamoDB, S3, Redis, ...)
or great_expectations, which refuses numpy 2, are left out or skip themselves.

The last line on stdout is one JSON object: `stores`, how many `passed`, `failed` and were
`skipped`, and the names of what failed. The exit code is 1 if that is more than
`EXPECTED` names.
"""

from __future__ import annotations

import argparse
import importlib
import json
import os
import re
import subprocess
import sys
import tempfile
import xml.etree.ElementTree as tree
from pathlib import Path
from typing import Any

STORES = "HITHERTO_JUDGED_STORES"
"""The variable that says, in the process of the tests, whose stores are judged."""

FILES = (
    "integration/materialization/test_universal_materialization.py",
    "integration/offline_store",
    "integration/online_store/test_push_features_to_online_store.py",
    "integration/online_store/test_universal_e2e.py",
    "integration/online_store/test_universal_online.py",
    "integration/online_store/test_universal_online_types.py",
    "integration/registration/test_universal_odfv_feature_inference.py",
)
"""The universal tests, below `sdk/python/tests`."""

EXPECTED: dict[str, dict[str, str]] = {
    "hitherto": {
        "test_non_entity_mode_preserves_multiple_timestamps": "it compares float64 0.1 with the "
        "float32 of its file, which is kept; the rows are the three that it asks for",
        "test_odfv_write_methods": "it looks up values of 2024 in a view with a ttl of one day: "
        "they have expired",
        "test_online_retrieval_with_event_timestamps": "it looks up values of 2022 in a view with "
        "a ttl of two hours: they have expired",
    },
    "feast": {
        "test_non_entity_mode_preserves_multiple_timestamps": "its default offline store answers "
        "for one moment where entity_df is left out, the latest of the window",
    },
}
"""What fails over whose stores, and why."""


def stores(creator: Any) -> tuple[list[Any], dict[str, Any]]:
    """What Feast's tests take: offline stores and online stores."""
    online: dict[str, Any] = {"type": "sqlite"}
    if os.environ[STORES] == "hitherto":
        feast = importlib.import_module("hitherto.feast")
        # The creator itself: some tests name it, whatever is offered here.
        creator.create_offline_store_config = lambda self: feast.OfflineStoreConfig(known="ignore")
        online = {"type": "hitherto.feast.OnlineStore"}
    return [("local", creator)], {"sqlite": (online, None)}


if STORES in os.environ and __name__ != "__main__":
    _module = importlib.import_module("tests.universal.feature_repos.universal.data_sources.file")
    AVAILABLE_OFFLINE_STORES, AVAILABLE_ONLINE_STORES = stores(_module.FileDataSourceCreator)


def run(checkout: Path, whose: str, options: list[str], results: Path) -> None:
    """Runs the tests; what came of each is in ``results``."""
    root = checkout.resolve() / "sdk" / "python"
    if not (root / "tests" / "universal").is_dir():
        sys.exit(f"error: {checkout} is no checkout of Feast: there is no sdk/python/tests")
    # The package beside the tests would hide the installed one.
    paths = [str(Path(__file__).parent), *filter(None, [os.environ.get("PYTHONPATH")])]
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join(str(Path(path).resolve()) for path in
                                      os.pathsep.join(paths).split(os.pathsep)),
        "FULL_REPO_CONFIGS_MODULE": Path(__file__).stem,
        "FEAST_IS_LOCAL_TEST": "True",
        "IS_TEST": "True",
        STORES: whose,
    }  # fmt: skip
    command = [sys.executable, "-m", "pytest", "--integration", "-q", "-p", "no:cacheprovider"]
    command += ["-o", "addopts=", "-k", "not dynamo", "--ignore-glob=*dqm*"]
    command += [f"--junitxml={results}", *(f"tests/{file}" for file in FILES), *options]
    subprocess.run(command, cwd=root, env=environment, stdout=sys.stderr, check=False)


def outcomes(results: Path) -> dict[str, list[str]]:
    """Names of tests by what came of them."""
    found: dict[str, list[str]] = {"passed": [], "failed": [], "skipped": []}
    for case in tree.parse(results).iter("testcase"):
        kinds = {child.tag for child in case}
        outcome = "skipped" if "skipped" in kinds else "passed"
        if kinds & {"failure", "error"}:
            outcome = "failed"
        # The environment's name says nothing: it is always the same.
        name = re.sub(r"ParameterSet\(.*?id=None\)-?|\[\]", "", case.get("name", ""))
        found[outcome].append(name.replace("[]", "").replace("-]", "]"))
    return found


def main() -> int:
    """The command; returns its exit code."""
    parser = argparse.ArgumentParser(description="Feast's own tests over Hitherto's stores.")
    parser.add_argument("checkout", type=Path, help="a checkout of github.com/feast-dev/feast")
    parser.add_argument("--stores", choices=sorted(EXPECTED), default="hitherto")
    options, rest = parser.parse_known_args()
    with tempfile.TemporaryDirectory() as folder:
        results = Path(folder) / "results.xml"
        run(options.checkout, options.stores, rest, results)
        found = outcomes(results)
    failed = sorted(found["failed"])
    counts = {outcome: len(names) for outcome, names in found.items()}
    print(json.dumps({"stores": options.stores, **counts, "names": failed}))
    expected = EXPECTED[options.stores]
    return int(any(name.partition("[")[0] not in expected for name in failed))


if __name__ == "__main__":
    sys.exit(main())
