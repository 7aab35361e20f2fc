"""What the functions take for AWS: Parameter Store, and a tap on the way to DynamoDB Local.

The tap records each request, and makes the faults that a test asks for.
"""

import asyncio
import json
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPException
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from botocore.session import get_session

from tests.aws.tools import TOOLS
from tests.support.ports import free_port

EMULATOR = TOOLS / "dynamodb" / "package" / "emulator"
_KEPT = ("content-type", "x-amz-target", "x-amz-date", "authorization")
READS = {"GetItem", "BatchGetItem", "Scan"}
_JAVA = ("java", "-Xmx256m", "-Djava.library.path=./DynamoDBLocal_lib", "-jar", "DynamoDBLocal.jar")


@dataclass(frozen=True, slots=True)
class Call:
    """One request to DynamoDB or Parameter Store, by one function."""

    function: str
    action: str
    body: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Fault:
    """What becomes of a request. `late` is in seconds; `lost`: carried out, but never answered."""

    status: int = 0
    error: str = ""
    late: float = 0
    lost: bool = False


THROTTLED = Fault(400, "ProvisionedThroughputExceededException")
FAILING = Fault(500, "InternalServerError")
LOST = Fault(lost=True)


class Tap(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128  # of five, the sixth would wait for a second

    def __init__(self, database: int) -> None:
        super().__init__(("127.0.0.1", 0), _Request)
        self.database = database
        self.calls: list[Call] = []
        self.parameters: dict[str, str] = {}
        self.units: list[float] | None = None  # capacity units, one for each call, where weighed
        self.fault: Callable[[Call], Fault | None] = lambda _: None
        self.resumed = threading.Event()
        self._clients: dict[str, Any] = {}
        threading.Thread(target=self.serve_forever, daemon=True).start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"

    @contextmanager
    def faulty(self, fault: Fault, *actions: str, times: int = 1_000_000) -> Iterator[None]:
        """Answer the next requests (of some actions) by a fault."""
        left = times

        def decide(call: Call) -> Fault | None:
            nonlocal left
            if left <= 0 or (actions and call.action not in actions):
                return None
            left -= 1
            return fault

        self.fault, before = decide, self.fault
        self.resumed.clear()
        try:
            yield
        finally:
            self.fault = before
            self.resumed.set()

    async def asked(self, function: str, action: str, about: str, times: int = 1) -> None:
        """Wait until a function has asked something `about` a login so often."""

        def found() -> int:
            wanted = (function, action)
            return sum(
                (c.function, c.action) == wanted and about in str(c.body) for c in self.calls
            )

        while found() < times:  # noqa: ASYNC110  # another thread records them
            await asyncio.sleep(0.01)

    def client(self, service: str) -> Any:
        """Return the tests' own client."""
        if service not in self._clients:
            self._clients[service] = get_session().create_client(
                service,
                "us-east-1",
                endpoint_url=self.url,
                aws_access_key_id="test",
                aws_secret_access_key="x",
            )
        return self._clients[service]

    def environment(self) -> dict[str, str]:
        return {"AWS_ENDPOINT_URL_DYNAMODB": self.url, "AWS_ENDPOINT_URL_SSM": self.url}

    def close(self) -> None:
        for client in self._clients.values():
            client.close()
        self.resumed.set()
        self.shutdown()
        self.server_close()

    def handle_error(self, request: Any, client_address: Any) -> None:
        # A function that was killed, or lost patience, hangs up: no fault of the tap.
        if not isinstance(sys.exc_info()[1], ConnectionError):
            super().handle_error(request, client_address)


class _Request(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: Tap

    def setup(self) -> None:
        super().setup()
        self._database = HTTPConnection("127.0.0.1", self.server.database, timeout=30)

    def finish(self) -> None:
        self._database.close()
        super().finish()

    def do_POST(self) -> None:
        raw = self.rfile.read(int(self.headers["content-length"]))
        service, _, action = self.headers["x-amz-target"].partition(".")
        function = self.headers["authorization"].partition("Credential=")[2].partition("/")[0]
        call = Call(function, action, json.loads(raw))
        self.server.calls.append(call)
        fault = self.server.fault(call) or Fault()
        if fault.late:
            self.server.resumed.wait(fault.late)
        if fault.error:
            answer: dict[str, Any] = {"__type": f"x#{fault.error}", "message": "the-secret"}
            self._answer(fault.status, json.dumps(answer).encode())
        elif service == "AmazonSSM":
            self._answer(200, json.dumps(self._parameter_store(action, call.body)).encode())
        else:
            kept = {name: self.headers[name] for name in _KEPT}
            if self.server.units is not None:
                raw = json.dumps({**call.body, "ReturnConsumedCapacity": "TOTAL"}).encode()
            self._database.request("POST", "/", raw, kept)
            answered = self._database.getresponse()
            body = answered.read()
            if fault.lost:
                self.close_connection = True
                return
            if self.server.units is not None:
                weighed = json.loads(body).get("ConsumedCapacity", {})
                self.server.units.append(weighed.get("CapacityUnits", 0))
            self._answer(answered.status, body)

    def _parameter_store(self, action: str, body: dict[str, Any]) -> dict[str, Any]:
        held = self.server.parameters
        if action == "GetParameters":
            assert body["WithDecryption"]
            found = [{"Name": n, "Value": held[n]} for n in body["Names"] if n in held]
            return {"Parameters": found, "InvalidParameters": []}
        if action == "PutParameter":
            assert body["Type"] == "SecureString"
            assert body["Overwrite"] or body["Name"] not in held
            held[body["Name"]] = body["Value"]
            return {"Version": 1, "Tier": "Standard"}
        assert action == "DeleteParameters"
        for name in body["Names"]:
            held.pop(name, None)
        return {"DeletedParameters": body["Names"], "InvalidParameters": []}

    def _answer(self, status: int, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Type", "application/x-amz-json-1.0")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


@contextmanager
def dynamodb_local(logs: Path) -> Iterator[int]:
    """Run Amazon's DynamoDB Local in memory; yields its port."""
    port = free_port()
    with logs.open("w") as log:
        process = subprocess.Popen(
            [*_JAVA, "-inMemory", "-sharedDb", "-port", str(port)],
            cwd=EMULATOR,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
        )
    try:
        for _ in range(600):
            try:
                asked = HTTPConnection("127.0.0.1", port, timeout=30)
                asked.request("GET", "/")
                asked.getresponse().close()
                break
            except (OSError, HTTPException):
                assert process.poll() is None, logs.read_text()
                threading.Event().wait(0.1)
            finally:
                asked.close()
        yield port
    finally:
        process.kill()
        process.wait(60)


def create_tables(client: Any, *names: str) -> None:
    for name in names:
        client.create_table(
            TableName=name,
            KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}],
            AttributeDefinitions=[{"AttributeName": "pk", "AttributeType": "S"}],
            BillingMode="PAY_PER_REQUEST",
        )
