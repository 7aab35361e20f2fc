"""What the extension carries, and all that it leaves alone."""

import secrets
from collections.abc import Iterator
from pathlib import Path

import pytest
from opencode_relay.cli.catch import STATE_BEGINS
from opencode_relay.keys.held import Keys
from opencode_relay.keys.key import Purpose
from opencode_relay.keys.ring import Ring
from opencode_relay.keys.state import make
from playwright.sync_api import Error, Page, expect

from tests.support.served import Client, Served

from .conftest import LOCAL, STATE, Chromium, Recorder

QUERY = f"code=c-1&state={STATE}&scope=openid"


@pytest.fixture(scope="module")
def chromium(shared_chromium: Chromium, shared_network: Recorder) -> Chromium:
    shared_chromium.set(shared_network.relay)
    return shared_chromium


@pytest.fixture
def idp(page: Page, network: Recorder) -> Page:
    """A page of an identity provider that redirects to where the test says."""
    network.to = f"{LOCAL}?{QUERY}"
    return page


def carried(page: Page, network: Recorder, query: str = QUERY) -> None:
    """The query is at the relay, byte for byte, and went nowhere else."""
    page.wait_for_url(f"{network.relay}/**")
    assert network.paths(network.relay) == [f"/auth/callback?{query}"]
    assert network.paths("http://localhost:1455") == []


def go(page: Page, address: str) -> None:
    """Type an address."""
    page.goto(address, wait_until="commit")


@pytest.mark.usefixtures("chromium")
class TestCarries:
    def test_extension_carries_a_typed_address(self, page: Page, network: Recorder) -> None:
        go(page, f"{LOCAL}?{QUERY}")
        carried(page, network)

    def test_extension_carries_a_redirect_of_the_provider(
        self, idp: Page, network: Recorder
    ) -> None:
        go(idp, f"{network.at('idp')}/302")
        carried(idp, network)

    @pytest.mark.parametrize("policy", ["plain", "consent"])
    def test_extension_carries_past_the_providers_form_action(
        self, idp: Page, network: Recorder, policy: str
    ) -> None:
        """FastMCP 2302/3372, Kanidm 3354: a consent form may lead to localhost, not to a relay."""
        network.page = "<form method=post action=/302><button>Continue</button></form>"
        idp.goto(f"{network.at('idp')}/{policy}")
        idp.get_by_role("button").click()
        carried(idp, network)

    def test_extension_carries_a_click(self, page: Page, network: Recorder) -> None:
        network.page = f'<a href="{LOCAL}?{QUERY}">go</a>'
        page.goto(network.at("idp"))
        page.get_by_role("link").click()
        carried(page, network)
        assert page.evaluate("history.length") == 3  # about:blank, the provider, the relay

    def test_extension_carries_in_a_new_tab(self, page: Page, network: Recorder) -> None:
        network.page = f'<a href="{LOCAL}?{QUERY}" target="_blank" rel="noopener">go</a>'
        page.goto(network.at("idp"))
        with page.context.expect_page() as opened:
            page.get_by_role("link").click()
        carried(opened.value, network)
        opened.value.close()

    def test_extension_carries_what_a_script_opens(self, page: Page, network: Recorder) -> None:
        page.goto(network.at("idp"))
        page.evaluate("to => { location.href = to }", f"{LOCAL}?{QUERY}")
        carried(page, network)

    @pytest.mark.parametrize(
        "query",
        [
            f"state={STATE}",
            f"state={STATE}&code=",
            f"state={STATE_BEGINS}",
            f"code=a%2fb%2Fc%20d+e%00%C3%A4%e4&&x=?/:@;,!$()*~=&state={STATE}&=",
            f"code={'c' * 3000}&state={STATE}{'s' * 3000}&scope={'o' * 500}",
        ],
        ids=["state-only", "state-first", "no-more-than-the-bytes", "escapes", "long"],
    )
    def test_extension_carries_byte_for_byte(
        self, page: Page, network: Recorder, query: str
    ) -> None:
        go(page, f"{LOCAL}?{query}")
        carried(page, network, query)

    def test_extension_carries_what_the_browser_would_have_sent(
        self, page: Page, network: Recorder
    ) -> None:
        """Characters that a browser escapes by itself are not escaped twice, or otherwise."""
        query = f"code=ä'\"<>`{{}}|^\\ %&state={STATE}"
        page.goto(f"http://localhost:1457/auth/callback?{query}")
        [untouched] = network.paths("http://localhost:1457")
        go(page, f"{LOCAL}?{query}")
        carried(page, network, untouched.partition("?")[2])

    def test_extension_drops_the_fragment(self, page: Page, network: Recorder) -> None:
        go(page, f"{LOCAL}?{QUERY}#https://evil.example")
        carried(page, network)
        assert "#" not in page.url


