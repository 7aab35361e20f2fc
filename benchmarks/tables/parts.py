"""Where the CPU of a `redirect` callback goes, part by part.

`alone` is a part over and over, so that all of it is in the processor's caches. `in the answer` is
what the whole answer no longer takes when the part is left out (what it once returned stands in its
place): more, for each part drives the others' code out of the nearest cache. `the whole answer` is
the app called in process, without a socket; `after a sleep` each call comes after a pause of
0.3 ms, as in a server that waits for its next request. What is left to the figure of `callbacks`
are uvicorn and the kernel.
"""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from inspect import iscoroutinefunction
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from urllib.parse import urlencode

import jwt
from cryptography.hazmat.primitives.asymmetric.ec import ECDH, ECDSA
from cryptography.hazmat.primitives.hashes import SHA256
from joserfc.jwk import ECKey
from opencode_relay import response
from opencode_relay.events import Events, log_to_stderr
from opencode_relay.keys import state
from opencode_relay.keys.file import KeyFile
from opencode_relay.keys.held import Keys
from opencode_relay.keys.key import Purpose
from opencode_relay.keys.p256 import new_private_key
from opencode_relay.login import Confirmation, Delivery, Login, Status
from opencode_relay.relay import Relay
from opencode_relay.settings import Settings
from opencode_relay.stores.sqlite import SQLiteStore
from opencode_relay.web.app import make_app
from opencode_relay.web.bodies import public_key
from opencode_relay.web.pages import About, Pages
from starlette.types import Message, Receive, Send

from benchmarks.contenders.relay import VERSION
from benchmarks.harness.results import Result
from benchmarks.harness.rounds import Plan, Rows, Wrong

TIMES, ISSUER = 500, "http://127.0.0.1:8080"
CPU, WITHIN = "CPU alone, µs", "in the answer, µs"
WHOLE, SLEPT = "the whole answer", "  after a sleep"
PAUSE = 0.0003  # seconds, about as long as the relay waits for the client of `callbacks`
PARAMS = {"code": "x" * 64, "scope": "openid"}


@dataclass(frozen=True, slots=True)
class Part:
    """What it does, and the function that does it in the answer where it can be left out."""

    alone: Callable[[], object] | Callable[[], Awaitable[object]]
    owner: Any = None
    name: str = ""


def new_login() -> Login:
    key = ECKey.generate_key("P-256").as_dict(private=False)
    return Login(
        id="l" * 24,
        status=Status.PENDING,
        delivery=Delivery.REDIRECT,
        confirmation=Confirmation.NONE,
        collect_challenge="c" * 43,
        encryption_key=public_key(key),
        opened_at=time.time(),
        opened_from="127.0.0.1",
        expires_at=int(time.time()) + 1800,
        instance_id="i",
        registered_name="bench",
        return_url="https://instance.example/auth/callback",
    )


