"""Features for a model that is served: refused where definitions differ, and where a
status is not allowed; otherwise the training row."""

from __future__ import annotations

import asyncio
import datetime as dt
import json
import shutil
from collections.abc import Callable, Iterator
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import hitherto
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hitherto import Entity, FeatureService, FeatureView, Field, Online, Source
from hitherto.serving import Features, StatusPolicy, contract

NOW = "2030-01-02T00:00:00Z"
TIMES = pa.timestamp("us", "UTC")

#: One fact a day before now, and one two hours before; of stay 3 a null, of 4 only the old.
FACTS = pa.table(
    {
        "stay": ["1", "2", "3", "4", "1"],
        "sibling": ["1", "2", "3", "4", "1"],
        "number": pa.array([1, 2, 3, 4, 1], pa.int64()),
        "at": pa.array([1893535200000000] * 3 + [1893456000000000] * 2, TIMES),
        "known": pa.array([1893538800000000] * 3 + [1893459600000000] * 2, TIMES),
        "lactate": [1.1, 2.2, None, 4.4, 0.1],
        "ph": pa.array([7.1, 7.2, 7.3, 7.4, 0.1], pa.float32()),
        "ph_again": pa.array([7.1, 7.2, 7.3, 7.4, 0.1], pa.float32()),
        "ph_wide": [7.1, 7.2, 7.3, 7.4, 0.1],
        "count": pa.array([10, 20, 30, 40, 2**60 + 1], pa.int64()),
        "is_art": [True, False, True, None, None],
        "dose": pa.array(
            [Decimal("0.0787922"), Decimal("-12.5"), None, Decimal(4), Decimal(5)],
            pa.decimal128(20, 7),
        ),
        "ward": ["a", "b", None, "d", "a"],
        "gone": [False] * 5,
    }
)

STAY = Entity("stay", [Field("stay", "string")])

LABS = FeatureView(
    "labs",
    Source("labs.parquet", "at", known_time="known"),
    [
        Field("lactate", "float64"),
        Field("ph", "float32"),
        Field("count", "int64"),
        Field("is_art", "bool"),
        Field("dose", "decimal128(20, 7)"),
    ],
    entity="stay",
    ttl="12h",
    online=Online(history="7d"),
)

WARD = FeatureView(
    "ward", Source("labs.parquet", "at", delay="1h"), [Field("ward", "string", default="none")],
    entity="stay", online=Online(history="7d"),
)  # fmt: skip

SERVICE = FeatureService("risk", ["labs:*", "ward:ward"])

Definitions = list[Any]


def changed(view: FeatureView, **fields: Any) -> Definitions:
    """The definitions with another `view`."""
    found = replace(view, **fields)
    return [STAY, *(found if each.name == view.name else each for each in (LABS, WARD)), SERVICE]


def of_source(view: FeatureView, **fields: Any) -> Definitions:
    return changed(view, source=replace(view.source, **fields))


def of_feature(view: FeatureView, name: str, column: str = "", **fields: Any) -> Definitions:
    features = [replace(each, **fields) if each.name == name else each for each in view.features]
    columns = {name: column} if column else {}
    return changed(view, features=features, source=replace(view.source, columns=columns))


FEW = FeatureService("risk", ["labs:ph", "ward:ward"])
SQL = "SELECT * FROM source WHERE lactate < 3"

