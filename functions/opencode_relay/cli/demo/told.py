"""What the demo tells: each step at once in words, or all of them at the end as JSON."""

from __future__ import annotations

import json
import sys
from typing import Any

from opencode_relay.cli.shown import as_text
from opencode_relay.errors import RelayError
from opencode_relay.secret import Secret

_SHOWN = 12  # characters of a secret


class DemoFailed(RelayError):
    """The login of the demonstration did not go as it must."""


class Told:
    """Secrets are told by their first characters only."""

    def __init__(self, as_json: bool) -> None:
        self._as_json = as_json
        self._steps: list[dict[str, Any]] = []

    def step(self, who: str, what: str, **wire: Secret | str | int) -> None:
        shown = {name: _short(value) for name, value in wire.items()}
        self._steps.append({"who": who, "what": what, "wire": shown})
        if not self._as_json:
            print(f"{len(self._steps):2}. {who} {what}")
            for name, value in shown.items():
                print(f"      {name}: {as_text(value)}")

    def ask(self, words: str) -> None:
        """Tell the person who plays what to do; with JSON on stdout, on stderr."""
        print(f"\n{words}\n", file=sys.stderr if self._as_json else sys.stdout, flush=True)

    def end(self, account: str) -> None:
        if self._as_json:
            print(json.dumps({"ok": True, "account": account, "steps": self._steps}, indent=2))
        else:
            print(f"\nIt worked: the instance holds a token of the account {account!r}.")


def _short(value: Secret | str | int) -> str | int:
    if not isinstance(value, Secret):
        return value
    text = value.reveal()
    return f"{text[: min(_SHOWN, len(text) // 3)]}… ({len(text)} characters)"
