"""What notebooks show: whole HTML, escaped, and nothing is run for it."""

from __future__ import annotations

import datetime as dt
import re
import xml.etree.ElementTree as ElementTree
from pathlib import Path
from typing import Any

import hitherto
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from conftest import SERVICE, Repository
from hitherto import _html, _timeline
from hitherto._leakage import Leakage

EVIL = "<script>alert('x')</script>&\""


def parsed(html: str) -> ElementTree.Element:
    """The tree of what is shown: it must be well formed, and no script."""
    assert "<script" not in html
    return ElementTree.fromstring(html)


def cells(html: str) -> list[list[str]]:
    rows = parsed(html).iter("tr")
    return [["".join(cell.itertext()) for cell in row] for row in rows]


def test_pieces_are_escaped() -> None:
    html = _html.block(EVIL, _html.note(EVIL), _html.table([EVIL], [[EVIL], [_html.Dim(EVIL)]]))
    assert "&lt;script&gt;" in html
    assert cells(html) == [[EVIL], [EVIL], [EVIL]]
    # Also where a long text is cut.
    cut = _html.text("x" * (_html.CELL_CHARS_MAX - 2) + "<" * 9)
    assert cut.endswith("&lt;…") and "<" not in cut
    assert cells(_html.table(["n"], [[1234567], [True], [None]])) == [
        ["n"],
        ["1,234,567"],
        ["True"],
        ["None"],
    ]


def test_a_store_shows_its_views(store: hitherto.Store) -> None:
    shown = cells(store._repr_html_())
    assert shown[0][:2] == ["view", "entity"] and len(shown) == 17
    [lactate] = [row for row in shown if row[0] == "lactate"]
    assert lactate[1:4] == ["stay", "lactate_mmol_l", "12h"] and int(lactate[4]) > 0


def test_a_store_that_cannot_answer_is_shown_all_the_same(repository: Path) -> None:
    store = hitherto.connect(repository, read_only=True)
    store.close()
    html = store._repr_html_()
    assert "closed" in html and parsed(html) is not None


def test_a_plan_shows_its_changes(small: Repository) -> None:
    moment = dt.datetime(2024, 1, 1, tzinfo=dt.timezone.utc)
    facts = pa.table({"id": [1], "e": [moment], "value": [1]})
    small.write(facts, keys={"id": "int64"}, features={"value": "int64"})
    with hitherto.connect(small.root) as store:
        shown = cells(store.plan()._repr_html_())
        assert [row[:3] for row in shown[1:]] == [
            ["create", "Entity", "thing"],
            ["create", "FeatureView", "facts"],
        ]
        store.apply()
        assert len(cells(store.plan()._repr_html_())) == 1
        # Applied, and nothing online.
        assert cells(store._repr_html_())[1][-2:] == ["not online", ""]


def test_a_training_set_shows_its_schema_and_does_not_run(
    store: hitherto.Store, spine: pa.Table
) -> None:
    rows = store.training_set(spine, service=SERVICE)
    html = rows._repr_html_()
    assert "not collected" in html
    shown = cells(html)
    assert [row[0] for row in shown[1:]] == rows.column_names
    assert ["lactate_mmol_l", "double"] in shown
    assert rows._native.rows is None
    rows.to_arrow()
    assert "8139 rows" in rows._repr_html_()


def test_names_of_a_spine_are_escaped(embedded: hitherto.Store, spine: pa.Table) -> None:
    evil = spine.append_column(EVIL, pa.array([EVIL] * spine.num_rows))
    shown = cells(embedded.training_set(evil, ["lactate:*"])._repr_html_())
    assert [EVIL, "string"] in shown


def test_leakage_is_read_off_the_report(store: hitherto.Store, spine: pa.Table) -> None:
    rows = store.training_set(spine, ["lactate:*", "creatinine:*", "patient_attributes:*"])
    with pytest.raises(hitherto.InvalidError, match="to its end"):
        rows.leakage()
    rows.to_arrow()
    leakage = rows.leakage()
    assert leakage.views == {"lactate": 14, "creatinine": 719, "patient_attributes": 0}
    assert leakage and leakage.rows == 8139 and leakage.rate == leakage.leaky_rows / 8139
    assert str(leakage).startswith(f"{leakage.leaky_rows} of 8,139 rows (8.")
    assert "  creatinine                719    8.8%" in str(leakage)
    assert cells(leakage._repr_html_())[2] == ["creatinine", "719", "8.8%", "no"]
    nothing = Leakage({"rows": 0, "leaky_rows": 0, "views": [{"view": EVIL, "leaks": 0}]})
    assert not nothing and nothing.rate == 0.0
    assert cells(nothing._repr_html_())[1] == [EVIL, "0", "-", "no"]


def test_a_lookup_shows_statuses_where_there_is_no_value(small: Repository) -> None:
    moment = dt.datetime(2024, 1, 1, tzinfo=dt.timezone.utc)
    facts = pa.table({"id": [EVIL], "e": [moment], "value": [EVIL]})
    small.write(facts, keys={"id": "string"}, features={"value": "string"})
    with hitherto.connect(small.root) as store:
        store.apply()
        store.materialize()
        found = store.lookup({"id": [EVIL, None] + ["x"] * 40}, ["facts:*"])
    html = found._repr_html_()
    shown = cells(html)
    assert shown[:3] == [["id", "facts:value"], [EVIL, EVIL], ["None", "NOT_FOUND"]]
    assert len(shown) == 1 + _html.ROWS_MAX and "and 22 more" in html


