"""Makes docs/vectors.json, the test vectors for other implementations: python make_vectors.py.

ES256 and ECDH-ES are randomised, so every run gives other tokens; all of them stay valid.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import jwt
from joserfc import jwe
from joserfc.jwk import ECKey
from opencode_relay.keys.held import Keys
from opencode_relay.keys.key import Key, Purpose
from opencode_relay.keys.ring import Ring
from opencode_relay.keys.state import make
from opencode_relay.response import seal

ISSUER = "https://relay.example.com"
IDP = "https://idp.example.com"
LOGIN_ID = "Zq0oH1mJk3v8xT5cW2bNdRfG"
IAT, EXP = 1_800_000_000, 1_800_000_600
NOW = IAT + 30
VERIFIER = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"  # RFC 7636, appendix B
CHALLENGE = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"
PARAMS = {"code": "SplxlOBeZQQYbYS6WxSbIA", "iss": IDP, "scope": "openid profile"}
OUT = Path(__file__).parents[2] / "docs" / "vectors.json"


def _seal(relay: Key, to: ECKey, *, alg: str = "ECDH-ES", **changed: Any) -> str:
    """Seal by hand what the relay never would."""
    claims = {"iss": ISSUER, "aud": LOGIN_ID, "jti": LOGIN_ID, "iat": IAT, "exp": EXP}
    header = {"typ": changed.pop("typ", "login-response+jwt"), "kid": relay.kid}
    missing = changed.pop("without", None)
    claims = {k: v for k, v in {**claims, "params": PARAMS, **changed}.items() if k != missing}
    assert relay.private
    token = jwt.encode(claims, relay.private, "ES256", header)
    outer = {"alg": alg, "enc": "A256GCM", "cty": "JWT", "kid": to.thumbprint()}
    return jwe.encrypt_compact(outer, token, to, algorithms=[alg, "A256GCM"])


def vectors() -> dict[str, Any]:
    ring = Ring.fresh(IAT)
    keys = Keys(lambda: ring)
    relay, stranger = ring.in_use(Purpose.RESPONSE, IAT), Key.new(Purpose.RESPONSE, IAT)
    stranger = Key.load(relay.kid, Purpose.RESPONSE, IAT, stranger.material)
    to, other = ECKey.generate_key("P-256"), ECKey.generate_key("P-256")
    encryption_key = json.dumps(to.as_dict(private=False))
    good = seal(
        keys,
        issuer=ISSUER,
        login_id=LOGIN_ID,
        encryption_key=encryption_key,
        params=PARAMS,
        now=IAT,
        exp=EXP,
    )
    refused = {
        "signed by another key under the same kid": _seal(stranger, to),
        "encrypted to another key": _seal(relay, other),
        "encrypted by another algorithm": _seal(relay, to, alg="ECDH-ES+A256KW"),
        "typ of another token": _seal(relay, to, typ="JWT"),
        "another issuer": _seal(relay, to, iss="https://evil.example"),
        "another login": _seal(relay, to, aud="another"),
        "aud as a list": _seal(relay, to, aud=[LOGIN_ID]),
        "no exp": _seal(relay, to, without="exp"),
        "expired more than 120 s ago": _seal(relay, to, exp=NOW - 121),
        "no params": _seal(relay, to, without="params"),
        "params.iss missing": _seal(relay, to, params={"code": "x"}),
        "params.iss of another IdP": _seal(relay, to, params={**PARAMS, "iss": ISSUER}),
        "ciphertext changed": good[:-30] + ("A" if good[-30] != "A" else "B") + good[-29:],
    }
    return {
        "about": "Test vectors for protocol version 1. `now` is the time at which to check them.",
        "issuer": ISSUER,
        "idp_issuer": IDP,
        "login_id": LOGIN_ID,
        "now": NOW,
        "collect": {"verifier": VERIFIER, "collect_challenge": CHALLENGE},
        "state": {
            "token": make(keys, Purpose.STATE, ISSUER, LOGIN_ID, IAT, EXP),
            "begins_with": "eyJ0eXAiOiJsb2dpbi1zdGF0ZStqd3QiLCJhbGciOiJIUzI1NiI",
            "claims": {
                "iss": ISSUER,
                "aud": "login-state",
                "jti": LOGIN_ID,
                "iat": IAT,
                "exp": EXP,
            },
            "secret_hex": ring.in_use(Purpose.STATE, IAT).material,
        },
        "encryption_key": {
            "private": to.as_dict(private=True),
            "public": to.as_dict(private=False),
            "thumbprint": to.thumbprint(),
        },
        "jwks": ring.jwks(),
        "response": {"accepted": good, "params": PARAMS, "refused": refused},
        "codes": {
            "canonical": "KTRW-9F01",
            "typed": ["ktrw9f01", "KTRW 9F0I", "  k-t-r-w-9-f-o-l ", "KTRW\u20139FO1"],
        },
    }


if __name__ == "__main__":
    OUT.write_text(json.dumps(vectors(), indent=2, ensure_ascii=False) + "\n", "utf-8")
