"""Alarms and dashboard: they must watch what the code counts."""

import json
import re
from typing import Any

import pytest
from opencode_relay.aws.metrics import NAMESPACE, EMFMetrics
from opencode_relay.stores.dynamodb import PATIENCE

from tests.aws.template import FUNCTIONS, ROOT, WATCH, Stack, load


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
    ("store_unavailable", ""),
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
        if one["Properties"].get("Namespace") == NAMESPACE and "Dimensions" in one["Properties"]:
            [dimension] = one["Properties"]["Dimensions"]
            name = one["Properties"]["MetricName"]
            found.add((name, dimension["Name"], dimension["Value"]["Ref"]))
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


TOPIC = "arn:aws:sns:us-east-1:123456789012:on-call"
ALARM = "AWS::CloudWatch::Alarm"
Alarms = dict[str, dict[str, Any]]


def watching(topic: str = "Topic") -> Stack:
    watch = load(WATCH) | {"Outputs": {}}
    given = {name: name for name in watch["Parameters"]}  # each under its own name
    return Stack(watch, **(given | {"Topic": topic}))


def alarms(**given: str) -> Alarms:
    """Return all alarms: the one that deployments ask, and those of the stack Watch."""
    stack = Stack(load(), **given)
    watch = watching(stack.resources["Watch"]["Properties"]["Parameters"]["Topic"])
    return {one: of for s in (stack, watch) for one, of in s.of_type(ALARM).items()}


@pytest.mark.parametrize(
    ("given", "topic"),
    [({}, ""), ({"AlarmEmail": "ops@example.com"}, "Topic"), ({"AlarmTopic": TOPIC}, TOPIC)],
)
def test_alarms_ring_and_end_where_they_are_told_to(given: dict[str, str], topic: str) -> None:
    stack = Stack(load(), **given)
    assert list(stack.of_type("AWS::SNS::Topic")) == [topic] * (topic == "Topic")
    for alarm in alarms(**given).values():
        told = alarm.get("AlarmActions", []), alarm.get("OKActions", [])
        assert told == (([topic], [topic]) if topic else ([], []))


def test_every_alarm_looks_at_one_metric_and_can_leave_its_state() -> None:
    for alarm in alarms().values():
        assert alarm["MetricName"]
        assert "Metrics" not in alarm
        assert alarm["TreatMissingData"] == "notBreaching"
    assert len({alarm["AlarmName"] for alarm in alarms().values()}) == len(alarms())


def test_a_rotation_that_fails_every_day_rings_until_one_does_not() -> None:
    """An alarm of an hour would say each day that all is well again."""
    [daily] = Stack(load()).function("RotateKeysFunction")["Events"].values()
    assert daily["Properties"]["Schedule"] == "rate(1 day)"
    assert alarms()["RotationFailedAlarm"]["Period"] == 24 * 3600


def test_a_stack_of_the_same_name_in_another_region_has_a_dashboard_of_its_own() -> None:
    [one] = watching().of_type("AWS::CloudWatch::Dashboard").values()
    assert one["DashboardName"] == "Relay-us-east-1"  # for an account's are in no region


@pytest.mark.parametrize("function", FUNCTIONS)
def test_every_function_is_watched(function: str) -> None:
    own = [{"Name": "FunctionName", "Value": function}]
    watched = {a["MetricName"] for a in alarms().values() if a.get("Dimensions") == own}
    assert watched == {"Errors", *(["Throttles", "Duration"] if function in FUNCTIONS[:3] else [])}


def test_a_question_that_is_held_is_not_slow() -> None:
    longest = load()["Parameters"]["MaxWait"]["MaxValue"] + PATIENCE
    limit = Stack(load()).function("CollectFunction")["Timeout"]
    assert longest * 1000 <= alarms()["CollectSlowAlarm"]["Threshold"] < limit * 1000


@pytest.mark.parametrize(
    ("status", "by_lambda", "route", "counts"),
    [
        ("429", "-", "POST /v1/logins", True),
        ("429", "-", "GET /auth/callback", True),
        ("429", "200", "POST /v1/logins", False),  # the relay's own
        ("429", "-", "$default", False),  # a scanner's
        ("503", "-", "POST /v1/logins", False),
        ("200", "200", "POST /v1/logins", False),
    ],
)
def test_what_the_api_refuses_by_itself_is_counted_from_its_log(
    status: str, by_lambda: str, route: str, *, counts: bool
) -> None:
    [stage] = Stack(load()).of_type("AWS::ApiGatewayV2::Stage").values()
    line = json.loads(stage["AccessLogSettings"]["Format"])
    met = {"status": status, "integrationStatus": by_lambda, "routeKey": route}
    told = {name: met.get(of.removeprefix("$context.")) for name, of in line.items()}
    watch = watching()
    [only] = watch.of_type("AWS::Logs::MetricFilter").values()
    terms = re.findall(r'\(\$\.(\w+) (=|!=) "([^"]*)"\)', only["FilterPattern"])
    understood = " && ".join(f'($.{name} {sign} "{value}")' for name, sign, value in terms)
    assert only["FilterPattern"] == f"{{ {understood} }}"
    assert all((told[name] == value) == (sign == "=") for name, sign, value in terms) == counts
    [metric] = only["MetricTransformations"]
    alarm = alarms()["TooManyRequestsAlarm"]
    assert (alarm["Namespace"], alarm["MetricName"]) == (
        metric["MetricNamespace"],
        metric["MetricName"],
    )


def test_the_watching_stack_is_given_what_it_asks_for() -> None:
    properties = load()["Resources"]["Watch"]["Properties"]
    assert (ROOT / properties["TemplateURL"]) == WATCH
    assert set(properties["Parameters"]) == set(load(WATCH)["Parameters"])
    for name, value in properties["Parameters"].items():
        if name not in {"Relay", "Topic"}:
            assert value == {"Ref": name}
