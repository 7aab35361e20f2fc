"""What is beyond this machine, played on it: opencode and browsers get there through this proxy.

Names such as `chatgpt.com` are those of the real hosts, so that opencode and the plugin run with
the addresses they are built with. Whatever else is asked for is refused.
"""

import ssl
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, cast

import httpx

if TYPE_CHECKING:
    from playwright.sync_api import ProxySettings

    from .proxies import Certificate

# RFC 9110 section 7.6.1; the length and the encoding are those of the body as it was read here.
OF_ONE_CONNECTION = {"connection", "keep-alive", "transfer-encoding"}
OF_THE_BODY = {"content-length", "content-encoding"}
LOOPBACK = "127.0.0.1,localhost"  # Bun splits NO_PROXY at commas only


@dataclass(frozen=True)
class Sent:
    """A request as it left, once TLS is ended."""

    method: str
    host: str
    path: str
    # Not in the repr: a failed test must not print tokens by the page.
    headers: httpx.Headers = field(repr=False)
    body: str = field(repr=False)

    @property
    def bearer(self) -> str:
        return str(self.headers.get("Authorization", "")).removeprefix("Bearer ")

    def carries(self, secret: str) -> bool:
        """Whether it is anywhere in the request; of characters that are never percent-encoded."""
        return any(secret in text for text in (self.path, self.body, *self.headers.values()))


class Outside(ThreadingHTTPServer):
    """A forward proxy that ends TLS with the tests' certificate, and notes what it passes on."""

    daemon_threads = True

    def __init__(
        self,
        certificate: "Certificate",
        hosts: Mapping[str, int],
        address: tuple[str, int] = ("127.0.0.1", 0),
    ) -> None:
        """`hosts`: the loopback port of what plays each of them."""
        super().__init__(address, _Passing)
        self.certificate = certificate
        self.hosts = dict(hosts)
        self.tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        self.tls.load_cert_chain(certificate.chain, certificate.key)
        self.sent: list[Sent] = []
        self.refused: list[str] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"

    @property
    def environment(self) -> dict[str, str]:
        """What sends a program here, loopback excepted."""
        return {
            "HTTP_PROXY": self.url,
            "HTTPS_PROXY": self.url,
            "NO_PROXY": LOOPBACK,
            "NODE_EXTRA_CA_CERTS": f"{self.certificate.chain}",
        }

    @property
    def for_browsers(self) -> "ProxySettings":
        return {"server": self.url, "bypass": f"{LOOPBACK},*.test,*.local"}

    def get(self, url: str) -> httpx.Response:
        return httpx.get(url, proxy=self.url, verify=self.certificate.trusted)

    def handle_error(self, request: object, client_address: object) -> None:
        """Say nothing: clients leave whenever they like, browsers before the first byte."""


class _Passing(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    host = ""  # of the tunnel

    @property
    def outside(self) -> Outside:
        return cast("Outside", self.server)

    def do_CONNECT(self) -> None:
        host, _, port = self.path.rpartition(":")
        if host not in self.outside.hosts or port != "443":
            return self._refuse()
        self.send_response_only(200)
        self.end_headers()
        self.wfile.flush()
        self.host = host
        self.connection = self.outside.tls.wrap_socket(self.connection, server_side=True)
        self.rfile = self.connection.makefile("rb")
        self.wfile = self.connection.makefile("wb")
        return None

    def __getattr__(self, name: str) -> Callable[[], None]:
        """Treat all methods but CONNECT alike."""
        if name.startswith("do_"):
            return self._pass_on
        raise AttributeError(name)

    def _pass_on(self) -> None:
        length = int(self.headers.get("Content-Length", 0))
        body = self.rfile.read(length)
        if not self.host:
            return self._refuse()
        headers = httpx.Headers(self.headers.items())
        sent = Sent(self.command, self.host, self.path, headers.copy(), body.decode())
        self.outside.sent.append(sent)
        for name in OF_ONE_CONNECTION:
            headers.pop(name, None)
        headers.update({"X-Forwarded-Proto": "https", "Accept-Encoding": "identity"})
        url = f"http://127.0.0.1:{self.outside.hosts[self.host]}{self.path}"
        answer = httpx.request(
            self.command, url, headers=headers, content=body, timeout=60, trust_env=False
        )
        self.send_response_only(answer.status_code)
        for name, value in answer.headers.multi_items():
            if name.lower() not in OF_ONE_CONNECTION | OF_THE_BODY:
                self.send_header(name, value)
        self.send_header("Content-Length", str(len(answer.content)))
        self.end_headers()
        self.wfile.write(answer.content)
        return None

    def _refuse(self) -> None:
        self.outside.refused.append(self.path)
        self.send_error(403)

    def finish(self) -> None:
        with suppress(OSError):
            super().finish()
        self.connection.close()

    def log_message(self, *_: object) -> None:
        pass


@contextmanager
def outside(
    certificate: "Certificate",
    hosts: Mapping[str, int],
    address: tuple[str, int] = ("127.0.0.1", 0),
) -> Iterator[Outside]:
    with Outside(certificate, hosts, address) as proxy:
        threading.Thread(target=proxy.serve_forever, args=(0.05,), daemon=True).start()
        yield proxy
        proxy.shutdown()
