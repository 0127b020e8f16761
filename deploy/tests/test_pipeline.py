"""The pipeline's steps, run as a pipeline runs them, and its template."""

import json
import os
import subprocess

import pytest
import yaml
from tools import BIN, DEPLOY, HELM, merged, render, run, values

STEPS = DEPLOY / "pipeline/pipeline.sh"
TEMPLATE = DEPLOY / "pipeline/github.yml"
IMAGE = "registry.example.org/hitherto@sha256:" + "0" * 64


@pytest.fixture
def work(binary, tmp_path):
    """A repository of git with definitions in `features`, and commands beside it."""
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin/hitherto").symlink_to(binary)
    path = f"{tmp_path}/bin:{os.environ['PATH']}"

    class Work:
        root = tmp_path / "checkout"
        features = root / "features"
        bin = tmp_path / "bin"
        env = os.environ | {"PATH": path, "GIT_CONFIG_GLOBAL": "/dev/null"}

        def __call__(self, *command, **more):
            return run(*command, cwd=self.root, env=self.env | more)

        def commit(self):
            self("git", "add", "--all")
            who = ["-c", "user.name=a", "-c", "user.email=a@example.org"]
            assert self("git", *who, "commit", "--message", "change").returncode == 0

        def change(self, before, after):
            path = self.features / "views/payments.yaml"
            text = path.read_text()
            assert before in text
            path.write_text(text.replace(before, after))

    work = Work()
    work.root.mkdir()
    assert work("git", "init", "--quiet").returncode == 0
    assert work(binary, "init", "features").returncode == 0
    work.commit()
    return work


def test_plan_says_by_its_exit_code_whether_something_changes(work):
    assert work(STEPS, "plan", "features", "HEAD").returncode == 0

    work.change("ttl: 30d", "ttl: 10d")
    answer = work(STEPS, "plan", "features", "HEAD")
    assert answer.returncode == 2 and "last_payment" in answer.stdout, answer

    work.change("amount_eur, type: float64", "amount_eur, type: string")
    answer = work(STEPS, "plan", "features", "HEAD")
    assert answer.returncode == 1 and "amount_eur" in answer.stderr, answer

    answer = work(STEPS, "plan", "features", "elsewhere")
    assert answer.returncode == 1 and "name another" in answer.stderr, answer
    assert not (work.features / ".hitherto").exists()


def test_a_bundle_is_what_the_chart_takes(work):
    first, second = (work(STEPS, "bundle", "features", IMAGE) for _ in range(2))
    assert first.returncode == 0 and first.stdout == second.stdout
    chosen = json.loads(first.stdout)
    assert set(chosen["definitions"]["files"]) == {
        "entities.yaml", "services.yaml", "views-payments.yaml"
    }  # fmt: skip
    environment = merged(values("single"), {"image": {"tag": ""}, "definitions": {"configMap": ""}})
    maps = [one for one in render(merged(environment, chosen)) if one["kind"] == "ConfigMap"]
    assert chosen["definitions"]["files"] in [one["data"] for one in maps]

    answer = work(STEPS, "bundle", "features", "registry.example.org/hitherto:0.1.0")
    assert answer.returncode == 1 and "has no digest" in answer.stderr


def test_apply_gives_helm_the_environment_and_then_the_bundle(work):
    # Helm upgrades nothing without a cluster: what it was told is rendered instead.
    (work.bin / "helm").write_text(f"""#!/bin/sh
[ "$1 $2" = "upgrade --install" ] || exit 1
case "$*" in *--rollback-on-failure*--wait*) ;; *) exit 1 ;; esac
exec {HELM} template "$3" "$4" "$5" "$6" "$7" "$8"
""")
    (work.bin / "helm").chmod(0o755)
    (work.root / "bundle.json").write_text(work(STEPS, "bundle", "features", IMAGE).stdout)
    (work.root / "staging.yaml").write_text("storage: { size: 3Gi }\n")
    answer = work(STEPS, "apply", "features", "bundle.json", "staging.yaml")
    assert answer.returncode == 0, answer.stderr
    assert "storage: 3Gi" in answer.stdout and IMAGE in answer.stdout


def test_who_may_be_promoted(work, binary):
    work(binary, "--repo", "features", "apply")
    server = subprocess.Popen(
        [binary, "--repo", "features", "--output", "json", "serve", "--listen", "127.0.0.1:0"],
        cwd=work.root, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
    )  # fmt: skip
    try:
        url = json.loads(server.stdout.readline())["url"]
        assert work(STEPS, "prove", url).returncode != 0, "nothing is online yet"
        work("hitherto", "materialize", "--server", url)
        answer = work(STEPS, "prove", url)
        assert answer.returncode == 0, answer.stdout + answer.stderr
    finally:
        server.terminate()
        server.wait()
    assert work(STEPS, "prove", url).returncode != 0, "nobody is there"


def test_the_template(work):
    schema = ["--builtin-schema", "vendor.github-workflows"]
    answer = run(BIN / "check-jsonschema", *schema, TEMPLATE)
    assert answer.returncode == 0, answer.stdout

    # The step that a review looks at, as a runner would run it.
    jobs = yaml.safe_load(TEMPLATE.read_text())["jobs"]
    [script] = [step["run"] for step in jobs["plan"]["steps"] if "plan" in step.get("run", "")]
    (work.root / "deploy").symlink_to(DEPLOY)
    summary = work.root.parent / "summary.md"
    work.change("ttl: 30d", "ttl: 10d")
    answer = work("bash", "-e", "-c", script, BASE="HEAD", GITHUB_STEP_SUMMARY=str(summary))
    assert answer.returncode == 0 and "definitions would change" in answer.stdout, answer
    assert "last_payment" in summary.read_text()

    # Production gets what staging was proved with, and after it.
    assert jobs["production"]["needs"] == "staging" and jobs["staging"]["needs"] == "bundle"
    staged, produced = (json.dumps(jobs[name]["steps"]) for name in ("staging", "production"))
    assert produced == staged.replace("staging", "production")
