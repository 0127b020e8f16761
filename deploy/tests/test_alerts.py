"""Each alert three ways, judged by promtool: it stays silent, it fires in time, it resolves.

A case is series of minutes and what is asked of them. Nothing is compressed here: four days are
four days.
"""

import dataclasses
import os
import re
import shutil
import sys

import pytest
import yaml
from tools import BIN, CHART, HELM, OBSERVABILITY, PROMETHEUS, render, run, values

RULES = OBSERVABILITY / "generated/rules.yaml"
ALERTS = [
    (rule["alert"], rule["labels"]["severity"], rule)
    for group in yaml.safe_load(RULES.read_text())["groups"]
    for rule in group["rules"]
    if "alert" in rule
]
HOUR, DAY = 60, 24 * 60
LOOKUPS = 'hitherto_requests_total{job="hitherto",method="lookup",outcome="%s"}'
SETS = LOOKUPS.replace("lookup", "training_set")
ANSWERED = 'hitherto_service_lookup_duration_seconds_%s{job="hitherto",service="a"%s}'
PUSHED = 'hitherto_request_duration_seconds_%s{job="hitherto",method="push"%s}'
REFUSED = 'hitherto_requests_total{job="hitherto",method="push",outcome="refused"}'
CORRUPT = 'hitherto_requests_total{job="hitherto",method="lookup",outcome="%s"}'
FOUND = 'hitherto_view_lookups_total{job="hitherto",view="labs",found="%s"}'
NEWEST = 'hitherto_view_watermark_timestamp_seconds{job="hitherto",instance="%s",view="labs"}'
DISK = 'hitherto_store_disk_bytes{job="hitherto",instance="a"}'
DENIED = 'hitherto_requests_denied_total{job="hitherto",instance="a"}'
UP = 'up{job="hitherto",instance="%s"}'
GIB = 1 << 30
LEAN = {"GOMAXPROCS": "1", "GOGC": "800"}


def moving(*phases, start=0):
    """Samples of a minute each that move by so much in each phase of (minutes, by)."""
    parts, value = [], start
    for minutes, by in phases:
        parts.append(f"{value}+{by}x{minutes - 1}")
        value += by * minutes
    return " ".join(parts)


def level(*phases):
    """Samples of a minute each that have a value in each phase of (minutes, value)."""
    return " ".join(f"{value}+0x{minutes - 1}" for minutes, value in phases)


def every(minutes, text):
    """One of so many of a series' samples."""
    samples = []
    for part in text.split():
        value, by, count = map(float, re.fullmatch(r"([\d.]+)(?:\+([\d.]+)x(\d+))?", part).groups("0"))
        samples += [value + by * index for index in range(int(count) + 1)]
    return " ".join(f"{sample:.12g}" for sample in samples[::minutes])


def shares(bad, good, *phases, scale=1000):
    """Counters of what is bad and good, of phases of (minutes, share that is bad)."""
    return {
        bad: moving(*((minutes, round(scale * share, 3)) for minutes, share in phases)),
        good: moving(*((minutes, round(scale * (1 - share), 3)) for minutes, share in phases)),
    }


def lookups(*phases):
    return shares(LOOKUPS % "unavailable", LOOKUPS % "ok", *phases)


def slow_lookups(*phases):
    return {
        ANSWERED % ("count", ""): moving(*((minutes, 1000) for minutes, _ in phases)),
        ANSWERED % ("bucket", ',le="0.01"'): moving(*((m, 1000 * (1 - s)) for m, s in phases)),
    }


def pushes(*phases, slow=0.0):
    """Pushes of which a share is refused at once, and another is slow."""
    every = sum(minutes for minutes, _ in phases)
    return {
        PUSHED % ("count", ""): moving((every, 1000)),
        PUSHED % ("bucket", ',le="0.05"'): moving((every, 1000 * (1 - slow))),
        REFUSED: moving(*((minutes, round(1000 * share, 3)) for minutes, share in phases)),
    }


def sets(*phases, scale=10):
    return shares(SETS % "internal", SETS % "ok", *phases, scale=scale)


def newest(*phases, of="a", start=0):
    """Seconds of a view's newest fact: phases of (minutes, seconds that it moves a minute)."""
    return {NEWEST % of: moving(*phases, start=start)}


@dataclasses.dataclass
class Case:
    """Series in which an alert fires by a minute and not before another, and is resolved by a
    third; and series in which it never does."""

    alert: str
    severity: str
    series: dict
    not_yet: int
    fires: int
    resolved: int
    silent: dict
    silent_until: int
    # How often is scraped and rules are evaluated, in minutes.
    every: int = 1


def stops(after, minutes, of="a"):
    """The newest fact is of now, then nothing comes for so many minutes, then all of it."""
    return newest((after, 60), (minutes, 0), (1, (minutes + 1) * 60), (10 * HOUR, 60), of=of)


