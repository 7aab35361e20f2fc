"""One login's life: its instance opens it, a person answers, the instance collects and finishes.

Both try again when the relay fails them, as people and instances do. What a life may see, and what
it must not, is checked here; lives.py says what happens in which order.
"""

from __future__ import annotations

import asyncio
import html
import json
import re
from base64 import urlsafe_b64decode
from collections.abc import Awaitable, Callable
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
from joserfc.jwk import ECKey
from opencode_relay import response
from opencode_relay.client import ClientError, OpenLogin

from benchmarks.soak import tally as is_
from benchmarks.soak.patience import PATIENCE, GaveUp, Patient
from benchmarks.soak.world import EVIL, FAR, GATEWAY, IDP, PROVIDERS, RETURN_URL, SKEW, World

COLLECTS = 10  # seconds in which a released code mostly comes; then it is asked for directly
_HIDDEN = re.compile(r'name="(response|token)" value="([^"]+)"')
_CODE = re.compile(r'<code translate="no">([^<]+)</code>')
_CLOCK = "compare this machine's clock"  # of the error of a response that seems to have expired
_ONWARD = re.compile(r'content="0;url=([^"]+)"')

Params = dict[str, str]


class Life(Patient):
    """What instance and person do in one life, and what they know."""

    def __init__(self, world: World) -> None:
        super().__init__(world)
        self.provider, self._idp_issuer = self.tally.random.choice(PROVIDERS)
        self.tally.opened_for[self.provider] += 1
        self.login: OpenLogin
        self.first: httpx.Response | None = None  # of two tabs, the one that is left
        self.collectors: list[asyncio.Task[Params]] = []
        self.died = False  # whether its instance's process ended while it waited

    @property
    def id(self) -> str:
        return self.login.login_id if hasattr(self, "login") else "never opened"

    @property
    def state(self) -> str:
        return self.login.state.reveal()

    # The instance

    async def open(self, **members: Any) -> None:
        told = {"provider": self.provider, "idp_issuer": self._idp_issuer, **members}
        self.login = await self.ask(lambda: self.instance.client.open(**told))
        if self.world.overdue(_kid(self.state)):
            self.broke(is_.HELD, "its state is signed by a key that was replaced")
        known = self.tally.secrets
        known.add("state", self.state)
        known.add("verifier", self.login.verifier.reveal())
        self.world.verifiers.append(self.login.verifier.reveal())
        if self.login.pairing_code:
            known.add("pairing code", self.login.pairing_code.reveal())

    def collect(self) -> None:
        """Begin to wait for the response; now and then twice, or with a wrong clock."""
        if self.collectors:
            return
        times = 1 + self.tally.due(is_.COLLECTORS)
        if times > 1:
            self.tally.met(is_.COLLECTORS)
        skew = 0.0
        if self.tally.due(is_.INSTANCE_CLOCK):
            self.tally.met(is_.INSTANCE_CLOCK)
            skew = self.tally.random.choice([-FAR, -SKEW, SKEW, FAR])
        with self.world.clock.off_by(skew):
            self.collectors = [
                asyncio.create_task(self.instance.client.wait(self.login)) for _ in range(times)
            ]

    async def ask_directly(self, verifier: str = "") -> httpx.Response:
        """Collect without waiting."""
        bearer = f"Bearer {verifier or self.login.verifier.reveal()}"
        path = f"/v1/logins/{self.id}/response"
        return await self.send("GET", path, headers={"Authorization": bearer})

    async def collected(self) -> Params | None:
        """Return what the instance was given; after a release, nothing is a loss."""
        self.collect()
        await asyncio.wait(self.collectors, timeout=COLLECTS)
        found: Params | None = None
        for collector in self.collectors:
            if not collector.done():
                collector.cancel()
                params = await self._last_call()
            elif isinstance(wrong := collector.exception(), response.SealError) and _CLOCK in str(
                wrong
            ):
                params = await self._last_call()  # its clock is set, as the error says
            elif isinstance(wrong, ClientError | response.SealError):
                self.broke(is_.LOST, f"its collector ended: {wrong}")
                params = None
            else:
                params = collector.result()
            found = found or params
        return found

    async def die(self) -> None:
        """Let the instance's process end, with all that waits in it."""
        self.died = not all(collector.done() for collector in self.collectors)
        for collector in self.collectors:
            collector.cancel()
        await asyncio.gather(*self.collectors, return_exceptions=True)
        self.collectors = []
        if self.died:
            self.tally.met(is_.INSTANCE_KILLED)

    async def _last_call(self) -> Params | None:
        try:
            answer = await self.ask_directly()
        except GaveUp:
            self.broke(is_.LOST, f"no answer for {PATIENCE} s")
            return None
        if answer.status_code != httpx.codes.OK:
            self.broke(is_.LOST, f"told that it worked, and yet {answer.status_code} {answer.text}")
            return None
        return await self.unseal(answer.json()["response"])

    async def unseal(self, sealed: str) -> Params | None:
        try:
            return await self.ask(lambda: self.instance.client.unseal(self.login, sealed))
        except response.SealError as wrong:
            self.broke(is_.LOST, f"what came cannot be opened: {wrong}")
            return None

    def open_with_another_key(self, sealed: str) -> None:
        self.tally.met(is_.OTHER_KEY)
        other = ECKey.generate_key("P-256")
        try:
            response.unseal(
                sealed,
                private_key=other,
                find=lambda _: None,
                issuer=self.world.target.issuer,
                login_id=self.id,
                now=0,
            )
        except response.UnknownKeyError:
            self.broke(is_.READ, "another key than the login's opens the response")
        except response.SealError:
            return

    async def ends_with(self, code: str, what: str) -> None:
        """Check that whoever waits is told that it is over."""
        self.collect()
        await asyncio.wait(self.collectors, timeout=COLLECTS)
        for collector in self.collectors:
            if not collector.done():
                collector.cancel()
                answer = await self.ask_directly()
                delivered = answer.status_code == httpx.codes.OK
                told = str(answer.json().get("type", "")).rpartition("/")[2]
            else:
                wrong = collector.exception()
                delivered, told = wrong is None, getattr(wrong, "code", repr(wrong))
            if delivered:
                self.broke(is_.LATE, what)
            elif told != code:
                self.broke(is_.WRONG, f"{what}: its collector is told {told}")

    async def finish(self) -> None:
        await self.ask(lambda: self.instance.client.finish(self.login))

    # The person

    async def callback(self, **changed: str | None) -> httpx.Response:
        """Come back from the IdP; what is changed to None is left out."""
        given = {"state": self.state, "code": self.code, "iss": IDP, **changed}
        if self.provider == GATEWAY:
            given["session_state"] = "of the gateway"
        query = {name: value for name, value in given.items() if value is not None}
        if self.provider == GATEWAY:
            return await self.send("POST", "/auth/callback", data=query)
        return await self.send("GET", "/auth/callback", params=query)

    async def press(
        self,
        page: httpx.Response,
        decision: str,
        pairing_code: str = "",
        sender: dict[str, str] | None = None,
    ) -> httpx.Response:
        """Send the page's form, as the relay's own page unless another `sender` is named."""
        if not pairing_code and self.login.pairing_code:
            pairing_code = self.login.pairing_code.reveal()
        form = dict(_HIDDEN.findall(page.text))
        form |= {"decision": decision, "pairing_code": pairing_code}
        if sender is None:
            sender = {"Sec-Fetch-Site": "same-origin", "Origin": self.world.target.issuer}
        return await self.send("POST", "/auth/confirm", data=form, headers=sender)

    async def press_elsewhere(self, page: httpx.Response) -> httpx.Response:
        """Have another site send the form, or somebody of whom nothing says who it is."""
        ours = self.world.target.issuer
        senders = [
            {"Sec-Fetch-Site": "cross-site", "Origin": EVIL},
            {"Sec-Fetch-Site": "cross-site", "Origin": ours},
            {"Sec-Fetch-Site": "same-site", "Origin": ours},
            {"Sec-Fetch-Site": "same-origin", "Origin": "null"},
            {"Origin": EVIL},
            {},
        ]
        choose = self.tally.random.choice
        return await self.press(page, choose(["allow", "deny"]), sender=choose(senders))

    def expect(self, answer: httpx.Response, status: int, what: str) -> bool:
        """Check an answer that is no refusal."""
        if answer.status_code != status:
            self.broke(is_.WRONG, f"{what}: {answer.status_code}, not {status}")
        return answer.status_code == status

    def completion_code(self, page: httpx.Response) -> str:
        found = _CODE.search(page.text)
        code = found[1] if found else ""
        self.tally.secrets.add("completion code", code)
        return code

    def carried(self, page: httpx.Response) -> str:
        """Read the sealed response off the page that goes on to the return URL."""
        found = _ONWARD.search(page.text)
        address = html.unescape(found[1]) if found else ""
        if not address.startswith(f"{RETURN_URL}?"):
            self.broke(is_.WRONG, "the page goes on to another address than the return URL")
        return parse_qs(urlsplit(address).query).get("response", [""])[0]

    # Strangers

    async def refused(
        self,
        fault: str,
        send: Callable[[], Awaitable[httpx.Response]],
        *statuses: int,
        promise: str = is_.WRONG,
    ) -> None:
        """Make a request that must be refused, and that must change nothing."""
        before = await self.world.target.kept(self.id)
        answer = await send()
        after = await self.world.target.kept(self.id)
        if answer.status_code not in statuses:
            broken = promise if answer.is_success else is_.WRONG
            self.broke(broken, f"{fault}: answered {answer.status_code}")
        if not self.unsettled:  # else it may have been carried out in between
            before, after = before or {}, after or {}
            changed = [one for one in before | after if before.get(one) != after.get(one)]
            if fault == is_.AFTER_EXPIRY:  # the relay itself erases what has expired, at any time
                changed = [one for one in changed if after.get(one) is not None]
            if changed:
                self.broke(is_.CHANGED, f"{fault}: changed {', '.join(sorted(changed))}")
        self.tally.met(fault)


def _kid(token: str) -> str:
    """Read which key signed a state."""
    kid: str = json.loads(urlsafe_b64decode(token.partition(".")[0] + "=="))["kid"]
    return kid
