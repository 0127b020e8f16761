"""A server under the demo's load, watched by a real Prometheus and a real Alertmanager.

    load ----> hitherto serve <---- Prometheus ----> Alertmanager ----> sink
                 /metrics            rules                              what PagerDuty would get

All of it listens on 127.0.0.1 and is ended by who started it.
"""

import contextlib
import http.client
import http.server
import json
import os
import re
import shutil
import socket
import subprocess
import threading
import time
import urllib.parse
import urllib.request

import yaml
from tools import DEPLOY, OBSERVABILITY, PROMETHEUS, run

SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400}
# A moment of the demo's spine, at which a stay has values.
LOOKUP = {
    "service": "deterioration_v1",
    "keys": {"hospitalization_id": ["20044587"], "patient_id": ["10001217"]},
    "as_of": "2113-08-25T18:00:00Z",
}
# A view that is applied and not online: a lookup of it fails as unavailable.
UNAVAILABLE = {"features": ["ventilator_late:*"], "keys": {"hospitalization_id": ["20044587"]}}
# Some of the demo's facts, as they can be pushed.
FACTS = [
    "training-set", "--timestamp", "recorded_dttm", "--features", "heart_rate:*",
    "--sql", "SELECT DISTINCT hospitalization_id, recorded_dttm FROM heart_rate LIMIT 50",
]  # fmt: skip
# Debian's Alertmanager looks for its templates in /usr/share and nowhere else.
SHARE = PROMETHEUS.parent / "share"
DEBIANS = [
    "unshare", "--mount", "sh", "-c",
    f'mount -t overlay overlay -o "lowerdir={SHARE}:/usr/share" /usr/share && exec "$0" "$@"',
]  # fmt: skip
NOT_OURS = shutil.ignore_patterns(".hitherto", "*.py")


def free_port():
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


def wait(until, seconds, what):
    """What `until` says once it says something; it is asked again and again."""
    end = time.monotonic() + seconds
    while True:
        with contextlib.suppress(OSError, http.client.HTTPException):
            if found := until():
                return found
        assert time.monotonic() < end, f"no {what} within {seconds} s"
        time.sleep(0.2)


def fetch(url, body=None):
    data = None if body is None else json.dumps(body).encode()
    headers = {"Content-Type": "application/json"}
    request = urllib.request.Request(url, data, headers)
    with urllib.request.urlopen(request, timeout=60) as answer:
        return answer.read().decode()


@contextlib.contextmanager
def started(command, log):
    """A process for as long as it is needed."""
    with open(log, "w") as out:
        environment = os.environ | {"GOMAXPROCS": "1"}
        process = subprocess.Popen(command, stdout=out, stderr=out, env=environment)
    try:
        yield process
    finally:
        process.terminate()
        process.wait(120)


@contextlib.contextmanager
def sink():
    """What is posted to a server, as (path, document)."""
    got = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self):
            body = self.rfile.read(int(self.headers["Content-Length"]))
            got.append((self.path, json.loads(body)))
            self.send_response(202)
            self.end_headers()
            self.wfile.write(b'{"status": "success"}')

        def log_message(self, *_):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}", got
    finally:
        server.shutdown()
        thread.join()


@contextlib.contextmanager
def alertmanager(folder, to):
    """The example's configuration, with the sink in PagerDuty's place and in that of tickets."""
    folder.mkdir()
    (folder / "key").write_text("a-routing-key")
    text = (OBSERVABILITY / "alertmanager.yaml").read_text()
    text = text.replace("/etc/alertmanager/pagerduty-routing-key", str(folder / "key"))
    text = text.replace("http://tickets.example.org/hitherto", f"{to}/tickets")
    text = re.sub(r"group_(wait|interval): \w+", r"group_\1: 1s", text)
    config = yaml.safe_load(text)
    config["global"] = {"pagerduty_url": f"{to}/v2/enqueue"}
    (folder / "alertmanager.yaml").write_text(yaml.safe_dump(config))
    port = free_port()
    command = [
        *DEBIANS, PROMETHEUS / "prometheus-alertmanager",
        f"--config.file={folder}/alertmanager.yaml",
        f"--storage.path={folder}/data",
        f"--web.listen-address=127.0.0.1:{port}",
        "--cluster.listen-address=",
    ]  # fmt: skip
    url = f"http://127.0.0.1:{port}"
    with started(command, folder / "log"):
        wait(lambda: fetch(f"{url}/-/ready"), 120, "Alertmanager")
        yield url


