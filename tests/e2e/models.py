"""The hosts of ChatGPT's and OpenAI's models, played: to every prompt they say the same."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

RESPONSES = "/backend-api/codex/responses"
REPLY = "Hello, whoever you are."
ITEM = {"type": "message", "id": "msg_1"}
EVENTS: list[dict[str, object]] = [
    {
        "type": "response.created",
        "response": {"id": "resp_1", "created_at": 1_790_000_000, "model": "gpt-5.5"},
    },
    {"type": "response.output_item.added", "output_index": 0, "item": ITEM},
    {"type": "response.output_text.delta", "item_id": ITEM["id"], "delta": REPLY},
    {"type": "response.output_item.done", "output_index": 0, "item": ITEM},
    {
        "type": "response.completed",
        "response": {"usage": {"input_tokens": 1, "output_tokens": 1}},
    },
]


class _Model(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        if self.path != RESPONSES:
            return self.send_error(404)
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.end_headers()
        for event in EVENTS:
            self.wfile.write(f"data: {json.dumps(event)}\n\n".encode())
        return None

    def log_message(self, *_: object) -> None:
        pass


@contextmanager
def models() -> Iterator[int]:
    """Serve them, on this loopback port."""
    with ThreadingHTTPServer(("127.0.0.1", 0), _Model) as server:
        threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
        yield server.server_port
        server.shutdown()
