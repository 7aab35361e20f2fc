"""From Allow to the waiter's last byte, beside nchan's from publishing to delivery.

1,000 logins are opened, their callbacks brought and their confirm pages read beforehand, and 1,000
connections wait. Then Allow is pressed for one after another, 200 a second, whether or not the
earlier ones have ended; each is measured from sending it until its waiter has the last byte of the
sealed response. At nchan 1,000 subscribers wait, and messages as long are published at that pace.

It is time on the wall, the client's own included: both have the same client, and its share is more
of nchan's figure than of the relay's, which flatters the relay in the ratio. The last row shows
that share: the same client's time for an answer of nginx without a body, while nobody waits there.
What nginx does for it, and the kernel for both, is in it.

The wait of 25 s holds all of it, so nobody asks twice.
"""

import asyncio
import itertools
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from benchmarks.contenders import nchan, relay
from benchmarks.harness.client import Answer
from benchmarks.harness.processes import Server
from benchmarks.harness.results import Goal, Result
from benchmarks.harness.rounds import P50, Busy, Operation, Plan, Wrong, rounds
from benchmarks.harness.streams import Loop, Stream, at, connect, wait
from benchmarks.tables._logins import Logins, Opened, expect, room_for

COUNT, PACE, AT_MOST = 1000, 200, 5
OURS, THEIRS = "opencode-relay: Allow to delivery", "nchan: publish to delivery"
CLIENT = "client and empty answer"
BROWSERS = 20  # connections; enough for a server that keeps up


@dataclass(frozen=True, slots=True)
class Wakeup:
    """The request that waits, the one that ends its waiting, and how to judge both answers."""

    waits: bytes
    ends: bytes
    judge: Callable[[Answer, Answer], None]


@dataclass
class Wakeups:
    """`make(count)` gives what is to be carried out; all of them wait before the first ends."""

    server: Server
    loop: Loop
    make: Callable[[int], Sequence[Wakeup]]
    doing: Sequence[Wakeup] = ()
    waiting: list[Stream] = field(default_factory=list)
    checks: list[Callable[[], None]] = field(default_factory=list)

    def prepare(self, count: int) -> None:
        self.doing = self.make(count)
        self.waiting = self.loop.run(wait(self.server, [one.waits for one in self.doing]))

    def run(self) -> list[float]:
        if not all(stream.waits() for stream in self.waiting):
            raise Busy("A waiter was sent home first: is anything else running on this machine?")
        return self.loop.run(self._run())

    async def _run(self) -> list[float]:
        browsers = [await connect(self.server) for _ in range(BROWSERS)]
        idle = list(browsers)

        async def end(wakeup: Wakeup, waiter: Stream) -> float:
            if not idle:  # a server that is behind is sent no less
                idle.append(await connect(self.server))
                browsers.extend(idle)
            browser, sent = idle.pop(0), time.perf_counter()
            ended = await browser.send(wakeup.ends)
            idle.append(browser)
            delivered = await waiter.answered()
            self.checks.append(lambda: wakeup.judge(ended, delivered))
            return waiter.at - sent

        begin, tasks = time.perf_counter(), []
        for number, (wakeup, waiter) in enumerate(zip(self.doing, self.waiting, strict=True)):
            await at(begin + number / PACE)
            tasks.append(asyncio.create_task(end(wakeup, waiter)))
        taken = await asyncio.gather(*tasks)
        for stream in [*browsers, *self.waiting]:
            stream.leave()
        return taken

    def check(self) -> None:
        for check in self.checks:
            check()
        self.checks = []


@dataclass
class Empties:
    """Empty answers at the same pace, on as many connections."""

    server: Server
    loop: Loop
    count: int = 0
    answers: list[Answer] = field(default_factory=list)

    def prepare(self, count: int) -> None:
        self.count, self.answers = count, []

    def run(self) -> list[float]:
        self.loop.run(self._run())
        return [answer.seconds for answer in self.answers]

    async def _run(self) -> None:
        streams = [await connect(self.server) for _ in range(BROWSERS)]
        content, begin = nchan.empty(self.server), time.perf_counter()
        for number in range(self.count):
            await at(begin + number / PACE)
            self.answers.append(await streams[number % BROWSERS].send(content))
        for stream in streams:
            stream.leave()

    def check(self) -> None:
        for answer in self.answers:
            expect(204, answer)


def relayed(logins: Logins) -> Callable[[int], Sequence[Wakeup]]:
    def judge(login: Opened) -> Callable[[Answer, Answer], None]:
        def of(ended: Answer, delivered: Answer) -> None:
            expect(303, ended)
            logins.check_delivered(login, delivered)

        return of

    def make(count: int) -> list[Wakeup]:
        opened = logins.open_many(count)
        allows = logins.allow_many(opened)
        return [
            Wakeup(logins.wait(login), allow, judge(login))
            for login, allow in zip(opened, allows, strict=True)
        ]

    return make


def published(server: Server, message: bytes) -> Callable[[int], Sequence[Wakeup]]:
    channels = (f"login-{number:018}" for number in itertools.count())

    def judge(ended: Answer, delivered: Answer) -> None:
        expect(201, ended)  # there was a subscriber
        if expect(200, delivered).body != message:
            raise Wrong(f"nchan delivered {delivered.raw!r}.")

    def make(count: int) -> list[Wakeup]:
        return [
            Wakeup(nchan.subscribe(server, channel), nchan.publish(server, channel, message), judge)
            for channel in itertools.islice(channels, count)
        ]

    return make


def measure(plan: Plan) -> Result:
    with relay.relay(room_for(COUNT)) as (ours, key), nchan.nchan() as theirs, Loop() as loop:
        logins = Logins(ours, key)
        message = b"x" * logins.sealed_size()
        operations: dict[str, Operation] = {
            OURS: Wakeups(ours, loop, relayed(logins)),
            THEIRS: Wakeups(theirs, loop, published(theirs, message)),
            CLIENT: Empties(theirs, loop),
        }
        rows = rounds(operations, COUNT, plan)
    versions = {"opencode-relay": relay.VERSION, "nchan": nchan.version()}
    return Result("1,000 waiters are answered", rows, [Goal(OURS, THEIRS, P50, AT_MOST)], versions)
