"""What a fault in the relay itself tells, and to whom."""

import json
from collections.abc import Iterator
from io import StringIO
from typing import Any

import pytest

from tests.threats.canaries import logged, readable
from tests.threats.world import World

WORDS = "the code was 4/0AX4XfWh"


@pytest.fixture
def log() -> Iterator[StringIO]:
    with logged() as text:
        yield text


class Counted:
    def __init__(self) -> None:
        self.events: list[str] = []

    def count(self, event: str, outcome: str) -> None:
        self.events.append(event + outcome)

    def seconds_to_collection(self, seconds: float) -> None: ...


class TestAFaultThatNobodyLearnsOf:
    """Mangum swallows what an app raises, and a framework's log shows an exception's words."""

    @pytest.mark.parametrize("path", ["/auth/callback?state={}&code=c", "/v1/logins/x/response"])
    async def test_operators_learn_where_it_is_and_nobody_its_words(
        self, world: World, log: StringIO, monkeypatch: pytest.MonkeyPatch, path: str
    ) -> None:
        login = await world.open()
        world.relay.events.metrics = counted = Counted()

        def broken(*_: Any) -> None:
            raise RuntimeError(WORDS)

        monkeypatch.setattr(world.store, "get", broken)
        headers = {"Authorization": f"Bearer {login.verifier}"}
        where = path.format(login.state).replace("/x/", f"/{login.id}/")
        answer = await world.at("203.0.113.7").get(where, headers=headers)
        assert answer.status_code == 503
        assert counted.events.count("unhandled_exception") == 1
        [line] = [json.loads(one) for one in log.getvalue().splitlines() if "unhandled" in one]
        assert line["level"] == "error"
        assert line["exception"] == "RuntimeError"
        assert line["where"][-1].startswith("test_faults.py:")
        for shown in (log.getvalue().encode(), answer.content):
            assert not readable(WORDS, shown)