#: What was changed, and what an error has to say of it.
CHANGES: dict[str, tuple[Definitions, str]] = {
    "a longer ttl": (changed(LABS, ttl="24h"), "labs.*ttl: 12h in training .*, 1d here"),
    "no ttl": (changed(LABS, ttl=None), "labs.*ttl: 12h in training .*, none here"),
    "a first ttl": (changed(WARD, ttl="1d"), "ward.*ttl: none in training .*, 1d here"),
    "known time ignored": (changed(LABS, known="ignore"), "labs.*known: honor .* ignore here"),
    "another event time": (of_source(LABS, event_time="known"), "labs.*source.event_time"),
    "another known time": (of_source(LABS, known_time="at"), "labs.*source.known_time"),
    "no known time": (of_source(LABS, known_time=None), "labs.*known_time: known .* none here"),
    "a longer delay": (of_source(WARD, delay="2h"), "ward.*source.delay: 1h .* 2h here"),
    "no delay": (of_source(WARD, delay=None), "ward.*source.delay: 1h .* 0s here"),
    "another file": (of_source(LABS, parquet="other.parquet"), "labs.parquet .* other.parquet"),
    "a query": (of_source(LABS, sql=SQL), "labs.*source.sql: none .* SELECT"),
    "deletions": (of_source(LABS, deleted="gone"), "labs.*source.deleted: none .* gone here"),
    "another column": (of_source(LABS, columns={"ph": "ph_again"}), "source.columns.ph"),
    "a wider type": (
        of_feature(LABS, "ph", "ph_wide", type="float64"), "features.ph: float32 .* float64 here"
    ),
    "a text": (of_feature(LABS, "count", "ward", type="string"), "features.count: int64 .* string"),
    "a default": (of_feature(LABS, "count", default="0"), "defaults.count: none .* 0 here"),
    "no default": (of_feature(WARD, "ward", default=None), "defaults.ward: none|ward.*none here"),
    "another default": (of_feature(WARD, "ward", default="?"), "defaults.ward"),
    "a feature more": (
        changed(LABS, features=[*LABS.features, Field("gone", "bool")]), "features.gone: none"
    ),
    "a feature less": (
        [STAY, replace(LABS, features=LABS.features[1:]), WARD, FEW],
        'feature view "labs" has no feature "lactate"',
    ),
    "another order": (changed(LABS, features=LABS.features[::-1]), "labs.*another order"),
    "another entity": (
        [*changed(WARD, entity="sibling"), Entity("sibling", [Field("stay", "string")])],
        "ward.*entity: stay .* sibling here",
    ),
    "a join key of another type": (
        [Entity("stay", [Field("stay", "int64")]),
         *(replace(each, source=replace(each.source, columns={"stay": "number"}))
           for each in (LABS, WARD)), SERVICE],
        "keys.stay: string .* int64 here",
    ),
    "a join key of another name": (
        [Entity("stay", [Field("sibling", "string")]), LABS, WARD, SERVICE], "keys.sibling: none"
    ),
    "a longer history": (changed(LABS, online=Online(history="8d")), "history: 7d .* 8d here"),
    "no view": ([STAY, WARD, FeatureService("risk", ["ward:ward"])], '"labs" is not applied here'),
}  # fmt: skip

ALLOWED: dict[str, Definitions] = {
    "words": changed(LABS, description="Of the blood.", owner="icu", tags={"phi": "true"}),
    "a feature's words": of_feature(LABS, "ph", description="Acidity."),
    "how much may change": changed(
        LABS, online=Online(history="7d", max_change=hitherto.MaxChange(entities="5%"))
    ),
    "another view": [
        *changed(LABS), replace(LABS, name="more", features=[Field("ph", "float32")])
    ],
    "another service": [*changed(LABS), FeatureService("other", ["labs:ph"])],
}  # fmt: skip


def apply(store: hitherto.Store, definitions: Definitions) -> None:
    store.apply(definitions=definitions)
    store.materialize(progress=False)


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[hitherto.Store, Any, Any]]:
    """A store, the rows that a model was trained on, and their contract."""
    root = tmp_path_factory.mktemp("serving")
    for name in ("labs", "other"):
        pq.write_table(FACTS, root / f"{name}.parquet")
    with hitherto.connect(root, now=NOW) as store:
        apply(store, changed(LABS))
        rows = store.training_set(at=NOW, service="risk")
        rows.to_arrow()
        yield store, rows, contract(store, rows)


@pytest.fixture
def store(trained: tuple[hitherto.Store, Any, Any], tmp_path: Path) -> Iterator[hitherto.Store]:
    """A copy of it, to change."""
    shutil.copytree(trained[0]._target, tmp_path / "copy", dirs_exist_ok=True)
    with hitherto.connect(tmp_path / "copy", now=NOW) as opened:
        yield opened


@pytest.mark.parametrize("change", CHANGES)
def test_a_changed_definition_is_refused(change: str, trained: Any, store: hitherto.Store) -> None:
    definitions, said = CHANGES[change]
    store.apply(definitions=definitions)
    with pytest.raises(hitherto.ConflictError, match=said) as refused:
        Features(store, trained[2])
    assert "train it again on what is applied here" in str(refused.value)
    # A manifest alone says it too, by the hash.
    with pytest.raises(hitherto.ConflictError, match=r"labs|ward"):
        Features(store, trained[1].manifest)


