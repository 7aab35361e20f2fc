"""DynamoDB's transactions, where another writer comes between a read and the write; its batches."""

from collections.abc import Awaitable, Callable, Iterator
from dataclasses import replace
from typing import Any

import pytest
from botocore.exceptions import ClientError
from botocore.session import get_session
from moto import mock_aws
from opencode_relay import login as rules
from opencode_relay.errors import StoreUnavailable
from opencode_relay.login import Change, Status
from opencode_relay.stores.dynamodb import BATCH, DynamoDBStore

from tests.aws.tap import create_tables
from tests.support.stores import NOW, a_login, an_instance

Between = Callable[[], Awaitable[object]]


class Overtaken(DynamoDBStore):
    """Lets another writer act once, before its next transaction or change of a login."""

    between: Between | None = None

    async def _meanwhile(self) -> None:
        act, self.between = self.between, None
        if act:
            await act()

    async def _transact(self, *writes: dict[str, Any]) -> bool:
        await self._meanwhile()
        return await super()._transact(*writes)

    async def apply(self, login_id: str, change: Change) -> bool:
        await self._meanwhile()
        return await super().apply(login_id, change)


@pytest.fixture
def client() -> Iterator[Any]:
    with mock_aws():
        client = get_session().create_client(
            "dynamodb", "us-east-1", aws_access_key_id="x", aws_secret_access_key="x"
        )
        create_tables(client, "logins", "instances")
        yield client
        client.close()


@pytest.fixture
def store(client: Any) -> Overtaken:
    return Overtaken(client, logins="logins", instances="instances")


@pytest.fixture
def other(client: Any) -> DynamoDBStore:
    return DynamoDBStore(client, logins="logins", instances="instances")


async def test_a_removal_overtaken_by_a_rename_removes_all_the_same(
    store: Overtaken, other: DynamoDBStore
) -> None:
    instance, heir = an_instance("old"), an_instance("old")
    await store.add_instance(instance)

    async def rename() -> None:
        assert await other.replace_instance(replace(instance, name="new"))
        assert await other.add_instance(heir)

    store.between = rename
    assert await store.remove_instance(instance.id)
    assert list(await store.list_instances()) == [heir]
    assert not await store.add_instance(an_instance("old"))
    assert await store.add_instance(an_instance("new"))


async def test_a_rename_overtaken_by_a_removal_brings_nothing_back(
    store: Overtaken, other: DynamoDBStore
) -> None:
    instance = an_instance("old")
    await store.add_instance(instance)
    store.between = lambda: other.remove_instance(instance.id)
    assert not await store.replace_instance(replace(instance, name="new"))
    assert await store.add_instance(an_instance("old"))
    assert await store.add_instance(an_instance("new"))


async def test_a_rename_overtaken_by_an_enrolment_takes_no_name(
    store: Overtaken, other: DynamoDBStore
) -> None:
    instance, quicker = an_instance("old"), an_instance("new")
    await store.add_instance(instance)
    store.between = lambda: other.add_instance(quicker)
    assert not await store.replace_instance(replace(instance, name="new"))
    assert list(await store.list_instances()) == [quicker, instance]
    assert not await store.add_instance(an_instance("old"))


async def test_a_conflict_is_a_race_that_was_lost(
    store: Overtaken, client: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    instance = an_instance()
    await store.add_instance(instance)

    def conflict(**_: Any) -> None:
        raise ClientError(
            {
                "Error": {"Code": "TransactionCanceledException"},
                "CancellationReasons": [{"Code": "None"}, {"Code": "TransactionConflict"}],
            },
            "TransactWriteItems",
        )

    monkeypatch.setattr(client, "transact_write_items", conflict)
    assert not await store.replace_instance(instance)


async def test_a_login_that_moves_on_meanwhile_is_cancelled_all_the_same(
    store: Overtaken, other: DynamoDBStore
) -> None:
    """Or a code that is released just then would outlive the keys that leaked."""
    login = a_login()
    await store.create(login)

    async def hold() -> None:
        assert await other.apply(login.id, rules.hold(NOW, fingerprint="f", response="the-secret"))

    store.between = hold
    [cancelled] = await store.cancel_all(NOW)
    found = await store.get(login.id)
    assert found
    assert (cancelled.id, found.status, found.response) == (login.id, Status.CANCELLED, None)


async def test_a_login_that_ends_meanwhile_is_not_counted(
    store: Overtaken, other: DynamoDBStore
) -> None:
    login = a_login()
    await store.create(login)

    async def end() -> None:
        assert await other.apply(login.id, rules.cancel(login, NOW))

    store.between = end
    assert await store.cancel_all(NOW) == []


async def test_a_login_that_cannot_be_read_keeps_none_of_the_others(
    store: Overtaken, client: Any
) -> None:
    """After a leak all must end, though one is of a newer release; and it is not passed over."""
    logins = [a_login(), a_login(), a_login()]
    for login in logins:
        await store.create(login)
    odd, *others = sorted(logins, key=lambda login: login.id)
    client.update_item(
        TableName="logins",
        Key={"pk": {"S": f"login#{odd.id}"}},
        UpdateExpression="SET #s = :s",
        ExpressionAttributeNames={"#s": "status"},
        ExpressionAttributeValues={":s": {"S": "of-a-newer-release"}},
    )
    with pytest.raises(StoreUnavailable, match="cannot be read: 1"):
        await store.cancel_all(NOW)
    found = [await store.get(login.id) for login in others]
    assert [one and one.status for one in found] == [Status.CANCELLED] * 2


async def test_what_is_settled_is_told_of_many_logins(store: Overtaken) -> None:
    pending = [Status.PENDING] * (BATCH - len(Status) - 1)
    logins = [a_login(status=status) for status in [*Status, *pending]]
    for login in logins:
        await store.create(login)
    ids = [one.id for one in logins]
    settled = {one.id for one in logins if one.status not in {Status.PENDING, Status.HELD}}
    assert set(await store.settled([*ids, "n" * 24])) == settled
