"""What a login came to: the account in opencode, and the identity provider's word for it."""

from .idp import Idp
from .opencode import Opencode
from .person import Person
from .processes import wait_until


def signed_in(person: Person, instance: Opencode, idp: Idp, *, logins: int = 1) -> None:
    """opencode holds the access token last issued to this person, and says connected.

    In all, `logins` codes of theirs were redeemed: each once and with PKCE.
    """
    wait_until(
        lambda: len(idp.tokens_of(person.name)) >= logins and holds(person, instance, idp),
        f"opencode holds the token of {person.name}",
    )
    tokens = idp.tokens_of(person.name)
    assert len({token["code"] for token in tokens}) == len(tokens) == logins
    assert {(t["code_challenge_method"], t["verifier_sent"]) for t in tokens} == {("S256", True)}
    assert [idp.refusals_of(token["code"]) for token in tokens] == [[]] * logins
    wait_until(instance.connected, "opencode's provider list says connected")


def holds(person: Person, instance: Opencode, idp: Idp) -> bool:
    """Whether auth.json has this very person's newest access token."""
    account = instance.account() or {}
    return (
        account.get("accountId") == f"acct_{person.name}"
        and account["access"] == idp.tokens_of(person.name)[-1]["access_token"]
    )


def never_signed_in(person: Person, instance: Opencode, idp: Idp) -> None:
    """No token was ever issued to this person, and opencode holds nothing of theirs."""
    assert idp.tokens_of(person.name) == []
    assert (instance.account() or {}).get("accountId") != f"acct_{person.name}"
