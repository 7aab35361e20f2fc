"""The whole world of a login, each program on its own loopback port, shared by these tests.

ChatGPT is played twice at its own addresses, which opencode and browsers reach through a proxy
(outside.py). `locked_idp` has the two localhost redirect URIs registered, like OpenAI, `open_idp`
also those of relays that say so (RELAY_REGISTERED_CLIENTS), like OpenAI on the day when it has
registered them. Two opencode servers: `instance` signs in by pairing code, `locked_instance`, with
the relay `locked_relay`, by paste.

The sites of test_redirect_*: one opencode with publicUrl "auto" behind nginx, Caddy and Traefik at
once, and one each with a configured address behind nginx and Caddy. The pages of `open_idp` let a
form lead to itself and the relays only.
"""

import re
import shutil
import subprocess
from collections.abc import Callable, Generator, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from itertools import count
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Error, expect, sync_playwright

from tests.support.ports import free_port

from .helpers import HELPER, PASTE, TYPE
from .idp import HOST, LOCALHOST, Idp, identity_provider
from .opencode import USER, Opencode, label_is, opencode, pack
from .outside import Outside
from .person import Person
from .processes import CHROMIUM, HERE, OPENCODE, Restartable
from .proxies import NAMES, PASSWORD, PROGRAMS, Certificate, make_certificate
from .relays import RELAY, RELAY_HOST, Relay, origin, relay_at
from .sites import FRONTS, Site, Sites

ARTIFACTS = HERE / "artifacts"
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
            **{name: shutil.which(name, path=PROGRAMS) for name in ("nginx", "caddy", "traefik")},
            "openssl": shutil.which("openssl"),
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
    relays = ("relay", "locked-relay", "asking-relay", "proxied", "returning", "tokens")
    return {name: free_port() for name in (*relays, "open", "locked", *FRONTS)}


@pytest.fixture(scope="package")
def certificate(world: Path) -> Certificate:
    """What ChatGPT's hosts show."""
    return make_certificate(world / "chatgpt", (HOST, "chatgpt.com", "api.openai.com", RELAY_HOST))


@pytest.fixture(scope="package")
def open_idp(world: Path, ports: dict[str, int], certificate: Certificate) -> Iterator[Idp]:
    relays = [origin(ports[name]) for name in ("relay", "proxied", "returning")]
    relays.append(f"https://{RELAY_HOST}")
    redirect_uris = [*LOCALHOST, *(f"{relay}/auth/callback" for relay in relays)]
    form_action = " ".join(["'self'", *relays])
    home = world / "open-idp"
    with identity_provider(ports["open"], redirect_uris, home, certificate, form_action) as idp:
        yield idp


@pytest.fixture(scope="package")
def locked_idp(world: Path, ports: dict[str, int], certificate: Certificate) -> Iterator[Idp]:
    with identity_provider(ports["locked"], LOCALHOST, world / "locked-idp", certificate) as idp:
        yield idp


@pytest.fixture(scope="package")
def relay(world: Path, ports: dict[str, int]) -> Iterator[Relay]:
    port = ports["relay"]
    with relay_at(origin(port), port, world / "relay") as one:
        yield one


@pytest.fixture(scope="package")
def locked_relay(world: Path, ports: dict[str, int]) -> Iterator[Relay]:
    port, home = ports["locked-relay"], world / "locked-relay"
    with relay_at(origin(port), port, home, registered=False) as one:
        yield one


@pytest.fixture(scope="package")
def asking_relay(world: Path, ports: dict[str, int]) -> Iterator[Relay]:
    """Its operator demands the stricter confirmation."""
    port, home = ports["asking-relay"], world / "asking-relay"
    with relay_at(
        origin(port), port, home, registered=False, confirmation="completion_code"
    ) as one:
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
        home = world / name
        with opencode(home, plugin, relay.options, template, outside=idp.outside) as served:
            label_is(served, label)
            yield served

    return serve


