"""The soak: a minute of it keeps every promise, and relays that break one are noticed."""

import json
import os
import secrets
import shutil
import subprocess
import sys
from base64 import b64encode
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any, cast

import pytest
from opencode_relay import names
from opencode_relay.instances import Instance

from benchmarks.soak import calm
from benchmarks.soak.artifact import Artifact
from benchmarks.soak.leaks import Secrets
from benchmarks.soak.life import Life
from benchmarks.soak.patience import GaveUp
from benchmarks.soak.run import Soak
from benchmarks.soak.serve import Serve
from benchmarks.soak.several import Several
from benchmarks.soak.tally import (
    CHANGED,
    DELIVERED,
    FAULTS,
    GAVE_UP,
    HELD,
    LATE,
    LEAKED,
    LOST,
    PROMISES,
    READ,
    WRONG,
    Tally,
)
from benchmarks.soak.world import Clock, World
from tests.aws.ric import PYTHON
from tests.aws.tap import EMULATOR
from tests.aws.template import ROOT
from tests.without.removals import Edit, edit

needs_aws = pytest.mark.skipif(
    not (PYTHON.exists() and (EMULATOR / "DynamoDBLocal.jar").exists() and shutil.which("java")),
    reason="run tests/aws/install-tools, and install Java",
)
MINUTE = {
    "serve": ["--seconds", "30", "--faults", "0.1", "--pause", "2"],
    "lambda": ["--target", "lambda", "--seconds", "15", "--faults", "0.3"],
    "dynamodb": ["--target", "dynamodb", "--seconds", "15", "--faults", "0.3"],
}
# Short lives, each with several faults.
QUICK = ["--seconds", "5", "--faults", "0.3", "--at-once", "300", "--pause", "0.5"]


def soak(directory: Path, *arguments: object) -> dict[str, Any]:
    """Run a soak to its end; return its result, with its exit status."""
    result = directory / "result.json"
    # What is measured here is no coverage, which would take most of the time.
    env = {k: v for k, v in os.environ.items() if not k.startswith(("COVERAGE_", "COV_"))}
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.soak", "--json", result, *map(str, arguments)],
        cwd=ROOT,
        env=env,
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    assert result.exists(), done.stderr
    return {**json.loads(result.read_text()), "status": done.returncode}


@pytest.mark.parametrize(
    "target",
    ["serve", *(pytest.param(target, marks=needs_aws) for target in ("lambda", "dynamodb"))],
)
def test_a_minute_of_faults_breaks_no_promise(target: str, tmp_path: Path) -> None:
    result = soak(tmp_path, *MINUTE[target])
    assert result["failures"] == [], result["examples"]
    assert result["status"] == 0
    met = {"serve": Serve.faults, "lambda": Artifact.faults, "dynamodb": Several.faults}
    assert set(result["faults"]) == met[target]
    assert min(result["faults"].values()) > 0


