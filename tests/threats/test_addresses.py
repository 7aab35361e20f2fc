"""Where responses and browsers are sent."""

import pytest
from opencode_relay.addresses import return_url
from opencode_relay.errors import ConfigError

from tests.threats.world import ISSUER, RETURN_URL, THERE, World, onward_to

GOOD = "https://host.example/auth/return"
# Two readings of one address: what a browser makes of it, and what a check made of it elsewhere.
HOSTILE = [
    "//host.example/auth/return",
    "/auth/return",
    "https:/host.example/auth/return",
    "https:host.example/auth/return",
    "https:///host.example/auth/return",
    "https://host.example//evil.example",
    "https://host.example/auth//return",
    r"https://host.example\auth\return",
    r"https://evil.example\@host.example/auth/return",
    "https://host.example/\\evil.example",
    "https://host.example%5cevil.example/auth/return",
    "https://host.example/auth%5Creturn",
    "https://host.example/auth%2Freturn",
    "https://host.example/auth%2freturn",
    "https://host.example/auth/return%",
    "\thttps://host.example/auth/return",
    "https://host.example/auth/return\n",
    "https://host.example/au\tth/return",
    "https://ho\tst.example/auth/return",
    "https://host.example/auth/ret urn",
    "https://host.example/auth/return\x00",
    "https://host.example/auth/return\u200b",
    "https://user@host.example/auth/return",
    "https://user:word@host.example/auth/return",
    "https://@host.example/auth/return",
    "https://host.example@evil.example/auth/return",
    "HTTPS://host.example/auth/return",
    "https://Host.example/auth/return",
    "https://HOST.EXAMPLE/auth/return",
    "https://höst.example/auth/return",
    "https://host.example\u3002evil/auth/return",
    "https://\uff48ost.example/auth/return",
    "https://host.example./auth/return",
    "https://host..example/auth/return",
    "https://.host.example/auth/return",
    "https://host.example:443/auth/return",
    "https://host.example:/auth/return",
    "https://host.example:0443/auth/return",
    "https://host.example:99999/auth/return",
    "https://host.example:8443@evil.example/auth/return",
    "https://host.example/auth/../return",
    "https://host.example/auth/./return",
    "https://host.example/auth/%2e%2e/return",
    "https://host.example/auth/.%2E/return",
    "https://host.example/auth/return/..",
    "https://host.example/auth/return?next=https://evil.example",
    "https://host.example/auth/return?",
    "https://host.example/auth/return#frag",
    "https://host.example/auth/return#",
    "https://host.example/auth;return ",
    "https://host.example",
    "https://host.example?x",
    "https://2130706433/auth/return",
    "https://0x7f000001/auth/return",
    "https://127.1/auth/return",
    "https://0177.0.0.1/auth/return",
    "https://[::ffff:127.0.0.1/auth/return",
    "https://[0:0:0:0:0:0:0:1]/auth/return",
    "http://host.example/auth/return",
    "http://127.0.0.1.evil.example/auth/return",
    "http://localhost.evil.example/auth/return",
    "javascript:alert(1)//host.example/auth/return",
    "data:text/html,host.example/auth/return",
    "ftp://host.example/auth/return",
    "https://host_name.example/auth/return",
    "",
]
NEAR_MISSES = [
    GOOD + "/",
    GOOD + "/more",
    GOOD + ".evil",
    GOOD[:-1],
    "https://host.example.evil.example/auth/return",
    "https://sub.host.example/auth/return",
    "https://evil.example/auth/return",
    "https://host.example/auth/Return",
    "https://host.example:8443/auth/return",
    "https://host.example/",
]


class TestReturnAddressTakenFromTheRequest:
    """OpenHands issue 13615, Better Auth issue 9990, Auth.js redirectProxyUrl."""

    async def test_only_a_registered_return_url_is_taken(self, world: World) -> None:
        for url in ("https://evil.example/auth/return", ISSUER, RETURN_URL + "?x=1"):
            refused = await world.ask_to_open(delivery="redirect", return_url=url)
            assert refused.status_code == 403
            assert refused.json()["type"] == f"{ISSUER}/problems/return-url-not-allowed"

    async def test_one_instance_does_not_use_anothers(self, world: World) -> None:
        key = await world.enrol("other", ["https://other.example/return"])
        refused = await world.ask_to_open(key=key, delivery="redirect", return_url=RETURN_URL)
        assert refused.status_code == 403

    async def test_nothing_in_a_callback_names_where_to_go(self, world: World) -> None:
        login = await world.open(delivery="redirect", return_url=RETURN_URL)
        evil = "https://evil.example/"
        page = await world.callback(login, return_url=evil, redirect_uri=evil, next=evil, iss=evil)
        address = onward_to(page)
        assert address.startswith(f"{RETURN_URL}?response=")
        assert "evil.example" not in page.text

    async def test_the_issuer_is_configured_never_read_off_a_request(self, world: World) -> None:
        lies = {
            "Host": "evil.example",
            "X-Forwarded-Host": "evil.example",
            "X-Forwarded-Proto": "http",
            "Forwarded": "host=evil.example;proto=http",
        }
        visitor = world.at(THERE)
        discovery = await visitor.get("/.well-known/opencode-relay", headers=lies)
        assert "evil.example" not in discovery.text
        assert discovery.json()["issuer"] == ISSUER
        assert discovery.json()["redirect_uri"] == f"{ISSUER}/auth/callback"
        missing = await visitor.get("/nothing-here", headers=lies)
        assert missing.json()["type"] == f"{ISSUER}/problems/not-found"
        login = await world.open()
        page = await world.callback(login)
        assert (
            await world.press(page, headers={**lies, "Origin": "https://evil.example"})
        ).status_code == 403

    @pytest.mark.parametrize("path", ["/healthz/", "/v1/logins/", "/auth/done/", "//evil.example/"])
    async def test_no_redirect_is_made_from_the_host(self, world: World, path: str) -> None:
        url = f"{ISSUER}{path}"
        answer = await world.at(THERE).get(url, headers={"Host": "evil.example"})
        assert answer.status_code == 404
        assert "location" not in answer.headers


class TestRedirectCheckFooledBySpelling:
    """oauth2-proxy CVE-2020-5233, CVE-2020-11053, CVE-2020-4037; RFC 9700 §2.1 (exact match)."""

    @pytest.mark.parametrize("url", HOSTILE, ids=repr)
    def test_no_second_spelling_can_be_registered(self, url: str) -> None:
        with pytest.raises(ConfigError):
            return_url(url)

    async def test_none_passes_for_the_registered_one(self, world: World) -> None:
        assert return_url(GOOD) == GOOD
        key = await world.enrol("host", [GOOD])
        for url in HOSTILE + NEAR_MISSES:
            refused = await world.ask_to_open(key=key, delivery="redirect", return_url=url)
            assert refused.status_code == 403, url
        login = await world.open(key=key, delivery="redirect", return_url=GOOD)
        address = onward_to(await world.callback(login))
        assert address.startswith(f"{GOOD}?response=ey")
