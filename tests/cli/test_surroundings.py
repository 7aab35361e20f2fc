"""What a container or a bare terminal lacks: a home, a user's name, UTF-8."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.served import environment

# What the system says of a user that is not in passwd.
HOMELESS = """
import pwd, sys
def unknown(uid):
    raise KeyError(f"getpwuid(): uid not found: {uid}")
pwd.getpwuid = unknown
from opencode_relay.cli import main
main()
"""


def homeless(*args: object, **env: str) -> "subprocess.Popen[str]":
    kept = environment(**env)
    return subprocess.Popen(
        [sys.executable, "-c", HOMELESS, *map(str, args)],
        env={name: kept[name] for name in kept if name not in {"HOME", "XDG_DATA_HOME"}},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def test_without_a_home_serve_and_the_commands_work_where_the_data_is_named(data: Path) -> None:
    with homeless("serve", "--port=0", RELAY_DATA=str(data)) as served:
        assert served.stdout
        told = iter(served.stdout.readline, "")
        assert any(line.startswith("Its URL is") for line in told)
        listed = homeless("instances", "list", "--json", RELAY_DATA=str(data))
        assert '"instance_id"' in listed.communicate()[0]
        served.terminate()
    assert (data / "relay.db").exists()


@pytest.mark.parametrize("args", [["--help"], ["serve", "--help"], ["instances", "--help"]])
def test_without_a_home_help_is_given(args: list[str]) -> None:
    asked = homeless(*args)
    out, err = asked.communicate()
    assert (asked.returncode, err) == (0, "")
    assert "Usage" in out


@pytest.mark.parametrize("args", [["serve", "--port=0"], ["instances", "list"], ["keys", "list"]])
def test_without_a_home_the_data_has_to_be_named(args: list[str]) -> None:
    asked = homeless(*args)
    out, err = asked.communicate()
    assert (asked.returncode, out) == (1, "")
    assert err == (
        "opencode-relay: There is no home directory to keep data in: name a directory with "
        "RELAY_DATA.\n"
    )
