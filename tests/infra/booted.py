"""A systemd of its own, in which a unit is installed, started and stopped as on a server."""

import contextlib
import os
import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.served import PATIENCE, until

from .conftest import ROOT

SYSTEMD = Path("/lib/systemd/systemd")
LAUNCHER = """\
#!/usr/bin/env -S LD_LIBRARY_PATH=/opt/python/lib /opt/python/bin/python3 -I
import sys
sys.path[:0] = ["/opt/source", "/opt/packages"]
from opencode_relay.cli import main
main()
"""


class Booted:
    """`root` is its file system, as this process sees it."""

    def __init__(self, pid: str) -> None:
        self._enter = ["nsenter", "--target", pid, "--all", "sh", "-euc"]
        self.root = Path("/proc", pid, "root")

    def sh(self, script: str) -> subprocess.CompletedProcess[str]:
        """Run commands in it, in a clone."""
        return subprocess.run(
            [*self._enter, f"cd '{ROOT}'\n{script}"],
            capture_output=True,
            text=True,
            timeout=PATIENCE,
            check=False,
        )

    def must(self, script: str) -> str:
        done = self.sh(script)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def can(self, script: str) -> bool:
        return self.sh(script).returncode == 0


def _why_not() -> str | None:
    if os.geteuid() != 0:
        return "needs root, for namespaces"
    missing = [name for name in ("unshare", "nsenter", "useradd", "curl") if not shutil.which(name)]
    if not SYSTEMD.exists():
        missing.append("systemd")
    return f"not installed: {', '.join(missing)}" if missing else None


@contextlib.contextmanager
def booted(log: Path) -> Iterator[Booted]:
    """Boot, for as long as a `with` block; this repository's program is in /opt/opencode-relay."""
    if why := _why_not():
        pytest.skip(why)
    group = f"opencode-relay-test-{os.getpid()}"
    seen = [sys.base_prefix, sysconfig.get_path("purelib"), str(ROOT / "functions")]
    script = str(Path(__file__).with_suffix(".sh"))
    with (
        log.open("w") as out,
        subprocess.Popen(
            ["unshare", "--mount", "sh", script, "outer", group, *seen],
            stdout=out,
            stderr=subprocess.STDOUT,
        ) as process,
    ):
        try:
            yield until(lambda: _up(process, log), "systemd")
        finally:
            process.kill()
            process.wait()
            _remove_cgroup(group)


def _up(process: "subprocess.Popen[bytes]", log: Path) -> Booted | None:
    assert process.poll() is None, log.read_text()
    pid = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().strip()
    machine = Booted(pid)
    if not pid or not machine.can("systemctl is-active sysinit.target"):
        return None
    program = machine.root / "opt/opencode-relay/bin/opencode-relay"
    program.parent.mkdir(parents=True)
    program.write_text(LAUNCHER)
    program.chmod(0o755)
    return machine


def _remove_cgroup(name: str) -> None:
    remove = f"mount -t cgroup2 none /mnt && find /mnt/{name} -depth -type d -exec rmdir {{}} +"
    command = ["unshare", "--mount", "sh", "-c", remove]
    until(
        lambda: subprocess.run(command, capture_output=True, check=False).returncode == 0,
        "an empty cgroup",
    )
