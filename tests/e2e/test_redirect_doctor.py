"""`opencode-relay doctor --instance` at real proxies: as we ship their files, and spoilt."""

import json
import socket
from collections.abc import Callable, Iterator

import pytest
from opencode_relay.cli.doctor import instance

from tests.support.ports import free_port
from tests.support.served import run, run_here

from .processes import Restartable
from .proxies import NAMES, PASSWORD, nginx
from .relays import Relay
from .sites import Site, Sites, behind

START, CALLBACK = "/auth/start is routed", "/auth/callback is routed"
STRIPPED, OWN = "Authorization is stripped", "opencode's own /auth is its own"
PASSWORD_TAKEN, BEGINS, HELD = (
    "opencode's password",
    "a sign-in begins",
    "a held request is not cut",
)
CHECKS = (
    *("reachable", "certificate", "an opencode", PASSWORD_TAKEN),
    *(START, CALLBACK, STRIPPED, OWN, BEGINS, HELD),
)
STATUS = {True: 0, False: 1, None: 3}
Examine = Callable[..., dict[str, tuple[bool | None, str]]]


@pytest.fixture
def examine(monkeypatch: pytest.MonkeyPatch) -> Examine:
    monkeypatch.setattr(instance, "HELD", 3)

    # Only the browser of these tests looks up *.test on loopback by itself.
    look_up = socket.getaddrinfo
    monkeypatch.setattr(
        socket,
        "getaddrinfo",
        lambda host, *more, **named: look_up(
            "127.0.0.1" if str(host).endswith(".test") else host, *more, **named
        ),
    )

    def examine(
        site: Site, password: str = PASSWORD, name: str = "localhost", *arguments: str
    ) -> dict[str, tuple[bool | None, str]]:
        environment = {
            "OPENCODE_SERVER_PASSWORD": password,
            "SSL_CERT_FILE": f"{site.front.certificate.chain}",
        }
        url = site.under(name)
        done = run_here("doctor", *arguments, "--instance", url, "--json", **environment)
        told = json.loads(done.stdout)
        assert done.returncode == STATUS[told["ok"]]
        assert PASSWORD not in done.stdout + done.stderr
        return {one["check"]: (one["ok"], one["seen"]) for one in told["checks"]}

    return examine


@behind("nginx-configured", "nginx-auto", "caddy-auto", "traefik-auto")
def test_all_is_well(examine: Examine, site: Site) -> None:
    found = examine(site, name=NAMES[0])
    assert tuple(found) == CHECKS
    assert {ok for ok, _ in found.values()} == {True}, found


@pytest.mark.parametrize(
    ("old", "new", "wrong", "words"),
    [
        ("(start|callback)$", "(callback)$", START, "Send exactly /auth/start and"),
        ("(start|callback)$", "(start)$", CALLBACK, "Send exactly /auth/start and"),
        ("{listener}", "{nobody}", START, "the listener is not up"),
        ('proxy_set_header Authorization "";', "", STRIPPED, "remove Authorization"),
        ("~ ^/auth/(start|callback)$", "/auth/", OWN, "sends all of /auth/"),
        ("proxy_read_timeout 15m", "proxy_read_timeout 1s", HELD, "proxy_read_timeout 15m"),
    ],
    ids=["start", "callback", "listener", "password", "all-of-auth", "timeout"],
)
def test_what_is_spoilt_in_nginx_is_named(
    examine: Examine, sites: Sites, old: str, new: str, wrong: str, words: str
) -> None:
    site = sites.site("spoilt")
    ports = {"listener": f"127.0.0.1:{site.front.listener}", "nobody": f"127.0.0.1:{free_port()}"}

    def spoil(conf: str) -> str:
        assert old.format(**ports) in conf
        return conf.replace(old.format(**ports), new.format(**ports))

    with nginx(site.front, spoil):
        found = examine(site)
    assert found[wrong][0] is False, found
    assert words in found[wrong][1]
    if old != "{listener}":
        assert [check for check, (ok, _) in found.items() if ok is False] == [wrong], found


@behind("nginx-auto")
def test_what_cannot_be_tried_is_not_called_well(examine: Examine, site: Site) -> None:
    found = examine(site, password="")
    for check in (PASSWORD_TAKEN, BEGINS, HELD):
        ok, seen = found[check]
        assert ok is None
        assert "OPENCODE_SERVER_PASSWORD" in seen
    assert False not in {ok for ok, _ in found.values()}


@behind("nginx-auto")
def test_a_wrong_password_is_not_one_that_was_not_given(examine: Examine, site: Site) -> None:
    found = examine(site, password="another")
    ok, seen = found[PASSWORD_TAKEN]
    assert ok is False
    assert "refuses" in seen
    assert found[BEGINS][0] is found[HELD][0] is None


@pytest.fixture
def unregistered(site: Site, returning_relay: Restartable[Relay]) -> Iterator[str]:
    """The address at which the relay sends nobody back to the site, for as long as a test."""
    relay, url = returning_relay.now, f"{site.url}/auth/callback"
    update = ("instances", "update", relay.options["key"].split("_")[1], "--data", f"{relay.data}")
    assert run(*update, "--drop-return-url", url).returncode == 0
    yield url
    assert run(*update, "--return-url", url).returncode == 0


@behind("caddy-auto")
def test_a_name_that_is_not_registered(examine: Examine, site: Site, unregistered: str) -> None:
    found = examine(site, name=NAMES[0])
    ok, seen = found[BEGINS]
    assert ok is False
    assert "does not send anybody back to https://opencode.test" in seen
    assert "opencode-relay instances update" in seen
    assert f"--return-url {unregistered}" in seen
    assert [check for check, (ok, _) in found.items() if ok is False] == [BEGINS]


@behind("nginx-configured")
def test_a_public_url_that_is_not_registered(
    examine: Examine,
    site: Site,
    unregistered: str,
    returning_relay: Restartable[Relay],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("OPENCODE_RELAY_KEY", returning_relay.now.options["key"])
    found = examine(site, PASSWORD, NAMES[0], returning_relay.now.issuer)
    assert found[BEGINS][0] is False
    assert "opencode's log says why" in found[BEGINS][1]
    assert found[HELD][0] is None
    ok, seen = found["the return URL"]
    assert ok is False
    assert f"--return-url {unregistered}" in seen
    site.opencode.until_log_says("sends nobody back to")


@behind("nginx-configured")
def test_another_name_than_the_public_one(examine: Examine, site: Site) -> None:
    ok, seen = examine(site)[BEGINS]
    assert ok is False
    assert f"run doctor --instance with {site.url}" in seen


def test_a_relay_is_no_opencode(returning_relay: Restartable[Relay]) -> None:
    done = run_here("doctor", "--instance", returning_relay.now.issuer)
    assert done.returncode == 1
    assert "This is a relay, not an opencode" in done.stdout


def test_certificate_that_nobody_signed(sites: Sites) -> None:
    done = run_here("doctor", "--instance", sites.at("nginx-auto").under("localhost"), "--json")
    assert done.returncode == 1
    found = json.loads(done.stdout)["checks"]
    assert found[1]["check"] == "certificate"
    assert "TLS fails" in found[1]["seen"]
    assert "CN=for tests, issued by CN=for tests" in found[1]["seen"]
    assert {one["ok"] for one in found[2:]} == {None}
