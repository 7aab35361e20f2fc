"""What a shell is told when Tab is pressed."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.served import environment

ASKED = "_OPENCODE_RELAY_COMPLETE"


@pytest.mark.parametrize(
    ("typed", "wanted"),
    [
        ("opencode-relay ", {"serve", "connect", "status", "disconnect", "instances", "catch"}),
        ("opencode-relay dis", {"disconnect"}),
        ("opencode-relay connect --", {"--key-file", "--public-url", "--catcher", "--print"}),
        ("opencode-relay instances re", {"rename", "revoke"}),
    ],
)
def test_commands_and_options_are_completed(typed: str, wanted: set[str]) -> None:
    words = typed.split(" ")
    env = {ASKED: "complete_bash", "COMP_WORDS": typed, "COMP_CWORD": str(len(words) - 1)}
    program = Path(sys.executable).with_name("opencode-relay")
    done = subprocess.run(
        [program], env=environment(**env), capture_output=True, text=True, check=False
    )
    assert wanted <= set(done.stdout.split()), done.stderr
