"""`opencode-relay doctor` at a relay behind a real nginx: as our page says, and spoilt."""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from opencode_relay.addresses import NOBODYS

from tests.support.ports import free_port
from tests.support.served import Served, run_here

from .processes import nginx_with
from .proxies import make_certificate

# The page's own lines. `proxy_bind` tells the proxy's address from this machine's other one.
GOOD = """
    proxy_http_version 1.1;
    proxy_set_header Connection "";
    proxy_set_header X-Forwarded-For $remote_addr;
    proxy_set_header X-Forwarded-Proto $scheme;
    proxy_bind 127.0.0.2;
"""
TRUSTED = "127.0.0.2/32"
ADDRESSES, HELD, ORIGIN = "callers' addresses", "a held question", "Origin of a form"
Found = dict[str, tuple[bool | None, str]]
Examine = Callable[..., Found]


@pytest.fixture
def examine(tmp_path: Path, request: pytest.FixtureRequest) -> Examine:
    certificate = make_certificate(tmp_path)
    port = free_port()
    url = f"https://localhost:{port}"

    @contextmanager
    def proxied(served: Served, lines: str) -> Iterator[None]:
        server = f"""server {{
            listen 127.0.0.1:{port} ssl;
            ssl_certificate {certificate.chain}; ssl_certificate_key {certificate.key};
            location / {{ proxy_pass {served.url}; {lines} }} }}"""
        home = tmp_path / "nginx"
        trusted = certificate.trusted
        with nginx_with(server, home=home, ready=f"{url}/healthz", trusted=trusted):
            yield

    def examine(lines: str = GOOD, trusted: str = TRUSTED) -> Found:
        env = {"RELAY_MAX_WAIT": "3", "RELAY_TRUSTED_PROXIES": trusted}
        served = Served(tmp_path / "data", tmp_path, "--public-url", url, **env)
        request.addfinalizer(served.kill)
        with proxied(served, lines):
            more = {"SSL_CERT_FILE": f"{certificate.chain}"}
            done = run_here("doctor", url, "--json", OPENCODE_RELAY_KEY=served.key, **more)
        return {one["check"]: (one["ok"], one["seen"]) for one in json.loads(done.stdout)["checks"]}

    return examine


def test_a_proxy_as_our_page_says(examine: Examine) -> None:
    found = examine()
    # That this machine and the proxy share an address is the tests' own doing.
    assert found.pop(ADDRESSES)[0] is None
    assert {ok for ok, _ in found.values()} == {True}, found


def test_a_proxy_that_nobody_named(examine: Examine) -> None:
    ok, seen = examine(trusted="")[ADDRESSES]
    assert ok is False
    assert "127.0.0.2" in seen
    assert "RELAY_TRUSTED_PROXIES" in seen


def test_a_proxy_that_passes_on_what_a_caller_says(examine: Examine) -> None:
    ok, seen = examine(GOOD.replace("$remote_addr", "$http_x_forwarded_for"))[ADDRESSES]
    assert ok is False
    assert "any caller" in seen
    assert NOBODYS not in seen


def test_a_proxy_that_cuts_a_held_question(examine: Examine) -> None:
    found = examine(GOOD + "proxy_read_timeout 1s;")
    ok, seen = found[HELD]
    assert ok is False
    assert "cut (status 504)" in seen
    assert "RELAY_MAX_WAIT" in seen


def test_a_proxy_that_drops_origin(examine: Examine) -> None:
    ok, seen = examine(GOOD + 'proxy_set_header Origin "";')[ORIGIN]
    assert ok is False
    assert "takes Origin away" in seen
