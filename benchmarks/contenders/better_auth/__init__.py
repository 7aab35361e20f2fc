"""Better Auth with its `oauth-proxy`, in front of previews that share its secret.

Its callback decrypts the preview's state (a package, and in it the preview's own state: XChaCha20
twice). With a code it would go on to exchange that at the IdP, where the relay has nothing to do,
so what is measured is the denied path: at the IdP's `error` it redirects to the preview's error
page. It has no database: a sign-in's state is in a cookie of the preview. Its limits are off, as
the relay's are.
"""

import contextlib
import secrets
from collections.abc import Iterator, Sequence
from pathlib import Path

from benchmarks.contenders.installs import node, npm
from benchmarks.harness.client import Answer, request
from benchmarks.harness.processes import Server, free_port, serving

VERSION = "1.7.25"
HERE = Path(__file__).parent


def command(port: int) -> list[str | Path]:
    home = npm("better-auth", {"better-auth": VERSION}, HERE.glob("*.mjs"))
    return ["node", home / "server.mjs", str(port)]


def environment() -> dict[str, str]:
    return {"BETTER_AUTH_SECRET": secrets.token_hex(32), "NODE_ENV": "production"}


@contextlib.contextmanager
def better_auth(states: int) -> Iterator[tuple[Server, Sequence[str]]]:
    """Start the production server; yield it and so many states of a preview."""
    port, env = free_port(), environment()
    argv = command(port)
    script = Path(argv[1]).parent / "states.mjs"
    made = node(script, str(states), f"http://127.0.0.1:{port}", env=env)
    with serving(argv, port, env) as server:
        yield server, made


def denied(server: Server, state: str) -> bytes:
    path = f"/api/auth/callback/github?error=access_denied&state={state}"
    return request("GET", path, server.port)


def redirected(answer: Answer) -> bool:
    to = answer.header("location")
    return (answer.status, to) == (302, "http://preview.example/denied?error=access_denied")
