"""`opencode-relay doctor --instance` at real proxies: as we ship their files, and spoilt."""

import json
from collections.abc import Callable

import pytest
from opencode_relay.cli.doctor import instance

from tests.support.served import run_here

from .processes import free_port
from .proxies import PASSWORD, nginx
from .sites import Site, Sites, behind

CHECKS = (
    "certificate",
    "/auth/start is routed",
    "/auth/callback is routed",
    "Authorization is stripped",
    "opencode's own /auth is its own",
    "a held request is not cut",
)
Examine = Callable[..., dict[str, tuple[bool | None, str]]]


@pytest.fixture
def examine(monkeypatch: pytest.MonkeyPatch) -> Examine:
    monkeypatch.setattr(instance, "HELD", 3)

    def examine(site: Site, password: str = PASSWORD) -> dict[str, tuple[bool | None, str]]:
        environment = {
            "OPENCODE_SERVER_PASSWORD": password,
            "SSL_CERT_FILE": f"{site.front.certificate.chain}",
        }
        url = site.under("localhost")
        done = run_here("doctor", "--instance", url, "--json", **environment)
        told = json.loads(done.stdout)
        assert done.returncode == (0 if told["ok"] else 1)
        assert PASSWORD not in done.stdout + done.stderr
        return {one["check"]: (one["ok"], one["seen"]) for one in told["checks"]}

    return examine


@behind("nginx-configured", "nginx-auto", "caddy-auto", "traefik-auto")
def test_all_is_well(examine: Examine, site: Site) -> None:
    found = examine(site)
    assert tuple(found) == CHECKS
    assert {ok for ok, _ in found.values()} == {True}, found


@pytest.mark.parametrize(
    ("old", "new", "wrong", "words"),
    [
        ("(start|callback)$", "(callback)$", CHECKS[1], "Send exactly /auth/start and"),
        ("(start|callback)$", "(start)$", CHECKS[2], "Send exactly /auth/start and"),
        ("{listener}", "{nobody}", CHECKS[1], "the listener is not up"),
        ('proxy_set_header Authorization "";', "", CHECKS[3], "remove Authorization"),
        ("~ ^/auth/(start|callback)$", "/auth/", CHECKS[4], "sends all of /auth/"),
        ("proxy_read_timeout 15m", "proxy_read_timeout 1s", CHECKS[5], "proxy_read_timeout 15m"),
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
    ok, seen = examine(site, password="")[CHECKS[5]]
    assert ok is None
    assert "OPENCODE_SERVER_PASSWORD" in seen


def test_certificate_that_nobody_signed(sites: Sites) -> None:
    done = run_here("doctor", "--instance", sites.at("nginx-auto").under("localhost"), "--json")
    assert done.returncode == 1
    found = json.loads(done.stdout)["checks"]
    assert found[0]["check"] == CHECKS[0]
    assert "TLS fails" in found[0]["seen"]
    assert {one["ok"] for one in found[1:]} == {None}
