"""`connect` and `disconnect`: what they leave in opencode's folder, and what they leave alone."""

from __future__ import annotations

import json
import os
import pty
import subprocess
from pathlib import Path
from typing import Any

import pytest
from opencode_relay import bundle
from opencode_relay.instances import Instance

from tests.cli.homes import PLUGIN, SETTINGS, Home
from tests.cli.instances import Instances
from tests.support.ports import free_port
from tests.support.served import COMMAND, environment

# What is written


def test_from_nothing_to_connected(home: Home, relay: str, key_file: Path) -> None:
    done = home.connect(relay, "--key-file", key_file)
    assert {name: mode for name, (mode, _, _) in home.tree().items()} == {
        f".config/opencode/plugins/{PLUGIN}": 0o600,
        f".config/opencode/plugins/{SETTINGS}": 0o600,
    }
    assert home.settings == {"relay": relay, "keyFile": str(key_file)}
    assert (home.plugins / PLUGIN).read_bytes() == b"// the plugin\n"
    assert "the key holds: a made-up login went all the way" in done.stdout
    assert f"Wrote {home.plugins / SETTINGS}\n" in done.stdout
    assert "Restart opencode. Then in it: Settings, Providers, OpenAI, Connect." in done.stdout


def test_the_folder_is_where_xdg_says(home: Home, relay: str, key_file: Path) -> None:
    home.connect(relay, "--key-file", key_file, XDG_CONFIG_HOME=str(home.path / "xdg"))
    assert (home.path / "xdg/opencode/plugins" / SETTINGS).exists()
    assert not home.config.exists()


def test_the_key_may_come_by_the_environment(
    home: Home, relay: str, key: str, key_file: Path
) -> None:
    done = home.connect(OPENCODE_RELAY_URL=relay, OPENCODE_RELAY_KEY=key)
    assert home.settings == {"relay": relay, "key": key}
    assert key not in done.stdout + done.stderr
    home.connect(relay, OPENCODE_RELAY_KEY_FILE=str(key_file))
    assert home.settings == {"relay": relay, "keyFile": str(key_file)}


def test_the_key_may_come_by_a_pipe(home: Home, relay: str, key: str) -> None:
    env = {**environment(HOME=str(home.path)), "XDG_CONFIG_HOME": ""}
    done = subprocess.run(
        [*COMMAND, "connect", relay, "--key-file", "-"],
        input=f" {key}\n",
        env=env,
        capture_output=True,
        text=True,
        check=False,
    )
    if "Node" in done.stderr:
        pytest.skip("needs Node, which builds the plugin")
    assert done.returncode == 0, done.stderr
    assert home.settings == {"relay": relay, "key": key}


def test_a_terminal_is_asked_and_shows_no_key(home: Home, relay: str, key: str) -> None:
    home.plugins.mkdir(parents=True)
    (home.plugins / SETTINGS).write_text(json.dumps({"relay": relay, "catcher": True}))
    terminal, end = pty.openpty()
    with subprocess.Popen(
        [*COMMAND, "connect", "--public-url=auto"],
        env={**environment(HOME=str(home.path)), "XDG_CONFIG_HOME": "", "TERM": "dumb"},
        stdin=end,
        stdout=end,
        stderr=end,
        start_new_session=True,
    ) as process:
        os.close(end)
        shown, answers = b"", [f"{key[:-1]}\n", f"{key}\n"]
        while answers or process.poll() is None:
            try:
                shown += os.read(terminal, 65536)
            except OSError:  # its end
                break
            # The space comes when nothing is echoed any more.
            if answers and shown.count(b"not shown): ") > 2 - len(answers):
                os.write(terminal, answers.pop(0).encode())
    os.close(terminal)
    if b"Node" in shown:
        pytest.skip("needs Node, which builds the plugin")
    assert f"{relay} wants an instance key.".encode() in shown
    assert b"This is not an instance key" in shown
    assert key[4:-1].encode() not in shown
    assert home.settings == {"relay": relay, "catcher": True, "publicUrl": "auto", "key": key}


