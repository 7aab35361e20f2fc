"""The sealed response: sign, then encrypt; and every check with which it is opened."""

import json
from base64 import urlsafe_b64encode
from collections.abc import Callable, Mapping
from typing import Any

import jwt
import pytest
from joserfc import jwe
from joserfc.jwk import ECKey
from opencode_relay.errors import Refused
from opencode_relay.keys.held import Keys
from opencode_relay.keys.key import Purpose
from opencode_relay.keys.ring import Ring
from opencode_relay.response import LEEWAY, TYP, SealError, seal, unseal
from opencode_relay.web.bodies import public_key

from tests.support.clock import START

ISSUER = "https://relay.example"
LOGIN = "login"
PARAMS = {"code": "c0de", "iss": "https://idp.example", "empty": "", "é": "ü"}
EXP = START + 600


@pytest.fixture
def keys() -> Keys:
    ring = Ring.fresh(START)
    return Keys(lambda: ring, lambda: START)


@pytest.fixture
def key() -> ECKey:
    return ECKey.generate_key("P-256")


def canonical(key: ECKey) -> str:
    return public_key(key.as_dict(private=False))


def sealed(keys: Keys, key: ECKey, params: Mapping[str, str] = PARAMS) -> str:
    return seal(
        keys,
        issuer=ISSUER,
        login_id=LOGIN,
        encryption_key=canonical(key),
        params=params,
        now=START,
        exp=EXP,
    )


def opened(keys: Keys, key: ECKey, response: str, **other: Any) -> dict[str, str]:
    jwks = {k["kid"]: k for k in keys.ring.jwks()["keys"]}
    usual: dict[str, Any] = {
        "private_key": key,
        "find": jwks.get,
        "issuer": ISSUER,
        "login_id": LOGIN,
        "now": START,
    }
    return unseal(response, **{**usual, **other})


def refused(keys: Keys, key: ECKey, response: str, **other: Any) -> str:
    with pytest.raises(SealError) as told:
        opened(keys, key, response, **other)
    assert "c0de" not in str(told.value)
    return str(told.value)


# As the protocol writes it


def inside(key: ECKey, response: str) -> tuple[dict[str, Any], str]:
    found = jwe.decrypt_compact(response, key, algorithms=["ECDH-ES", "A256GCM"])
    assert found.plaintext
    return dict(found.headers()), found.plaintext.decode()


def test_the_outside_is_a_jwe_to_the_logins_key(keys: Keys, key: ECKey) -> None:
    header, _ = inside(key, sealed(keys, key))
    assert header.pop("epk")["crv"] == "P-256"
    assert header == {
        "alg": "ECDH-ES",
        "enc": "A256GCM",
        "cty": "JWT",
        "kid": key.thumbprint(),
    }


def test_the_inside_is_a_jws_of_the_relay(keys: Keys, key: ECKey) -> None:
    _, token = inside(key, sealed(keys, key))
    kid = keys.ring.in_use(Purpose.RESPONSE, START).kid
    assert jwt.get_unverified_header(token) == {"typ": TYP, "alg": "ES256", "kid": kid}
    assert jwt.decode(token, options={"verify_signature": False}) == {
        "iss": ISSUER,
        "aud": LOGIN,
        "jti": LOGIN,
        "iat": int(START),
        "exp": int(EXP),
        "params": PARAMS,
    }


def test_two_sealings_of_the_same_have_nothing_in_common(keys: Keys, key: ECKey) -> None:
    one, two = sealed(keys, key).split("."), sealed(keys, key).split(".")
    assert [a == b for a, b in zip(one, two, strict=True)] == [False, True, False, False, False]


def test_what_was_sealed_is_opened(keys: Keys, key: ECKey) -> None:
    assert opened(keys, key, sealed(keys, key)) == PARAMS


# Every check


def test_another_key_does_not_open_it(keys: Keys, key: ECKey) -> None:
    assert "does not verify" in refused(keys, ECKey.generate_key("P-256"), sealed(keys, key))


