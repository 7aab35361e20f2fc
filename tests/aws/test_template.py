"""What template.yaml says, held against the code that it deploys."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from opencode_relay.errors import ConfigError
from opencode_relay.keys.held import Keys
from opencode_relay.keys.parameters import KeyParameters
from opencode_relay.keys.ring import Ring
from opencode_relay.relay import Relay
from opencode_relay.settings import Settings, unknown
from opencode_relay.stores import dynamodb
from opencode_relay.stores.sqlite import SQLiteStore
from opencode_relay.web.app import make_app

from tests.aws.gateway import entry_point
from tests.aws.template import DOMAIN, FUNCTIONS, ROOT, Stack, load

WEB = FUNCTIONS[:3]
# Not a setting of a function: it keeps no files, has no proxy in front, serves no metrics port,
# and a process that answers one request at a time has one waiter.
NOT_ON_AWS = {
    *("data", "trusted_proxies", "metrics_port", "max_waiters"),
    *("store", "logins_table", "instances_table", "keys_path"),  # the functions have no choice
}


@pytest.fixture
def template() -> dict[str, Any]:
    return load()


# Routes


def routes_of(app: Any) -> set[str]:
    found = set()
    while not hasattr(app, "routes"):
        app = app._app
    for route in app.routes:
        found |= {f"{method} {route.path}" for method in route.methods}
    return found


@pytest.fixture
def relay(tmp_path: Path) -> Iterator[Relay]:
    settings = Settings(public_url="https://relay.example.com")
    store = SQLiteStore(tmp_path)
    yield Relay(settings, store, Keys(lambda: Ring.fresh(0)))
    store.close()


def test_every_route_of_the_app_is_in_the_api_and_the_other_way_round(
    template: dict[str, Any], relay: Relay
) -> None:
    assert set(Stack(template).routes()) == routes_of(make_app(relay)) | {"$default"}


def test_each_route_goes_to_a_function_whose_app_serves_it(
    template: dict[str, Any], relay: Relay, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: dict[str, Any] = {}
    stack = Stack(template)
    # An entry point gives its app to whatever Function is: here one that only builds it.
    monkeypatch.setattr("opencode_relay.aws.function.Function", lambda make, _=(): make(relay))
    for name in WEB:
        made[name] = entry_point(stack, name)
    for route, name in stack.routes().items():
        if route != "$default":
            assert route in routes_of(made[name]), (route, name)


def test_the_api_may_call_what_it_calls_and_that_is_the_alias(template: dict[str, Any]) -> None:
    stack = Stack(template)
    called = {
        one["IntegrationUri"] for one in stack.of_type("AWS::ApiGatewayV2::Integration").values()
    }
    allowed = {one["FunctionName"] for one in stack.of_type("AWS::Lambda::Permission").values()}
    assert called == allowed == {f"{name}.Alias" for name in WEB}
    for name in WEB:
        assert stack.function(name)["AutoPublishAlias"]


def test_payloads_are_what_mangum_reads_and_timeouts_fit_the_longest_wait(
    template: dict[str, Any],
) -> None:
    stack = Stack(template)
    longest = template["Parameters"]["MaxWait"]["MaxValue"] + dynamodb.PATIENCE
    for one in stack.of_type("AWS::ApiGatewayV2::Integration").values():
        assert one["PayloadFormatVersion"] == "2.0"
        assert longest * 1000 < one["TimeoutInMillis"] <= 30_000
    for name in WEB:
        # A function that ended first would be a 500; the API's own end of patience is a 503.
        assert stack.function(name)["Timeout"] * 1000 >= one["TimeoutInMillis"]
        assert stack.function(name)["MemorySize"] >= 256  # twice what the imports take


@pytest.mark.parametrize("name", FUNCTIONS)
def test_functions_are_built_for_the_runtime(template: dict[str, Any], name: str) -> None:
    function = Stack(template).function(name)
    assert (function["Runtime"], function["Architectures"]) == ("python3.13", ["arm64"])
    module, _, handler = function["Handler"].partition(".")
    assert handler == "handler"
    assert (ROOT / function["CodeUri"] / f"{module}.py").exists()
    assert template["Resources"][name]["Metadata"] == {"BuildMethod": "makefile"}


# Settings


@pytest.mark.parametrize(
    ("parameters", "url"),
    [
        ({}, "https://a1b2c3.execute-api.us-east-1.amazonaws.com"),
        (DOMAIN, "https://relay.example.com"),
    ],
)
def test_the_issuer_is_the_address_at_which_the_api_answers(
    template: dict[str, Any], parameters: dict[str, str], url: str
) -> None:
    stack = Stack(template, **parameters)
    for name in WEB:
        assert Settings.load(stack.environment(name)).public_url == url
    assert stack.outputs["RelayUrl"] == url
    assert stack.outputs["RedirectUri"] == f"{url}/auth/callback"
    [api] = stack.of_type("AWS::ApiGatewayV2::Api").values()
    assert api["DisableExecuteApiEndpoint"] == bool(parameters)
    assert len(stack.of_type("AWS::ApiGatewayV2::DomainName")) == bool(parameters)
    assert ("DnsTarget" in stack.outputs) == bool(parameters)


@pytest.mark.parametrize("keeps", ["true", "false"])
def test_the_apis_own_address_can_stay_beside_the_domain(
    template: dict[str, Any], keeps: str
) -> None:
    stack = Stack(template, **DOMAIN, KeepApiAddress=keeps)
    [api] = stack.of_type("AWS::ApiGatewayV2::Api").values()
    assert api["DisableExecuteApiEndpoint"] == (keeps == "false")
    old = "https://a1b2c3.execute-api.us-east-1.amazonaws.com" if keeps == "true" else ""
    for name in WEB:
        assert stack.environment(name)["OLD_PUBLIC_URL"] == old


def test_every_setting_is_a_parameter_with_the_same_default(template: dict[str, Any]) -> None:
    environment = Stack(template).environment("CallbackFunction")
    assert unknown(environment) == []
    settings = Settings.load({k: v for k, v in environment.items() if k != "RELAY_PUBLIC_URL"})
    assert settings == Settings(max_wait=0)  # holding costs on Lambda, and not on one machine
    assert {name for name in environment if name.startswith("RELAY_")} == {
        f"RELAY_{name.upper()}" for name in Settings.__dataclass_fields__ if name not in NOT_ON_AWS
    }


def parameters_of_settings() -> list[tuple[str, str]]:
    variables = load()["Globals"]["Function"]["Environment"]["Variables"]
    return [(v["Ref"], k) for k, v in variables.items() if k.startswith("RELAY_") and "Ref" in v]


@pytest.mark.parametrize(("parameter", "variable"), parameters_of_settings())
def test_parameters_allow_what_settings_allow(
    template: dict[str, Any], parameter: str, variable: str
) -> None:
    rule = template["Parameters"][parameter]
    for word in rule.get("AllowedValues", []):
        Settings.load({variable: word})
    if rule["Type"] == "Number":
        for edge, beyond in (("MinValue", -1), ("MaxValue", 1)):
            Settings.load({variable: str(rule[edge])})
            with pytest.raises(ConfigError):
                Settings.load({variable: str(rule[edge] + beyond)})


@pytest.mark.parametrize(
    ("parameter", "good", "bad"),
    [
        (
            "DomainName",
            ["", "relay.example.com", "a-b.c0.example"],
            ["Relay.example.com", "https://relay.example.com", "relay", "a..b", "a.b.", "a.b/"],
        ),
        ("CertificateArn", ["", DOMAIN["CertificateArn"]], ["arn:aws:iam::123456789012:user/x"]),
        (
            "PermissionsBoundary",
            ["", "arn:aws:iam::123456789012:policy/org/boundary", "arn:aws:iam::aws:policy/X"],
            ["boundary", "arn:aws:iam::123456789012:role/x"],
        ),
        (
            "FrontSecretHash",
            ["", "0" * 64, f"{'0' * 64},{'f' * 64}"],
            ["secret", "0" * 63, "F" * 64, "0" * 64 + ","],
        ),
        (
            "AlarmTopic",
            ["", "arn:aws:sns:us-east-1:123456789012:on-call"],
            ["on-call", "arn:aws:sns:us-east-1:123456789012:on-call.fifo"],
        ),
        ("AlarmEmail", ["", "ops@example.com"], ["ops", "a b@example.com"]),
    ],
)
def test_patterns(
    template: dict[str, Any], parameter: str, good: list[str], bad: list[str]
) -> None:
    pattern = template["Parameters"][parameter]["AllowedPattern"]
    assert all(re.fullmatch(pattern, text) for text in good)
    assert not any(re.fullmatch(pattern, text) for text in bad)


def test_every_parameter_says_what_it_is_for_and_has_a_default(template: dict[str, Any]) -> None:
    for one in template["Parameters"].values():
        assert one["Description"].endswith(".")
        assert "Default" in one


def refs(value: Any) -> set[str]:
    """Find the parameters that a value is made of."""
    text = json.dumps(value)
    found = set(re.findall(r'"Ref": "(\w+)"', text)) | set(re.findall(r"\$\{(\w+)\}", text))
    return found & set(load()["Parameters"])


def test_a_changed_setting_is_another_version(template: dict[str, Any]) -> None:
    """Or the alias would go on with the old one: SAM looks at the code and the template alone."""
    keys = template["Resources"]["Keys"]["Properties"]
    # Conditions name the first of these.
    settings = refs(template["Globals"]["Function"]) | {"KeepApiAddress", "SnapStart"}
    assert refs(keys["Settings"]) == settings
    for name in WEB:
        properties = template["Resources"][name]["Properties"]
        assert properties["VersionDescription"] == {"Fn::GetAtt": ["Keys", "Digest"]}
        # What is no part of a version.
        assert refs(properties) - settings <= {"Canary", "CollectConcurrency"}


@pytest.mark.parametrize(("given", "reserved"), [(0, None), (7, 7)])
def test_reserved_concurrency(template: dict[str, Any], given: int, reserved: int | None) -> None:
    stack = Stack(template, CollectConcurrency=given)
    found = {name: stack.function(name).get("ReservedConcurrentExecutions") for name in FUNCTIONS}
    assert found.pop("CollectFunction") == reserved
    assert set(found.values()) == {None}


def test_keys_are_where_the_output_says(template: dict[str, Any]) -> None:
    stack = Stack(template)
    for name in FUNCTIONS:
        assert stack.environment(name)["KEYS_PATH"] == stack.outputs["KeysPath"]
    [keys] = stack.of_type("Custom::Keys").values()
    assert keys["ServiceToken"] == "RotateKeysFunction.Arn"
    assert KeyParameters(None, stack.outputs["KeysPath"])


def test_no_key_is_shown_in_outputs_or_read_at_deployment(template: dict[str, Any]) -> None:
    assert '"Keys"' not in json.dumps(template["Outputs"])
    assert "{{resolve:" not in json.dumps(template)
