"""`serve` processes that share the tables and keys behind a tap, which knows each by its name."""

import asyncio
import time
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
from opencode_relay.instances import Instance
from opencode_relay.keys.parameters import KeyParameters
from opencode_relay.stores.dynamodb import DynamoDBStore

from tests.aws.ric_wire import INSTANCES, LOGINS
from tests.aws.tap import Call, Tap
from tests.support.served import PATIENCE, Client, Served, until
from tests.support.wire import form_of

URL = "https://relay.example"
FORM = {"Origin": URL, "Sec-Fetch-Site": "same-origin"}
FORGED = "eyJ0eXAiOiJsb2dpbi1zdGF0ZStqd3QiLCJhbGciOiJIUzI1NiIsImtpZCI6IngifQ.e30." + "A" * 43


class Shared:
    """One relay of several processes, with keys of its own."""

    def __init__(self, tap: Tap, logs: Path, path: str) -> None:
        self.tap = tap
        self._logs, self._path = logs, path
        self.store = DynamoDBStore(tap.client("dynamodb"), logins=LOGINS, instances=INSTANCES)
        self.keys = KeyParameters(tap.client("ssm"), path, time.time)
        self.keys.make()
        self.processes: dict[str, Served] = {}
        instance, self._key = Instance.enrol(f"workshop of {path}", [], time.time())
        assert asyncio.run(self.store.add_instance(instance))
        self._threads = ThreadPoolExecutor(4)

    def environment(self, name: str = "operator") -> dict[str, str]:
        """Return what a command needs to find the tables and the keys."""
        return {
            "RELAY_STORE": "dynamodb",
            "RELAY_LOGINS_TABLE": LOGINS,
            "RELAY_INSTANCES_TABLE": INSTANCES,
            "RELAY_KEYS_PATH": self._path,
            "AWS_ACCESS_KEY_ID": name,
            "AWS_SECRET_ACCESS_KEY": "x",
            "AWS_DEFAULT_REGION": "us-east-1",
            **self.tap.environment(),
        }

    def start(self, name: str, **env: str) -> Served:
        logs = self._logs / f"{len(self.processes)}-{name}"
        logs.mkdir()
        known = {"RELAY_PUBLIC_URL": URL, **self.environment(name), **env}
        self.processes[name] = Served(None, logs, **known)
        return self.processes[name]

    def end(self) -> None:
        for process in self.processes.values():
            process.kill()
        self._threads.shutdown()

    # The instance

    def client(self, served: Served) -> Client:
        return Client(served, self._key.reveal())

    def waiting(self, client: Client, login: dict[str, Any], name: str) -> "Future[httpx.Response]":
        """Begin to wait at a process; return when it looks for what others write."""
        asked = self._threads.submit(client.collect, login, 25, self.processes[name].url)
        until(lambda: self.looks(name, login), f"{name} looks at the store")
        return asked

    def looks(self, name: str, login: dict[str, Any], since: int = 0) -> list[Call]:
        """Return the looks of a process at a login that somebody waits for."""
        calls = [one for one in self.tap.calls[since:] if one.function == name]
        return [
            one
            for one in calls
            if one.action == "BatchGetItem" and login["login_id"] in str(one.body)
        ]


# The person


def callback(served: Served, state: str) -> httpx.Response:
    query = {"state": state, "code": "c0de"}
    return httpx.get(f"{served.url}/auth/callback", params=query, timeout=PATIENCE)


def allow(served: Served, page: httpx.Response, login: dict[str, Any]) -> None:
    form = form_of(page) | {"decision": "allow", "pairing_code": login["pairing_code"]}
    url = f"{served.url}/auth/confirm"
    done = httpx.post(url, data=form, headers=FORM, timeout=PATIENCE)
    assert done.status_code == 303, done.text


def kids(served: Served) -> set[str]:
    """Return the ids of the keys that a process publishes."""
    found = httpx.get(f"{served.url}/.well-known/jwks.json", timeout=PATIENCE).json()
    return {one["kid"] for one in found["keys"]}


def stir(served: Served) -> None:
    """Bring a state of an unknown key: the process looks for new keys."""
    assert callback(served, FORGED).status_code == 400
