"""Cold starts: import and first request of the built artifact beside those of a plain bundle.

    uv run python -m benchmarks.cold_start.run [ROUNDS]

Both run under Lambda's Runtime Interface Client on this machine, in turns, against DynamoDB Local;
what is measured is the CPU time of the process until its first answer, which, unlike time on the
wall, is much the same whatever else runs. Needs what tests/aws/install-tools installs. Ends with
status 1 when the artifact is beyond its share of the plain bundle.
"""

import asyncio
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any

import httpx
import jwt

from tests.aws.conftest import build
from tests.aws.ric import PYTHON, Environment
from tests.aws.ric_gateway import Functions, to_event
from tests.aws.ric_wire import INSTANCES, KEYS_PATH, LOGINS, LambdaWire, first_keys
from tests.aws.tap import Tap, create_tables, dynamodb_local
from tests.support.clock import Clock
from tests.support.wire import ISSUER, bearer

HERE = Path(__file__).parent
KEY = "k" * 32
SHARE, SHARE_OF_COMPILED = 0.45, 0.95
PLAIN, COMPILED = "plain bundle, as `sam build` makes it", "plain bundle with byte code"
Start = Callable[[], tuple[Environment, dict[str, Any], int]]


def plain_bundle(to: Path) -> Path:
    """Install the plain bundle as `sam build` does: without byte code."""
    target = ["--target", str(to), "--python", str(PYTHON), "--no-compile-bytecode"]
    pins = ["-r", str(HERE / "plain" / "requirements.in")]
    subprocess.run(["uv", "pip", "install", "--quiet", *target, *pins], check=True)
    shutil.copy(HERE / "plain" / "handler.py", to)
    return to


def event(functions: Functions, method: str, path: str, body: Any = None, **sent: str) -> Any:
    headers = {"host": "relay.example", **sent}
    if body is not None:
        headers["content-type"] = "application/json"
    request = httpx.Request(method, f"{ISSUER}{path}", headers=headers)
    route = functions.route(method, request.url.path)
    content = b"" if body is None else json.dumps(body).encode()
    return to_event(request, content, route, request.url.path, "203.0.113.7")


async def first_requests(wire: LambdaWire, functions: Functions) -> dict[str, tuple[Any, int]]:
    """The request that each function mostly gets, and the status of its answer."""
    key = await wire.enrol("workshop")
    login = await wire.open()
    collect = event(functions, "GET", f"{login.path}/response", **bearer(login.verifier))
    callback = event(functions, "GET", f"/auth/callback?state={login.state}&code=c")
    return {
        "CallbackFunction": (callback, 200),
        "LoginsFunction": (event(functions, "POST", "/v1/logins", wire.body(), **bearer(key)), 201),
        "CollectFunction": (collect, 202),
    }


def cpu_of(environment: Environment, first: dict[str, Any], status: int, *, restore: bool) -> float:
    """Return milliseconds of CPU until the first answer, since the start or the restore."""
    before = 0.0
    if restore:
        environment.started()
        tasks = Path(f"/proc/{environment.process.pid}/task").glob("*/schedstat")
        before = sum(int(task.read_text().split()[0]) for task in tasks) / 1e9
        environment.restore()
    answer = environment.invoke(first)
    assert answer["statusCode"] == status, answer
    environment.process.kill()
    usage = os.wait4(environment.process.pid, 0)[2]
    environment.close()
    return (usage.ru_utime + usage.ru_stime - before) * 1000


def contenders(work: Path, tap: Tap) -> dict[str, tuple[Start, bool]]:
    fixed = {"LOGINS_TABLE": LOGINS, "INSTANCES_TABLE": INSTANCES, "KEYS_PATH": KEYS_PATH}
    variables = {**fixed, **tap.environment(), "RELAY_PUBLIC_URL": ISSUER}
    functions = Functions(build(work / "artifact"), work, variables)
    plain = plain_bundle(work / "plain")
    compiled = shutil.copytree(plain, work / "compiled")
    subprocess.run([PYTHON, "-m", "compileall", "-q", compiled], check=True)
    token = jwt.encode({"sub": "me"}, KEY, "HS256")
    asked = event(functions, "GET", "/items/x", authorization=f"Bearer {token}")
    asked["routeKey"] = asked["requestContext"]["routeKey"] = "GET /items/{item}"
    given = {**tap.environment(), "KEY": KEY, "TABLE": LOGINS}

    def bundle(path: Path) -> Start:
        return lambda: (Environment(path, "handler.handler", given, work / "log"), asked, 200)

    def own(name: str, *, snapshot: bool) -> Start:
        return lambda: (functions.start(name, snapshot=snapshot), *requests[name])

    wire = LambdaWire(tap, functions, Clock(time.time()))
    requests = asyncio.run(first_requests(wire, functions))
    functions.stop()
    found: dict[str, tuple[Start, bool]] = {
        PLAIN: (bundle(plain), False),
        COMPILED: (bundle(compiled), False),
    }
    for name in requests:
        found[name] = (own(name, snapshot=False), False)
        found[f"{name}, after a restore"] = (own(name, snapshot=True), True)
    return found


def main(rounds: int = 15) -> int:
    with tempfile.TemporaryDirectory() as directory:
        work = Path(directory)
        with dynamodb_local(work / "dynamodb") as port:
            tap = Tap(port)
            create_tables(tap.client("dynamodb"), LOGINS, INSTANCES)
            first_keys(tap)
            all_of = contenders(work, tap)
            taken: dict[str, list[float]] = {name: [] for name in all_of}
            for _ in range(rounds):
                for name, (start, restore) in all_of.items():
                    environment, first, status = start()
                    taken[name].append(cpu_of(environment, first, status, restore=restore))
            tap.close()
    print("| | CPU, ms | of the plain bundle | of it with byte code |")
    print("|---|---|---|---|")
    beyond = False
    for name, times in taken.items():
        ms = median(times)
        # Round by round, for what else runs here slows neighbours down alike.
        shares = [
            median(mine / theirs for mine, theirs in zip(times, taken[peer], strict=True))
            for peer in (PLAIN, COMPILED)
        ]
        print(f"| {name} | {ms:.0f} | {shares[0]:.2f} | {shares[1]:.2f} |")
        own = name not in {PLAIN, COMPILED}
        beyond |= own and (shares[0] > SHARE or shares[1] > SHARE_OF_COMPILED)
    return int(beyond)


if __name__ == "__main__":
    sys.exit(main(*map(int, sys.argv[1:])))
