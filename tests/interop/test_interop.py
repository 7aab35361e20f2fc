"""docs/vectors.json, and the sealed response between two implementations of JOSE."""

from __future__ import annotations

import hashlib
import json
import time
from base64 import urlsafe_b64encode
from pathlib import Path
from typing import TYPE_CHECKING, Any

import jwt
import pytest
from joserfc.jwk import ECKey
from opencode_relay import names
from opencode_relay.keys import state
from opencode_relay.keys.held import Keys
from opencode_relay.keys.key import Key, Purpose
from opencode_relay.keys.ring import Ring
from opencode_relay.response import SealError, seal, unseal
from opencode_relay.web.bodies import public_key

if TYPE_CHECKING:
    from collections.abc import Callable

    Jose = Callable[[list[dict[str, Any]]], list[dict[str, Any]]]

VECTORS: dict[str, Any] = json.loads(
    (Path(__file__).parents[2] / "docs" / "vectors.json").read_text("utf-8")
)
REFUSED: dict[str, str] = VECTORS["response"]["refused"]


def _open(sealed: str) -> dict[str, str]:
    jwks = {jwk["kid"]: jwk for jwk in VECTORS["jwks"]["keys"]}
    return unseal(
        sealed,
        private_key=ECKey.import_key(VECTORS["encryption_key"]["private"]),
        find=jwks.get,
        issuer=VECTORS["issuer"],
        login_id=VECTORS["login_id"],
        now=VECTORS["now"],
        idp_issuer=VECTORS["idp_issuer"],
    )


def _request(sealed: str) -> dict[str, Any]:
    shared = {name: VECTORS[name] for name in ("jwks", "issuer", "login_id", "now", "idp_issuer")}
    private = VECTORS["encryption_key"]["private"]
    return {"action": "open", "sealed": sealed, "privateKey": private, **shared}


def test_vectors_response_is_accepted_here() -> None:
    assert _open(VECTORS["response"]["accepted"]) == VECTORS["response"]["params"]


@pytest.mark.parametrize("why", REFUSED)
def test_vectors_refused_responses_are_refused_here(why: str) -> None:
    with pytest.raises(SealError):
        _open(REFUSED[why])


def test_vectors_agree_with_jose(jose: Jose) -> None:
    accepted, *refused = jose(
        [_request(VECTORS["response"]["accepted"]), *map(_request, REFUSED.values())]
    )
    assert accepted == {"ok": VECTORS["response"]["params"]}
    assert {why for why, answer in zip(REFUSED, refused, strict=True) if "ok" in answer} == set()


def test_vectors_state(jose: Jose) -> None:
    given = VECTORS["state"]
    kid = jwt.get_unverified_header(given["token"])["kid"]
    ring = Ring((Key.load(kid, Purpose.STATE, 0, given["secret_hex"]),))
    found = state.read(
        Keys(lambda: ring), Purpose.STATE, VECTORS["issuer"], given["token"], VECTORS["now"]
    )
    assert found == given["claims"]
    assert given["token"].startswith(given["begins_with"])
    shared = {"issuer": VECTORS["issuer"], "now": VECTORS["now"]}
    [answer] = jose([{"action": "state", **given, **shared}])
    assert answer == {"ok": given["claims"]}


def test_vectors_thumbprint(jose: Jose) -> None:
    given = VECTORS["encryption_key"]
    assert ECKey.import_key(given["public"]).thumbprint() == given["thumbprint"]
    assert jose([{"action": "thumbprint", "jwk": given["public"]}]) == [{"ok": given["thumbprint"]}]


def test_vectors_challenge() -> None:
    given = VECTORS["collect"]
    digest = hashlib.sha256(given["verifier"].encode()).digest()
    assert urlsafe_b64encode(digest).rstrip(b"=").decode() == given["collect_challenge"]


def test_vectors_typed_codes() -> None:
    given = VECTORS["codes"]
    assert {names.read_code(typed) for typed in given["typed"]} == {given["canonical"]}


def test_sealed_here_opened_by_jose(jose: Jose) -> None:
    ring = Ring.fresh(0)
    mine, now = ECKey.generate_key("P-256"), int(time.time())
    params = {"code": "c\u00f6de & more", "iss": "https://idp.example.com"}
    sealed = seal(
        Keys(lambda: ring),
        issuer="https://r.example",
        login_id="abc",
        encryption_key=public_key(mine.as_dict(private=False)),
        params=params,
        now=now,
        exp=now + 60,
    )
    request = {
        "action": "open",
        "sealed": sealed,
        "privateKey": mine.as_dict(private=True),
        "jwks": ring.jwks(),
        "issuer": "https://r.example",
        "login_id": "abc",
        "now": now,
        "idp_issuer": "https://idp.example.com",
    }
    strange = {**request, "privateKey": ECKey.generate_key("P-256").as_dict(private=True)}
    opened, not_opened = jose([request, strange])
    assert opened == {"ok": params}
    assert "refused" in not_opened


def test_sealed_by_jose_opened_here(jose: Jose) -> None:
    relay, mine, now = ECKey.generate_key("P-256"), ECKey.generate_key("P-256"), int(time.time())
    request = {
        "action": "seal",
        "issuer": "https://r.example",
        "login_id": "abc",
        "jwk": relay.as_dict(private=True),
        "kid": "k1",
        "publicKey": mine.as_dict(private=False),
        "params": {"code": "c\u00f6de"},
        "now": now,
        "exp": now + 60,
    }
    [answer] = jose([request])
    known = {"k1": relay.as_dict(private=False)}

    def opened(key: ECKey) -> dict[str, str]:
        return unseal(
            answer["ok"],
            private_key=key,
            find=known.get,
            issuer="https://r.example",
            login_id="abc",
            now=now,
        )

    assert opened(mine) == {"code": "c\u00f6de"}
    with pytest.raises(SealError):
        opened(ECKey.generate_key("P-256"))
