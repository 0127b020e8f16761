"""Pod in a box: runs a pod that the chart rendered, from the image, without a cluster.

It does what the kubelet and a container runtime do with the fields that the chart sets:
volumes with the owners, modes and links that Kubernetes gives them, init containers in their
order, user, groups, capabilities and a read-only root, the probes over HTTP, and a stop as
Kubernetes stops: out of the endpoints, the sleep before the stop, SIGTERM, the grace period.
Each pod has a network of its own. `Service` stands for kube-proxy: it chooses a ready pod for
each connection and leaves connections where they are.

Not done: seccomp, limits on memory and processors, and choosing a node.
"""

import contextlib
import ctypes
import http.client
import json
import os
import re
import shutil
import signal
import socket
import ssl
import subprocess
import sys
import threading
import time
from pathlib import Path

from tools import HERE

# How long a change of the endpoints takes to arrive where connections are balanced.
PROPAGATION_SECONDS = 0.5
CLONE_NEWNET = 0x40000000
LIBC = ctypes.CDLL(None, use_errno=True)


def write_keys(folder, keys, mode, group):
    """Writes a ConfigMap or a secret as the kubelet does: links to links to files, so that all
    of it changes in one rename."""
    folder.mkdir(parents=True, exist_ok=True)
    version = folder / f"..{time.time_ns()}"
    version.mkdir()
    os.chmod(version, 0o755)
    for name, content in keys.items():
        file = version / name
        file.write_text(content)
        os.chmod(file, mode)
        os.chown(file, 0, group)
        link = folder / name
        if not link.is_symlink():
            link.symlink_to(f"..data/{name}")
    fresh = folder / "..data_tmp"
    fresh.symlink_to(version.name)
    fresh.rename(folder / "..data")


class Cluster:
    """What pods find around them: ConfigMaps and secrets by name, and folders for claims."""

    def __init__(self, folder, image, objects, secrets=()):
        self.folder, self.image, self.secrets = folder, image, dict(secrets)
        self.maps = {
            one["metadata"]["name"]: one["data"] for one in objects if one["kind"] == "ConfigMap"
        }

    def claim(self, name, group=65532):
        folder = self.folder / "claims" / name
        if not folder.exists():
            folder.mkdir(parents=True)
            (folder / "lost+found").mkdir(mode=0o700)
            os.chown(folder, 0, group)
            os.chmod(folder, 0o2775)
        return folder

    def keys(self, source):
        """Files of a ConfigMap or a secret."""
        match source:
            case {"configMap": {"name": name}}:
                return self.maps[name]
            case {"secret": {"secretName": name, **rest}}:
                secret = self.secrets[name]
                items = rest.get("items") or [{"key": key, "path": key} for key in secret]
                return {item["path"]: secret[item["key"]] for item in items}


class Container:
    """A running container, the process 1 of its own process numbers."""

    def __init__(self, process):
        self.process = process

    def pid(self):
        """Of the program, seen from here."""
        me = self.process.pid
        children = Path(f"/proc/{me}/task/{me}/children").read_text().split()
        return int(children[0]) if children else None

    def kill(self):
        """Ends the program itself: who started it cannot, once it is another user."""
        with contextlib.suppress(ProcessLookupError, FileNotFoundError):
            if (program := self.pid()) is not None:
                os.kill(program, signal.SIGKILL)
        self.process.kill()
        self.process.wait()

    def status(self):
        lines = Path(f"/proc/{self.pid()}/status").read_text().splitlines()
        return dict(line.split(":\t", 1) for line in lines)