UNTOUCHED = {
    "codex": f"{LOCAL}?code=c&state={'0123456789abcdef' * 2}",
    "another-jwt": f"{LOCAL}?code=c&state=eyJhbGciOiJIUzI1NiJ9.e30.AA",
    "one-byte-short": f"{LOCAL}?code=c&state={STATE_BEGINS[:-1]}",
    "another-case": f"{LOCAL}?code=c&state={STATE.swapcase()}",
    "state-inside-a-state": f"{LOCAL}?code=c&state=x{STATE}",
    "another-parameter": f"{LOCAL}?code=c&nonce={STATE}",
    "a-longer-name": f"{LOCAL}?code=c&xstate={STATE}",
    "an-escaped-name": f"{LOCAL}?code=c&st%61te={STATE}",
    "in-another-value": f"{LOCAL}?code=c?state={STATE}",
    "in-the-fragment": f"{LOCAL}?code=c#&state={STATE}",
    "no-state": f"{LOCAL}?code=c",
    "no-query": LOCAL,
    "slash": f"{LOCAL}/?{QUERY}",
    "longer-path": f"{LOCAL}2?{QUERY}",
    "path-below": f"{LOCAL}/state?{QUERY}",
    "shorter-path": f"http://localhost:1455/auth?{QUERY}",
    "path-in-another-case": f"http://localhost:1455/Auth/callback?{QUERY}",
    "another-port": f"http://localhost:1457/auth/callback?{QUERY}",
    "127.0.0.1": f"http://127.0.0.1:1455/auth/callback?{QUERY}",
    "::1": f"http://[::1]:1455/auth/callback?{QUERY}",
    "a-dot-more": f"http://localhost.:1455/auth/callback?{QUERY}",
}


