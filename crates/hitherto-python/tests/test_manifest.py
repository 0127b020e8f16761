"""Manifests: the record that belongs to a training set, made here and by a
server, written and checked by the command line."""

from __future__ import annotations

import json
import shutil
import subprocess
from datetime import timedelta
from pathlib import Path

import hitherto
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from conftest import ICU, SERVICE, binary


def run(repository: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [binary(), "training-set", "--spine", str(ICU / "spine.parquet"), *arguments]
    return subprocess.run(
        [*command, "--output", "json"], cwd=repository, capture_output=True, text=True
    )


def test_a_server_makes_the_same_record(
    embedded: hitherto.Store, server: str, spine: pa.Table
) -> None:
    here = embedded.training_set(spine, service=SERVICE)
    here.to_arrow()
    with hitherto.connect(server) as store:
        there = store.training_set(spine, service=SERVICE)
        there.to_arrow()
        assert there.manifest == here.manifest
        assert there.report() == here.report()
    manifest = here.manifest
    assert here.content_hash == manifest["content"]["hash"]
    assert manifest["content"]["rows"] == manifest["spine"]["rows"] == len(spine)
    assert manifest["request"]["service"] == SERVICE
    assert [column["name"] for column in manifest["schema"]] == here.column_names
    [labs] = {
        (file["name"], file["fingerprint"])
        for view in manifest["views"]
        for file in view["files"]
        if "labs" in file["name"]
    }
    assert labs[0] == "data/clif_labs.parquet"
    assert len(labs[1]) == 32


def test_rows_that_come_as_a_stream_have_a_record_too(
    embedded: hitherto.Store, spine: pa.Table
) -> None:
    streamed = embedded.training_set(spine, ["lactate:*"])
    with pytest.raises(hitherto.InvalidError, match="read to its end"):
        _ = streamed.manifest
    pa.table(streamed)
    kept = embedded.training_set(spine, ["lactate:*"])
    kept.to_polars()
    assert streamed.content_hash == kept.content_hash
    other = embedded.training_set(spine, ["creatinine:*"])
    other.to_arrow()
    assert other.content_hash != kept.content_hash


def test_thresholds_stop_a_pipeline(embedded: hitherto.Store, spine: pa.Table) -> None:
    labs = embedded.training_set(spine, ["lactate:*", "creatinine:*"])
    labs.to_arrow()
    labs.check(max_null_rate=0.9, max_leak_rate=0.1, max_age=timedelta(days=2))
    with pytest.raises(hitherto.InvalidError, match="lactate:lactate_mmol_l is null in 7284 of"):
        labs.check(max_null_rate=0.5)
    with pytest.raises(hitherto.InvalidError, match="creatinine would leak in 719 of 8139 rows"):
        labs.check(max_leak_rate=0.05)
    with pytest.raises(hitherto.InvalidError, match="more than 1h"):
        labs.check(max_age=timedelta(hours=1))
    with pytest.raises(hitherto.InvalidError, match="from 0 to 1"):
        labs.check(max_null_rate=20)


def test_the_command_line_writes_and_checks_it(repository: Path, tmp_path: Path) -> None:
    out = tmp_path / "rows.parquet"
    built = run(repository, "--service", SERVICE, "--out", str(out))
    assert built.returncode == 0, built.stderr
    record = tmp_path / "rows.parquet.manifest.json"
    assert (
        json.loads(built.stdout)["content_hash"]
        == json.loads(record.read_text())["content"]["hash"]
    )
    checked = run(repository, "--manifest", str(record), "--check")
    assert checked.returncode == 0, checked.stderr
    assert json.loads(checked.stdout)["differences"] == []

    # In a copy whose laboratory file lost a row.
    copy = tmp_path / "copy"
    shutil.copytree(repository, copy)
    labs = copy / "data" / "clif_labs.parquet"
    rows = pq.read_table(labs)
    pq.write_table(rows.slice(0, len(rows) // 2), labs)
    changed = run(copy, "--manifest", str(record), "--check")
    assert changed.returncode != 0
    message = json.loads(changed.stderr)["error"]["message"]
    assert "source file data/clif_labs.parquet of feature view lactate" in message
    assert "content: " in message


def test_beyond_a_threshold_nothing_is_written(repository: Path, tmp_path: Path) -> None:
    out = tmp_path / "rows.parquet"
    arguments = ["--features", "lactate:*", "--out", str(out), "--max-null-rate", "0.2"]
    refused = run(repository, *arguments)
    assert refused.returncode == 2, refused.stderr
    assert "lactate:lactate_mmol_l is null" in refused.stderr
    assert list(tmp_path.iterdir()) == []


def test_a_cutoff_in_the_future_needs_a_stopped_clock(repository: Path, spine: pa.Table) -> None:
    store = hitherto.connect(repository, read_only=True)
    with store, pytest.raises(hitherto.InvalidError, match="is later than now"):
        store.training_set(spine, ["lactate:*"], known_by="2150-01-01")
    with hitherto.connect(repository, read_only=True, now="2150-01-02") as store:
        known = store.training_set(spine, ["lactate:*"], known_by="2150-01-01").to_arrow()
    everything = pq.read_table(ICU / "spine.parquet")
    assert len(known) == len(everything)


def test_a_server_has_its_own_clock(server: str) -> None:
    with pytest.raises(hitherto.InvalidError, match="has its own clock"):
        hitherto.connect(server, now="2150-01-01")


def test_a_stopped_clock_stops_for_why_too(embedded: hitherto.Store) -> None:
    why = embedded.why("lactate", {"hospitalization_id": "20044587"})
    assert f"{why.at:%Y-%m-%d}" == "2250-01-01"
    assert why.absence == "expired"


def test_rows_and_manifest_need_two_files(repository: Path, tmp_path: Path) -> None:
    out = str(tmp_path / "rows.parquet")
    refused = run(repository, "--features", "lactate:*", "--out", out, "--manifest", out)
    assert refused.returncode == 2 and "name one file" in refused.stderr
    assert list(tmp_path.iterdir()) == []
