"""What each function does to tables and keys while logins run, against what its role allows."""

import asyncio
import copy
import logging
import re
import secrets
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import pytest
from botocore.client import BaseClient
from joserfc.jwk import ECKey
from moto import mock_aws
from opencode_relay.aws.function import client
from opencode_relay.instances import Instance
from opencode_relay.keys.parameters import KeyParameters
from opencode_relay.keys.ring import MAX_AGE
from opencode_relay.stores.dynamodb import DynamoDBStore

from tests.aws.cloudformation import CloudFormation
from tests.aws.gateway import Gateway, entry_point, json_of
from tests.aws.template import FUNCTIONS, Stack, load
from tests.support.wire import (
    RETURN_URL,
    WRONG_CODE,
    bearer,
    challenge_of,
    completion_code_of,
    form_of,
)

Use = tuple[str, str, str]  # action, resource, prefix of the key with the attributes if limited
SETTINGS = {"Enrolment": "open", "MaxWait": "1", "AddressLimit": "8"}


# What the roles allow


def allowed(stack: Stack, name: str) -> set[Use]:
    """Read a role. What is not of the one form for its service is no right, but a failure."""
    uses: set[Use] = set()
    for statement in stack.statements(name):
        actions, resources = statement["Action"], statement["Resource"]
        assert statement["Effect"] == "Allow"
        if actions[0].startswith("dynamodb:"):
            assert set(statement) == {"Effect", "Action", "Resource", "Condition"}
            limits = statement["Condition"]["ForAllValues:StringLike"]
            assert statement["Condition"] == {
                "ForAllValues:StringLike": limits,
                "Null": dict.fromkeys(limits, "false"),
            }
            keys = limits["dynamodb:LeadingKeys"]
            assert set(limits) <= {"dynamodb:LeadingKeys", "dynamodb:Attributes"}
            assert all(key.endswith("#*") for key in keys)
            only = " ".join(sorted(limits.get("dynamodb:Attributes", [])))
            uses |= {(one, resources, key[:-1] + only) for one in actions for key in keys}
        elif actions[0].startswith("ssm:"):
            assert set(statement) == {"Effect", "Action", "Resource"}
            uses |= {(one, resource, "") for one in actions for resource in resources}
        else:
            group = stack.function(name)["LoggingConfig"]["LogGroup"]
            assert set(actions) == {"logs:CreateLogStream", "logs:PutLogEvents"}
            assert resources == f"{group}.Arn"
    assert not any("*" in part for use in uses for part in use)
    return uses


def differences(stack: Stack, used: dict[str, set[Use]]) -> list[str]:
    found = []
    for name in FUNCTIONS:
        rights = allowed(stack, name)
        found += [f"{name} must not, but does {use}" for use in sorted(used[name] - rights)]
        found += [f"{name} may, but does not {use}" for use in sorted(rights - used[name])]
    return found


# What the functions do


def uses_of(service: str, operation: str, sent: dict[str, Any]) -> set[Use]:
    action = f"{service}:{operation}"
    if service == "ssm":
        arn = "arn:aws:ssm:us-east-1:123456789012:parameter"
        return {(action, arn + name, "") for name in sent.get("Names", [sent.get("Name", "?")])}
    key = sent.get("Key", sent.get("Item", {})).get("pk", {}).get("S", "?")
    table, kind = sent.get("TableName"), key.partition("#")[0] + "#"
    if (table, operation) == ("InstancesTable", "UpdateItem"):  # which nobody may do to all of it
        told = f"{sent['UpdateExpression']} {sent['ConditionExpression']}"
        kind += " ".join(sorted({"pk", *re.findall(r"(?<![:\w])([a-z_]+)(?![\w(])", told)}))
    return {(action, f"{table}.Arn", kind)}


class Account:
    """An AWS account with the stack's tables and keys in it, and a record of who did what."""

    def __init__(self, stack: Stack, monkeypatch: pytest.MonkeyPatch) -> None:
        self.stack = stack
        self.used: dict[str, set[Use]] = {name: set() for name in FUNCTIONS}
        self._monkeypatch = monkeypatch
        self._rotating = False
        self._call = BaseClient._make_api_call
        self.gateway: Gateway | None = None
        self.ssm = client("ssm")
        self.dynamodb = client("dynamodb")
        for name, table in stack.of_type("AWS::DynamoDB::Table").items():
            shape = ("AttributeDefinitions", "KeySchema", "BillingMode")
            self.dynamodb.create_table(TableName=name, **{key: table[key] for key in shape})
        monkeypatch.setattr(BaseClient, "_make_api_call", self._recorded())

    def _recorded(self) -> Callable[..., Any]:
        def call(of: Any, operation: str, sent: dict[str, Any]) -> Any:
            running = self.gateway.running if self.gateway else ""
            if self._rotating:
                running = "RotateKeysFunction"
            if running:
                service = of.meta.service_model.endpoint_prefix
                self.used[running] |= uses_of(service, operation, sent)
            return self._call(of, operation, sent)

        return call

    def open_api(self) -> httpx.Client:
        self.gateway = Gateway(self.stack, self._monkeypatch)
        url = self.stack.environment("CallbackFunction")["RELAY_PUBLIC_URL"]
        return httpx.Client(transport=self.gateway, base_url=url)

    def rotate_keys(self, event: dict[str, Any]) -> None:
        for key, value in self.stack.environment("RotateKeysFunction").items():
            self._monkeypatch.setenv(key, value)
        handler = entry_point(self.stack, "RotateKeysFunction")
        self._rotating = True
        try:
            handler(event, None)
        finally:
            self._rotating = False


