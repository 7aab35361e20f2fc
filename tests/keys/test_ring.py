"""The relay's keys: one per purpose, a head start before use, kept until nothing needs them."""

import json
import math
from base64 import b64encode
from collections.abc import Callable

import pytest
from cryptography.hazmat.primitives.asymmetric.ec import (
    SECP384R1,
    EllipticCurvePrivateKey,
    generate_private_key,
)
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from opencode_relay.errors import StoreUnavailable
from opencode_relay.keys.held import LOOK_AGAIN, Keys
from opencode_relay.keys.key import Key, Purpose
from opencode_relay.keys.ring import HEAD_START, KEPT, MAX_AGE, Ring
from opencode_relay.login import RELEASE_KEEPS

from tests.support.clock import START, Clock

LONGEST_LOGIN = 1800 + RELEASE_KEEPS


@pytest.fixture
def ring() -> Ring:
    return Ring.fresh(START)


def test_the_first_ring_has_one_key_for_each_purpose_in_use_at_once(ring: Ring) -> None:
    assert [key.purpose for key in ring.keys] == list(Purpose)
    assert {ring.standing(key, START) for key in ring.keys} == {"in use"}


def test_no_two_keys_are_the_same(ring: Ring) -> None:
    keys = ring.rotated(START).keys
    assert len({key.material for key in keys}) == len({key.kid for key in keys}) == len(keys)


def test_symmetric_keys_have_256_bits(ring: Ring) -> None:
    for key in ring.keys:
        assert len(key.symmetric) == (0 if key.purpose is Purpose.RESPONSE else 32)


def test_a_key_does_not_show_its_material(ring: Ring) -> None:
    for key in ring.keys:
        shown = repr(key)
        assert key.material not in shown
        assert "PRIVATE" not in shown
        assert repr(key.symmetric) not in shown or not key.symmetric


@pytest.mark.parametrize("purpose", Purpose)
def test_a_new_key_is_known_15_minutes_before_it_is_used(ring: Ring, purpose: Purpose) -> None:
    rotated = ring.rotated(START)
    old = ring.in_use(purpose, START)
    assert HEAD_START >= 15 * 60
    assert rotated.in_use(purpose, START + HEAD_START - 1) == old
    new = rotated.in_use(purpose, START + HEAD_START)
    assert new != old
    assert rotated.find(purpose, new.kid) == new


def test_standing_follows_time(ring: Ring) -> None:
    rotated = ring.rotated(START)
    old, new = rotated.keys[0], rotated.keys[len(Purpose)]
    assert [rotated.standing(k, START) for k in (old, new)] == ["in use", "upcoming"]
    later = START + HEAD_START
    assert [rotated.standing(k, later) for k in (old, new)] == ["retired", "in use"]


def test_an_old_key_stays_until_everything_made_with_it_has_expired(ring: Ring) -> None:
    rotated = ring.rotated(START)
    retired_at = START + HEAD_START
    assert KEPT >= LONGEST_LOGIN
    kept = rotated.pruned(retired_at + KEPT - 1)
    assert set(kept.keys) == set(rotated.keys)
    assert set(rotated.pruned(retired_at + KEPT).keys) == set(rotated.keys) - set(ring.keys)


def test_a_key_without_a_successor_is_never_dropped(ring: Ring) -> None:
    assert ring.pruned(START + 10 * MAX_AGE) == ring


def test_rotating_twice_at_once_drops_nothing_in_use(ring: Ring) -> None:
    twice = ring.rotated(START).rotated(START + 1)
    assert set(ring.keys) < set(twice.keys)
    assert twice.in_use(Purpose.STATE, START + 2) == ring.in_use(Purpose.STATE, START)


def test_keys_are_tended_every_90_days(ring: Ring) -> None:
    assert ring.tended(START + MAX_AGE - 1) == ring
    assert len(ring.tended(START + MAX_AGE).keys) == 2 * len(Purpose)
    assert MAX_AGE == 90 * 24 * 3600


def test_before_the_first_key_none_is_in_use(ring: Ring) -> None:
    with pytest.raises(StoreUnavailable, match="clock was set back"):
        ring.in_use(Purpose.STATE, START - 1)


def test_a_key_is_found_under_its_own_purpose_only(ring: Ring) -> None:
    kid = ring.in_use(Purpose.STATE, START).kid
    assert ring.find(Purpose.CONFIRM, kid) is None


def test_the_jwks_holds_the_public_part_of_every_response_key(ring: Ring) -> None:
    rotated = ring.rotated(START)
    keys = rotated.jwks()["keys"]
    assert [k["kid"] for k in keys] == [
        k.kid for k in rotated.keys if k.purpose is Purpose.RESPONSE
    ]
    assert all("d" not in key for key in keys)


def test_a_symmetric_key_has_no_public_part(ring: Ring) -> None:
    with pytest.raises(ValueError, match="no public part"):
        ring.in_use(Purpose.STATE, START).public_jwk()


# Written and read


def test_a_ring_is_read_as_it_was_written(ring: Ring) -> None:
    again = Ring.parse(ring.rotated(START).dump())
    assert again.dump() == Ring.parse(again.dump()).dump()
    assert again.jwks() == Ring.parse(again.dump()).jwks()
    assert [k.material for k in again.keys[: len(Purpose)]] == [k.material for k in ring.keys]


