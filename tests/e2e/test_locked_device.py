"""The headless way, which nobody loses by having the plugin."""

from pathlib import Path

from playwright.sync_api import expect

from .conftest import Meet, Relay
from .device_idp import device_idp
from .idp import CLIENT_ID
from .opencode import opencode
from .processes import wait_until


def test_device_flow(meet: Meet, world: Path, plugin: Path, template: Path, relay: Relay) -> None:
    alice = meet("alice")
    with device_idp() as idp:
        options = {**relay.options, "issuer": idp.issuer, "clientId": CLIENT_ID}
        with opencode(world / "device-instance", plugin, options, template) as instance:
            dialog = alice.choose(instance.url, "Headless")
            expect(dialog.box).to_contain_text("enter the code below")
            expect(dialog.box.get_by_role("link", name="this link")).to_be_visible()
            assert dialog.link == f"{idp.issuer}/codex/device"
            code = dialog.pairing_code
            page = dialog.follow()
            page.get_by_label("Account").fill(alice.name)
            page.get_by_label("Code").fill("ABCD-00000")
            page.get_by_role("button", name="Continue").click()
            expect(page.get_by_role("heading")).to_have_text("Wrong code")
            wait_until(lambda: idp.pending > 1, "opencode asks again and again")
            assert instance.account() is None

            page.get_by_label("Account").fill(alice.name)
            page.get_by_label("Code").fill(code)
            page.get_by_role("button", name="Continue").click()
            expect(page.get_by_role("heading")).to_have_text("Device connected")
            dialog.closes_connected()
            stored = instance.account()
            assert stored
            assert stored["accountId"] == f"acct_{alice.name}"
            assert stored["access"] == idp.access_tokens[alice.name]
            wait_until(instance.connected, "opencode's provider list says connected")
