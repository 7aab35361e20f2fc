"""What people type and wait for: our commands, and opencode's start with and without the plugin.

CPU of the whole process. The commands run on a machine that is connected already, each asks a relay
on the same machine: `connect` finds that nothing differs, `status` that all holds, `doctor` makes a
whole login. opencode has started when it has told which ways of signing in there are: with its
first project it loads its plugins, and ours asks the relay.
"""

import os
import re
import subprocess
from collections.abc import Callable
from contextlib import ExitStack
from json import dumps
from pathlib import Path
from tempfile import TemporaryDirectory

import httpx

from benchmarks.contenders import relay
from benchmarks.contenders.installs import Missing
from benchmarks.harness.processes import Server, free_port
from benchmarks.harness.results import Result
from benchmarks.harness.rounds import Plan, Rows, Wrong
from tests.e2e.opencode import MODELS, QUIET
from tests.e2e.processes import OPENCODE, answers, wait_until

CPU, MEMORY = "CPU, ms", "PSS, MiB"
PLAIN, OURS = "opencode, without the plugin", "opencode, with the plugin"
LABEL = re.compile("via relay|paste the failed")  # of a way of signing in that is the plugin's


def command(home: Path, *args: object) -> float:
    """Run a command of ours to its end; return the milliseconds of CPU that it took."""
    argv = [str(arg) for arg in (relay.PROGRAM, *args)]
    env = {"PATH": os.environ["PATH"], "HOME": str(home)}
    with (home / "said").open("w+") as said:
        process = subprocess.Popen(
            argv, env=env, stdin=subprocess.DEVNULL, stdout=said, stderr=said, cwd=home
        )
        _, status, used = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        said.seek(0)
        if process.returncode:
            raise Wrong(f"{argv} ended with {process.returncode}: {said.read()}")
    return (used.ru_utime + used.ru_stime) * 1e3


def opencode(home: Path, plugin: bool) -> dict[str, float]:
    """Start opencode until it tells the ways of signing in."""
    models, port = home / "models.json", free_port()
    models.write_text(dumps(MODELS))
    env = {**QUIET, "HOME": str(home), "OPENCODE_MODELS_PATH": str(models)}
    url = f"http://127.0.0.1:{port}"
    server = Server([OPENCODE, "serve", "--port", str(port), "--hostname", "127.0.0.1"], port, env)
    try:
        wait_until(lambda: answers(f"{url}/global/health", False), server.output())
        told = httpx.get(f"{url}/provider/auth", timeout=60).raise_for_status().text
        found = {CPU: server.cpu() * 1e3, MEMORY: server.pss() / 2**20}
    finally:
        server.stop()
    if bool(LABEL.search(told)) is not plugin:
        raise Wrong(f"The ways of signing in are {told}")
    return found


def measure(plan: Plan) -> Result:
    if not OPENCODE.exists():
        raise Missing("opencode is not there: npm ci --prefix tests/e2e")
    with ExitStack() as stack:
        place = Path(stack.enter_context(TemporaryDirectory(prefix="relay-bench-")))
        server, key = stack.enter_context(relay.relay())
        connected, bare = place / "connected", place / "bare"
        for home in (connected, bare):
            home.mkdir()
        key_file = place / "key"
        key_file.touch(0o600)
        key_file.write_text(key)
        url = f"http://127.0.0.1:{server.port}"

        def ours(*args: object) -> Callable[[], dict[str, float]]:
            return lambda: {CPU: command(connected, *args)}

        with_key = (url, "--key-file", key_file)
        each: dict[str, Callable[[], dict[str, float]]] = {
            "opencode-relay connect": ours("connect", *with_key),
            "opencode-relay status": ours("status"),
            "opencode-relay doctor": ours("doctor", *with_key),
            PLAIN: lambda: opencode(bare, False),
            OURS: lambda: opencode(connected, True),
        }
        rows: Rows = {name: {} for name in each}
        for number in range(plan.rounds + 1):
            for name, once in each.items():
                for column, value in once().items() if number else _first(once):
                    rows[name].setdefault(column, []).append(value)
    version = subprocess.run([OPENCODE, "--version"], capture_output=True, text=True, check=True)
    versions = {"opencode-relay": relay.VERSION, "opencode": version.stdout.strip()}
    return Result("What people wait for", rows, [], versions)


def _first(once: Callable[[], dict[str, float]]) -> tuple[()]:
    """Do it once for nothing: the first `connect` writes, the first opencode makes its database."""
    once()
    return ()