@pytest.mark.parametrize("change", ALLOWED)
def test_what_changes_no_answer_is_allowed(
    change: str, trained: Any, store: hitherto.Store
) -> None:
    features = Features(store, trained[2])
    apply(store, ALLOWED[change])
    features.check()
    for manifest in trained[1].manifest, trained[2]:
        assert len(Features(store, manifest).read({"stay": ["1"]})) == 1


def test_a_difference_can_be_a_warning(trained: Any, store: hitherto.Store) -> None:
    apply(store, changed(LABS, ttl="48h"))
    with pytest.warns(UserWarning, match="ttl: 12h in training"):
        features = Features(store, trained[2], on_difference="warn")
    assert features.read({"stay": ["4"]}).to_dict()["lactate"] == [4.4]
    with pytest.raises(hitherto.ConflictError, match="ttl"):
        features.check()


def test_definitions_that_change_later_are_found_by_a_check(
    trained: Any, store: hitherto.Store
) -> None:
    features = Features(store, trained[2])
    features.check()
    apply(store, changed(LABS, ttl="24h"))
    with pytest.raises(hitherto.ConflictError, match="ttl"):
        features.check()


def test_what_is_not_online_is_refused(trained: Any, tmp_path: Path) -> None:
    shutil.copy(Path(trained[0]._target) / "labs.parquet", tmp_path)
    with hitherto.connect(tmp_path, now=NOW) as store:
        store.apply(definitions=changed(LABS))
        with pytest.raises(hitherto.UnavailableError, match="run `hitherto materialize labs`"):
            Features(store, trained[2])


def test_a_contract_needs_the_definitions_of_the_rows(store: hitherto.Store) -> None:
    rows = store.training_set(at=NOW, service="risk")
    with pytest.raises(hitherto.InvalidError, match="to its end"):
        contract(store, rows)
    rows.to_arrow()
    found = rows.manifest
    apply(store, changed(LABS, ttl="24h"))
    with pytest.raises(hitherto.ConflictError, match="other definitions were applied since"):
        contract(store, rows)
    assert found["features"]


def test_rows_that_ignored_known_time_are_refused(trained: Any) -> None:
    store = trained[0]
    rows = store.training_set(at=NOW, service="risk", known="ignore")
    rows.to_arrow()
    with pytest.raises(hitherto.ConflictError, match="they have what nobody knew yet"):
        Features(store, contract(store, rows))


def test_what_is_no_manifest_is_refused(trained: Any, tmp_path: Path) -> None:
    with pytest.raises(hitherto.InvalidError, match="not the manifest of a training set"):
        Features(trained[0], {"format": 1})
    with pytest.raises(hitherto.InvalidError, match="reads up to 1"):
        Features(trained[0], {**trained[2], "format": 2})
    path = tmp_path / "contract.json"
    path.write_text(json.dumps(trained[2]))
    assert Features(trained[0], path).keys == {"stay": "string"}


def test_served_columns_are_those_of_training(trained: Any) -> None:
    store, rows, found = trained
    policy = StatusPolicy(expired="answer", not_found="answer")
    features = Features(store, found, policy=policy)
    names = rows.feature_names
    assert features.columns == names == [name.partition(":")[2] for name in features.names]
    keys = rows.to_arrow().column("stay")
    served = features.read({"stay": keys})
    assert served.to_arrow().equals(rows.to_arrow().select(names))
    pd.testing.assert_frame_equal(served.to_pandas(), rows.to_pandas()[names])
    assert served.to_polars().equals(rows.to_polars().select(names))
    numbers = ["lactate", "ph", "count", "is_art", "dose"]
    for dtype in ("float64", "float32"):
        trained_matrix = rows.to_numpy(numbers, dtype)
        assert served.to_numpy(numbers, dtype).tobytes() == trained_matrix.tobytes()
    # A row alone has the types of the frame, where a column of integers had no null too.
    one = features.read([{"stay": "1"}])
    assert one.to_pandas().dtypes.to_dict() == rows.to_pandas()[names].dtypes.to_dict()
    assert one.to_dict()["dose"] == [Decimal("0.0787922")]
    with pytest.raises(hitherto.InvalidError, match="no column 'x'; there are lactate"):
        one.to_numpy(["x"])