@pytest.fixture(scope="package")
def shared_instance(serve: Serve, relay: Relay, open_idp: Idp) -> Iterator[Opencode]:
    with serve("instance", relay, open_idp, "(browser)") as served:
        yield served


@pytest.fixture(scope="package")
def shared_locked_instance(
    serve: Serve, locked_relay: Relay, locked_idp: Idp
) -> Iterator[Opencode]:
    with serve("locked-instance", locked_relay, locked_idp, PASTE) as served:
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
def carried_options(locked_relay: Relay) -> dict[str, object]:
    return {**locked_relay.options, "catcher": True}


@pytest.fixture(scope="package")
def shared_carried_instance(
    world: Path, plugin: Path, template: Path, carried_options: dict[str, object], locked_idp: Idp
) -> Iterator[Opencode]:
    home = world / "carried-instance"
    with opencode(home, plugin, carried_options, template, outside=locked_idp.outside) as served:
        label_is(served, HELPER)
        yield served


@pytest.fixture
def carried_instance(shared_carried_instance: Opencode) -> Iterator[Opencode]:
    """Signs in by pairing code, and counts on a helper."""
    yield shared_carried_instance
    shared_carried_instance.forget()


@pytest.fixture
def asking_instance(
    world: Path, plugin: Path, template: Path, asking_relay: Relay, locked_idp: Idp
) -> Iterator[Opencode]:
    """Is told the relay's code, and counts on a helper."""
    options = {**asking_relay.options, "catcher": True}
    home = world / "asking-instance"
    with opencode(home, plugin, options, template, outside=locked_idp.outside) as served:
        label_is(served, TYPE)
        yield served


@pytest.fixture(scope="package")
def returning_relay(world: Path, ports: dict[str, int]) -> Iterator[Restartable[Relay]]:
    """A relay that sends browsers back to every site, and can be restarted."""
    port, home = ports["returning"], world / "returning-relay"
    with Restartable(lambda: relay_at(origin(port), port, home)) as relay:
        instance = relay.now.options["key"].split("_")[1]
        urls = [f"https://{name}:{ports[front]}" for front in FRONTS for name in NAMES]
        register = [f"--return-url={url}/auth/callback" for url in urls]
        data = f"--data={relay.now.data}"
        subprocess.run(
            [RELAY, "instances", "update", instance, *register, data],
            check=True,
            stdout=subprocess.DEVNULL,
        )
        yield relay


@pytest.fixture(scope="package")
def sites(
    world: Path,
    ports: dict[str, int],
    plugin: Path,
    template: Path,
    returning_relay: Restartable[Relay],
    open_idp: Idp,
) -> Iterator[Sites]:
    options = returning_relay.now.options
    with Sites(world, ports, plugin, template, options, open_idp.outside) as all_of_them:
        yield all_of_them


@pytest.fixture
def site(sites: Sites, request: pytest.FixtureRequest) -> Iterator[Site]:
    """The opencode that a test names: see `sites.behind`."""
    one = sites.at(request.param)
    yield one
    one.opencode.forget()


@pytest.fixture(scope="package")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        yield playwright.chromium.launch(
            executable_path=CHROMIUM,
            args=["--no-sandbox", "--host-resolver-rules=MAP *.test 127.0.0.1"],
        )


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item,
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    if report.failed:
        item.stash[failed] = True
    return report


@pytest.fixture
def beyond(open_idp: Idp) -> Outside:
    """Where the browsers of a module's people find ChatGPT."""
    return open_idp.outside


@pytest.fixture
def meet(
    browser: Browser, beyond: Outside, world: Path, request: pytest.FixtureRequest
) -> Iterator[Meet]:
    """Make a person with a browser of their own; a failed test leaves screenshots and logs."""
    met: list[Person] = []

    def meet(name: str) -> Person:
        context = browser.new_context(
            reduced_motion="reduce",
            ignore_https_errors=True,  # the tests' own certificates
            proxy=beyond.for_browsers,
            http_credentials={"username": USER, "password": PASSWORD},
        )
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
