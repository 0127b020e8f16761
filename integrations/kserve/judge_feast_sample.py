"""KServe's own sample of a transformer for Feast, unchanged, against a server's
`/get-online-features`. The sample is in no package:

    git clone --depth 1 https://github.com/kserve/kserve CHECKOUT
    KSERVE_CHECKOUT=CHECKOUT integrations/test.sh kserve
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any

import hitherto
import pyarrow as pa
import pyarrow.parquet as pq
import risk
from conftest import ask, free_port, is_ok, serving, wait_until
from hitherto import Entity, FeatureView, Field, Online, Source

HERE = Path(__file__).resolve().parent
SAMPLE = "docs/samples/v1beta1/transformer/feast"


def write(root: Path) -> dict[int, list[float]]:
    """A repository with the view of Feast's quick start: what the sample asks about each
    driver, in its order."""
    drivers = list(range(1001, 1006))
    values = {
        "conv_rate": [0.1 * place for place in range(5)],
        "acc_rate": [0.9 - 0.1 * place for place in range(5)],
        "avg_daily_trips": [100 * place for place in range(5)],
    }
    times = pa.array([risk.NOW_MICROS - risk.HOUR_MICROS] * 5).cast(pa.timestamp("us", "UTC"))
    root.mkdir()
    pq.write_table(pa.table({"driver_id": drivers, "at": times, **values}), root / "stats.parquet")
    types = {"conv_rate": "float64", "acc_rate": "float64", "avg_daily_trips": "int64"}
    view = FeatureView(
        "driver_hourly_stats",
        Source("stats.parquet", "at"),
        [Field(name, kind) for name, kind in types.items()],
        entity="driver",
        ttl="1d",
        online=Online(),
    )
    with hitherto.connect(root, now=risk.NOW) as store:
        store.apply(definitions=[Entity("driver", [Field("driver_id", "int64")]), view])
        store.materialize(progress=False)
    order = ("acc_rate", "avg_daily_trips", "conv_rate")
    return {
        driver: [*(values[name][place] for name in order), driver]
        for place, driver in enumerate(drivers)
    }


def test_the_sample_is_answered(start: Any, tmp_path: Path, row: Any) -> None:
    expected = write(tmp_path / "drivers")
    sample = Path(os.environ["KSERVE_CHECKOUT"]) / SAMPLE
    asked = json.loads((sample / "driver-input.json").read_text())
    ports = {name: [free_port(), free_port()] for name in ("predictor", "transformer")}

    def options(name: str) -> list[str]:
        return ["--http_port", str(ports[name][0]), "--grpc_port", str(ports[name][1])]

    with serving(tmp_path / "drivers") as url:
        predictor = start([sys.executable, "sample_predictor.py", *options("predictor")], url, HERE)
        host = f"127.0.0.1:{ports['predictor'][0]}"
        wait_until(lambda: is_ok(f"http://{host}/v2/health/ready"), predictor)
        command = [sys.executable, "sample_transformer.py", host, url, *options("transformer")]
        command += ["--predictor_host", host]
        transformer = start(command, url, HERE, sample / "driver_transformer")
        base = f"http://127.0.0.1:{ports['transformer'][0]}"
        wait_until(lambda: is_ok(f"{base}/v2/health/ready"), transformer)
        status, answer = ask(f"{base}/v1/models/driver:predict", asked)
    assert status == 200, answer
    drivers = [driver for [driver] in asked["instances"]]
    assert json.loads(answer)["predictions"] == [expected[driver] for driver in drivers]
    row("KServe's Feast sample, unchanged", "kserve")
