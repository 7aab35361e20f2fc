"""The JSON bodies of the API, read strictly: what is not on the protocol page is refused."""

from __future__ import annotations

import json
import re
from typing import Any

from opencode_relay import names
from opencode_relay.admission import OpenRequest
from opencode_relay.errors import Refused
from opencode_relay.keys import p256
from opencode_relay.login import Confirmation, Delivery

_MEMBERS = {
    "collect_challenge",
    "encryption_key",
    "delivery",
    "return_url",
    "confirmation",
    "name",
    "provider",
    "idp_issuer",
}
# 32 bytes are 43 characters of which the last carries two bits that must be zero.
_CHALLENGE = re.compile("[A-Za-z0-9_-]{42}[AEIMQUYcgkosw048]")
_ISSUER = re.compile("https?://[!-~]{1,250}")
_COORDINATE = re.compile("[A-Za-z0-9_-]{43}")
_PRIVATE = {"d", "k", "p", "q", "dp", "dq", "qi", "oth"}
_CODE = re.compile("[0-9A-HJKMNP-TV-Z]{4}-[0-9A-HJKMNP-TV-Z]{4}")


def read_open(body: bytes) -> OpenRequest:
    """Raises Refused `invalid-request` with a sentence that names the member."""
    members = _object(body)
    for name in sorted(set(members) - _MEMBERS):
        raise _wrong(f"{name[:40]!r} is not a member of this request.")
    challenge = _text(members, "collect_challenge")
    if challenge is None or not _CHALLENGE.fullmatch(challenge):
        raise _wrong("collect_challenge must be base64url(SHA-256(verifier)), 43 characters.")
    delivery = _text(members, "delivery")
    if delivery is None:
        delivery = Delivery.POLL
    if delivery not in set(Delivery):
        raise _wrong("delivery must be poll or redirect.")
    redirect = delivery == Delivery.REDIRECT
    return_url = _text(members, "return_url")
    if (return_url is not None) != redirect:
        raise _wrong("return_url goes with delivery redirect, and only with it.")
    confirmation = _text(members, "confirmation")
    if confirmation is not None and (redirect or confirmation != Confirmation.COMPLETION_CODE):
        raise _wrong("confirmation may only be completion_code, and only with delivery poll.")
    issuer = _text(members, "idp_issuer")
    if issuer is not None and not _ISSUER.fullmatch(issuer):
        raise _wrong("idp_issuer must be the identity provider's issuer, a URL.")
    return OpenRequest(
        collect_challenge=challenge,
        encryption_key=public_key(members.get("encryption_key")),
        delivery=Delivery(delivery),
        return_url=return_url,
        completion_code=confirmation is not None,
        name=_name(members, "name", 64),
        provider=_name(members, "provider", 40),
        idp_issuer=issuer,
    )


def public_key(jwk: object) -> str:
    """Check a login's `encryption_key` and return it in canonical JSON.

    Raises Refused `invalid-request`: not EC P-256, off the curve, or with a private member.
    """
    field = "encryption_key must be a public JWK, EC with P-256"
    if not isinstance(jwk, dict) or jwk.get("kty") != "EC" or jwk.get("crv") != "P-256":
        raise _wrong(f"{field}.")
    if _PRIVATE & set(jwk):
        raise _wrong(f"{field}: it has a private member, which nobody may see.")
    x, y = jwk.get("x"), jwk.get("y")
    for part in (x, y):
        if not (isinstance(part, str) and _COORDINATE.fullmatch(part)):
            raise _wrong(f"{field}: x and y are 32 bytes in base64url.")
    try:
        p256.public_key(str(x), str(y))
    except ValueError:
        raise _wrong(f"{field}: the point is not on the curve.") from None
    return f'{{"crv":"P-256","kty":"EC","x":"{x}","y":"{y}"}}'


def read_completion(body: bytes | None) -> str:
    """Return the typed code in its one form. Raises Refused `invalid-request`."""
    members = _object(body or b"")
    code = _text(members, "completion_code")
    if set(members) != {"completion_code"} or code is None:
        raise _wrong('The body must be {"completion_code": "XXXX-XXXX"}.')
    typed = names.read_code(code)
    if not _CODE.fullmatch(typed):
        raise _wrong("completion_code must have eight letters and digits; no try was used.")
    return typed


def _object(body: bytes) -> dict[str, Any]:
    def once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        members = dict(pairs)
        if len(members) != len(pairs):
            raise _wrong("A member is given twice.")
        return members

    try:
        found = json.loads(body.decode("utf-8"), object_pairs_hook=once)
    except (ValueError, RecursionError):
        raise _wrong("The body must be a JSON object in UTF-8.") from None
    if not isinstance(found, dict):
        raise _wrong("The body must be a JSON object.")
    for name, value in found.items():
        if value is None:
            raise _wrong(f"{name[:40]!r} is null: leave it out instead.")
    return found


def _text(members: dict[str, Any], name: str) -> str | None:
    value = members.get(name)
    if value is not None and not isinstance(value, str):
        raise _wrong(f"{name} must be a string.")
    return value


def _name(members: dict[str, Any], name: str, longest: int) -> str | None:
    value = _text(members, name)
    wrong = None if value is None else names.display_name(value, longest=longest)
    if wrong:
        raise _wrong(f"{name} {wrong}.")
    return value


def _wrong(detail: str) -> Refused:
    return Refused("invalid-request", detail)
