"""The harness's own arithmetic: what it reads, what it divides, what it does not count."""

import json
import os
import re
import socket
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from benchmarks.harness import __main__ as command
from benchmarks.harness.client import Answer, complete, exchange, request
from benchmarks.harness.plot import bars
from benchmarks.harness.processes import PATIENCE, Server
from benchmarks.harness.results import Goal, Result
from benchmarks.harness.rounds import CPU, P50, SHARE, Busy, Plan, Requests, Wrong, rounds

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
BURN = """
import subprocess, sys, threading, time
def burn():
    while time.thread_time() < 0.2:
        pass
thread = threading.Thread(target=burn)
thread.start()
thread.join()
role, again = sys.argv[1], [sys.executable, __file__]
if role == "parent":
    subprocess.run([*again, "ends"])
    child = subprocess.Popen([*again, "holds"])
elif role == "ends":
    subprocess.run([*again, "ends too"])
elif role == "holds":
    held = b"x" * (64 << 20)
print("burnt", time.process_time(), flush=True)
if role in ("parent", "holds"):
    time.sleep(600)
"""


class Fake(Server):
    """A server whose clock is set by hand."""

    def __init__(self, port: int = 0) -> None:
        self.port, self.used = port, 0.0

    def cpu(self) -> float:
        return self.used


class Clocks:
    """The clocks of a client that is busy only where it is told to."""

    def __init__(self) -> None:
        self.wall = self.own = 0.0

    def perf_counter(self) -> float:
        return self.wall

    def process_time(self) -> float:
        return self.own

    def sleep(self, seconds: float) -> None:
        self.wall += seconds


@pytest.fixture
def clocks(monkeypatch: pytest.MonkeyPatch) -> Clocks:
    made = Clocks()
    monkeypatch.setattr("benchmarks.harness.rounds.time", made)
    return made


class Work:
    """A second's work, in which the client is busy for 0.9 s as often as `busy` says."""

    def __init__(
        self, clocks: Clocks, *, each: float = 0, busy: int = 0, right: bool = True
    ) -> None:
        self.server: Server = Fake()
        self.clocks, self.each, self.busy, self.right, self.runs = clocks, each, busy, right, 0

    def prepare(self, count: int) -> None:
        self.count = count

    def run(self) -> list[float]:
        self.runs += 1
        self.clocks.wall += 1
        self.clocks.own += 0.1
        if self.busy:
            self.busy -= 1
            self.clocks.own += 0.8
        assert isinstance(self.server, Fake)
        self.server.used += self.count * self.each / 1e6
        return [0.001 * number for number in range(1, self.count + 1)]

    def check(self) -> None:
        if not self.right:
            raise Wrong("not right")


def test_medians_of_a_round_are_per_operation(clocks: Clocks) -> None:
    rows = rounds({"it": Work(clocks, each=250)}, 101, Plan())
    assert rows["it"][CPU] == pytest.approx([250] * Plan().rounds)
    assert rows["it"][P50] == pytest.approx([51] * Plan().rounds)


def test_a_round_with_a_busy_client_is_void_and_repeated(clocks: Clocks) -> None:
    work = Work(clocks, busy=2)
    rows = rounds({"it": work}, 10, Plan(quick=True))
    assert work.runs == 3
    assert rows["it"][SHARE] == pytest.approx([0.1])


def test_a_client_that_stays_busy_ends_the_run(clocks: Clocks) -> None:
    with pytest.raises(Busy):
        rounds({"it": Work(clocks, busy=100)}, 10, Plan(quick=True))


def test_what_was_not_done_right_has_no_figures(clocks: Clocks) -> None:
    with pytest.raises(Wrong):
        rounds({"it": Work(clocks, right=False)}, 10, Plan(quick=True))


def test_ratios_are_those_of_the_rounds() -> None:
    rows = {"ours": {CPU: [1.0, 20.0, 3.0]}, "theirs": {CPU: [2.0, 40.0, 12.0]}}
    result = Result("", rows, [Goal("ours", "theirs", CPU, 0.5)], {})
    assert result.ratios(result.goals[0]) == [0.5, 0.5, 0.25]
    assert result.met()
    assert "| 0.5 (0.25–0.5) | ≤ 0.5 | met |" in result.as_text()
    kept = json.loads(json.dumps(result.as_json("name")))
    assert kept["goals"][0]["ratio"] == {
        "median": 0.5,
        "lowest": 0.25,
        "highest": 0.5,
        "rounds": [0.5, 0.5, 0.25],
    }
    assert set(kept["machine"]) == {"cpu", "kernel", "python"}
    assert kept["commit"]


def test_a_missed_goal_is_said() -> None:
    rows = {"ours": {CPU: [3.0]}, "theirs": {CPU: [2.0]}}
    result = Result("", rows, [Goal("ours", "theirs", CPU, 1.4)], {})
    assert not result.met()
    assert "**missed**" in result.as_text()


def test_a_ratio_without_a_goal_is_shown_and_decides_nothing() -> None:
    rows = {"ours": {CPU: [3.0]}, "theirs": {CPU: [2.0]}}
    result = Result("", rows, [Goal("ours", "theirs", CPU)], {})
    assert result.met()
    assert f"| ours | theirs | {CPU} | 1.5 (1.5–1.5) | – |  |" in result.as_text()
    [kept] = result.as_json("name")["goals"]
    assert (kept["ratio"]["median"], kept["at_most"], kept["met"]) == (1.5, None, None)


