"""The chart, judged by Helm, by Kubernetes' own schemas and by those of the operators."""

import copy
import json

import jsonschema
import kubernetes_validate
import pytest
import yaml
from tools import CHART, HELM, HERE, merged, pod_of, render, run, template, values

VALID = ["single", "single-secured", "replicated"]
KUBERNETES = ["1.30.0", "1.33.0", "1.35.0", "1.37.0"]
WRONG = yaml.safe_load((HERE / "wrong_values.yaml").read_text())
OPERATORS = [yaml.safe_load(path.read_text()) for path in (HERE / "crds").glob("*.yaml")]


@pytest.mark.parametrize("name", VALID)
def test_lint(name):
    answer = run(HELM, "lint", "--strict", CHART, "--values", HERE / "values" / f"{name}.yaml")
    assert answer.returncode == 0, answer.stdout + answer.stderr


@pytest.mark.parametrize("name", VALID)
def test_every_object_has_its_schema(name):
    schemas = {(known["apiVersion"], known["kind"]): known["schema"] for known in OPERATORS}
    for document in render(values(name)):
        if known := schemas.get((document["apiVersion"], document["kind"])):
            jsonschema.validate(document, known)
            continue
        for version in KUBERNETES:
            kubernetes_validate.validate(document, version, strict=True)


def test_the_schemas_refuse():
    objects = {document["kind"]: document for document in render(values("single-secured"))}
    for known in OPERATORS:
        broken = copy.deepcopy(objects[known["kind"]])
        broken["spec"]["misspelt"] = 1
        with pytest.raises(jsonschema.ValidationError):
            jsonschema.validate(broken, known["schema"])
    broken = copy.deepcopy(objects["StatefulSet"])
    broken["spec"]["template"]["spec"]["containers"][0]["readynessProbe"] = {}
    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate(broken, KUBERNETES[0], strict=True)


@pytest.mark.parametrize("wrong", WRONG, ids=lambda wrong: wrong["what"])
def test_a_wrong_value_is_refused_by_the_schema(wrong):
    chosen = merged(values(wrong.get("over", "single")), wrong["values"])
    answer = template(chosen)
    assert answer.returncode != 0, "it was taken"
    assert "values don't meet the specifications of the schema" in answer.stderr
    assert wrong["place"] in answer.stderr


def test_there_are_thirty_wrong_values():
    assert len(WRONG) >= 30


def test_too_little_memory_is_refused():
    answer = template(merged(values("single"), {"resources": {"limits": {"memory": "512Mi"}}}))
    assert "resources.limits.memory is 512Mi; a server needs at least 1Gi" in answer.stderr


@pytest.mark.parametrize("name", VALID)
def test_every_pod_is_confined(name):
    pods = [pod for document in render(values(name)) if (pod := pod_of(document))]
    assert len(pods) >= 3
    for pod in pods:
        context = pod["securityContext"]
        assert (context["runAsNonRoot"], context["runAsUser"]) == (True, 65532)
        assert context["seccompProfile"] == {"type": "RuntimeDefault"}
        for container in pod.get("initContainers", []) + pod["containers"]:
            assert container["securityContext"] == {
                "allowPrivilegeEscalation": False,
                "readOnlyRootFilesystem": True,
                "capabilities": {"drop": ["ALL"]},
            }
            assert "memory" in container["resources"]["limits"]
            # A secret that is mounted so is never renewed.
            assert not any("subPath" in mount for mount in container.get("volumeMounts", []))


def kinds(name):
    return {(document["kind"], document["metadata"]["name"]) for document in render(values(name))}


def test_what_each_mode_has():
    single, replicated = kinds("single-secured"), kinds("replicated")
    jobs = ["materialize", "verify", "backup"]
    assert {("CronJob", f"shop-hitherto-{job}") for job in jobs} <= single
    assert ("PersistentVolumeClaim", "shop-hitherto-backups") in single
    assert ("PodDisruptionBudget", "shop-hitherto") in replicated - single
    assert {made for made in replicated if made[0] == "CronJob"} == {
        ("CronJob", "shop-hitherto-refresh")
    }


def test_a_changed_definition_restarts_the_servers_and_nothing_else_does():
    def annotations(chosen):
        [server] = [one for one in render(chosen) if one["kind"] == "StatefulSet"]
        return server["spec"]["template"]["metadata"]["annotations"]

    first = merged(values("single"), {"definitions": {"configMap": "", "files": {"a.yaml": "a"}}})
    second = merged(first, {"definitions": {"files": {"a.yaml": "b"}}})
    third = merged(first, {"materialize": {"schedule": "@hourly"}})
    assert annotations(first) != annotations(second)
    assert annotations(first) == annotations(third)


@pytest.mark.parametrize("name", VALID)
def test_notes(name):
    answer = run(
        HELM, "install", "shop", CHART, "--namespace", "models", "--dry-run=client",
        "--values", HERE / "values" / f"{name}.yaml",
    )  # fmt: skip
    assert answer.returncode == 0, answer.stderr
    notes = answer.stdout.split("NOTES:")[1]
    scheme = "http" if name == "single" else "https"
    assert f"{scheme}://shop-hitherto.models.svc:7411" in notes
    assert ("Nothing is backed up" in notes) == (name == "single")
    assert ("Whoever reaches the port" in notes) == (name == "single")


def test_every_value_is_explained():
    schema = json.loads((CHART / "values.schema.json").read_text())
    defaults = yaml.safe_load((CHART / "values.yaml").read_text())
    explained = schema["properties"]
    assert set(defaults) | {"global", "pushes"} == set(explained)
