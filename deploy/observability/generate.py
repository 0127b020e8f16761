#!/usr/bin/env python3
"""Writes what Prometheus and Grafana read, from what people write.

    slo/*.yaml (OpenSLO v1), alerts.yaml  ->  generated/rules.yaml, and the chart's template of it
    dashboards.yaml                       ->  generated/dashboards/*.json

Names of recording rules and their labels are those of Sloth, so that its dashboards work. Each
burn rate is looked at over the window of its AlertCondition and over a twelfth of it. Equal
sources make equal bytes. Needs PyYAML and nothing else.
"""

import json
import re
import sys
from pathlib import Path

import yaml

HERE = Path(__file__).parent
CHART = HERE.parent / "helm/hitherto/files"
SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400}
# What a rule is about and where it points to, on a machine of its own and in the chart, whose
# template puts a release in the place of each.
PLAIN = {
    "selector": 'job="hitherto"',
    "service": "hitherto",
    "runbooks": "https://github.com/hitherto/hitherto/blob/main/docs/operate/runbooks",
    "dashboards": "https://grafana.example.org",
}
IN_CHART = {name: f"@{name}@" for name in PLAIN}
# Rules over a day and more cost more and change slowly. Longer than five minutes and Prometheus
# would take the last value for gone.
LONG_SECONDS, LONG_INTERVAL = SECONDS["d"], "2m"


def seconds(duration):
    return int(duration[:-1]) * SECONDS[duration[-1]]


def duration(count):
    unit = max((unit for unit in SECONDS if count % SECONDS[unit] == 0), key=SECONDS.get)
    return f"{count // SECONDS[unit]}{unit}"


def kebab(name):
    return re.sub(r"(?<!^)(?=[A-Z])", "-", name.removeprefix("Hitherto")).lower()


def alert(place, name, expression, severity, dashboard, summary, more=(), **options):
    """An alert, with its runbook's and its dashboard's address."""
    return {
        "alert": name,
        "expr": expression,
        **options,
        "labels": {"severity": severity, "service": place["service"], **dict(more)},
        "annotations": {
            "summary": summary,
            "runbook_url": f"{place['runbooks']}/{kebab(name)}.md",
            "dashboard_url": f"{place['dashboards']}/d/{dashboard}",
        },
    }


