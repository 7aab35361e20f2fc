"""Auth.js (`@auth/core`) as the redirect proxy of `redirectProxyUrl`.

A site behind the proxy sends the IdP a state that Auth.js encrypted with the secret both share. The
proxy's callback decrypts the state (HKDF, then AES-CBC with HMAC) and redirects the browser to the
site in it, with all parameters. It stores nothing and signs nothing. As the browser has none of its
cookies yet, it sets two.

On Node its docs serve it by its adapter for Express (version 4; the adapter does not find its paths
under version 5). `bare` is less than anybody runs: its core behind a dozen lines on node:http.
"""

import contextlib
import secrets
from collections.abc import Iterator, Sequence
from pathlib import Path
from urllib.parse import quote

from benchmarks.contenders.installs import node, npm
from benchmarks.harness.client import Answer, request
from benchmarks.harness.processes import Server, free_port, serving

PACKAGES = {"@auth/core": "0.41.3", "@auth/express": "0.12.3", "express": "4.22.3"}
VERSION = PACKAGES["@auth/core"]
SITE = "http://preview.example/auth/callback/idp"
HERE = Path(__file__).parent


@contextlib.contextmanager
def authjs(server: str, states: int) -> Iterator[tuple[Server, Sequence[str]]]:
    """Start the proxy, `express` or `bare`; yield it and so many states of a site behind it."""
    home = npm("authjs", PACKAGES, HERE.glob("*.mjs"))
    env = {"AUTH_SECRET": secrets.token_hex(32), "NODE_ENV": "production"}
    made = node(home / "states.mjs", str(states), env=env)
    port = free_port()
    with serving(["node", home / f"{server}.mjs", str(port)], port, env) as started:
        yield started, made


def callback(server: Server, state: str, code: str) -> bytes:
    return request("GET", f"/auth/callback/idp?code={code}&state={quote(state)}", server.port)


def redirected(answer: Answer) -> bool:
    to = answer.header("location")
    return answer.status == 302 and to.startswith(f"{SITE}?code=")  # noqa: PLR2004
