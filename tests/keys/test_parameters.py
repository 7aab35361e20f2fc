"""The key ring in Parameter Store: what is missing is added, what is there stays."""

import json
from types import SimpleNamespace
from typing import Any

import pytest
from botocore.exceptions import ClientError
from opencode_relay.errors import StoreUnavailable
from opencode_relay.keys.key import Purpose
from opencode_relay.keys.parameters import KeyParameters
from opencode_relay.keys.ring import MAX_AGE, Ring

from tests.support.clock import START, Clock

PATH = "/opencode-relay/stack/keys"


class ParameterStore:
    """SSM, refusing each call whose turn is in `denied`."""

    meta = SimpleNamespace(region_name="us-east-1")

    def __init__(self) -> None:
        self.values: dict[str, str] = {}
        self.denied: list[bool] = []
        self.written: list[str] = []

    def _turn(self, operation: str) -> None:
        if self.denied and self.denied.pop(0):
            error = {"Code": "AccessDeniedException", "Message": "the-secret"}
            raise ClientError({"Error": error}, operation)

    def get_parameters(self, *, Names: list[str], **_: Any) -> dict[str, Any]:  # noqa: N803
        self._turn("GetParameters")
        known = [name for name in Names if name in self.values]
        return {"Parameters": [{"Name": n, "Value": self.values[n]} for n in known]}

    def put_parameter(
        self,
        *,
        Name: str,  # noqa: N803
        Value: str,  # noqa: N803
        Overwrite: bool,  # noqa: N803
        **_: Any,
    ) -> dict[str, Any]:
        self._turn("PutParameter")
        if Name in self.values and not Overwrite:
            raise ClientError({"Error": {"Code": "ParameterAlreadyExists"}}, "PutParameter")
        self.written.append(Name.rpartition("/")[2])
        self.values[Name] = Value
        return {}


@pytest.fixture
def store() -> ParameterStore:
    return ParameterStore()


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def keys(store: ParameterStore, clock: Clock) -> KeyParameters:
    return KeyParameters(store, PATH, clock)


def test_the_first_keys_are_made_once(store: ParameterStore, keys: KeyParameters) -> None:
    assert keys.make()
    before = dict(store.values)
    assert not keys.make()
    assert store.values == before
    assert store.written == list(Purpose)
    assert all(key.used_from < START for key in keys.load().keys)


@pytest.mark.parametrize("purpose", Purpose)
def test_a_purpose_that_a_release_brings_gets_its_key(
    store: ParameterStore, keys: KeyParameters, purpose: Purpose
) -> None:
    keys.make()
    del store.values[f"{PATH}/{purpose}"]
    with pytest.raises(StoreUnavailable, match=f"In us-east-1 .* under {PATH}: check .* adds what"):
        keys.load()
    before = dict(store.values)
    store.written.clear()
    assert keys.make()
    assert store.written == [purpose]
    assert before.items() <= store.values.items()
    assert keys.load().in_use(purpose, START)


def test_a_first_making_that_broke_off_is_gone_on_with(
    store: ParameterStore, keys: KeyParameters
) -> None:
    store.denied = [False, False, False, True]
    with pytest.raises(StoreUnavailable, match="AccessDeniedException"):
        keys.make()
    before = dict(store.values)
    assert len(before) == 2
    assert keys.make()
    assert before.items() <= store.values.items()
    assert len(keys.load().keys) == len(Purpose)


@pytest.mark.parametrize("value", ["the-secret", "7", "[]", '{"a": 1}', "[" * 4000, "[{}]"])
def test_a_damaged_key_is_named_and_not_replaced(
    store: ParameterStore, keys: KeyParameters, value: str
) -> None:
    keys.make()
    store.values[f"{PATH}/state"] = value
    for act in (keys.load, keys.make, keys.rotate_if_due):
        with pytest.raises(StoreUnavailable, match=f"{PATH}/state is damaged") as told:
            act()
        assert "the-secret" not in str(told.value)
    assert store.values[f"{PATH}/state"] == value


def test_a_replacing_that_broke_off_says_how_far_it_came(
    store: ParameterStore, keys: KeyParameters
) -> None:
    keys.make()
    store.denied = [False, False, True]
    first, second, *_, last = Purpose
    with pytest.raises(StoreUnavailable, match="run it again") as told:
        keys.replace_all()
    assert f"AccessDeniedException: the credentials' owner may not do this. Under {PATH}" in str(
        told.value
    )
    assert f"are written for {first}, {second}, and not for " in str(told.value)
    assert f"{last}: run it again." in str(told.value)


def test_a_key_under_another_purposes_name_is_none(
    store: ParameterStore, keys: KeyParameters
) -> None:
    """Who may write one parameter is not to make keys for another's purpose."""
    keys.make()
    mine, other = (json.loads(store.values[f"{PATH}/{p}"]) for p in ("state", "confirm"))
    store.values[f"{PATH}/state"] = json.dumps(mine + other)
    with pytest.raises(StoreUnavailable, match=f"{PATH}/state is damaged"):
        keys.load()


def test_keys_that_are_not_due_are_not_written(
    store: ParameterStore, keys: KeyParameters, clock: Clock
) -> None:
    keys.make()
    store.written.clear()
    assert not keys.rotate_if_due()
    assert store.written == []
    clock.advance(MAX_AGE)
    assert keys.rotate_if_due()
    assert {len(json.loads(value)) for value in store.values.values()} == {2}


def test_the_daily_look_makes_what_is_missing(store: ParameterStore, keys: KeyParameters) -> None:
    assert keys.rotate_if_due()
    assert not keys.rotate_if_due()
    del store.values[f"{PATH}/state"]
    assert keys.rotate_if_due()
    assert keys.load().in_use(Purpose.STATE, START)


def test_of_two_that_make_the_first_keys_one_fails(
    store: ParameterStore, keys: KeyParameters, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """For they are used at once: what was made with those of the other would be worth nothing."""
    completed = Ring.completed

    def overtaken(ring: Ring, now: float) -> Ring:
        monkeypatch.undo()
        assert KeyParameters(store, PATH, clock).make()
        return completed(ring, now)

    monkeypatch.setattr(Ring, "completed", overtaken)
    with pytest.raises(StoreUnavailable, match="ParameterAlreadyExists"):
        keys.make()
    assert len(store.written) == len(Purpose)