class Objective:
    """One SLO: what it measures, and the names that its rules have."""

    def __init__(self, document, policies, place):
        self.place, spec, metadata = place, document["spec"], document["metadata"]
        self.name, self.title = metadata["name"], metadata["displayName"]
        self.annotations = metadata["annotations"]
        [objective], [window] = spec["objectives"], spec["timeWindow"]
        self.target, self.period = objective["target"], window["duration"]
        self.good = objective["displayName"]
        self.metric = spec["indicator"]["spec"]["ratioMetric"]
        self.policies = [policies[one["alertPolicyRef"]] for one in spec["alertPolicies"]]
        self.labels = {
            "sloth_id": f"{place['service']}-{self.name}",
            "sloth_service": place["service"],
            "sloth_slo": self.name,
        }
        self.mine = f'{{sloth_id="{self.labels["sloth_id"]}"}}'

    def query(self, part, window):
        query = self.metric[part]["metricSource"]["spec"]["query"]
        query = query.replace(PLAIN["selector"], self.place["selector"])
        return " ".join(query.split()).replace("{{.window}}", window)

    def error_ratio(self, window):
        """The share that is bad; nothing where nothing was asked for."""
        if "raw" in self.metric:
            return self.query("raw", window)
        bad, total = self.query("bad", window), self.query("total", window)
        # Without `or` a rate that is not there would be no errors unseen, and not none.
        return f"(({bad}) or vector(0)) / (({total}) > 0)"

    def is_burning(self, condition):
        """Whether budget burns faster than a condition allows, over both of its windows."""
        long = condition["lookbackWindow"]
        limit = f"({condition['threshold']} * {round(1 - self.target, 6)})"
        both = [
            f"slo:sli_error:ratio_rate{window}{self.mine} > {limit}"
            for window in (long, duration(seconds(long) // 12))
        ]
        burning = " and ignoring (sloth_window) ".join(both)
        if least := self.annotations.get("hitherto/requests-min"):
            asked = f"({self.query('total', long)}) * {seconds(long)} > {least}"
            burning += f" and on () ({asked})"
        return f"max without (sloth_window) ({burning})"

    def recordings(self, windows):
        for window in windows:
            yield {
                "record": f"slo:sli_error:ratio_rate{window}",
                "expr": self.error_ratio(window),
                "labels": {**self.labels, "sloth_window": window},
            }

    def period_recording(self):
        minutes = f"slo:sli_error:ratio_rate5m{self.mine}[{self.period}]"
        return {
            "record": f"slo:sli_error:ratio_rate{self.period}",
            "expr": f"sum_over_time({minutes}) / count_over_time({minutes})",
            "labels": {**self.labels, "sloth_window": self.period},
        }

    def metadata(self):
        def burn_rate(window):
            budget = f"slo:error_budget:ratio{self.mine}"
            same = "on (sloth_id, sloth_slo, sloth_service) group_left ()"
            return f"slo:sli_error:ratio_rate{window}{self.mine} / {same} {budget}"

        days = seconds(self.period) // SECONDS["d"]
        for record, expression in {
            "slo:objective:ratio": f"vector({self.target})",
            "slo:error_budget:ratio": f"vector({round(1 - self.target, 6)})",
            "slo:time_period:days": f"vector({days})",
            "slo:current_burn_rate:ratio": burn_rate("5m"),
            "slo:period_burn_rate:ratio": burn_rate(self.period),
            "slo:period_error_budget_remaining:ratio": f"1 - slo:period_burn_rate:ratio{self.mine}",
        }.items():
            yield {"record": record, "expr": expression, "labels": self.labels}
        yield {
            "record": "sloth_slo_info",
            "expr": "vector(1)",
            "labels": {**self.labels, "sloth_objective": f"{self.target * 100:g}"},
        }

    def alerts(self):
        words = "".join(word.capitalize() for word in self.name.split("-"))
        of_what = "{{ with $labels.view }} of {{ . }}{{ end }}"
        summary = (
            f"{self.title}{of_what}: {{{{ $value | humanizePercentage }}}} not {self.good}; "
            f"the objective is {self.target * 100:g}%"
        )
        for severity in dict.fromkeys(one["severity"] for one in self.policies):
            burning = [
                self.is_burning(one["condition"])
                for one in self.policies
                if one["severity"] == severity
            ]
            yield alert(
                self.place, f"Hitherto{words}Burn", " or ".join(burning), severity,
                self.annotations["hitherto/dashboard"], summary, self.labels,
            )  # fmt: skip

    def groups(self):
        windows = {
            duration(seconds(one["condition"]["lookbackWindow"]) // part)
            for one in self.policies
            for part in (1, 12)
        } | {"5m"}
        windows = sorted(windows, key=seconds)
        short = [window for window in windows if seconds(window) < LONG_SECONDS]
        long = [window for window in windows if seconds(window) >= LONG_SECONDS]
        name = f"hitherto-slo-{self.name}"
        yield {"name": f"{name}-short", "rules": list(self.recordings(short))}
        rules = [*self.recordings(long), self.period_recording()]
        yield {"name": f"{name}-long", "interval": LONG_INTERVAL, "rules": rules}
        yield {"name": f"{name}-meta", "rules": list(self.metadata())}
        yield {"name": f"{name}-alerts", "rules": list(self.alerts())}


def read_objectives(place):
    documents = [
        document
        for path in sorted((HERE / "slo").glob("*.yaml"))
        for document in yaml.safe_load_all(path.read_text())
    ]
    policies = {}
    for document in documents:
        if document["kind"] == "AlertPolicy":
            [condition] = document["spec"]["conditions"]
            policies[document["metadata"]["name"]] = condition["spec"]
    return [Objective(one, policies, place) for one in documents if one["kind"] == "SLO"]


def rules(place):
    """All groups of rules, of a place."""
    source = (HERE / "alerts.yaml").read_text().replace(PLAIN["selector"], place["selector"])
    source = yaml.safe_load(source)
    alerts = []
    for one in source["alerts"]:
        options = {"for": one["for"]} if "for" in one else {}
        alerts.append(
            alert(
                place, one["alert"], one["expr"], one["severity"], one["dashboard"],
                one["summary"], **options,
            )  # fmt: skip
        )
    groups = [
        {"name": "hitherto-views", "rules": source["recordings"]},
        {"name": "hitherto-alerts", "rules": alerts},
    ]
    for objective in read_objectives(place):
        groups += objective.groups()
    return {"groups": groups}


def variable(name, query, title):
    """A variable of a dashboard, with the values of a label; all of them at first."""
    return {
        "name": name,
        "label": title,
        "type": "query",
        "datasource": SOURCE,
        "query": {"query": query, "refId": name},
        "refresh": 2,
        "sort": 1,
        "multi": True,
        "includeAll": True,
        "current": {"text": ["All"], "value": ["$__all"], "selected": True},
    }


SOURCE = {"type": "prometheus", "uid": "${datasource}"}
COLUMNS, HEIGHT = 24, 8


def panel(source, number, place):
    """One panel; only what differs between panels is in dashboards.yaml."""
    kind = source.get("type", "timeseries")
    made = {
        "id": number,
        "type": kind,
        "title": source["title"],
        "description": source["about"],
        "datasource": SOURCE,
        "gridPos": place,
        "fieldConfig": {
            "defaults": {
                "unit": source.get("unit", "short"),
                **{bound: source[bound] for bound in ("min", "max") if bound in source},
            },
            "overrides": [],
        },
        "targets": [
            {
                "refId": chr(ord("A") + index),
                "datasource": SOURCE,
                "expr": " ".join(query.split()),
                "legendFormat": legend,
                **({"instant": True} if kind == "stat" else {"range": True}),
            }
            for index, (legend, query) in enumerate(source["queries"].items())
        ],
    }
    if kind == "stat":
        made["options"] = {"reduceOptions": {"calcs": ["lastNotNull"], "values": False}}
    return made


def dashboard(source):
    panels, y = [], 0
    for row in source["rows"]:
        grid = {"x": 0, "y": y, "w": COLUMNS, "h": 1}
        number = len(panels) + 1
        panels.append(
            {"id": number, "type": "row", "title": row["title"], "gridPos": grid, "panels": []}
        )
        y += 1
        width = COLUMNS // len(row["panels"])
        for index, one in enumerate(row["panels"]):
            grid = {"x": index * width, "y": y, "w": width, "h": HEIGHT}
            panels.append(panel(one, len(panels) + 1, grid))
        y += HEIGHT
    variables = [
        {"name": "datasource", "label": "Prometheus", "type": "datasource", "query": "prometheus"}
    ]
    variables += [variable(name, **one) for name, one in source["variables"].items()]
    return {
        "uid": source["uid"],
        "title": source["title"],
        "description": source["about"],
        "tags": ["hitherto"],
        "schemaVersion": 39,
        "editable": True,
        "timezone": "browser",
        "time": {"from": "now-6h", "to": "now"},
        "refresh": "30s",
        "templating": {"list": variables},
        "panels": panels,
    }


class Dumper(yaml.SafeDumper):
    """YAML without references, which Helm's users would have to follow."""

    def ignore_aliases(self, data):
        return True


def files():
    """Every file that is generated, and what is in it."""
    made = "# Made by deploy/observability/generate.py of slo/*.yaml and alerts.yaml.\n"

    def written(place):
        return made + yaml.dump(rules(place), Dumper=Dumper, sort_keys=False, width=10_000)

    yield HERE / "generated/rules.yaml", written(PLAIN)
    yield CHART / "rules.yaml", written(IN_CHART)
    for source in yaml.safe_load((HERE / "dashboards.yaml").read_text()):
        text = json.dumps(dashboard(source), indent=2, ensure_ascii=False) + "\n"
        yield HERE / f"generated/dashboards/{source['uid']}.json", text


def main(options):
    stale = [path for path, text in files() if not path.exists() or path.read_text() != text]
    if options == ["--check"]:
        sys.exit("\n".join(f"{path} is stale; run {__file__}" for path in stale) or 0)
    for path, text in files():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


if __name__ == "__main__":
    main(sys.argv[1:])
