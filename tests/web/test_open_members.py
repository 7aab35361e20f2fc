"""Every member of the body that opens a login, and the order in which errors are told."""

import json
import secrets
from typing import Any

import httpx
import pytest
from joserfc.jwk import ECKey
from opencode_relay.login import Confirmation

from tests.support.wire import RETURN_URL, MakeWire, Wire, challenge_of, check_problem

GOOD_KEY = ECKey.generate_key("P-256").as_dict(private=False)
CHALLENGE = challenge_of("v" * 43)
REDIRECT = {"delivery": "redirect", "return_url": RETURN_URL}
MARK = "\N{COMBINING ACUTE ACCENT}"  # has no composed form with "q"


def without(*names: str) -> dict[str, object]:
    return {name: value for name, value in GOOD_KEY.items() if name not in names}


WRONG: dict[str, dict[str, Any]] = {
    "collect_challenge missing": {"collect_challenge": None},
    "collect_challenge of 42": {"collect_challenge": CHALLENGE[:42]},
    "collect_challenge of 44": {"collect_challenge": CHALLENGE + "A"},
    "collect_challenge no base64url": {"collect_challenge": CHALLENGE[:40] + "+/8"},
    "collect_challenge of 258 bits": {"collect_challenge": CHALLENGE[:42] + "B"},
    "collect_challenge a number": {"collect_challenge": 43},
    "encryption_key missing": {"encryption_key": None},
    "encryption_key a string": {"encryption_key": json.dumps(GOOD_KEY)},
    "encryption_key RSA": {"encryption_key": {"kty": "RSA", "n": "AQAB", "e": "AQAB"}},
    "encryption_key P-384": {"encryption_key": ECKey.generate_key("P-384").as_dict(private=False)},
    "encryption_key private": {"encryption_key": ECKey.generate_key("P-256").as_dict(private=True)},
    "encryption_key off the curve": {"encryption_key": {**GOOD_KEY, "y": GOOD_KEY["x"]}},
    "encryption_key without y": {"encryption_key": without("y")},
    "encryption_key with a short x": {"encryption_key": {**GOOD_KEY, "x": "AQAB"}},
    "encryption_key without kty": {"encryption_key": without("kty")},
    "encryption_key without crv": {"encryption_key": without("crv")},
    "delivery unknown": {"delivery": "push"},
    "delivery empty": {"delivery": ""},
    "delivery no string": {"delivery": ["poll"]},
    "return_url with poll": {"return_url": RETURN_URL},
    "return_url missing with redirect": {"delivery": "redirect"},
    "confirmation pairing_code": {"confirmation": "pairing_code"},
    "confirmation none": {"confirmation": "none"},
    "confirmation empty": {"confirmation": ""},
    "confirmation with redirect": {**REDIRECT, "confirmation": "completion_code"},
    "name empty": {"name": ""},
    "name of 65": {"name": "n" * 65},
    "name with a line break": {"name": "a\nb"},
    "name with a control character": {"name": "a\x1b[2Jb"},
    "name with a right-to-left override": {"name": "a\u202eb"},
    "name with a zero-width space": {"name": "a\u200bb"},
    "name that is blank": {"name": "\u3164"},
    "name of spaces": {"name": "   "},
    "name with an unpaired surrogate": {"name": "\ud800"},
    "name not NFC": {"name": "e" + MARK},
    "name with five marks": {"name": "q" + MARK * 5},
    "name a number": {"name": 7},
    "provider empty": {"provider": ""},
    "provider of 41": {"provider": "p" * 41},
    "provider with a line break": {"provider": "a\u2028b"},
    "idp_issuer empty": {"idp_issuer": ""},
    "idp_issuer no URL": {"idp_issuer": "idp.example"},
    "idp_issuer with a space": {"idp_issuer": "https://idp.example/ x"},
    "idp_issuer too long": {"idp_issuer": "https://" + "i" * 251},
    "a member too many": {"redirect_uri": "https://evil.example"},
}


@pytest.mark.parametrize("members", WRONG.values(), ids=WRONG)
async def test_a_wrong_member_is_400_and_named(
    wire: Wire, members: dict[str, Any], request: pytest.FixtureRequest
) -> None:
    problem = check_problem(await wire.post(wire.body(**members)), 400, "invalid-request")
    named = {"redirect_uri"} if "redirect_uri" in members else set(members) | {"return_url"}
    assert any(name in problem["detail"] for name in named), (request.node.name, problem)


RIGHT: dict[str, dict[str, Any]] = {
    "the longest name": {"name": "n" * 64},
    "a name of one character": {"name": "ß"},
    "a name with four marks": {"name": "q" + MARK * 4},
    "a name from right to left": {"name": "שלום"},
    "a name with an emoji": {"name": "🦊 den"},
    "the longest provider": {"provider": "p" * 40},
    "an issuer": {"idp_issuer": "https://idp.example/realms/x"},
    "a key with its own kid and use": {"encryption_key": {**GOOD_KEY, "kid": "1", "use": "enc"}},
}


