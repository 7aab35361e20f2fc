"""The client against the real relay: whole logins."""

from __future__ import annotations

import re
import time
from pathlib import Path

import pytest
from opencode_relay.cli.loopback import Loopback
from opencode_relay.client import (
    AsyncClient,
    Client,
    LoginOver,
    NotARelay,
    OpenLogin,
    RelayRefused,
    Unreachable,
)
from opencode_relay.instances import Instance
from opencode_relay.keys.held import Keys
from opencode_relay.keys.ring import Ring
from opencode_relay.relay import Relay
from opencode_relay.response import SealError
from opencode_relay.settings import Settings
from opencode_relay.stores.sqlite import SQLiteStore
from opencode_relay.web.app import make_app
from starlette.types import ASGIApp

from .conftest import ISSUER, Person

IDP = "https://idp.example.com"


async def _enrolled(relay: Relay, client: AsyncClient, *urls: str) -> AsyncClient:
    instance, key = Instance.enrol("Team", list(urls), time.time())
    await relay.store.add_instance(instance)
    return AsyncClient(ISSUER, key=key.reveal(), http=client._http)


async def test_completion_code(client: AsyncClient, person: Person) -> None:
    login = await client.open(name="tool", provider="IdP", idp_issuer=IDP)
    assert login.confirmation == "completion_code"
    page = await person.callback(login.state.reveal(), code="c-1", iss=IDP)
    found = re.search(r"<code[^>]*>([0-9A-Z-]{9})</code>", page)
    assert found
    with pytest.raises(RelayRefused) as wrong:
        await client.complete(login, "0000-0000")
    assert (wrong.value.code, wrong.value.tries_left) == ("completion-code-wrong", 4)
    await client.complete(login, found[1].lower())
    assert await client.wait(login) == {"code": "c-1", "iss": IDP}
    await client.finish(login)
    with pytest.raises(LoginOver) as over:
        await client.wait(login)
    assert over.value.code == "login-not-found"


async def test_pairing_code(relay: Relay, client: AsyncClient, person: Person) -> None:
    enrolled = await _enrolled(relay, client)
    login = await enrolled.open()
    assert login.pairing_code is not None
    page = await person.callback(login.state.reveal(), code="c-1")
    assert await person.confirm(page, "allow", login.pairing_code.reveal()) == 303
    assert await enrolled.wait(login) == {"code": "c-1"}


async def test_an_error_of_the_idp_is_a_parameter(client: AsyncClient, person: Person) -> None:
    login = await client.open(name="tool")
    await person.callback(login.state.reveal(), error="access_denied", error_description="no")
    assert await client.wait(login) == {"error": "access_denied", "error_description": "no"}


async def test_declined(relay: Relay, client: AsyncClient, person: Person) -> None:
    enrolled = await _enrolled(relay, client)
    login = await enrolled.open()
    page = await person.callback(login.state.reveal(), code="c-1")
    assert await person.confirm(page, "deny") == 303
    with pytest.raises(LoginOver) as over:
        await enrolled.wait(login)
    assert (over.value.status, over.value.code) == (410, "login-declined")


async def test_redirect_is_opened_from_what_the_browser_brought(
    relay: Relay, client: AsyncClient, person: Person
) -> None:
    url = "https://opencode.example.com/auth/callback"
    enrolled = await _enrolled(relay, client, url)
    login = await enrolled.open(return_url=url)
    page = await person.callback(login.state.reveal(), code="c-1")
    found = re.search(r"response=([A-Za-z0-9._-]+)", page)
    assert found
    assert await enrolled.unseal(login, found[1]) == {"code": "c-1"}
    with pytest.raises(RelayRefused) as refused:
        await enrolled.wait(login)
    assert refused.value.code == "delivery-is-redirect"


async def test_a_response_of_another_login_is_refused(client: AsyncClient, person: Person) -> None:
    mine, other = await client.open(name="a"), await client.open(name="b")
    await person.callback(other.state.reveal(), error="access_denied")
    answer = await client._http.get(
        f"{ISSUER}/v1/logins/{other.login_id}/response",
        headers={"Authorization": f"Bearer {other.verifier.reveal()}"},
    )
    with pytest.raises(SealError):
        await client.unseal(mine, answer.json()["response"])


async def test_a_key_that_is_mistyped(client: AsyncClient) -> None:
    wrong = AsyncClient(ISSUER, key="ocr_nonsense", http=client._http)
    with pytest.raises(RelayRefused) as refused:
        await wrong.open(name="tool")
    assert (refused.value.status, refused.value.code) == (401, "instance-key-invalid")
    assert "ocr_nonsense" not in str(refused.value)


async def test_nothing_came_in_the_time_there_was(client: AsyncClient) -> None:
    login = await client.open(name="tool")
    with pytest.raises(Unreachable):
        await client.wait(login, seconds=0)


async def test_a_login_shows_no_secret(client: AsyncClient) -> None:
    login: OpenLogin = await client.open(name="tool")
    for secret in (login.verifier, login.state):
        assert secret.reveal() not in repr(login)
    assert '"d"' not in repr(login)
    assert str(login.private_key.as_dict(private=True)["d"]) not in repr(login)


def test_blocking_client(tmp_path: Path) -> None:
    def app(url: str) -> ASGIApp:
        ring = Ring.fresh(0)
        settings = Settings(public_url=url, data=tmp_path, enrolment="open", max_wait=1)
        return make_app(Relay(settings, SQLiteStore(tmp_path), Keys(lambda: ring)))

    with Loopback(app) as url, Client(url) as client:
        assert client.discover()["issuer"] == url
        login = client.open(name="tool")
        answer = client._http.get(
            f"{url}/auth/callback",
            params={"state": login.state.reveal(), "error": "access_denied"},
        )
        assert answer.status_code == 200
        assert client.wait(login) == {"error": "access_denied"}
        client.finish(login)
        with pytest.raises(LoginOver):
            client.complete(login, "0000-0000")


@pytest.mark.parametrize(
    "url", ["http://relay.example.com", "https://relay.example.com/", "relay", "https://a@b.c"]
)
def test_a_url_that_is_no_issuer(url: str) -> None:
    with pytest.raises(NotARelay):
        Client(url)
