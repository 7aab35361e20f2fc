"""Servers under measurement: pinned to a core, read by the operating system's own clocks."""

import contextlib
import os
import re
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

PATIENCE = 60  # seconds for what a busy machine may delay
SERVER_CORE, CLIENT_CORE = 0, 1


def pin(core: int) -> None:
    """Keep this process, and what it starts from now on, on one core."""
    os.sched_setaffinity(0, {core})


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
        return port


def environment(env: Mapping[str, str] | None = None) -> dict[str, str]:
    """Return PATH and HOME and what is given: all that a contender's process gets."""
    kept = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
    return {**kept, **(env or {})}


class Server:
    """A running server and its process tree. `env` is added to PATH and HOME."""

    def __init__(
        self, argv: Sequence[str | Path], port: int, env: Mapping[str, str] | None = None
    ) -> None:
        self.port = port
        self.log = tempfile.TemporaryFile("w+")  # noqa: SIM115  # lives as long as the server
        before = os.sched_getaffinity(0)
        pin(SERVER_CORE)  # inherited, so that not even the start is on another core
        self.started = time.perf_counter()
        try:
            self.process = subprocess.Popen(
                [str(arg) for arg in argv],
                env=environment(env),
                stdin=subprocess.DEVNULL,
                stdout=self.log,
                stderr=subprocess.STDOUT,
            )
        finally:
            os.sched_setaffinity(0, before)

    def output(self) -> str:
        self.log.flush()
        self.log.seek(0)
        return self.log.read()

    def until_answering(self) -> None:
        """Wait until any request is answered. Raises RuntimeError with the server's output."""
        while time.perf_counter() - self.started < PATIENCE and self.process.poll() is None:
            with contextlib.suppress(OSError), self._connect() as connection:
                connection.sendall(b"GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
                if connection.recv(1):
                    return
            time.sleep(0.002)
        said = self.output()
        raise RuntimeError(f"{self.process.args!r} does not answer on {self.port}: {said}")

    def _connect(self) -> socket.socket:
        return socket.create_connection(("127.0.0.1", self.port), timeout=PATIENCE)

    def pids(self) -> list[int]:
        return _tree(self.process.pid)

    def cpu(self) -> float:
        """Return seconds of CPU of the process tree, ended threads and children included.

        Of who lives it is the process CPU-time clock of POSIX (clock_getcpuclockid), which counts
        nanoseconds; the sum of /proc/PID/task/*/schedstat is the same but forgets threads that have
        ended. Of who has ended it is what those that waited for them were told (getrusage's
        RUSAGE_CHILDREN), in ticks of 10 ms, up to two of which are lost for each parent. Not in it:
        a child that its parent never waits for, and one that outlives its parent and so leaves the
        tree. Raises RuntimeError with the server's output if it has ended itself.
        """
        while self.process.poll() is None:
            pids = self.pids()
            with contextlib.suppress(OSError):  # a helper that has just ended
                found = sum(time.clock_gettime((~pid << 3) | 2) + _ended(pid) for pid in pids)
                if pids == self.pids():  # else one that ended meanwhile might count twice
                    return found
        raise RuntimeError(f"{self.process.args!r} has ended: {self.output()}")

    def pss(self) -> int:
        """Return the proportional set size of the process tree, in bytes."""
        return sum(map(pss, self.pids()))

    def stop(self) -> None:
        for how in (signal.SIGTERM, signal.SIGKILL):
            if self.process.poll() is None:
                self.process.send_signal(how)
                with contextlib.suppress(subprocess.TimeoutExpired):
                    self.process.wait(10)
        self.log.close()


def pss(pid: int) -> int:
    """Return the proportional set size of one process, in bytes; 0 where it has ended."""
    with contextlib.suppress(OSError):
        rollup = Path(f"/proc/{pid}/smaps_rollup").read_text()
        if found := re.search(r"^Pss: +(\d+) kB", rollup, re.MULTILINE):
            return int(found[1]) * 1024
    return 0


def _ended(pid: int) -> float:
    """Return seconds of CPU of the children, and theirs, that have ended and were waited for."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return sum(map(int, fields[13:15])) / os.sysconf("SC_CLK_TCK")  # cutime, cstime


def _tree(pid: int) -> list[int]:
    found = [pid]
    for task in Path(f"/proc/{pid}/task").glob("*/children"):
        with contextlib.suppress(OSError):
            for child in task.read_text().split():
                found += _tree(int(child))
    return found


@contextlib.contextmanager
def serving(
    argv: Sequence[str | Path], port: int, env: Mapping[str, str] | None = None
) -> Iterator[Server]:
    server = Server(argv, port, env)
    try:
        server.until_answering()
        yield server
    finally:
        server.stop()
