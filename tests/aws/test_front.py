"""CloudFront before the API: whom it lets through, and whose address the functions take."""

from collections.abc import Iterator
from hashlib import sha256

import httpx
import opencode_relay.aws.front
import pytest

from tests.aws.ric_wire import LambdaWire
from tests.aws.template import FRONT, FUNCTIONS, Stack, load

SECRET, NEXT = "a-secret-of-the-front", "the-one-after-it"
HASHES = ",".join(sha256(one.encode()).hexdigest() for one in (SECRET, NEXT))
VIEWER = "198.51.100.10"


def from_front(secret: str = SECRET, viewer: str = f"{VIEWER}:46532") -> dict[str, str]:
    return {"X-Relay-Front": secret, "CloudFront-Viewer-Address": viewer}


@pytest.fixture
def fronted(wire: LambdaWire) -> Iterator[LambdaWire]:
    wire.functions.stop()
    for name in FUNCTIONS[:3]:
        wire.functions.running[name] = wire.functions.start(name, FRONT_SECRET_HASH=HASHES)
    yield wire
    wire.functions.stop()


async def opened_from(wire: LambdaWire, **headers: str) -> str:
    answer = await wire.post(wire.body(), **headers)
    assert answer.status_code == 201, answer.text
    login = await wire.store.get(answer.json()["login_id"])
    return str(login.opened_from)


def check_refused(answer: httpx.Response) -> None:
    assert answer.status_code == 403
    assert answer.headers["cache-control"] == "no-store"
    assert "front" in answer.text
    assert SECRET not in answer.text


async def test_who_comes_through_the_front_has_the_address_that_it_names(
    fronted: LambdaWire,
) -> None:
    for viewer, shown in (
        (f"{VIEWER}:46532", VIEWER),
        ("2001:db8::1:46532", "2001:db8::1"),
        ("[2001:db8::1]:46532", "2001:db8::1"),
        ("<script>:1", "unknown"),
        ("", "unknown"),
    ):
        assert await opened_from(fronted, **from_front(viewer=viewer)) == shown
    assert await opened_from(fronted, **from_front(NEXT)) == VIEWER  # while the secret is changed


async def test_who_goes_around_it_is_refused_everywhere(fronted: LambdaWire) -> None:
    for secret in ("guessed", "", f"{SECRET},{SECRET}", None):
        headers = {} if secret is None else from_front(secret)
        check_refused(await fronted.post(fronted.body(), **headers))
        for path in ("/healthz", "/auth/callback?state=x&code=c", "/v1/logins/x/response"):
            check_refused(await fronted.http.get(path, headers=headers))


async def test_who_goes_around_it_is_logged_once_and_no_secret_is(fronted: LambdaWire) -> None:
    """Where a change of the secret went wrong everybody is refused, and no alarm knows 403."""
    await opened_from(fronted, **from_front())
    for _ in range(2):
        await fronted.post(fronted.body(), **from_front("guessed"))
    assert fronted.functions.running["LoginsFunction"].log.count('"front_passed_by"') == 1
    for environment in fronted.functions.running.values():
        assert SECRET not in environment.log
        assert "guessed" not in environment.log


async def test_without_a_front_nobody_is_believed(wire: LambdaWire) -> None:
    assert await opened_from(wire, **from_front()) == "203.0.113.7"


def test_the_front_sends_what_the_functions_read() -> None:
    front = load(FRONT)["Resources"]
    config = front["Distribution"]["Properties"]["DistributionConfig"]
    [sent] = config["Origins"][0]["OriginCustomHeaders"]
    assert sent["HeaderName"].lower() == opencode_relay.aws.front.SECRET
    policy = front["Forwarded"]["Properties"]["OriginRequestPolicyConfig"]
    assert [name.lower() for name in policy["HeadersConfig"]["Headers"]] == [
        opencode_relay.aws.front.ADDRESS
    ]


def test_the_parameter_is_a_hash_that_every_function_of_the_api_knows() -> None:
    stack = Stack(load(), FrontSecretHash=HASHES)
    for name in FUNCTIONS[:3]:
        assert stack.environment(name)["FRONT_SECRET_HASH"] == HASHES
