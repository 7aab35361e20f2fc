"""Signing in with delivery redirect: the browser comes back to opencode's own address by itself."""

import httpx
import pytest
from playwright.sync_api import expect

from .conftest import Meet
from .idp import LOCALHOST, Idp
from .opencode import label_is
from .outcome import never_signed_in, signed_in
from .person import decide, says
from .processes import wait_until
from .proxies import nginx
from .sites import Site, Sites, behind


@behind("nginx-configured", "nginx-auto", "caddy-configured", "caddy-auto", "traefik-auto")
def test_login_takes_one_click(meet: Meet, site: Site, open_idp: Idp) -> None:
    """The link in opencode, and the identity provider's own pages: nothing else is clicked."""
    alice = meet("alice")
    dialog = alice.connect(site.url)
    page = dialog.follow()
    alice.come_back(page, site.url)

    says(page, "Signed in")
    dialog.closes_connected()
    signed_in(alice, site.opencode, open_idp)
    page.get_by_role("link", name="Back to opencode").click()
    expect(page.get_by_role("button", name="Settings")).to_be_visible()


@behind("nginx-configured")
def test_link_followed_from_a_terminal_is_asked_about(
    meet: Meet, site: Site, open_idp: Idp
) -> None:
    """Nor is a link that a colleague sent followed unawares."""
    alice = meet("alice")
    page = alice.open(alice.connect(site.url).link)
    says(page, "Sign this opencode in?")
    expect(page.get_by_text("Everyone who can use this opencode")).to_be_visible()
    expect(page.get_by_role("main")).to_contain_text(httpx.URL(site.url).netloc.decode())
    expect(page.get_by_role("main")).to_contain_text("your account of ChatGPT")
    assert open_idp.tokens_of(alice.name) == []

    page.get_by_role("link", name="Go on").click()
    alice.come_back(page, site.url)
    says(page, "Signed in")
    signed_in(alice, site.opencode, open_idp)


@behind("nginx-auto")
def test_two_people_at_once_under_two_names(meet: Meet, site: Site, open_idp: Idp) -> None:
    alice, bob = meet("alice"), meet("bob")
    here, there = site.url, site.under("other.test")
    hers, his = alice.connect(here), bob.connect(there)
    her_page, his_page = hers.follow(), his.follow()
    alice.sign_in(her_page)

    bob.come_back(his_page, there)
    says(his_page, "Signed in")
    signed_in(bob, site.opencode, open_idp)
    never_signed_in(alice, site.opencode, open_idp)

    # An instance keeps one account: the later sign-in replaces the earlier.
    alice.come_back(her_page, here)
    says(her_page, "Signed in")
    signed_in(alice, site.opencode, open_idp)
    assert len(open_idp.tokens_of(bob.name)) == 1
    hers.closes_connected()
    his.closes_connected()


@behind("nginx-auto")
def test_one_person_in_two_tabs(meet: Meet, site: Site, open_idp: Idp) -> None:
    alice = meet("alice")
    one, other = alice.connect(site.url), alice.connect(site.url)
    page, other_page = one.follow(), other.follow()
    alice.come_back(other_page, site.url)
    says(other_page, "Signed in")
    signed_in(alice, site.opencode, open_idp)

    alice.come_back(page, site.url)
    says(page, "Signed in")
    signed_in(alice, site.opencode, open_idp, logins=2)
    one.closes_connected()
    other.closes_connected()


@behind("nginx-auto")
def test_form_post_whose_cross_site_post_comes_before_the_redirect(
    meet: Meet, site: Site, open_idp: Idp
) -> None:
    """The browser's cookie is Lax: it comes along with the page after the POST all the same."""
    alice = meet("alice")
    dialog = alice.connect(site.url)
    alice.browser.add_cookies(
        [{"name": "response_mode", "value": "form_post", "url": open_idp.issuer}]
    )
    posted: list[str] = []
    alice.browser.on("request", lambda one: posted.append(f"{one.method} {one.url}"))
    page = dialog.follow()
    alice.come_back(page, site.url)

    says(page, "Signed in")
    signed_in(alice, site.opencode, open_idp)
    (token,) = open_idp.tokens_of(alice.name)
    (code,) = (one for one in open_idp.events("code") if one["code"] == token["code"])
    assert f"POST {code['redirect_uri']}" in posted


