"""Explanations: the same on both stores, and of the training row's value."""

from __future__ import annotations

import datetime as dt

import hitherto
import pyarrow as pa
import pytest

VIEW, FEATURE = "creatinine", "creatinine_mg_dl"


@pytest.fixture(scope="session")
def late(embedded: hitherto.Store, joined: pa.Table) -> dict[str, object]:
    """A training row at whose moment a result was drawn and not released."""
    for row in joined.to_pylist():
        if row[f"{VIEW}:{FEATURE}"] is None:
            continue
        keys = {"hospitalization_id": row["hospitalization_id"]}
        if embedded.why(VIEW, keys, at=row["event_timestamp"]).counts["not_yet_known"]:
            return row
    raise AssertionError("no row of the spine has a late result")


def test_the_answer_is_the_training_rows(store: hitherto.Store, late: dict[str, object]) -> None:
    at = late["event_timestamp"]
    assert isinstance(at, dt.datetime)
    why = store.why(VIEW, {"hospitalization_id": late["hospitalization_id"]}, at=at)
    assert why.answer is not None and why.absence is None
    assert why.answer["values"] == {FEATURE: late[f"{VIEW}:{FEATURE}"]}
    assert why.answer["event_time"] <= why.answer["known_time"] <= at == why.at

    unknown = [fact for fact in why.candidates if fact["verdict"] == "not_yet_known"]
    assert unknown and all(fact["event_time"] <= at < fact["known_time"] for fact in unknown)
    assert all(fact["missed_by"] == fact["known_time"] - at for fact in unknown)
    events = [fact["event_time"] for fact in why.candidates]
    assert events == sorted(events, reverse=True)
    assert why.online["agrees"] and why.online["values"] == why.answer["values"]
    assert set(why.to_dict()) >= {"view", "keys", "at", "answer", "candidates", "online"}
    assert "not known until" in str(why) and "online: the same" in repr(why)


def test_both_stores_explain_alike(
    embedded: hitherto.Store, remote: hitherto.Store, late: dict[str, object]
) -> None:
    keys, at = {"hospitalization_id": late["hospitalization_id"]}, late["event_timestamp"]
    for known in ("honor", "ignore"):
        ours, theirs = (
            store.why(VIEW, keys, at=at, known=known)  # type: ignore[arg-type]
            for store in (embedded, remote)
        )
        assert ours.to_dict() == theirs.to_dict()
        assert str(ours) == str(theirs)


def test_a_cutoff_hides_what_became_known_later(
    store: hitherto.Store, late: dict[str, object]
) -> None:
    keys, at = {"hospitalization_id": late["hospitalization_id"]}, late["event_timestamp"]
    cut = store.why(VIEW, keys, at=at, known_by="1999-01-01")  # type: ignore[arg-type]
    assert cut.answer is None and cut.absence == "not_yet_known"
    assert {fact["verdict"] for fact in cut.candidates} >= {"after_cutoff"}
    assert cut.online == {"state": "not_asked"}


def test_nobody_has_reasons_too(store: hitherto.Store) -> None:
    for key, absence in (("nobody", "never_seen"), (None, "null_key")):
        why = store.why(VIEW, {"hospitalization_id": key}, at="2180-01-01")
        assert (why.answer, why.absence, why.candidates) == (None, absence, [])
        assert why.online["agrees"]


def test_wrong_questions_are_told_what_is_wrong(store: hitherto.Store) -> None:
    with pytest.raises(hitherto.NotFoundError, match="did you mean"):
        store.why("creatinin", {"hospitalization_id": "x"})
    with pytest.raises(hitherto.InvalidError, match="missing"):
        store.why(VIEW, {})
    with pytest.raises(hitherto.InvalidError, match="honor"):
        store.why(VIEW, {"hospitalization_id": "x"}, known="maybe")  # type: ignore[arg-type]
