"""A real Chromium with the extension, on a network of its own.

`localhost:1455` and its neighbours lead to the test's own recorder, so that a sign-in which waits
on this machine's real port 1455 is not disturbed.
"""

import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from hashlib import sha256
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import cast

import pytest
from opencode_relay.cli.catch import STATE_BEGINS
from playwright.sync_api import BrowserContext, Locator, Page, Playwright, expect, sync_playwright

ROOT = Path(__file__).parents[2]
EXTENSION = ROOT / "infra" / "browser-extension"
CHROMIUM = Path("/usr/bin/chromium")
LOCAL = "http://localhost:1455/auth/callback"
STATE = f"{STATE_BEGINS}sImtpZCI6IjEifQ.eyJpc3MiOiJ4In0.c2lnbmVk"
TIMEOUT = 30_000  # ms for what a busy machine may delay

expect.set_options(timeout=TIMEOUT)


class Recorder(ThreadingHTTPServer):
    """Every program of the test's network: writes down what comes, and answers a page."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Answer)
        self.came: list[tuple[str, str, str]] = []  # method, host, path with query
        self.page = ""  # what every page holds but the callback's
        self.to = ""  # where /302 leads

    def handle_error(self, *_: object) -> None:
        """A browser that hangs up, or speaks TLS, is no fault of the test."""

    def at(self, host: str) -> str:
        return f"http://{host}.localhost:{self.server_port}"

    @property
    def relay(self) -> str:
        return self.at("relay")

    def paths(self, origin: str) -> list[str]:
        """What came to an origin, as it stood in the request."""
        host = origin.partition("://")[2]
        return [path for _, asked, path in self.came if asked == host]


class _Answer(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        network = cast("Recorder", self.server)
        if self.path == "/favicon.ico":
            self.send_error(404)
            return
        network.came.append((self.command, self.headers["Host"], self.path))
        if self.path == "/302":
            self.send_response(302)
            self.send_header("Location", network.to)
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        page = "" if self.path.startswith("/auth/") else network.page
        body = f"<!doctype html><title>{self.path}</title>{page}".encode()
        self.send_response(200)
        self.send_header("Content-Type", "text/html")
        self.send_header("Content-Length", str(len(body)))
        if self.path == "/consent":
            self.send_header("Content-Security-Policy", "form-action 'self' http://localhost:1455")
        self.end_headers()
        self.wfile.write(body)

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        self.do_GET()

    def log_message(self, *_: object) -> None:
        pass


@dataclass
class Chromium:
    """One start of a browser profile that has the extension."""

    context: BrowserContext
    id: str
    said: list[str] = field(default_factory=list)

    def options(self) -> Page:
        """Open the options page, once it knows what is set."""
        page = self.context.new_page()
        page.on("console", lambda message: self.said.append(message.text))
        page.on("pageerror", lambda error: self.said.append(str(error)))
        page.goto(f"chrome-extension://{self.id}/options.html")
        status(page).filter(has_not_text="Looking up").wait_for(timeout=TIMEOUT)
        return page

    def set(self, relay: str) -> None:
        page = self.options()
        save(page, relay)
        expect(status(page)).to_contain_text(f"carried to {relay}" if relay else "Not active")
        page.close()


def status(page: Page) -> Locator:
    return page.get_by_role("status")


def save(page: Page, relay: str) -> None:
    page.get_by_label("Your relay’s address").fill(relay)
    page.get_by_role("button", name="Save").click()


def id_of(extension: Path) -> str:
    """Return the id that Chromium gives to an unpacked extension without a key: from its path."""
    digest = sha256(str(extension.resolve()).encode()).hexdigest()[:32]
    return "".join(chr(ord("a") + int(digit, 16)) for digit in digest)


Launch = Callable[..., AbstractContextManager[Chromium]]


@pytest.fixture(scope="package", autouse=True)
def programs() -> None:
    if not CHROMIUM.exists():
        pytest.skip(f"not installed: {CHROMIUM}")


@pytest.fixture(scope="package")
def shared_network() -> Iterator[Recorder]:
    with Recorder() as network:
        threading.Thread(target=network.serve_forever, args=(0.05,), daemon=True).start()
        yield network
        network.shutdown()


@pytest.fixture
def network(shared_network: Recorder) -> Recorder:
    shared_network.came.clear()
    shared_network.page = shared_network.to = ""
    return shared_network


@pytest.fixture(scope="package")
def playwright() -> Iterator[Playwright]:
    with sync_playwright() as started:
        yield started


@pytest.fixture(scope="package")
def launch(playwright: Playwright, shared_network: Recorder) -> Launch:
    port = shared_network.server_port
    hosts = ("localhost:1455", "localhost:1457", "127.0.0.1:1455", "[::1]:1455", "localhost.:1455")
    rules = ", ".join(f"MAP {host} 127.0.0.1:{port}" for host in hosts)

    @contextmanager
    def launch(profile: Path, extension: Path = EXTENSION) -> Iterator[Chromium]:
        context = playwright.chromium.launch_persistent_context(
            profile,
            executable_path=CHROMIUM,
            headless=True,
            reduced_motion="reduce",
            args=[
                "--no-sandbox",
                f"--disable-extensions-except={extension}",
                f"--load-extension={extension}",
                f"--host-resolver-rules={rules}",
            ],
        )
        context.set_default_timeout(TIMEOUT)
        try:
            yield Chromium(context, id_of(extension))
        finally:
            context.close()

    return launch


@pytest.fixture(scope="module")
def shared_chromium(launch: Launch, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Chromium]:
    with launch(tmp_path_factory.mktemp("profile")) as chromium:
        yield chromium


@pytest.fixture
def page(shared_chromium: Chromium) -> Iterator[Page]:
    opened = shared_chromium.context.new_page()
    yield opened
    opened.close()
