"""What proves something about a login: keyed hashes (HMAC-SHA-256), each under its own purpose."""

from __future__ import annotations

import hashlib
import hmac
import json
from base64 import urlsafe_b64encode
from collections.abc import Mapping

from opencode_relay import names
from opencode_relay.login import Login
from opencode_relay.secret import Secret, same

from .held import Keys
from .key import Purpose


def pairing_hash(keys: Keys, login_id: str, opened_at: float, code: str) -> str:
    """The only form in which a pairing code is kept; a plain hash of 40 bits could be tried out."""
    return _keyed(keys, Purpose.PAIRING, login_id, opened_at, code)


def pairing_code_fits(keys: Keys, login: Login, typed: str) -> bool:
    wanted = pairing_hash(keys, login.id, login.opened_at, names.read_code(typed))
    return login.pairing_hash is not None and same(login.pairing_hash, wanted)


def fingerprint(keys: Keys, login: Login, params: Mapping[str, str]) -> str:
    """Tell whether a callback brings the same parameters again, without keeping them."""
    text = json.dumps(params, sort_keys=True)
    return _keyed(keys, Purpose.FINGERPRINT, login.id, login.opened_at, text)


def completion_code(keys: Keys, held: Login) -> str:
    """Derive the code from login and parameters; it is never stored."""
    text = held.fingerprint or ""
    digest = _keyed(keys, Purpose.COMPLETION, held.id, held.opened_at, text)
    return names.code_from(int(digest[:10], 16))


def verifier_fits(verifier: Secret, login: Login) -> bool:
    """Check a verifier as PKCE does (RFC 7636, S256)."""
    digest = hashlib.sha256(verifier.reveal().encode()).digest()
    challenge = urlsafe_b64encode(digest).rstrip(b"=").decode()
    return same(challenge, login.collect_challenge or "")


def digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def _keyed(keys: Keys, purpose: Purpose, login_id: str, opened_at: float, text: str) -> str:
    # By the key of the login's opening, so that a rotation in its life changes nothing.
    key = keys.ring.in_use(purpose, opened_at)
    return hmac.new(key.symmetric, f"{login_id}\n{text}".encode(), "sha256").hexdigest()
