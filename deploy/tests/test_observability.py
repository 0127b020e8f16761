"""Rules, dashboards and alerts against a real server, Prometheus and Alertmanager."""

import json
import os
import re
import shlex
import time

import pytest
import yaml
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.cog.plugins import register_default_plugins
from grafana_foundation_sdk.models.dashboard import Dashboard
from observed import Demo, alertmanager, fetch, prometheus, sink, wait
from tools import DEPLOY, KUBECTL, OBSERVABILITY, PROMETHEUS, run

# A burst of failures in time that is so many times shorter; 1 is as it is, and takes half an hour.
FACTOR = int(os.environ.get("HITHERTO_COMPRESSED", "10"))
DASHBOARDS = sorted((OBSERVABILITY / "generated/dashboards").glob("*.json"))
RUNBOOKS = DEPLOY.parent / "docs/operate/runbooks"
SECTIONS = ["What it means", "Impact", "Look first", "Mend", "Mended when", "Whom to tell"]
RULES = [
    rule
    for file in ("generated/rules.yaml", "bounds.yaml")
    for group in yaml.safe_load((OBSERVABILITY / file).read_text())["groups"]
    for rule in group["rules"]
]
ALERTS = {rule["alert"]: rule for rule in RULES if "alert" in rule}


@pytest.fixture(scope="module")
def demo(binary, tmp_path_factory):
    demo = Demo(binary, tmp_path_factory.mktemp("demo"))
    demo.make()
    with demo.serving():
        yield demo


@pytest.fixture(scope="module")
def watched(demo, tmp_path_factory):
    """A Prometheus that has seen everything that the demo's load does."""
    folder = tmp_path_factory.mktemp("watched") / "prometheus"
    with prometheus(folder, demo.url, interval=2, evaluation=10) as one:
        done = 'count(increase(hitherto_requests_total{method=~"push|training_set|why|verify",outcome="ok"}[10m]) > 0) == 4'
        wait(lambda: one.values(done), 600, "load of every kind")
        yield one


def queries(path):
    for panel in json.loads(path.read_text())["panels"]:
        for target in panel.get("targets", []):
            yield panel["title"], target["expr"]


def resolved(dashboard, prometheus):
    """The values of a dashboard's variables, as Grafana asks Prometheus for them."""
    found = {"__rate_interval": "1m", "__range": "5m"}
    for variable in dashboard["templating"]["list"]:
        if variable["type"] == "query":
            query = variable["query"]["query"].replace("$job", found.get("job", ""))
            series, label = re.fullmatch(r"label_values\((.+), (\w+)\)", query).groups()
            values = prometheus.get(f"label/{label}/values", **{"match[]": series})
            assert values, f"${variable['name']} has no values"
            found[variable["name"]] = "|".join(values)
    return found


@pytest.mark.parametrize("path", DASHBOARDS, ids=lambda path: path.stem)
def test_every_query_of_a_dashboard_answers(path, watched):
    known = resolved(json.loads(path.read_text()), watched)
    for title, query in queries(path):
        query = re.sub(r"\$(\w+)", lambda found: known[found[1]], query)
        wait(lambda query=query: watched.values(query), 120, f"answer to {title!r}: {query}")


def test_a_query_without_an_answer_is_noticed(watched):
    with pytest.raises(AssertionError):
        wait(lambda: watched.values("hitherto_never_made"), 1, "answer")
    with pytest.raises(AssertionError):
        wait(lambda: watched.values("0 * hitherto_connections / 0"), 1, "answer")


def kept(made, read):
    """Whether all that was made is there once it was read."""
    match made, read:
        case dict(), dict():
            return all(key in read and kept(made[key], read[key]) for key in made)
        case list(), list():
            return len(made) == len(read) and all(map(kept, made, read))
    return made == read


@pytest.mark.parametrize("path", DASHBOARDS, ids=lambda path: path.stem)
def test_a_dashboard_is_one_to_grafana(path):
    register_default_plugins()

    def is_read(made):
        return kept(made, json.loads(json.dumps(Dashboard.from_json(made), cls=JSONEncoder)))

    made = json.loads(path.read_text())
    assert is_read(made)
    assert made["uid"] == path.stem
    made["panels"][1]["queries"] = []
    assert not is_read(made), "a field that Grafana does not know was not noticed"


