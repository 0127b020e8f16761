"""Every kind is an exception that Python users catch."""

from __future__ import annotations

import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import hitherto
import pyarrow as pa
import pytest
from hitherto import _errors, _native


def test_the_table_has_every_kind() -> None:
    assert list(_errors.BY_KIND) == list(_native.KINDS)
    for kind, error in _errors.BY_KIND.items():
        assert error.kind == kind and issubclass(error, hitherto.Error)
    assert issubclass(hitherto.InvalidError, ValueError)
    assert issubclass(hitherto.NotFoundError, LookupError)


KEYS = {"hospitalization_id": ["22595853"]}

Call = Callable[[hitherto.Store, pa.Table], object]

REFUSED: dict[str, tuple[Call, type[hitherto.Error], str]] = {
    "unknown_service": (
        lambda store, spine: store.lookup(KEYS, service="deterioration_v9"),
        hitherto.NotFoundError,
        'did you mean "deterioration_v1"',
    ),
    "unknown_view": (
        lambda store, spine: store.training_set(spine, ["lactat:*"]),
        hitherto.NotFoundError,
        'did you mean "lactate"',
    ),
    "unknown_feature": (
        lambda store, spine: store.training_set(spine, ["lactate:lactate"]),
        hitherto.NotFoundError,
        "lactate_mmol_l",
    ),
    "malformed_feature": (
        lambda store, spine: store.lookup(KEYS, ["lactate"]),
        hitherto.InvalidError,
        "view:feature",
    ),
    "neither_features_nor_service": (
        lambda store, spine: store.training_set(spine),
        hitherto.InvalidError,
        "either features",
    ),
    "features_and_service": (
        lambda store, spine: store.lookup(KEYS, ["lactate:*"], service="deterioration_v1"),
        hitherto.InvalidError,
        "either features",
    ),
    "features_as_text": (
        lambda store, spine: store.lookup(KEYS, "lactate:*"),
        hitherto.InvalidError,
        r"write \['lactate:\*'\]",
    ),
    "missing_times": (
        lambda store, spine: store.training_set(spine, ["lactate:*"], timestamp="event_time"),
        hitherto.InvalidError,
        "event_timestamp",
    ),
    "missing_key": (
        lambda store, spine: store.training_set(
            spine.drop_columns("hospitalization_id"), ["lactate:*"]
        ),
        hitherto.InvalidError,
        "hospitalization_id",
    ),
    "key_of_another_type": (
        lambda store, spine: store.training_set(
            spine.set_column(0, "hospitalization_id", pa.array(range(spine.num_rows))),
            ["lactate:*"],
        ),
        hitherto.InvalidError,
        "string",
    ),
    "unknown_join_key": (
        lambda store, spine: store.lookup({"stay": ["1"]}, ["lactate:*"]),
        hitherto.InvalidError,
        "hospitalization_id",
    ),
    "lists_of_different_lengths": (
        lambda store, spine: store.lookup(
            {"hospitalization_id": ["1"], "patient_id": []}, service="deterioration_v1"
        ),
        hitherto.InvalidError,
        "patient_id",
    ),
    "as_of_before_history": (
        lambda store, spine: store.lookup(KEYS, ["lactate:*"], as_of="1999-01-01"),
        hitherto.InvalidError,
        "history",
    ),
    "unknown_known": (
        lambda store, spine: store.training_set(spine, ["lactate:*"], known="no"),  # type: ignore[arg-type]
        hitherto.InvalidError,
        "honor",
    ),
    "no_arrow": (
        lambda store, spine: store.training_set([1, 2, 3], ["lactate:*"]),  # type: ignore[arg-type]
        hitherto.InvalidError,
        "and not list",
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_a_refusal_is_the_same_on_both_stores(
    store: hitherto.Store, spine: pa.Table, case: str
) -> None:
    call, error, message = REFUSED[case]
    with pytest.raises(error, match=message) as caught:
        call(store, spine)
    assert caught.value.kind == error.kind


def test_connecting_to_nothing(tmp_path: Path) -> None:
    with pytest.raises(hitherto.NotFoundError, match="no repository"):
        hitherto.connect(tmp_path / "nowhere")
    with pytest.raises(hitherto.NotFoundError, match="no store"):
        hitherto.connect(tmp_path, read_only=True)
    with pytest.raises(hitherto.InvalidError, match="scheme"):
        hitherto.connect("redis://localhost")
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        port = unused.getsockname()[1]
    with pytest.raises(hitherto.UnavailableError):
        store = hitherto.connect(f"http://127.0.0.1:{port}")
        store.lookup(KEYS, ["lactate:*"])


def test_a_second_process_may_not_write(embedded: hitherto.Store, repository: Path) -> None:
    script = f"import hitherto\ntry: hitherto.connect({str(repository)!r})\n" + (
        "except hitherto.ConflictError as error: print(error)"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert "in use" in done.stdout, done.stderr


def test_a_spine_that_breaks_off(store: hitherto.Store, spine: pa.Table) -> None:
    def batches() -> object:
        yield from spine.slice(0, 10).to_batches()
        raise RuntimeError("the disk is gone")

    broken = pa.RecordBatchReader.from_batches(spine.schema, batches())
    with pytest.raises(hitherto.InvalidError, match="the disk is gone"):
        store.training_set(broken, ["lactate:*"]).to_arrow()
