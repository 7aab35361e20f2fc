"""Where the CPU of a `redirect` callback goes, part by part.

Each part alone, in this process, over and over, so that all of it is in the processor's caches: in
a server that sleeps between two requests the same work costs up to twice as much, for the relay and
for its peers alike. `the whole answer` is the app called in process, without a socket; what is left
to the figure of `callbacks` are uvicorn, the kernel, and cold caches.
"""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from urllib.parse import urlencode

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
CPU, OF_WHOLE = "CPU, µs", "of the whole"
WHOLE = "the whole answer"
PARAMS = {"code": "x" * 64, "scope": "openid"}
Part = Callable[[], object] | Callable[[], Awaitable[object]]


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
    return {
        WHOLE: whole,
        "verifying the state": lambda: state.read(
            keys, Purpose.STATE, ISSUER, token, login.opened_at
        ),
        "reading the login": lambda: store.get(login.id),
        "signing and sealing": seal,
        "  of it, a signature": lambda: private.sign(b"x" * 400, ECDSA(SHA256())),
        "  of it, a new key": new_private_key,
        "  of it, agreeing on a secret": lambda: private.exchange(ECDH(), peer),
        "rendering the page": lambda: pages.onward(about, address=sealed),
        "a log line": lambda: events.tell("callback", "onward", login_id=login.id),
    }


async def cost(part: Part, times: int) -> float:
    """Return microseconds of CPU."""
    began = time.process_time()
    for _ in range(times):
        done = part()
        if isinstance(done, Awaitable):
            await done
    return (time.process_time() - began) / times * 1e6


async def measured(plan: Plan) -> Rows:
    with TemporaryDirectory(prefix="relay-bench-") as directory:
        timed = await parts(Path(directory))
        rows: Rows = {name: {CPU: [], OF_WHOLE: []} for name in timed}
        for _ in range(plan.rounds):
            found = {name: await cost(part, plan.count(TIMES)) for name, part in timed.items()}
            for name, figure in found.items():
                rows[name][CPU].append(figure)
                rows[name][OF_WHOLE].append(figure / found[WHOLE])
    return rows


def measure(plan: Plan) -> Result:
    log_to_stderr("info")
    with Path("/dev/null").open("w") as nowhere:
        logging.getLogger().handlers[0].setStream(nowhere)  # type: ignore[attr-defined]
        rows = asyncio.run(measured(plan))
    return Result("Parts of a redirect callback", rows, [], {"opencode-relay": VERSION})
