"""The line in opencode's list of providers is no model, and signs out of nothing."""

import subprocess
from collections.abc import Iterator

import httpx
import pytest
from playwright.sync_api import expect

from tests.e2e.conftest import Meet
from tests.e2e.opencode import Opencode
from tests.e2e.outside import Outside
from tests.e2e.person import decide
from tests.e2e.processes import OPENCODE, wait_until

from .signing_in import LINE, PROVIDER, Place, connect, environment, reach_relay


def prompted(opencode: Opencode) -> str | None:
    """Whom opencode asks where a prompt names no model; nobody where it has none."""
    with httpx.Client(base_url=opencode.url, timeout=120) as client:
        session = client.post("/session", json={}).raise_for_status().json()["id"]
        asked = {"parts": [{"type": "text", "text": "Hello"}]}
        answer = client.post(f"/session/{session}/message", json=asked).json()
    return str(answer["info"]["providerID"]) if "info" in answer else None


def told(opencode: Opencode, proxy: Outside, *command: str) -> str:
    """What a command of opencode's prints, beside the server that uses the same home."""
    argv = [f"{OPENCODE}", *command, "--print-logs"]
    env = environment(opencode, proxy)
    done = subprocess.run(argv, env=env, capture_output=True, text=True, check=False, timeout=120)
    return done.stdout + done.stderr


@pytest.fixture
def api_key(place: Place) -> Iterator[None]:
    """Another provider is connected; nothing answers at its address."""
    url = f"{place.opencode.url}/auth/openai"
    httpx.put(url, json={"type": "api", "key": "sk-for-tests"}).raise_for_status()
    place.served.restart()
    yield
    place.opencode.forget()


@pytest.mark.usefixtures("api_key")
def test_it_is_never_the_default_model(place: Place, proxy: Outside) -> None:
    assert prompted(place.opencode) == "openai"
    models = told(place.opencode, proxy, "models")
    assert "openai/gpt-5.5" in models
    assert PROVIDER not in models


def test_where_nothing_is_connected_there_is_none(place: Place, proxy: Outside) -> None:
    assert place.opencode.account() is None
    place.served.restart()
    # Its terminal UI asks for this first, before the list is built.
    assert PROVIDER in place.opencode.get("/config")["provider"]
    place.opencode.get("/config/providers")
    wait_until(lambda: prompted(place.opencode) is None, "opencode has no default model")
    assert f"{PROVIDER}/" not in told(place.opencode, proxy, "models")
    assert "ProviderNoProvidersError" in told(place.opencode, proxy, "run", "Hello")


def test_who_names_it_all_the_same_is_told(place: Place) -> None:
    assert "no model is connected" in place.opencode.prompt("Hello", PROVIDER, "none")


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
