"""A proxy for `HTTPS_PROXY` that ends TLS, and brings each API's requests to the emulator.

So a client calls the API by its own address, https and port 443, as on AWS.
"""

import http.client
import ssl
import subprocess
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

DOMAIN = "relay.example.com"
APIS = "execute-api.us-east-1.amazonaws.com"
_OWN = {"connection", "content-length", "date", "server", "transfer-encoding"}
_PATIENCE = 60  # seconds


def certificate(home: Path) -> Path:
    """Make one for every API and the domain; it vouches for itself. The key is beside it."""
    words = "openssl req -x509 -nodes -newkey rsa:2048 -days 30 -keyout relay.key -out relay.pem"
    usage = "keyUsage=critical,keyCertSign,digitalSignature"
    names = f"subjectAltName=DNS:*.{APIS},DNS:{DOMAIN}"
    subject = ["-subj", "/CN=relay", "-addext", names, "-addext", usage]
    subprocess.run([*words.split(), *subject], cwd=home, check=True, capture_output=True)
    return home / "relay.pem"


class _Tunnel(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: "Front"

    def do_CONNECT(self) -> None:
        self.send_response(200)
        self.end_headers()
        self.connection = self.server.context.wrap_socket(self.connection, server_side=True)
        self.rfile = self.connection.makefile("rb")
        self.wfile = self.connection.makefile("wb", buffering=0)
        self.close_connection = False

    def _forward(self) -> None:
        body = self.rfile.read(int(self.headers.get("content-length", 0)))
        # The emulator knows an API by a name of its own, and a custom domain by the domain.
        host = self.headers["host"].replace(APIS, "execute-api.127.0.0.1")
        headers = {n: v for n, v in self.headers.items() if n.lower() != "host"}
        emulator = http.client.HTTPConnection("127.0.0.1", self.server.emulator, timeout=_PATIENCE)
        try:
            emulator.request(self.command, self.path, body, {**headers, "Host": host})
            answer = emulator.getresponse()
            content = answer.read()
        finally:
            emulator.close()
        self.send_response(answer.status)
        for name, value in answer.getheaders():
            if name.lower() not in _OWN:
                self.send_header(name, value)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    do_GET = do_POST = do_DELETE = _forward  # noqa: N815  # http.server's names

    def finish(self) -> None:
        super().finish()
        self.connection.close()  # the server knows only what it was before TLS

    def log_message(self, *_: object) -> None: ...


class Front(ThreadingHTTPServer):
    """`emulator` is that one's port. Its own address is not its callers', which doctor looks at."""

    daemon_threads = True
    request_queue_size = 128  # of five, the sixth would wait for a second

    def __init__(self, emulator: int, certificate: Path) -> None:
        super().__init__(("127.0.0.2", 0), _Tunnel)
        self.emulator = emulator
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.context.load_cert_chain(certificate, certificate.with_suffix(".key"))
        self.proxy = f"http://127.0.0.2:{self.server_port}"
        threading.Thread(target=self.serve_forever, daemon=True).start()

    def handle_error(self, *_: object) -> None:
        """A client that goes away is nothing to tell."""

    def close(self) -> None:
        self.shutdown()
        self.server_close()
