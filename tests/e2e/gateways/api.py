"""A gateway: an OpenAI-compatible API that answers whomever its identity provider has let in."""

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import cast

PATH = "/v1/chat/completions"
REPLY = "Hello from behind the gateway."
REFUSAL = "The gateway does not know this token."
MODEL = "any-model"

IsGood = Callable[[str], bool]


class Api(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, is_good: IsGood) -> None:
        """`is_good`: whether an access token is one of the identity provider's."""
        super().__init__(("127.0.0.1", 0), _Answer)
        self.is_good = is_good


class _Answer(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"  # else opencode asks again on a connection that is closing

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        bearer = self.headers.get("Authorization", "").removeprefix("Bearer ")
        if self.path != PATH or not cast("Api", self.server).is_good(bearer):
            return self._send(401, "application/json", json.dumps({"error": {"message": REFUSAL}}))
        chunk = {"id": "1", "object": "chat.completion.chunk", "created": 1, "model": MODEL}
        choices = [
            {"index": 0, "delta": {"role": "assistant", "content": REPLY}},
            {"index": 0, "delta": {}, "finish_reason": "stop"},
        ]
        lines = [json.dumps(chunk | {"choices": [choice]}) for choice in choices]
        events = "".join(f"data: {line}\n\n" for line in (*lines, "[DONE]"))
        return self._send(200, "text/event-stream", events)

    def _send(self, status: int, content_type: str, body: str) -> None:
        self.send_response(status)
        self.send_header("Content-Type", content_type)
        self.send_header("Content-Length", str(len(body.encode())))
        self.end_headers()
        self.wfile.write(body.encode())

    def log_message(self, *_: object) -> None:
        pass


@contextmanager
def api(is_good: IsGood) -> Iterator[int]:
    """Serve it, on this loopback port."""
    with Api(is_good) as server:
        threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
        yield server.server_port
        server.shutdown()
