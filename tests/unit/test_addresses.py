"""URLs in the one form in which they are compared, and addresses as limits count them."""

import pytest
from opencode_relay.addresses import (
    MAX_RETURN_URL,
    bucket,
    client,
    is_loopback,
    origin,
    return_url,
    secure,
    wide_bucket,
)
from opencode_relay.errors import ConfigError

ORIGINS = [
    "https://relay.example.com",
    "https://relay.example.com:8443",
    "https://relay",
    "https://xn--bcher-kva.example",
    "https://203.0.113.7",
    "https://[2001:db8::1]",
    "https://[2001:db8::1]:8443",
    "http://localhost:8787",
    "http://relay.localhost",
    "http://127.0.0.1:8787",
    "http://127.8.9.1",
    "http://[::1]:8787",
]
NO_ORIGINS = {
    "": "must be an origin",
    "relay.example.com": "must be an origin",
    "ftp://relay.example.com": "must be an origin",
    "https://relay.example.com/": "must be an origin",
    "https://relay.example.com/path": "must be an origin",
    "https://relay.example.com?x": "must be an origin",
    "https://relay.example.com#x": "must be an origin",
    "https://user@relay.example.com": "must be an origin",
    "https://Relay.example.com": "must be an origin",
    "HTTPS://relay.example.com": "must be an origin",
    "https://relay.example.com:": "must be an origin",
    "https://relay.example.com:0": "must be an origin",
    "https://relay.example.com:0443": "must be an origin",
    "https://relay example.com": "must be an origin",
    "https://bücher.example": "must be an origin",
    "https://relay.example.com\n": "must be an origin",
    "https://relay.example.com:443": "leave out port 443",
    "http://localhost:80": "leave out port 80",
    "https://relay.example.com:65536": "leave out port 65536",
    "http://relay.example.com": "must be https",
    "http://203.0.113.7": "must be https",
    "http://0.0.0.0:8787": "must be https",
    "http://localhost.example.com": "must be https",
    "https://relay..example": "not a host name",
    "https://.example": "not a host name",
    "https://example.": "not a host name",
    "https://-relay.example": "not a host name",
    "https://relay-.example": "not a host name",
    f"https://{'a' * 64}.example": "not a host name",
    f"https://{'a.' * 127}example": "not a host name",
    "https://1.2.3": "not a host name",
    "https://0x7f.1": "not a host name",
    "https://example.0x1": "not a host name",
    "https://0x7f000001": "not a host name",
    "https://2130706433": "not a host name",
    "https://127.0.0.01": "not a host name",
    "https://[2001:DB8::1]": "must be an origin",
    "https://[2001:db8:0::1]": "not a host name",
    "https://[::1": "must be an origin",
    "https://[1.2]": "not a host name",
}


@pytest.mark.parametrize("url", ORIGINS)
def test_an_origin_comes_back_as_it_is(url: str) -> None:
    assert origin(url, "It") == url


@pytest.mark.parametrize(("url", "why"), NO_ORIGINS.items(), ids=map(repr, NO_ORIGINS))
def test_what_is_no_origin_in_canonical_form_is_refused(url: str, why: str) -> None:
    with pytest.raises(ConfigError, match=f"^RELAY_PUBLIC_URL.*{why}"):
        origin(url, "RELAY_PUBLIC_URL")


RETURN_URLS = [
    "https://instance.example/auth/callback",
    "https://instance.example/",
    "https://instance.example/a/",
    "https://instance.example:8443/a-b_c.d~e!f$g&h'i(j)k*l+m,n;o=p:q@r",
    "https://instance.example/%C3%A9",
    "https://[2001:db8::1]/auth/callback",
    "http://localhost:4096/auth/callback",
    "http://127.0.0.1:4096/auth/callback",
    "https://instance.example/" + "a" * (MAX_RETURN_URL - 25),
]
# Hostile spellings: what a string comparison and a browser could read in two ways.
HOSTILE = [
    "https://instance.example",
    "http://instance.example/cb",
    "https://instance.example/cb?x=1",
    "https://instance.example/cb?",
    "https://instance.example/cb#x",
    "https://instance.example/cb#",
    "https://user@instance.example/cb",
    "https://user:pass@instance.example/cb",
    "https://instance.example@evil.example/cb",
    "https://instance.example\\@evil.example/cb",
    "https://instance.example/\\evil.example",
    "https:\\\\instance.example/cb",
    "https:/instance.example/cb",
    "https:instance.example/cb",
    "//instance.example/cb",
    "/cb",
    "https://instance.example//evil.example",
    "https://instance.example/a//b",
    "https://instance.example/./cb",
    "https://instance.example/../cb",
    "https://instance.example/a/..",
    "https://instance.example/a/.",
    "https://instance.example/%2E%2E/cb",
    "https://instance.example/%2e%2e/cb",
    "https://instance.example/.%2E/cb",
    "https://instance.example/a%2Fb",
    "https://instance.example/a%5Cb",
    "https://instance.example/a%5cb",
    "https://instance.example/%c3%a9",
    "https://instance.example/%zz",
    "https://instance.example/%",
    "https://instance.example/é",
    "https://instance.example/a b",
    "https://instance.example/a\tb",
    "https://instance.example/cb\n",
    "https://instance.example/cb\r\nX: y",
    "\thttps://instance.example/cb",
    " https://instance.example/cb",
    "https://instance.example/cb ",
    "https://instance.example/\x00",
    "https://instance.example/<script>",
    'https://instance.example/"',
    "https://Instance.example/cb",
    "https://instance.example:443/cb",
    "https://instance.example./cb",
    "https://\N{LATIN SMALL LETTER DOTLESS I}nstance.example/cb",
    "https://127.1/cb",
    "https://instance.example:99999/cb",
    "javascript:alert(1)",
    "data:text/html,x",
    "",
    "https://instance.example/" + "a" * (MAX_RETURN_URL - 24),
]