def test_full_names_and_roles(trained: Any) -> None:
    store = trained[0]
    spine = pa.table({"stay": ["1"], "mother": ["2"]}).append_column(
        "event_timestamp", pa.array([1893542400000000], TIMES)
    )
    asked = ["labs:lactate", "mother=labs[stay=mother]:lactate"]
    rows = store.training_set(spine, asked, full_names=True)
    rows.to_arrow()
    for manifest in rows.manifest, contract(store, rows):
        features = Features(store, manifest)
        assert features.columns == ["labs:lactate", "mother:lactate"]
        assert features.keys == {"stay": "string", "mother": "string"}
        served = features.read([{"stay": "1", "mother": "2"}])
        assert served.to_numpy().tolist() == [[1.1, 2.2]] == rows.to_numpy().tolist()


def test_an_entity_without_values_is_refused(trained: Any) -> None:
    store, _, found = trained
    features = Features(store, found)
    with pytest.raises(
        hitherto.NotFoundError,
        match='row 1 of the request: the newest fact of feature view "labs" has expired: it is '
        r'older than 12h, .*push.*StatusPolicy\(expired="answer"\)',
    ):
        features.read({"stay": ["1", "4"]})
    with pytest.raises(hitherto.NotFoundError, match=r"rows 0, 1, 2 and 2 more.*no fact"):
        features.read({"stay": ["5", "6", "7", "8", "9"]})
    assert features.counts["NOT_FOUND"] == 30 and features.counts["EXPIRED"] == 5
    # A default is what absence means: ward is not refused.
    one = Features(store, found, policy=StatusPolicy(views={"labs": StatusPolicy("answer")}))
    with pytest.raises(hitherto.NotFoundError, match="labs") as refused:
        one.read({"stay": ["5"]})
    assert "ward" not in str(refused.value)


def test_a_policy_says_what_becomes_of_each_status(trained: Any) -> None:
    store, _, found = trained
    everything = {"stay": ["1", "3", "4", "5"]}

    def lactate(**policy: Any) -> list[Any]:
        served = Features(store, found, policy=StatusPolicy(**policy)).read(everything)
        assert served.statuses["labs:lactate"] == ["PRESENT", "NULL", "EXPIRED", "NOT_FOUND"]
        values = served.to_dict()["lactate"]
        assert served.to_arrow().column("lactate").to_pylist() == values
        matrix = served.to_numpy(["lactate"])[:, 0].tolist()
        assert [None if value != value else value for value in matrix] == values
        return values

    answers = {"expired": "answer", "not_found": "answer"}
    assert lactate(**answers) == [1.1, None, None, None]
    defaults: dict[str, Any] = dict.fromkeys(Features(store, found).names, 9)
    defaults |= {"labs:is_art": True, "ward:ward": "x"}
    assert lactate(**answers | {"expired": "default"}, defaults=defaults) == [1.1, None, 9, None]
    assert lactate(**answers | {"null": "default"}, defaults=defaults) == [1.1, 9, None, None]
    with pytest.raises(hitherto.NotFoundError, match=r"row 1 of .*: labs:lactate.* null"):
        lactate(**answers, null="refuse")
    # Null, although the definition declares a default.
    ward = StatusPolicy(**answers, views={"ward": StatusPolicy(null="null", not_found="null")})
    served = Features(store, found, policy=ward).read(everything)
    assert served.to_dict()["ward"] == ["a", None, "d", None]


def test_a_wrong_policy_is_refused(trained: Any) -> None:
    store, _, found = trained
    with pytest.raises(hitherto.InvalidError, match="answer, refuse, null, default; found 'nan'"):
        StatusPolicy(expired="nan")  # type: ignore[arg-type]
    for policy, said in (
        (StatusPolicy(views={"lab": StatusPolicy()}), '"lab".*it has labs, ward'),
        (StatusPolicy(null="default"), "none for labs:lactate"),
        (
            StatusPolicy(views={"ward": StatusPolicy(null="default", defaults={"ward:ward": 1})}),
            "default of ward:ward is of type string; found 1",
        ),
    ):
        with pytest.raises(hitherto.InvalidError, match=said):
            Features(store, found, policy=policy)


def test_keys_come_as_requests_have_them(trained: Any) -> None:
    features = Features(trained[0], trained[2])
    expected = features.read({"stay": ["2"]}).to_dict()
    for keys in (
        [{"stay": "2"}],
        {"stay": [b"2"]},
        pd.DataFrame({"stay": ["2"]}),
        {"stay": ("2",)},
    ):
        assert features.read(keys).to_dict() == expected
    for keys, said in (
        ([{"stays": "2"}], "row 0 .* join keys stay; found stays"),
        (["2"], "row 0 .* found str"),
        ({"stay": "2"}, "needs a list"),
        ({"stay": [b"\xff"]}, "'stay' is UTF-8 text; a value of the request is not"),
        ({"stay": ["2"], "x": ["2"]}, "x"),
    ):
        with pytest.raises(hitherto.InvalidError, match=said):
            features.read(keys)


