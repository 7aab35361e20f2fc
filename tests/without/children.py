"""Runs threat classes without their protections, each in a process of its own.

`python -m tests.without.children NAME…` prints one JSON line for each: its name, whether the
missing protection was caught, and what pytest printed. Everything but the relay is imported once,
before the processes are forked.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
import traceback
from importlib import import_module
from pathlib import Path

import pytest

from tests.without.removals import CAUGHT

ROOT = Path(__file__).parents[2]
SHARED = (
    "cryptography.hazmat.primitives.asymmetric.ec",
    "httpx",
    "jinja2",
    "joserfc.jwe",
    "joserfc.jwk",
    "jwt",
    "playwright.async_api",
    "starlette.applications",
    "uvicorn",
)


def run(name: str) -> tuple[bool, str]:
    """Fork a child that runs the class of one removal; return if it was caught, and its output."""
    with tempfile.TemporaryFile("w+") as output, tempfile.TemporaryDirectory() as directory:
        child = os.fork()
        if not child:
            os.dup2(output.fileno(), 1)
            os.dup2(output.fileno(), 2)
            status = 1
            try:
                status = pytest.main(arguments(name, directory))
            except BaseException:  # noqa: BLE001  # it must not come back as a second parent
                traceback.print_exc()
            finally:
                sys.stdout.flush()
                sys.stderr.flush()
                os._exit(status)
        _, status = os.waitpid(child, 0)
        output.seek(0)
        return os.waitstatus_to_exitcode(status) == CAUGHT, output.read()


def arguments(name: str, directory: str) -> list[str]:
    """Run one class and little else: what is left out here costs more than the class does."""
    threat = name.partition(": ")[0]
    unneeded = [f"-pno:{plugin}" for plugin in ("cacheprovider", "hypothesispytest", "anyio")]
    shared = ["-W", "ignore::pytest.PytestAssertRewriteWarning"]
    quick = [*unneeded, *shared, f"--basetemp={directory}/t", "--tb=native", "-q", "--no-header"]
    plugin = ["-p", "tests.without.plugin", "--without", name]
    return [*plugin, *quick, f"{ROOT}/tests/threats/{threat}"]


if __name__ == "__main__":
    for module in SHARED:
        import_module(module)
    assert "opencode_relay" not in sys.modules
    for name in sys.argv[1:]:
        caught, output = run(name)
        print(json.dumps({"name": name, "caught": caught, "output": output}), flush=True)  # noqa: T201