def test_the_same_figures_are_the_same_picture(tmp_path: Path) -> None:
    rows = {"ours": {CPU: [1.0, 2.0]}, "theirs": {CPU: [2.0, 3.0]}}
    result = Result("A table", rows, [Goal("ours", "theirs", CPU, 1)], {})
    for name in ("one.svg", "other.svg"):
        bars(result, CPU, tmp_path / name)
    assert (tmp_path / "one.svg").read_bytes() == (tmp_path / "other.svg").read_bytes()
    assert b"A table" in (tmp_path / "one.svg").read_bytes()


def test_cpu_and_memory_are_those_of_the_whole_tree(tmp_path: Path) -> None:
    """So is what has ended: of 0.2 s in a thread each, one child's, and one's whose parent ended.

    A child that is left out would be 0.2 s missing, one counted twice 0.2 s too many.
    """
    script = tmp_path / "burn.py"
    script.write_text(BURN)
    server = Server([sys.executable, script, "parent"], 0)
    try:
        for _ in range(6000):
            if server.output().count("burnt") == 4:
                break
            time.sleep(0.01)
        assert len(server.pids()) == 2
        burnt = sum(map(float, re.findall(r"burnt (.+)", server.output())))
        assert burnt >= 0.8
        assert server.cpu() == pytest.approx(burnt, abs=0.1)
        assert server.pss() > 64 << 20
        assert os.sched_getaffinity(server.process.pid) != os.sched_getaffinity(0)
    finally:
        for pid in reversed(server.pids()):
            os.kill(pid, 9)
        server.stop()


def test_the_clock_of_a_server_that_has_ended_is_no_figure() -> None:
    server = Server([sys.executable, "-c", "print('over')"], 0)
    try:
        server.process.wait(PATIENCE)
        with pytest.raises(RuntimeError, match="over"):
            server.cpu()
    finally:
        server.stop()


@pytest.mark.parametrize(
    ("whole", "body"),
    [
        (OK, b"ok"),
        (b"HTTP/1.1 204 No Content\r\nDate: now\r\n\r\n", b""),
        (
            b"HTTP/1.1 302 Found\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n",
            b"abc",
        ),
    ],
)
def test_an_answer_ends_where_it_says(whole: bytes, body: bytes) -> None:
    assert [complete(whole[:end]) for end in range(len(whole) + 1)] == [False] * len(whole) + [True]
    answer = Answer(whole, 0.1)
    assert (answer.status, answer.body) == (int(whole[9:12]), body)


def test_an_answer_that_tells_no_length_is_refused() -> None:
    with pytest.raises(ValueError, match="no length"):
        complete(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n")


def test_headers_are_found_whatever_their_case() -> None:
    answer = Answer(b"HTTP/1.1 303 See Other\r\nlocation: /a\r\nContent-Length: 0\r\n\r\n", 0)
    assert (answer.header("Location"), answer.header("Missing")) == ("/a", "")


@contextmanager
def echo() -> Iterator[int]:
    """A server that answers each request with its path."""

    def serve(connection: socket.socket) -> None:
        with connection:
            while got := connection.recv(65536):
                path = got.split()[1]
                length = f"HTTP/1.1 200 OK\r\nContent-Length: {len(path)}\r\n\r\n"
                connection.sendall(length.encode() + path)

    def accept() -> None:
        while True:
            try:
                connection = listener.accept()[0]
            except OSError:
                return
            threading.Thread(target=serve, args=[connection], daemon=True).start()

    with socket.create_server(("127.0.0.1", 0)) as listener:
        threading.Thread(target=accept, daemon=True).start()
        yield listener.getsockname()[1]
        listener.shutdown(socket.SHUT_RDWR)


@pytest.mark.parametrize("connections", [1, 3])
def test_answers_come_back_in_the_order_of_their_requests(connections: int) -> None:
    with echo() as port:
        paths = [f"/{number}" for number in range(20)]
        answers = exchange(port, [request("GET", path, port) for path in paths], connections)
    assert [answer.body.decode() for answer in answers] == paths
    assert all(answer.seconds > 0 for answer in answers)


def test_a_wrong_answer_is_shown() -> None:
    with echo() as port:
        one = request("GET", "/here", port)
        work = Requests(Fake(port), lambda count: [one] * count, lambda got: got.status == 404)
        with pytest.raises(Wrong, match="/here"):
            rounds({"it": work}, 3, Plan(quick=True))


def test_figures_of_a_quick_run_are_not_kept(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        command.main(["callbacks", "--quick", "--json"])
    assert "mean nothing" in capsys.readouterr().err


def test_a_kept_table_is_printed_again_as_it_was(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = {"ours": {CPU: [0.39745, 2000.0]}, "theirs": {CPU: [0.5, 1.0], P50: [1.0]}}
    goals = [Goal("ours", "theirs", CPU, 36), Goal("ours", "theirs", CPU)]
    result = Result("A table", rows, goals, {"it": "1.0"})
    monkeypatch.setattr(command, "KEPT", tmp_path)
    with pytest.raises(SystemExit):
        command.main(["crowd", "--kept"])
    assert "benchmarks/run crowd --json" in capsys.readouterr().err
    (tmp_path / "crowd.json").write_text(json.dumps(result.as_json("crowd")))
    assert command.main(["crowd", "--kept"]) == 0
    assert capsys.readouterr().out == f"{result.as_text()}\n"
    assert "(0.398–2,000)" in result.as_text()  # of 0.3975, which is what is kept


def test_without_a_name_the_tables_are_listed(capsys: pytest.CaptureFixture[str]) -> None:
    assert command.main([]) == 0
    listed = capsys.readouterr().out
    assert "callbacks: Callbacks: what the server does" in listed
    assert "startup: Start-up" in listed
