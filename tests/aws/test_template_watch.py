"""Alarms and dashboard: they must watch what the code counts."""

import json
import re
from typing import Any

import pytest
from opencode_relay.aws.metrics import NAMESPACE, EMFMetrics

from tests.aws.template import ROOT, WATCH, Stack, load


def counted(capsys: pytest.CaptureFixture[str], *events: tuple[str, str]) -> dict[str, Any]:
    metrics = EMFMetrics()
    for event, outcome in events:
        metrics.count(event, outcome)
    metrics.seconds_to_collection(1)
    metrics.flush()
    written: dict[str, Any] = json.loads(capsys.readouterr().out)
    return written


EVENTS = [
    *(("callback", outcome) for outcome in ("confirm", "completion", "onward", "idp_error")),
    *(("callback", why) for why in ("token-invalid", "login-expired", "login-over")),
    *(("callback", why) for why in ("issuer-mismatch", "address-too-long")),
    *((event, "") for event in ("opened", "released", "collected", "finished", "declined")),
    *((event, "") for event in ("cancelled", "key_refused", "pairing_code_wrong")),
    *((event, "") for event in ("rate_limited", "keys_rotated", "unhandled_exception")),
]


def watched(watch: dict[str, Any]) -> set[tuple[str, str, str]]:
    """Find the relay's own metrics in alarms and dashboard: name, dimension, parameter."""
    body = watch["Resources"]["Dashboard"]["Properties"]["DashboardBody"]["Fn::Sub"]
    found = set()
    for widget in json.loads(body)["widgets"]:
        for namespace, name, *dimension in widget["properties"]["metrics"]:
            if namespace == NAMESPACE:
                found.add((name, dimension[0], dimension[1].strip("${}")))
    for one in watch["Resources"].values():
        properties = one["Properties"]
        queries = [query.get("MetricStat", {}) for query in properties.get("Metrics", [])]
        for metric in [properties, *(query.get("Metric", {}) for query in queries)]:
            if metric.get("Namespace") == NAMESPACE:
                [dimension] = metric["Dimensions"]
                found.add((metric["MetricName"], dimension["Name"], dimension["Value"]["Ref"]))
    return found


def test_what_is_watched_is_what_this_stack_counts(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("POWERTOOLS_SERVICE_NAME", "a-stack")
    written = counted(capsys, *EVENTS)
    [declared] = written["_aws"]["CloudWatchMetrics"]
    assert declared["Namespace"] == NAMESPACE
    assert declared["Dimensions"] == [["service"]]
    names = {one["Name"] for one in declared["Metrics"]}
    assert written["service"] == "a-stack"
    assert watched(load(WATCH)) == {(name, "service", "Relay") for name in names}
    named = load()["Globals"]["Function"]["Environment"]["Variables"]["POWERTOOLS_SERVICE_NAME"]
    assert named == load()["Resources"]["Watch"]["Properties"]["Parameters"]["Relay"]


def test_the_events_are_all_that_the_code_tells() -> None:
    package = ROOT / "functions/opencode_relay"
    ours = [path for room in ("", "aws/", "web/") for path in package.glob(f"{room}*.py")]
    sources = "".join(path.read_text() for path in ours)
    told = set(re.findall(r'(?:events|\))\.tell\(\s*"(\w+)"', sources)) - {"setting_unknown"}
    counted_ones = {event for event, _ in EVENTS}
    assert told <= counted_ones
    # `moved.status` is told besides: these are what a login moves to.
    assert counted_ones - told == {"released", "declined", "cancelled", "finished"}


ALARMS = {
    "ServerErrorsAlarm",
    "ThrottlesAlarm",
    "UnhandledExceptionsAlarm",
    "RotationFailedAlarm",
    "RefusedCallbacksAlarm",
}


@pytest.mark.parametrize("email", ["", "ops@example.com"])
def test_alarms_go_to_the_address_if_there_is_one(email: str) -> None:
    watch = load(WATCH) | {"Outputs": {}}
    stack = Stack(watch, AlarmEmail=email, Relay="relay")
    alarms = stack.of_type("AWS::CloudWatch::Alarm")
    assert set(alarms) == ALARMS
    topics = stack.of_type("AWS::SNS::Topic")
    assert len(topics) == bool(email)
    for alarm in alarms.values():
        assert alarm.get("AlarmActions", []) == list(topics)
        assert alarm["TreatMissingData"] == "notBreaching"


def test_the_watching_stack_is_given_what_it_asks_for() -> None:
    properties = load()["Resources"]["Watch"]["Properties"]
    assert (ROOT / properties["TemplateURL"]) == WATCH
    assert set(properties["Parameters"]) == set(load(WATCH)["Parameters"])
    for name, value in properties["Parameters"].items():
        if name != "Relay":
            assert value == {"Ref": name}
