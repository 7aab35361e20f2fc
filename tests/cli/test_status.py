"""`status`: what it looks at of what `connect` wrote, and entries, which win over it."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from opencode_relay import __version__
from opencode_relay.cli import options as known

from tests.cli.homes import PLUGIN, SETTINGS, Home
from tests.cli.instances import Instances
from tests.docs.pages import read

COMMENTED = """// Mine, with a comma at each end.
{
  /* "plugin": ["never"], */
  "model": "a//b, ]",
  "plugin": ["other", ["%s", {"relay": "https://relay.example"},],],
}
"""


def rows(home: Home) -> tuple[int, dict[str, tuple[bool | None, str]]]:
    done = home.run("status", "--json")
    found = json.loads(done.stdout)["checks"]
    return done.returncode, {row["check"]: (row["ok"], row["seen"]) for row in found}


def test_what_is_connected_and_holds(home: Home, relay: str, key: str) -> None:
    home.connect(relay, "--catcher", OPENCODE_RELAY_KEY=key)
    status, found = rows(home)
    assert status == 0
    assert found["settings"] == (True, f"{relay}; catcher, key")
    assert found["plugin"] == (True, f"version {__version__}")
    assert found["a whole login"][0] is True
    done = home.run("status")
    assert "All is well." in done.stdout
    assert key not in done.stdout


def test_without_a_relay_there_is_nobody_to_ask(home: Home) -> None:
    home.connect()
    assert rows(home)[0] == 0
    assert "a whole login" not in rows(home)[1]


def test_nothing_is_connected(home: Home) -> None:
    status, found = rows(home)
    assert (status, found) == (3, {"connected": (None, "nothing")})
    told = home.run("status").stdout
    assert "opencode-relay connect RELAY_URL` connects a relay" in told
    assert "opencode-relay connect` pasting alone" in told


def test_a_key_that_holds_no_more(home: Home, instances: Instances, relay: str, key: str) -> None:
    home.connect(relay, OPENCODE_RELAY_KEY=key)
    instances.json("revoke", key.split("_")[1])
    status, found = rows(home)
    assert status == 1
    assert "it was revoked" in found["a whole login"][1]


def test_an_old_plugin_and_a_file_that_is_open_to_others(home: Home) -> None:
    home.connect()
    (home.plugins / PLUGIN).rename(home.plugins / "opencode-relay-0.0.9.js")
    assert f"It is 0.0.9, and this program brings {__version__}" in rows(home)[1]["plugin"][1]
    (home.plugins / SETTINGS).chmod(0o640)
    assert "(mode 0640)" in rows(home)[1]["settings"][1]
    (home.plugins / "opencode-relay-0.0.9.js").unlink()
    home.connect()
    assert rows(home)[0] == 0


def test_a_folder_that_others_may_write(home: Home) -> None:
    home.connect()
    home.plugins.chmod(0o777)
    assert f"Others may write to {home.plugins} (mode 0777)" in home.refused()
    status, found = rows(home)
    assert (status, found["who is asked"][0]) == (1, False)
    assert f"`chmod go-w {home.plugins}`" in found["who is asked"][1]


# An entry in opencode.json


@pytest.mark.parametrize("file", ["config.json", "opencode.json", "opencode.jsonc"])
@pytest.mark.parametrize("name", ["opencode-relay", "opencode-relay@file:/x.tgz"])
def test_an_entry_wins_and_is_named(home: Home, file: str, name: str) -> None:
    home.connect()
    (home.config / file).write_text(COMMENTED % name)
    told = home.refused()
    assert f"{home.config / file} has the plugin already ('{name}'), and that one wins" in told
    assert "disconnect`" in rows(home)[1]["who is asked"][1]
    done = home.run("disconnect")
    assert f"{home.config / file} still has the plugin: '{name}'." in done.stdout
    status, found = rows(home)
    assert (status, found["who is asked"][0]) == (3, None)
    assert name in found["who is asked"][1]


BUILT = 'export default { id: "opencode-relay" }'


def test_an_entry_may_be_a_file_of_any_name(home: Home, tmp_path: Path) -> None:
    built = tmp_path / "my dir/index.js"
    built.parent.mkdir()
    built.write_text(BUILT)
    home.config.mkdir(parents=True)
    (home.config / "pl").write_text(f"{built}\n")
    for name in (f"file://{built}", built.as_uri(), str(built), str(built.parent), "{file:./pl}"):
        config = json.dumps({"plugin": [name]})
        (home.config / "opencode.json").write_text(config)
        assert name in home.refused()
        (home.config / "opencode.json").write_text("{}")
        (tmp_path / "other.json").write_text(config)
        assert name in home.refused(OPENCODE_CONFIG=str(tmp_path / "other.json"))
        assert name in home.refused(OPENCODE_CONFIG_CONTENT=config)


@pytest.mark.parametrize("copy", ["plugin/x.js", "plugin/opencode-relay-0.1.0.js", "plugins/x.js"])
def test_a_copy_that_opencode_loads_too_is_named(home: Home, copy: str) -> None:
    (home.config / copy).parent.mkdir(parents=True)
    (home.config / copy).write_text(BUILT)
    assert f"{(home.config / copy).parent} has the plugin already" in home.refused()


@pytest.mark.parametrize(
    "text",
    [
        '{"mcp": {"opencode-relay": {}}} // "plugin": ["opencode-relay"]',
        '{"plugin": ["other", ["./mine.js", {"a": "opencode-relay"}], 1, []]}',
        '{"plugin": "opencode-relay"}',
        '{"plugin": ["@evil/opencode-relay-theme", "./opencode-relay/other.js", "{file:./no}"]}',
        "[]",
        "",
        "\ufeff{}",
    ],
)
def test_what_is_no_entry_is_in_nobodys_way(home: Home, text: str) -> None:
    home.config.mkdir(parents=True)
    (home.config / "opencode.json").write_text(text)
    home.connect()
    assert (home.config / "opencode.json").read_text() == text


def test_a_configuration_that_cannot_be_read_is_named(home: Home) -> None:
    home.config.mkdir(parents=True)
    (home.config / "opencode.json").write_text("{")
    assert f"opencode cannot read {home.config / 'opencode.json'}: " in home.refused()


def test_a_configuration_in_latin_1_is_opencodes_to_read(home: Home) -> None:
    home.config.mkdir(parents=True)
    (home.config / "opencode.json").write_bytes('{"username": "Zoë"}'.encode("latin-1"))
    home.connect()
    assert rows(home)[0] == 0


# Settings that somebody has changed


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"nope": 1}, "The setting 'nope' is unknown: remove it from"),
        ({"relay": 5}, "'relay' must be a text"),
        ({"relay": "https://relay.example", "keyFile": 7}, "'keyFile' must be a text"),
        ({"relay": "https://relay.example", "key": 7}, "'key' must be a text"),
        ({"catcher": "yes"}, "'catcher' must be true or false"),
        ({"keyFile": "/k"}, "'keyFile' takes a relay"),
        ({"relay": "https://relay.example/x"}, "'relay' must be an origin"),
        ({"relay": "https://relay.example", "publicUrl": "http://x.example"}, "must be https"),
        ({"listen": "4097"}, "'listen' must be an address and a port"),
    ],
)
def test_what_the_plugin_would_refuse(home: Home, options: object, says: str) -> None:
    home.connect()
    (home.plugins / SETTINGS).write_text(json.dumps(options))
    assert says in home.refused()
    status, found = rows(home)
    assert status == 1
    assert says in found["settings"][1]
    assert home.run("disconnect").returncode == 0


def test_what_only_another_user_may_read_is_named(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    home.connect()
    (home.config / "opencode.json").write_text("{}")
    read_text = Path.read_text
    for name in (SETTINGS, "opencode.json"):

        def refused(path: Path, *args: str, name: str = name, **named: str) -> str:
            if path.name == name:
                raise PermissionError(13, "Permission denied", str(path))
            return read_text(path, *args, **named)

        monkeypatch.setattr(Path, "read_text", refused)
        status, found = rows(home)
        assert status == 1
        assert any(f"{name} cannot be read" in seen for _, seen in found.values()), found


def test_the_plugin_knows_the_same_settings() -> None:
    source = read("plugin/src/settings.ts")
    texts = source.split("TEXTS = [")[1].split("];")[0]
    others = source.split("OPTIONS = [...TEXTS, ")[1].split("];")[0]
    assert re.findall('"(.*?)"', texts + others) == list(known.ALL)


def test_a_key_file_takes_a_relay(home: Home, key_file: Path) -> None:
    assert "'keyFile' takes a relay: give its URL too." in home.refused("--key-file", key_file)
    assert "cannot be read" in home.refused("https://x.example", "--key-file", "~nosuch/key")