@pytest.fixture
def account(monkeypatch: pytest.MonkeyPatch) -> Iterator[Account]:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "testing")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    root = logging.getLogger()
    handlers, level = root.handlers, root.level
    with mock_aws():
        account = Account(Stack(load(), **SETTINGS), monkeypatch)
        yield account
        if account.gateway:
            account.gateway.close()
    root.handlers = handlers
    root.setLevel(level)


class Person:
    """An instance and its person, through the API."""

    def __init__(self, http: httpx.Client, key: str) -> None:
        self.http = http
        self.key = key

    def open(self, *, enrolled: bool = True, **members: Any) -> tuple[str, dict[str, str], Any]:
        """Return the login's path, its verifier as a header, and the relay's answer."""
        verifier = secrets.token_urlsafe(32)
        own = {
            "collect_challenge": challenge_of(verifier),
            "encryption_key": ECKey.generate_key("P-256").as_dict(private=False),
            "name": "workshop",
        }
        headers = bearer(self.key) if enrolled else {}
        opened = json_of(self.http.post("/v1/logins", json=own | members, headers=headers), 201)
        return f"/v1/logins/{opened['login_id']}", bearer(verifier), opened

    def callback(self, opened: Any, **params: str) -> httpx.Response:
        query = {"state": opened["state"], **(params or {"code": "c0de"})}
        page = self.http.get("/auth/callback", params=query)
        assert page.status_code == 200, page.text
        return page

    def press(self, page: httpx.Response, decision: str, code: str, status: int) -> None:
        form = form_of(page) | {"decision": decision, "pairing_code": code}
        headers = {"Sec-Fetch-Site": "same-origin"}
        done = self.http.post("/auth/confirm", data=form, headers=headers)
        assert done.status_code == status, done.text
        if status == 303:
            assert self.http.get(done.headers["location"]).status_code == 200


def with_pairing_code(person: Person) -> None:
    path, verifier, opened = person.open()
    waited = person.http.get(f"{path}/response", params={"wait": 1}, headers=verifier)
    assert json_of(waited, 202) == {"status": "pending"}
    page = person.callback(opened)
    person.press(page, "allow", WRONG_CODE, 422)
    person.press(page, "allow", opened["pairing_code"], 303)
    json_of(person.http.get(f"{path}/response", headers=verifier), 200)
    json_of(person.http.delete(path, headers=verifier), 204)


def declined(person: Person) -> None:
    path, verifier, opened = person.open()
    person.press(person.callback(opened), "deny", "", 303)
    json_of(person.http.get(f"{path}/response", headers=verifier), 410)


def with_completion_code(person: Person) -> None:
    path, verifier, opened = person.open(enrolled=False)
    page = person.callback(opened)
    for code, status in ((WRONG_CODE, 403), (completion_code_of(page), 204)):
        body = {"completion_code": code}
        json_of(person.http.post(f"{path}/completion", json=body, headers=verifier), status)
    json_of(person.http.get(f"{path}/response", headers=verifier), 200)


def guessed(person: Person) -> None:
    path, verifier, opened = person.open(confirmation="completion_code")
    person.callback(opened)
    for status in (403, 403, 403, 403, 410):
        body = {"completion_code": WRONG_CODE}
        json_of(person.http.post(f"{path}/completion", json=body, headers=verifier), status)


def redirected(person: Person) -> None:
    path, verifier, opened = person.open(delivery="redirect", return_url=RETURN_URL)
    person.callback(opened)
    json_of(person.http.get(f"{path}/response", headers=verifier), 409)
    json_of(person.http.delete(path, headers=verifier), 204)


def refused_by_the_idp(person: Person) -> None:
    path, verifier, opened = person.open()
    query = {"state": opened["state"], "error": "access_denied"}
    assert person.http.post("/auth/callback", data=query).status_code == 200
    json_of(person.http.get(f"{path}/response", headers=verifier), 200)


def cancelled(person: Person) -> None:
    path, verifier, opened = person.open()
    json_of(person.http.delete(path, headers=verifier), 204)
    late = person.http.get("/auth/callback", params={"state": opened["state"], "code": "c0de"})
    assert late.status_code == 409


