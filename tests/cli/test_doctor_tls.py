"""What `doctor` says of connections and certificates: real TLS on loopback."""

from __future__ import annotations

import contextlib
import os
import select
import signal
import socket
import ssl
import subprocess
import sys
import threading
from base64 import b64encode
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Self

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from opencode_relay import outgoing
from opencode_relay.cli.doctor.checks import Finding, carry_out
from opencode_relay.cli.doctor.tls import Connection
from opencode_relay.cli.doctor.web import asking

from tests.support.served import environment, until

from .hostile import Hostile, says

OUTSIDE = "https://relay.doctor.invalid"  # no resolver knows it: only the proxy leads there


def _name(common: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, common)])


def _server(into: Path, *, days: int, host: str = "localhost") -> ssl.SSLContext:
    """Sign a certificate for `host` with an own authority, whose own lies in `ca.pem`."""
    keys = [ec.generate_private_key(ec.SECP256R1()) for _ in range(2)]
    now = datetime.now(UTC)
    ca, own = _name("The house's own CA"), _name("the-server")
    for subject, key, names in ((ca, keys[0], []), (own, keys[1], [x509.DNSName(host)])):
        builder = (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(ca)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - timedelta(days=1))
            .not_valid_after(now + timedelta(days=days, hours=1))
            .add_extension(x509.BasicConstraints(ca=not names, path_length=None), critical=True)
        )
        usage = dict.fromkeys(
            ("content_commitment", "key_encipherment", "data_encipherment", "key_agreement"), False
        )
        builder = builder.add_extension(
            x509.KeyUsage(
                digital_signature=True,
                key_cert_sign=not names,
                crl_sign=not names,
                encipher_only=False,
                decipher_only=False,
                **usage,
            ),
            critical=True,
        )
        builder = builder.add_extension(
            x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False
        ).add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_public_key(keys[0].public_key()),
            critical=False,
        )
        if names:
            builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
        made = builder.sign(keys[0], hashes.SHA256())
        file = into / ("server.pem" if names else "ca.pem")
        file.write_bytes(made.public_bytes(serialization.Encoding.PEM))
    (into / "key.pem").write_bytes(
        keys[1].private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(into / "server.pem", into / "key.pem")
    return context


Look = Callable[[str], dict[str, Finding]]


@pytest.fixture
def look() -> Look:
    def look(url: str) -> dict[str, Finding]:
        with asking() as web:
            found = carry_out(Connection(web, url).checks(), needed=0)
            return {one.check: one for one in found}

    return look


@contextlib.contextmanager
def serving(into: Path, days: int = 60, host: str = "localhost") -> Iterator[Hostile]:
    with Hostile(_server(into, days=days, host=host)) as server:
        server.answers["/healthz"] = says({})
        yield server


def test_an_own_authority_is_trusted_when_it_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, look: Look
) -> None:
    with serving(tmp_path) as server:
        monkeypatch.setenv("SSL_CERT_FILE", f"{tmp_path / 'ca.pem'}")
        found = look(server.url)
    assert found["reachable"].ok is True
    assert found["certificate"].ok is True
    assert "60 days left" in found["certificate"].seen


def test_a_certificate_that_does_not_hold_is_named(tmp_path: Path, look: Look) -> None:
    with serving(tmp_path) as server:
        found = look(server.url)
    assert found["reachable"].ok is True
    assert found["certificate"].ok is False
    seen = found["certificate"].seen
    assert "TLS fails: unable to get local issuer certificate" in seen
    assert "CN=the-server, issued by CN=The house's own CA" in seen
    assert "SSL_CERT_FILE" in seen


def test_a_certificate_of_another_host_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, look: Look
) -> None:
    with serving(tmp_path, host="other.example") as server:
        monkeypatch.setenv("SSL_CERT_FILE", f"{tmp_path / 'ca.pem'}")
        seen = look(server.url)["certificate"].seen
    assert "not valid for 'localhost'" in seen
    assert "CN=the-server" in seen


def test_a_certificate_that_ends_soon(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, look: Look
) -> None:
    with serving(tmp_path, days=13) as server:
        monkeypatch.setenv("SSL_CERT_FILE", f"{tmp_path / 'ca.pem'}")
        found = look(server.url)["certificate"]
    assert (found.ok, found.seen) == (False, "The certificate ends in 13 days: renew it now.")