STOPS = stops(DAY, 30 * HOUR)


def daily(late, days=6):
    """A file a day, with what happened until midnight, that comes so many minutes late."""
    return {NEWEST % "a": level((late, 0), *((DAY, day * DAY * 60) for day in range(1, days)))}


CASES = [
    # One lookup in ten fails: a page within five minutes. Half a percent is no page.
    Case("LookupAvailabilityBurn", "page",
         lookups((HOUR, 0), (15, 0.1), (2 * HOUR, 0)), HOUR + 3, HOUR + 5, HOUR + 60,
         lookups((7 * HOUR, 0.005)), 7 * HOUR),
    # A leak below the last threshold, for longer than its window of three days.
    Case("LookupAvailabilityBurn", "ticket",
         lookups((DAY, 0), (6 * HOUR, 0.01), (8 * HOUR, 0)), DAY + 2 * HOUR, DAY + 3 * HOUR, DAY + 13 * HOUR,
         lookups((4 * DAY, 0.0009)), 4 * DAY, every=10),
    Case("LookupLatencyBurn", "page",
         slow_lookups((HOUR, 0), (30, 0.5), (2 * HOUR, 0)), HOUR + 7, HOUR + 10, HOUR + 70,
         slow_lookups((7 * HOUR, 0.05)), 7 * HOUR),
    Case("LookupLatencyBurn", "ticket",
         slow_lookups((DAY, 0), (6 * HOUR, 0.1), (8 * HOUR, 0)), DAY + 2 * HOUR, DAY + 3 * HOUR, DAY + 13 * HOUR,
         slow_lookups((4 * DAY, 0.009)), 4 * DAY, every=10),
    # Refused at once is not fast.
    Case("PushLatencyBurn", "page",
         pushes((HOUR, 0), (30, 0.5), (2 * HOUR, 0)), HOUR + 7, HOUR + 10, HOUR + 70,
         pushes((7 * HOUR, 0.03), slow=0.02), 7 * HOUR),
    Case("PushLatencyBurn", "ticket",
         pushes((DAY, 0), (6 * HOUR, 0.1), (8 * HOUR, 0)), DAY + 2 * HOUR, DAY + 3 * HOUR, DAY + 13 * HOUR,
         pushes((4 * DAY, 0.005), slow=0.004), 4 * DAY, every=10),
    Case("TrainingSetsBurn", "ticket",
         sets((DAY, 0), (6 * HOUR, 0.1), (8 * HOUR, 0)), DAY + 2 * HOUR, DAY + 3 * HOUR, DAY + 13 * HOUR,
         # Two of four failed: too few to say.
         {SETS % "internal": "0+0x9 2+0x300", SETS % "ok": "0+0x19 2+0x300"}, 5 * HOUR, every=10),
    Case("ViewFreshnessBurn", "ticket",
         STOPS, 2 * DAY, 2 * DAY + HOUR, 2 * DAY + 13 * HOUR,
         daily(late=5), 6 * DAY, every=5),
    Case("Down", "page",
         {UP % "a": level((20, 1), (10, 0), (10, 1))}, 21, 23, 31,
         # A restart of a minute, and one of two replicas.
         {UP % "a": level((20, 1), (1, 0), (20, 1), (10, 0)), UP % "b": level((30, 1), (1, 0), (20, 1))}, 50),
    Case("ReplicaDown", "ticket",
         {UP % "a": level((90, 1)), UP % "b": level((20, 1), (30, 0), (40, 1))}, 29, 31, 51,
         {UP % "a": level((60, 1)), UP % "b": level((20, 1), (9, 0), (31, 1))}, 60),
    Case("CorruptData", "page",
         {CORRUPT % "corrupt": moving((20, 0), (1, 1), (40, 0))}, 19, 22, 33,
         {CORRUPT % "corrupt": level((60, 3)), CORRUPT % "invalid": moving((60, 5))}, 60),
    Case("InternalErrors", "ticket",
         {CORRUPT % "internal": moving((20, 0), (1, 1), (90, 0))}, 19, 22, 85,
         {CORRUPT % "internal": level((60, 3)), CORRUPT % "not_found": moving((60, 5))}, 60),
    Case("CallersDenied", "ticket",
         {DENIED: moving((20, 0), (40, 60), (30, 0))}, 34, 38, 70,
         {DENIED: moving((20, 0), (1, 200), (20, 0), (40, 5))}, 80),
    Case("ViewStale", "ticket",
         STOPS, 2 * DAY + 5, 2 * DAY + 15, 2 * DAY + 6 * HOUR + 5,
         daily(late=5), 6 * DAY, every=5),
    Case("ViewAnswersDropped", "ticket",
         shares(FOUND % "not_found", FOUND % "answered", (26 * HOUR, 0.1), (2 * HOUR, 0.8), (2 * HOUR, 0.1)),
         26 * HOUR + 30, 27 * HOUR + 10, 29 * HOUR,
         shares(FOUND % "not_found", FOUND % "answered", (26 * HOUR, 0.1), (6 * HOUR, 0.5)), 32 * HOUR, every=5),
    Case("ReplicasDiffer", "ticket",
         newest((10 * HOUR, 60)) | stops(HOUR, 3 * HOUR, of="b"),
         2 * HOUR + 50, 3 * HOUR + 10, 4 * HOUR + 5,
         # A refresh, in which one replica after the other is restarted.
         newest((10 * HOUR, 60)) | stops(HOUR, HOUR, of="b"), 10 * HOUR),
    Case("StoreFull", "page",
         {DISK: moving((4 * HOUR, GIB // 10), start=50 * GIB) + " " + level((HOUR, 20 * GIB))},
         2 * HOUR, 3 * HOUR, 4 * HOUR + 5,
         # A build has twice the rows for a while.
         {DISK: level((2 * HOUR, 20 * GIB)) + " " + moving((20, GIB), start=20 * GIB) + " " + level((6 * HOUR, 20 * GIB))},
         8 * HOUR),
]  # fmt: skip


def needed(case):
    """The rules that a case's alert is made of, in their groups and order, bounds first: each
    reads only what is before it."""
    groups = [
        group
        for path in (OBSERVABILITY / "bounds.yaml", RULES)
        for group in yaml.safe_load(path.read_text())["groups"]
    ]
    wanted, found = {f"Hitherto{case.alert}"}, []
    for group in reversed(groups):
        rules = []
        for rule in reversed(group["rules"]):
            is_other = rule["labels"]["severity"] != case.severity if "alert" in rule else False
            if rule.get("alert", rule.get("record")) in wanted and not is_other:
                wanted |= set(re.findall(r"\w+:[\w:]+", rule["expr"]))
                rules.insert(0, rule)
        found.insert(0, group | {"rules": rules})
    return [group for group in found if group["rules"]]


def judged(folder, case, series, asked):
    """What promtool says of series: `asked` has, by minute and query, whether it has an answer."""
    groups = needed(case)
    (folder / "rules.yaml").write_text(yaml.safe_dump({"groups": groups}))
    test = {
        "interval": f"{case.every}m",
        "input_series": [
            {"series": name, "values": every(case.every, text)} for name, text in series.items()
        ],
        "promql_expr_test": [
            {
                "expr": f"count({query}) > bool 0",
                "eval_time": f"{minute}m",
                "exp_samples": [{"labels": "{}", "value": 1}] if answers else [],
            }
            for (minute, query), answers in asked.items()
        ],
    }
    path = folder / "test.yaml"
    path.write_text(yaml.safe_dump({
        "rule_files": ["rules.yaml"],
        "evaluation_interval": f"{case.every}m",
        "group_eval_order": [group["name"] for group in groups],
        "tests": [test],
    }))  # fmt: skip
    # Most of promtool's time is its collector of garbage.
    return run(PROMETHEUS / "promtool", "test", "rules", path, env=os.environ | LEAN)


def firing(case):
    alert = f'alertname="Hitherto{case.alert}",severity="{case.severity}"'
    return f'ALERTS{{alertstate="firing",{alert}}}'


def name(case):
    return f"{case.alert}-{case.severity}"


@pytest.mark.parametrize("case", CASES, ids=name)
def test_fires_in_time(case, tmp_path):
    asked = {
        (case.not_yet, f"count_over_time({firing(case)}[{case.not_yet}m])"): False,
        (case.fires, firing(case)): True,
    }
    answer = judged(tmp_path, case, case.series, asked)
    assert answer.returncode == 0, answer.stdout + answer.stderr


@pytest.mark.parametrize("case", CASES, ids=name)
def test_resolves(case, tmp_path):
    fired = f"count_over_time({firing(case)}[{case.resolved}m])"
    asked = {(case.resolved, fired): True, (case.resolved, firing(case)): False}
    answer = judged(tmp_path, case, case.series, asked)
    assert answer.returncode == 0, answer.stdout + answer.stderr


@pytest.mark.parametrize("case", CASES, ids=name)
def test_stays_silent(case, tmp_path):
    ever = f"count_over_time({firing(case)}[{case.silent_until}m])"
    answer = judged(tmp_path, case, case.silent, {(case.silent_until, ever): False})
    assert answer.returncode == 0, answer.stdout + answer.stderr


def test_every_alert_has_a_case():
    assert sorted((alert, severity) for alert, severity, _ in ALERTS) == sorted(
        (f"Hitherto{case.alert}", case.severity) for case in CASES
    )


def test_promtool_can_refuse(tmp_path):
    case = CASES[0]
    asked = {(case.not_yet, firing(case)): True}
    assert judged(tmp_path, case, case.series, asked).returncode != 0


def test_what_is_generated_is_what_the_sources_say():
    answer = run(BIN / "python", OBSERVABILITY / "generate.py", "--check")
    assert answer.returncode == 0, answer.stderr


def test_a_changed_source_is_noticed(tmp_path):
    copy = tmp_path / "deploy/observability"
    shutil.copytree(OBSERVABILITY, copy)
    slo = copy / "slo/lookup-availability.yaml"
    slo.write_text(slo.read_text().replace("target: 0.999", "target: 0.99"))
    answer = run(sys.executable, copy / "generate.py", "--check")
    assert f"{copy}/generated/rules.yaml is stale" in answer.stderr
    assert ".json is stale" not in answer.stderr


@pytest.mark.parametrize("file", ["generated/rules.yaml", "bounds.yaml"])
def test_rules_are_rules(file):
    answer = run(PROMETHEUS / "promtool", "check", "rules", "--lint=all", "--lint-fatal", OBSERVABILITY / file)
    assert answer.returncode == 0, answer.stdout + answer.stderr


def test_the_examples_are_taken(tmp_path):
    answer = run(PROMETHEUS / "promtool", "check", "config", OBSERVABILITY / "prometheus.yaml")
    assert answer.returncode == 0, answer.stdout + answer.stderr
    answer = run(PROMETHEUS / "amtool", "check-config", OBSERVABILITY / "alertmanager.yaml")
    assert answer.returncode == 0, answer.stdout + answer.stderr


def test_the_objectives_are_openslo():
    """What the specification of OpenSLO v1 asks of the parts that are used."""
    kinds, short = {}, re.compile(r"[1-9][0-9]*[mhdwMQY]")
    for path in sorted((OBSERVABILITY / "slo").glob("*.yaml")):
        for document in yaml.safe_load_all(path.read_text()):
            assert document["apiVersion"] == "openslo/v1"
            assert re.fullmatch("[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?", document["metadata"]["name"])
            assert len(document["spec"].get("description", "")) <= 1050
            kinds.setdefault(document["kind"], {})[document["metadata"]["name"]] = document["spec"]
    assert set(kinds) == {"Service", "AlertNotificationTarget", "AlertPolicy", "SLO"}
    for policy in kinds["AlertPolicy"].values():
        [condition], [target] = policy["conditions"], policy["notificationTargets"]
        assert target["targetRef"] in kinds["AlertNotificationTarget"]
        burn = condition["spec"]["condition"]
        assert target["targetRef"] == condition["spec"]["severity"]
        assert (burn["kind"], burn["op"]) == ("burnrate", "gt")
        assert short.fullmatch(burn["lookbackWindow"])
    for slo in kinds["SLO"].values():
        assert slo["service"] in kinds["Service"]
        [objective], [window] = slo["objectives"], slo["timeWindow"]
        assert 0 <= objective["target"] < 1 and short.fullmatch(window["duration"])
        assert window["isRolling"] is True
        ratio = slo["indicator"]["spec"]["ratioMetric"]
        assert set(ratio) in ({"counter", "bad", "total"}, {"rawType", "raw"})
        assert slo["budgetingMethod"] in ("Occurrences", "RatioTimeslices")
        assert ("timeSliceWindow" in objective) == (slo["budgetingMethod"] == "RatioTimeslices")
        assert {one["alertPolicyRef"] for one in slo["alertPolicies"]} <= set(kinds["AlertPolicy"])


def test_the_chart_has_the_same_rules_for_its_own_release(tmp_path):
    [made] = [one for one in render(values("single-secured")) if one["kind"] == "PrometheusRule"]
    text = yaml.safe_dump(made["spec"])
    path = tmp_path / "rules.yaml"
    path.write_text(text)
    answer = run(PROMETHEUS / "promtool", "check", "rules", path)
    assert answer.returncode == 0, answer.stdout + answer.stderr
    assert "@" not in text and 'job="hitherto"' not in text
    plain = yaml.safe_load(RULES.read_text())["groups"]
    assert [group["name"] for group in made["spec"]["groups"]] == [
        *(group["name"] for group in plain), "hitherto-bounds"
    ]  # fmt: skip
    [bounds] = [group for group in made["spec"]["groups"] if group["name"] == "hitherto-bounds"]
    assert [(rule["expr"], rule["labels"].get("view")) for rule in bounds["rules"]] == [
        (f"vector({100 << 30})", None), ("vector(86400)", "labs"), ("vector(5400)", "vitals")
    ]  # fmt: skip
    monitor = run(HELM, "template", "shop", CHART, "--values", "-", input=yaml.safe_dump(values("single")))
    assert "PrometheusRule" not in monitor.stdout