def broken(change: Callable[[dict[str, list[dict[str, object]]]], object]) -> str:
    document = json.loads(Ring.fresh(START).dump())
    change(document)
    return json.dumps(document)


def pem(private: Ed25519PrivateKey | EllipticCurvePrivateKey) -> str:
    return private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()


ED25519, P384 = pem(Ed25519PrivateKey.generate()), pem(generate_private_key(SECP384R1()))
# PKCS #8 with an algorithm of OID 1.2.3.4, which no library has.
STRANGE = (
    "-----BEGIN PRIVATE KEY-----\n"
    + b64encode(bytes.fromhex("3010020100300506032a0304040400000000")).decode()
    + "\n-----END PRIVATE KEY-----\n"
)


DAMAGED = {
    "empty": "",
    "no JSON": "{",
    "a list": "[]",
    "no keys": "{}",
    "keys no list": '{"keys": 7}',
    "no key at all": '{"keys": []}',
    "nested without end": "[" * 100_000,
    "a purpose unknown": broken(lambda d: d["keys"][0].update(purpose="x")),
    "a member missing": broken(lambda d: d["keys"][0].pop("kid")),
    "a member too many": broken(lambda d: d["keys"][0].update(x=1)),
    "material no base16": broken(lambda d: d["keys"][0].update(material="the-secret")),
    "material no PEM": broken(lambda d: d["keys"][-1].update(material="the-secret")),
    "material no text": broken(lambda d: d["keys"][-1].update(material=7)),
    "an empty key": broken(lambda d: d["keys"][0].update(material="")),
    "half a key": broken(lambda d: d["keys"][0].update(material="00" * 16)),
    "an Ed25519 key for signing": broken(lambda d: d["keys"][-1].update(material=ED25519)),
    "a key of another curve": broken(lambda d: d["keys"][-1].update(material=P384)),
    "a kind of key nobody knows": broken(lambda d: d["keys"][-1].update(material=STRANGE)),
    "an id that is no text": broken(lambda d: d["keys"][0].update(kid=7)),
    "a time that is no number": broken(lambda d: d["keys"][0].update(used_from="now")),
    "no time at all": broken(lambda d: d["keys"][0].update(used_from=math.nan)),
    "a time without end": broken(lambda d: d["keys"][0].update(used_from=10**400)),
}


@pytest.mark.parametrize("text", DAMAGED.values(), ids=DAMAGED)
def test_a_damaged_ring_is_refused_without_showing_it(text: str) -> None:
    with pytest.raises(ValueError, match="damaged") as told:
        Ring.parse(text)
    assert str(told.value) == "damaged"


@pytest.mark.parametrize("purpose", Purpose)
def test_a_ring_of_before_a_purpose_can_be_read(ring: Ring, purpose: Purpose) -> None:
    older = Ring.parse(Ring(tuple(k for k in ring.keys if k.purpose is not purpose)).dump())
    assert older.missing() == {purpose}
    newer = older.completed(START)
    assert not newer.missing()
    assert newer.keys[:-1] == older.keys


# What a process holds


class Loading:
    """A place where rings are fetched, and how often that was asked for."""

    def __init__(self) -> None:
        self.ring = Ring.fresh(START)
        self.asked = 0
        self.fails = False

    def __call__(self) -> Ring:
        self.asked += 1
        if self.fails:
            raise StoreUnavailable("x")
        return self.ring


@pytest.fixture
def loading() -> Loading:
    return Loading()


@pytest.fixture
def keys(loading: Loading, clock: Clock) -> Keys:
    keys = Keys(loading, clock)
    keys.refresh()
    return keys


@pytest.fixture
def clock() -> Clock:
    return Clock()


def added(loading: Loading) -> Key:
    loading.ring = loading.ring.rotated(START)
    return loading.ring.keys[-1]


def test_a_known_key_is_found_without_a_look_up(keys: Keys, loading: Loading) -> None:
    assert keys.find(Purpose.STATE, loading.ring.keys[0].kid)
    assert loading.asked == 1


def test_an_unknown_key_is_looked_up(keys: Keys, loading: Loading) -> None:
    new = added(loading)
    assert keys.find(Purpose.RESPONSE, new.kid) == new


def test_strangers_cause_one_look_up_a_minute(keys: Keys, loading: Loading, clock: Clock) -> None:
    for _ in range(10):
        assert keys.find(Purpose.STATE, "nobody") is None
    assert loading.asked == 2
    clock.advance(LOOK_AGAIN)
    keys.find(Purpose.STATE, "nobody")
    assert loading.asked == 3
    assert LOOK_AGAIN == 60


def test_if_the_look_up_fails_the_old_ring_stays(keys: Keys, loading: Loading) -> None:
    loading.fails = True
    assert keys.find(Purpose.STATE, "nobody") is None
    assert keys.ring is loading.ring


def test_a_check_reads_the_keys_once_a_minute(keys: Keys, loading: Loading, clock: Clock) -> None:
    keys.check()
    keys.check()
    assert loading.asked == 2
    loading.fails = True
    clock.advance(LOOK_AGAIN)
    for _ in range(2):
        with pytest.raises(StoreUnavailable):
            keys.check()
