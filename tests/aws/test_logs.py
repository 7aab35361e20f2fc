"""What functions log, under Lambda's JSON format, which leaves Lambda's own lines out."""

import json
from typing import Any

import pytest

from tests.aws.ric_wire import LambdaWire
from tests.aws.template import FUNCTIONS, Stack, load
from tests.support.wire import MakeWire


async def lines_of_a_login(make_wire: MakeWire, **settings: Any) -> list[dict[str, Any]]:
    wire = make_wire(enrolment="open", open_limit=1000, **settings)
    assert isinstance(wire, LambdaWire)
    login = await wire.released(name="x")
    await wire.collected(login)
    await wire.finish(login)
    running = wire.functions.running.values()
    return [json.loads(line) for one in running for line in one.log.splitlines()]


def metrics_of(line: dict[str, Any]) -> set[str]:
    directives = line.get("_aws", {}).get("CloudWatchMetrics", [])
    return {metric["Name"] for one in directives for metric in one["Metrics"]}


async def test_events_and_metrics_are_json_lines_of_our_own(make_wire: MakeWire) -> None:
    """Lambda passes on lines that are JSON as they are."""
    lines = await lines_of_a_login(make_wire)
    events = [line for line in lines if line.get("level") == "INFO"]
    assert {line["message"] for line in events} >= {"opened", "released", "collected", "finished"}
    assert all("timestamp" in line for line in events)
    counted = set[str]().union(*map(metrics_of, lines))
    assert counted >= {"opened", "released", "collected", "finished", "callback_to_collection"}


async def test_the_level_silences_events_and_not_metrics(make_wire: MakeWire) -> None:
    lines = await lines_of_a_login(make_wire, log_level="warning")
    assert [line for line in lines if line.get("message")] == []
    assert set[str]().union(*map(metrics_of, lines)) >= {"opened", "released", "finished"}


@pytest.mark.parametrize("name", FUNCTIONS)
def test_lambdas_own_lines_are_left_out_unless_something_is_wrong(name: str) -> None:
    logging = Stack(load()).function(name)["LoggingConfig"]
    assert (logging["LogFormat"], logging["SystemLogLevel"]) == ("JSON", "WARN")