def compressed(text, factor):
    """Rules in whose time a minute is so many times shorter. Names keep the windows that they
    stand for; what is compressed are ranges, waits and how often is evaluated."""

    def shorter(duration):
        millis = int(duration[:-1]) * SECONDS[duration[-1]] * 1000 // factor
        return f"{millis}ms"

    text = re.sub(r"(?<=\[)\d+[smhd](?=\])", lambda found: shorter(found[0]), text)
    text = re.sub(r"(?<=(?:for|val): )\d+[smhd]$", lambda found: shorter(found[0]), text, flags=re.M)
    return re.sub(r"(?<=\* )(\d+)(?= > )", lambda found: str(int(found[0]) // factor), text)


class Prometheus:
    """One that runs."""

    def __init__(self, url):
        self.url = url

    def get(self, path, **parameters):
        query = urllib.parse.urlencode(parameters)
        return json.loads(fetch(f"{self.url}/api/v1/{path}?{query}"))["data"]

    def values(self, query):
        """The numbers that a query answers with; NaN is none."""
        answers = self.get("query", query=query)["result"]
        numbers = [float(one["value"][1]) for one in answers]
        return [number for number in numbers if number == number]


@contextlib.contextmanager
def prometheus(folder, server, alerts_to=None, factor=1, interval=1, evaluation=None, only=""):
    """The example's configuration, with this server as its target, and all groups of rules or
    those that are named so."""
    folder.mkdir()
    bounds = (OBSERVABILITY / "bounds.yaml").read_text().replace("view: labs", "view: lactate")
    (folder / "bounds.yaml").write_text(bounds)
    groups = yaml.safe_load((OBSERVABILITY / "generated/rules.yaml").read_text())["groups"]
    chosen = {"groups": [group for group in groups if only in group["name"]]}
    rules = compressed(yaml.safe_dump(chosen, width=10_000), factor)
    (folder / "generated").mkdir()
    (folder / "generated/rules.yaml").write_text(rules)
    config = yaml.safe_load((OBSERVABILITY / "prometheus.yaml").read_text())
    config["global"] |= {
        "scrape_interval": f"{interval}s",
        "scrape_timeout": f"{interval}s",
        "evaluation_interval": f"{evaluation or interval}s",
    }
    [job] = config["scrape_configs"]
    job["static_configs"] = [{"targets": [server.removeprefix("http://")]}]
    if alerts_to:
        target = alerts_to.removeprefix("http://")
        config["alerting"]["alertmanagers"] = [{"static_configs": [{"targets": [target]}]}]
    else:
        del config["alerting"]
    (folder / "prometheus.yaml").write_text(yaml.safe_dump(config))
    port = free_port()
    command = [
        PROMETHEUS / "prometheus",
        f"--config.file={folder}/prometheus.yaml",
        f"--storage.tsdb.path={folder}/data",
        f"--web.listen-address=127.0.0.1:{port}",
        "--log.level=warn",
    ]
    url = f"http://127.0.0.1:{port}"
    with started(command, folder / "log"):
        wait(lambda: fetch(f"{url}/-/ready"), 120, "Prometheus")
        yield Prometheus(url)


class Demo:
    """The demo's repository, served, and asked for what a day has: lookups all the time, and
    everything else that a server does, one after the other."""

    PAUSE_SECONDS = 0.1

    def __init__(self, binary, folder):
        self.binary, self.folder = binary, folder
        self.repository = folder / "icu"
        self.stopping = threading.Event()
        # One lookup of so many asks for what is unavailable; none if it is zero.
        self.one_fails_of = 0
        self.asked = 0

    def hitherto(self, *command):
        answer = run(self.binary, "--repo", self.repository, *command)
        assert answer.returncode == 0, f"{command}: {answer.stderr}"
        return answer.stdout

    def make(self):
        shutil.copytree(DEPLOY.parent / "fixtures/icu", self.repository, ignore=NOT_OURS)
        view = (self.repository / "views/ventilator.yaml").read_text()
        late = view.replace("name: ventilator\n", "name: ventilator_late\n")
        (self.repository / "views/late.yaml").write_text(late)
        self.hitherto("apply")
        self.hitherto("materialize", *sorted(self.views() - {"ventilator_late"}))
        self.hitherto(*FACTS, "--out", self.folder / "facts.parquet")

    def views(self):
        catalog = json.loads(self.hitherto("--output", "json", "inspect"))
        return {view["name"] for view in catalog["views"]}

    @contextlib.contextmanager
    def serving(self):
        command = [self.binary, "--repo", self.repository, "--output", "json", "serve"]
        with open(self.folder / "serve.log", "w") as log:
            server = subprocess.Popen(
                [*command, "--listen", "127.0.0.1:0"], stdout=subprocess.PIPE, stderr=log, text=True
            )
        work = [threading.Thread(target=self.look_up), threading.Thread(target=self.do_the_rest)]
        try:
            self.url = json.loads(server.stdout.readline())["url"]
            for one in work:
                one.start()
            yield self
        finally:
            self.stopping.set()
            for one in work:
                if one.ident:
                    one.join()
            server.terminate()
            server.wait(60)

    def look_up(self):
        host = self.url.removeprefix("http://")
        connection = http.client.HTTPConnection(host, timeout=60)
        while not self.stopping.wait(self.PAUSE_SECONDS):
            self.asked += 1
            is_to_fail = self.one_fails_of and self.asked % self.one_fails_of == 0
            body = json.dumps(UNAVAILABLE if is_to_fail else LOOKUP)
            connection.request("POST", "/v1/lookup", body)
            answer = connection.getresponse()
            answer.read()
            assert answer.status == (503 if is_to_fail else 200), answer.status

    def do_the_rest(self):
        keys = ["hospitalization_id=20044587", "patient_id=10001217"]
        at = "2113-08-25T18:00:00Z"
        made = self.folder / "training.parquet"
        everything = [
            ["get", "--service", LOOKUP["service"], *keys, "--as-of", at],
            ["push", "heart_rate", self.folder / "facts.parquet"],
            ["training-set", "--at", at, "--features", "lactate:*", "--out", made, "--force"],
            ["materialize", "lactate"],
            ["verify", "lactate", "--samples", "10"],
            ["why", "lactate", keys[0], "--at", at],
        ]
        while not self.stopping.is_set():
            for command in everything:
                # Who waits for what this leaves behind notices if it fails.
                run(self.binary, *command, "--server", self.url)
                if self.stopping.wait(1):
                    break
