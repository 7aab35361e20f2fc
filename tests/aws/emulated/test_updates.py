"""Every update that docs/operations.md names, on a stack that runs; and one that fails."""

from typing import Any

import pytest

from tests.aws.emulated.cloud import REGION, Cloud
from tests.aws.emulated.front import DOMAIN
from tests.aws.emulated.release import Releases
from tests.aws.emulated.stack import QUICK, SignIn, Stack
from tests.aws.template import FUNCTIONS

CERTIFICATE = f"arn:aws:acm:{REGION}:123456789012:certificate/0a1b2c"


def discovery(stack: Stack) -> dict[str, Any]:
    with stack.cloud.web() as web:
        found: dict[str, Any] = web.get(f"{stack.url}/.well-known/opencode-relay").json()
        return found


def test_snapstart_on_changed_and_off(stack: Stack, releases: Releases, cloud: Cloud) -> None:
    """Under SnapStart a setting takes effect only in a version that is published anew."""

    def started() -> set[str]:
        found = [
            cloud.client("lambda").get_function_configuration(
                FunctionName=stack.resource(name), Qualifier="live"
            )
            for name in FUNCTIONS[:3]
        ]
        return {one["SnapStart"]["ApplyOn"] for one in found}

    def update(**parameters: str) -> None:
        assert stack.update(releases.same(), **QUICK, **parameters) == "UPDATE_COMPLETE"

    update(SnapStart="PublishedVersions")
    assert started() == {"PublishedVersions"}
    assert stack.doctor() == ""
    update(SnapStart="PublishedVersions", LoginLifetime="900")
    assert discovery(stack)["login_lifetime"] == 900
    update(LoginLifetime="600")
    assert started() == {"None"}
    assert discovery(stack)["login_lifetime"] == 600
    assert stack.doctor() == ""


def test_a_domain(stack: Stack, releases: Releases, cloud: Cloud) -> None:
    """The API's own address stays for logins under way, until it is switched off."""

    def off() -> bool:
        api = cloud.client("apigatewayv2").get_api(ApiId=stack.resource("Api"))
        return bool(api["DisableExecuteApiEndpoint"])

    named = {"DomainName": DOMAIN, "CertificateArn": CERTIFICATE}
    assert stack.update(releases.same(), **QUICK) == "UPDATE_COMPLETE"
    old, under_way = stack.url, SignIn(stack)
    keeping = stack.update(releases.same(), **QUICK, **named, KeepApiAddress="true")
    assert keeping == "UPDATE_COMPLETE"
    assert stack.url == discovery(stack)["issuer"] == f"https://{DOMAIN}" != old
    assert stack.outputs["DnsTarget"].endswith(".amazonaws.com")
    assert stack.doctor() == ""
    under_way.allow(under_way.callback("old"))
    assert under_way.end() == {"code": "old"}
    assert not off()
    assert stack.update(releases.same(), **QUICK, **named) == "UPDATE_COMPLETE"
    assert off()


def test_an_alarm_address(stack: Stack, releases: Releases, cloud: Cloud) -> None:
    given = {"AlarmEmail": "ops@example.com"}
    assert stack.update(releases.same(), **QUICK, **given) == "UPDATE_COMPLETE"
    topic = stack.resource("Topic")
    [subscribed] = cloud.client("sns").list_subscriptions_by_topic(TopicArn=topic)["Subscriptions"]
    assert (subscribed["Protocol"], subscribed["Endpoint"]) == ("email", "ops@example.com")
    alarms = cloud.client("cloudwatch").describe_alarms(AlarmNamePrefix=f"{stack.name}-")
    rung = {(*one["AlarmActions"], *one["OKActions"]) for one in alarms["MetricAlarms"]}
    assert rung == {(topic, topic)}


def test_a_release_that_adds_a_key_purpose(stack: Stack, releases: Releases, cloud: Cloud) -> None:
    """Logins under way live on, for the keys that were there stay."""
    assert stack.update(releases.same(), **QUICK) == "UPDATE_COMPLETE"
    opened, arrived = SignIn(stack), SignIn(stack)
    page = arrived.callback("arrived")
    template = releases.other(
        "purpose",
        "keys/key",
        'FINGERPRINT = "fingerprint"\n',
        'FINGERPRINT, MORE = "fingerprint", "more"\n',
    )
    resources = template["Resources"]
    resources["Keys"]["Properties"]["Purposes"].append("more")
    for role in ("CallbackRole", "RotateKeysRole"):
        [policy] = resources[role]["Properties"]["Policies"]
        arns = policy["PolicyDocument"]["Statement"][-1]["Resource"]
        arns.append({"Fn::Sub": arns[0]["Fn::Sub"].replace("/state", "/more")})
    assert stack.update(template, **QUICK) == "UPDATE_COMPLETE", stack.why()
    keys = cloud.client("ssm").get_parameters_by_path(Path=stack.outputs["KeysPath"])
    versions = {one["Name"].rpartition("/")[2]: one["Version"] for one in keys["Parameters"]}
    assert versions["more"] == 1
    assert len(versions) == 7
    opened.allow(opened.callback("opened"))
    arrived.allow(page)
    assert (opened.end(), arrived.end()) == ({"code": "opened"}, {"code": "arrived"})
    assert stack.doctor() == ""


@pytest.fixture
def taken(cloud: Cloud) -> str:
    """A domain name that is another API's already."""
    names = cloud.client("apigatewayv2")
    configuration = {"CertificateArn": CERTIFICATE, "EndpointType": "REGIONAL"}
    names.create_domain_name(
        DomainName="taken.example.com", DomainNameConfigurations=[configuration]
    )
    return "taken.example.com"


def test_a_broken_update_goes_back_and_logins_live_on(
    stack: Stack, releases: Releases, taken: str
) -> None:
    """It fails when functions have their new code and settings already."""
    assert stack.update(releases.same(), **QUICK) == "UPDATE_COMPLETE"
    before = discovery(stack)
    opened, arrived = SignIn(stack), SignIn(stack)
    page = arrived.callback("arrived")
    template = releases.other("broken", "__init__", before["version"], "9.9.9")
    template["Resources"]["Broken"] = {
        "Type": "AWS::ApiGatewayV2::DomainName",
        "DependsOn": list(FUNCTIONS),
        "Properties": {"DomainName": taken},
    }
    ended = stack.update(template, **QUICK, LoginLifetime="900")
    assert (ended, "Broken" in stack.why()) == ("UPDATE_ROLLBACK_COMPLETE", True)
    assert stack.events("CallbackFunction").count("UPDATE_COMPLETE") >= 2
    assert discovery(stack) == before
    opened.allow(opened.callback("opened"))
    arrived.allow(page)
    assert (opened.end(), arrived.end()) == ({"code": "opened"}, {"code": "arrived"})
    assert stack.doctor() == ""
