"""TLS, tokens and certificates, against the real binary."""

from __future__ import annotations

import asyncio
import hashlib
import json
import multiprocessing
import ssl
import subprocess
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from datetime import datetime, timedelta, timezone
from pathlib import Path
from urllib.request import urlopen

import hitherto
import hitherto.aio
import pyarrow as pa
import pytest
from conftest import SERVICE, binary, serving

TOKEN = "0123456789abcdef0123456789abcdef"
OTHER = "fedcba9876543210fedcba9876543210"
KEYS = {"patient_id": ["10000032"]}
ASKED = ["patient_attributes:*"]


class Authority:
    """A CA, as openssl makes one, and what it signs."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder
        self.openssl("req", "-x509", *self.new("ca"), "-subj", "/CN=ca", "-out", "ca.crt")

    def openssl(self, *words: str) -> None:
        subprocess.run(["openssl", *words], cwd=self.folder, check=True, capture_output=True)

    def new(self, name: str) -> list[str]:
        curve = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"]
        return [*curve, "-nodes", "-keyout", f"{name}.key"]

    def sign(self, name: str, host: str = "IP:127.0.0.1") -> tuple[str, str]:
        """Files of a certificate and its key."""
        self.openssl("req", *self.new(name), "-subj", f"/CN={name}", "-out", f"{name}.csr")
        (self.folder / "names").write_text(f"subjectAltName={host}")
        signed = ["-CA", "ca.crt", "-CAkey", "ca.key", "-CAcreateserial", "-days", "2"]
        named = ["-extfile", "names", "-out", f"{name}.crt"]
        self.openssl("x509", "-req", "-in", f"{name}.csr", *signed, *named)
        return str(self.folder / f"{name}.crt"), str(self.folder / f"{name}.key")

    @property
    def ca(self) -> Path:
        return self.folder / "ca.crt"


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path / "pki")


@pytest.fixture
def tls(authority: Authority) -> list[str]:
    cert, key = authority.sign("server")
    return ["--tls-cert", cert, "--tls-key", key]


def look(store: hitherto.Store) -> int:
    return len(store.lookup(KEYS, ASKED))


def eventually(call: Callable[[], object]) -> None:
    deadline = time.monotonic() + 20
    while True:
        try:
            call()
        except hitherto.DeniedError:
            assert time.monotonic() < deadline
            time.sleep(0.1)
        else:
            return


def test_a_token_over_tls_is_all_it_takes(
    repository: Path, authority: Authority, tls: list[str], spine: pa.Table, tmp_path: Path
) -> None:
    tokens = tmp_path / "tokens"
    tokens.write_text(f"# of this month\n{TOKEN}\n")
    tokens.chmod(0o600)
    with serving(repository, "--read-only", *tls, "--token-file", str(tokens)) as url:
        assert url.startswith("https://")
        with hitherto.connect(url, token=TOKEN, ca=authority.ca) as store:
            assert look(store) == 1 and TOKEN not in repr(store)
            assert store.training_set(spine, service=SERVICE).to_arrow().num_rows == 8139

            async def twin() -> int:
                async with hitherto.aio.connect(url, token=TOKEN, ca=authority.ca) as awaited:
                    return len(await awaited.lookup(KEYS, ASKED))

            assert asyncio.run(twin()) == 1
            with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as pool:
                assert pool.submit(look, store).result(60) == 1
        for wrong in (None, OTHER):
            with hitherto.connect(url, token=wrong, ca=authority.ca) as store:
                with pytest.raises(hitherto.DeniedError, match="asks for a token") as caught:
                    look(store)
                assert isinstance(caught.value, PermissionError)
        tokens.write_text(OTHER)
        with hitherto.connect(url, token=OTHER, ca=authority.ca) as store:
            eventually(lambda: look(store))
        command = [binary(), "get", "--features", *ASKED, "patient_id=10000032", "--server", url]
        environment = {"HITHERTO_CA": str(authority.ca)}
        refused = subprocess.run(command, env=environment, capture_output=True, text=True)
        assert refused.returncode == 7 and "asks for a token" in refused.stderr
        command += ["--token", OTHER]
        assert subprocess.run(command, env=environment, capture_output=True).returncode == 0


def test_whom_a_client_does_not_trust(
    repository: Path, authority: Authority, tls: list[str], tmp_path: Path
) -> None:
    with serving(repository, "--read-only", *tls) as url:
        other = Authority(tmp_path / "other")
        for ca in (other.ca, None):
            with pytest.raises(hitherto.DeniedError, match="is not trusted"):
                hitherto.connect(url, ca=ca)
        with pytest.raises(hitherto.DeniedError, match="for another name"):
            hitherto.connect(url.replace("127.0.0.1", "localhost"), ca=authority.ca)
        with pytest.raises(hitherto.InvalidError, match="write https://"):
            look(hitherto.connect(url.replace("https", "http")))
        # Its certificate is renewed while it runs.
        authority.sign("server", "DNS:localhost")
        eventually(lambda: look(hitherto.connect(renamed(url), ca=authority.ca)))


def renamed(url: str) -> str:
    return url.replace("127.0.0.1", "localhost")


def test_a_server_that_asks_for_a_certificate(
    repository: Path, authority: Authority, tls: list[str], tmp_path: Path
) -> None:
    cert, key = authority.sign("client", "DNS:icu.wards.org")
    both = tmp_path / "client.pem"
    both.write_text(Path(cert).read_text() + Path(key).read_text())
    with serving(repository, "--read-only", *tls, "--client-ca", str(authority.ca)) as url:
        for shown in ((cert, key), both, str(both)):
            with hitherto.connect(url, ca=authority.ca, cert=shown) as store:
                assert look(store) == 1
                told = store.whoami()
                assert (told["subject"], told["assurance"]) == ("certificate/icu.wards.org", "key")
                assert told["expires"] > datetime.now(timezone.utc)
        nameless = authority.sign("nameless", "IP:127.0.0.1")
        with pytest.raises(hitherto.DeniedError, match="names nobody"):
            look(hitherto.connect(url, ca=authority.ca, cert=nameless))
        with pytest.raises(hitherto.DeniedError, match="asks for a certificate"):
            look(hitherto.connect(url, ca=authority.ca))
        stranger = Authority(tmp_path / "other").sign("client")
        refusal = (hitherto.DeniedError, hitherto.UnavailableError)
        with pytest.raises(refusal, match="this client's certificate"):
            look(hitherto.connect(url, ca=authority.ca, cert=stranger))
        # A probe has none.
        trusted = ssl.create_default_context(cafile=authority.ca)
        with urlopen(f"{url}/healthz", context=trusted) as answer:
            assert answer.read() == b"ok\n"


def test_what_is_not_sent_or_shown(repository: Path, tmp_path: Path, server: str) -> None:
    with pytest.raises(hitherto.InvalidError, match="could read the token"):
        hitherto.connect("http://features.example.org:7411", token=TOKEN)
    with pytest.raises(hitherto.InvalidError, match="are for https://"):
        hitherto.connect(server, ca=tmp_path / "ca.crt")
    with pytest.raises(hitherto.InvalidError, match="are for a server; leave them out"):
        hitherto.connect(repository, token=TOKEN)
    with pytest.raises(hitherto.UnavailableError, match=r"ca.crt cannot be read"):
        hitherto.connect("https://127.0.0.1:1", ca=tmp_path / "ca.crt")
    with pytest.raises(hitherto.InvalidError, match="speaks no TLS"):
        authority = Authority(tmp_path)
        hitherto.connect(server.replace("http", "https"), ca=authority.ca)
    # Over plain text to this machine a token does no harm.
    with hitherto.connect(server, token=TOKEN) as store:
        assert look(store) == 1


def command(*words: str, code: int = 0, **environment: str) -> subprocess.CompletedProcess[str]:
    done = subprocess.run(
        [binary(), *words], env={"USER": "ada", **environment}, capture_output=True, text=True
    )
    assert done.returncode == code, done.stdout + done.stderr
    return done


def test_a_token_is_made_shown_once_and_taken_back(repository: Path, tmp_path: Path) -> None:
    file = tmp_path / "tokens"
    of_file = ("--token-file", str(file))
    made = command("token", "make", "serving-prod", "--role", "serving,reader", *of_file)
    token = made.stdout.strip()
    assert token.startswith("hth_") and token not in made.stderr
    assert file.stat().st_mode & 0o777 == 0o600
    more = ("--expires", "30d", "--purpose", "treatment", "--person", "--output", "json")
    other = json.loads(command("token", "make", "ada", *more, *of_file).stdout)
    text = file.read_text()
    assert token not in text and other["token"] not in text
    assert hashlib.sha256(token.encode()).hexdigest() in text
    again = command("token", "make", "ada", *of_file, code=4)
    assert "hitherto token revoke ada" in again.stderr
    listed = json.loads(command("token", "list", "--output", "json", *of_file).stdout)
    assert [one["subject"] for one in listed] == ["token/serving-prod", "token/ada"]
    assert (listed[0]["roles"], listed[1]["purposes"]) == (["serving", "reader"], ["treatment"])

    with serving(repository, "--read-only", *of_file) as url:
        asked = ("whoami", "--server", url, "--output", "json")
        told = json.loads(command(*asked, HITHERTO_TOKEN=token).stdout)
        assert (told["subject"], told["roles"]) == ("token/serving-prod", ["serving", "reader"])
        with hitherto.connect(url, token=other["token"]) as store:
            told = store.whoami()
            assert (told["subject"], told["kind"]) == ("token/ada", "person")
            assert told["purposes"] == ["treatment"]
            left = told["expires"] - datetime.now(timezone.utc)
            assert timedelta(days=29) < left <= timedelta(days=30)
            command("token", "revoke", "ada", *of_file)
            deadline = time.monotonic() + 5
            # One that was under way is told what became of its token.
            with pytest.raises(hitherto.DeniedError, match="asks for a token|was taken back"):
                while time.monotonic() < deadline:
                    look(store)
        assert command(*asked, code=7, HITHERTO_TOKEN=other["token"]).stdout == ""
        command(*asked, HITHERTO_TOKEN=token)


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (("make", "a/b"), 2, "no name for a token"),
        (("make", "a", "--expires", "soon"), 2, "or never"),
        (("make", "a", "--expires", "2001-01-01"), 2, "has passed"),
        (("make", "a", "--role", "No Role"), 2, "is not allowed"),
        (("make", "a", "--purpose", "no purpose"), 2, "is no purpose"),
        (("revoke", "serving-prd"), 3, 'did you mean "serving-prod"'),
        (("revoke", "serving-prod"), 4, "the only token"),
    ],
)
def test_a_token_that_cannot_be(
    words: tuple[str, ...], code: int, said: str, tmp_path: Path
) -> None:
    file = tmp_path / "tokens"
    command("token", "make", "serving-prod", "--token-file", str(file))
    before = file.read_text()
    assert said in command("token", *words, "--token-file", str(file), code=code).stderr
    assert file.read_text() == before


def test_a_file_of_tokens_is_named_and_its_owners(tmp_path: Path) -> None:
    command("init", str(tmp_path / "shop"))
    shop = ("--repo", str(tmp_path / "shop"))
    assert "server.tokenFile" in command("token", "list", *shop, code=2).stderr
    with (tmp_path / "shop" / "hitherto.yaml").open("a") as settings:
        settings.write("\nserver: { tokenFile: tokens }\n")
    command("token", "make", "one", *shop)
    file = tmp_path / "shop" / "tokens"
    assert file.read_text().startswith("one sha256:")
    file.chmod(0o644)
    assert "chmod 600" in command("token", "list", *shop, code=2).stderr


def test_others_are_not_answered_without_knowing_them(repository: Path, tmp_path: Path) -> None:
    everywhere = ("serve", "--repo", str(repository), "--read-only", "--listen", "0.0.0.0:0")
    refused = command(*everywhere, code=2).stderr
    for way_out in ("--token-file", "--client-ca", "--allow-anonymous"):
        assert way_out in refused
    file = tmp_path / "tokens"
    command("token", "make", "one", "--token-file", str(file))
    for shown in (["--allow-anonymous"], ["--token-file", str(file)]):
        words = [binary(), *everywhere, *shown]
        with subprocess.Popen(words, stderr=subprocess.PIPE, text=True) as server:
            assert server.stderr is not None
            said = iter(server.stderr.readline, "")
            assert any("serving http://0.0.0.0:" in line for line in said)
            server.terminate()


def test_a_process_knows_its_user(repository: Path) -> None:
    told = command("whoami", "--output", "json").stdout
    assert json.loads(told)["subject"] == "local/ada"
    with hitherto.connect(repository, read_only=True) as store:
        assert store.whoami()["subject"].startswith("local/")
