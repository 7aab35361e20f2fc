"""boto3 blocks: its calls are made in threads, few of them, and failures are told in our words."""

import asyncio
import threading
from typing import Any

import pytest
from botocore.exceptions import ClientError, EndpointConnectionError, NoCredentialsError
from opencode_relay.amazon import THREADS
from opencode_relay.errors import StoreUnavailable
from opencode_relay.stores import dynamodb
from opencode_relay.stores.dynamodb import DynamoDBStore

from tests.support.served import PATIENCE


class Database:
    """A client whose reading ends when it is let go."""

    def __init__(self) -> None:
        self.let_go = threading.Event()
        self.busy = self.most = 0
        self.wrong: Exception | None = None

    def get_item(self, **_: Any) -> dict[str, Any]:
        self.busy += 1
        self.most = max(self.most, self.busy)
        went = self.let_go.wait(PATIENCE)
        self.busy -= 1
        assert went
        if self.wrong:
            raise self.wrong
        return {}


@pytest.fixture
def database() -> Database:
    return Database()


@pytest.fixture
def store(database: Database) -> DynamoDBStore:
    return DynamoDBStore(database, logins="logins", instances="instances")


async def test_the_event_loop_goes_on_while_dynamodb_is_slow(
    store: DynamoDBStore, database: Database
) -> None:
    slow = asyncio.create_task(store.check())
    while not database.busy:  # noqa: ASYNC110
        await asyncio.sleep(0.001)
    database.let_go.set()  # by nobody, if the loop stood still
    await slow


async def test_there_are_only_so_many_threads(
    store: DynamoDBStore, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dynamodb, "PATIENCE", PATIENCE)
    calls = asyncio.gather(*(store.check() for _ in range(3 * THREADS)))
    while database.busy < THREADS:  # noqa: ASYNC110
        await asyncio.sleep(0.001)
    database.let_go.set()
    await calls
    assert database.most == THREADS


async def test_who_gets_no_thread_in_time_is_told_so(
    store: DynamoDBStore, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dynamodb, "PATIENCE", 0.01)
    done = await asyncio.gather(
        *(store.check() for _ in range(2 * THREADS)), return_exceptions=True
    )
    assert {str(one) for one in done} == {"DynamoDB cannot be reached: TimeoutError."}
    database.let_go.set()
    assert database.most <= THREADS


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        (NoCredentialsError(), "cannot be reached: NoCredentialsError: there are no AWS cred"),
        ("AccessDeniedException", "refuses: AccessDeniedException: the credentials' owner may not"),
        ("ResourceNotFoundException", "refuses: ResourceNotFoundException: there is no such table"),
        ("ExpiredTokenException", "refuses: ExpiredTokenException: the credentials have expired"),
        ("InvalidSignatureException", "does not know these credentials, or this machine's clock"),
        (RuntimeError("Credentials were refreshed, … credentials the-secret"), "cannot be asked: "),
        (
            ClientError({"Error": {"Code": "AccessDenied"}}, "AssumeRoleWithWebIdentity"),
            r"Who should give the credentials refuses: AccessDenied\.$",
        ),
        ("Unheard", r"refuses: Unheard\.$"),
        (EndpointConnectionError(endpoint_url="the-secret"), r"EndpointConnectionError\.$"),
    ],
)
async def test_failures_are_told_in_words(
    store: DynamoDBStore, database: Database, wrong: Exception | str, told: str
) -> None:
    code = {"Error": {"Code": wrong, "Message": "the-secret"}}
    database.wrong = ClientError(code, "GetItem") if isinstance(wrong, str) else wrong
    database.let_go.set()
    with pytest.raises(StoreUnavailable, match=told) as raised:
        await store.check()
    assert "the-secret" not in str(raised.value)
