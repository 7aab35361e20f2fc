"""The addresses of these tests, and an opencode whose every request is noted."""

import json
import time
from collections.abc import Mapping
from dataclasses import dataclass

from tests.e2e.opencode import Opencode
from tests.e2e.outside import Outside, Sent
from tests.e2e.person import Dialog, Person
from tests.e2e.relays import RELAY_HOST

from .api import MODEL

SSO, SSO_API = "sso.example", "ai.sso.example"
PEOPLE, PEOPLE_API = "people.example", "ai.people.example"
GITLAB = "gitlab.com"
HOSTS = (SSO, SSO_API, PEOPLE, PEOPLE_API, GITLAB, RELAY_HOST)
CALLBACK = f"https://{RELAY_HOST}/auth/callback"
CLIENT_ID = "opencode-at-work"

WORK, OTHER = "work", "other"  # the providers' ids
NAMES = {WORK: "Work gateway", OTHER: "Other gateway"}
PROVIDERS = [
    {"id": WORK, "issuer": f"https://{SSO}", "clientId": CLIENT_ID, "name": "Work SSO"},
    {"id": OTHER, "issuer": f"https://{PEOPLE}", "clientId": CLIENT_ID, "scope": "openid email"},
]


def provider(name: str, host: str) -> dict[str, object]:
    return {
        "npm": "@ai-sdk/openai-compatible",
        "name": name,
        "options": {"baseURL": f"https://{host}/v1"},
        "models": {MODEL: {"name": "Any model"}},
    }


CONFIG: Mapping[str, object] = {
    "provider": {
        WORK: provider(NAMES[WORK], SSO_API),
        OTHER: provider(NAMES[OTHER], PEOPLE_API),
        "gitlab": {"name": "GitLab", "models": {"duo": {}}},
    }
}


@dataclass(frozen=True)
class Place:
    """An opencode, and the proxy that what it sends goes through."""

    opencode: Opencode
    left: Outside

    def connect(self, person: Person, provider: str = WORK) -> Dialog:
        dialog = person.find(self.opencode.url, NAMES[provider])
        dialog.box.get_by_role("link", name="this link").wait_for()
        return dialog

    def ask(self, provider: str = WORK) -> str:
        return self.opencode.prompt("Who am I?", provider, MODEL)

    def change(self, provider: str, **members: object) -> None:
        """Change what auth.json says of an account."""
        stored = self.opencode.home / ".local/share/opencode/auth.json"
        accounts = json.loads(stored.read_text())
        accounts[provider] |= members
        stored.write_text(json.dumps(accounts))

    def expire(self, provider: str = WORK) -> None:
        """Make the plugin believe that the access token has expired."""
        self.change(provider, expires=int(time.time() * 1000) - 1)

    def hosts_given(self, secret: str) -> set[str]:
        assert secret
        return {one.host for one in self.left.sent if one.carries(secret)}

    def sent_to(self, host: str) -> list[Sent]:
        return [one for one in self.left.sent if one.host == host]
