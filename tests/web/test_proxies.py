"""Limits by client address on a real `serve`: which X-Forwarded-For is believed."""

from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.support.served import Client, MakeServed, Served


@pytest.fixture
def serve(tmp_path: Path) -> Iterator[MakeServed]:
    started: list[Served] = []

    def start(**env: str) -> Served:
        env = {"RELAY_ADDRESS_LIMIT": "1", **env}
        started.append(Served(tmp_path / "data", tmp_path, "--enrolment=open", **env))
        return started[-1]

    yield start
    for served in started:
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
