"""The state and the confirm page's token: a key, a typ and an aud of their own purpose."""

import hmac
import json
from base64 import urlsafe_b64encode

import jwt
import pytest
from opencode_relay.errors import Refused
from opencode_relay.keys import state
from opencode_relay.keys.held import Keys
from opencode_relay.keys.key import Purpose
from opencode_relay.keys.ring import Ring

from tests.support.clock import START

ISSUER = "https://relay.example"
TOKENS = [Purpose.STATE, Purpose.CONFIRM]


@pytest.fixture
def keys() -> Keys:
    ring = Ring.fresh(START)
    return Keys(lambda: ring, lambda: START)


def made(keys: Keys, purpose: Purpose = Purpose.STATE, **more: str) -> str:
    return state.make(keys, purpose, ISSUER, "login", START, START + 600, **more)


def refusal(keys: Keys, purpose: Purpose, token: str, now: float = START) -> str:
    with pytest.raises(Refused) as told:
        state.read(keys, purpose, ISSUER, token, now)
    return told.value.code


@pytest.mark.parametrize("purpose", TOKENS)
def test_a_token_is_read_for_its_own_purpose(keys: Keys, purpose: Purpose) -> None:
    claims = state.read(keys, purpose, ISSUER, made(keys, purpose, extra="x"), START)
    assert (claims["jti"], claims["exp"], claims["extra"]) == ("login", START + 600, "x")


@pytest.mark.parametrize(("one", "other"), [TOKENS, TOKENS[::-1]])
def test_a_token_is_never_read_for_another_purpose(
    keys: Keys, one: Purpose, other: Purpose
) -> None:
    assert refusal(keys, other, made(keys, one)) == "token-invalid"


def test_it_expires_at_its_exp_and_not_before(keys: Keys) -> None:
    token = made(keys)
    state.read(keys, Purpose.STATE, ISSUER, token, START + 599.9)
    assert refusal(keys, Purpose.STATE, token, START + 600) == "login-expired"


def test_a_token_of_another_ring_is_invalid(keys: Keys) -> None:
    ring = Ring.fresh(START)
    assert refusal(Keys(lambda: ring), Purpose.STATE, made(keys)) == "token-invalid"


def encoded(part: bytes) -> str:
    return urlsafe_b64encode(part).rstrip(b"=").decode()


def rewritten(token: str, secret: bytes | None, **header: str) -> str:
    """Change a token's header, and sign it with another secret, or not at all."""
    header = jwt.get_unverified_header(token) | header
    head = encoded(json.dumps(header, separators=(",", ":")).encode())
    body = f"{head}.{token.split('.')[1]}"
    return f"{body}.{encoded(hmac.digest(secret, body.encode(), 'sha256')) if secret else ''}"


def test_rewriting_alone_changes_nothing(keys: Keys) -> None:
    secret = keys.ring.in_use(Purpose.STATE, START).symmetric
    state.read(keys, Purpose.STATE, ISSUER, rewritten(made(keys), secret), START)


def test_a_token_without_a_signature_is_invalid(keys: Keys) -> None:
    assert refusal(keys, Purpose.STATE, rewritten(made(keys), None, alg="none")) == "token-invalid"


def test_a_token_signed_with_what_everybody_knows_is_invalid(keys: Keys) -> None:
    """The classic confusion of algorithms: an HMAC under the public key."""
    public = json.dumps(keys.ring.jwks()).encode()
    kid = keys.ring.in_use(Purpose.RESPONSE, START).kid
    token = rewritten(made(keys), public, kid=kid)
    assert refusal(keys, Purpose.STATE, token) == "token-invalid"
    assert refusal(keys, Purpose.STATE, rewritten(made(keys), b"")) == "token-invalid"


@pytest.mark.parametrize("token", ["", ".", "..", "a.b.c", "é", "x" * 2049, "\x00", "eyJ9.e30.x"])
def test_what_is_no_token_is_invalid(keys: Keys, token: str) -> None:
    assert refusal(keys, Purpose.STATE, token) == "token-invalid"


@pytest.mark.parametrize("purpose", TOKENS)
def test_what_cannot_be_ours_is_not_parsed(
    keys: Keys, purpose: Purpose, monkeypatch: pytest.MonkeyPatch
) -> None:
    other, own = made(keys, min(set(TOKENS) - {purpose})), made(keys, purpose)
    secret = keys.ring.in_use(purpose, START).symmetric
    foreign = jwt.encode({"iss": ISSUER}, secret, "HS256")
    monkeypatch.setattr(state, "_header", None)
    for token in (other, foreign, own + "A", own[:-1], own + "." + own, own.replace(".", "..")):
        assert refusal(keys, purpose, token) == "token-invalid"


@pytest.mark.parametrize("purpose", TOKENS)
def test_what_is_forged_is_not_taken_apart(
    keys: Keys, purpose: Purpose, monkeypatch: pytest.MonkeyPatch
) -> None:
    signed, _, signature = made(keys, purpose).rpartition(".")
    monkeypatch.setattr(jwt, "decode", None)
    for token in (f"{signed}.{'A' * 43}", f"{signed}A.{signature}", f"{signed[:-1]}.{signature}"):
        assert refusal(keys, purpose, token) == "token-invalid"


@pytest.mark.parametrize("exp", ["never", True, None, [], 1e400, -1])
def test_an_exp_that_is_no_time_is_none(keys: Keys, exp: object) -> None:
    key = keys.ring.in_use(Purpose.STATE, START)
    claims = jwt.decode(made(keys), options={"verify_signature": False}) | {"exp": exp}
    header = {"typ": "login-state+jwt", "kid": key.kid}
    token = jwt.encode(claims, key.symmetric, "HS256", header, sort_headers=False)
    assert refusal(keys, Purpose.STATE, token) in {"token-invalid", "login-expired"}


def test_every_character_of_the_signature_counts(keys: Keys) -> None:
    token = made(keys)
    for index in range(token.rindex(".") + 1, len(token)):
        changed = token[:index] + ("A" if token[index] != "A" else "B") + token[index + 1 :]
        assert refusal(keys, Purpose.STATE, changed) == "token-invalid"


def test_the_issuer_that_a_state_claims_can_be_read(keys: Keys) -> None:
    assert state.unverified_issuer(made(keys)) == ISSUER


@pytest.mark.parametrize("token", ["", "x", "a.b.c", "a.e30.c", "a.W10.c", "a.é.c", "a.MQ.c"])
def test_what_claims_no_issuer_has_none(token: str) -> None:
    assert state.unverified_issuer(token) is None
