"""Limits by client address on a real `serve`: which X-Forwarded-For is believed."""

import re
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from opencode_relay.addresses import NOBODYS

from tests.support.served import Client, MakeServed, Served, run_here


@pytest.fixture
def serve(tmp_path: Path) -> Iterator[MakeServed]:
    started: list[Served] = []

    def start(*args: str, **env: str) -> Served:
        env = {"RELAY_ADDRESS_LIMIT": "1", **env}
        started.append(Served(tmp_path / "data", tmp_path, "--enrolment=open", *args, **env))
        return started[-1]

    yield start
    for served in started:
        served.kill()


@pytest.fixture(scope="module")
def believing(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """A relay that believes this machine, and has no limits."""
    env = {"RELAY_ADDRESS_LIMIT": "0", "RELAY_TRUSTED_PROXIES": "127.0.0.1"}
    logs = tmp_path_factory.mktemp("logs")
    served = Served(logs / "data", logs, "--enrolment=open", **env)
    yield served
    served.kill()


def statuses(served: Served, *forwarded: str) -> list[int]:
    """Open a login as a stranger for each X-Forwarded-For; the limit is one a minute.

    Where a limit must be met there are three of them, for a minute may end between two.
    """
    return [Client(served, None).post(forwarded=value).status_code for value in forwarded]


def test_by_default_no_forwarded_address_is_believed(serve: MakeServed) -> None:
    served = serve()
    assert statuses(served, "203.0.113.1", "203.0.113.2", "203.0.113.3").count(429) >= 1


def test_behind_a_trusted_proxy_the_forwarded_address_counts(serve: MakeServed) -> None:
    served = serve(RELAY_TRUSTED_PROXIES="127.0.0.0/8")
    found = statuses(served, "203.0.113.1", "203.0.113.2", "2001:db8::1", "2001:db8:0:1::1")
    assert found == [201, 201, 201, 201]


def test_another_proxy_is_not_believed(serve: MakeServed) -> None:
    served = serve(RELAY_TRUSTED_PROXIES="192.0.2.0/24")
    assert statuses(served, "203.0.113.1", "203.0.113.2", "203.0.113.3").count(429) >= 1


def test_what_the_caller_wrote_before_the_proxy_does_not_count(serve: MakeServed) -> None:
    served = serve(RELAY_TRUSTED_PROXIES="127.0.0.1")
    spoofed = [f"198.51.100.{n}, 203.0.113.1" for n in range(3)]
    assert statuses(served, *spoofed).count(429) >= 1


def test_an_ipv6_network_counts_as_one_caller(serve: MakeServed) -> None:
    served = serve(RELAY_TRUSTED_PROXIES="127.0.0.1")
    assert statuses(served, *(f"2001:db8::{n:x}" for n in range(3))).count(429) >= 1


def test_a_chain_of_trusted_proxies_is_followed(serve: MakeServed) -> None:
    served = serve(RELAY_TRUSTED_PROXIES="127.0.0.1,192.0.2.0/24")
    found = statuses(served, "203.0.113.1, 192.0.2.1", "203.0.113.2, 192.0.2.1")
    assert found == [201, 201]


def test_the_page_names_the_forwarded_address(serve: MakeServed) -> None:
    served = serve(RELAY_TRUSTED_PROXIES="127.0.0.1")
    answer = Client(served, None).post(forwarded="203.0.113.77")
    query = {"state": answer.json()["state"], "code": "c"}
    assert "203.0.113.77" in httpx.get(f"{served.url}/auth/callback", params=query).text


def test_a_forwarded_host_is_never_believed(serve: MakeServed) -> None:
    served = serve(RELAY_TRUSTED_PROXIES="127.0.0.1")
    headers = {
        "X-Forwarded-Host": "evil.example",
        "X-Forwarded-Proto": "https",
        "Host": "evil.example",
    }
    answer = httpx.get(f"{served.url}/.well-known/opencode-relay", headers=headers)
    assert "evil" not in answer.text
    assert answer.json()["issuer"] == served.url


def told(served: Served) -> list[str]:
    return [one["address"] for one in served.events if one["event"] == "proxy_not_trusted"]


@pytest.mark.parametrize("header", ["X-Forwarded-For", "Forwarded"])
def test_a_proxy_that_nobody_named_is_told_of_once(serve: MakeServed, header: str) -> None:
    served = serve(RELAY_TRUSTED_PROXIES="192.0.2.0/24")
    for _ in range(3):
        httpx.get(f"{served.url}/healthz", headers={header: "for=203.0.113.1"})
    assert told(served) == ["127.0.0.1"]
    (line,) = [one for one in served.events if one["event"] == "proxy_not_trusted"]
    assert line["level"] == "warning"
    assert "RELAY_TRUSTED_PROXIES" in line["detail"]


def test_doctor_is_no_proxy_and_does_not_use_the_one_warning_up(serve: MakeServed) -> None:
    served = serve(RELAY_ADDRESS_LIMIT="0", RELAY_MAX_WAIT="1")
    assert run_here("doctor", served.url).returncode == 0
    assert told(served) == []
    through = f"{NOBODYS}, 203.0.113.1"  # a proxy that appends
    httpx.get(f"{served.url}/healthz", headers={"X-Forwarded-For": through})
    assert told(served) == ["127.0.0.1"]


def test_a_trusted_proxy_and_a_caller_without_one_are_not(serve: MakeServed) -> None:
    served = serve(RELAY_TRUSTED_PROXIES="127.0.0.0/8")
    httpx.get(f"{served.url}/healthz", headers={"X-Forwarded-For": "203.0.113.1"})
    httpx.get(f"{served.url}/healthz", headers={"Forwarded": "for=203.0.113.1"})
    httpx.get(f"{served.url}/healthz")
    served.stop()
    assert told(served) == []


def test_without_a_header_there_is_no_proxy(serve: MakeServed) -> None:
    served = serve()
    httpx.get(f"{served.url}/healthz")
    served.stop()
    assert told(served) == []


@pytest.mark.parametrize(
    ("forwarded", "address"),
    [
        ("203.0.113.7:4711", "203.0.113.7"),  # Azure's gateways write ports
        ("[2001:db8::1]:443", "2001:db8::1"),
        ("[2001:db8::1]", "2001:db8::1"),
        ("::ffff:203.0.113.7", "203.0.113.7"),
        ("[fe80::1%a-zone]:443", "fe80::1"),
        ("a-name.example", "unknown"),
        ("203.0.113.7:a-port", "unknown"),
        ("[2001:db8::1", "unknown"),
        ("unknown", "unknown"),
    ],
)
def test_an_address_loses_its_port_and_what_is_none_is_shown_as_unknown(
    believing: Served, forwarded: str, address: str
) -> None:
    assert shown(Client(believing, None), forwarded) == address


def test_a_port_is_no_way_around_a_limit(serve: MakeServed) -> None:
    served = serve(RELAY_TRUSTED_PROXIES="127.0.0.1")
    assert statuses(served, *(f"203.0.113.1:{port}" for port in (1, 2, 3))).count(429) >= 1


def test_callers_of_no_address_share_a_limit(serve: MakeServed) -> None:
    served = serve(RELAY_TRUSTED_PROXIES="127.0.0.1")
    assert statuses(served, "one", "another", "<b>a third</b>").count(429) >= 1


def test_what_is_no_address_is_never_logged(believing: Served) -> None:
    Client(believing, "wrong").post(forwarded="an-odd-caller")
    Client(believing, None).post(forwarded="an-odd-caller")
    assert {event["event"] for event in believing.events} >= {"key_refused", "opened"}
    assert "an-odd-caller" not in believing.stdout + believing.stderr


# A socket for both families shows IPv4 as ::ffff:127.0.0.1

BOTH = ("--host=::", "--public-url=https://relay.example")


def by_ipv4(served: Served) -> Client:
    client = Client(served, None)
    client.url = served.url.replace("[::]", "127.0.0.1")
    return client


def shown(client: Client, forwarded: str | None = None) -> str:
    """Return the confirming page's line of the address that opened the login."""
    opened = client.post(forwarded=forwarded)
    query = {"state": opened.json()["state"], "code": "c"}
    return shown_on(httpx.get(f"{client.url}/auth/callback", params=query).text)


def shown_on(page: str) -> str:
    (line,) = re.findall("<dt>Opened from</dt><dd><bdi>(.*?)</bdi>", page)
    return str(line)


def test_every_address_of_both_families_is_listened_on(serve: MakeServed) -> None:
    served = serve(*BOTH)
    for host in ("127.0.0.1", "[::1]"):
        url = served.url.replace("[::]", host)
        assert httpx.get(f"{url}/healthz").status_code == 200


def test_an_ipv4_caller_is_shown_as_one_there(serve: MakeServed) -> None:
    assert shown(by_ipv4(serve(*BOTH))) == "127.0.0.1"


def test_an_ipv4_proxy_is_trusted_by_its_address_there(serve: MakeServed) -> None:
    served = serve(*BOTH, RELAY_TRUSTED_PROXIES="127.0.0.0/8")
    assert shown(by_ipv4(served), "203.0.113.77") == "203.0.113.77"


def test_and_by_its_mapped_one(serve: MakeServed) -> None:
    served = serve(*BOTH, RELAY_TRUSTED_PROXIES="::ffff:127.0.0.0/104")
    assert shown(by_ipv4(served), "203.0.113.77") == "203.0.113.77"


# A Unix socket, whose peers have no address


@pytest.mark.parametrize(
    ("trusted", "address"), [("unix", "203.0.113.77"), ("127.0.0.1", "unknown"), ("", "unknown")]
)
def test_behind_a_unix_socket_a_proxy_is_trusted_by_that_word(
    serve: MakeServed, tmp_path: Path, trusted: str, address: str
) -> None:
    host = f"--host=unix:{tmp_path / 'relay.sock'}"
    served = serve(host, "--public-url=https://relay.example", RELAY_TRUSTED_PROXIES=trusted)
    with served.http() as http:
        opened = http.post(
            "/v1/logins",
            json=Client(served, None).body(),
            headers={"X-Forwarded-For": "203.0.113.77"},
        )
        query = {"state": opened.json()["state"], "code": "c"}
        assert shown_on(http.get("/auth/callback", params=query).text) == address
        assert http.get("/.well-known/opencode-relay").json()["issuer"] == "https://relay.example"


def test_no_tcp_peer_is_trusted_by_that_word(serve: MakeServed) -> None:
    served = serve(RELAY_TRUSTED_PROXIES="unix")
    assert shown(Client(served, None), "203.0.113.77") == "127.0.0.1"
