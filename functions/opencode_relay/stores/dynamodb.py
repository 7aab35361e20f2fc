"""The store on AWS: DynamoDB, two tables, every transition one conditional write.

Logins and counters share a table whose items end by themselves (TTL); enrolled instances have one
that is backed up. Keys begin with the kind of the item, so that a function's policy can name the
kinds it may touch.
"""

from __future__ import annotations

import asyncio
import functools
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any, TypeVar

from botocore.exceptions import ClientError

from opencode_relay.amazon import THREADS, translated
from opencode_relay.errors import NameTaken, StoreUnavailable
from opencode_relay.instances import Instance
from opencode_relay.login import MAX_TRIES, OPEN, REMEMBERED, Change, Login, Status, cancel

from .items import Item, instance_item, instance_of, item_of, key_of, login_item, login_of

Result = TypeVar("Result")
_UNSETTLED = {Status.PENDING, Status.HELD}
_COUNTED = 120  # seconds that a minute's counter is kept
_THERE = "#status = :when AND expires_at > :now"
BATCH = 100  # keys that DynamoDB takes at a time
# Seconds until DynamoDB counts as out of reach, retries included: the longest wait and one more
# read end before API Gateway cuts the request at 30.
PATIENCE = 3


class DynamoDBStore:
    """A `Store` over a low-level boto3 client. Calls run in threads of its own: boto3 blocks."""

    def __init__(self, client: Any, *, logins: str, instances: str, threads: int = THREADS) -> None:
        """`logins` and `instances` are the tables' names."""
        self._db = client
        self._threads = ThreadPoolExecutor(threads, "dynamodb")
        self._logins = logins
        self._instances = instances

    async def create(self, login: Login) -> None:
        # Ids are 144 random bits: one that is there already was made by an attempt whose answer was
        # lost. The attempt itself may come late, and must not undo what has happened to the login.
        await self._conditional(
            self._db.put_item,
            TableName=self._logins,
            Item=login_item(login),
            ConditionExpression="attribute_not_exists(pk)",
        )

    async def get(self, login_id: str) -> Login | None:
        item = await self._get(self._logins, f"login#{login_id}")
        return login_of(item) if item else None

    async def apply(self, login_id: str, change: Change) -> bool:
        values: Item = {":when": str(change.when), ":now": change.now}
        sets, removes, names = [], [], {"#status": "status"}
        for number, (name, value) in enumerate(change.values.items()):
            names[f"#{number}"] = name
            if value is None:
                removes.append(f"#{number}")
            else:
                sets.append(f"#{number} = :{number}")
                values[f":{number}"] = value
        if "expires_at" in change.values:
            sets.append("#ttl = :ttl")
            names["#ttl"] = "ttl"
            values[":ttl"] = int(change.values["expires_at"]) + REMEMBERED
        done = await self._conditional(
            self._db.update_item,
            TableName=self._logins,
            Key=key_of(f"login#{login_id}"),
            ConditionExpression=_THERE,
            UpdateExpression=(f"SET {', '.join(sets)}" if sets else "")
            + (f" REMOVE {', '.join(removes)}" if removes else ""),
            ExpressionAttributeNames=names,
            ExpressionAttributeValues=item_of(values),
        )
        return done is not None

    async def count_try(self, login_id: str, now: float) -> int | None:
        values = {":when": str(Status.HELD), ":now": now, ":most": MAX_TRIES, ":one": 1}
        done = await self._conditional(
            self._db.update_item,
            TableName=self._logins,
            Key=key_of(f"login#{login_id}"),
            ConditionExpression=f"{_THERE} AND tries < :most",
            UpdateExpression="SET tries = tries + :one",
            ExpressionAttributeNames={"#status": "status"},
            ExpressionAttributeValues=item_of(values),
            ReturnValues="UPDATED_NEW",
        )
        return int(done["Attributes"]["tries"]["N"]) if done else None

    async def cancel_all(self, now: float, *, instance_id: str | None = None) -> Sequence[Login]:
        """Cancel open logins one by one: an operator's rare act, worth no index on every login."""
        cancelled, unread = [], 0
        for item in await self._scan(self._logins, "login#"):
            try:
                login = login_of(item)
            except (ValueError, TypeError):  # of a newer release: the others are to end
                unread += 1
                continue
            if instance_id in {None, login.instance_id} and await self._cancel(login, now):
                cancelled.append(replace(login, **cancel(login, now).values))
        if unread:
            raise StoreUnavailable(f"Logins that cannot be read: {unread}. All others are ended.")
        return cancelled

    async def _cancel(self, login: Login, now: float) -> bool:
        """Cancel a login that is open, wherever it has moved since it was read."""
        found: Login | None = login
        while found and found.status in OPEN and found.expires_at > now:
            if await self.apply(found.id, cancel(found, now)):
                return True
            found = await self.get(found.id)
        return False

    async def hit(self, counter: str, minute: int) -> int:
        done = await self._call(
            self._db.update_item,
            TableName=self._logins,
            Key=key_of(f"count#{counter}#{minute}"),
            UpdateExpression="ADD n :one SET #ttl = :ttl",
            ExpressionAttributeNames={"#ttl": "ttl"},
            ExpressionAttributeValues=item_of({":one": 1, ":ttl": minute * 60 + _COUNTED}),
            ReturnValues="UPDATED_NEW",
        )
        return int(done["Attributes"]["n"]["N"])

    async def take_back(self, counter: str, minute: int) -> None:
        await self._conditional(
            self._db.update_item,
            TableName=self._logins,
            Key=key_of(f"count#{counter}#{minute}"),
            ConditionExpression="n > :none",
            UpdateExpression="ADD n :less",
            ExpressionAttributeValues=item_of({":none": 0, ":less": -1}),
        )

    async def count(self, counter: str, minutes: range) -> int:
        keys = [f"count#{counter}#{minute}" for minute in minutes]
        found = await asyncio.gather(*(self._get(self._logins, key) for key in keys))
        return sum(int(item["n"]["N"]) for item in found if item)

    async def add_instance(self, instance: Instance) -> bool:
        new = {"ConditionExpression": "attribute_not_exists(pk)"}
        return await self._transact(
            {"Put": {"Item": _name_item(instance), **new}},
            {"Put": {"Item": instance_item(instance), **new}},
        )

    async def get_instance(self, instance_id: str) -> Instance | None:
        item = await self._get(self._instances, f"instance#{instance_id}")
        return instance_of(item) if item else None

    async def list_instances(self) -> Sequence[Instance]:
        found = await self._scan(self._instances, "instance#")
        return sorted((instance_of(item) for item in found), key=lambda one: one.name)

    async def replace_instance(self, instance: Instance) -> bool:
        found = await self.get_instance(instance.id)
        if found is None:
            return False
        version, used = instance.version + 1, found.last_used_at
        newer = replace(instance, version=version, last_used_at=used)
        writes: list[Item] = [{"Put": {"Item": instance_item(newer), **_is_still(instance)}}]
        # As long as the version holds, so does the name that was read: they are written as one.
        if newer.name_key != found.name_key:
            if await self._get(self._instances, _name_pk(newer)):
                raise NameTaken(newer.name)
            new = {"ConditionExpression": "attribute_not_exists(pk)"}
            writes += [
                {"Put": {"Item": _name_item(newer), **new}},
                {"Delete": {"Key": key_of(_name_pk(found))}},
            ]
        return await self._transact(*writes)

    async def remove_instance(self, instance_id: str) -> bool:
        while found := await self.get_instance(instance_id):
            if await self._transact(
                {"Delete": {"Key": key_of(f"instance#{instance_id}"), **_is_still(found)}},
                {"Delete": {"Key": key_of(_name_pk(found))}},
            ):
                return True
        return False

    async def note_use(self, instance_id: str, now: float, before: float) -> bool:
        # The role that may do this may write no other attribute: see template.yaml.
        done = await self._conditional(
            self._db.update_item,
            TableName=self._instances,
            Key=key_of(f"instance#{instance_id}"),
            ConditionExpression=(
                "attribute_exists(pk) AND "
                "(attribute_not_exists(last_used_at) OR last_used_at <= :before)"
            ),
            UpdateExpression="SET last_used_at = :now",
            ExpressionAttributeValues=item_of({":now": now, ":before": before}),
        )
        return done is not None

    async def settled(self, login_ids: Sequence[str]) -> list[str]:
        """Return those of at most `BATCH` logins that are neither pending nor held any more.

        For half the price of a sure reading: one that was settled just now may be missing.
        """
        asked = {
            "Keys": [key_of(f"login#{login_id}") for login_id in login_ids],
            "ProjectionExpression": "id, #status",
            "ExpressionAttributeNames": {"#status": "status"},
        }
        found = await self._call(self._db.batch_get_item, RequestItems={self._logins: asked})
        # What DynamoDB leaves unread is asked for again with the next look.
        items = found["Responses"][self._logins]
        return [one["id"]["S"] for one in items if one["status"]["S"] not in _UNSETTLED]

    async def check(self) -> None:
        await self._get(self._logins, "count#health#0")

    async def _transact(self, *writes: Item) -> bool:
        """Make writes to the instances' table, all or none; False where a condition fails."""
        items = [
            {kind: {"TableName": self._instances, **write}}
            for one in writes
            for kind, write in one.items()
        ]
        return bool(await self._conditional(self._db.transact_write_items, TransactItems=items))

    async def _get(self, table: str, pk: str) -> Item | None:
        found = await self._call(
            self._db.get_item, TableName=table, Key=key_of(pk), ConsistentRead=True
        )
        item: Item | None = found.get("Item")
        return item

    async def _scan(self, table: str, prefix: str) -> list[Item]:
        found: list[Item] = []
        asked: Item = {
            "TableName": table,
            "ConsistentRead": True,
            "FilterExpression": "begins_with(pk, :prefix)",
            "ExpressionAttributeValues": item_of({":prefix": prefix}),
        }
        while True:
            page = await self._call(self._db.scan, **asked)
            found += page["Items"]
            if "LastEvaluatedKey" not in page:
                return found
            asked["ExclusiveStartKey"] = page["LastEvaluatedKey"]

    async def _call(self, method: Callable[..., Item], **request: Any) -> Item:
        with translated("DynamoDB"):
            return await self._in_a_thread(method, request)

    async def _conditional(self, method: Callable[..., Item], **request: Any) -> Item | None:
        """Make a write; None where its condition did not hold."""
        with translated("DynamoDB"):
            try:
                return await self._in_a_thread(method, request)
            except ClientError as wrong:
                if _condition_failed(wrong):
                    return None
                raise

    async def _in_a_thread(self, method: Callable[..., Item], request: Item) -> Item:
        call = functools.partial(method, **request)
        async with asyncio.timeout(PATIENCE):  # and for a thread
            return await asyncio.get_running_loop().run_in_executor(self._threads, call)


def _name_pk(instance: Instance) -> str:
    return f"name#{instance.name_key}"


def _name_item(instance: Instance) -> Item:
    return item_of({"pk": _name_pk(instance), "id": instance.id})


def _is_still(instance: Instance) -> Item:
    return {
        "ConditionExpression": "version = :old",
        "ExpressionAttributeValues": item_of({":old": instance.version}),
    }


def _condition_failed(wrong: ClientError) -> bool:
    error: str = wrong.response["Error"]["Code"]
    if error == "TransactionCanceledException":
        reasons: list[Item] = wrong.response.get("CancellationReasons", [])
        lost = {"ConditionalCheckFailed", "TransactionConflict"}  # before, or just now
        return any(reason.get("Code") in lost for reason in reasons)
    return error == "ConditionalCheckFailedException"
