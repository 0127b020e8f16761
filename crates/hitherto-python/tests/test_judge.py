"""DuckDB judges the joins on the real data: another engine, written from the
rule, with nothing shared but the Parquet files."""

from __future__ import annotations

import duckdb
import hitherto
import pyarrow as pa
import pytest
from conftest import ICU

# The facts of a view: stay, event time e, known time n, value v; and its ttl.
VIEWS = {
    "creatinine": (
        "creatinine_mg_dl",
        36,
        """SELECT hospitalization_id AS stay, lab_collect_dttm AS e, lab_result_dttm AS n,
                  lab_value_numeric AS v
           FROM read_parquet($data || '/clif_labs.parquet')
           WHERE lab_category = 'creatinine' AND lab_value_numeric IS NOT NULL""",
    ),
    "heart_rate": (
        "heart_rate_bpm",
        4,
        """SELECT hospitalization_id AS stay, recorded_dttm AS e,
                  recorded_dttm + INTERVAL 1 HOUR AS n, vital_value AS v
           FROM read_parquet($data || '/clif_vitals.parquet')
           WHERE vital_category = 'heart_rate' AND vital_value BETWEEN 0 AND 300""",
    ),
}

# The one rule, for every spine row: of the facts with e <= t, n <= t and
# e >= t - ttl the greatest by (e, n). Bytes never have to decide in these two.
RULE = """
WITH facts AS ({facts}),
     spine AS (SELECT row_number() OVER () AS place, hospitalization_id AS stay,
                      event_timestamp AS t
               FROM read_parquet($spine))
SELECT place, first(v ORDER BY e DESC, n DESC) FILTER (v IS NOT NULL) AS v
FROM spine LEFT JOIN facts
     ON spine.stay = facts.stay AND e <= t AND n <= t AND e >= t - to_hours({ttl})
GROUP BY place ORDER BY place
"""

TIES = "SELECT count(*) FROM (SELECT 1 FROM ({facts}) GROUP BY stay, e, n HAVING count(*) > 1)"


@pytest.mark.parametrize("view", VIEWS)
def test_duckdb_finds_the_same_value_in_every_row(
    embedded: hitherto.Store, spine: pa.Table, view: str
) -> None:
    feature, ttl, facts = VIEWS[view]
    connection = duckdb.connect()
    connection.execute("SET TimeZone = 'UTC'")
    data = {"data": str(ICU / "data")}
    [(ties,)] = connection.execute(TIES.format(facts=facts), data).fetchall()
    assert ties == 0, "bytes would have to decide"

    everything = {**data, "spine": str(ICU / "spine.parquet")}
    judged = connection.execute(RULE.format(facts=facts, ttl=ttl), everything).fetchall()
    expected = [value for _, value in judged]
    found = embedded.training_set(spine, [f"{view}:*"]).to_arrow()[feature].to_pylist()

    assert len(expected) == len(found) == 8139
    different = [place for place in range(8139) if expected[place] != found[place]]
    assert different == []
    assert 2000 < sum(value is not None for value in found) < 8139
