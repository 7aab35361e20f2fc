"""Whose certificates are believed, on a real TLS server with a certificate of an own authority."""

import asyncio
import http.server
import json
import ssl
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from opencode_relay.client import AsyncClient, Client, Unreachable

from .stub import DISCOVERY, ISSUER

OURS = "Our\x1b[2J own authority"


class Authority:
    """An authority, and a server on loopback with a certificate of it."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.certificate = home / "ca.pem"
        self._openssl(
            "req -x509 -newkey rsa:2048 -nodes -days 2 -keyout ca.key -out ca.pem -subj",
            f"/CN={OURS}",
            "-addext",
            "keyUsage=critical,keyCertSign,cRLSign",  # Python 3.13 wants it said
        )
        (home / "names").write_text("subjectAltName=IP:127.0.0.1")
        self._openssl(
            "req -newkey rsa:2048 -nodes -keyout relay.key -out relay.csr -subj /CN=relay"
        )
        self._openssl(
            "x509 -req -in relay.csr -CA ca.pem -CAkey ca.key -days 2 -extfile names -out relay.pem"
        )
        hashed = self._openssl("x509 -hash -noout -in ca.pem").strip()
        self.directory = home / "trusted"
        self.directory.mkdir()
        (self.directory / f"{hashed}.0").write_bytes(self.certificate.read_bytes())

    def _openssl(self, words: str, *more: str) -> str:
        done = subprocess.run(
            ["openssl", *words.split(), *more],
            cwd=self.home,
            capture_output=True,
            check=True,
            text=True,
        )
        return done.stdout


class Discovery(http.server.BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        url = f"https://{self.headers['Host']}"
        body = json.dumps(DISCOVERY).replace(ISSUER, url).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None: ...


class Server(http.server.ThreadingHTTPServer):
    def handle_error(self, *_: object) -> None:
        """A client that refuses the certificate is what is wanted."""


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture(scope="module")
def url(authority: Authority) -> Iterator[str]:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(authority.home / "relay.pem", authority.home / "relay.key")
    with Server(("127.0.0.1", 0), Discovery) as server:
        # The handshake is the reader's, in a thread of its own: the one that accepts goes on.
        server.socket = context.wrap_socket(
            server.socket, server_side=True, do_handshake_on_connect=False
        )
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"https://127.0.0.1:{server.server_address[1]}"
        server.shutdown()
        thread.join()


@pytest.fixture(autouse=True)
def plain_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("https_proxy", "all_proxy", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
    for name in ("SSL_CERT_FILE", "SSL_CERT_DIR"):
        monkeypatch.delenv(name, raising=False)


def discover(url: str) -> object:
    with Client(url) as client:
        return client.discover()["issuer"]


async def discover_from_asyncio(url: str) -> object:
    async with AsyncClient(url) as client:
        return (await client.discover())["issuer"]


def test_an_own_authority_is_named_with_ssl_cert_file(
    authority: Authority, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(authority.certificate))
    assert discover(url) == url
    assert asyncio.run(discover_from_asyncio(url)) == url


def test_or_beside_others_with_ssl_cert_dir(
    authority: Authority, url: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "others.pem").write_text("")
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "others.pem"))
    monkeypatch.setenv("SSL_CERT_DIR", str(authority.directory))
    assert discover(url) == url
    assert asyncio.run(discover_from_asyncio(url)) == url


def test_no_store_is_asked_but_the_systems(monkeypatch: pytest.MonkeyPatch) -> None:
    def another_store() -> str:
        raise AssertionError("certifi brings a store of its own")

    monkeypatch.setattr("certifi.where", another_store)
    with Client(ISSUER):
        AsyncClient(ISSUER)


def told(url: str) -> set[str]:
    """Return what both clients say; it should be one sentence."""
    with pytest.raises(Unreachable) as blocking:
        discover(url)
    with pytest.raises(Unreachable) as awaited:
        asyncio.run(discover_from_asyncio(url))
    return {str(blocking.value), str(awaited.value)}


def test_without_it_the_certificate_is_named_and_its_issuer(url: str) -> None:
    (sentence,) = told(url)
    assert sentence.startswith(f"The certificate of {url} is refused: ")
    assert "own authority" in sentence
    assert "SSL_CERT_FILE" in sentence
    assert "\x1b" not in sentence


def test_a_certificate_of_another_name_is_no_matter_of_authorities(
    authority: Authority, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(authority.certificate))
    (sentence,) = told(url.replace("127.0.0.1", "localhost"))
    assert "not valid for 'localhost'" in sentence
    assert "SSL_CERT_FILE" not in sentence


def test_where_nobody_answers_no_certificate_is_blamed() -> None:
    (sentence,) = told("https://127.0.0.1:9")
    assert "certificate" not in sentence
