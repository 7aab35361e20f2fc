"""Prometheus's alerts: each rings for what it says, and not for a little less."""

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml  # type: ignore[import-untyped]  # comes with moto
from opencode_relay.machine.metrics import EVENTS

from tests.docs.pages import read
from tests.docs.test_links import anchors

from .conftest import ROOT

RULES = ROOT / "infra/watch/alerts.yaml"
ALERTS = {one["alert"]: one for one in yaml.safe_load(RULES.read_text())["groups"][0]["rules"]}
EACH = {"job": "opencode-relay", "instance": "relay"}
MINUTES = 20  # after which it is looked whether an alert rings; a sample is taken each minute
FLAT = "0x20"


def once_at(minute: int) -> str:
    return f"0x{minute - 1} 1x{MINUTES - minute}"


def in_a_row(number: int, ended: int) -> str:
    """Count up to `number` within one minute, `ended` minutes before it is looked."""
    return f"0x{MINUTES - ended - 1} {number}x{ended}"


def event(name: str, outcome: str = "") -> str:
    return f'opencode_relay_events_total{{event="{name}",outcome="{outcome}"}}'


UP, WAITING = "up", "opencode_relay_waiting"
# The series that makes it ring, then values with which it does and does not.
CASES: list[tuple[str, str, str, str]] = [
    ("Down", UP, "1x16 0x3", "1x18 0x1"),
    ("StoreUnavailable", event("store_unavailable"), in_a_row(5, 2), in_a_row(3, 2)),
    ("StoreUnavailable", event("chores_failed"), in_a_row(5, 2), in_a_row(5, 8)),
    ("DescriptorsExhausted", event("descriptors_exhausted"), once_at(18), once_at(12)),
    ("UnhandledException", event("unhandled_exception"), once_at(18), once_at(12)),
    ("ErasureHeldUp", event("erasure_held_up"), once_at(18), once_at(12)),
    ("ProxyNotTrusted", event("proxy_not_trusted"), once_at(1), FLAT),
    ("ManyWaiting", WAITING, "0x10 8001x9", "0x16 9000x3"),
    ("ManyWaiting", WAITING, "0x10 8001x9", "8000x20"),
    ("NotCollected", event("expired", "released"), in_a_row(5, 10), in_a_row(3, 10)),
    ("ForgedCallbacks", event("callback", "token-invalid"), in_a_row(50, 2), in_a_row(35, 2)),
    ("OtherIssuers", event("callback", "issuer-mismatch"), in_a_row(50, 2), in_a_row(35, 2)),
    ("KeysRefused", event("key_refused"), in_a_row(50, 2), in_a_row(35, 2)),
    ("RateLimited", event("rate_limited", "open"), in_a_row(50, 2), in_a_row(35, 2)),
]


def case(alert: str, series: str, values: str, *, rings: bool) -> dict[str, Any]:
    """Put what `serve` counts around a series, all at rest: nothing else of it may ring either."""
    resting = {UP: "1x20", WAITING: FLAT}
    resting |= {event(name, one): FLAT for name, outcomes in EVENTS.items() for one in outcomes}
    labels = ",".join(f'{name}="{value}"' for name, value in EACH.items())
    around = [
        {"series": name.rstrip("}") + ("," if "{" in name else "{") + labels + "}", "values": how}
        for name, how in (resting | {series: values}).items()
    ]
    rule = ALERTS[f"OpencodeRelay{alert}"]
    own = {} if "sum by" in rule["expr"] else dict(_labels(series))
    ringing = {"exp_labels": rule["labels"] | EACH | own, "exp_annotations": rule["annotations"]}
    return {
        "interval": "1m",
        "input_series": around,
        "alert_rule_test": [
            {
                "eval_time": f"{MINUTES}m",
                "alertname": name,
                "exp_alerts": [ringing] if rings and name == rule["alert"] else [],
            }
            for name in ALERTS
        ],
    }


def _labels(series: str) -> list[tuple[str, str]]:
    inside = series.partition("{")[2].rstrip("}")
    pairs = [one.split("=") for one in inside.split(",") if one]
    return [(name, value.strip('"')) for name, value in pairs if value != '""']


def promtool(*arguments: object) -> subprocess.CompletedProcess[str]:
    program = shutil.which("promtool")
    if not program:
        pytest.skip("not installed: promtool")
    command = [program, *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_each_rings_and_rests(tmp_path: Path) -> None:
    assert {f"OpencodeRelay{alert}" for alert, *_ in CASES} == set(ALERTS)
    tests = [
        case(alert, series, values, rings=rings)
        for alert, series, ringing, resting in CASES
        for values, rings in ((ringing, True), (resting, False))
    ]
    # JSON is YAML.
    suite = {"rule_files": [str(RULES)], "evaluation_interval": "1m", "tests": tests}
    (tmp_path / "alerts.test.yaml").write_text(json.dumps(suite))
    done = promtool("test", "rules", tmp_path / "alerts.test.yaml")
    assert done.returncode == 0, done.stdout + done.stderr


def test_one_that_prometheus_does_not_look_at_is_down(tmp_path: Path) -> None:
    down = ALERTS["OpencodeRelayDown"]
    ringing = {
        "exp_labels": down["labels"] | {"job": "opencode-relay"},
        "exp_annotations": down["annotations"],
    }
    looked = [{"eval_time": "5m", "alertname": down["alert"], "exp_alerts": [ringing]}]
    suite = {"rule_files": [str(RULES)], "tests": [{"alert_rule_test": looked}]}
    (tmp_path / "alerts.test.yaml").write_text(json.dumps(suite))
    done = promtool("test", "rules", tmp_path / "alerts.test.yaml")
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("alert", ALERTS)
def test_each_says_what_to_do_and_where_to_read(alert: str) -> None:
    told = ALERTS[alert]["annotations"]
    page, _, anchor = told["runbook"].partition("#")
    assert told["summary"].endswith(".")
    assert told["action"].endswith(".")
    assert anchor in anchors(read(page))