@behind("nginx-auto")
def test_identity_provider_whose_form_action_is_itself_and_the_relay(
    meet: Meet, site: Site, open_idp: Idp
) -> None:
    """Browsers hold a whole chain of redirects to it, so the relay must not answer with one."""
    alice = meet("alice")
    dialog = alice.connect(site.url)
    with alice.browser.expect_event("request", lambda one: "/oauth/authorize?" in one.url) as sent:
        page = dialog.follow()

    # The policy is there and is kept: another address, as good to the identity provider.
    elsewhere = httpx.URL(sent.value.url).copy_set_param("redirect_uri", LOCALHOST[0])
    blocked = alice.open(str(elsewhere))
    alice.sign_in(blocked)
    with blocked.expect_console_message(lambda one: "form-action" in one.text):
        blocked.get_by_role("button", name="Continue").click()

    page.reload()
    alice.come_back(page, site.url)
    says(page, "Signed in")
    signed_in(alice, site.opencode, open_idp)


@behind("nginx-auto", "caddy-auto", "traefik-auto")
def test_disconnect_and_an_api_key_through_the_proxy(meet: Meet, site: Site) -> None:
    """opencode's own PUT and DELETE /auth/openai stand beside the plugin's two paths."""
    alice = meet("alice")
    dialog = alice.choose(site.url, "API key")
    dialog.box.get_by_role("textbox").fill("sk-a-key-for-tests")
    dialog.box.get_by_role("button", name="Continue").click()
    dialog.closes_connected()
    assert site.opencode.account() == {"type": "api", "key": "sk-a-key-for-tests"}

    alice.disconnect(site.url)
    wait_until(lambda: site.opencode.account() is None, "the key is gone")


@behind("nginx-auto")
def test_second_opencode_that_finds_the_listeners_port_taken_polls(
    meet: Meet, sites: Sites, site: Site, open_idp: Idp
) -> None:
    alice, bob = meet("alice"), meet("bob")
    page = bob.connect(site.url).follow()
    with sites.beside(site) as second:
        label_is(second, "(browser)")
        dialog = alice.connect(f"http://127.0.0.1:{httpx.URL(second.url).port}")
        second.until_log_says(f"127.0.0.1:{site.front.listener} is in use")
        decide(alice.reach_relay(dialog.follow()), "Allow", dialog.pairing_code)
        dialog.closes_connected()
        signed_in(alice, second, open_idp)
    bob.come_back(page, site.url)
    signed_in(bob, site.opencode, open_idp)


@pytest.fixture
def patient(sites: Sites) -> Site:
    return sites.site("patient")


def test_login_longer_than_the_timeout_that_nginx_has_of_itself(
    meet: Meet, patient: Site, open_idp: Idp
) -> None:
    """nginx waits 60 s for an answer unless it is told, here 4 s; opencode holds a request."""
    alice = meet("alice")
    held: list[int] = []
    alice.browser.on(
        "response", lambda got: held.append(got.status) if "/oauth/callback" in got.url else None
    )
    with nginx(patient.front, also="proxy_read_timeout 4s;"):
        dialog = alice.connect(patient.url)
        page = dialog.follow()
        alice.sign_in(page)
        page.wait_for_timeout(5_000)
        assert held == []
        alice.come_back(page, patient.url)
        says(page, "Signed in")
        dialog.closes_connected()
        assert held == [200]
        signed_in(alice, patient.opencode, open_idp)
    patient.opencode.forget()


@behind("nginx-configured", "caddy-configured")
def test_access_log_keeps_no_ticket_and_no_response(meet: Meet, site: Site, open_idp: Idp) -> None:
    alice = meet("alice")
    page = alice.connect(site.url).follow()
    alice.come_back(page, site.url)
    signed_in(alice, site.opencode, open_idp)
    log = site.front.access_log
    wait_until(lambda: "/global/health" in log.read_text(), "requests are logged")
    assert "ticket=" not in log.read_text()
    assert "response=" not in log.read_text()