def test_awaited_is_the_same(trained: Any) -> None:
    features = Features(trained[0], trained[2], deadline=None)

    async def both() -> list[Any]:
        reads = [features.read_async({"stay": [stay]}) for stay in ("1", "2")]
        return [served.to_dict() for served in await asyncio.gather(*reads)]

    assert asyncio.run(both()) == [features.read({"stay": [s]}).to_dict() for s in ("1", "2")]


class Slow:
    """A store whose lookups wait until they are told."""

    def __init__(self, store: hitherto.Store, wait: Callable[[], object]) -> None:
        self._store, self._wait = store, wait

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)

    def lookup(self, *arguments: Any, **named: Any) -> Any:
        self._wait()
        return self._store.lookup(*arguments, **named)


def test_a_late_answer_is_unavailable(trained: Any) -> None:
    from threading import Event

    release = Event()
    slow: Any = Slow(trained[0], release.wait)
    features = Features(slow, trained[2], deadline="20ms")
    try:
        begun = dt.datetime.now()
        with pytest.raises(hitherto.UnavailableError, match="within 20ms, the request's deadline"):
            features.read({"stay": ["1"]})
        with pytest.raises(hitherto.UnavailableError, match="within 1ms"):
            features.read({"stay": ["1"]}, deadline="1ms")
        with pytest.raises(hitherto.UnavailableError, match="within 20ms"):
            asyncio.run(features.read_async({"stay": ["1"]}))
        assert dt.datetime.now() - begun < dt.timedelta(seconds=5)
    finally:
        release.set()
    assert len(features.read({"stay": ["1"]}, deadline="10s")) == 1


def test_the_environment_says_where_the_server_is(
    remote: hitherto.Store, server: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    from hitherto import serving

    rows = remote.training_set(at="2180-01-01", features=["stay_attributes:*"])
    first = rows.to_arrow().slice(0, 1).to_pylist()[0]
    found = contract(remote, rows)
    with pytest.raises(hitherto.InvalidError, match="HITHERTO_URL is not set"):
        serving.from_environment(found)
    monkeypatch.setenv("HITHERTO_URL", server)
    monkeypatch.setenv("HITHERTO_DEADLINE", "5s")
    (tmp_path / "token").write_text("of-no-use-to-this-server\n")
    monkeypatch.setenv("HITHERTO_TOKEN_FILE", str(tmp_path / "token"))
    features = serving.from_environment(found)
    served = features.read({"hospitalization_id": [first["hospitalization_id"]]})
    assert served.to_dict() == {name: [first[name]] for name in features.columns}


RATIO = hitherto.OnDemandView(
    "ratio",
    request=[Field("dose_now", "float64"), Field("drug", "string"), Field("since", "date32")],
    inputs=["labs:lactate", "ward:ward"],
    features=[
        hitherto.OnDemandFeature("per_lactate", "float64", "dose_now / lactate"),
        hitherto.OnDemandFeature("is_new", "bool", "drug <> ward AND since < request_time()"),
    ],
)
ASKED = ["ratio:per_lactate", "labs:ph", "ratio:is_new"]

#: What only a request has, a row for each stay.
BROUGHT = {
    "stay": ["1", "2", "3"],
    "dose_now": [1 / 3, -0.0, 7.5],
    "drug": ["a", None, "c"],
    "since": [dt.date(2030, 1, 1), dt.date(2020, 1, 1), dt.date(1999, 12, 31)],
}


@pytest.fixture(scope="module")
def computed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[hitherto.Store, Any, Any]]:
    """A store with an on-demand view, rows of its features, and their contract."""
    root = tmp_path_factory.mktemp("computed")
    pq.write_table(FACTS, root / "labs.parquet")
    with hitherto.connect(root, now=NOW) as store:
        apply(store, [STAY, LABS, WARD, RATIO])
        spine = pa.table(BROUGHT).append_column(
            "event_timestamp", pa.array([dt.datetime(2030, 1, 2)] * 3, TIMES)
        )
        rows = store.training_set(spine, ASKED)
        rows.to_arrow()
        yield store, rows, contract(store, rows)


