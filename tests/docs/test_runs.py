"""The code of the documents runs, page by page, as a reader would run it.

A test prepares what a page takes for granted (data, a server, a variable) and then runs the
page's own blocks, in their order. A block of text right after code is what the code prints.
Blocks that cannot run here are named with the reason; `test_pages.py` has them parsed.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import hitherto
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pages import DOCS, PAGES, ROOT, blocks
from reader import Reader, serving

LATER = "2250-01-01T00:00:00Z"
"""After all of the intensive-care data, whose years are shifted into the future."""

PARSED = {
    "compliance/qualification.md": "the package's tests run all three: test_qualification.py",
    "integrate/pipelines.md": "each neighbour's own process runs it: make test-pipelines",
    "operate/deploying.md": "it is about clusters: make test-deploy runs what can be run",
    "operate/releasing.md": "it takes an hour, a clean tree and a tag",
    "reference/cli.md": "examples of help, each about another repository",
    "why/lookups.md": "measurements take minutes, and an optimized build",
    "why/materialization.md": "the same",
    "why/point-in-time-join.md": "the same",
}
"""Pages whose code is parsed only, and its commands compared with the help."""

RUN: set[str] = set()


def page(name: str) -> Callable[[Callable], Callable]:
    """A test of one page, which is given its reader; every block is used up at the end."""
    RUN.add(name)

    def decorate(test: Callable[[Reader], None]) -> Callable:
        def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
            monkeypatch.chdir(tmp_path)
            reader = Reader(DOCS / name, tmp_path)
            test(reader)
            reader.done()

        run.__name__ = run.__qualname__ = test.__name__
        return run

    return decorate


def test_every_page_with_code_is_run_or_said_why_not() -> None:
    with_code = {
        str(path.relative_to(DOCS))
        for path in PAGES
        if any(block.language in ("sh", "python") for block in blocks(path))
        and "runbooks" not in path.parts  # make test-deploy has their commands
    }
    assert with_code <= RUN | PARSED.keys()
    assert not RUN & PARSED.keys()


def intensive_care(root: Path) -> Path:
    """The repository of `hitherto demo`, materialized."""
    shutil.copytree(ROOT / "fixtures/icu", root, ignore=shutil.ignore_patterns(".hitherto"))
    with hitherto.connect(root) as store:
        store.apply()
        store.materialize(progress=False)
    return root


@page("start/first-five-minutes.md")
def test_first_five_minutes(reader: Reader) -> None:
    reader.parsed("Install", "there is no release yet; make test-bare installs the wheel")
    source = ROOT / "fixtures/icu"
    shutil.copytree(source, reader.folder / "icu", ignore=shutil.ignore_patterns(".hitherto"))
    reader.run("Open it", "A training set", "A model", "Serve it")


@page("start/concepts.md")
def test_concepts(reader: Reader) -> None:
    reader.run("A repository")
    assert pq.read_table(reader.folder / "my-features/training.parquet").num_rows > 10


@page("guides/python.md")
def test_python(reader: Reader) -> None:
    icu = intensive_care(reader.folder / "icu")
    reader.shell("hitherto init my-features")
    reader.shell("cd my-features && hitherto apply && hitherto materialize")
    small = reader.folder / "my-features"
    with serving(icu, "--read-only") as url:
        reader.replaced = {"http://127.0.0.1:7411": url}
        reader.run("The Python package")
        assert reader.names["store"].verify(samples=10)
    store = hitherto.connect(icu, now=LATER)
    reader.names.update(hitherto=hitherto, store=store, spine=str(icu / "spine.parquet"))
    reader.run("Training sets", "Splits")
    with serving(small) as url, hitherto.connect(url) as payments:
        reader.replaced = {"http://host:7411": url}
        asked = {"keys": {"customer_id": [1, 2]}, "spine": str(small / "labels.parquet")}
        reader.names.update(asked, store=payments)
        reader.run("Async, threads, processes")
    assert len(reader.names["frame"]) > 10
    labs = {"hospitalization_id": ["1"], "drawn": [0], "released": [1], "lactate_mmol_l": [2.0]}
    times = {"drawn": pa.timestamp("us", "UTC"), "released": pa.timestamp("us", "UTC")}
    columns = {name: pa.array(values, times.get(name)) for name, values in labs.items()}
    repository = reader.folder / "objects"
    (repository / "data").mkdir(parents=True)
    pq.write_table(pa.table(columns), repository / "data/labs.parquet")
    with hitherto.connect(repository) as reader.names["store"]:
        reader.run("Definitions")
    reader.parsed("MLflow", "MLflow runs it: make test-serving and test-neighbours")
    reader.parsed("Hugging Face and Ray", "they run it: make test-neighbours")
    reader.parsed("Measured", "a measurement")
    store.close()


def risk_repository(root: Path):
    """The repository, and the model, that adapters are tested with."""
    import risk

    risk.train(root)
    return risk


@page("guides/materializing.md")
def test_materializing(reader: Reader) -> None:
    risk_repository(reader.folder)
    reader.run("What a build does")


@page("guides/push.md")
def test_push(reader: Reader) -> None:
    risk_repository(reader.folder)
    facts = pq.read_table(reader.folder / "labs.parquet").slice(0, 100)
    pq.write_table(facts, reader.folder / "results.parquet")
    reader.run("Push", count=1)
    with serving(reader.folder) as url:
        reader.replaced = {"http://127.0.0.1:7411": url}
        reader.run("Push", count=1)
    with hitherto.connect(reader.folder) as store:
        reader.names.update(store=store, frame=facts)
        reader.run("Push")


@page("guides/aggregates.md")
def test_aggregates(reader: Reader) -> None:
    events(reader.folder)
    reader.environment["STOPPED_CLOCK"] = "2026-03-04T12:00:00Z"
    reader.run("Aggregates: features computed of events")
    reader.shell("hitherto apply && hitherto materialize")
    reader.run("Which events count")
    facts = pq.read_table(reader.folder / "data/transactions/facts.parquet").slice(0, 2)
    pq.write_table(facts, reader.folder / "booked.parquet")
    reader.run("Online")


ENTITY = """
apiVersion: hitherto/v1
kind: Entity
metadata: { name: customer }
spec: { keys: [{ name: customer_id, type: int64 }] }
"""

FACTS = """
2026-03-04T11:59:00Z 2026-03-04T12:07:10Z tx-97 250.0 web
2026-03-02T12:00:00Z 2026-03-02T12:00:01Z tx-90 12.0 shop
2026-03-01T09:12:44Z 2026-03-01T09:12:45Z tx-88 400.0 web
2026-02-27T18:20:00Z 2026-03-02T08:00:00Z tx-81 99.0 web
2026-02-27T18:20:00Z 2026-02-27T18:20:09Z tx-81 990.0 web
2026-02-26T10:00:00Z 2026-03-01T10:00:00Z tx-80 75.5 web reversed
2026-02-26T10:00:00Z 2026-02-26T10:00:03Z tx-80 75.5 web
2026-02-02T09:30:00Z 2026-02-02T09:30:05Z tx-79 20.0 web
"""


def events(root: Path) -> None:
    """Customer 17's payments, as the page on aggregates tells them."""
    rows = [line.split() for line in FACTS.split("\n") if line]
    times = pa.timestamp("us", "UTC")
    columns = {
        "customer_id": pa.array([17] * len(rows), pa.int64()),
        "purchased_at": pa.array([row[0] for row in rows]).cast(times),
        "booked_at": pa.array([row[1] for row in rows]).cast(times),
        "transaction_id": pa.array([row[2] for row in rows]),
        "amount": pa.array([float(row[3]) for row in rows]),
        "channel": pa.array([row[4] for row in rows]),
        "is_reversed": pa.array([row[5:] == ["reversed"] for row in rows]),
        "terminal": pa.array(range(len(rows)), pa.int64()),
        "card_type": pa.array(["visa", "amex", "other", "visa"] * (len(rows) // 4)),
    }
    (root / "data/transactions").mkdir(parents=True)
    pq.write_table(pa.table(columns), root / "data/transactions/facts.parquet")
    (root / "customer.yaml").write_text(ENTITY)


ACTIVITY = """
apiVersion: hitherto/v1
kind: FeatureView
metadata: { name: card_activity }
spec:
  entity: customer
  source: { parquet: data/transactions/, eventTime: purchased_at, id: transaction_id }
  aggregates:
    - { function: mean, column: amount, windows: [30d] }
    - { function: sum, column: amount, windows: [1h, 7d] }
"""

PROFILE = """
apiVersion: hitherto/v1
kind: FeatureView
metadata: { name: customer_profile }
spec:
  entity: customer
  source: { parquet: profile.parquet, timeless: true }
  features:
    - { name: home_lat, type: float64 }
    - { name: home_lon, type: float64 }
    - { name: opened_at, type: "timestamp(us, UTC)" }
"""


@page("guides/on-demand.md")
def test_on_demand(reader: Reader) -> None:
    events(reader.folder)
    (reader.folder / "activity.yaml").write_text(ACTIVITY)
    (reader.folder / "profile.yaml").write_text(PROFILE)
    opened = pa.array([0], pa.timestamp("us", "UTC"))
    columns = {"customer_id": [17], "home_lat": [52.5], "home_lon": [13.4], "opened_at": opened}
    pq.write_table(pa.table(columns), reader.folder / "profile.parquet")
    reader.run("On-demand views: features computed when they are asked for")
    reader.shell("hitherto apply && hitherto materialize")
    brought = "amount=50 merchant_lat=52.5 merchant_lon=13.5"
    answer = reader.shell(
        f"hitherto get --features 'transaction_risk:*' customer_id=17 {brought} --output json"
    )
    assert '"transaction_risk:km_from_home":{"value":6.7' in answer


@page("integrate/http.md")
def test_http(reader: Reader) -> None:
    import requests

    icu = intensive_care(reader.folder / "icu")
    with serving(icu, "--now", "2113-08-25T18:00:00Z") as url:
        reader.replaced = {"http://127.0.0.1:7411": url}
        answer = reader.run("POST /v1/lookup", count=1)
        assert '"PRESENT"' in answer and '"lactate:lactate_mmol_l"' in answer
        answer = reader.run("POST /get-online-features", count=1)
        assert '"PRESENT"' in answer
    reader.shell("hitherto init small && cd small && hitherto apply && hitherto materialize")
    with serving(reader.folder / "small") as url:
        reader.replaced = {"http://127.0.0.1:7411": url}
        reader.names.update(requests=requests, pyarrow=pa)
        reader.run("POST /v1/lookup")
    assert reader.names["table"].num_rows == 5000
    reader.parsed("POST /get-online-features", "a judge, in an environment of its own")


@page("integrate/serving.md")
def test_serving(reader: Reader) -> None:
    risk = risk_repository(reader.folder)

    class Model(risk.Model):
        def fit(self, rows: object, labels: object) -> None:
            """It is fit already."""

    with (
        hitherto.connect(reader.folder, now=risk.NOW) as store,
        serving(reader.folder, "--read-only", "--now", risk.NOW) as url,
    ):
        spine = pa.table(
            {
                "patient_id": risk.patient_ids()[:50],
                "event_timestamp": pa.array([risk.NOW_MICROS] * 50).cast(pa.timestamp("us", "UTC")),
            }
        )
        known = store.lookup({"patient_id": risk.patient_ids()[:50]}, service=risk.SERVICE)
        present = [status == "PRESENT" for status in known.statuses["labs:dose"]]
        asked = risk.patient_ids()[present.index(True)]
        reader.replaced = {"https://features:7411": url, "10000032": asked}
        names = {"store": store, "spine": spine, "model": Model(), "labels": None}
        reader.names.update(names, hitherto=hitherto)
        reader.run("Serving models")
        assert -1 <= reader.names["risk"][0] <= 1
        reader.names["StatusPolicy"] = hitherto.serving.StatusPolicy
        reader.run("When there is no value")
    reader.parsed("What works, and who says so", "make test-serving is that")


@page("operate/audit.md")
def test_audit(reader: Reader) -> None:
    reader.shell("hitherto init . && hitherto apply && hitherto materialize")
    settings = reader.folder / "hitherto.yaml"
    settings.write_text(reader.text("The audit log", "yaml"))
    with serving(reader.folder) as url:
        reader.shell(f"hitherto get --service fraud_v1 customer_id=1,2 --server {url}")
        reader.run("The audit log")
        assert '"method":"lookup"' in (reader.folder / "everything.jsonl").read_text()
    reader.shell("cp -r audit COPY && cp audit/key.pem . && cp audit-keys/last.checkpoint .")
    reader.run("What it proves")
    reader.run("How long it is kept")
    shutil.copy(reader.folder / "last.checkpoint", reader.folder / "note")
    assert "Verified Successfully" in reader.run("The bytes")


@page("operate/backups.md")
def test_backups(reader: Reader) -> None:
    reader.shell("hitherto init . && hitherto apply && hitherto materialize")
    backups, keys = reader.folder / "backups", reader.folder / "keys"
    backups.mkdir(), keys.mkdir()
    reader.replaced = {"/mnt/backups": str(backups), "/etc/hitherto": str(keys)}
    reader.run("Take one", count=1)
    settings = reader.folder / "hitherto.yaml"
    settings.write_text(reader.text("Take one", "yaml"))
    with serving(reader.folder) as url:
        reader.replaced["http://127.0.0.1:7411"] = url
        reader.run("Take one")
    assert {path.name for path in backups.iterdir()} == {"monday", "tuesday"}
    reader.run("Seal it", count=1)
    settings.write_text(reader.text("Seal it", "yaml"))
    reader.shell(f"hitherto backup {backups}/sealed")
    assert (backups / "sealed/backup.hmac").exists()
    settings.write_text("")
    reader.run("Go back to one")
    reader.shell("hitherto verify && hitherto get --service fraud_v1 customer_id=1")


@page("operate/securing.md")
def test_securing(reader: Reader) -> None:
    reader.shell("hitherto init . && hitherto apply && hitherto materialize")
    reader.replaced = {"10.0.0.7": "127.0.0.1", "0.0.0.0": "127.0.0.1"}
    token = reader.run("A token", count=1).split()[0]
    reader.parsed("A token", "a line of the file")
    assert token.startswith("hth_")
    reader.run("TLS")
    (reader.folder / "client.pem").write_text(
        "".join((reader.folder / f"client.{end}").read_text() for end in ("crt", "key"))
    )
    options = ["--tls-cert", "tls.crt", "--tls-key", "tls.key", "--client-ca", "ca.crt"]
    tokens = [*options[:4], "--token-file", "tokens"]
    with (
        serving(reader.folder, *tokens) as url,
        serving(reader.folder, *options, "--read-only") as mutual,
    ):
        reader.replaced |= {"https://features.example.org:7411": url}
        reader.names.update(hitherto=hitherto, token=token, url=mutual)
        reader.run("Clients", count=1)
        assert reader.names["store"].whoami()["subject"] == "certificate/caller"
        reader.run("Clients", variables={"TOKEN": token})


@page("from-feast.md")
def test_from_feast(reader: Reader) -> None:
    (reader.folder / "taxi").mkdir()
    reader.run("A repository of Feast's", "Moved", "The same values", "Without the leak")
    reader.parsed("Staying in Feast", "make test-neighbours has Feast over these stores")
