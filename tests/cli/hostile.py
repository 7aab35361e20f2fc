"""A server that answers `doctor` with whatever a test wants, byte for byte."""

from __future__ import annotations

import contextlib
import json
import socket
import ssl
import threading
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Self

Answer = Iterable[bytes]  # pieces, sent one after the other


def answer(
    body: bytes | str, status: int = 200, content_type: str = "application/json", **headers: str
) -> Answer:
    raw = body if isinstance(body, bytes) else body.encode()
    lines = [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    head = [f"HTTP/1.1 {status} Said", f"Content-Type: {content_type}", *lines]
    head += [f"Content-Length: {len(raw)}", "Connection: close", "", ""]
    return ["\r\n".join(head).encode() + raw]


def says(members: object, status: int = 200, **headers: str) -> Answer:
    return answer(json.dumps(members), status, **headers)


class Hostile:
    """Serves on loopback. `answers` is by path (the longest beginning that fits)."""

    def __init__(self, tls: ssl.SSLContext | None = None) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._tls = tls
        self.port = self._listener.getsockname()[1]
        self.url = f"https://localhost:{self.port}" if tls else f"http://127.0.0.1:{self.port}"
        self.sent = 0
        self.answers: dict[str, Answer | Callable[[], Answer]] = {}
        self.asked: list[str] = []
        self._over = threading.Event()

    def discovery(self, **more: Any) -> Mapping[str, Any]:
        return {
            "protocol": 1,
            "issuer": self.url,
            "redirect_uri": f"{self.url}/auth/callback",
            "logins_endpoint": f"{self.url}/v1/logins",
            "jwks_uri": f"{self.url}/.well-known/jwks.json",
            "enrolment": "open",
            "version": "1",
            **more,
        }

    def opened(self, **more: Any) -> Mapping[str, Any]:
        return {
            "login_id": "l" * 22,
            "state": "s",
            "redirect_uri": f"{self.url}/auth/callback",
            "confirmation": "completion_code",
            "expires_in": 600,
            "max_wait": 1,
            **more,
        }

    def dripping(self, head: bytes) -> Callable[[], Answer]:
        """Send `head`, and then a byte now and then for as long as the test lasts."""

        def pieces() -> Answer:
            yield head
            while not self._over.wait(0.05):
                yield b" "

        return pieces

    def endless(self, head: bytes, piece: bytes) -> Callable[[], Answer]:
        def pieces() -> Answer:
            yield head
            while not self._over.is_set():
                yield piece

        return pieces

    def __enter__(self) -> Self:
        threading.Thread(target=self._serve, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._listener.close()

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._talk, args=(connection,), daemon=True).start()

    def _talk(self, connection: socket.socket) -> None:
        with contextlib.suppress(OSError), connection:
            if self._tls:
                connection = self._tls.wrap_socket(connection, server_side=True)
            head = connection.recv(65536).decode("latin-1")
            path = head.split(" ")[1].partition("?")[0]
            self.asked.append(path)
            fits = max((one for one in self.answers if path.startswith(one)), key=len, default="")
            found = self.answers.get(fits, answer("{}", 404))
            for piece in found() if callable(found) else found:
                connection.sendall(piece)
                self.sent += len(piece)
            connection.close()
