"""What functions log, under Lambda's JSON format, which leaves Lambda's own lines out."""

import asyncio
import json
import logging
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest
from mangum import Mangum
from opencode_relay.aws.log import CloudWatchLog
from starlette.types import ASGIApp, Scope

from tests.aws.ric_gateway import REQUEST_ID
from tests.aws.ric_wire import LOGINS, LambdaWire
from tests.aws.tap import Tap
from tests.aws.template import FUNCTIONS, Stack, load
from tests.support.wire import MakeWire


@pytest.fixture(autouse=True)
def root_logger() -> Iterator[None]:
    root = logging.getLogger()
    before, level = root.handlers, root.level
    yield
    root.handlers, root.level = before, level


async def lines_of_a_login(make_wire: MakeWire, **settings: Any) -> list[dict[str, Any]]:
    wire = make_wire(enrolment="open", open_limit=1000, **settings)
    assert isinstance(wire, LambdaWire)
    login = await wire.released(name="x")
    await wire.collected(login)
    await wire.finish(login)
    running = wire.functions.running.values()
    return [json.loads(line) for one in running for line in one.log.splitlines()]


def test_an_exceptions_words_stay_out(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("POWERTOOLS_SERVICE_NAME", "words")  # or it would write where it began
    log = CloudWatchLog("info")
    log.begin({}, SimpleNamespace(aws_request_id="of this request"))
    try:
        raise ValueError("the-secret")
    except ValueError as wrong:
        wrong.add_note("the-secret")
        logging.getLogger("anything").exception("odd")
    written = capsys.readouterr().out
    assert "the-secret" not in written
    line = json.loads(written)
    assert (line["message"], line["level"]) == ("odd", "ERROR")
    assert line["exception_name"] == "ValueError"
    assert line["where"][-1].startswith("test_logs.py:")
    assert line["function_request_id"] == "of this request"
    assert "correlation_id" not in line


def metrics_of(line: dict[str, Any]) -> set[str]:
    directives = line.get("_aws", {}).get("CloudWatchMetrics", [])
    return {metric["Name"] for one in directives for metric in one["Metrics"]}


async def test_events_and_metrics_are_json_lines_of_our_own(make_wire: MakeWire) -> None:
    """Lambda passes on lines that are JSON as they are."""
    lines = await lines_of_a_login(make_wire)
    events = [line for line in lines if line.get("level") == "INFO"]
    assert {line["message"] for line in events} >= {"opened", "released", "collected", "finished"}
    for line in events:
        assert line["timestamp"].endswith("+00:00")
        assert line["service"] == "relay"  # the stack, as tests/aws/template.py names it
        assert line["correlation_id"] == REQUEST_ID
        assert line["function_request_id"]
        assert not {"location", "taskName"} & line.keys()
    counted = set[str]().union(*map(metrics_of, lines))
    assert counted >= {"opened", "released", "collected", "finished", "callback_to_collection"}


async def test_the_level_silences_events_and_not_metrics(make_wire: MakeWire) -> None:
    lines = await lines_of_a_login(make_wire, log_level="warning")
    assert [line for line in lines if line.get("message")] == []
    assert set[str]().union(*map(metrics_of, lines)) >= {"opened", "released", "finished"}


async def test_a_fault_that_nobody_foresaw_is_told_and_counted(wire: LambdaWire, tap: Tap) -> None:
    """Mangum would swallow it: an answer 503, and nothing else."""
    login = await wire.open()
    key = {"pk": {"S": f"login#{login.id}"}}
    tap.client("dynamodb").update_item(
        TableName=LOGINS,
        Key=key,
        UpdateExpression="SET #s = :s",
        ExpressionAttributeNames={"#s": "status"},
        ExpressionAttributeValues={":s": {"S": "the-secret"}},
    )
    assert (await wire.callback(login)).status_code == 503
    # Or it would be named where all logins are ended afterwards.
    tap.client("dynamodb").delete_item(TableName=LOGINS, Key=key)
    log = wire.functions.running["CallbackFunction"].log
    assert "the-secret" not in log
    lines = [json.loads(line) for line in log.splitlines()]
    [told] = [line for line in lines if line.get("message") == "unhandled_exception"]
    assert (told["level"], told["exception_name"]) == ("ERROR", "ValueError")
    assert told["correlation_id"] == REQUEST_ID
    assert any(place.startswith("items.py:") for place in told["where"])
    assert any("unhandled_exception" in metrics_of(line) for line in lines)


def test_so_is_one_before_the_app_and_without_its_words(wire: LambdaWire) -> None:
    """Lambda would log the words, and answer 500."""
    answer = wire.functions.invoke("CallbackFunction", {"headers": "the-secret"}, 30)
    assert (answer["statusCode"], answer["headers"]["retry-after"]) == (503, "5")
    log = wire.functions.running["CallbackFunction"].log
    assert "the-secret" not in log
    lines = [json.loads(line) for line in log.splitlines()]
    assert [line for line in lines if line.get("message") == "unhandled_exception"]
    assert any("unhandled_exception" in metrics_of(line) for line in lines)


async def test_a_fault_outside_the_app_is_told_too(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("POWERTOOLS_SERVICE_NAME", "another")  # or it would write where it began
    CloudWatchLog("info")

    async def app(scope: Scope, *_: object) -> None:
        raise RuntimeError(scope["path"])

    event = {
        "version": "2.0",
        "rawPath": "/the-secret",
        "rawQueryString": "",
        "headers": {},
        "requestContext": {"http": {"method": "GET", "path": "/", "sourceIp": "::1"}},
    }
    answer = await asyncio.to_thread(_called, app, event)
    assert answer["statusCode"] == 500
    written = capsys.readouterr().out
    assert "the-secret" not in written
    assert json.loads(written)["exception_name"] == "RuntimeError"


def _called(app: ASGIApp, event: dict[str, Any]) -> dict[str, Any]:
    asyncio.set_event_loop(loop := asyncio.new_event_loop())
    try:
        return Mangum(app, lifespan="off")(event, None)  # type: ignore[arg-type]
    finally:
        loop.close()
        asyncio.set_event_loop(None)


@pytest.mark.parametrize("name", FUNCTIONS)
def test_lambdas_own_lines_are_left_out_unless_something_is_wrong(name: str) -> None:
    logging = Stack(load()).function(name)["LoggingConfig"]
    assert (logging["LogFormat"], logging["SystemLogLevel"]) == ("JSON", "WARN")
