"""Where a person's tokens go: every request that left opencode is looked at, TLS taken off."""

import json
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import parse_qs

import pytest

from .conftest import Meet
from .helpers import PASTE
from .idp import HOST, Idp
from .models import REPLY, RESPONSES, models
from .opencode import Opencode, label_is, opencode
from .outcome import signed_in
from .outside import Outside, Sent, outside
from .person import Person, decide
from .proxies import Certificate
from .relays import RELAY_HOST, Relay, relay_at

CHATGPT = "chatgpt.com"
PAIRING, PASTING = "pairing-code", "paste"
LABELS = {PAIRING: "(browser)", PASTING: PASTE}


@dataclass(frozen=True)
class Place:
    """An opencode whose relay is also reached through the proxy, and both sides' proxies."""

    instance: Opencode
    relay: Relay
    idp: Idp
    way: str
    left: Outside

    def sign_in(self, person: Person) -> None:
        dialog = person.connect(self.instance.url)
        if self.way == PAIRING:
            page = person.reach_relay(dialog.follow())
            decide(page, "Allow", dialog.pairing_code)
        else:
            dialog.paste(person.reach_localhost(dialog.follow()))
        dialog.closes_connected()
        signed_in(person, self.instance, self.idp)

    def expire(self) -> None:
        """Make opencode believe that its access token has expired."""
        stored = self.instance.home / ".local/share/opencode/auth.json"
        accounts = json.loads(stored.read_text())
        accounts["openai"]["expires"] = int(time.time() * 1000) - 1
        stored.write_text(json.dumps(accounts))

    def hosts_given(self, secret: str) -> set[str]:
        assert secret
        return {one.host for one in self.left.sent if one.carries(secret)}

    def sent_to(self, host: str) -> list[Sent]:
        return [one for one in self.left.sent if one.host == host]


@pytest.fixture
def served(world: Path, ports: dict[str, int], way: str) -> Iterator[Relay]:
    home = world / f"tokens-relay-{way}"
    with relay_at(
        f"https://{RELAY_HOST}", ports["tokens"], home, registered=way == PAIRING
    ) as relay:
        yield relay


@pytest.fixture
def idp(open_idp: Idp, locked_idp: Idp, way: str) -> Idp:
    return open_idp if way == PAIRING else locked_idp


@pytest.fixture
def beyond(idp: Idp, certificate: Certificate, ports: dict[str, int]) -> Iterator[Outside]:
    with outside(certificate, {**idp.outside.hosts, RELAY_HOST: ports["tokens"]}) as proxy:
        yield proxy


@pytest.fixture
def place(
    world: Path,
    plugin: Path,
    template: Path,
    served: Relay,
    idp: Idp,
    beyond: Outside,
    certificate: Certificate,
    way: str,
) -> Iterator[Place]:
    home = world / f"tokens-{way}"
    with models() as port:
        hosts = {**beyond.hosts, CHATGPT: port, "api.openai.com": port}
        with (
            outside(certificate, hosts) as left,
            opencode(home, plugin, served.options, template, outside=left) as instance,
        ):
            label_is(instance, LABELS[way])
            yield Place(instance, served, idp, way, left)


@pytest.mark.parametrize("way", LABELS)
def test_tokens_go_to_openai_only_and_the_relays_secrets_to_the_relay(
    meet: Meet, place: Place
) -> None:
    alice = meet("alice")
    place.sign_in(alice)
    assert place.instance.prompt("Who am I?") == REPLY
    place.expire()
    assert place.instance.prompt("And now?") == REPLY

    # The account's tokens: each at one of ChatGPT's two hosts, for its own purpose.
    first, second = place.idp.tokens_of(alice.name)
    for issued in (first, second):
        assert place.hosts_given(issued["access_token"]) == {CHATGPT}
        assert place.hosts_given(issued["id_token"]) == set()
    assert place.hosts_given(first["refresh_token"]) == {HOST}
    assert place.hosts_given(second["refresh_token"]) <= {HOST}
    prompts = place.sent_to(CHATGPT)
    assert {one.path for one in prompts} == {RESPONSES}
    assert {one.bearer for one in prompts} == {first["access_token"], second["access_token"]}

    # What they were asked for with.
    redeemed, refreshed = (parse_qs(one.body) for one in place.sent_to(HOST))
    assert redeemed["grant_type"] == ["authorization_code"]
    assert refreshed["grant_type"] == ["refresh_token"]
    assert refreshed["refresh_token"] == [first["refresh_token"]]
    for name in ("code", "code_verifier"):
        (secret,) = redeemed[name]
        assert place.hosts_given(secret) == {HOST}

    # The relay's secrets: the instance key, and the verifier of a login that it knows of.
    bearers = {one.bearer for one in place.sent_to(RELAY_HOST)} - {""}
    assert len(bearers) == (2 if place.way == PAIRING else 1)
    assert place.relay.options["key"] in bearers
    for secret in bearers:
        assert place.hosts_given(secret) == {RELAY_HOST}

    # And nothing left for anywhere else.
    assert {one.host for one in place.left.sent} == {HOST, CHATGPT, RELAY_HOST}
    assert place.left.refused == []