@pytest.mark.usefixtures("chromium")
class TestLeavesAlone:
    @pytest.mark.parametrize("address", UNTOUCHED.values(), ids=UNTOUCHED)
    def test_extension_leaves_an_address_alone(
        self, page: Page, network: Recorder, address: str
    ) -> None:
        page.goto(address)
        origin, path = address.partition("#")[0].split("/", 3)[2:]
        assert network.came == [("GET", origin, f"/{path}")]
        assert page.url == address

    @pytest.mark.parametrize(
        "address",
        [f"https{LOCAL[4:]}?{QUERY}", f"http://user:pass@{LOCAL[7:]}?{QUERY}"],
        ids=["https", "user"],
    )
    def test_extension_leaves_https_and_users_alone(
        self, page: Page, network: Recorder, address: str
    ) -> None:
        try:
            page.goto(address)
        except Error as wrong:
            assert "ERR_SSL" in wrong.message  # noqa: PT017 - of the recorder, which has no TLS
        assert network.paths(network.relay) == []

    @pytest.mark.parametrize(
        "element",
        ["<iframe src='{}'></iframe>", "<img src='{}'>", "<object data='{}'></object>"],
        ids=["frame", "image", "object"],
    )
    def test_extension_leaves_alone_what_is_inside_a_page(
        self, page: Page, network: Recorder, element: str
    ) -> None:
        network.page = element.format(f"{LOCAL}?{QUERY}")
        page.goto(network.at("idp"))
        assert network.paths("http://localhost:1455") == [f"/auth/callback?{QUERY}"]
        assert network.paths(network.relay) == []

    def test_extension_leaves_a_fetch_alone(self, page: Page, network: Recorder) -> None:
        page.goto(network.at("idp"))
        page.evaluate("to => fetch(to, {mode: 'no-cors'})", f"{LOCAL}?{QUERY}")
        assert network.paths("http://localhost:1455") == [f"/auth/callback?{QUERY}"]
        assert network.paths(network.relay) == []

    def test_extension_leaves_a_posted_form_alone(self, page: Page, network: Recorder) -> None:
        network.page = f'<form method=post action="{LOCAL}?{QUERY}"><button>go</button></form>'
        page.goto(network.at("idp"))
        page.get_by_role("button").click()
        page.wait_for_url(f"{LOCAL}?**")
        assert network.came[-1] == ("POST", "localhost:1455", f"/auth/callback?{QUERY}")

    def test_extension_leaves_a_local_codex_login_alone(self, idp: Page, network: Recorder) -> None:
        """The provider's redirect reaches the program that waits on this machine."""
        network.to = f"{LOCAL}?code=c&state={secrets.token_hex(16)}"
        idp.goto(f"{network.at('idp')}/302")
        assert idp.url == network.to
        assert network.paths(network.relay) == []

    @pytest.mark.parametrize("file", ["onward.html", "options.html", "manifest.json"])
    def test_extension_does_not_show_itself_to_websites(
        self, page: Page, network: Recorder, chromium: Chromium, file: str
    ) -> None:
        page.goto(network.at("evil"))
        own = f"chrome-extension://{chromium.id}/{file}"
        found = page.evaluate("to => fetch(to).then(() => 'there', () => 'nothing')", own)
        assert found == "nothing"
        page.evaluate("to => { location.href = to }", f"{own}?{QUERY}")
        page.wait_for_url("chrome-error://**")
        assert network.paths(network.relay) == []


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    home: Path = tmp_path_factory.mktemp("relay")
    served = Served(home / "data", home, "--name", "workshop")
    yield served
    served.kill()


class TestWithARealRelay:
    @pytest.fixture
    def visitor(self, shared_chromium: Chromium, served: Served, page: Page) -> Page:
        shared_chromium.set(served.url)
        return page

    def test_extension_carries_a_real_login_to_its_end(
        self, visitor: Page, served: Served, network: Recorder
    ) -> None:
        instance = Client(served, served.key)
        login = instance.open()
        assert login["state"].startswith(STATE_BEGINS)
        network.to = f"{LOCAL}?code=c-1&state={login['state']}"
        go(visitor, f"{network.at('idp')}/302")
        visitor.get_by_label("The code that").fill(login["pairing_code"])
        visitor.get_by_role("button", name="Allow").click()
        expect(visitor.get_by_role("heading", level=1)).to_have_text("Sign-in allowed")
        assert instance.collect(login).json()["status"] == "released"

    @pytest.mark.parametrize("forged", ["looks-like-one", "well-made", "doubled"])
    def test_extension_page_that_steers_the_browser_gains_nothing(
        self, visitor: Page, served: Served, network: Recorder, forged: str
    ) -> None:
        instance = Client(served, served.key)
        login = instance.open()
        ring = Ring.fresh(0)
        well_made = make(Keys(lambda: ring), Purpose.STATE, served.url, login["login_id"], 1, 2**33)
        state = {
            "looks-like-one": STATE,
            "well-made": well_made,
            "doubled": f"{login['state']}&state={STATE}",
        }[forged]
        visitor.goto(network.at("evil"))
        visitor.evaluate("to => { location.href = to }", f"{LOCAL}?code=evil&state={state}")
        visitor.wait_for_url(f"{served.url}/auth/callback?**")
        title = (
            "This answer cannot be used"
            if forged == "doubled"
            else "This sign-in is not known here"
        )
        expect(visitor.get_by_role("heading", level=1)).to_have_text(title)
        assert instance.collect(login).json() == {"status": "pending"}

    def test_extension_page_that_steers_with_another_state_reaches_no_relay(
        self, visitor: Page, network: Recorder
    ) -> None:
        visitor.goto(network.at("evil"))
        steered = f"{LOCAL}?code=evil&state={secrets.token_hex(16)}"
        visitor.evaluate("to => { location.href = to }", steered)
        visitor.wait_for_url(steered)
        assert network.came[-1][1] == "localhost:1455"
