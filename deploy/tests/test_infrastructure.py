"""Terraform, Pulumi and CDK: each by its own tool, and one set of values out of all three."""

import json
import os
import re
import shutil
import sys

import pulumi
import pytest
from tools import CACHE, DEPLOY, HERE, render, run

CASES = json.loads((HERE / "cases.json").read_text())


# Terraform


@pytest.fixture(scope="module")
def module(tmp_path_factory):
    """The Terraform module beside the sizes that it reads, where Terraform may write."""
    folder = tmp_path_factory.mktemp("terraform")
    shutil.copytree(DEPLOY / "terraform", folder / "terraform")
    shutil.copy(DEPLOY / "sizes.json", folder)
    (folder / "terraform.rc").write_text("disable_checkpoint = true\n")
    return folder / "terraform"


def terraform(module, *command):
    env = os.environ | {
        "TF_CLI_CONFIG_FILE": str(module.parent / "terraform.rc"), "TF_IN_AUTOMATION": "1"
    }  # fmt: skip
    return run("terraform", *command, cwd=module, env=env)


def test_terraform(module):
    assert terraform(module, "fmt", "-check", "-recursive").returncode == 0
    for command in (["init", "-backend=false"], ["validate"], ["test", "-no-color"]):
        answer = terraform(module, *command)
        assert answer.returncode == 0, answer.stdout + answer.stderr


def from_terraform(module, case, number):
    variables = module.parent / f"case{number}.tfvars.json"
    variables.write_text(json.dumps(case))
    state = f"-state={module.parent}/case{number}.tfstate"
    answer = terraform(
        module, "apply", "-auto-approve", "-no-color", f"-var-file={variables}", state
    )
    assert answer.returncode == 0, answer.stderr
    return json.loads(terraform(module, "output", "-json", state, "values").stdout)


# Pulumi


class Recorder(pulumi.runtime.Mocks):
    """Stands for Pulumi's engine: remembers what it was told to make."""

    def __init__(self):
        self.made = []

    def new_resource(self, args):
        self.made.append(args)
        return f"{args.name}-id", args.inputs

    def call(self, args):
        return {}


@pytest.fixture(scope="module")
def component():
    sys.path.insert(0, str(DEPLOY / "pulumi"))
    import hitherto_pulumi

    return hitherto_pulumi


@pytest.fixture(scope="module")
def from_pulumi(component):
    """The values of every case, as the engine was told them with the chart."""
    recorder = Recorder()
    pulumi.runtime.set_mocks(recorder)

    @pulumi.runtime.test
    def install():
        # Resources are registered in the background: who asks for a number of each waits for it.
        return pulumi.Output.all(*[
            component.Hitherto(f"case{number}", component.Settings(**case), "models").chart.urn
            for number, case in enumerate(CASES)
        ])

    install()
    charts = [made for made in recorder.made if made.typ == "kubernetes:helm.sh/v4:Chart"]
    assert all(made.inputs["namespace"] == "models" for made in charts)
    return {made.name: made.inputs["values"] for made in charts}


# CDK


@pytest.fixture(scope="module")
def synthesized(tmp_path_factory):
    """The construct, compiled and synthesized without any account."""
    folder = tmp_path_factory.mktemp("cdk")
    packages = CACHE / "node/node_modules"
    compiled = run(packages / ".bin/tsc", "--project", DEPLOY / "cdk", "--outDir", folder)
    assert compiled.returncode == 0, compiled.stdout

    def camel(settings):
        name = lambda key: re.sub("_([a-z])", lambda letter: letter[1].upper(), key)
        return {name(key): value for key, value in settings.items()}

    cases = [json.dumps(camel(case)) for case in CASES]
    env = os.environ | {"NODE_PATH": str(packages), "JSII_SILENCE_WARNING_UNTESTED_NODE_VERSION": "1"}
    answer = run("node", HERE / "synth.js", folder / "index.js", DEPLOY, *cases, env=env)
    assert answer.returncode == 0, answer.stderr
    return json.loads(answer.stdout)


def test_the_role_of_the_construct_reads_one_bucket(synthesized):
    statements = [
        statement
        for policy in synthesized["policies"]
        if "Reading" in json.dumps(policy["Properties"]["Roles"])
        for statement in policy["Properties"]["PolicyDocument"]["Statement"]
    ]
    actions = [one["Action"] for one in statements]
    flat = {action for one in actions for action in ([one] if isinstance(one, str) else one)}
    assert {action.split(":")[0] for action in flat} == {"s3", "kms"}
    assert all(re.match("s3:(Get|List)|kms:(Decrypt|Describe)", action) for action in flat), flat
    assert "eks.amazonaws.com/role-arn" in json.dumps(synthesized["values"]["reading"])


def test_wrong_settings_are_refused(synthesized, component):
    assert len(synthesized["refused"]) == 7
    for wrong in (
        {"replicas": 2},
        {"tls": {}},
        {"tokens_secret": ""},
        {"mode": "replicated", "replicas": 1},
        {"mode": "replicated", "schedules": {"backup": "@daily"}},
        {"schedules": {"refresh": "@daily"}},
        {"image": {"repository": "x"}},
        {"size": "huge"},
    ):
        with pytest.raises(ValueError):
            component.Settings(**CASES[0] | wrong)


# All of them


@pytest.mark.parametrize("number", range(len(CASES)))
def test_one_set_of_values(number, module, from_pulumi, synthesized):
    terraform_says = from_terraform(module, CASES[number], number)
    assert from_pulumi[f"case{number}"] == terraform_says
    assert json.loads(synthesized["values"][f"case{number}"]) == terraform_says
    assert any(made["kind"] == "StatefulSet" for made in render(terraform_says))
