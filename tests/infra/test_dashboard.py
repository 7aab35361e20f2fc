"""Grafana's dashboard, asked of a real Prometheus that looks at a real relay.

Grafana itself was never run here: its own SDK reads the file, and Prometheus answers its questions.
"""

import json
import re
import shutil
import subprocess
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
import yaml  # type: ignore[import-untyped]  # comes with moto
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.cog.plugins import register_default_plugins
from grafana_foundation_sdk.models.dashboard import Dashboard
from opencode_relay.machine.metrics import EVENTS

from tests.docs.pages import blocks, read
from tests.support.ports import free_port
from tests.support.served import Client, Served, until

from .conftest import ROOT
from .test_alerts import ALERTS, RULES

RAW = json.loads((ROOT / "infra/watch/dashboard.json").read_text())
SHOWN = [target["expr"] for panel in RAW["panels"] for target in panel["targets"]]
ASKED = [*SHOWN, *(alert["expr"] for alert in ALERTS.values())]
PAGE = blocks(read("docs/operations.md"), "yaml")
[CONFIG] = [yaml.safe_load(one) for one in PAGE if "scrape_configs:" in one]


def lost(given: Any, kept: Any, at: str = "") -> list[str]:
    """Name what of `given` is missing in `kept`, or other there."""
    if isinstance(given, dict) and isinstance(kept, dict):
        pairs = [(value, kept.get(name), f"{at}.{name}") for name, value in given.items()]
        return [one for pair in pairs for one in lost(*pair)]
    if isinstance(given, list) and isinstance(kept, list) and len(given) == len(kept):
        return [one for pair in zip(given, kept, strict=True) for one in lost(*pair, f"{at}[]")]
    return [] if given == kept else [at]


def test_grafana_knows_all_that_is_in_it() -> None:
    register_default_plugins()
    kept = json.loads(JSONEncoder().encode(Dashboard.from_json(RAW)))
    assert lost(RAW, kept) == []
    assert lost(RAW | {"nonsense": {"x": 1}}, kept) == [".nonsense"]


def named(expression: str, label: str) -> set[str]:
    found = re.findall(rf'\b{label}=~?"([^"]*)"', expression)
    return {one for some in found for one in some.split("|")}


def test_every_event_is_shown_and_none_is_made_up() -> None:
    assert {one for expression in SHOWN for one in named(expression, "event")} == set(EVENTS)
    for expression in ASKED:
        outcomes = {one for event in named(expression, "event") for one in EVENTS[event]}
        assert named(expression, "outcome") <= outcomes
        assert named(expression, "job") <= {CONFIG["scrape_configs"][0]["job_name"]}


@pytest.fixture(scope="module")
def prometheus(tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    """The page's configuration, with ports of the test's own; a login went through the relay."""
    program = shutil.which("prometheus")
    if not program:
        pytest.skip("not installed: prometheus")
    home = tmp_path_factory.mktemp("prometheus")
    port, metrics = free_port(), free_port()
    [scraped] = CONFIG["scrape_configs"]
    scraped["static_configs"] = [{"targets": [f"127.0.0.1:{metrics}"]}]
    quick = {"global": {"scrape_interval": "1s", "evaluation_interval": "1s"}}
    (home / "prometheus.yml").write_text(json.dumps(CONFIG | quick))
    shutil.copy(RULES, home)
    command = [
        program,
        f"--config.file={home / 'prometheus.yml'}",
        f"--storage.tsdb.path={home / 'data'}",
        f"--web.listen-address=127.0.0.1:{port}",
        "--log.level=warn",
    ]
    served = Served(home / "relay", home, RELAY_METRICS_PORT=str(metrics))
    with (
        (home / "log").open("w") as log,
        subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT) as process,
    ):
        try:
            with httpx.Client(base_url=f"http://127.0.0.1:{port}/api/v1") as client:
                until(lambda: values(client, 'up{job="opencode-relay"} == 1'), "a scrape")
                sign_in(served)
                yield client
        finally:
            process.terminate()
            served.kill()


def sign_in(served: Served) -> None:
    client = Client(served, served.key)
    login = client.open()
    query = {"state": login["state"], "error": "access_denied"}
    assert httpx.get(f"{served.url}/auth/callback", params=query).status_code == 200
    assert client.collect(login).json()["status"] == "released"


def values(client: httpx.Client, expression: str) -> list[float]:
    try:
        answer = client.get("/query", params={"query": expression})
    except httpx.TransportError:  # it is not up yet
        return []
    if answer.status_code == 503:
        return []
    assert answer.status_code == 200, answer.text
    found = [float(one["value"][1]) for one in answer.json()["data"]["result"]]
    return [value for value in found if value == value]  # noqa: PLR0124  # not NaN


@pytest.mark.parametrize("expression", SHOWN)
def test_every_panel_has_something_to_show(prometheus: httpx.Client, expression: str) -> None:
    # Grafana fills the interval in, from the scrapes' and the picture's width.
    asked = expression.replace("$__rate_interval", "5m")
    assert until(lambda: values(prometheus, asked), "an answer")


def test_the_login_is_seen(prometheus: httpx.Client) -> None:
    opened = next(one for one in SHOWN if "opened" in one).replace("$__rate_interval", "5m")
    assert until(lambda: any(values(prometheus, opened)), "more than 0")


def test_prometheus_takes_the_alerts(prometheus: httpx.Client) -> None:
    def looked_at() -> list[dict[str, Any]]:
        [group] = prometheus.get("/rules").json()["data"]["groups"]
        rules: list[dict[str, Any]] = group["rules"]
        return rules if all(rule["health"] != "unknown" for rule in rules) else []

    rules = until(looked_at, "a look at the alerts")
    assert {rule["name"]: (rule["health"], rule["state"]) for rule in rules} == dict.fromkeys(
        ALERTS, ("ok", "inactive")
    )