@pytest.mark.parametrize("url", RETURN_URLS)
def test_a_canonical_return_url_is_registered_as_it_is(url: str) -> None:
    assert return_url(url) == url


@pytest.mark.parametrize("url", HOSTILE)
def test_a_hostile_return_url_is_refused(url: str) -> None:
    with pytest.raises(ConfigError, match="The return URL"):
        return_url(url)


@pytest.mark.parametrize(
    ("address", "counted"),
    [
        ("203.0.113.7", "203.0.113.7"),
        ("::ffff:203.0.113.7", "203.0.113.7"),
        ("2001:db8::1", "2001:db8::/64"),
        ("2001:db8:0:0:ffff:ffff:ffff:ffff", "2001:db8::/64"),
        ("2001:db8:0:1::", "2001:db8:0:1::/64"),
        ("2002:cb00:7107:1::2", "203.0.113.7"),  # 6to4
        ("2002:cb00:7107:ffff::9", "203.0.113.7"),
        ("64:ff9b::203.0.113.7", "203.0.113.7"),  # NAT64
        ("64:ff9b:1::203.0.113.7", "203.0.113.7"),  # a network's own NAT64
        ("64:ff9b:1:fffe::203.0.113.7", "203.0.113.7"),
        ("64:ff9b:2::203.0.113.7", "64:ff9b:2::/64"),
        ("2001:0:4136:e378:8000:63bf:34ff:8ef8", "203.0.113.7"),  # Teredo's client
        ("testclient", "unknown"),
        ("", "unknown"),
        ("203.0.113.7:80", "unknown"),
    ],
)
def test_an_address_is_counted_as_what_its_holder_cannot_change(address: str, counted: str) -> None:
    assert bucket(address) == counted
    if counted != "unknown" and "/" not in counted:
        assert wide_bucket(address) == counted


@pytest.mark.parametrize(
    ("address", "shown"),
    [
        ("203.0.113.7", "203.0.113.7"),
        ("2001:DB8:0::7", "2001:db8::7"),
        ("::ffff:203.0.113.7", "203.0.113.7"),
        ("fe80::1%<script>", "fe80::1"),
        ("::ffff:203.0.113.7%<b>", "203.0.113.7"),
        ("<script>", "unknown"),
        ("203.0.113.7:80", "unknown"),
        ("", "unknown"),
    ],
)
def test_an_address_is_shown_in_its_one_form(address: str, shown: str) -> None:
    assert client(address) == shown


@pytest.mark.parametrize(
    ("address", "counted"),
    [
        ("2001:db8:1:2::3", "2001:db8:1::/48"),
        ("2001:db8:1:ffff::", "2001:db8:1::/48"),
        ("2001:db8:2::", "2001:db8:2::/48"),
        ("testclient", "unknown"),
    ],
)
def test_a_wide_count_is_of_all_that_one_site_has(address: str, counted: str) -> None:
    assert wide_bucket(address) == counted


@pytest.mark.parametrize(
    "host", ["localhost", "a.localhost", "127.0.0.1", "127.9.9.9", "::1", "[::1]"]
)
def test_loopback(host: str) -> None:
    assert is_loopback(host)


@pytest.mark.parametrize(
    "host", ["", "example.com", "localhost.example", "203.0.113.7", "::", "10.0.0.1"]
)
def test_not_loopback(host: str) -> None:
    assert not is_loopback(host)


@pytest.mark.parametrize(
    ("url", "is_secure"),
    [
        ("https://relay.example", True),
        ("http://localhost:1", True),
        ("http://[::1]:1/x", True),
        ("http://relay.example", False),
        ("http://localhost@relay.example", False),
        ("ftp://localhost", False),
        ("localhost", False),
    ],
)
def test_a_client_speaks_https_or_to_loopback(url: str, is_secure: bool) -> None:
    assert secure(url) is is_secure