def test_no_key_is_asked_where_nobody_can_answer(home: Home, relay: str) -> None:
    assert "wants an instance key. Name a file" in home.refused(relay)


def test_without_a_relay_pasting_is_connected(home: Home) -> None:
    home.connect()
    assert home.settings == {}


# Once more


def test_again_nothing_is_changed(home: Home, relay: str, key: str) -> None:
    home.connect(relay, OPENCODE_RELAY_KEY=key)
    before = home.tree()
    assert "Nothing to change." in home.connect(relay).stdout
    assert "Nothing to change." in home.connect().stdout
    assert home.tree() == before


def test_only_what_differs_is_changed(home: Home, relay: str, key: str) -> None:
    home.connect(relay, OPENCODE_RELAY_KEY=key)
    own = {**home.settings, "listen": "127.0.0.1:4444"}
    (home.plugins / SETTINGS).write_text(json.dumps(own))
    plugin = home.tree()[f".config/opencode/plugins/{PLUGIN}"]
    for args, options in (
        (["--catcher"], {"catcher": True}),
        (["--public-url=auto"], {"catcher": True, "publicUrl": "auto"}),
        (["--no-catcher", "--public-url="], {"catcher": False}),
    ):
        home.connect(*args)
        assert home.settings == own | options
    assert home.tree()[f".config/opencode/plugins/{PLUGIN}"] == plugin


def test_what_others_can_read_is_closed(home: Home, relay: str, key: str) -> None:
    home.connect(relay, OPENCODE_RELAY_KEY=key)
    (home.plugins / SETTINGS).chmod(0o644)
    home.connect()
    assert home.tree()[f".config/opencode/plugins/{SETTINGS}"][0] == 0o600


def test_an_upgrade_leaves_one_plugin_and_others_alone(home: Home, relay: str, key: str) -> None:
    home.connect(relay, OPENCODE_RELAY_KEY=key)
    (home.plugins / PLUGIN).rename(home.plugins / "opencode-relay-0.0.9.js")
    (home.plugins / "opencode-relay-notes.js").touch()
    (home.plugins / "other.js").touch()
    done = home.connect()
    assert f"Removed {home.plugins / 'opencode-relay-0.0.9.js'}\n" in done.stdout
    assert {path.name for path in home.plugins.iterdir()} == {
        *(PLUGIN, SETTINGS, "opencode-relay-notes.js", "other.js")
    }


# What fails changes nothing


def test_a_relay_that_is_not_there(home: Home, relay: str, key: str) -> None:
    home.connect(relay, OPENCODE_RELAY_KEY=key)
    nobody = f"http://127.0.0.1:{free_port()}"
    told = home.refused(nobody, OPENCODE_RELAY_KEY=key)
    assert f"{nobody}, reachable: Nothing answers" in told
    assert "Nothing was changed." in told


def test_another_relay_is_not_given_the_key_of_the_first(home: Home, relay: str, key: str) -> None:
    home.connect(relay, "--catcher", OPENCODE_RELAY_KEY=key)
    shown = home.connect("https://other.example", "--print").stdout
    assert json.loads(shown[shown.index("{") : shown.index("}") + 1]) == {
        "relay": "https://other.example",
        "catcher": True,
    }
    assert "A key would be asked for" in shown


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        (lambda key: f"{key[:-1]}{'0' if key[-1] != '0' else '1'}", "mistyped or cut off"),
        (lambda _: "x", "This is not an instance key"),
        (lambda _: Instance.enrol("x", [], 0)[1].reveal(), "does not know this instance key"),
    ],
    ids=["mistyped", "none", "unknown"],
)
def test_a_key_that_is_wrong(home: Home, relay: str, key: str, wrong: Any, says: str) -> None:
    told = home.refused(relay, OPENCODE_RELAY_KEY=wrong(key))
    assert says in told
    assert "ocr_0" not in told