def fact(event: int, known: int | None, verdict: str, value: object = 1) -> dict[str, Any]:
    epoch = dt.datetime(2024, 1, 1, tzinfo=dt.timezone.utc)
    hours = dt.timedelta(hours=1)
    return {
        "event_time": epoch + event * hours,
        "known_time": None if known is None else epoch + known * hours,
        "verdict": verdict,
        "values": {"value": value},
    }


def marks(svg: str) -> dict[str, list[float]]:
    """Where the circles are, by what they mark."""
    found: dict[str, list[float]] = {"event": [], "known": []}
    for circle in parsed(svg).iter("{http://www.w3.org/2000/svg}circle"):
        found[circle.attrib["class"]].append(float(circle.attrib["cx"]))
    return found


def test_a_timeline_is_to_scale() -> None:
    at = dt.datetime(2024, 1, 1, 6, tzinfo=dt.timezone.utc)
    facts = [fact(5, 10, "not_yet_known"), fact(2, 3, "answers"), fact(0, None, "not_yet_known")]
    svg = _timeline.draw(at, (at - dt.timedelta(hours=5), at), facts)
    left, right = _timeline.LEFT, _timeline.WIDTH - _timeline.RIGHT
    hour = (right - left) / 10
    where = marks(svg)
    assert where["event"] == pytest.approx([left + 5 * hour, left + 2 * hour, left], abs=0.1)
    # Nobody can say when the last was known.
    assert where["known"] == pytest.approx([right, left + 3 * hour], abs=0.1)
    tree = parsed(svg)
    [asked] = [each for each in tree.iter() if each.attrib.get("class") == "asked"]
    assert float(asked.attrib["x1"]) == pytest.approx(left + 6 * hour, abs=0.1)
    [counted] = [each for each in tree.iter() if each.attrib.get("class") == "counted"]
    assert float(counted.attrib["x"]) == pytest.approx(left + hour, abs=0.1)
    assert float(counted.attrib["width"]) == pytest.approx(5 * hour, abs=0.2)
    opaque = [each.attrib["class"] for each in tree.iter() if each.attrib.get("opacity") == "1"]
    assert opaque == ["answers"]


def test_facts_of_next_week_leave_room_for_this_hours() -> None:
    at = dt.datetime(2024, 1, 1, 6, tzinfo=dt.timezone.utc)
    facts = [
        fact(200, 201, "not_yet_happened"),
        fact(5, 10, "not_yet_known"),
        fact(0, 1, "answers"),
    ]
    left, right = _timeline.LEFT, _timeline.WIDTH - _timeline.RIGHT
    where = marks(_timeline.draw(at, None, facts))
    assert where["event"] == pytest.approx([right, (left + right) / 2, left], abs=0.1)
    assert where["known"][:2] == [right, right]


def test_a_timeline_of_one_moment_and_of_evil_values() -> None:
    at = dt.datetime(2024, 1, 1, tzinfo=dt.timezone.utc)
    svg = _timeline.draw(at, None, [fact(0, 0, "answers", EVIL)])
    assert marks(svg)["event"] == [_timeline.LEFT]
    assert "&lt;script&gt;" in svg
    # A ttl of ages begins where the line does.
    ages = ("-1000000000000000us", at)
    assert parsed(_timeline.draw(at, ages, [fact(0, 1, "answers")])) is not None


def test_why_draws_what_it_says(store: hitherto.Store, joined: pa.Table) -> None:
    row = next(row for row in joined.to_pylist() if row["creatinine:creatinine_mg_dl"])
    keys = {"hospitalization_id": row["hospitalization_id"]}
    why = store.why("creatinine", keys, at=row["event_timestamp"])
    html = why._repr_html_()
    assert len(marks(html)["event"]) == len(why.candidates)
    shown = cells(html)
    assert len(shown) == 1 + len(why.candidates)
    assert [row[3] for row in shown[1:] if row[3] == "answers"] == ["answers"]
    assert "online: the same" in html
    nothing = store.why("creatinine", {"hospitalization_id": EVIL}, at=row["event_timestamp"])
    assert not re.search("<svg", nothing._repr_html_())
    assert "there is no fact of it" in nothing._repr_html_()


def test_a_view_of_a_server_shows_evil_text_as_text(small: Repository) -> None:
    moment = dt.datetime(2024, 1, 1, tzinfo=dt.timezone.utc)
    (small.root / "data").mkdir(parents=True)
    pq.write_table(
        pa.table({"id": [1], "e": [moment], "v": [EVIL]}), small.root / "data" / "0.parquet"
    )
    small.root.joinpath("definitions.yaml").write_text(
        "apiVersion: hitherto/v1\nkind: Entity\nmetadata: { name: thing }\n"
        "spec: { keys: [{ name: id, type: int64 }] }\n---\n"
        "apiVersion: hitherto/v1\nkind: FeatureView\nmetadata: { name: facts }\n"
        "spec:\n  entity: thing\n  source: { parquet: data, eventTime: e }\n"
        "  features: [{ name: v, type: string }]\n"
    )
    with hitherto.connect(small.root) as store:
        store.apply()
        html = store.why("facts", {"id": 1})._repr_html_()
    assert EVIL in [cell for row in cells(html) for cell in row]
