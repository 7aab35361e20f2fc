"""Names that a person compares, codes that a person types."""

import pytest
from opencode_relay.names import code_from, display_name, new_code, read_code
from opencode_relay.secret import Secret, same

MARK = "\N{COMBINING ACUTE ACCENT}"
GOOD = [
    "x",
    "x" * 64,
    "Ana's “box”",
    "שלום",
    "日本",
    "🦊 den",
    "q" + MARK * 4,
    ("q" + MARK * 4) * 3,
]
BAD = {
    "": "1 to 64",
    "x" * 65: "1 to 64",
    " x": "printable",
    "x ": "printable",
    "a\tb": "printable",
    "a\x7fb": "printable",
    "a\u00a0b": "printable",
    "a\u2029b": "printable",
    "a\u00adb": "printable",
    "a\u200db": "printable",
    "a\ufeffb": "printable",
    "a\u2066b": "printable",
    "a\u034fb": "printable",
    "a\u2800b": "printable",
    "a\u115fb": "printable",
    "a\ufe0fb": "printable",
    "a\U000e0101b": "printable",
    "a\U000e0041b": "printable",
    "a\ue000b": "printable",
    "a\u0378b": "printable",
    "e" + MARK: "NFC",
    "\N{ANGSTROM SIGN}": "NFC",
    "q" + MARK * 5: "combining marks",
}


@pytest.mark.parametrize("name", GOOD)
def test_a_name_that_may_be_shown(name: str) -> None:
    assert display_name(name, longest=64) is None


@pytest.mark.parametrize(("name", "why"), BAD.items(), ids=map(ascii, BAD))
def test_a_name_that_may_not_be_shown(name: str, why: str) -> None:
    assert why in (display_name(name, longest=64) or "")


def test_a_code_is_40_bits_in_crockfords_base_32() -> None:
    assert code_from(0) == "0000-0000"
    assert code_from(2**40 - 1) == "ZZZZ-ZZZZ"
    assert code_from(0b00001_00010_00011_00100_11100_11101_11110_11111) == "1234-WXYZ"


def test_codes_differ() -> None:
    assert len({new_code() for _ in range(100)}) == 100


@pytest.mark.parametrize(
    "typed",
    [
        "0A1B-1C0D",
        "0a1b1c0d",
        "oalb-icod",
        "OALB-ICOD",
        " 0A1B 1C0D\r\n",
        "0A1B\N{EN DASH}1C0D",
        "0A1B—1C0D",
        "0A1B\u00a01C0D",
        "0-A-1-B-1-C-0-D",
    ],
)
def test_what_people_do_to_a_code_is_undone(typed: str) -> None:
    assert read_code(typed) == "0A1B-1C0D"


@pytest.mark.parametrize("typed", ["0A1B-1C0E", "0A1B-1C0", "0A1B-1C0D0", "", "0A1B_1C0D"])
def test_another_code_stays_another(typed: str) -> None:
    assert read_code(typed) != "0A1B-1C0D"


def test_a_secret_does_not_show() -> None:
    secret = Secret("canary")
    assert "canary" not in f"{secret} {secret!r} {[secret]}"
    assert secret.reveal() == "canary"


def test_secrets_are_compared_by_value() -> None:
    assert Secret("a") == Secret("a")
    assert Secret("a") != Secret("b")
    assert Secret("a") != "a"
    assert len({Secret("a"), Secret("a"), Secret("b")}) == 2


def test_same_takes_any_text() -> None:
    assert same("é", "é")
    assert not same("é", "e")
    assert not same("", "a")
