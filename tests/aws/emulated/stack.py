"""A stack of the template on the emulated AWS: deployed, changed, used, deleted."""

import json
import re
import subprocess
from typing import Any

import httpx
from opencode_relay.client import Client, OpenLogin

from tests.aws.emulated.cloud import Cloud
from tests.aws.emulated.release import Template
from tests.support.served import run, until
from tests.support.wire import form_of

RETURN_URL = "https://opencode.example.com/auth/callback"
QUICK = {"MaxWait": "1"}  # or instances wait 8 s before they ask


class Stack:
    """One by its name, whether it is there or not. Its functions live by `parameters`."""

    def __init__(self, cloud: Cloud, name: str) -> None:
        self.cloud, self.name = cloud, name
        self.key = ""
        self._cloudformation = cloud.client("cloudformation")

    # The operator

    def create(self, template: Template, **parameters: str) -> str:
        """Deploy it for the first time; return how that ended."""
        self._cloudformation.create_stack(**self._asked(template, parameters))
        return self.settled()

    def update(self, template: Template, **parameters: str) -> str:
        """Deploy it again, with defaults for what is not given; return how that ended."""
        try:
            self._cloudformation.update_stack(**self._asked(template, parameters))
        except self._cloudformation.exceptions.ClientError as wrong:
            if "No updates are to be performed" not in str(wrong):
                raise
        return self.settled()

    def _asked(self, template: Template, parameters: dict[str, str]) -> dict[str, Any]:
        return {
            "StackName": self.name,
            "TemplateBody": json.dumps(template),
            "Parameters": [
                {"ParameterKey": name, "ParameterValue": value}
                for name, value in parameters.items()
            ],
            "Capabilities": ["CAPABILITY_IAM", "CAPABILITY_AUTO_EXPAND"],
        }

    def delete(self) -> None:
        stack = self.described()["StackId"]
        self._cloudformation.delete_stack(StackName=self.name)
        until(lambda: self._status(stack) == "DELETE_COMPLETE", "the stack is deleted")

    def settled(self) -> str:
        """Wait until nothing is in progress; return the status."""
        until(lambda: not self._status(self.name).endswith("_IN_PROGRESS"), "the stack is settled")
        return self._status(self.name)

    def _status(self, name: str) -> str:
        return str(self.described(name)["StackStatus"])

    def described(self, name: str = "") -> dict[str, Any]:
        found = self._cloudformation.describe_stacks(StackName=name or self.name)
        stack: dict[str, Any] = found["Stacks"][0]
        return stack

    @property
    def outputs(self) -> dict[str, str]:
        return {one["OutputKey"]: one["OutputValue"] for one in self.described()["Outputs"]}

    @property
    def url(self) -> str:
        return self.outputs["RelayUrl"]

    def resource(self, name: str) -> str:
        """Return the physical id of a resource."""
        found = self._cloudformation.describe_stack_resource(
            StackName=self.name, LogicalResourceId=name
        )
        return str(found["StackResourceDetail"]["PhysicalResourceId"])

    def _events(self) -> list[dict[str, Any]]:
        found = self._cloudformation.describe_stack_events(StackName=self.name)
        events: list[dict[str, Any]] = found["StackEvents"]
        return events

    def events(self, resource: str) -> list[str]:
        """Return the statuses that a resource has had, the latest first."""
        return [e["ResourceStatus"] for e in self._events() if e["LogicalResourceId"] == resource]

    def why(self) -> str:
        """Tell what has failed, the latest first."""
        failed = [one for one in self._events() if one["ResourceStatus"].endswith("_FAILED")]
        return "\n".join(f"{e['LogicalResourceId']}: {e['ResourceStatusReason']}" for e in failed)

    def command(self, *args: str, **env: str) -> "subprocess.CompletedProcess[str]":
        return run(*args, **self.cloud.environment(), **env)

    def enrol(self) -> None:
        args = ("instances", "add", "workshop", "--stack", self.name, "--return-url", RETURN_URL)
        done = self.command(*args)
        assert done.returncode == 0, done.stderr
        self.key = re.findall(r"ocr_\w+", done.stdout)[0]

    def used(self) -> bool:
        """Say whether it is noted when the instance's key was last used."""
        done = self.command("instances", "list", "--stack", self.name, "--json")
        [instance] = json.loads(done.stdout)
        return instance["last_used_at"] is not None

    def warm(self) -> None:
        """Have each function start, which on a busy machine takes longer than clients wait."""
        with self.cloud.web() as web:
            web.get(f"{self.url}/healthz")
            web.post(f"{self.url}/v1/logins")
            web.get(f"{self.url}/v1/logins/none/response")

    def doctor(self) -> str:
        """Return what `doctor` finds wrong, or could not try."""
        self.warm()
        done = self.command("doctor", self.url, OPENCODE_RELAY_KEY=self.key)
        bad = [line for line in done.stdout.splitlines() if line[:1] in "✗-"]
        assert (done.returncode == 0) == (not bad), done.stdout + done.stderr
        return "\n".join(bad)


class SignIn:
    """A sign-in under way: an instance that has opened a login, and a person with a browser."""

    def __init__(self, stack: Stack, **options: Any) -> None:
        """`options` are those of Client.open."""
        stack.warm()
        self._url, self._instance, self._browser = stack.url, stack.cloud.web(), stack.cloud.web()
        self._relay = Client(self._url, key=stack.key, http=self._instance)
        self.login: OpenLogin = self._relay.open(name="a test", provider="Example", **options)

    def callback(self, code: str) -> httpx.Response:
        """Come back from the identity provider."""
        query = {"state": self.login.state.reveal(), "code": code}
        return self._browser.get(self.login.redirect_uri, params=query)

    def allow(self, page: httpx.Response) -> httpx.Response:
        """Type the pairing code and press Allow."""
        assert self.login.pairing_code is not None
        typed = {"decision": "allow", "pairing_code": self.login.pairing_code.reveal()}
        headers = {"Origin": self._url, "Sec-Fetch-Site": "same-origin"}
        return self._browser.post(
            f"{self._url}/auth/confirm", data=form_of(page) | typed, headers=headers
        )

    def brought(self, page: httpx.Response) -> dict[str, str]:
        """Open what the page sends on to the instance."""
        found = re.search(r"response=([\w.-]+)", page.text)
        assert found, page.text
        return self._relay.unseal(self.login, found[1])

    def end(self) -> dict[str, str]:
        """Wait for the response, open it, and end the login."""
        found = self._relay.wait(self.login, 30)
        self.close()
        return found

    def close(self) -> None:
        self._relay.finish(self.login)
        self._instance.close()
        self._browser.close()
