"""The options page, as a person meets it."""

from collections.abc import Iterator
from itertools import product
from pathlib import Path
from typing import Any, Literal

import pytest
from playwright.sync_api import Page, expect

from .conftest import LOCAL, ROOT, STATE, Chromium, Launch, Recorder, save, status

AXE = ROOT / "tests" / "e2e" / "node_modules" / "axe-core" / "axe.min.js"
ARTIFACTS = ROOT / "tests" / "e2e" / "artifacts" / "extension"
SIZES = {"phone": (390, 844), "desktop": (1280, 800)}
SCHEMES: tuple[Literal["light", "dark"], ...] = ("light", "dark")
QUERY = f"code=c&state={STATE}"
OFF = "Not active: no relay is set. Enter its address and press Save."


@pytest.fixture
def options(shared_chromium: Chromium) -> Iterator[Page]:
    """The page with nothing set."""
    shared_chromium.set("")
    shared_chromium.said.clear()
    page = shared_chromium.options()
    yield page
    page.close()
    assert shared_chromium.said == []  # violations of its policy among them


def active(relay: str) -> str:
    return f"Active: sign-ins that your opencode opened are carried to {relay}."


def test_extension_options_turn_it_on_and_off(options: Page, page: Page, network: Recorder) -> None:
    expect(status(options)).to_have_text(OFF)
    page.goto(f"{LOCAL}?{QUERY}")
    assert page.url.startswith(LOCAL)

    options.get_by_label("Your relay’s address").fill(f" {network.relay}/ ")
    options.keyboard.press("Enter")
    expect(status(options)).to_have_text(active(network.relay))
    expect(options.get_by_label("Your relay’s address")).to_have_value(network.relay)
    page.goto(f"{LOCAL}?{QUERY}", wait_until="commit")
    page.wait_for_url(f"{network.relay}/auth/callback?{QUERY}")

    save(options, "")
    expect(status(options)).to_have_text(OFF)
    page.goto(f"{LOCAL}?{QUERY}")
    assert page.url.startswith(LOCAL)


EXAMPLE = "A relay’s address looks like https://relay.example.com."
NO_ADDRESS = f"This is not a web address. {EXAMPLE}"
NO_USER = f"Leave out the part before the @. {EXAMPLE}"
NO_TLS = "The address must begin with https://. Only a relay on this computer may use http://."
NO_PATH = "Leave out what follows the host: https://relay.example.com is enough."
NO_LOOP = "Sign-ins end on this address already. Enter the relay’s."


@pytest.mark.parametrize(
    ("address", "sentence"),
    [
        ("relay.example.com", NO_ADDRESS),
        ("localhost:8787", NO_ADDRESS),
        ("https://", NO_ADDRESS),
        ("https://relay example.com", NO_ADDRESS),
        ("javascript:alert(1)", NO_ADDRESS),
        ("file:///etc/passwd", NO_ADDRESS),
        ("wss://relay.example.com", NO_ADDRESS),
        ("https://me@relay.example.com", NO_USER),
        ("https://:pw@relay.example.com", NO_USER),
        ("https://relay.example.com\\@evil.example", NO_PATH),
        ("http://relay.example.com", NO_TLS),
        ("http://127.0.0.1.example.com", NO_TLS),
        ("http://127.evil.example", NO_TLS),
        ("http://notlocalhost", NO_TLS),
        ("http://10.0.0.1:8787", NO_TLS),
        ("http://[::2]", NO_TLS),
        ("http://relay.example.com/localhost", NO_TLS),
        ("https://relay.example.com/auth/callback", NO_PATH),
        ("https://relay.example.com//", NO_PATH),
        ("https://relay.example.com?", NO_PATH),
        ("https://relay.example.com/#", NO_PATH),
        ("http://localhost:1455", NO_LOOP),
    ],
)
def test_extension_options_refuse(
    options: Page, network: Recorder, address: str, sentence: str
) -> None:
    save(options, network.relay)
    expect(status(options)).to_have_text(active(network.relay))
    save(options, address)
    field = options.get_by_label("Your relay’s address")
    expect(options.get_by_role("alert")).to_have_text(sentence)
    expect(field).to_be_focused()
    expect(field).to_have_attribute("aria-invalid", "true")
    expect(field).to_have_value(address)
    expect(status(options)).to_have_text(active(network.relay))  # what was set still is

    save(options, "https://relay.example.com")
    expect(status(options)).to_have_text(active("https://relay.example.com"))
    expect(options.get_by_role("alert")).to_have_text("")
    assert field.get_attribute("aria-invalid") is None