@pytest.mark.parametrize("fails", [1, 2])
def test_a_write_that_fails(
    home: Home, relay: str, key: str, fails: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    home.connect(relay, OPENCODE_RELAY_KEY=key)
    monkeypatch.setattr(bundle, "read", lambda: b"// a newer one\n")
    replace, calls = Path.replace, iter(range(1, 9))

    def full(path: Path, target: Path) -> Path:
        if next(calls) == fails:
            raise OSError(28, "No space left on device")
        return replace(path, target)

    monkeypatch.setattr(Path, "replace", full)
    before = {name: held[:2] for name, held in home.tree().items()}
    done = home.run("connect", "--catcher")
    assert (done.returncode, "No space left" in done.stderr) == (1, True)
    assert {name: held[:2] for name, held in home.tree().items()} == before


def test_settings_that_are_no_settings(home: Home, relay: str) -> None:
    home.plugins.mkdir(parents=True)
    (home.plugins / SETTINGS).write_text('{"key": "ocr_secret"')
    told = home.refused(relay)
    assert f"{home.plugins / SETTINGS} is no JSON object: mend or remove it." in told
    assert "secret" not in told


@pytest.mark.parametrize(
    "args",
    [["https://relay.example/x"], ["--public-url=http://opencode.example"]],
    ids=["relay", "public url"],
)
def test_what_is_no_origin(home: Home, args: list[str]) -> None:
    assert "must be" in home.refused(*args)


def test_a_return_url_that_is_not_registered_is_told(
    home: Home, instances: Instances, name: str, relay: str
) -> None:
    url = "https://opencode.example"
    added = instances.json("add", name)
    told = home.connect(relay, "--public-url", url, OPENCODE_RELAY_KEY=added["key"]).stderr
    assert f"--return-url {url}/auth/callback" in told
    instances.json("update", added["instance_id"], "--return-url", f"{url}/auth/callback")
    assert home.connect().stderr == ""


# --print


def test_shown_is_not_done(home: Home, key: str) -> None:
    done = home.connect("https://relay.example", "--catcher", "--print", OPENCODE_RELAY_KEY=key)
    assert json.loads(done.stdout[done.stdout.index("{") :]) == {
        "relay": "https://relay.example",
        "catcher": True,
        "key": "ocr_…",
    }
    assert str(home.plugins / PLUGIN) in done.stdout
    assert home.tree() == {}


# disconnect


def test_disconnecting_leaves_what_was_there_before(home: Home, relay: str, key: str) -> None:
    home.plugins.mkdir(parents=True)
    (home.config / "opencode.jsonc").write_text("{} // mine")
    (home.plugins / "other.js").touch()
    before = home.tree()
    home.connect(relay, OPENCODE_RELAY_KEY=key)
    (home.plugins / ".opencode-relay-left").write_text(key)
    done = home.run("disconnect")
    assert f"Removed {home.plugins / SETTINGS}\n" in done.stdout
    assert f"instances revoke {key.split('_')[1]}`" in done.stdout
    assert key not in done.stdout
    assert home.tree() == before


def test_disconnecting_tells_what_goes_whatever_else_is_wrong(
    home: Home, relay: str, key: str
) -> None:
    home.connect(relay, OPENCODE_RELAY_KEY=key)
    own = {"listen": "127.0.0.1:4444", "headless": False}
    (home.plugins / SETTINGS).write_text(json.dumps({**home.settings, **own}))
    (home.config / "opencode.json").write_text("{")
    done = home.run("disconnect")
    assert (done.returncode, home.plugins.exists()) == (0, False)
    assert "opencode cannot read" in done.stdout
    assert f"the settings {json.dumps(own)}" in done.stdout
    assert f"instances update {key.split('_')[1]} --new-key`" in done.stdout
    assert "Restart opencode." in done.stdout
    assert key not in done.stdout


def test_disconnecting_leaves_no_empty_folder(home: Home) -> None:
    home.connect()
    home.run("disconnect")
    assert not home.plugins.exists()
    done = home.run("disconnect")
    assert (done.returncode, done.stdout) == (0, "Nothing was connected.\n")