def test_features_on_demand_are_served_as_they_were_trained(computed: Any) -> None:
    store, rows, found = computed
    assert "per_lactate" in found["on_demand_definitions"]["ratio"]["features"][0]["name"]
    trained = rows.to_arrow().select(["per_lactate", "ph", "is_new"])
    for manifest in (found, rows.manifest):
        features = Features(store, manifest)
        assert features.names == ASKED
        assert features.keys == {"stay": "string"}
        assert features.request == {"dose_now": "float64", "drug": "string", "since": "date32"}
        as_requests_have_them: list[Any] = [
            BROUGHT,
            pd.DataFrame(BROUGHT),
            [dict(zip(BROUGHT, row, strict=True)) for row in zip(*BROUGHT.values(), strict=True)],
            {**BROUGHT, "since": [str(day) for day in BROUGHT["since"]],
             "drug": [text and text.encode() for text in BROUGHT["drug"]]},
        ]  # fmt: skip
        for asked in as_requests_have_them:
            served = features.read(asked).to_arrow()
            assert served.equals(trained), asked


def test_a_request_brings_what_expressions_read(computed: Any) -> None:
    store, _, found = computed
    features = Features(store, found)
    with pytest.raises(hitherto.InvalidError, match="dose_now"):
        features.read({name: BROUGHT[name] for name in BROUGHT if name != "dose_now"})
    said = "join keys stay and the fields dose_now, drug, since; found stay"
    with pytest.raises(hitherto.InvalidError, match=said):
        features.read([{"stay": "1"}])
    # What is computed of an entity that nobody knows is as unknown as that is.
    with pytest.raises(hitherto.NotFoundError, match='a view that on-demand view "ratio" reads'):
        features.read({name: values[:1] for name, values in BROUGHT.items()} | {"stay": ["9"]})
    # A null is a value of the request, and one that is computed of it is null.
    one: dict[str, list[Any]] = {name: values[:1] for name, values in BROUGHT.items()}
    assert features.read({**one, "dose_now": [None]}).to_dict()["per_lactate"] == [None]
    with pytest.raises(hitherto.NotFoundError, match="per_lactate is null"):
        strict = Features(store, found, policy=StatusPolicy(null="refuse"))
        strict.read({**one, "dose_now": [None]})


#: What was changed of expressions, and what an error has to say of it.
RECOMPUTED: dict[str, tuple[Definitions, str]] = {
    "another expression": (
        [replace(RATIO, features=[replace(RATIO.features[0], expr="dose_now * lactate"),
                                  RATIO.features[1]])],
        'on-demand view "ratio", features.per_lactate.expr: dose_now / lactate in training, '
        "dose_now . lactate here",
    ),
    "another type of a field": (
        [replace(RATIO, request=[replace(RATIO.request[0], type="float32"), *RATIO.request[1:]])],
        "request.dose_now: float64 in training, float32 here",
    ),
    "an input more": (
        [replace(RATIO, inputs=[*RATIO.inputs, "labs:ph"],
                 features=[*RATIO.features,
                           hitherto.OnDemandFeature("acid", "float32", "labs.ph")])],
        'on-demand view "ratio"',
    ),
    "a feature less": (
        [replace(RATIO, request=RATIO.request[:1], inputs=["labs:lactate"],
                 features=RATIO.features[:1])],
        'on-demand view "ratio" has no feature "is_new" here',
    ),
    "no view": ([], 'on-demand view "ratio" is not applied here'),
}  # fmt: skip


@pytest.mark.parametrize("change", RECOMPUTED)
def test_a_changed_expression_is_refused(change: str, computed: Any, tmp_path: Path) -> None:
    definitions, said = RECOMPUTED[change]
    shutil.copytree(computed[0]._target, tmp_path / "copy", dirs_exist_ok=True)
    with hitherto.connect(tmp_path / "copy", now=NOW) as store:
        apply(store, [STAY, LABS, WARD, *definitions])
        with pytest.raises(hitherto.ConflictError, match=said):
            Features(store, computed[2])
        with pytest.raises(hitherto.ConflictError, match='on-demand view "ratio"'):
            Features(store, computed[1].manifest)
        # Words change nothing.
        apply(store, [STAY, LABS, WARD, replace(RATIO, description="Of the dose.")])
        Features(store, computed[2])