def test_every_name_is_one_of_a_scrape(demo):
    scraped = set(re.findall(r"^(hitherto_\w+?)(?:\{| )", fetch(f"{demo.url}/metrics"), re.M))
    recorded = {rule["record"] for rule in RULES if "record" in rule}
    texts = [rule["expr"] for rule in RULES]
    texts += [query for path in DASHBOARDS for _, query in queries(path)]
    texts += re.findall(r"^    promtool .*$", "".join(map(str, runbook_texts())), re.M)
    assert len(scraped) > 25 and len(texts) > 100
    for text in texts:
        assert set(re.findall(r"\bhitherto_\w+", text)) <= scraped, text
        assert set(re.findall(r"\b\w+:[\w:]+", text)) <= recorded, text


def test_no_rule_fails(watched):
    def evaluated():
        rules = [rule for group in watched.get("rules")["groups"] for rule in group["rules"]]
        return rules if all(rule["health"] != "unknown" for rule in rules) else None

    rules = wait(evaluated, 180, "evaluation of all rules")
    assert len(rules) == len(RULES)
    assert {rule["health"] for rule in rules} == {"ok"}, rules


def test_a_burst_of_failures_pages_within_five_minutes(demo, tmp_path):
    """Compressed by FACTOR are the windows of the rules and the history before the burst. Scraped
    and evaluated is every second, or every 30 s if nothing is compressed; Alertmanager waits one
    second instead of ten."""
    interval = 1 if FACTOR > 1 else 30
    with (
        sink() as (url, got),
        alertmanager(tmp_path / "alertmanager", url) as alerts,
        prometheus(
            tmp_path / "prometheus", demo.url, alerts, FACTOR, interval, only="lookup-availability"
        ) as one,
    ):
        # As long as the longest window that can page for a burst, and a little more.
        time.sleep(22 * 60 / FACTOR)
        alert = 'alertname="HithertoLookupAvailabilityBurn"'
        assert not one.values(f"ALERTS{{{alert}}}")
        demo.one_fails_of, begun = 10, time.monotonic()
        try:
            page = wait(
                lambda: [
                    page
                    for path, page in got
                    if path == "/v2/enqueue" and page["payload"]["class"] in alert
                ],
                15 * 60 / FACTOR, "page",
            )[0]  # fmt: skip
            took = (time.monotonic() - begun) * FACTOR
        finally:
            demo.one_fails_of = 0
        print(f"a page after {took:.0f} s, in time that is {FACTOR} times shorter")
        assert took < 5 * 60, f"{took:.0f} s"
        assert page["event_action"] == "trigger"
        assert page["payload"]["severity"] == "critical"
        summary = page["payload"]["summary"]
        assert re.fullmatch(r"Lookup availability: [\d.]+% not answered; the objective is 99.9%", summary)
        assert page["links"][0]["href"].endswith("/docs/operate/runbooks/lookup-availability-burn.md")


def test_what_pagerduty_gets(tmp_path):
    down = {"alertname": "HithertoDown", "severity": "page", "service": "hitherto"}
    stale = {"alertname": "HithertoViewStale", "severity": "ticket", "view": "labs", "service": "hitherto"}
    elsewhere = stale | {"service": "another/hitherto"}
    corrupt = {"alertname": "HithertoCorruptData", "severity": "page", "service": "hitherto"}

    def posted(url, labels, **more):
        about = ALERTS[labels["alertname"]]["annotations"]
        fetch(f"{url}/api/v2/alerts", [{"labels": labels, "annotations": about, **more}])

    with sink() as (url, got), alertmanager(tmp_path / "alertmanager", url) as alerts:

        def pages(action):
            return [
                page
                for path, page in got
                if path == "/v2/enqueue"
                and (page["event_action"], page["payload"].get("class")) == (action, "HithertoDown")
            ]

        posted(alerts, down)
        [page] = wait(lambda: pages("trigger"), 120, "page")
        # Fields that the Events API v2 requires.
        assert page["routing_key"] == "a-routing-key" and page["dedup_key"]
        assert page["payload"]["source"] and page["payload"]["severity"] == "critical"
        assert page["payload"]["summary"] == "No server answers"
        assert page["payload"]["component"] == "hitherto"
        assert [link["text"] for link in page["links"]] == ["Runbook", "Dashboard"]
        assert page["links"][0]["href"] == ALERTS["HithertoDown"]["annotations"]["runbook_url"]

        # Nothing else is news of this service; damaged bytes are, and another service is.
        for one in (stale, elsewhere, corrupt):
            posted(alerts, one)
        tickets = wait(lambda: [got for path, got in got if path == "/tickets"], 120, "ticket")
        wait(lambda: [one for _, one in got if one.get("payload", {}).get("class") == "HithertoCorruptData"], 120, "page")
        assert [one["labels"] for ticket in tickets for one in ticket["alerts"]] == [elsewhere]

        posted(alerts, down, endsAt=time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()))
        [end] = wait(lambda: pages("resolve"), 120, "resolution")
        assert end["dedup_key"] == page["dedup_key"]


