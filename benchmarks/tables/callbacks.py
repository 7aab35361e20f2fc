"""Callbacks: what the server does when the IdP sends a browser back, beside its peers' callbacks.

Server CPU for one request of each kind, one after another, as people come back from an IdP:

- the `redirect` callback: verify the state, read the login, sign and encrypt the response to the
  instance's key, answer the page that goes on by itself;
- a callback whose state is forged (everything right but the signature): refused with a page;
- Allow: check the form's token and the pairing code, commit the release so that it survives
  `kill -9`, ring for whoever waits (nobody does here; `delivery` has waiters).

The goal of a forged state is set on FastMCP's denied path, which reads a transaction and redirects;
shown without a goal is the ratio to its like: FastMCP's answer to a state that it does not know.

Logins are opened, and confirm pages fetched, before the measurement; each login is used once.
Every answer is checked after it: responses are decrypted and verified, released logins collected.
What the peers do and leave out is said in `benchmarks/contenders`. Unfair to them would be: debug
modes, logs that the relay does not write, a cold JIT (each is warmed up), a database that they do
not need. More requests at a time are cheaper for all; for Node by a quarter, for it then wakes its
thread pool less often.
"""

import contextlib
import json
import re
import secrets
import time
from base64 import urlsafe_b64encode
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from hashlib import sha256

from joserfc.jwk import ECKey
from opencode_relay.response import SealError, unseal

from benchmarks.contenders import authjs, better_auth, fastmcp_proxy, floor, relay
from benchmarks.contenders.installs import node_version
from benchmarks.harness.client import Answer, ask, exchange, request
from benchmarks.harness.processes import Server
from benchmarks.harness.results import Goal, Result
from benchmarks.harness.rounds import CPU, Operation, Plan, Requests, Wrong, rounds
from benchmarks.tables._logins import Logins, Opened

COUNT, WARM, STATES = 1000, 3000, 200
REDIRECT, FORGED, ALLOW = "relay: redirect", "relay: forged state", "relay: Allow"
AUTHJS, BARE = "Auth.js on Express: callback", "Auth.js bare: callback"
BETTER = "Better Auth: denied"
DENIED, UNKNOWN = "FastMCP: denied", "FastMCP: forged state"
PLAIN = "Starlette: redirect"
GOALS = [
    Goal(REDIRECT, AUTHJS, CPU, 0.50),
    Goal(REDIRECT, BETTER, CPU, 0.45),
    Goal(FORGED, DENIED, CPU, 1.0),
    Goal(FORGED, UNKNOWN, CPU),
    Goal(ALLOW, AUTHJS, CPU, 0.33),
]
ONWARD = re.compile(rf"url={re.escape(relay.RETURN_URL)}\?response=([\w.-]+)\"")


@dataclass
class Redirect:
    """Callbacks of logins that are delivered by redirect."""

    server: Server
    key: str
    requests: list[bytes] = field(default_factory=list)
    answers: list[Answer] = field(default_factory=list)

    def prepare(self, count: int) -> None:
        self.keys = [ECKey.generate_key("P-256") for _ in range(count)]
        opened = exchange(self.server.port, [self._open(key) for key in self.keys], 8)
        self.logins = [json.loads(answer.body) for answer in opened]
        self.codes = [secrets.token_urlsafe(48) for _ in range(count)]
        self.requests = [
            callback(self.server, login["state"], code)
            for login, code in zip(self.logins, self.codes, strict=True)
        ]

    def _open(self, key: ECKey) -> bytes:
        challenge = urlsafe_b64encode(sha256(secrets.token_bytes()).digest()).rstrip(b"=")
        members = {
            "collect_challenge": challenge.decode(),
            "encryption_key": key.as_dict(private=False),
            "delivery": "redirect",
            "return_url": relay.RETURN_URL,
        }
        headers = {"Authorization": f"Bearer {self.key}", "Content-Type": "application/json"}
        body = json.dumps(members).encode()
        return request("POST", "/v1/logins", self.server.port, headers, body)

    def run(self) -> list[float]:
        self.answers = exchange(self.server.port, self.requests)
        return [answer.seconds for answer in self.answers]

    def check(self) -> None:
        got = ask(self.server.port, request("GET", "/.well-known/jwks.json", self.server.port))
        jwks = {key["kid"]: key for key in json.loads(got.body)["keys"]}
        each = zip(self.answers, self.keys, self.logins, self.codes, strict=True)
        for answer, key, login, code in each:
            onward = ONWARD.search(answer.body.decode())
            if answer.status != 200 or not onward:  # noqa: PLR2004
                raise Wrong(f"The callback was answered {answer.raw[:2000]!r}")
            try:
                params = unseal(
                    onward[1],
                    private_key=key,
                    find=jwks.get,
                    issuer=f"http://127.0.0.1:{self.server.port}",
                    login_id=login["login_id"],
                    now=time.time(),
                )
            except SealError as wrong:
                raise Wrong(str(wrong)) from wrong
            if params != {"code": code}:
                raise Wrong(f"Sealed were {params!r}.")


