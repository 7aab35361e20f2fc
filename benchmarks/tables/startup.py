"""Start-up: CPU until the port answers, and memory at rest, beside Better Auth's server.

The relay is started for the second time, on a store and keys that exist, by `opencode-relay serve`
itself; `uv run` in front of it would be uv's own cost. Memory is the proportional set size of the
process two seconds after its first answer.

Python's byte code is there from the start before. Node has the like from 22.1 on, its compile
cache, which is on here and filled by the start before. Node 20 has none, and compiles at each start
what it runs: so look at the version of Node that stands below the table.
"""

import time
from collections.abc import Callable, Mapping
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks.contenders import better_auth, relay
from benchmarks.contenders.installs import node_version
from benchmarks.harness.client import ask, request
from benchmarks.harness.processes import Server, free_port, serving
from benchmarks.harness.results import Goal, Result
from benchmarks.harness.rounds import Plan, Rows, Wrong

CPU, MEMORY = "CPU until the port answers, ms", "PSS at rest, MiB"
OURS, BETTER = "opencode-relay serve", "Better Auth"
GOALS = [Goal(OURS, BETTER, MEMORY, 0.8), Goal(OURS, BETTER, CPU, 0.5)]
REST = 2  # seconds after the first answer
Command = Callable[[int], list[str | Path]]


def started(command: Command, env: Mapping[str, str], path: str, rest: float) -> dict[str, float]:
    port = free_port()
    with serving(command(port), port, env) as server:
        cpu = server.cpu()
        _check(server, path)
        time.sleep(rest)
        return {CPU: cpu * 1e3, MEMORY: server.pss() / 2**20}


def _check(server: Server, path: str) -> None:
    answer = ask(server.port, request("GET", path, server.port))
    if answer.status != 200:  # noqa: PLR2004
        raise Wrong(f"{path} was answered {answer.raw[:2000]!r}")


def measure(plan: Plan) -> Result:
    rest = 0.1 if plan.quick else REST
    rows: Rows = {name: {CPU: [], MEMORY: []} for name in (OURS, BETTER)}
    with TemporaryDirectory(prefix="relay-bench-") as directory:
        data, caching = Path(directory) / "relay", Path(directory) / "node"
        data.mkdir()
        better_env = better_auth.environment() | {"NODE_COMPILE_CACHE": str(caching)}
        contenders = {
            OURS: (lambda port: relay.command(port, data), {}, "/healthz"),
            BETTER: (better_auth.command, better_env, "/api/auth/ok"),
        }
        for number in range(plan.rounds + 1):
            for name, (command, env, path) in contenders.items():
                found = started(command, env, path, rest if number else 0)
                for column, value in found.items() if number else ():  # the first start is another
                    rows[name][column].append(value)
    versions = {
        "opencode-relay": relay.VERSION,
        "Better Auth": f"{better_auth.VERSION} on Node {node_version()}",
    }
    return Result("Start-up", rows, GOALS, versions)
