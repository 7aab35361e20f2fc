"""Files of keys, and of other secrets, as `connect` and `status` read them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from .homes import SETTINGS, Home
from .hostile import Hostile


def test_one_that_is_not_there(home: Home, relay: str) -> None:
    assert "/no/key cannot be read" in home.refused(relay, "--key-file", "/no/key")


def test_one_of_everybodys_is_told(home: Home, relay: str, key_file: Path) -> None:
    key_file.chmod(0o644)
    told = f"Others may read the key in {key_file} (mode 0644): `chmod 600 '{key_file}'`"
    assert told in home.connect(relay, "--key-file", key_file).stderr
    assert told in home.run("doctor", relay, "--key-file", key_file).stderr
    status = home.run("status")
    assert (status.returncode, told in status.stdout) == (1, True)


@pytest.mark.parametrize("content", ["ghp_secret", "-----BEGIN PRIVATE KEY-----\nsecret", ""])
def test_one_of_something_else_stays_here(home: Home, key_file: Path, content: str) -> None:
    key_file.write_text(content)
    with Hostile() as relay:
        for told in (
            home.refused(relay.url, "--key-file", key_file),
            home.run("doctor", relay.url, "--key-file", key_file).stderr,
        ):
            assert f"{key_file}: This is not an instance key" in told
            assert "secret" not in told
        home.connect()
        for options in ({"key": "ghp_secret"}, {"keyFile": str(key_file)}):
            (home.plugins / SETTINGS).write_text(json.dumps({"relay": relay.url, **options}))
            done = home.run("status")
            assert (done.returncode, "This is not an instance key" in done.stdout) == (1, True)
            assert "secret" not in done.stdout
    assert relay.asked == []