@pytest.mark.parametrize("part", [0, 2, 3, 4])
def test_no_part_can_be_changed(keys: Keys, key: ECKey, part: int) -> None:
    parts = sealed(keys, key).split(".")
    parts[part] = parts[part][:5] + ("A" if parts[part][5] != "A" else "B") + parts[part][6:]
    assert "does not verify" in refused(keys, key, ".".join(parts))


@pytest.mark.parametrize("response", ["", "x", "a.b.c.d.e", "é"])
def test_what_is_no_response_does_not_verify(keys: Keys, key: ECKey, response: str) -> None:
    assert "does not verify" in refused(keys, key, response)


def encoded(header: bytes) -> str:
    return urlsafe_b64encode(header).rstrip(b"=").decode()


@pytest.mark.parametrize(
    "header", [b'{"alg":"ECDH-ES","enc":[]}', b'{"alg":"ECDH-ES","enc":"A256GCM","crit":5}']
)
def test_a_header_of_other_types_does_not_verify(keys: Keys, key: ECKey, header: bytes) -> None:
    _, rest = sealed(keys, key).split(".", 1)
    assert "does not verify" in refused(keys, key, f"{encoded(header)}.{rest}")


def test_another_relay_is_refused(keys: Keys, key: ECKey) -> None:
    assert refused(keys, key, sealed(keys, key), issuer="https://other.example")


def test_another_login_is_refused(keys: Keys, key: ECKey) -> None:
    assert refused(keys, key, sealed(keys, key), login_id="other")


def test_a_kid_that_the_key_set_lacks_is_refused(keys: Keys, key: ECKey) -> None:
    assert "key set lacks" in refused(keys, key, sealed(keys, key), find=lambda _: None)


def test_a_signature_of_another_relay_is_refused(keys: Keys, key: ECKey) -> None:
    other = Ring.fresh(START).jwks()["keys"][0]
    assert "does not verify" in refused(keys, key, sealed(keys, key), find=lambda _: other)


def test_it_expires_with_120_seconds_of_leeway(keys: Keys, key: ECKey) -> None:
    response = sealed(keys, key)
    assert LEEWAY == 120
    assert opened(keys, key, response, now=EXP + LEEWAY - 1)
    assert "expired" in refused(keys, key, response, now=EXP + LEEWAY)


def test_iat_is_ignored(keys: Keys, key: ECKey) -> None:
    assert opened(keys, key, sealed(keys, key), now=START - 10_000)


@pytest.mark.parametrize("iss", ["https://evil.example", "", None])
def test_another_idp_or_none_is_refused(keys: Keys, key: ECKey, iss: str | None) -> None:
    params = {"code": "c0de"} | ({} if iss is None else {"iss": iss})
    response = sealed(keys, key, params)
    assert opened(keys, key, response) == params
    told = refused(keys, key, response, idp_issuer="https://idp.example")
    assert "another identity provider" in told


def test_the_expected_idp_is_taken(keys: Keys, key: ECKey) -> None:
    response = sealed(keys, key)
    assert opened(keys, key, response, idp_issuer="https://idp.example") == PARAMS


Rewrite = Callable[[dict[str, Any], dict[str, Any], dict[str, Any]], object]
REWRITTEN: dict[str, Rewrite] = {
    "another typ": lambda _, inner, __: inner.update(typ="JWT"),
    "no typ": lambda _, inner, __: inner.update(typ=None),
    "another cty": lambda outer, _, __: outer.update(cty="text"),
    "no cty": lambda outer, _, __: outer.pop("cty"),
    "another kid": lambda outer, _, __: outer.update(kid="x"),
    "no kid": lambda outer, _, __: outer.pop("kid"),
    "ECDH-ES with key wrap": lambda outer, _, __: outer.update(alg="ECDH-ES+A256KW"),
    "A128GCM": lambda outer, _, __: outer.update(enc="A128GCM"),
    "no iss": lambda _, __, claims: claims.pop("iss"),
    "no aud": lambda _, __, claims: claims.pop("aud"),
    "no exp": lambda _, __, claims: claims.pop("exp"),
    "aud a list": lambda _, __, claims: claims.update(aud=[LOGIN, "other"]),
    "exp no number": lambda _, __, claims: claims.update(exp="never"),
    "no params": lambda _, __, claims: claims.pop("params"),
    "params a list": lambda _, __, claims: claims.update(params=["c0de"]),
    "params with a number": lambda _, __, claims: claims.update(params={"code": 7}),
}


