"""The line in opencode's list of providers is no model, and signs out of nothing."""

from collections.abc import Iterator

import httpx
import pytest
from playwright.sync_api import expect

from tests.e2e.conftest import Meet
from tests.e2e.opencode import Opencode
from tests.e2e.person import decide

from .signing_in import LINE, PROVIDER, Place, connect, reach_relay


def prompted(opencode: Opencode) -> tuple[str, str]:
    """Whom opencode asks where a prompt names no model, and what became of it."""
    with httpx.Client(base_url=opencode.url, timeout=120) as client:
        session = client.post("/session", json={}).raise_for_status().json()["id"]
        asked = {"parts": [{"type": "text", "text": "Hello"}]}
        answer = client.post(f"/session/{session}/message", json=asked).raise_for_status()
    info = answer.json()["info"]
    return info["providerID"], info["error"]["data"]["message"]


@pytest.fixture
def api_key(place: Place) -> Iterator[None]:
    """Another provider is connected; nothing answers at its address."""
    url = f"{place.opencode.url}/auth/openai"
    httpx.put(url, json={"type": "api", "key": "sk-for-tests"}).raise_for_status()
    place.opencode.dispose()
    yield
    place.opencode.forget()


@pytest.mark.usefixtures("api_key")
def test_it_is_never_the_default_model(place: Place) -> None:
    provider, _ = prompted(place.opencode)
    assert provider == "openai"


def test_where_nothing_is_connected_the_answer_says_so(place: Place) -> None:
    """opencode takes the only provider that it has, which answers in words."""
    assert place.opencode.account() is None
    assert "no model is connected" in prompted(place.opencode)[1]


def test_no_model_of_it_is_offered(meet: Meet, place: Place) -> None:
    for found in (
        place.opencode.get("/provider")["all"],
        place.opencode.get("/config/providers")["providers"],
    ):
        (line,) = (one for one in found if one["id"] == PROVIDER)
        assert line["models"] == {}
    assert PROVIDER not in place.opencode.get("/config").get("provider", {})

    page = meet("alice").providers(place.opencode.url)
    page.get_by_role("tab", name="Models").click()
    expect(page.get_by_role("tabpanel")).to_be_visible()
    expect(page.get_by_role("tabpanel").get_by_text("no model", exact=True)).to_have_count(0)


def test_disconnect_signs_out_of_nothing(meet: Meet, place: Place) -> None:
    alice = meet("alice")
    dialog = connect(alice, place.opencode.url, "any")
    decide(reach_relay(alice, dialog.follow()), "Allow", dialog.pairing_code)
    dialog.closes_connected()

    row = alice.provider(place.opencode.url, LINE)
    with row.page.expect_response(f"**/auth/{PROVIDER}") as asked:
        row.get_by_role("button", name="Disconnect").click()
    assert asked.value.ok
    place.signed_in(alice, "any")
    assert "disabled_providers" not in place.opencode.get("/config")
    assert PROVIDER in place.opencode.get("/provider")["connected"]
