"""One login from its opening to its end, beside nchan's bare subscribe, publish and deliver.

A login by `pairing_code`: the instance opens it and waits; the browser brings the callback and
presses Allow; the waiting request is answered, which is the collection; the instance finishes. Five
requests, on one kept connection for the instance and one for the browser. Not in it: the page that
the browser goes on to, and what the instance does with the answer.

nchan's peer of it: subscribe to a new channel, publish a message as long as the sealed response, be
delivered. Two requests on two kept connections, the second sent right behind the first.

It is measured in two ways, one operation at a time in both. As quickly as the answers come: caches
stay warm, which nchan gains more by. And 100 a second, which is millions a day: waking up is then
most of nchan's cost. Unfair to nchan in both is that a busy server does the work of several in one
turn: of eight at a time each takes it half as long, and the relay hardly less.

Unfair to the relay: nchan keeps nothing, knows nobody, encrypts nothing and logs nothing.
"""

import itertools
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from benchmarks.contenders import nchan, relay
from benchmarks.harness.client import Answer
from benchmarks.harness.processes import Server
from benchmarks.harness.results import Goal, Result
from benchmarks.harness.rounds import CPU, Operation, Plan, Wrong, rounds
from benchmarks.harness.streams import Loop, Stream, at, connect
from benchmarks.tables._logins import Logins, expect

COUNT, WARM, AT_MOST = 400, 400, 36
PACE = 100  # operations a second
OURS, THEIRS = "opencode-relay: a delivered login", "nchan: subscribe, publish, deliver"
Check = Callable[[], None]
One = Callable[[Stream, Stream], Awaitable[Check]]


@dataclass
class Deliveries:
    """Deliveries one at a time: `one` does it on two connections, and returns how to check it."""

    server: Server
    loop: Loop
    one: One
    pace: float = 0  # a second; 0: as quickly as the answers come
    count: int = 0
    checks: list[Check] = field(default_factory=list)

    def prepare(self, count: int) -> None:
        self.count, self.checks = count, []

    def run(self) -> list[float]:
        return self.loop.run(self._run())

    async def _run(self) -> list[float]:
        first, second, taken = await connect(self.server), await connect(self.server), []
        begin = time.perf_counter()
        for number in range(self.count):
            if self.pace:
                await at(begin + number / self.pace)
            began = time.perf_counter()
            self.checks.append(await self.one(first, second))
            taken.append(time.perf_counter() - began)
        first.leave()
        second.leave()
        return taken

    def check(self) -> None:
        for check in self.checks:
            check()


def relayed(logins: Logins) -> One:
    async def one(instance: Stream, browser: Stream) -> Check:
        login = logins.opened(await instance.send(logins.open))
        delivery = instance.send(logins.wait(login))
        page = await browser.send(logins.callback(login))
        expect(303, await browser.send(logins.allow(login, page)))
        delivered = await delivery
        expect(204, await instance.send(logins.finish(login)))
        return lambda: logins.check_delivered(login, delivered)

    return one


def published(server: Server, message: bytes) -> One:
    channels = (f"login-{number:018}" for number in itertools.count())

    async def one(subscriber: Stream, publisher: Stream) -> Check:
        channel = next(channels)
        delivery = subscriber.send(nchan.subscribe(server, channel))
        answer = await publisher.send(nchan.publish(server, channel, message))
        delivered = await delivery
        return lambda: judge(answer, delivered)

    def judge(answer: Answer, delivered: Answer) -> None:
        expect(201, answer)  # there was a subscriber
        if expect(200, delivered).body != message:
            raise Wrong(f"nchan delivered {delivered.raw!r}.")

    return one


def measure(plan: Plan) -> Result:
    with relay.relay() as (ours, key), nchan.nchan() as theirs, Loop() as loop:
        logins = Logins(ours, key)
        message = b"x" * logins.sealed_size()
        doing = {OURS: (ours, relayed(logins)), THEIRS: (theirs, published(theirs, message))}
        operations: dict[str, Operation] = {
            name: Deliveries(server, loop, one) for name, (server, one) in doing.items()
        }
        operations |= {
            f"{name}, {PACE} a second": Deliveries(server, loop, one, PACE)
            for name, (server, one) in doing.items()
        }
        rows = rounds(operations, COUNT, plan, WARM)
    versions = {"opencode-relay": relay.VERSION, "nchan": nchan.version()}
    goals = [
        Goal(f"{OURS}{how}", f"{THEIRS}{how}", CPU, AT_MOST) for how in ("", f", {PACE} a second")
    ]
    return Result("A delivered login", rows, goals, versions)