class Proxy:
    """An HTTP proxy that wants a password, and leads every CONNECT to one port of loopback."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.address = f"127.0.0.1:{self._listener.getsockname()[1]}"
        self.asked: list[str] = []

    def __enter__(self) -> Self:
        threading.Thread(target=self._serve, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._listener.close()

    def _serve(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                connection, _ = self._listener.accept()
                threading.Thread(target=self._talk, args=(connection,), daemon=True).start()

    def _talk(self, client: socket.socket) -> None:
        with client, contextlib.suppress(OSError):
            head = client.recv(65536).decode()
            self.asked.append(head.split("\r\n")[0])
            if f"Basic {b64encode(b'user:pass-word').decode()}" not in head:
                client.sendall(b"HTTP/1.1 407 Who are you\r\nContent-Length: 0\r\n\r\n")
                return
            client.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
            with socket.create_connection(("127.0.0.1", self._port)) as server:
                ends = {client: server, server: client}
                while True:
                    for one in select.select(list(ends), [], [])[0]:
                        piece = one.recv(65536)
                        if not piece:
                            return
                        ends[one].sendall(piece)


@pytest.mark.parametrize("password", ["pass-word", "another"])
def test_a_proxy_is_the_only_way_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, look: Look, password: str
) -> None:
    with serving(tmp_path, host="relay.doctor.invalid") as server, Proxy(server.port) as proxy:
        monkeypatch.setenv("HTTPS_PROXY", f"http://user:{password}@{proxy.address}")
        monkeypatch.setenv("SSL_CERT_FILE", f"{tmp_path / 'ca.pem'}")
        found = look(OUTSIDE)
    assert set(proxy.asked) == {"CONNECT relay.doctor.invalid:443 HTTP/1.1"}
    assert password not in str(found)
    if password == "another":
        assert found["reachable"].ok is False
        assert "407" in found["reachable"].seen
        assert found["certificate"].ok is None
    else:
        assert [one.ok for one in found.values()] == [True, True]


def test_plain_http_goes_through_no_proxy(monkeypatch: pytest.MonkeyPatch, look: Look) -> None:
    with Hostile() as server, Hostile() as proxy:
        server.answers["/healthz"] = says({})
        monkeypatch.setenv("HTTP_PROXY", proxy.url)
        monkeypatch.setenv("ALL_PROXY", proxy.url)
        assert look(server.url)["reachable"].ok is True
    assert proxy.asked == []


@pytest.mark.parametrize("as_json", [[], ["--json"]], ids=["rows", "json"])
def test_what_was_seen_outlives_ctrl_c(as_json: list[str]) -> None:
    with Hostile() as server:
        server.answers["/.well-known/opencode-relay"] = says(server.discovery())
        server.answers["/healthz"] = says({})
        server.answers["/.well-known/jwks.json"] = server.dripping(b"HTTP/1.1 200 OK\r\n\r\n")
        command = [sys.executable, "-m", "opencode_relay.cli", "doctor", server.url, *as_json]
        with subprocess.Popen(
            command,
            env=environment(),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            # A shell's background job ignores it, and so would its children.
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # noqa: PLW1509
        ) as doctor:
            until(lambda: "/.well-known/jwks.json" in server.asked, "asked for the keys")
            os.kill(doctor.pid, signal.SIGINT)
            out, err = doctor.communicate(timeout=60)
    assert doctor.returncode == 130
    assert "answers as a relay" in out
    assert "signing keys" not in out
    assert "Traceback" not in err
    assert ('"ok": null' in out) if as_json else ("Interrupted" in out)


@pytest.mark.parametrize("make", [outgoing.blocking, outgoing.asynchronous])
def test_certificates_are_judged_by_the_systems_authorities(
    monkeypatch: pytest.MonkeyPatch, make: Callable[[], object]
) -> None:
    """Not by a list that came with a package."""

    def where() -> str:
        raise AssertionError

    monkeypatch.delenv("SSL_CERT_FILE", raising=False)
    monkeypatch.delenv("SSL_CERT_DIR", raising=False)
    monkeypatch.setattr("certifi.where", where)
    make()
