"""Logins and instances as stores are given them."""

import secrets
from collections.abc import Callable
from typing import Any

from opencode_relay.instances import Instance
from opencode_relay.login import Confirmation, Delivery, Login, Status
from opencode_relay.stores import Store

from tests.support.clock import START

OpenStore = Callable[[], Store]
NOW = START


def a_login(**values: Any) -> Login:
    """Return a pending login; any field may be given."""
    usual: dict[str, Any] = {
        "id": secrets.token_urlsafe(18),
        "status": Status.PENDING,
        "delivery": Delivery.POLL,
        "confirmation": Confirmation.PAIRING_CODE,
        "collect_challenge": "c" * 43,
        "encryption_key": '{"kty":"EC"}',
        "opened_at": NOW,
        "opened_from": "203.0.113.7",
        "expires_at": NOW + 600,
        "instance_id": "workshop",
        "pairing_hash": "hash",
    }
    return Login(**{**usual, **values})


def a_full_login(**values: Any) -> Login:
    """Return a login of which every field holds something."""
    return a_login(
        **{
            "registered_name": "workshop 🦊",
            "name": "Ana's “box”",
            "provider": "Example ID",
            "return_url": "https://instance.example/cb",
            "idp_issuer": "https://idp.example",
            "arrived_at": NOW + 1.25,
            "fingerprint": "print",
            "response": "sealed",
            "idp_error": True,
            "rendering": "rendering",
            "tries": 3,
            **values,
        }
    )


def an_instance(name: str = "workshop", *return_urls: str) -> Instance:
    return Instance.enrol(name, list(return_urls), NOW)[0]
