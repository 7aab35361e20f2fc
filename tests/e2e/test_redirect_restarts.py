"""opencode or the relay restarted while somebody is signing in."""

from playwright.sync_api import expect

from .conftest import Meet
from .idp import Idp
from .outcome import never_signed_in, signed_in
from .person import says
from .processes import Restartable
from .relays import Relay
from .sites import Site, behind


@behind("nginx-configured", "caddy-configured")
def test_opencode_restarted_in_the_middle(meet: Meet, site: Site, open_idp: Idp) -> None:
    alice = meet("alice")
    dialog = alice.connect(site.url)
    page = dialog.follow()
    alice.sign_in(page)
    site.served.restart()
    dialog.fails()
    alice.come_back(page, site.url)
    says(page, "This sign-in is over")
    expect(page.get_by_role("main")).to_contain_text("opencode was restarted")
    never_signed_in(alice, site.opencode, open_idp)

    page = alice.connect(site.url).follow()
    alice.come_back(page, site.url)
    says(page, "Signed in")
    signed_in(alice, site.opencode, open_idp)


@behind("nginx-configured")
def test_relay_restarted_in_the_middle(
    meet: Meet, site: Site, open_idp: Idp, returning_relay: Restartable[Relay]
) -> None:
    alice = meet("alice")
    dialog = alice.connect(site.url)
    page = dialog.follow()
    alice.sign_in(page)
    returning_relay.restart()
    alice.come_back(page, site.url)
    says(page, "Signed in")
    dialog.closes_connected()
    signed_in(alice, site.opencode, open_idp)