async def parts(data: Path) -> dict[str, Part]:
    settings = Settings.load({"RELAY_PUBLIC_URL": ISSUER})
    store, keys, login = SQLiteStore(data), Keys(KeyFile(data).load), new_login()
    events, pages = Events(), Pages()
    app = make_app(Relay(settings, store, keys, events=events))
    await store.create(login)
    token = state.make(keys, Purpose.STATE, ISSUER, login.id, login.opened_at, login.expires_at)
    about = About("bench", None, None, login.opened_at, "127.0.0.1")
    private, peer = new_private_key(), new_private_key().public_key()
    scope = {
        "type": "http",
        "http_version": "1.1",
        "method": "GET",
        "path": "/auth/callback",
        "query_string": urlencode({**PARAMS, "state": token}).encode(),
        "root_path": "",
        "headers": [(b"host", b"127.0.0.1:8080"), (b"accept", b"text/html")],
        "client": ("127.0.0.1", 1),
        "server": ("127.0.0.1", 8080),
    }

    async def receive() -> Message:
        return {"type": "http.request"}

    async def send(message: Message) -> None:
        if message.get("status", 200) != 200:  # noqa: PLR2004
            raise Wrong(f"The callback was answered {message}")

    def whole(receive: Receive = receive, send: Send = send) -> Awaitable[None]:
        return app(dict(scope), receive, send)

    def seal() -> str:
        return response.seal(
            keys,
            issuer=ISSUER,
            login_id=login.id,
            encryption_key=login.encryption_key or "",
            params=PARAMS,
            now=time.time(),
            exp=login.expires_at,
        )

    sealed = f"{login.return_url}?response={seal()}"

    def read() -> object:
        return state.read(keys, Purpose.STATE, ISSUER, token, login.opened_at)

    def sign() -> str:
        header = {"typ": response.TYP, "kid": "k" * 8}
        claims = {"iss": ISSUER, "aud": login.id, "jti": login.id, "iat": 1, "exp": 2}
        return jwt.encode({**claims, "params": PARAMS}, private, "ES256", header)

    def tell() -> None:
        events.tell("callback", "onward", login_id=login.id)

    return {
        WHOLE: Part(whole),
        "verifying the state": Part(read, state, "read"),
        "reading the login": Part(lambda: store.get(login.id), SQLiteStore, "get"),
        "signing and sealing": Part(seal, response, "seal"),
        "  of it, the JWS": Part(sign, jwt, "encode"),
        "    of it, the signature": Part(lambda: private.sign(b"x" * 400, ECDSA(SHA256()))),
        "  of it, a new key": Part(new_private_key, response, "new_private_key"),
        "  of it, agreeing on a secret": Part(lambda: private.exchange(ECDH(), peer)),
        "rendering the page": Part(lambda: pages.onward(about, address=sealed), Pages, "onward"),
        "a log line": Part(tell, Events, "tell"),
    }


async def cost(part: Part, times: int, pause: float = 0) -> float:
    """Return microseconds of CPU; `pause` in seconds comes before each time."""
    used = 0.0
    for _ in range(times):
        if pause:
            time.sleep(pause)  # noqa: ASYNC251  # nothing else runs here
        began = time.thread_time()
        done = part.alone()
        if isinstance(done, Awaitable):
            await done
        used += time.thread_time() - began
    return used / times * 1e6


@contextmanager
def left_out(part: Part) -> Iterator[None]:
    """Let what the part returns first stand for all that it would return."""
    real, kept = getattr(part.owner, part.name), list[Any]()

    async def later(*args: Any, **named: Any) -> Any:
        if not kept:
            kept.append(await real(*args, **named))
        return kept[0]

    def now(*args: Any, **named: Any) -> Any:
        if not kept:
            kept.append(real(*args, **named))
        return kept[0]

    setattr(part.owner, part.name, later if iscoroutinefunction(real) else now)
    try:
        yield
    finally:
        setattr(part.owner, part.name, real)


async def measured(plan: Plan) -> Rows:
    times = plan.count(TIMES)
    with TemporaryDirectory(prefix="relay-bench-") as directory:
        timed = await parts(Path(directory))
        rows: Rows = {name: {CPU: []} for name in (WHOLE, SLEPT, *timed)}
        for _ in range(plan.rounds):
            rows[SLEPT][CPU].append(await cost(timed[WHOLE], times, PAUSE))
            for name, part in timed.items():
                rows[name][CPU].append(await cost(part, times))
                if part.owner:
                    with left_out(part):
                        without = await cost(timed[WHOLE], times)
                    saved = await cost(timed[WHOLE], times) - without
                    rows[name].setdefault(WITHIN, []).append(saved)
    return rows


def measure(plan: Plan) -> Result:
    log_to_stderr("info")
    with Path("/dev/null").open("w") as nowhere:
        logging.getLogger().handlers[0].setStream(nowhere)  # type: ignore[attr-defined]
        rows = asyncio.run(measured(plan))
    return Result("Parts of a redirect callback", rows, [], {"opencode-relay": VERSION})
