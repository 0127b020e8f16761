"""TLS, tokens and certificates, against the real binary."""

from __future__ import annotations

import asyncio
import multiprocessing
import ssl
import subprocess
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
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
    cert, key = authority.sign("client")
    both = tmp_path / "client.pem"
    both.write_text(Path(cert).read_text() + Path(key).read_text())
    with serving(repository, "--read-only", *tls, "--client-ca", str(authority.ca)) as url:
        for shown in ((cert, key), both, str(both)):
            with hitherto.connect(url, ca=authority.ca, cert=shown) as store:
                assert look(store) == 1
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
