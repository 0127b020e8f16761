"""Pods of the chart, run for real in a box: see `box.py`."""

import http.client
import json
import os
import shutil
import ssl
import sys
import threading
import time

import grpc
import pytest
from box import Cluster, Pod, Service
from grpc_tools import protoc
from tools import DEPLOY, merged, pod_of, render, run

# A rolling restart of every replica each; the long form is for `make test-deploy-long`.
ROLLOUTS = int(os.environ.get("HITHERTO_ROLLOUTS", "2"))
# A moment, so that every answer is the same one.
MOMENT = int(time.time())
LOOKUP = json.dumps({
    "service": "fraud_v1",
    "keys": {"customer_id": [1, 2, 3]},
    "as_of": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(MOMENT)),
})
TOKENS = {"tokens": "first-token-of-callers\nanother-token-of-jobs\n", "token": "another-token-of-jobs"}
BOX = {"image": {"repository": "box"}, "sources": {"claim": "lake", "path": "/data"}}
REPLICAS = {"mode": "replicated", "replicas": 2, "preStopSeconds": 1}


@pytest.fixture(scope="module")
def repository(binary, tmp_path_factory):
    """Definitions and data of `hitherto init`, their source where the chart mounts it."""
    folder = tmp_path_factory.mktemp("repository") / "made"
    assert run(binary, "init", folder).returncode == 0
    files = {}
    for path in sorted(folder.rglob("*.yaml")):
        if path.name != "hitherto.yaml":
            text = path.read_text().replace("parquet: data/", "parquet: /data/")
            files[path.name] = text
    return files, folder / "data/payments.parquet"


@pytest.fixture(scope="module")
def certificates(tmp_path_factory):
    """A secret with a certificate for the chart's service, as cert-manager would make it."""
    folder = tmp_path_factory.mktemp("tls")
    (folder / "names").write_text("subjectAltName=DNS:shop-hitherto.models.svc,IP:127.0.0.1")
    key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"]
    sign = ["-CA", "ca.crt", "-CAkey", "ca.key", "-CAcreateserial", "-days", "2"]
    for command in (
        ["req", "-x509", *key, "-days", "2", "-subj", "/CN=a CA", "-keyout", "ca.key", "-out", "ca.crt"],
        ["req", *key, "-subj", "/CN=features", "-keyout", "tls.key", "-out", "tls.csr"],
        ["x509", "-req", "-in", "tls.csr", *sign, "-extfile", "names", "-out", "tls.crt"],
    ):
        assert run("openssl", *command, cwd=folder).returncode == 0
    return {name: (folder / name).read_text() for name in ("tls.crt", "tls.key", "ca.crt")}


class Release:
    """What a release has made: its objects, and pods of them in boxes."""

    def __init__(self, folder, image, chosen, secrets, data):
        self.objects = render(chosen)
        self.cluster = Cluster(folder, image, self.objects, secrets)
        shutil.copy(data, self.cluster.claim("lake") / "payments.parquet")
        self.boxes = []

    def object(self, kind, name="shop-hitherto"):
        [found] = [
            one for one in self.objects if (one["kind"], one["metadata"]["name"]) == (kind, name)
        ]
        return found

    def server(self, ordinal=0):
        """The pod of the StatefulSet with this number."""
        name = f"shop-hitherto-{ordinal}"
        claims = {
            one["metadata"]["name"]: f"{one['metadata']['name']}-{name}"
            for one in self.object("StatefulSet")["spec"]["volumeClaimTemplates"]
        }
        pod = Pod(self.cluster, name, pod_of(self.object("StatefulSet")), claims)
        self.boxes.append(pod)
        return pod

    def job(self, server, kind, name):
        """Runs the pod of a job beside a server, under whose name it is then reached."""
        pod = Pod(self.cluster, f"{name}-28312-x7x2p", pod_of(self.object(kind, name)))
        self.boxes.append(pod)
        if server:
            pod.holder.kill()
            pod.holder.wait()
            pod.holder = server.holder
        [container] = pod.spec["containers"]
        ended = pod.run(container, ["shop-hitherto.models.svc"])
        self.boxes.remove(pod)
        if not server:
            pod.remove()
        return ended

    def close(self):
        for pod in self.boxes:
            pod.remove()


