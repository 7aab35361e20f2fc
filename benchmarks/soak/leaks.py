"""Looks for every secret of a run in whatever the relay has written.

Codes, verifiers and the signatures of states are 43 characters of base64url, and so is the end of
an instance key; pairing and completion codes are eight of Crockford's base32. So each window of
that length is looked up among the secrets, which takes the same time however many there are. And
among what base64 makes of them, which depends on where a secret stands in what is encoded: its
characters need neither of those in which the two alphabets differ.
"""

from __future__ import annotations

import re
from base64 import b64encode
from collections.abc import Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import mmap

LONG = 43
_RUN = re.compile(rb"[A-Za-z0-9_-]{43,}")
_SHORT = re.compile(rb"(?=([0-9A-HJKMNP-TV-Z]{4})-?([0-9A-HJKMNP-TV-Z]{4}))")


class Secrets:
    """The secrets of a run, each with what it is."""

    def __init__(self) -> None:
        self._kinds: dict[bytes, str] = {}

    def __len__(self) -> int:
        return len(self._kinds)

    def add(self, kind: str, secret: str) -> None:
        """Raises ValueError for one that the search could not find."""
        known = secret[-LONG:].encode()
        if len(secret) < LONG:
            known = secret.replace("-", "").encode()
        if not (_RUN.fullmatch(known) or _SHORT.match(known)):
            raise ValueError(f"a {kind} of an unknown form")
        self._kinds[known] = kind
        if len(known) == LONG:
            for skipped in range(3):  # the rest of a group of three that began before it
                self._kinds[b64encode(known[skipped:])[:LONG]] = f"{kind} in base64"

    def found_in(self, written: bytes | mmap.mmap) -> Iterator[str]:
        """Name the kind of each secret that stands in what was written."""
        kinds = self._kinds
        for run in _RUN.finditer(written):
            text = run[0]
            for start in range(len(text) - LONG + 1):
                window = text[start : start + LONG]
                if window in kinds:
                    yield kinds[window]
        for short in _SHORT.finditer(written):
            window = short[1] + short[2]
            if window in kinds:
                yield kinds[window]
