"""Looking for a secret in whatever form it could have been written down."""

import logging
from base64 import b64encode
from collections.abc import Iterator
from contextlib import contextmanager
from io import StringIO
from urllib.parse import quote

from opencode_relay.events import JSONLines


def forms(secret: str) -> set[bytes]:
    """Return the secret raw, base16, percent-encoded, JSON-escaped, and inside any base64."""
    raw = secret.encode()
    found = {raw, raw.hex().encode(), raw.hex().upper().encode(), quote(secret, "").encode()}
    found.add(secret.replace("/", "\\/").encode())
    for shift in range(3):
        # Base64 of a longer text holds these characters, whichever byte the secret begins at.
        whole = b64encode(b"\0" * shift + raw)
        inner = whole[(shift * 8 + 5) // 6 : (shift + len(raw)) * 8 // 6]
        found |= {inner, inner.replace(b"+", b"-").replace(b"/", b"_")}
    return found


def readable(secret: str, text: str | bytes) -> bool:
    """Whether a secret of at least eight characters can be read in a text."""
    assert len(secret) >= 8, "too short to be looked for"
    searched = text.encode() if isinstance(text, str) else text
    return any(form in searched for form in forms(secret))


@contextmanager
def logged() -> Iterator[StringIO]:
    """Keep the whole log of this process, at debug level, as `serve` writes it."""
    text = StringIO()
    handler = logging.StreamHandler(text)
    handler.setFormatter(JSONLines())
    handler.addFilter(lambda record: not record.name.startswith("http"))  # the tests' own client
    root = logging.getLogger()
    level = root.level
    root.addHandler(handler)
    root.setLevel(logging.DEBUG)
    try:
        yield text
    finally:
        root.setLevel(level)
        root.removeHandler(handler)
