"""The rule of point-in-time joins, as DuckDB queries.

For a view, an entity key, a time ``t`` and a knowledge cutoff ``K`` the answer
is the fact with

    e <= t   and   n <= min(t, K)   and   e >= t - ttl

that is the greatest by ``(e, n, row bytes)``; a deletion answers null. DuckDB's
own ASOF JOIN has one inequality and cannot say this: a fact that becomes known
late is not the newest one. So the rule is written here twice, and the two forms
judge each other before they judge anything else:

``judge_by_window``   sorts facts and spine together, n log n; for large data
``judge_by_pairs``    the definition as an inequality join, every fact of a key
                      beside every spine row of it; for small data

Nothing is shared with Hitherto but Parquet files. Both read the facts of a view
through SQL and leave the same table behind:

    answers   place          the spine row, from 0 in the file's order
              is_present     whether a fact answers
              is_leak        whether a join on event time alone would have
                             answered with a fact that was not known at t
              features...    null unless a fact answers

All times are microseconds UTC in BIGINT: no calendar takes part.
"""

from __future__ import annotations

from dataclasses import dataclass

import duckdb

# Bytes of a feature's slot in an encoded row. A string's slot holds an offset
# and a length, both u32.
SLOT_BYTES = {
    "bool": 1,
    "int8": 1,
    "uint8": 1,
    "int16": 2,
    "uint16": 2,
    "int32": 4,
    "uint32": 4,
    "float32": 4,
    "int64": 8,
    "uint64": 8,
    "float64": 8,
    "string": 8,
    "binary": 8,
}
HEADER_BYTES = 20

SQL_TYPES = {
    "int8": "TINYINT",
    "uint8": "UTINYINT",
    "int16": "SMALLINT",
    "uint16": "USMALLINT",
    "int32": "INTEGER",
    "uint32": "UINTEGER",
    "int64": "BIGINT",
    "uint64": "UBIGINT",
    "float32": "FLOAT",
    "float64": "DOUBLE",
}


@dataclass(frozen=True)
class View:
    """A feature view, as the judge sees it.

    ``facts`` is DuckDB SQL that returns the key columns, ``e`` and ``n``
    (BIGINT, microseconds UTC), the features, and, if ``has_deletions``, a
    column ``deleted``. Rows with a null in a key, ``e`` or ``n`` are no facts.
    The names e, n, t, place, ordinal, deleted and those of the table
    ``answers`` are the judge's own.
    """

    name: str
    keys: tuple[str, ...]
    #: Name to type, as in a definition; in declared order.
    features: dict[str, str]
    facts: str
    ttl_micros: int | None = None
    has_deletions: bool = False


def open_judge(memory: str = "2GB", threads: int = 2) -> duckdb.DuckDBPyConnection:
    """A DuckDB of its own, bounded in memory, in UTC."""
    connection = duckdb.connect()
    connection.execute("SET TimeZone = 'UTC'")
    connection.execute(f"SET memory_limit = '{memory}'")
    connection.execute(f"SET threads = {threads}")
    return connection


def quote(text: str) -> str:
    """A string literal of SQL."""
    return "'" + text.replace("'", "''") + "'"


def _list(columns: tuple[str, ...] | dict[str, str], table: str = "") -> str:
    return ", ".join(f'{table}"{column}"' for column in columns)


def write_answers(connection: duckdb.DuckDBPyConnection, path: str) -> None:
    """Writes the table ``answers`` to a Parquet file, in the spine's order."""
    connection.execute(f"COPY (FROM answers ORDER BY place) TO {quote(path)} (FORMAT parquet)")


# --- Ties ---------------------------------------------------------------------


