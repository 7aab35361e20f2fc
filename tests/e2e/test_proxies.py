"""Reverse proxies that cut a long request, or strip headers."""

from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from playwright.sync_api import expect

from tests.support.ports import free_port

from .conftest import Meet, Serve
from .idp import Idp
from .opencode import Opencode
from .outcome import signed_in
from .person import decide, says
from .processes import nginx
from .relays import Relay, origin, relay_at

FORWARD = """
    proxy_http_version 1.1;
    proxy_set_header Host $http_host;
    proxy_set_header Upgrade $http_upgrade;
    proxy_set_header Connection $connection_upgrade;
"""
STRIP = "".join(
    f'proxy_set_header Sec-Fetch-{name} "";' for name in ("Site", "Mode", "Dest", "User")
)


@pytest.fixture
def impatient(instance: Opencode, world: Path) -> Iterator[str]:
    """opencode behind a proxy that waits 3 s for an answer, as nginx does 60 s of itself."""
    port = free_port()
    server = f"""
        listen 127.0.0.1:{port};
        location / {{ proxy_pass {instance.url}; {FORWARD} proxy_buffering off; }}
        location = /provider/openai/oauth/callback {{
          proxy_pass {instance.url}; {FORWARD} proxy_read_timeout 3s;
        }}"""
    url = f"http://127.0.0.1:{port}"
    with nginx(server, home=world / "impatient", ready=f"{url}/global/health"):
        yield url


def test_held_request_cut_by_a_proxy(
    meet: Meet, instance: Opencode, impatient: str, open_idp: Idp
) -> None:
    alice = meet("alice")
    held: list[int] = []
    alice.browser.on(
        "response", lambda got: held.append(got.status) if "/oauth/callback" in got.url else None
    )
    dialog = alice.connect(impatient)
    code = dialog.pairing_code
    page = alice.reach_relay(dialog.follow())
    dialog.fails()
    assert held == [504]

    decide(page, "Allow", code)
    says(page, "Sign-in allowed")
    signed_in(alice, instance, open_idp)
    expect(alice.provider(impatient).get_by_role("button", name="Disconnect")).to_be_visible()


@pytest.fixture
def stripped_relay(world: Path, ports: dict[str, int]) -> Iterator[Relay]:
    """A relay whose public URL is a proxy that takes Sec-Fetch-* out of every request."""
    port, public = free_port(), origin(ports["proxied"])
    server = f"""
        listen 127.0.0.1:{ports["proxied"]};
        location / {{ proxy_pass http://127.0.0.1:{port}; {FORWARD} {STRIP} }}"""
    with (
        relay_at(public, port, world / "stripped-relay") as one,
        nginx(server, home=world / "stripping", ready=f"{public}/healthz"),
    ):
        yield one


def test_allow_while_a_proxy_strips_sec_fetch(
    meet: Meet, serve: Serve, stripped_relay: Relay, relay: Relay, open_idp: Idp
) -> None:
    # The relay refuses this header, but behind the proxy never sees it.
    foreign = {"Sec-Fetch-Site": "cross-site"}
    for one, status in ((relay, 403), (stripped_relay, 400)):
        headers = {**foreign, "Origin": one.issuer}
        assert httpx.post(f"{one.issuer}/auth/confirm", headers=headers).status_code == status

    alice = meet("alice")
    with serve("stripped-instance", stripped_relay, open_idp, "(browser)") as instance:
        dialog = alice.connect(instance.url)
        page = alice.reach_relay(dialog.follow())
        decide(page, "Allow", dialog.pairing_code)
        says(page, "Sign-in allowed")
        dialog.closes_connected()
        signed_in(alice, instance, open_idp)
