"""Hitherto for Pulumi: the settings of a release, the chart's values that follow from them,
and a component that installs the chart.

    import hitherto_pulumi as hitherto

    hitherto.Hitherto(
        "features",
        hitherto.Settings(
            image={"repository": "registry.example.org/hitherto", "tag": "0.1.0"},
            definitions_config_map="features",
            tokens_secret="features-tokens",
            tls={"secret": "features-tls"},
        ),
        namespace="features",
    )

The values are those of the Terraform module and of the CDK construct for the same settings;
a test compares all three.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pulumi
from pulumi_kubernetes.helm.v4 import Chart

DEPLOY = Path(__file__).resolve().parent.parent
SIZES = json.loads((DEPLOY / "sizes.json").read_text())


@dataclass(frozen=True)
class Settings:
    """What a release is to be. docs/operate/deploying.md has a line for each."""

    image: Mapping[str, str]
    definitions_config_map: str
    mode: str = "single"
    replicas: int | None = None
    size: str = "small"
    tls: Mapping[str, Any] | None = None
    tokens_secret: str | None = None
    caller_namespaces: Sequence[str] | None = None
    environment: Mapping[str, str] = field(default_factory=dict)
    service_account_annotations: Mapping[str, Any] = field(default_factory=dict)
    schedules: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Refuses what cannot be, before anything is asked of a cluster."""
        for wrong, message in (
            (self.mode not in ("single", "replicated"), "mode is single or replicated"),
            (self.size not in SIZES, f"size is one of {', '.join(SIZES)}"),
            (
                ("tag" in self.image) == ("digest" in self.image),
                "image has a tag or a digest; give one of them",
            ),
            (
                self.tls is not None and ("secret" in self.tls) == ("issuer" in self.tls),
                "tls has a secret or an issuer; give one of them",
            ),
            (self.tokens_secret == "", "tokens_secret is the name of a secret"),
            (
                self.mode == "single" and self.replicas not in (None, 1),
                "mode single has one server; leave replicas out, or set mode to replicated",
            ),
            (
                self.mode == "replicated" and self.replicas is not None and self.replicas < 2,
                "mode replicated has at least two servers",
            ),
            (
                self.mode == "single" and "refresh" in self.schedules,
                "a refresh restarts replicas, and mode is single; use materialize",
            ),
            (
                self.mode == "replicated" and bool(set(self.schedules) - {"refresh"}),
                "replicas change nothing; of schedules they have refresh alone",
            ),
        ):
            if wrong:
                raise ValueError(f"{message}; found {self}")


def values(settings: Settings) -> dict[str, Any]:
    """The chart's values."""
    size = SIZES[settings.size]
    made = {
        "mode": settings.mode,
        "replicas": settings.replicas or (1 if settings.mode == "single" else 3),
        "image": dict(settings.image),
        "definitions": {"configMap": settings.definitions_config_map},
        "resources": {
            "requests": {"cpu": size["cpu"], "memory": size["memory"]},
            "limits": {"memory": size["memory"]},
        },
        "storage": {"size": size["storage"]},
        "scratch": {"size": size["scratch"]},
    }
    if settings.tls is not None:
        made["tls"] = {"enabled": True} | certificate(settings.tls)
    if settings.tokens_secret is not None:
        made["tokens"] = {"secret": settings.tokens_secret}
    if settings.environment:
        env = sorted(settings.environment.items())
        made["env"] = [{"name": name, "value": value} for name, value in env]
    if settings.caller_namespaces is not None:
        made["networkPolicy"] = {"from": [peer(name) for name in settings.caller_namespaces]}
    if settings.service_account_annotations:
        annotations = dict(settings.service_account_annotations)
        made["serviceAccount"] = {"annotations": annotations}
    for job, schedule in settings.schedules.items():
        made[job] = {"schedule": schedule}
    if "backup" in settings.schedules:
        made["backup"]["storage"] = {"size": size["storage"]}
    return made


def certificate(tls: Mapping[str, Any]) -> dict[str, Any]:
    if "secret" in tls:
        return {"secret": tls["secret"]}
    return {"certManager": {"issuer": {"kind": "ClusterIssuer"} | dict(tls["issuer"])}}


def peer(namespace: str) -> dict[str, Any]:
    return {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": namespace}}}


class Hitherto(pulumi.ComponentResource):
    """The chart, installed. `values` are what it was given."""

    values: pulumi.Output[Mapping[str, Any]]

    def __init__(
        self,
        name: str,
        settings: Settings,
        namespace: str = "default",
        chart: str = str(DEPLOY / "helm" / "hitherto"),
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        super().__init__("hitherto:index:Hitherto", name, None, opts)
        self.values = pulumi.Output.from_input(values(settings))
        self.chart = Chart(
            name,
            chart=chart,
            namespace=namespace,
            values=values(settings),
            opts=pulumi.ResourceOptions(parent=self),
        )
        self.register_outputs({"values": self.values})
