"""Where install-tools has put SAM and checkov; a test that needs them is skipped without."""

import os
import subprocess
from pathlib import Path

import pytest

_CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path("~/.cache").expanduser())
TOOLS = Path(os.environ.get("RELAY_AWS_TOOLS") or _CACHE / "opencode-relay" / "aws-tools")
ENVIRONMENT = {
    "AWS_DEFAULT_REGION": "us-east-1",
    "HOME": os.environ.get("HOME", "/"),
    "PATH": os.environ.get("PATH", ""),
    "SAM_CLI_TELEMETRY": "0",
}


def tool(venv: str, program: str) -> str:
    """Return the path of a program, `venv` being `sam` or `checkov`."""
    found = TOOLS / venv / "bin" / program
    if not found.exists():
        pytest.skip(f"{found} is not there: run tests/aws/install-tools")
    return str(found)


def run(*command: str, cwd: Path, given: str = "") -> subprocess.CompletedProcess[str]:
    """Run a tool without credentials, in a directory."""
    return subprocess.run(
        command,
        cwd=cwd,
        env=ENVIRONMENT,
        input=given,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
