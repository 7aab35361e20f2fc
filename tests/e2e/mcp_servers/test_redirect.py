"""With `publicUrl`: the browser comes back to opencode's own address, and nothing is typed."""

import subprocess
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from playwright.sync_api import Page, expect

from tests.e2e.conftest import Meet
from tests.e2e.person import Person, says
from tests.e2e.proxies import NAMES, PASSWORD, Front, make_certificate, nginx
from tests.e2e.relays import RELAY, Relay
from tests.support.ports import free_port

from .conftest import Open
from .signing_in import Place, answer, connect


@pytest.fixture(scope="module")
def front(world: Path) -> Front:
    home = world / "mcp-front"
    return Front(free_port(), free_port(), free_port(), make_certificate(home), home)


@pytest.fixture(scope="module")
def public_url(front: Front) -> str:
    return f"https://{NAMES[0]}:{front.port}"


@pytest.fixture(scope="module")
def public_place(
    open_place: Open, https_relay: Relay, front: Front, public_url: str
) -> Iterator[Place]:
    """An opencode behind nginx, whose address the relay's operator has registered."""
    instance = https_relay.options["key"].split("_")[1]
    register = f"--return-url={public_url}/auth/callback"
    data = f"--data={https_relay.data}"
    argv = [f"{RELAY}", "instances", "update", instance, register, data]
    subprocess.run(argv, check=True, stdout=subprocess.DEVNULL)
    told = {"publicUrl": public_url, "listen": f"127.0.0.1:{front.listener}"}
    with open_place("mcp-public", front.opencode, PASSWORD, **told) as place, nginx(front):
        yield place


def come_back(person: Person, page: Page, public_url: str) -> Page:
    answer(person, page)
    page.wait_for_url(f"{public_url}/auth/callback?**")
    return page


@pytest.mark.parametrize("name", ["iss", "fast"])
def test_nothing_is_typed(meet: Meet, public_place: Place, public_url: str, name: str) -> None:
    alice = meet("alice")
    dialog = connect(alice, public_url, name)
    page = come_back(alice, dialog.follow(), public_url)
    says(page, "Signed in")
    host = httpx.URL(public_place.servers[name].url).netloc.decode()
    expect(page.get_by_role("main")).to_contain_text(f"{name} ({host})")
    dialog.closes_connected()
    public_place.signed_in(alice, name)


def test_declined_at_the_server(meet: Meet, public_place: Place, public_url: str) -> None:
    alice = meet("alice")
    dialog = connect(alice, public_url, "other")
    page = answer(alice, dialog.follow(), "Deny")
    page.wait_for_url(f"{public_url}/auth/callback?**")
    says(page, "Not signed in")
    dialog.fails()
    public_place.never_signed_in(alice, "other")


def test_answer_in_a_strangers_browser(meet: Meet, public_place: Place, public_url: str) -> None:
    """Whoever gets hold of the answer's address gets nothing by it."""
    alice, mallory = meet("alice"), meet("mallory")
    dialog = connect(alice, public_url, "other")
    page = dialog.follow()
    back = f"{public_url}/auth/callback?response="
    page.route(lambda url: url.startswith(back), lambda route: route.abort())
    with page.expect_event("requestfailed", lambda one: one.url.startswith(back)) as unsent:
        answer(alice, page)
    says(mallory.open(unsent.value.url), "Not the browser that began")
    public_place.never_signed_in(alice, "other")

    page.unroute_all()
    page.goto(unsent.value.url)
    says(page, "Signed in")
    public_place.signed_in(alice, "other")
    dialog.closes_connected()


def test_link_in_a_strangers_browser(meet: Meet, public_place: Place, public_url: str) -> None:
    alice, mallory = meet("alice"), meet("mallory")
    page = mallory.open(connect(alice, public_url, "other").link)
    says(page, "Sign this opencode in?")
    expect(page.get_by_role("main")).to_contain_text("other (127.0.0.1")
    public_place.never_signed_in(mallory, "other")
