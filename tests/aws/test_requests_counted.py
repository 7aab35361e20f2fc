"""Requests to DynamoDB, counted: what a login costs beside its waiting."""

import json
import re
from collections import Counter

import pytest

from tests.aws.ric_wire import LambdaWire
from tests.aws.tap import READS, Tap
from tests.aws.template import ROOT
from tests.support.wire import RETURN_URL, MakeWire


class Count:
    """Counts from here on what the functions ask of DynamoDB."""

    def __init__(self, tap: Tap) -> None:
        self._tap, self._from = tap, len(tap.calls)

    def asked(self) -> tuple[int, int, Counter[str]]:
        """Return writes, reads, and both by function."""
        calls = [
            call
            for call in self._tap.calls[self._from :]
            if call.function != "test" and "TableName" in call.body
        ]
        reads = sum(call.action in READS for call in calls)
        by = Counter(f"{call.function} {call.action}" for call in calls)
        return len(calls) - reads, reads, by


def measured(*kinds: str) -> float:
    """Return the requests to DynamoDB of such requests together, as the simulation has them."""
    kept = ROOT / "benchmarks" / "scale" / "measured.json"
    requests = json.loads(kept.read_text())["requests"]
    return sum(float(requests[kind]["store_trips"]) for kind in kinds)


@pytest.fixture(autouse=True)
async def used_before(wire: LambdaWire) -> None:
    """That a key is used is written once an hour: now."""
    await wire.open()


async def test_a_login_by_pairing_code(wire: LambdaWire, tap: Tap) -> None:
    count = Count(tap)
    login = await wire.open()
    page = await wire.callback(login)
    assert (await wire.press(page, "allow", login.pairing_code)).status_code == 303
    assert (await wire.collect(login, 20)).status_code == 200
    assert (await wire.finish(login)).status_code == 204
    writes, reads, by = count.asked()
    assert by == {
        "logins GetItem": 2,  # the instance; the login that is finished
        "logins UpdateItem": 2,  # the limit; finished
        "logins PutItem": 1,
        "callback GetItem": 2,  # the login, twice
        "callback UpdateItem": 4,  # a browser has come; a try, counted and taken back; released
        "collect GetItem": 1,
    }
    assert (writes, reads) == (7, 5)
    # What a million logins cost is of the relay as it is.
    assert measured("open", "callback", "confirm", "collect", "finish") == writes + reads


async def test_a_login_by_redirect(wire: LambdaWire, tap: Tap) -> None:
    count = Count(tap)
    login = await wire.open(delivery="redirect", return_url=RETURN_URL)
    page = await wire.callback(login)
    assert re.search(r"response=[\w.-]+", page.text)
    assert (await wire.finish(login)).status_code == 204
    writes, reads, _ = count.asked()
    assert (writes, reads) == (3, 3)
    kinds = ("open, redirect", "callback, redirect", "finish, redirect")
    assert measured(*kinds) == writes + reads


async def test_a_question_reads_once_and_is_not_held(wire: LambdaWire, tap: Tap) -> None:
    login = await wire.open()
    count = Count(tap)
    answer = await wire.collect(login, 20)
    assert (answer.status_code, answer.headers["retry-after"]) == (202, "8")
    assert count.asked()[:2] == (0, 1)


async def test_holding_reads_at_the_same_pace(make_wire: MakeWire, tap: Tap) -> None:
    wire = make_wire(max_wait=10, enrolment="open")
    login = await wire.open(name="x")
    count = Count(tap)
    assert (await wire.collect(login, 10)).status_code == 202
    assert count.asked()[:2] == (0, 4)  # first, and as a waiter; after 8 s; at the end


async def test_no_page_but_the_logins_own_costs_a_request(wire: LambdaWire, tap: Tap) -> None:
    count = Count(tap)
    for path in ("/", "/auth/done", "/auth/callback", "/.well-known/opencode-relay", "/nothing"):
        await wire.http.get(path)
    await wire.http.get("/auth/callback?state=x&code=c")
    assert count.asked()[:2] == (0, 0)


async def test_the_use_of_a_key_is_written_once_an_hour(wire: LambdaWire, tap: Tap) -> None:
    for later, writes in ((0, 2), (3599, 2), (3, 3)):
        wire.clock.advance(later)
        count = Count(tap)
        await wire.open()
        assert count.asked()[0] == writes
