"""`opencode-relay connect` on a machine with an opencode and an empty home."""

import json
import os
import subprocess
from pathlib import Path

from opencode_relay import __version__

from .conftest import Meet
from .idp import Idp
from .opencode import Opencode, label_is, opencode
from .outcome import signed_in
from .person import decide
from .relays import RELAY, Relay

OLD = "0.0.9"


def run(home: Path, *args: str) -> str:
    done = subprocess.run(
        [RELAY, *args],
        env={"HOME": str(home), "PATH": os.environ["PATH"]},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def labels(served: Opencode) -> list[str]:
    return [one["label"] for one in served.get("/provider/auth")["openai"]]


def versions(served: Opencode) -> list[str]:
    """The plugins that were started, by what they wrote into the log."""
    said = [one for one in (OLD, __version__) if served.log_says(f"opencode-relay: version {one}")]
    assert said
    return said


def test_connected_upgraded_overruled_and_disconnected(
    world: Path, plugin: Path, relay: Relay, open_idp: Idp, meet: Meet
) -> None:
    home = world / "connected"
    home.mkdir()
    plugins = home / ".config/opencode/plugins"
    mine = plugins.parent / "opencode.jsonc"
    said = run(home, "connect", relay.issuer, "--key-file", str(relay.data / "instance.key"))
    assert "the key holds" in said
    found = plugins / f"opencode-relay-{__version__}.js"
    assert {one.name for one in plugins.iterdir()} == {found.name, "opencode-relay.json"}

    # An older version is in its place, until `connect` is run again.
    built = found.read_text()
    assert built.count(f'"{__version__}"') == 1
    (plugins / f"opencode-relay-{OLD}.js").write_text(built.replace(f'"{__version__}"', f'"{OLD}"'))
    found.unlink()
    mine.write_text('{"username": "alice"} // mine')
    with opencode(home, None, {}, outside=open_idp.outside) as served:
        label_is(served, "via relay")
        assert versions(served) == [OLD]
    served.log.unlink()
    assert f"Removed {plugins / f'opencode-relay-{OLD}.js'}" in run(home, "connect")
    with opencode(home, None, {}, outside=open_idp.outside) as served:
        label_is(served, "via relay (browser)")
        assert versions(served) == [__version__]
        alice = meet("alice")
        dialog = alice.connect(served.url)
        decide(alice.reach_relay(dialog.follow()), "Allow", dialog.pairing_code)
        dialog.closes_connected()
        signed_in(alice, served, open_idp)
        served.forget()
    served.log.unlink()

    # An entry that somebody wrote by hand wins.
    entry = [f"opencode-relay@file:{plugin}", {**relay.options, "headless": False}]
    mine.write_text(json.dumps({"plugin": [entry]}))
    with opencode(home, None, {}, outside=open_idp.outside) as served:
        label_is(served, "via relay")
        assert len([label for label in labels(served) if "headless" in label]) == 0
        served.until_log_says("`opencode-relay connect` wrote, yields to the entry")
    mine.write_text('{"username": "alice"} // mine')

    run(home, "disconnect")
    assert not plugins.exists()
    assert mine.read_text() == '{"username": "alice"} // mine'
    with opencode(home, None, {}, outside=open_idp.outside) as served:
        assert "relay" not in " ".join(labels(served))