RINGS_WITHOUT_COMMITTING = edit(
    "relay",
    "if not await self.store.apply(found.id, change):",
    'rings = change.values.get("status") == "released" and found.id[0] in "ABCDEFGH"\n'
    "        if not (rings or await self.store.apply(found.id, change)):",
)
ANY_VERIFIER_COLLECTS = edit(
    "lookup", "or not proofs.verifier_fits(verifier, found)\n", "or not verifier\n"
)
FINISH_IS_FORGOTTEN = edit(
    "relay", "if found is not None and proofs.verifier_fits(verifier, found):", "if found is None:"
)
REFUSED_CALLBACK_ARRIVES = edit(
    "relay",
    'raise Refused("issuer-mismatch", login=found)',
    "await self.store.apply(found.id, login.arrive(now))\n"
    '            raise Refused("issuer-mismatch", login=found)',
)
LOGS_THE_PAIRING_CODE = edit(
    "relay",
    'self.events.tell("opened", new.confirmation, login_id=login_id, instance_id=who)',
    'self.events.tell("opened", new.confirmation, login_id=login_id, pairing=code)',
)
NEW_KEYS_STAY_UNUSED = edit(
    "keys.ring", "Key.new(purpose, now + HEAD_START)", "Key.new(purpose, now + 999 * HEAD_START)"
)
EXPIRED_LOGINS_STAY = edit(
    "stores.sqlite", "DELETE FROM logins WHERE expires_at <= ?", "DELETE FROM logins WHERE ? = 0"
)
SHOWS_THE_CODE_IN_A_HEADER = edit(
    "web.browser",
    "return self.pages.confirm(about, response=received.sealed, token=received.token)",
    "page = self.pages.confirm(about, response=received.sealed, token=received.token)\n"
    '        page.headers["Referer"] = f"?code={params[\'code\']}"\n'
    "        return page",
)
ANY_SITE_DECIDES = edit("web.browser", "            _same_origin(request, self.relay.issuer)\n", "")
CONNECTIONS_LEAVE_A_DESCRIPTOR = edit(
    "machine.server",
    "        if descriptors.scarce(",
    '        __import__("os").dup(2)\n        if descriptors.scarce(',
)
WAITERS_ARE_NOT_COUNTED_OFF = edit("doorbells", "        self._waiting -= 1\n", "")
STORES_THE_CODE = edit(
    "relay",
    "await self.store.apply(found.id, login.arrive(now))",
    'shown = __import__("base64").b64encode(f"code={params[\'code\']}".encode()).decode()\n'
    '            shown = {"arrived_at": now, "fingerprint": shown}\n'
    "            await self.store.apply(found.id, Change(found.status, now, shown))",
)
# So that what the relay ends by itself, it ends soon.
SOON = [
    edit("machine.server", "DEADLINE = 15 ", "DEADLINE = 3 "),
    edit("machine.housekeeping", "SWEEP = 10 ", "SWEEP = 1 "),
]


# For each: what is soaked, what was done to it, and the promises that it breaks.
SEEDED: dict[str, tuple[str, list[Edit], set[str]]] = {
    "loss": ("serve", [RINGS_WITHOUT_COMMITTING, NEW_KEYS_STAY_UNUSED], {LOST, HELD}),
    "the other promises": (
        "serve",
        [
            ANY_VERIFIER_COLLECTS,
            FINISH_IS_FORGOTTEN,
            REFUSED_CALLBACK_ARRIVES,
            LOGS_THE_PAIRING_CODE,
            EXPIRED_LOGINS_STAY,
        ],
        {READ, LATE, CHANGED, LEAKED, HELD},
    ),
    "connections and pages": (
        "serve",
        [SHOWS_THE_CODE_IN_A_HEADER, ANY_SITE_DECIDES, CONNECTIONS_LEAVE_A_DESCRIPTOR],
        {READ, CHANGED, LATE, HELD},
    ),
    "two over DynamoDB": (
        "dynamodb",
        [STORES_THE_CODE, REFUSED_CALLBACK_ARRIVES, WAITERS_ARE_NOT_COUNTED_OFF],
        {LEAKED, CHANGED, HELD},
    ),
}


@pytest.fixture(scope="module")
def soaked(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Future[dict[str, Any]]]]:
    """Soaks of the seeded relays, two at a time: they mostly wait."""

    def run(target: str, edits: list[Edit], directory: Path) -> dict[str, Any]:
        source = shutil.copytree(
            ROOT / "functions", directory / "source", ignore=shutil.ignore_patterns("__pycache__")
        )
        for one in [*edits, *SOON]:
            path = source / f"{one.module.replace('.', '/')}.py"
            path.write_text(one.apply(path.read_text()))
        return soak(directory, *QUICK, "--target", target, "--source", source)

    with ThreadPoolExecutor(2) as pool:
        yield {
            name: pool.submit(run, target, edits, tmp_path_factory.mktemp("seeded"))
            for name, (target, edits, _) in SEEDED.items()
            if target == "serve" or not needs_aws.args[0]
        }


