"""What is told: one JSON object a line, counted in metrics, and never the words of a fault."""

import io
import json
import logging
from collections.abc import Iterator

import httpx
import pytest
from opencode_relay.events import Events, JSONLines, log_to_stderr
from opencode_relay.machine.metrics import PrometheusMetrics


class Counted:
    """Metrics that remember."""

    def __init__(self) -> None:
        self.events: list[tuple[str, str]] = []

    def count(self, event: str, outcome: str) -> None:
        self.events.append((event, outcome))

    def seconds_to_collection(self, seconds: float) -> None: ...


class Lines:
    """What was written to stderr."""

    def __init__(self) -> None:
        self.stream = io.StringIO()

    def read(self) -> list[dict[str, object]]:
        return [json.loads(line) for line in self.stream.getvalue().splitlines()]


@pytest.fixture
def lines(monkeypatch: pytest.MonkeyPatch) -> Iterator[Lines]:
    lines, root = Lines(), logging.getLogger()
    before = root.handlers, root.level
    with monkeypatch.context() as patched:
        patched.setattr("sys.stderr", lines.stream)
        log_to_stderr("info")
    yield lines
    root.handlers, root.level = before
    logging.getLogger("httpx").setLevel(logging.NOTSET)


def test_an_event_is_one_line_with_its_login(lines: Lines) -> None:
    Events().tell("opened", "pairing_code", login_id="l", instance_id="i")
    [line] = lines.read()
    assert line.pop("time")
    assert line == {
        "level": "info",
        "event": "opened",
        "outcome": "pairing_code",
        "login_id": "l",
        "instance_id": "i",
    }


def test_what_is_not_known_is_left_out(lines: Lines) -> None:
    Events().tell("opened", login_id=None, instance_id=None)
    assert set(lines.read()[0]) == {"time", "level", "event"}


def test_a_line_break_in_a_value_makes_no_second_line(lines: Lines) -> None:
    Events().tell("opened", login_id="a\n{}")
    assert len(lines.read()) == 1


def test_the_time_is_rfc_3339_in_utc() -> None:
    record = logging.LogRecord("x", logging.INFO, "p", 1, "event", None, None)
    record.created, record.msecs = 1_763_800_440.25, 250.0
    assert json.loads(JSONLines().format(record))["time"] == "2025-11-22T08:34:00.250Z"


def test_a_quieter_level_writes_less_and_counts_as_before(lines: Lines) -> None:
    logging.getLogger().setLevel(logging.WARNING)
    metrics = Counted()
    Events(metrics).tell("opened", "x")
    Events(metrics).tell("broken", level=logging.WARNING)
    assert [line["event"] for line in lines.read()] == ["broken"]
    assert metrics.events == [("opened", "x"), ("broken", "")]


def explode(secret: str) -> None:
    raise ValueError(secret)


def test_a_fault_is_told_by_its_kind_and_place_not_its_words(lines: Lines) -> None:
    try:
        explode("canary")
    except ValueError:
        logging.getLogger("x").exception("failed")
    [line] = lines.read()
    assert "canary" not in json.dumps(line)
    assert line["exception"] == "ValueError"
    assert isinstance(line["where"], list)
    assert line["where"][-1].endswith(" explode")


def test_other_libraries_lines_are_json_too(lines: Lines) -> None:
    logging.getLogger("uvicorn.error").warning("careful: %s", "x")
    assert lines.read()[0]["event"] == "careful: x"


def test_clients_addresses_are_not_logged(lines: Lines) -> None:
    with httpx.Client(transport=httpx.MockTransport(lambda _: httpx.Response(200))) as client:
        client.get("https://relay.example/auth/callback?code=canary")
    assert lines.read() == []


# Metrics


def sample(metrics: PrometheusMetrics, name: str, **labels: str) -> float | None:
    return metrics.registry.get_sample_value(name, labels)


def test_events_are_counted_by_outcome() -> None:
    metrics = PrometheusMetrics(lambda: 0)
    events = Events(metrics)
    for outcome in ("confirm", "confirm", "token-invalid"):
        events.tell("callback", outcome)
    name = "opencode_relay_events_total"
    assert sample(metrics, name, event="callback", outcome="confirm") == 2
    assert sample(metrics, name, event="callback", outcome="token-invalid") == 1


def test_the_time_to_collection_is_observed() -> None:
    metrics = PrometheusMetrics(lambda: 0)
    metrics.seconds_to_collection(0.3)
    name = "opencode_relay_callback_to_collection_seconds"
    assert sample(metrics, f"{name}_sum") == 0.3
    assert sample(metrics, f"{name}_bucket", le="0.1") == 0
    assert sample(metrics, f"{name}_bucket", le="0.5") == 1


def test_who_waits_is_read_when_it_is_asked_for() -> None:
    waiting = [1]
    metrics = PrometheusMetrics(lambda: waiting[0])
    waiting[0] = 7
    assert sample(metrics, "opencode_relay_waiting") == 7
