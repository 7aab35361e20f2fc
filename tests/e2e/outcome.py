"""What a login came to: the account in opencode, and the identity provider's word for it."""

from .idp import Idp
from .opencode import Opencode
from .person import Person
from .processes import wait_until


def signed_in(person: Person, instance: Opencode, idp: Idp) -> None:
    """opencode holds the one access token that was issued to this person, and says connected."""
    wait_until(
        lambda: (instance.account() or {}).get("accountId") == f"acct_{person.name}",
        f"opencode holds the account of {person.name}",
    )
    account = instance.account()
    (token,) = idp.tokens_of(person.name)  # redeemed once
    assert account
    assert account["access"] == token["access_token"]
    assert (token["code_challenge_method"], token["verifier_sent"]) == ("S256", True)
    assert token["code"] not in [refused["code"] for refused in idp.refusals()]
    wait_until(instance.connected, "opencode's provider list says connected")


def not_signed_in(person: Person, instance: Opencode, idp: Idp) -> None:
    """No token was ever issued to this person, and opencode holds nothing of theirs."""
    assert idp.tokens_of(person.name) == []
    assert (instance.account() or {}).get("accountId") != f"acct_{person.name}"