def runbook_texts():
    return [path.read_text() for path in sorted(RUNBOOKS.glob("*.md"))]


def commands(text):
    return [line.strip() for line in text.splitlines() if line.startswith("    ")]


def test_each_alert_has_a_runbook_and_each_runbook_an_alert():
    contents = (RUNBOOKS / "README.md").read_text()
    rows = re.findall(r"^\| \[(\w+)\]\(([\w-]+\.md)\) \| ([\w, ]+) \|", contents, re.M)
    severities = {}
    for rule in RULES:
        if "alert" in rule:
            severities.setdefault(rule["alert"], []).append(rule["labels"]["severity"])
    assert {alert: severity.split(", ") for alert, _, severity in rows} == severities
    assert {file for _, file, _ in rows} | {"README.md"} == {path.name for path in RUNBOOKS.glob("*")}
    for alert, file, severity in rows:
        assert ALERTS[alert]["annotations"]["runbook_url"].endswith(f"/docs/operate/runbooks/{file}")
        dashboard = ALERTS[alert]["annotations"]["dashboard_url"].rsplit("/", 1)[1]
        assert dashboard in {path.stem for path in DASHBOARDS}
        text = (RUNBOOKS / file).read_text()
        assert text.startswith(f"# {alert}\n\nSeverity: {severity}.\n")
        parts = re.split(r"^## (.+)$", text, flags=re.M)
        assert parts[1::2] == SECTIONS
        assert len(commands(parts[6])) == 3, f"{file}: the first three commands"
        for link in re.findall(r"\]\(([^)]+)\)", text):
            assert (RUNBOOKS / link).exists(), link


def is_command(line, demo, watched):
    """Whether a command of a runbook is one: its options and arguments are known, and what only
    looks is run."""
    variables = {"SERVER": demo.url, "PROMETHEUS": watched.url, "HITHERTO_TOKEN": "none"}
    match shlex.split(line):
        case ["hitherto", *rest]:
            return run(demo.binary, *rest, "--help").returncode == 0
        case ["kubectl", *rest]:
            more = rest[rest.index("--") + 1 :] if "--" in rest else []
            rest = rest[: rest.index("--")] if "--" in rest else rest
            inside = not more or run(demo.binary, *more[1:], "--help").returncode == 0
            return inside and run(KUBECTL, *rest, "--help").returncode == 0
        case ["curl" | "promtool", *_]:
            environment = os.environ | variables
            environment["PATH"] = f"{PROMETHEUS}:{environment['PATH']}"
            answer = run("bash", "-c", line, env=environment)
            # `grep` finds nothing where nothing has failed.
            return answer.returncode == 0 if "grep" not in line else not answer.stderr
        case ["export", *_]:
            return True
    return False


def test_the_commands_of_runbooks_exist(demo, watched):
    lines = {line for text in runbook_texts() for line in commands(text)}
    assert len(lines) > 40
    for line in sorted(lines):
        assert is_command(line, demo, watched), line


@pytest.mark.parametrize(
    "line",
    [
        "hitherto materialise VIEW",
        "hitherto jobs --servr $SERVER",
        "hitherto rollback VIEW AND-MORE",
        "kubectl get pods --selectr a=b",
        "kubectl exec shop-hitherto-0 -- hitherto inspekt",
        "curl -sS --fail $SERVER/metricks",
        "promtool query instant $PROMETHEUS 'rate('",
        "rm -rf /var/lib/hitherto",
    ],
)
def test_what_is_no_command_is_noticed(line, demo, watched):
    assert not is_command(line, demo, watched)
