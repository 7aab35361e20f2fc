"""The headless way, which nobody loses by having the plugin."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import expect

from .conftest import Meet
from .device_idp import DeviceIdp, device_idp
from .idp import HOST, ISSUER
from .opencode import opencode
from .outside import Outside, outside
from .processes import wait_until
from .proxies import Certificate
from .relays import Relay


@pytest.fixture
def idp() -> Iterator[DeviceIdp]:
    with device_idp() as one:
        yield one


@pytest.fixture
def beyond(idp: DeviceIdp, certificate: Certificate) -> Iterator[Outside]:
    with outside(certificate, {HOST: idp.server_port}) as proxy:
        yield proxy


def test_device_flow(
    meet: Meet,
    idp: DeviceIdp,
    beyond: Outside,
    world: Path,
    plugin: Path,
    template: Path,
    locked_relay: Relay,
) -> None:
    alice = meet("alice")
    home = world / "device-instance"
    with opencode(home, plugin, locked_relay.options, template, outside=beyond) as instance:
        dialog = alice.choose(instance.url, "Headless")
        expect(dialog.box).to_contain_text("enter the code below")
        expect(dialog.box.get_by_role("link", name="this link")).to_be_visible()
        assert dialog.link == f"{ISSUER}/codex/device"
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