def strangers(person: Person) -> None:
    http = person.http
    wrong = Instance.enrol("x", [], 0)[1].reveal()
    json_of(http.post("/v1/logins", json={}, headers=bearer(wrong)), 401)
    forged = person.open()[2]["state"].partition(".")[0] + ".e30.AAAA"
    assert http.get("/auth/callback", params={"state": forged, "code": "x"}).status_code == 400
    assert http.get("/favicon.ico").status_code == 404
    assert http.head("/auth/callback").status_code == 405


def looked_at(person: Person) -> None:
    assert person.http.get("/").status_code == 200
    public = ("/.well-known/opencode-relay", "/.well-known/jwks.json", "/oauth/client", "/healthz")
    for path in public:
        json_of(person.http.get(path), 200)


LOGINS = (
    with_pairing_code,
    declined,
    with_completion_code,
    guessed,
    redirected,
    refused_by_the_idp,
    cancelled,
    strangers,
    looked_at,
)


@pytest.fixture
def lived(account: Account, cloudformation: CloudFormation) -> Account:
    """An account after everything that can happen in a stack's life, deployment to end."""
    account.rotate_keys(cloudformation.event("Create"))
    path = account.stack.outputs["KeysPath"]
    KeyParameters(account.ssm, path, lambda: time.time() - MAX_AGE).replace_all()
    account.rotate_keys({})
    store = DynamoDBStore(account.dynamodb, logins="LoginsTable", instances="InstancesTable")
    instance, key = Instance.enrol("workshop", [RETURN_URL], time.time())
    with ThreadPoolExecutor(1) as thread:  # whose event loop it is
        assert thread.submit(asyncio.run, store.add_instance(instance)).result()
    person = Person(account.open_api(), key.reveal())
    for login in LOGINS:
        login(person)
    account.rotate_keys(cloudformation.event("Delete"))
    assert [one["Status"] for one in cloudformation.answers] == ["SUCCESS", "SUCCESS"]
    return account


def test_functions_do_what_their_roles_allow_and_nothing_else(lived: Account) -> None:
    assert lived.gateway
    assert lived.gateway.met == set(lived.stack.routes())
    assert differences(lived.stack, lived.used) == []
    for name in FUNCTIONS:
        spoilt = copy.deepcopy(lived.used)
        spoilt[name].pop()
        [fault] = differences(lived.stack, spoilt)
        assert fault.startswith(f"{name} may, but does not")
        spoilt = lived.used | {name: lived.used[name] | {("dynamodb:Scan", "LoginsTable.Arn", "")}}
        [fault] = differences(lived.stack, spoilt)
        assert fault.startswith(f"{name} must not, but does")


def spoil_resource(statement: dict[str, Any]) -> None:
    statement["Resource"] = "*"


def spoil_condition(statement: dict[str, Any]) -> None:
    del statement["Condition"]["Null"]


def spoil_prefix(statement: dict[str, Any]) -> None:
    statement["Condition"]["ForAllValues:StringLike"]["dynamodb:LeadingKeys"] = ["*"]


@pytest.mark.parametrize("spoil", [spoil_resource, spoil_condition, spoil_prefix])
def test_a_right_that_is_too_wide_is_a_fault(spoil: Callable[[dict[str, Any]], None]) -> None:
    template = load()
    role = template["Resources"]["CollectRole"]["Properties"]
    spoil(role["Policies"][0]["PolicyDocument"]["Statement"][1])
    with pytest.raises(AssertionError):
        allowed(Stack(template), "CollectFunction")


def test_an_instances_keys_and_urls_are_out_of_every_functions_reach() -> None:
    """Who could write them would enrol whom they like, for good."""
    stack = Stack(load())
    writes = {
        use
        for name in FUNCTIONS
        for use in allowed(stack, name)
        if use[1] == "InstancesTable.Arn" and use[0] != "dynamodb:GetItem"
    }
    assert writes == {("dynamodb:UpdateItem", "InstancesTable.Arn", "instance#last_used_at pk")}


def test_every_role_has_the_boundary_that_is_wanted() -> None:
    boundary = "arn:aws:iam::123456789012:policy/boundary"
    for given, wanted in (({}, None), ({"PermissionsBoundary": boundary}, boundary)):
        roles = Stack(load(), **given).of_type("AWS::IAM::Role").values()
        assert {role.get("PermissionsBoundary") for role in roles} == {wanted}


def test_each_function_has_a_role_of_its_own() -> None:
    stack = Stack(load())
    roles = {stack.function(name)["Role"] for name in FUNCTIONS}
    others = {"DeploymentRole.Arn"}  # CodeDeploy's
    assert roles | others == {f"{name}.Arn" for name in stack.of_type("AWS::IAM::Role")}
    assert len(roles) == len(FUNCTIONS)
