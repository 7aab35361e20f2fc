"""One relay of several `serve` processes over DynamoDB Local: what one does, the others see."""

import signal
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from opencode_relay.cli import keys as command
from opencode_relay.keys.held import LOOK_AGAIN
from opencode_relay.keys.parameters import FRESH

from tests.aws.served import Shared, allow, callback, kids, stir
from tests.aws.tap import FAILING, Tap
from tests.support.served import PATIENCE, run_here, until


@pytest.fixture(scope="module")
def shared(tap: Tap, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shared]:
    shared = Shared(tap, tmp_path_factory.mktemp("served"), "/served/keys")
    for name in ("one", "two"):
        shared.start(name)
    yield shared
    tap.fault = lambda _: None
    shared.end()


def test_opened_at_one_allowed_at_another_collected_at_a_third(shared: Shared) -> None:
    first, two, _ = shared.start("first"), shared.processes["two"], shared.start("three")
    instance = shared.client(first)
    login = instance.open()
    first.process.kill()  # whatever it alone knew is gone
    assert first.process.wait(PATIENCE) == -signal.SIGKILL
    page = callback(two, login["state"])
    waiting = shared.waiting(instance, login, "three")
    since = len(shared.tap.calls)
    allow(two, page, login)
    answer = waiting.result()
    assert answer.status_code == 200, answer.text
    assert answer.json()["status"] == "released"
    # One look may have been under way when it was released.
    assert len(shared.looks("three", login, since)) <= 2


def test_who_waits_at_the_process_that_releases_waits_for_no_look(shared: Shared) -> None:
    one = shared.processes["one"]
    instance = shared.client(one)
    login = instance.open()
    page = callback(one, login["state"])
    waiting = shared.waiting(instance, login, "one")
    with shared.tap.faulty(FAILING, "BatchGetItem"):
        allow(one, page, login)
        assert waiting.result().status_code == 200


def test_looks_that_fail_are_told_and_made_again(shared: Shared) -> None:
    one, two = shared.processes["one"], shared.processes["two"]
    instance = shared.client(one)
    login = instance.open()
    page = callback(one, login["state"])
    waiting = shared.waiting(instance, login, "two")
    with shared.tap.faulty(FAILING, "BatchGetItem"):
        allow(one, page, login)
        until(lambda: "chores_failed" in two.stderr, "the failure is told")
    assert waiting.result().status_code == 200
    [told] = {line["detail"] for line in two.events if line["event"] == "chores_failed"}
    assert told == "DynamoDB refuses: InternalServerError."


def test_keys_are_rotated_while_people_sign_in(shared: Shared) -> None:
    one, two = shared.processes["one"], shared.processes["two"]
    instance = shared.client(one)
    login = instance.open()
    before = kids(one)
    assert kids(two) == before
    assert run_here("keys", "rotate", "--due", **shared.environment()).returncode == 0
    assert {key.kid for key in shared.keys.load().keys} >= before
    assert run_here("keys", "rotate", **shared.environment()).returncode == 0
    stir(one)
    stir(two)
    until(lambda: len(kids(one)) == len(kids(two)) == len(before) + 1, "new keys are known")
    assert kids(one) == kids(two) > before
    allow(two, callback(two, login["state"]), login)
    assert instance.collect(login, 0, two.url).status_code == 200


def test_health_tells_of_tables_and_keys(shared: Shared) -> None:
    three = shared.processes["three"]

    def health() -> int:
        return httpx.get(f"{three.url}/healthz", timeout=PATIENCE).status_code

    assert health() == 200
    for action in ("GetItem", "BatchGetItem"):
        with shared.tap.faulty(FAILING, action):
            assert health() == 503
        assert health() == 200
    with shared.tap.faulty(FAILING, "GetParameters"):
        stir(three)
        until(lambda: health() == 503, "the keys are missed")
        state = shared.client(three).open()["state"]
        assert callback(three, state).status_code == 200  # by the keys it has


def test_operators_commands_find_the_relay_by_the_same_settings(
    shared: Shared, tmp_path: Path
) -> None:
    found = run_here("instances", "list", "--json", **shared.environment())
    assert "workshop of /served/keys" in found.stdout
    both = run_here("instances", "list", "--data", tmp_path, **shared.environment())
    assert both.returncode == 1
    assert "--data and RELAY_STORE=dynamodb name two relays: give one of them." in both.stderr
    both = run_here("keys", "rotate", "--now", "--due", **shared.environment())
    assert "--now and --due contradict each other" in both.stderr


def test_replaced_keys_end_what_was_made_with_the_old_ones(
    shared: Shared, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What a process opened that did not know the new keys yet, too."""
    client, late = shared.client(shared.processes["two"]), []

    def meanwhile(seconds: float) -> None:
        assert seconds > max(FRESH, LOOK_AGAIN)
        late.append(client.open())

    monkeypatch.setattr(command, "sleep", meanwhile)
    login = client.open()
    four = shared.start("four")
    before = kids(four)
    assert callback(four, login["state"]).status_code == 200
    done = run_here("keys", "rotate", "--now", **shared.environment())
    assert done.returncode == 0, done.stderr
    assert "then logins are ended again. Leave this running." in done.stderr
    assert client.collect(late[0], 0).status_code == 410
    stir(four)
    until(lambda: not kids(four) & before, "the old keys are gone")
    assert callback(four, login["state"]).status_code == 400


def test_replaced_keys_whose_logins_could_not_be_ended_are_told_of(shared: Shared) -> None:
    with shared.tap.faulty(FAILING, "Scan"):
        done = run_here("keys", "rotate", "--now", **shared.environment())
    assert (done.returncode, done.stdout) == (1, "")
    assert "All keys were replaced, but not all open logins ended: run it again." in done.stderr


def test_who_waits_is_sent_home_when_a_process_ends(shared: Shared) -> None:
    four = shared.processes["four"]
    instance = shared.client(four)
    login = instance.open()
    waiting = shared.waiting(instance, login, "four")
    assert four.stop() == 0
    assert waiting.result().status_code == 202
