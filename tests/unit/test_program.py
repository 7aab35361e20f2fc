"""Commands that sentences name: as the program was started, so that they can be pasted."""

from pathlib import Path

import pytest
from opencode_relay import program


@pytest.fixture(autouse=True)
def started(monkeypatch: pytest.MonkeyPatch) -> None:
    """Start it from somewhere that PATH does not name, and without uv."""
    for name in ("UV", "UV_RUN_RECURSION_DEPTH"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("PATH", "/nowhere")
    monkeypatch.setattr("sys.argv", ["/srv/the relay/.venv/bin/opencode-relay", "serve"])


def test_by_uv(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("UV_RUN_RECURSION_DEPTH", "1")
    assert program.command("keys", "list") == "`uv run opencode-relay keys list`"
    assert program.name() == "uv run opencode-relay"


def test_by_uv_for_one_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """From another folder `uv run` finds no project, and what uvx puts on PATH is gone soon."""
    (tmp_path / "opencode-relay").touch(mode=0o700)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("UV", "/bin/uv")
    wanted = "`'/srv/the relay/.venv/bin/opencode-relay' keys list`"
    assert program.command("keys", "list") == wanted
    monkeypatch.setenv("UV_RUN_RECURSION_DEPTH", "1")
    monkeypatch.chdir(tmp_path)
    assert program.command("keys", "list") == wanted


def test_as_a_module(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.argv", ["/srv/opencode_relay/cli/__main__.py"])
    monkeypatch.setattr("sys.executable", "/srv/bin/python")
    assert program.command("keys", "list") == "`/srv/bin/python -m opencode_relay.cli keys list`"


def test_by_its_path() -> None:
    wanted = "`'/srv/the relay/.venv/bin/opencode-relay' keys list`"
    assert program.command("keys", "list") == wanted


def test_by_its_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "opencode-relay").touch(mode=0o700)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert program.command("keys", "list") == "`opencode-relay keys list`"


def test_by_another_program(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.argv", ["/var/runtime/bootstrap.py"])
    assert program.command("keys", "list") == "`opencode-relay keys list`"


def test_what_callers_read_tells_no_path() -> None:
    assert program.name() == "opencode-relay"


def test_words_are_quoted() -> None:
    assert program.command("serve", "--data", Path("/a b")).endswith(" serve --data '/a b'`")