def row_bytes(view: View) -> str:
    """SQL for a fact's encoded row after its times, as text in hexadecimal.

    Facts of one key with equal ``e`` and ``n`` are ordered by their bytes. Up
    to the times those are equal except for one flag, so these decide:

        deletion | null bitmap, lowest bit first | slots, little endian | text

    A null's slot is zero. Hexadecimal digits sort as their bytes do.
    """
    types = list(view.features.items())
    unknown = sorted({kind for _, kind in types if kind not in SLOT_BYTES})
    if unknown:
        raise ValueError(f"{view.name}: the judge does not know the bytes of {unknown}")

    bitmap = []
    for first in range(0, len(types), 8):
        bits = [
            f'(("{name}" IS NULL)::INTEGER << {bit})'
            for bit, (name, _) in enumerate(types[first : first + 8])
        ]
        bitmap.append(f"format('{{:02X}}', {' + '.join(bits)})")

    at = str(HEADER_BYTES + len(bitmap) + sum(SLOT_BYTES[kind] for _, kind in types))
    slots, texts = [], []
    for name, kind in types:
        if kind in ("string", "binary"):
            length = f'strlen("{name}")' if kind == "string" else f'octet_length("{name}")'
            slot = f"{_little_endian(at, 'UINTEGER', 4)} || {_little_endian(length, 'UINTEGER', 4)}"
            at = f"{at} + coalesce({length}, 0)"
            texts.append(f"coalesce(hex(\"{name}\"), '')")
        elif kind == "bool":
            slot = _little_endian(f'"{name}"', "UTINYINT", 1)
        else:
            slot = _little_endian(f'"{name}"', SQL_TYPES[kind], SLOT_BYTES[kind])
        zeros = "00" * SLOT_BYTES[kind]
        slots.append(f"CASE WHEN \"{name}\" IS NULL THEN '{zeros}' ELSE {slot} END")

    flag = "CASE WHEN deleted THEN '01' ELSE '00' END" if view.has_deletions else "'00'"
    return " || ".join([flag, *bitmap, *slots, *texts])


def _little_endian(value: str, sql_type: str, width: int) -> str:
    """The bytes of a number in hexadecimal, lowest first."""
    big_endian = f"hex((({value})::{sql_type})::BIT::BLOB)"
    pairs = [f"substr({big_endian}, {2 * byte + 1}, 2)" for byte in reversed(range(width))]
    return f"({' || '.join(pairs)})"


def is_known_to_the_byte(view: View) -> bool:
    """Whether :func:`row_bytes` can order every tie of the view."""
    return all(kind in SLOT_BYTES for kind in view.features.values())


def ties_with_different_values(connection: duckdb.DuckDBPyConnection, view: View) -> int:
    """How many (key, e, n) have facts of different values: bytes must decide.
    Among facts that are never known nothing has to be decided."""
    query = f"""
        SELECT count(*) FROM (
            SELECT 1 FROM (SELECT DISTINCT * FROM ({_facts(view)}) WHERE n < {NEVER})
            GROUP BY {_list(view.keys)}, e, n HAVING count(*) > 1)
    """
    [(ties,)] = connection.execute(query).fetchall()
    return int(ties)


# --- The rule -----------------------------------------------------------------

#: The known time of a fact that has none: nobody can say when it was known.
NEVER = 2**63 - 1


def _facts(view: View) -> str:
    keys = " AND ".join(f'"{key}" IS NOT NULL' for key in view.keys)
    deleted = "deleted" if view.has_deletions else "false AS deleted"
    return f"""
        SELECT {_list(view.keys)}, e, coalesce(n, {NEVER}) AS n, {_list(view.features)}, {deleted}
        FROM ({view.facts})
        WHERE e IS NOT NULL AND {keys}
    """


def _spine(view: View, spine: str, timestamp: str) -> str:
    return f"""
        SELECT file_row_number AS place, {_list(view.keys)}, epoch_us("{timestamp}") AS t
        FROM read_parquet({quote(spine)}, file_row_number = true)
    """


