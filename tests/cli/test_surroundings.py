"""What a container or a bare terminal lacks: a home, a user's name, UTF-8."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.served import COMMAND, MakeServed, Served, environment, run_json

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


@pytest.mark.parametrize("command", ["connect", "status", "disconnect"])
def test_without_a_home_opencodes_folder_has_to_be_named(command: str, tmp_path: Path) -> None:
    asked = homeless(command, XDG_CONFIG_HOME="")
    _, err = asked.communicate()
    assert asked.returncode == 1
    assert err.startswith("opencode-relay: There is no home directory, so no folder of opencode's")
    assert err.count("\n") == 1
    named = homeless("disconnect", XDG_CONFIG_HOME=str(tmp_path))
    assert named.communicate() == ("Nothing was connected.\n", "")


# Terminals without UTF-8

ASCII = {
    "LC_ALL": "C",
    "PYTHONCOERCECLOCALE": "0",
    "PYTHONIOENCODING": "ascii",
    "PYTHONUTF8": "0",
}
NAME = "Zoë's “box” 🦊"


def run_bytes(*args: object, **env: str) -> "subprocess.CompletedProcess[bytes]":
    done = subprocess.run(
        [*COMMAND, *map(str, args)], env=environment(**env), capture_output=True, check=False
    )
    assert b"Traceback" not in done.stderr
    assert b"UnicodeEncodeError" not in done.stderr
    return done


@pytest.fixture
def ascii_served(serve: MakeServed, data: Path) -> Served:
    served = serve(**ASCII, RELAY_MAX_WAIT="1")
    run_json("instances", "add", NAME, "--return-url", "https://example.com/cb", "--data", data)
    return served


@pytest.mark.parametrize("command", [["instances", "list"], ["keys", "list"], ["keys", "rotate"]])
def test_without_utf8_a_command_shows_all_it_has(
    ascii_served: Served, data: Path, command: list[str]
) -> None:
    done = run_bytes(*command, "--data", data, **ASCII)
    assert done.returncode == 0
    assert done.stdout.isascii()
    assert command != ["instances", "list"] or b"Zo\\u00eb's \\u201cbox\\u201d" in done.stdout
    assert ascii_served.process.poll() is None


@pytest.mark.parametrize("name", [NAME, "Zoë"])
def test_without_utf8_json_says_the_same(ascii_served: Served, data: Path, name: str) -> None:
    if name != NAME:
        run_json("instances", "add", name, "--data", data)
    done = run_bytes("instances", "list", "--json", "--data", data, **ASCII)
    assert name in {one["name"] for one in json.loads(done.stdout)}
    assert ascii_served.process.poll() is None


def test_without_utf8_doctor_marks_what_it_saw(ascii_served: Served) -> None:
    done = run_bytes("doctor", ascii_served.url, OPENCODE_RELAY_KEY=ascii_served.key, **ASCII)
    assert (done.returncode, b"\\u2713" in done.stdout) == (0, True)
    done = run_bytes("doctor", "http://127.0.0.1:9", **ASCII)
    assert (done.returncode, b"\\u2717" in done.stdout) == (1, True)


def test_without_utf8_the_first_start_and_the_log_tell_all(serve: MakeServed) -> None:
    served = serve(RELAY_TÖSTS="1", **ASCII)
    assert "Enrolled the first instance, \\u201c" in served.stdout
    assert any(e["event"] == "setting_unknown" for e in served.events)  # each line is JSON


@pytest.mark.parametrize("args", [["--help"], ["serve", "--help"], ["catch", "--help"], ["demo"]])
def test_without_utf8_what_has_other_characters_is_written(args: list[str]) -> None:
    assert run_bytes(*args, **ASCII).returncode == 0


def test_a_directory_whose_name_is_no_text_is_told(tmp_path: Path) -> None:
    data = bytes(tmp_path) + b"/no\xff"
    with subprocess.Popen(
        [*COMMAND, "serve", "--port=0", "--data", data],
        env=environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    ) as served:
        assert served.stdout
        told = [served.stdout.readline() for _ in range(4)]  # empty ones, where it has died
        served.terminate()
    assert bytes(tmp_path) + b"/no\\udcff/instance.key\n" in told[0]