@dataclass
class Allow:
    """Pressing Allow on confirm pages that were fetched before."""

    logins: Logins
    opened: list[Opened] = field(default_factory=list)
    answers: list[Answer] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.server = self.logins.server

    def prepare(self, count: int) -> None:
        self.opened = self.logins.open_many(count)
        self.requests = self.logins.allow_many(self.opened)

    def run(self) -> list[float]:
        self.answers = exchange(self.server.port, self.requests)
        return [answer.seconds for answer in self.answers]

    def check(self) -> None:
        for answer in self.answers:
            if (answer.status, answer.header("location")) != (303, "/auth/done"):
                raise Wrong(f"Allow was answered {answer.raw[:2000]!r}")
        collect = [self.logins.wait(login) for login in self.opened]
        for login, answer in zip(self.opened, exchange(self.server.port, collect), strict=True):
            self.logins.check_delivered(login, answer)


def callback(server: Server, state: str, code: str) -> bytes:
    return request("GET", f"/auth/callback?code={code}&state={state}", server.port)


def forged(ours: Server, logins: Logins) -> Requests:
    """Callbacks with a state of the relay whose signature is random."""
    [login] = logins.open_many(1)
    signed = login.state.rpartition(".")[0]

    def one() -> bytes:
        return callback(ours, f"{signed}.{secrets.token_urlsafe(32)}", secrets.token_urlsafe(48))

    return Requests(ours, lambda count: [one() for _ in range(count)], refused)


def refused(answer: Answer) -> bool:
    return answer.status == 400 and b"This sign-in is not known here" in answer.body  # noqa: PLR2004


def cycled(states: Sequence[str], make: Callable[[str], bytes]) -> Callable[[int], list[bytes]]:
    return lambda count: [make(states[number % len(states)]) for number in range(count)]


def to_site(server: Server, states: Sequence[str]) -> Operation:
    def one(state: str) -> bytes:
        return authjs.callback(server, state, secrets.token_urlsafe(48))

    return Requests(server, cycled(states, one), authjs.redirected)


def operations(stack: contextlib.ExitStack) -> dict[str, Operation]:
    """Start every contender."""
    ours, key = stack.enter_context(relay.relay())
    auth = stack.enter_context(authjs.authjs("express", STATES))
    bare = stack.enter_context(authjs.authjs("bare", STATES))
    better, better_states = stack.enter_context(better_auth.better_auth(STATES))
    mcp = stack.enter_context(fastmcp_proxy.fastmcp())
    plain = stack.enter_context(floor.floor())
    logins = Logins(ours, key)
    to_preview = cycled(better_states, lambda s: better_auth.denied(better, s))

    def to_client(count: int) -> list[bytes]:
        return [fastmcp_proxy.denied(mcp, s) for s in fastmcp_proxy.transactions(mcp, count)]

    def to_nobody(count: int) -> list[bytes]:
        return [fastmcp_proxy.forged(mcp) for _ in range(count)]

    def to_anybody(count: int) -> list[bytes]:
        return [floor.callback(plain, secrets.token_urlsafe(48)) for _ in range(count)]

    return {
        REDIRECT: Redirect(ours, key),
        FORGED: forged(ours, logins),
        ALLOW: Allow(logins),
        AUTHJS: to_site(*auth),
        BARE: to_site(*bare),
        BETTER: Requests(better, to_preview, better_auth.redirected),
        DENIED: Requests(mcp, to_client, fastmcp_proxy.redirected),
        UNKNOWN: Requests(mcp, to_nobody, fastmcp_proxy.refused),
        PLAIN: Requests(plain, to_anybody, floor.redirected),
    }


def versions() -> dict[str, str]:
    return {
        "opencode-relay": relay.VERSION,
        "Auth.js": f"{authjs.VERSION} on Node {node_version()}",
        "Better Auth": better_auth.VERSION,
        "FastMCP": fastmcp_proxy.VERSION,
        "Starlette": floor.VERSION,
    }


def measure(plan: Plan) -> Result:
    with contextlib.ExitStack() as stack:
        rows = rounds(operations(stack), COUNT, plan, WARM)
    return Result("Callbacks", rows, GOALS, versions())