def judge_by_window(
    connection: duckdb.DuckDBPyConnection,
    view: View,
    spine: str,
    known_by: int | None = None,
    timestamp: str = "event_timestamp",
) -> None:
    """Answers every row of a spine file with one sort and a running maximum.

    A fact is visible from ``v = max(e, n)`` on and stays so, hence "e <= t and
    n <= t" is "v <= t". First every fact gets its place in the order of the
    rule, its *ordinal*. Then facts (at v) and spine rows (at t) of a key stand
    in one line by time, and the answer to a spine row is the greatest ordinal
    before it. Facts come before spine rows of the same microsecond, as bounds
    are inclusive.

    The ttl is tested on the winner alone. The winner has the greatest ``e`` of
    all visible facts; if even that is before ``t - ttl``, so are all others,
    and if it is not, no older fact could have won. The pairs below test the ttl
    on every fact, so they check this argument too.

    A leak is found by a second line in which facts stand at ``e``, known or
    not, whatever ``K`` is.

    Besides the columns that both forms have, ``answers`` says in ``status`` why
    nothing answers.
    """
    # Row bytes are long and ties are few: only ties are encoded.
    tie = row_bytes(view) if is_known_to_the_byte(view) else "NULL"
    if tie == "NULL" and ties_with_different_values(connection, view):
        raise ValueError(f"{view.name}: bytes would have to decide, and the judge has none")
    connection.execute(f"""
        CREATE OR REPLACE TEMP TABLE facts AS
        SELECT row_number() OVER (ORDER BY e, n, CASE WHEN is_tie THEN {tie} END) AS ordinal,
               * EXCLUDE (is_tie)
        FROM (SELECT *, count(*) OVER (PARTITION BY {_list(view.keys)}, e, n) > 1 AS is_tie
              FROM ({_facts(view)}))
    """)
    connection.execute(f"CREATE OR REPLACE TEMP TABLE spine AS {_spine(view, spine, timestamp)}")
    cutoff = "true" if known_by is None else f"n <= {known_by}"
    _running_winner(connection, view, "winners", "greatest(e, n)", cutoff)
    _running_winner(connection, view, "event_winners", "e", "true")

    is_null_key = " OR ".join(f'spine."{key}" IS NULL' for key in view.keys)
    in_time = "true" if view.ttl_micros is None else "{}.e >= t - " + str(view.ttl_micros)
    features = "".join(
        f', CASE WHEN status = \'present\' THEN "{name}" END AS "{name}"' for name in view.features
    )
    connection.execute(f"""
        CREATE OR REPLACE TEMP TABLE answers AS
        SELECT place, status = 'present' AS is_present, is_leak, status {features}
        FROM (
            SELECT place,
                   coalesce(naive.n > t AND {in_time.format("naive")}, false) AS is_leak,
                   CASE WHEN {is_null_key} THEN 'null_key'
                        WHEN winner.e IS NULL AND naive.e IS NOT NULL THEN 'not_yet_known'
                        WHEN winner.e IS NULL THEN 'never_seen'
                        WHEN winner.deleted THEN 'deleted'
                        WHEN {in_time.format("winner")} THEN 'present'
                        ELSE 'expired' END AS status,
                   {_list(view.features, "winner.")}
            FROM spine
            JOIN winners USING (place)
            JOIN event_winners USING (place)
            LEFT JOIN facts AS winner ON winner.ordinal = winners.ordinal
            LEFT JOIN facts AS naive ON naive.ordinal = event_winners.ordinal
        )
    """)


def _running_winner(
    connection: duckdb.DuckDBPyConnection, view: View, table: str, visible_from: str, cutoff: str
) -> None:
    keys = _list(view.keys)
    # Null keys share a line with each other, in which there is no fact.
    connection.execute(f"""
        CREATE OR REPLACE TEMP TABLE {table} AS
        WITH line AS (
            SELECT {keys}, {visible_from} AS moment, 0 AS turn, ordinal, NULL AS place
            FROM facts WHERE {cutoff}
            UNION ALL
            SELECT {keys}, t, 1, NULL, place FROM spine
        )
        SELECT place, ordinal FROM (
            SELECT place, max(ordinal) OVER (
                       PARTITION BY {keys} ORDER BY moment, turn
                       ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW) AS ordinal
            FROM line)
        WHERE place IS NOT NULL
    """)


def judge_by_pairs(
    connection: duckdb.DuckDBPyConnection,
    view: View,
    spine: str,
    known_by: int | None = None,
    timestamp: str = "event_timestamp",
) -> None:
    """Answers every row of a spine file by the definition, word for word.

    Time and memory grow with the facts of a key times its spine rows.
    """
    same_key = " AND ".join(f'spine."{key}" = facts."{key}"' for key in view.keys)
    not_expired = "true" if view.ttl_micros is None else f"e >= t - {view.ttl_micros}"
    known = "n <= t" if known_by is None else f"n <= least(t, {known_by})"
    tie = row_bytes(view) if is_known_to_the_byte(view) else "NULL"
    features = "".join(
        f', CASE WHEN NOT deleted THEN "{name}" END AS "{name}"' for name in view.features
    )
    connection.execute(f"""
        CREATE OR REPLACE TEMP TABLE answers AS
        WITH facts AS MATERIALIZED (SELECT *, {tie} AS bytes FROM ({_facts(view)})),
        spine AS MATERIALIZED ({_spine(view, spine, timestamp)}),
        answering AS (
            SELECT place, coalesce(NOT deleted, false) AS is_present {features}
            FROM spine LEFT JOIN facts
                 ON {same_key} AND e <= t AND {known} AND {not_expired}
            QUALIFY row_number() OVER (
                PARTITION BY place ORDER BY e DESC, n DESC, bytes DESC) = 1
        ),
        on_event_time AS (
            SELECT place, coalesce(n > t, false) AS is_leak
            FROM spine LEFT JOIN facts ON {same_key} AND e <= t AND {not_expired}
            QUALIFY row_number() OVER (PARTITION BY place ORDER BY e DESC, n DESC) = 1
        )
        SELECT place, is_present, is_leak, answering.* EXCLUDE (place, is_present)
        FROM answering JOIN on_event_time USING (place)
    """)