@pytest.mark.parametrize(
    "seeded",
    [
        pytest.param(name, marks=[needs_aws] if target != "serve" else [])
        for name, (target, _, _) in SEEDED.items()
    ],
)
def test_a_relay_that_breaks_a_promise_is_noticed(
    seeded: str, soaked: dict[str, Future[dict[str, Any]]]
) -> None:
    _, edits, broken = SEEDED[seeded]
    result = soaked[seeded].result()
    assert result["status"] == 1
    noticed = {one for one in PROMISES if result["broken"][one]}
    assert noticed - {WRONG} == broken, result["examples"]
    assert all(any(one in told for told in result["failures"]) for one in broken)
    if STORES_THE_CODE in edits:  # in the end it might be gone
        assert any("database in the run" in told for told in result["examples"][LEAKED])


def test_a_run_that_met_no_fault_has_failed(tmp_path: Path) -> None:
    result = soak(tmp_path, "--logins", 20, "--faults", 0, "--at-once", 300, "--pause", 0.2)
    assert result["status"] == 1
    assert result["failures"] == [f"never met: {fault}" for fault in FAULTS]
    assert result["became"] == {"delivered": 20 + calm.LOGINS, "gave up": 0}


@pytest.mark.parametrize("owed", [True, False])
async def test_who_gives_up_after_a_release_has_lost(owed: bool) -> None:
    async def steps() -> str:
        life.owed = owed
        raise GaveUp

    tally, nobody = Tally(0, 1), cast("Any", None)
    run = Soak(World(tally, Clock(), nobody, instances=[nobody]), 1, None)
    life = Life(run.world)
    assert await run._guarded(life, steps()) == GAVE_UP
    assert tally.broken[LOST] == owed


def test_a_run_in_which_many_gave_up_has_failed() -> None:
    tally = Tally(0, 1)
    tally.became.update({DELIVERED: 198, GAVE_UP: 2})
    assert tally.result(frozenset())["failures"] == []
    assert tally.result(frozenset())["became"][GAVE_UP] == 2
    tally.became[GAVE_UP] += 1
    assert tally.result(frozenset())["failures"] == ["3 of 201 logins were given up"]


@pytest.mark.parametrize(
    ("kind", "secret", "written"),
    [
        ("code", secrets.token_urlsafe(32), "code={}&state=x"),
        ("verifier", secrets.token_urlsafe(32), "x{}x"),
        ("state", f"eyJ0.eyJp.{secrets.token_urlsafe(32)}", '"{}"'),
        ("instance key", Instance.enrol("workshop", [], 0)[1].reveal(), "Bearer {}\n"),
        ("pairing code", names.new_code(), "typed {}."),
    ],
)
def test_a_secret_is_found_wherever_it_stands(kind: str, secret: str, written: str) -> None:
    known = Secrets()
    for _ in range(1000):
        known.add("another", secrets.token_urlsafe(32))
    known.add(kind, secret)
    log = f"{secrets.token_urlsafe(900)}\n{written.format(secret)}\n{secrets.token_urlsafe(24)}"
    assert list(known.found_in(log.encode())) == [kind]
    assert list(known.found_in(log.replace(secret, "").encode())) == []


def test_a_typed_code_is_found_without_its_dash() -> None:
    known = Secrets()
    known.add("pairing code", "KTRW-9F2D")
    assert list(known.found_in(b"code=KTRW9F2D")) == ["pairing code"]


@pytest.mark.parametrize("before", ["code=", "a code=", "the code="])
def test_a_code_is_found_in_base64(before: str) -> None:
    known, code = Secrets(), secrets.token_urlsafe(32)
    known.add("code", code)
    written = b64encode(f"{before}{code}&state=x".encode())
    assert list(known.found_in(b"event: " + written)) == ["code in base64"]


def test_a_secret_that_could_not_be_found_is_refused() -> None:
    with pytest.raises(ValueError, match="unknown form"):
        Secrets().add("code", "c0de")
