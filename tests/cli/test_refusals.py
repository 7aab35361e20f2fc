"""What the operator has to mend is one sentence and exit status 1, never a traceback."""

import resource
import socket
import sqlite3
import subprocess
from pathlib import Path

import pytest
from opencode_relay import __version__

from tests.support.served import COMMAND, Done, MakeServed, environment, run, run_here


def refused(*args: object, **env: str) -> str:
    """Run a command that must be refused, and return its sentence."""
    return sentence(run(*args, **env))


def sentence(done: "subprocess.CompletedProcess[str] | Done") -> str:
    lines = done.stderr.splitlines()
    told = [line for line in lines if line.startswith("opencode-relay: ")]
    assert (done.returncode, len(told), lines[-1:]) == (1, 1, told), done.stderr
    assert "Traceback" not in done.stderr
    return told[0]


def test_the_version_is_told() -> None:
    done = run("--version")
    assert (done.returncode, done.stdout) == (0, f"{__version__}\n")


def test_help_lists_commands_and_settings() -> None:
    for command in ("serve", "demo", "instances", "keys"):
        assert command in run("--help").stdout
    assert "RELAY_TRUSTED_PROXIES" in run("serve", "--help").stdout


@pytest.mark.parametrize("args", [[], ["nothing"], ["serve", "--nothing"], ["instances"], ["keys"]])
def test_a_wrong_command_line_is_told_by_usage(args: list[str]) -> None:
    done = run(*args)
    assert done.returncode == 2
    assert "Usage" in done.stdout + done.stderr
    assert "Traceback" not in done.stderr


def test_a_port_in_use_is_refused(data: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        told = refused("serve", "--port", port, "--data", data)
    assert f"Cannot listen on 127.0.0.1, port {port}" in told
    assert not data.exists()


@pytest.mark.parametrize("port", [65536, -1, 10**12])
def test_a_port_that_does_not_exist_is_refused(data: Path, port: int) -> None:
    assert str(port) in refused("serve", f"--port={port}", "--data", data)


def test_a_host_that_is_not_here_is_refused(data: Path) -> None:
    assert "192.0.2.1" in refused("serve", "--host=192.0.2.1", "--port=0", "--data", data)


@pytest.mark.parametrize("host", ["0.0.0.0", "::"])  # noqa: S104
def test_an_open_host_needs_a_public_url(data: Path, host: str) -> None:
    assert "--public-url" in refused("serve", f"--host={host}", "--port=0", "--data", data)


@pytest.mark.parametrize("url", ["http://relay.example", "relay.example", "https://relay.example/"])
def test_a_public_url_must_be_an_https_origin(data: Path, url: str) -> None:
    told = refused("serve", "--port=0", "--data", data, f"--public-url={url}")
    assert told.startswith("opencode-relay: --public-url: ")
    assert not data.exists()


def test_a_wrong_setting_is_refused_by_its_name(data: Path) -> None:
    told = refused("serve", "--port=0", "--data", data, RELAY_MAX_WAIT="60")
    assert "RELAY_MAX_WAIT" in told


@pytest.mark.parametrize("name", ["default", "a\nb", "x" * 65])
def test_a_name_that_tells_nothing_is_refused(data: Path, name: str) -> None:
    told = refused("serve", "--port=0", "--data", data, "--name", name)
    assert "--name" in told
    assert not (data / "instance.key").exists()


def test_a_return_url_that_is_none_is_refused_without_a_word_about_names(data: Path) -> None:
    told = refused("serve", "--port=0", "--data", data, "--return-url=http://opencode.example/cb")
    assert "return URL" in told
    assert "--name" not in told
    assert not (data / "instance.key").exists()


def test_a_key_that_cannot_be_kept_enrols_nobody(data: Path) -> None:
    told = refused("serve", "--port=0", "--data", data, f"--key-file={data}/none/key")
    assert f"{data}/none/key" in told
    assert "--json" not in told
    assert run_here("instances", "list", "--json", f"--data={data}").stdout == "[]\n"


# The data directory


@pytest.mark.parametrize("below", ["", "data", "data/more"])
def test_a_file_is_no_data_directory(tmp_path: Path, below: str) -> None:
    (tmp_path / "file").write_text("x")
    told = refused("serve", "--port=0", "--data", tmp_path / "file" / below)
    assert "Cannot make the data directory" in told


def test_a_full_disk_is_one_sentence(data: Path) -> None:
    """A limit of 0 bytes a file stands for the full disk: every write fails in the same place."""
    # Measuring coverage writes files too, and is not what is tested here.
    env = {k: v for k, v in environment().items() if not k.startswith("COVERAGE")}
    done = subprocess.run(
        [*COMMAND, "serve", "--port=0", f"--data={data}"],
        env=env,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0)),
        capture_output=True,
        text=True,
        check=False,
    )
    assert str(data) in sentence(done)
    assert not (data / "instance.key").exists()


def test_a_damaged_key_ring_is_one_sentence(serve: MakeServed, data: Path) -> None:
    serve().stop()
    (data / "keys.json").write_text("damaged")
    told = refused("serve", "--port=0", "--data", data)
    assert f"{data / 'keys.json'} is damaged" in told
    assert f"keys rotate --now --data {data}`" in told
    assert (data / "keys.json").read_text() == "damaged"


def test_a_newer_relays_data_is_one_sentence(serve: MakeServed, data: Path) -> None:
    serve().stop()
    database = sqlite3.connect(data / "relay.db")
    database.execute("PRAGMA user_version=99")
    database.close()
    assert "newer opencode-relay" in refused("serve", "--port=0", "--data", data)


def test_a_metrics_port_in_use_is_one_sentence(data: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        told = refused("serve", "--port=0", "--data", data, RELAY_METRICS_PORT=port)
    assert "RELAY_METRICS_PORT" in told


@pytest.mark.parametrize(
    "command",
    [
        ["instances", "add", "x"],
        ["instances", "list"],
        ["instances", "update", "x"],
        ["instances", "revoke", "x"],
        ["keys", "list"],
        ["keys", "rotate"],
        ["keys", "rotate", "--now"],
    ],
    ids=" ".join,
)
def test_where_no_relay_is_nothing_is_made(data: Path, command: list[str]) -> None:
    told = sentence(run_here(*command, "--data", data))
    assert "There is no relay in" in told
    assert f"opencode-relay serve --data {data}`" in told
    assert not data.exists()
