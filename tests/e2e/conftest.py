"""The whole world of a login, each program on its own loopback port, shared by these tests.

Two identity providers: `open_idp` has the relays' redirect URIs registered, `locked_idp` only the
two localhost ones, like OpenAI. Three opencode servers: `instance` signs in by pairing code,
`locked_instance` by paste, `proxied_instance` through a relay behind a header-stripping proxy.
"""

import json
import re
import shutil
import sys
from collections.abc import Callable, Generator, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import dataclass
from itertools import count
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Error, expect, sync_playwright

from .idp import CLIENT_ID, LOCALHOST, Idp, identity_provider
from .opencode import Opencode, label_is, opencode, pack
from .person import Person
from .processes import CHROMIUM, HERE, OPENCODE, free_port, running

ARTIFACTS = HERE / "artifacts"
RELAY = Path(sys.executable).with_name("opencode-relay")
TIMEOUT = 20_000  # ms that the browser waits for anything

numbers = count(1)
failed = pytest.StashKey[bool]()

expect.set_options(timeout=TIMEOUT)


@pytest.fixture(scope="package", autouse=True)
def programs() -> None:
    missing = [
        what
        for what, there in {
            f"opencode (npm ci in {HERE.name})": OPENCODE.exists(),
            "node": shutil.which("node"),
            "npm": shutil.which("npm"),
            "nginx": shutil.which("nginx"),
            str(CHROMIUM): CHROMIUM.exists(),
        }.items()
        if not there
    ]
    if missing:
        pytest.skip(f"not installed: {', '.join(missing)}")


@pytest.fixture(scope="package")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The directory of every home and log."""
    return tmp_path_factory.mktemp("e2e")


@pytest.fixture(scope="package")
def ports() -> dict[str, int]:
    return {name: free_port() for name in ("relay", "proxied", "open", "locked")}


def issuer(port: int) -> str:
    return f"http://127.0.0.1:{port}"


@pytest.fixture(scope="package")
def open_idp(world: Path, ports: dict[str, int]) -> Iterator[Idp]:
    relays = [f"{issuer(ports[name])}/auth/callback" for name in ("relay", "proxied")]
    with identity_provider(ports["open"], [*LOCALHOST, *relays], world / "open-idp") as idp:
        yield idp


@pytest.fixture(scope="package")
def locked_idp(world: Path, ports: dict[str, int]) -> Iterator[Idp]:
    with identity_provider(ports["locked"], LOCALHOST, world / "locked-idp") as idp:
        yield idp


@dataclass(frozen=True)
class Relay:
    issuer: str
    data: Path
    log: Path

    @property
    def options(self) -> dict[str, str]:
        """The plugin options of the entry that `serve` wrote at its first start."""
        entry = json.loads((self.data / "opencode.json").read_text())["plugin"][0]
        options: dict[str, str] = entry[1]
        return options


@contextmanager
def relay_at(public: str, port: int, idp_port: int, home: Path) -> Iterator[Relay]:
    registered = [{"issuer": f"http://localhost:{idp_port}", "client_id": CLIENT_ID}]
    data = home / "data"
    options = [f"--port={port}", f"--public-url={public}", f"--data={data}", f"--name={home.name}"]
    log = home.with_suffix(".log")
    env = {"RELAY_REGISTERED_CLIENTS": json.dumps(registered)}
    ready = f"http://127.0.0.1:{port}/healthz"
    with running([str(RELAY), "serve", *options], home=home, log=log, ready=ready, env=env):
        yield Relay(public, data, log)


@pytest.fixture(scope="package")
def relay(world: Path, ports: dict[str, int]) -> Iterator[Relay]:
    port = ports["relay"]
    with relay_at(issuer(port), port, ports["open"], world / "relay") as one:
        yield one


@pytest.fixture(scope="package")
def plugin(world: Path) -> Path:
    return pack(world)


@pytest.fixture(scope="package")
def template(world: Path, plugin: Path) -> Path:
    """A home in which opencode has installed what it wants, which takes it a quarter minute."""
    home = world / "template"
    with opencode(home, plugin, {}):
        pass
    return home


Meet = Callable[[str], Person]
Serve = Callable[[str, Relay, Idp, str], AbstractContextManager[Opencode]]


@pytest.fixture(scope="package")
def serve(world: Path, plugin: Path, template: Path) -> Serve:
    @contextmanager
    def serve(name: str, relay: Relay, idp: Idp, label: str) -> Iterator[Opencode]:
        options = {**relay.options, "issuer": idp.issuer, "clientId": CLIENT_ID}
        with opencode(world / name, plugin, options, template) as served:
            label_is(served, label)
            yield served

    return serve


@pytest.fixture(scope="package")
def shared_instance(serve: Serve, relay: Relay, open_idp: Idp) -> Iterator[Opencode]:
    with serve("instance", relay, open_idp, "(browser)") as served:
        yield served


@pytest.fixture(scope="package")
def shared_locked_instance(serve: Serve, relay: Relay, locked_idp: Idp) -> Iterator[Opencode]:
    with serve("locked-instance", relay, locked_idp, "paste the address") as served:
        yield served


@pytest.fixture
def instance(shared_instance: Opencode) -> Iterator[Opencode]:
    """Signs in by pairing code."""
    yield shared_instance
    shared_instance.forget()


@pytest.fixture
def locked_instance(shared_locked_instance: Opencode) -> Iterator[Opencode]:
    """Signs in by paste."""
    yield shared_locked_instance
    shared_locked_instance.forget()


@pytest.fixture(scope="package")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        yield playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item,
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    if report.failed:
        item.stash[failed] = True
    return report


@pytest.fixture
def meet(browser: Browser, world: Path, request: pytest.FixtureRequest) -> Iterator[Meet]:
    """Make a person with a browser of their own; a failed test leaves screenshots and logs."""
    met: list[Person] = []

    def meet(name: str) -> Person:
        context = browser.new_context(reduced_motion="reduce")
        context.set_default_timeout(TIMEOUT)
        # An account of this test alone: the identity provider's log is shared.
        met.append(Person(f"{name}-{next(numbers)}", context))
        return met[-1]

    yield meet
    if request.node.stash.get(failed, default=False):
        leave_artifacts(met, world, ARTIFACTS / re.sub(r"\W+", "-", request.node.name))
    for person in met:
        person.browser.close()


def leave_artifacts(met: list[Person], world: Path, into: Path) -> None:
    shutil.rmtree(into, ignore_errors=True)
    into.mkdir(parents=True)
    for log in world.glob("*.log"):
        shutil.copy(log, into)
    for person in met:
        for number, page in enumerate(person.browser.pages):
            with suppress(Error):
                page.screenshot(path=into / f"{person.name}-{number}.png", full_page=True)
