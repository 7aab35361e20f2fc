"""Signing in with delivery redirect: the browser comes back to opencode's own address by itself."""

from playwright.sync_api import expect

from .conftest import Meet
from .idp import Idp
from .outcome import signed_in
from .person import says
from .sites import Site, behind


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
