"""The unit: closed as far as systemd can measure it, and run by a systemd with all of that on."""

import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.docs.pages import blocks, read
from tests.support.served import until

from .booted import Booted, booted
from .conftest import ROOT

UNIT = ROOT / "infra/systemd/opencode-relay.service"
PAGE = read("docs/operations.md").partition("### As a service\n")[2].partition("\n## ")[0]
INSTALL, OPERATE, _, UPGRADE, REMOVE, SOCKET = blocks(PAGE, "sh")
PIP = "/opt/opencode-relay/bin/pip install .\n"
MADE = f"/usr/bin/python3 -m venv /opt/opencode-relay\n{PIP}"
EXPOSURE = 15  # tenths; systemd calls 10 to 49 "OK", and with a network on loopback 11 are left
SETTINGS = "/etc/opencode-relay.env"
FOR_THE_TEST = "[Service]\nStandardOutput=append:/run/log\nStandardError=inherit\nRestartSec=0\n"


def exposure(unit: Path) -> int:
    program = shutil.which("systemd-analyze")
    if not program:
        pytest.skip("not installed: systemd-analyze")
    measure = [program, "security", "--offline=true", f"--threshold={EXPOSURE}", str(unit)]
    return subprocess.run(measure, capture_output=True, check=False).returncode


def test_systemd_finds_it_closed(tmp_path: Path) -> None:
    assert exposure(UNIT) == 0
    opened = tmp_path / UNIT.name
    opened.write_text(UNIT.read_text().replace("SystemCallFilter=", "#"))
    assert exposure(opened) != 0


@pytest.fixture(scope="module")
def machine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Booted]:
    """A machine on which the page's commands were pasted, all but pip's."""
    with booted(tmp_path_factory.mktemp("systemd") / "log") as machine:
        ours = machine.root / "run/systemd/system/opencode-relay.service.d/test.conf"
        ours.parent.mkdir(parents=True)
        ours.write_text(FOR_THE_TEST)
        assert MADE in INSTALL
        machine.must(INSTALL.replace(MADE, ""))
        yield machine


def state(machine: Booted) -> dict[str, str]:
    shown = machine.must("systemctl show opencode-relay")
    return dict(line.split("=", 1) for line in shown.splitlines())


def answers(machine: Booted, how: str = "http://127.0.0.1:8787/healthz") -> None:
    until(lambda: machine.can(f"curl -sSf {how}"), "an answer")


def test_it_runs_as_its_user_without_a_right(machine: Booted) -> None:
    answers(machine)
    now = state(machine)
    assert (now["ActiveState"], now["UnitFileState"]) == ("active", "enabled")
    status = machine.must(f"cat /proc/{now['MainPID']}/status")
    assert re.findall(r"(?:CapBnd|NoNewPrivs|Seccomp):\t(\w+)", status) == ["0" * 16, "1", "2"]
    assert machine.must(f"stat -c %U /proc/{now['MainPID']}") == "opencode-relay\n"
    assert "http://127.0.0.1:8787\nIts URL is https://relay.example.com\n" in machine.must(
        "cat /run/log"
    )


def test_its_data_is_its_own(machine: Booted) -> None:
    answers(machine)
    listed = machine.must("stat -c '%a %U' /var/lib/opencode-relay /var/lib/opencode-relay/*")
    assert listed.splitlines()[0] == "700 opencode-relay"
    assert set(listed.splitlines()[1:]) == {"600 opencode-relay"}
    assert "ocr_" in machine.must(OPERATE)


def test_a_login_goes_through_it(machine: Booted) -> None:
    machine.must(f"echo RELAY_MAX_WAIT=1 >{SETTINGS}; systemctl restart opencode-relay")
    answers(machine)
    key = "OPENCODE_RELAY_KEY=$(cat /var/lib/opencode-relay/instance.key)"
    program = "/opt/opencode-relay/bin/opencode-relay"
    machine.must(f"{key} {program} doctor http://127.0.0.1:8787")


def test_killed_it_starts_again_and_stopped_it_stays(machine: Booted) -> None:
    answers(machine)
    before = state(machine)["MainPID"]
    machine.must("systemctl kill --signal=KILL opencode-relay")
    until(lambda: state(machine)["MainPID"] not in {before, "0"}, "a new process")
    answers(machine)
    machine.must("systemctl stop opencode-relay")
    now = state(machine)
    assert (now["ActiveState"], now["Result"], now["ExecMainStatus"]) == (
        "inactive",
        "success",
        "0",
    )


def test_on_a_unix_socket_the_proxys_user_reaches_it(machine: Booted) -> None:
    machine.must(f": >/run/log; echo RELAY_PUBLIC_URL=https://relay.example.com >{SETTINGS}")
    machine.must(f"id caddy || useradd --system caddy\n{SOCKET}")
    socket = "--unix-socket /run/opencode-relay/relay.sock"
    curl = f"curl -sSf {socket} -H 'X-Forwarded-For: 198.51.100.7' http://relay/healthz"
    until(lambda: machine.can(f"runuser -u caddy -- {curl}"), "an answer")
    assert not machine.can(f"runuser -u nobody -- {curl}")
    assert "proxy_not_trusted" not in machine.must("cat /run/log")
    machine.must("systemctl stop opencode-relay")
    assert not machine.can("ls /run/opencode-relay")


def test_it_is_upgraded_and_gone_in_the_end(machine: Booted) -> None:
    assert PIP in UPGRADE
    machine.must(UPGRADE.replace(PIP, ""))
    assert state(machine)["ActiveState"] == "active"
    machine.must(REMOVE)
    assert not machine.can("systemctl cat opencode-relay && id opencode-relay")
    assert not machine.can("ls -d /var/lib/opencode-relay")