@pytest.mark.parametrize("members", RIGHT.values(), ids=RIGHT)
async def test_a_right_member_is_taken(wire: Wire, members: dict[str, Any]) -> None:
    assert (await wire.post(wire.body(**members))).status_code == 201


BODIES = {
    "empty": b"",
    "no JSON": b"collect_challenge=x",
    "a list": b"[]",
    "a string": b'"x"',
    "no UTF-8": b'{"name": "\xff"}',
    "a byte order mark": b"\xef\xbb\xbf{}",
    "too deep": b"[" * 8000,
    "two objects": b"{} {}",
}


@pytest.mark.parametrize("body", BODIES.values(), ids=BODIES)
async def test_a_body_that_is_no_object_is_400(wire: Wire, body: bytes) -> None:
    check_problem(await wire.post(body), 400, "invalid-request")


async def test_a_member_given_twice_is_400(wire: Wire) -> None:
    body = json.dumps(wire.body())[:-1] + ', "delivery": "poll", "delivery": "poll"}'
    problem = check_problem(await wire.post(body.encode()), 400, "invalid-request")
    assert "twice" in problem["detail"]


@pytest.mark.parametrize("name", ["name", "delivery", "return_url", "collect_challenge"])
async def test_null_is_not_the_same_as_absent(wire: Wire, name: str) -> None:
    body = json.dumps(wire.body() | {name: None})
    problem = check_problem(await wire.post(body.encode()), 400, "invalid-request")
    assert name in problem["detail"]


async def test_a_stranger_must_say_a_name(open_wire: Wire) -> None:
    problem = check_problem(await open_wire.post(open_wire.body()), 400, "invalid-request")
    assert "name" in problem["detail"]


# Delivery by redirect


@pytest.mark.parametrize(
    "url",
    [
        f"{RETURN_URL}/",
        f"{RETURN_URL}?x",
        RETURN_URL.replace("https", "HTTPS"),
        RETURN_URL.replace("instance", "Instance"),
        RETURN_URL.replace("example/", "example:443/"),
        RETURN_URL.replace("example/", "example/./"),
        "https://evil.example/auth/callback",
        "",
    ],
)
async def test_a_return_url_must_be_the_same_string(wire: Wire, url: str) -> None:
    answer = await wire.post(wire.body(delivery="redirect", return_url=url))
    check_problem(answer, 403, "return-url-not-allowed")


async def test_a_return_url_of_another_instance_is_not_allowed(wire: Wire) -> None:
    await wire.enrol("another")
    check_problem(await wire.post(wire.body(**REDIRECT)), 403, "return-url-not-allowed")


async def test_redirect_is_not_offered_to_strangers(open_wire: Wire) -> None:
    answer = await open_wire.post(open_wire.body(name="x", **REDIRECT))
    check_problem(answer, 403, "redirect-not-offered")


async def test_redirect_is_refused_where_a_completion_code_is_demanded(
    make_wire: MakeWire,
) -> None:
    wire = make_wire(confirmation=Confirmation.COMPLETION_CODE)
    await wire.enrol("workshop", RETURN_URL)
    check_problem(await wire.post(wire.body(**REDIRECT)), 403, "redirect-not-offered")


# Size, type, order


async def test_a_body_of_8_kib_is_read_and_one_byte_more_is_not(wire: Wire) -> None:
    check_problem(await wire.post(b"x" * 8192), 400, "invalid-request")
    check_problem(await wire.post(b"x" * 8193), 413, "too-large")


@pytest.mark.parametrize("media_type", ["text/plain", "application/x-www-form-urlencoded", ""])
async def test_only_json_is_read(wire: Wire, media_type: str) -> None:
    answer = await wire.post(wire.body(), **{"Content-Type": media_type})
    check_problem(answer, 415, "unsupported-media-type")


async def test_json_may_name_its_charset(wire: Wire) -> None:
    kind = "Application/JSON; charset=utf-8"
    assert (await wire.post(wire.body(), **{"Content-Type": kind})).status_code == 201


FAULTS: list[tuple[int, str]] = [
    (401, "instance-key-required"),
    (429, "rate-limited"),
    (413, "too-large"),
    (400, "invalid-request"),
    (403, "return-url-not-allowed"),
]


@pytest.mark.parametrize("first", range(len(FAULTS)), ids=[slug for _, slug in FAULTS])
async def test_errors_are_told_in_the_protocols_order(make_wire: MakeWire, first: int) -> None:
    """A request with every fault from `first` on is told of that one."""
    wire = make_wire(open_limit=1)
    await wire.enrol("workshop", RETURN_URL)
    body: Any = wire.body(delivery="redirect", return_url="https://evil.example/")
    if first <= 3:
        body["unknown"] = True
    if first <= 2:
        body["padding"] = "x" * 8192
    if first <= 1:
        await wire.post(wire.body())
    if first == 0:
        wire.key = None
    answer: httpx.Response = await wire.post(body, **{"X-Try": secrets.token_hex(2)})
    check_problem(answer, *FAULTS[first])


async def test_the_type_is_looked_at_before_the_members(wire: Wire) -> None:
    answer = await wire.post(b"{}", **{"Content-Type": "text/plain"})
    check_problem(answer, 415, "unsupported-media-type")
