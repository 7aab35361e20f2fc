"""Who calls the relay, with what, and what they read off its answers."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, replace
from typing import Any

import httpx
from hypothesis import strategies as st
from opencode_relay.login import Change, Login
from opencode_relay.stores import Store

from tests.properties.model import (
    Answer,
    Call,
    Callback,
    Collect,
    Complete,
    Finish,
    Params,
    Press,
    State,
)
from tests.threats.world import IDP, RETURN_URL, Opened

KINDS: list[dict[str, Any]] = [
    {},
    {"idp_issuer": IDP},
    {"confirmation": "completion_code"},
    {"confirmation": "completion_code", "idp_issuer": IDP},
    {"delivery": "redirect", "return_url": RETURN_URL},
]
ANSWERS: list[Params] = [
    (("code", "one"),),
    (("code", "two"), ("session_state", "s")),
    (("code", "one"), ("iss", IDP)),
    (("code", "one"), ("iss", "https://evil.example")),
    (("error", "access_denied"), ("error_description", "no")),
    (("error", "access_denied"), ("iss", IDP)),
]
CALLBACKS = st.builds(Callback, st.sampled_from(ANSWERS))
COMPLETIONS = st.builds(
    Complete,
    st.sampled_from(["right", "wrong", "wrong", "malformed"]),
    st.sampled_from([True, True, True, False]),
)
OWN_CALLS: st.SearchStrategy[Call] = st.sampled_from(
    [Collect(), Collect(), Collect(own=False), Finish(own=False), Finish()]
)
PRESSES = st.fixed_dictionaries(
    {},
    optional={
        "decision": st.sampled_from(["deny", "allow", "maybe"]),
        "right_code": st.just(False),
        "from_elsewhere": st.sampled_from([False, False, True]),
        "tampered": st.sampled_from([False, False, True]),
    },
)


class Interleaved:
    """A store that lets others in before its calls, as often as it is told."""

    def __init__(self, store: Store, pauses: list[int]) -> None:
        self._store = store
        self._pauses = pauses

    async def _pause(self) -> None:
        for _ in range(self._pauses.pop() if self._pauses else 0):
            await asyncio.sleep(0)

    async def get(self, login_id: str) -> Login | None:
        await self._pause()
        return await self._store.get(login_id)

    async def apply(self, login_id: str, change: Change) -> bool:
        await self._pause()
        return await self._store.apply(login_id, change)

    async def count_try(self, login_id: str, now: float) -> int | None:
        await self._pause()
        return await self._store.count_try(login_id, now)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)


@dataclass
class Known:
    """What the people around one login know of it."""

    opened: Opened
    state: State
    completion_code: str = ""
    sealed: str = ""
    promised: Params | None = None  # what the release holds, also after it was finished

    def move(self, state: State) -> None:
        self.state = state
        self.promised = state.params or self.promised

    def honest(self, call: Call) -> Call:
        """Nobody knows the right code before a page has shown it."""
        if isinstance(call, Complete) and call.code == "right" and not self.completion_code:
            return replace(call, code="wrong")
        return call


@dataclass(frozen=True)
class Rendering:
    """The confirm page as one browser has it."""

    of: int
    fields: tuple[tuple[str, str], ...]
    press: Press


def answer(response: httpx.Response) -> Answer:
    """Read off a response what the protocol fixes of it."""
    kind = response.headers.get("content-type", "")
    if kind.startswith("application/problem+json"):
        body = response.json()
        slug = body["type"].rpartition("/")[2]
        left = f"tries_left {body['tries_left']}" if "tries_left" in body else slug
        return Answer(response.status_code, left)
    if kind.startswith("application/json"):
        return Answer(response.status_code, response.json()["status"])
    if response.status_code == 303:
        decided = {"/auth/done": "released", "/auth/declined": "declined"}
        return Answer(303, decided[response.headers["location"]])
    return Answer(response.status_code)