@pytest.fixture
def release(tmp_path, image, repository):
    made = []

    def make(chosen, secrets=()):
        files, data = repository
        chosen = merged(BOX | {"definitions": {"files": files}}, chosen)
        made.append(Release(tmp_path, image, chosen, secrets, data))
        return made[-1]

    yield make
    for one in made:
        one.close()


def lookup(pod, tls=None, token=None):
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    return pod.request("POST", "/v1/lookup", LOOKUP, headers, tls)


def test_one_server_with_everything(release, certificates, tmp_path):
    shop = release(
        {
            "pushes": True,
            "resources": {"requests": {"cpu": "1", "memory": "1Gi"}, "limits": {"memory": "1Gi"}},
            "tls": {"enabled": True, "secret": "tls"},
            "tokens": {"secret": "tokens"},
            "verify": {"schedule": "@daily"},
            "backup": {"schedule": "@daily"},
            "preStopSeconds": 1,
        },
        {"tls": certificates, "tokens": TOKENS},
    )
    server = shop.server()
    server.serve()

    # It has what the chart says and nothing else.
    status = server.server.status()
    assert set(status["Uid"].split()) == {"65532"} and set(status["Gid"].split()) == {"65532"}
    assert int(status["CapEff"], 16) == int(status["CapBnd"], 16) == 0
    assert status["NoNewPrivs"] == "1"
    mounted = open(f"/proc/{server.server.pid()}/mounts").read()
    assert any(line.split()[1:2] == ["/"] and ",ro" in f",{line.split()[3]}" for line in mounted.splitlines())

    # The chart's jobs reach it, by its name, with its token and its CA.
    for job in ("materialize", "verify", "backup"):
        code, said = shop.job(server, "CronJob", f"shop-hitherto-{job}")
        assert code == 0, said
    code, said = shop.job(server, "Pod", "shop-hitherto-doctor")
    assert code == 0 and "all of them online" in said, said
    [backup] = (shop.cluster.claim("shop-hitherto-backups") / "taken").iterdir()
    assert backup.name == "shop-hitherto-backup-28312-x7x2p"

    # Callers need its CA and a token.
    (tmp_path / "ca.crt").write_text(certificates["ca.crt"])
    tls = ssl.create_default_context(cafile=tmp_path / "ca.crt")
    status, answer = lookup(server, tls, "first-token-of-callers")
    assert status == 200 and '"PRESENT"' in answer, answer
    assert lookup(server, tls)[0] == 401

    # A token that is renewed holds without a restart.
    shop.cluster.secrets["tokens"] = TOKENS | {"tokens": "a-token-that-came-later\n"}
    server.renew("tokens")
    until = time.monotonic() + 10
    while lookup(server, tls, "a-token-that-came-later")[0] != 200:
        assert time.monotonic() < until
        time.sleep(0.2)
    assert lookup(server, tls, "first-token-of-callers")[0] == 401

    # It stops by itself, and has the same values when it is started again.
    assert server.stop()[0] == 0, server.said()
    assert server.restarts_wanted == 0
    server.serve()
    assert lookup(server, tls, "a-token-that-came-later") == (status, answer)

    # A backup brings them back into a volume that is empty.
    assert server.stop()[0] == 0
    store = server.volumes["store"]
    shutil.rmtree(store / "store")
    [container] = server.spec["containers"]
    restore = {**container, "name": "restore", "args": ["restore", f"/backups/taken/{backup.name}"]}
    code, said = server.run(restore)
    assert code == 0, said
    server.serve()
    assert lookup(server, tls, "a-token-that-came-later") == (status, answer)


def test_an_empty_file_of_tokens_is_refused(release, certificates):
    shop = release({"tokens": {"secret": "tokens"}}, {"tokens": {"tokens": "", "token": ""}})
    server = shop.server()
    server.run_init()
    code, said = server.run(server.spec["containers"][0])
    assert code == 2 and "/tokens/tokens has no token" in said, said


def test_a_broken_definition_stops_an_upgrade(release, repository):
    good = release({})
    code, said = good.job(None, "Job", "shop-hitherto-check")
    assert code == 0, said
    broken = {"services.yaml": repository[0]["services.yaml"].replace("last_payment:*", "last_paymnt:*")}
    code, said = release({"definitions": {"files": broken}}).job(None, "Job", "shop-hitherto-check")
    assert code == 2 and 'did you mean "last_payment"' in said, said