@pytest.mark.parametrize(
    ("address", "relay"),
    [
        ("https://relay.example.com:8443", "https://relay.example.com:8443"),
        ("HTTPS://Relay.Example.com:443/", "https://relay.example.com"),
        ("http://localhost:8787", "http://localhost:8787"),
        ("http://relay.localhost", "http://relay.localhost"),
        ("http://127.8.8.8:1455", "http://127.8.8.8:1455"),
        ("http://[::1]:8787", "http://[::1]:8787"),
        ("https://localhost:1455", "https://localhost:1455"),
    ],
)
def test_extension_options_take(options: Page, address: str, relay: str) -> None:
    save(options, address)
    expect(status(options)).to_have_text(active(relay))
    expect(options.get_by_label("Your relay’s address")).to_have_value(relay)


def test_extension_options_open_by_themselves_and_outlast_a_restart(
    launch: Launch, tmp_path: Path, network: Recorder
) -> None:
    with launch(tmp_path / "profile") as chromium:
        [_, *opened] = chromium.context.pages
        page = opened[0] if opened else chromium.context.wait_for_event("page")
        page.wait_for_url(f"chrome-extension://{chromium.id}/options.html")
        expect(status(page)).to_have_text(OFF)
        chromium.set(network.relay)
    with launch(tmp_path / "profile") as chromium:
        page = chromium.context.new_page()
        page.goto(f"{LOCAL}?{QUERY}", wait_until="commit")
        page.wait_for_url(f"{network.relay}/auth/callback?{QUERY}")
        expect(status(chromium.options())).to_have_text(active(network.relay))


def test_extension_options_say_when_the_browser_withholds_localhost(
    launch: Launch, tmp_path: Path, network: Recorder
) -> None:
    configure = """([id, access]) => new Promise(done =>
        chrome.developerPrivate.updateExtensionConfiguration(
            {extensionId: id, hostAccess: access}, done))"""
    with launch(tmp_path / "profile") as chromium:
        chromium.set(network.relay)
        options, browser = chromium.options(), chromium.context.new_page()
        browser.goto("chrome://extensions")
        browser.evaluate(configure, [chromium.id, "ON_CLICK"])
        expect(status(options)).to_contain_text("Not active: the browser does not let this")
        browser.goto(f"{LOCAL}?{QUERY}")
        assert browser.url.startswith(LOCAL)
        browser.goto("chrome://extensions")
        browser.evaluate(configure, [chromium.id, "ON_ALL_SITES"])
        expect(status(options)).to_have_text(active(network.relay))


def test_extension_pages_have_nothing_to_object_to(
    shared_chromium: Chromium, options: Page
) -> None:
    if not AXE.exists():
        pytest.skip("axe-core is not installed: run `npm ci` in tests/e2e")
    ARTIFACTS.mkdir(parents=True, exist_ok=True)
    looks(options, "off")
    save(options, "http://relay.example.com")
    looks(options, "refused")
    save(options, f"https://{'long-' * 30}.example.com")
    expect(status(options)).to_contain_text("Active")
    looks(options, "active")
    save(options, "")
    expect(status(options)).to_have_text(OFF)
    options.goto(f"chrome-extension://{shared_chromium.id}/onward.html?{QUERY}")
    looks(options, "onward")


def looks(page: Page, name: str) -> None:
    for (size, (width, height)), scheme in product(SIZES.items(), SCHEMES):
        page.set_viewport_size({"width": width, "height": height})
        page.emulate_media(color_scheme=scheme)
        page.screenshot(path=ARTIFACTS / f"{name}-{size}-{scheme}.png", full_page=True)
        report = run_axe(page)
        assert report["violations"] == [], (name, size, scheme)
        assert {"color-contrast", "document-title", "html-has-lang"} <= report["passes"]
        dark = page.evaluate("getComputedStyle(document.querySelector('main')).color")
        assert (dark == "rgb(231, 234, 238)") == (scheme == "dark")
    page.set_viewport_size({"width": 320, "height": 640})  # WCAG 2.2, 1.4.10
    assert page.evaluate("document.documentElement.scrollWidth") <= 320


def run_axe(page: Page) -> dict[str, Any]:
    page.evaluate(AXE.read_text(encoding="utf-8"))
    report = page.evaluate("axe.run()")
    return {
        "violations": [found["id"] for found in report["violations"]],
        "passes": {found["id"] for found in report["passes"]},
    }


def test_extension_pages_load_nothing_from_elsewhere(options: Page) -> None:
    asked: list[str] = []
    options.on("request", lambda request: asked.append(request.url))
    options.reload()
    expect(status(options)).to_have_text(OFF)
    own = options.url.rpartition("/")[0]
    assert {address.rpartition("/")[0] for address in asked} == {own}