class Pod:
    """One pod, from its rendered form."""

    def __init__(self, cluster, name, spec, claims=()):
        self.cluster, self.name, self.spec = cluster, name, spec
        self.folder = cluster.folder / "pods" / name
        shutil.rmtree(self.folder, ignore_errors=True)
        self.folder.mkdir(parents=True)
        self.claims = dict(claims)
        self.volumes = {volume["name"]: self.volume(volume) for volume in spec.get("volumes", [])}
        self.volumes |= {name: cluster.claim(claim) for name, claim in self.claims.items()}
        # Holds the pod's network for all its containers.
        self.holder = subprocess.Popen(
            ["unshare", "--net", "sh", "-c", "ip link set lo up; echo up; exec sleep infinity"],
            stdout=subprocess.PIPE, text=True,
        )  # fmt: skip
        assert self.holder.stdout.readline() == "up\n"
        self.ready, self.server, self.log = threading.Event(), None, self.folder / "log"

    # Volumes

    def volume(self, volume):
        group = self.spec["securityContext"]["fsGroup"]
        folder = self.folder / "volumes" / volume["name"]
        match volume:
            case {"emptyDir": _}:
                folder.mkdir(parents=True)
                os.chown(folder, 0, group)
                os.chmod(folder, 0o2777)
                return folder
            case {"persistentVolumeClaim": {"claimName": name}}:
                return self.cluster.claim(name)
            case {"projected": {"sources": sources}}:
                keys = {}
                for source in sources:
                    keys |= self.cluster.keys(source)
            case _:
                keys = self.cluster.keys(volume)
        mode = volume.get("secret", {}).get("defaultMode", 0o644)
        write_keys(folder, keys, mode, group)
        return folder

    def renew(self, volume):
        """Brings a volume of a secret to what the secret now is."""
        self.volume(next(one for one in self.spec["volumes"] if one["name"] == volume))

    # Containers

    def environment(self, container):
        env = dict(pair.split("=", 1) for pair in self.cluster.image["env"])
        for variable in container.get("env", []):
            match variable:
                case {"name": name, "value": value}:
                    env[name] = value
                case {"name": name, "valueFrom": {"secretKeyRef": ref}}:
                    env[name] = self.cluster.secrets[ref["name"]][ref["key"]]
                case {"name": name, "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}}:
                    env[name] = self.name
        return env

    def start(self, container, hosts=()):
        """Starts a container; its output is in the pod's log."""
        own = self.folder / container["name"]
        shutil.rmtree(own, ignore_errors=True)
        for folder in ("root", "upper", "work"):
            (own / folder).mkdir(parents=True)
        (own / "hosts").write_text("".join(f"127.0.0.1 {name}\n" for name in hosts))
        context = {**self.spec["securityContext"], **container["securityContext"]}
        env = self.environment(container)
        expand = lambda word: re.sub(r"\$\((\w+)\)", lambda name: env[name[1]], word)
        mounts = [
            (str(self.volumes[mount["name"]]), mount["mountPath"], mount.get("readOnly", False))
            for mount in container["volumeMounts"]
        ]
        layers = f"lowerdir={self.cluster.image['root']},upperdir={own}/upper,workdir={own}/work"
        plan = {
            "root": str(own / "root"),
            "layers": layers,
            "mounts": [*mounts, (str(own / "hosts"), "/etc/hosts", True)],
            "args": [*self.cluster.image["entrypoint"], *map(expand, container["args"])],
            "env": env,
            "uid": context["runAsUser"],
            "gid": context["runAsGroup"],
            "groups": [context["fsGroup"]],
            "readOnly": context["readOnlyRootFilesystem"],
            "dropCapabilities": context["capabilities"]["drop"] == ["ALL"],
            "noNewPrivileges": not context["allowPrivilegeEscalation"],
        }
        process = subprocess.Popen(
            ["nsenter", f"--net=/proc/{self.holder.pid}/ns/net",
             "unshare", "--mount", "--pid", "--ipc", "--fork", "--kill-child",
             sys.executable, HERE / "box_enter.py", json.dumps(plan)],
            stdout=self.log.open("ab"), stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL,
        )  # fmt: skip
        return Container(process)

    def run(self, container, hosts=()):
        """Runs a container to its end: how it ended, and what it said."""
        before = self.log.stat().st_size if self.log.exists() else 0
        code = self.start(container, hosts).process.wait(timeout=120)
        return code, self.log.read_bytes()[before:].decode()

    def run_init(self):
        for container in self.spec.get("initContainers", []):
            code, said = self.run(container)
            assert code == 0, f"{self.name}: {container['name']} ended with {code}: {said}"

    def serve(self):
        """Runs the init containers, then the server, until its probes say that it is ready."""
        self.run_init()
        [container] = self.spec["containers"]
        self.server = self.start(container)
        self.await_probe(container["startupProbe"])
        self.watch = threading.Thread(target=self.probe_on, args=[container], daemon=True)
        self.terminating = False
        self.restarts_wanted = 0
        self.ready.set()
        self.watch.start()

    # Probes

    def connect(self, port=7411):
        """A connection to a port of the pod's own network, made by a thread within it."""
        found = []

        def work():
            with open(f"/proc/{self.holder.pid}/ns/net") as network:
                if LIBC.setns(network.fileno(), CLONE_NEWNET) != 0:
                    found.append(OSError(ctypes.get_errno(), "setns"))
                    return
            try:
                found.append(socket.create_connection(("127.0.0.1", port), timeout=5))
            except OSError as error:
                found.append(error)

        thread = threading.Thread(target=work)
        thread.start()
        thread.join()
        if isinstance(found[0], OSError):
            raise found[0]
        return found[0]

    def request(self, method, path, body=None, headers=None, tls=None, timeout=10):
        """One HTTP request to the pod, as the kubelet makes it if there is no more to it."""
        connection = http.client.HTTPConnection("127.0.0.1", 7411, timeout=timeout)
        connection.sock = self.connect()
        connection.sock.settimeout(timeout)
        if tls:
            connection.sock = tls.wrap_socket(connection.sock, server_hostname="127.0.0.1")
        with contextlib.closing(connection):
            connection.request(method, path, body, headers or {})
            answer = connection.getresponse()
            return answer.status, answer.read().decode()

    def probe(self, probe):
        asked, tls = probe["httpGet"], None
        if asked["scheme"] == "HTTPS":
            tls = ssl._create_unverified_context()
        try:
            status, _ = self.request(
                "GET", asked["path"], tls=tls, timeout=probe.get("timeoutSeconds", 1)
            )
        except OSError:
            return False
        return 200 <= status < 400

    def await_probe(self, probe):
        for _ in range(probe["failureThreshold"]):
            if self.probe(probe):
                return
            assert self.server.process.poll() is None, f"{self.name} ended: {self.said()}"
            time.sleep(min(probe["periodSeconds"], 0.1))
        raise AssertionError(f"{self.name} did not start: {self.said()}")

    def probe_on(self, container):
        """Readiness and liveness, until the pod is to stop."""
        failed = {"readinessProbe": 0, "livenessProbe": 0}
        last = dict.fromkeys(failed, time.monotonic())
        while not self.terminating:
            for kind in failed:
                probe = container[kind]
                if time.monotonic() - last[kind] < probe["periodSeconds"]:
                    continue
                last[kind] = time.monotonic()
                failed[kind] = 0 if self.probe(probe) else failed[kind] + 1
                is_bad = failed[kind] >= probe["failureThreshold"]
                if kind == "livenessProbe":
                    self.restarts_wanted += is_bad
                elif is_bad:
                    self.ready.clear()
                elif not self.terminating:
                    self.ready.set()
            time.sleep(0.05)

    def said(self):
        return self.log.read_text()[-2000:]

    # The end

    def stop(self):
        """Stops the server as Kubernetes does, and returns how it ended and how long the
        server took from SIGTERM."""
        [container] = self.spec["containers"]
        grace = self.spec["terminationGracePeriodSeconds"]
        began = time.monotonic()
        self.terminating = True
        threading.Timer(PROPAGATION_SECONDS, self.ready.clear).start()
        time.sleep(container["lifecycle"]["preStop"]["sleep"]["seconds"])
        told = time.monotonic()
        os.kill(self.server.pid(), signal.SIGTERM)
        try:
            code = self.server.process.wait(timeout=grace - (told - began))
        except subprocess.TimeoutExpired:
            self.server.kill()
            code = "killed after the grace period"
        self.watch.join()
        return code, time.monotonic() - told

    def remove(self):
        self.terminating = True
        if self.server and self.server.process.poll() is None:
            self.server.kill()
        self.holder.kill()
        self.holder.wait()


class Service:
    """An address in front of pods."""

    def __init__(self, pods):
        self.pods, self.turn = pods, 0
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        with contextlib.suppress(OSError):
            while True:
                caller, _ = self.listener.accept()
                threading.Thread(target=self.join, args=[caller], daemon=True).start()

    def join(self, caller):
        ready = [pod for pod in self.pods if pod.ready.is_set()]
        self.turn += 1
        try:
            server = ready[self.turn % len(ready)].connect()
        except (OSError, ZeroDivisionError):
            caller.close()
            return
        server.settimeout(None)
        back = threading.Thread(target=pump, args=[server, caller], daemon=True)
        back.start()
        pump(caller, server)
        back.join()
        caller.close()
        server.close()

    def close(self):
        self.listener.close()


def pump(source, target):
    """Copies bytes until there are no more."""
    with contextlib.suppress(OSError):
        while piece := source.recv(1 << 16):
            target.sendall(piece)
    with contextlib.suppress(OSError):
        target.shutdown(socket.SHUT_WR)
