"""Names and codes that people read, compare and type."""

from __future__ import annotations

import re
import secrets
import unicodedata

# Drawn as nothing, though Unicode calls them letters, marks or symbols.
_BLANK = re.compile(
    "[\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u2800\u3164\ufe00-\ufe0f\uffa0"
    "\U0001d159\U000e0100-\U000e01ef]"
)
_MAX_MARKS = 4  # in a row: more can be piled over the lines around
_CROCKFORD = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
_LOOK_ALIKES = str.maketrans("OIL", "011", "-‐‑‒–— \t\r\n\u00a0")  # noqa: RUF001


def display_name(text: str, *, longest: int) -> str | None:
    """Return why `text` may not be shown as a name, or an empty answer (None) where it may."""
    if not 1 <= len(text) <= longest:
        return f"must have 1 to {longest} characters"
    if not text.isprintable() or _BLANK.search(text) or text != text.strip():
        return "must be printable, without format or blank characters or spaces at its ends"
    if unicodedata.normalize("NFC", text) != text:
        return "must be in Unicode's normal form NFC"
    marks = "".join("m" if unicodedata.category(c)[0] == "M" else "." for c in text)
    if "m" * (_MAX_MARKS + 1) in marks:
        return f"must have no more than {_MAX_MARKS} combining marks in a row"
    return None


def new_code() -> str:
    return code_from(secrets.randbits(40))


def code_from(bits: int) -> str:
    """Write 40 bits as `XXXX-XXXX` in Crockford's base 32."""
    text = "".join(_CROCKFORD[bits >> shift & 31] for shift in range(35, -1, -5))
    return f"{text[:4]}-{text[4:]}"


def read_code(typed: str) -> str:
    """Undo what people do to a code: case, dashes, spaces, look-alikes."""
    text = typed.upper().translate(_LOOK_ALIKES)
    return f"{text[:4]}-{text[4:]}"
