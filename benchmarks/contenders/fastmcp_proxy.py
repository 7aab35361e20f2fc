"""FastMCP's `OAuthProxy`: an MCP server that stands between its clients and one IdP.

Denied, its callback reads the transaction from its store and redirects to the client with the
error; with a code it would exchange that at the IdP. A state that it does not know is answered with
a page, after one look into the store.
Its store is in memory and its log plain, both cheaper than its defaults (encrypted files; rich);
uvicorn is the relay's, with the same loop and parser.
"""

import contextlib
import json
import secrets
from collections.abc import Iterator, Sequence
from importlib.metadata import version
from pathlib import Path
from urllib.parse import parse_qs, urlencode, urlsplit

from benchmarks.contenders.installs import pip
from benchmarks.harness.client import Answer, ask, exchange, request
from benchmarks.harness.processes import Server, free_port, serving

VERSION = "4.1.2"
CLIENT = "http://localhost:9999/callback"
APPS = Path(__file__).parent / "apps"


@contextlib.contextmanager
def fastmcp() -> Iterator[Server]:
    same = {name: version(name) for name in ("uvicorn", "uvloop", "httptools")}
    python = pip("fastmcp", {"fastmcp": VERSION, **same})
    port = free_port()
    env = {
        "BASE_URL": f"http://127.0.0.1:{port}",
        "FASTMCP_ENABLE_RICH_LOGGING": "false",
        "FASTMCP_CHECK_FOR_UPDATES": "off",
    }
    app = ["fastmcp_app:app", "--app-dir", str(APPS), "--port", str(port), "--no-access-log"]
    with serving([python, "-m", "uvicorn", *app], port, env) as server:
        yield server


def transactions(server: Server, count: int) -> Sequence[str]:
    """Begin so many sign-ins as an MCP client does, and return their states at the IdP."""
    about = {"redirect_uris": [CLIENT], "token_endpoint_auth_method": "none"}
    kind = {"Content-Type": "application/json"}
    body = json.dumps(about).encode()
    registered = ask(server.port, request("POST", "/register", server.port, kind, body))
    query = {
        "response_type": "code",
        "client_id": json.loads(registered.body)["client_id"],
        "redirect_uri": CLIENT,
        "code_challenge": secrets.token_urlsafe(32),
        "code_challenge_method": "S256",
    }
    begin = [
        request("GET", f"/authorize?{urlencode(query | {'state': str(number)})}", server.port)
        for number in range(count)
    ]
    answers = exchange(server.port, begin)
    return [parse_qs(urlsplit(one.header("location")).query)["txn_id"][0] for one in answers]


def denied(server: Server, state: str) -> bytes:
    return request("GET", f"/auth/callback?error=access_denied&state={state}", server.port)


def forged(server: Server) -> bytes:
    state = secrets.token_urlsafe(32)
    return request(
        "GET", f"/auth/callback?code={secrets.token_urlsafe(48)}&state={state}", server.port
    )


def redirected(answer: Answer) -> bool:
    to = answer.header("location")
    return answer.status == 302 and to.startswith(f"{CLIENT}?error=access_denied&")  # noqa: PLR2004


def refused(answer: Answer) -> bool:
    return answer.status == 400 and b"expired authorization transaction" in answer.body  # noqa: PLR2004
