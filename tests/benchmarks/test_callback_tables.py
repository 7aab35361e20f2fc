"""The tables about callbacks and start-up: every contender runs and answers rightly."""

import os
import secrets
from collections import Counter
from collections.abc import Callable, Iterator
from inspect import iscoroutinefunction
from pathlib import Path
from typing import Any

import pytest

from benchmarks.contenders import authjs, better_auth, installs, relay
from benchmarks.contenders.installs import Missing
from benchmarks.harness.processes import CLIENT_CORE, pin
from benchmarks.harness.results import Result
from benchmarks.harness.rounds import CPU, Plan, Wrong, rounds
from benchmarks.tables import callbacks, commands, first_callbacks, parts, startup
from benchmarks.tables._logins import Logins

QUICK = Plan(quick=True)


@pytest.fixture(autouse=True)
def client_core() -> Iterator[None]:
    cores = os.sched_getaffinity(0)
    if len(cores) < 2:
        pytest.skip("server and client need a core each")
    pin(CLIENT_CORE)
    yield
    os.sched_setaffinity(0, cores)


def measured(table: object) -> Result:
    try:
        result: Result = table.measure(QUICK)  # type: ignore[attr-defined]
    except Missing as wrong:
        pytest.skip(str(wrong)[:500])
    return result


@pytest.mark.parametrize("table", [callbacks, first_callbacks])
def test_callbacks(table: object) -> None:
    rows = measured(table).rows
    assert len(rows) == 9
    assert all(columns[CPU][0] > 0 for columns in rows.values())


def test_parts() -> None:
    rows = measured(parts).rows
    assert all(columns[parts.CPU][0] > 0 for columns in rows.values())


async def test_a_part_that_is_left_out_is_not_carried_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    timed, carried_out = await parts.parts(tmp_path), list[str]()
    answer = timed[parts.WHOLE]

    def counted(name: str, real: Callable[..., Any]) -> Callable[..., Any]:
        async def later(*args: Any, **named: Any) -> Any:
            carried_out.append(name)
            return await real(*args, **named)

        def now(*args: Any, **named: Any) -> Any:
            carried_out.append(name)
            return real(*args, **named)

        return later if iscoroutinefunction(real) else now

    owned = {name: part for name, part in timed.items() if part.owner}
    for name, part in owned.items():
        real = getattr(part.owner, part.name)
        monkeypatch.setattr(part.owner, part.name, counted(name, real))
    await parts.cost(answer, 3)
    usual = Counter(carried_out)
    assert all(usual[name] >= 3 for name in owned)
    for name, part in owned.items():
        carried_out.clear()
        with parts.left_out(part):
            await parts.cost(answer, 3)
        assert carried_out.count(name) == 1  # what it returned then stands for the others
    carried_out.clear()
    await parts.cost(answer, 3)
    assert Counter(carried_out) == usual


@pytest.mark.parametrize("table", [startup, commands])
def test_starts(table: object) -> None:
    rows = measured(table).rows
    assert all(one[0] > 0 for columns in rows.values() for one in columns.values())


def test_better_auth_exits_by_itself_as_node_writes_its_compile_cache_only_then() -> None:
    try:
        with better_auth.better_auth(1) as (server, _):
            pass
    except Missing as wrong:
        pytest.skip(str(wrong)[:500])
    assert server.process.returncode == 0


@pytest.fixture
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A directory that alone is searched for programs, as where Node came by a version manager."""
    monkeypatch.setenv("PATH", str(tmp_path))
    return tmp_path


def test_node_is_found_wherever_it_is(elsewhere: Path) -> None:
    program = elsewhere / "node"
    program.write_text('#!/bin/sh\necho "$1" "$2" "$SECRET"\n')
    program.chmod(0o700)
    assert installs.node(Path("states.mjs"), "3", env={"SECRET": "s"}) == ["states.mjs", "3", "s"]


@pytest.mark.usefixtures("elsewhere")
def test_without_node_a_contender_is_missing() -> None:
    with pytest.raises(Missing, match=r"^Node cannot be had: .*'node'"):
        installs.npm("authjs", authjs.PACKAGES, [])


def test_a_state_of_another_secret_is_noticed() -> None:
    """Auth.js answers it with a redirect too, to its own error page."""
    try:
        with authjs.authjs("bare", 1) as (server, [state]):
            rounds({"": callbacks.to_site(server, [state])}, 2, QUICK)
            with pytest.raises(Wrong, match="error"):
                rounds({"": callbacks.to_site(server, [state[:-2]])}, 1, QUICK)
    except Missing as wrong:
        pytest.skip(str(wrong)[:500])


def test_a_response_sealed_to_another_key_is_noticed() -> None:
    with relay.relay() as (server, key):

        class Swapped(callbacks.Redirect):
            def check(self) -> None:
                self.keys.reverse()
                super().check()

        with pytest.raises(Wrong, match="does not verify"):
            rounds({"": Swapped(server, key)}, 2, QUICK)


def test_a_wrong_pairing_code_is_noticed() -> None:
    with relay.relay() as (server, key):
        allow = callbacks.Allow(Logins(server, key))
        allow.prepare(1)
        [login], [form] = allow.opened, allow.requests
        allow.requests = [form.replace(login.pairing_code.encode(), b"0000-0000")]
        allow.run()
        with pytest.raises(Wrong, match="422"):
            allow.check()


def test_a_valid_state_is_not_taken_for_a_forged_one() -> None:
    with relay.relay() as (server, key):
        logins = Logins(server, key)
        forged = callbacks.forged(server, logins)
        [login] = logins.open_many(1)
        forged.make = lambda _: [callbacks.callback(server, login.state, secrets.token_hex())]
        with pytest.raises(Wrong, match="Allow this sign-in"):
            rounds({"": forged}, 1, QUICK)