def test_replicas_refuse_what_would_change_them(release, binary, repository):
    shop = release(REPLICAS)
    server = shop.server()
    server.serve()
    assert lookup(server)[0] == 200
    service = Service([server])
    address = f"http://127.0.0.1:{service.port}"
    answer = run(binary, "push", "last_payment", repository[1], "--server", address)
    assert answer.returncode == 2 and "opened for reading only" in answer.stderr
    service.close()


@pytest.fixture(scope="module")
def messages(tmp_path_factory):
    """The messages and the client of hitherto.v1, made from the contract."""
    folder = tmp_path_factory.mktemp("stubs")
    proto = DEPLOY.parent / "proto"
    names = [f"hitherto/v1/{name}.proto" for name in ("lookup", "selection")]
    arguments = [f"-I{proto}", f"--python_out={folder}", f"--grpc_python_out={folder}", *names]
    assert protoc.main(["protoc", *arguments]) == 0
    sys.path.insert(0, str(folder))
    from hitherto.v1 import lookup_pb2, lookup_pb2_grpc

    keys = [lookup_pb2.KeyColumn(name="customer_id", ints=lookup_pb2.IntValues(values=[1, 2, 3]))]
    request = lookup_pb2.LookupRequest(
        service="fraud_v1", keys=keys, as_of_micros=MOMENT * 1_000_000
    )
    return request, lookup_pb2_grpc.LookupServiceStub


class Load:
    """Callers of a service: three over HTTP with a connection a call, and one over gRPC that
    keeps its connection. Nobody asks again when a call fails; what was not answered as before
    has failed."""

    def __init__(self, port, messages):
        self.port, self.messages = port, messages
        self.calls, self.failed, self.stopped = 0, [], threading.Event()
        callers = [self.over_http] * 3 + [self.over_grpc]
        self.threads = [threading.Thread(target=self.ask, args=[one]) for one in callers]
        for thread in self.threads:
            thread.start()

    def ask(self, caller):
        expected = None
        for answer in caller():
            expected = expected or answer
            self.calls += 1
            if answer != expected or isinstance(answer, Exception):
                self.failed.append((time.strftime("%T"), caller.__name__, answer))
            if self.stopped.wait(0.02):
                return

    def over_http(self):
        while True:
            connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=20)
            try:
                connection.request("POST", "/v1/lookup", LOOKUP)
                answer = connection.getresponse()
                body = answer.read()
                yield body if answer.status == 200 else OSError(answer.status, body)
            except (OSError, http.client.HTTPException) as error:
                yield error
            finally:
                connection.close()

    def over_grpc(self):
        request, stub = self.messages
        with grpc.insecure_channel(f"127.0.0.1:{self.port}") as channel:
            while True:
                try:
                    yield [column.SerializeToString() for column in
                           stub(channel).Lookup(request, timeout=20).columns]  # fmt: skip
                except grpc.RpcError as error:
                    yield error

    def end(self):
        self.stopped.set()
        for thread in self.threads:
            thread.join()


def under_load(release, messages):
    """Two replicas behind a service, and its callers."""
    shop = release(REPLICAS)
    pods = [shop.server(ordinal) for ordinal in range(2)]
    for pod in pods:
        pod.serve()
    service = Service(pods)
    return pods, service, Load(service.port, messages)


def test_rolling_restarts_fail_no_call(release, messages):
    pods, service, load = under_load(release, messages)
    longest = 0
    for rollout in range(ROLLOUTS):
        for pod in reversed(pods):
            code, seconds = pod.stop()
            assert code == 0, (rollout, code, pod.said())
            longest = max(longest, seconds)
            pod.serve()
    load.end()
    service.close()
    print(f"{ROLLOUTS} rollouts of 2 pods, {load.calls} calls, longest stop {longest:.2f} s")
    assert load.failed == []
    assert load.calls > 100 * ROLLOUTS
    assert [pod.restarts_wanted for pod in pods] == [0, 0]


def test_the_box_sees_calls_that_fail(release, messages):
    """Without the sleep a pod is gone before everybody knows, and the test above would tell."""
    pods, service, load = under_load(release, messages)
    pods[0].spec["containers"][0]["lifecycle"]["preStop"]["sleep"]["seconds"] = 0
    assert pods[0].stop()[0] == 0
    pods[0].serve()
    load.end()
    service.close()
    assert load.failed != []