def written(keys: Keys, key: ECKey, rewrite: Rewrite) -> str:
    """Seal with the relay's own key, but otherwise than the protocol says."""
    signing = keys.ring.in_use(Purpose.RESPONSE, START)
    outer: dict[str, Any] = {
        "alg": "ECDH-ES",
        "enc": "A256GCM",
        "cty": "JWT",
        "kid": key.thumbprint(),
    }
    inner: dict[str, Any] = {"typ": TYP, "kid": signing.kid}
    claims: dict[str, Any] = {"iss": ISSUER, "aud": LOGIN, "exp": EXP, "params": PARAMS}
    rewrite(outer, inner, claims)
    assert signing.private
    token = jwt.encode(claims, signing.private, "ES256", inner)
    public = ECKey.import_key(json.loads(canonical(key)))
    return jwe.encrypt_compact(outer, token, public, algorithms=[outer["alg"], outer["enc"]])


def test_written_as_the_protocol_says_it_is_opened(keys: Keys, key: ECKey) -> None:
    assert opened(keys, key, written(keys, key, lambda *_: None)) == PARAMS


@pytest.mark.parametrize("rewrite", REWRITTEN.values(), ids=REWRITTEN)
def test_written_otherwise_it_is_refused(keys: Keys, key: ECKey, rewrite: Rewrite) -> None:
    assert refused(keys, key, written(keys, key, rewrite))


def test_an_inner_token_without_a_signature_is_refused(keys: Keys, key: ECKey) -> None:
    claims = {"iss": ISSUER, "aud": LOGIN, "exp": EXP, "params": PARAMS}
    kid = keys.ring.in_use(Purpose.RESPONSE, START).kid
    token = jwt.encode(claims, "", "none", {"typ": TYP, "kid": kid})
    header = {"alg": "ECDH-ES", "enc": "A256GCM", "cty": "JWT", "kid": key.thumbprint()}
    response = jwe.encrypt_compact(header, token, key, algorithms=["ECDH-ES", "A256GCM"])
    assert "typ, alg" in refused(keys, key, response)


# The login's key


def test_a_public_key_is_kept_in_one_form(key: ECKey) -> None:
    jwk = key.as_dict(private=False)
    shuffled = dict(reversed(list({**jwk, "kid": "x", "use": "enc"}.items())))
    assert public_key(shuffled) == public_key(jwk)
    assert ECKey.import_key(json.loads(public_key(jwk))).thumbprint() == key.thumbprint()


def test_a_private_key_is_refused_by_name(key: ECKey) -> None:
    with pytest.raises(Refused, match="private member"):
        public_key(key.as_dict(private=True))


def test_a_point_off_the_curve_is_refused_by_name(key: ECKey) -> None:
    jwk = key.as_dict(private=False)
    with pytest.raises(Refused, match="not on the curve"):
        public_key({**jwk, "y": jwk["x"]})


def test_the_ephemeral_key_is_the_kernels_and_not_openssls(
    keys: Keys, key: ECKey, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Copies of a Lambda snapshot share OpenSSL's generator: they would repeat each other's keys.

    Where the kernel gives the same numbers twice, so must the key be the same twice.
    """
    monkeypatch.setattr("secrets.randbelow", lambda _: 41)
    headers = [jwe.decrypt_compact(sealed(keys, key), key).headers() for _ in range(2)]
    assert headers[0]["epk"] == headers[1]["epk"]
    monkeypatch.undo()
    assert jwe.decrypt_compact(sealed(keys, key), key).headers()["epk"] != headers[0]["epk"]


def test_the_relays_own_keys_are_the_kernels_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("secrets.randbelow", lambda _: 41)
    made = [Ring.fresh(START).in_use(Purpose.RESPONSE, START).material for _ in range(2)]
    assert made[0] == made[1]
