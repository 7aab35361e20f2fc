"""What a run has seen: faults by their kinds, what became of the logins, promises that broke."""

from __future__ import annotations

import random
import resource
import sys
import time
from collections import Counter
from typing import Any

from benchmarks.soak.leaks import Secrets

# What must never happen. A run in which one of these did has failed.
LOST = "a released code that its instance could not collect"
READ = "a code that somebody else could read"
LATE = "a code delivered after finish, refusal or expiry"
CHANGED = "a login changed by a refused request"
HELD = "a thing that the relay should have let go of"
LEAKED = "a secret in a log or in the database"
WRONG = "an answer that the protocol does not know here"
PROMISES = (LOST, READ, LATE, CHANGED, HELD, LEAKED, WRONG)

# What the run does to the relay. One that was never met fails the run too.
KILLED = "relay killed in the middle"
CUT = "answer lost on its way"
HUNG_UP = "caller hung up before the whole answer"
STORE_ERROR = "store error before the write"
STORE_LOST = "store error after the write"
STORE_DELAY = "store delay"
LOCKED = "write lock held by another process"
DUPLICATE = "callback brought twice at once"
OTHER_CODE = "callback with another party's code"
FORGED = "forged callback"
MIX_UP = "callback of another issuer"
AGAIN = "Allow pressed twice"
OTHER_PAGE = "Allow pressed on another rendering afterwards"
WRONG_PAIRING = "wrong pairing code"
WRONG_COMPLETION = "wrong completion code"
DENIED = "Allow pressed after Deny"
CANCELLED = "Allow pressed after the instance cancelled"
INSTANCE_CLOCK = "instance's clock off by twenty minutes, or by one"
RELAY_CLOCK = "relay's clock off by a minute"
COLLECTORS = "two collectors for one login"
ROTATED = "keys rotated"
OTHER_VERIFIER = "collected with another verifier"
OTHER_ENDS = "ended with another verifier"
OTHER_KEY = "opened with another key"
AFTER_FINISH = "collected after finish"
AFTER_EXPIRY = "collected after expiry"
REDIRECT_COLLECTED = "redirect login collected"
FOREIGN = "a proxy's own answer while waiting"
UNFINISHED = "connection that never finishes"
SECOND_TAB = "signed in with a second tab"
INSTANCE_KILLED = "instance killed between Allow and collection"
CROSS_SITE = "decision sent by another site's page"
FAULTS = (
    *(KILLED, CUT, HUNG_UP, STORE_ERROR, STORE_LOST, STORE_DELAY, LOCKED, DUPLICATE, OTHER_CODE),
    *(FORGED, MIX_UP, AGAIN, OTHER_PAGE, WRONG_PAIRING, WRONG_COMPLETION, DENIED, CANCELLED),
    *(INSTANCE_CLOCK, RELAY_CLOCK, COLLECTORS, ROTATED, OTHER_VERIFIER, OTHER_ENDS, OTHER_KEY),
    *(AFTER_FINISH, AFTER_EXPIRY, REDIRECT_COLLECTED, FOREIGN, UNFINISHED, SECOND_TAB),
    *(INSTANCE_KILLED, CROSS_SITE),
)
DELIVERED = "delivered"
DECLINED = "declined"
OVER = "cancelled"
LEFT = "left to expire"
GAVE_UP = "gave up"
ENDS = (DELIVERED, DECLINED, OVER, LEFT)
EXAMPLES = 5  # of each broken promise that the result shows


class Tally:
    """Counts, and decides which login meets which fault."""

    def __init__(self, rate: float, seed: int) -> None:
        """`rate` is the share of logins that meets each kind of fault, 0 to 1."""
        self.rate = rate
        self.random = random.Random(seed)  # noqa: S311  # a reproducible choice, no secret
        self.secrets = Secrets()
        self.faults: Counter[str] = Counter()
        self.became: Counter[str] = Counter()
        self.opened_for: Counter[str] = Counter()
        self.broken: Counter[str] = Counter()
        self.examples: dict[str, list[str]] = {}
        self._since: Counter[str] = Counter()
        self._began = time.monotonic()

    def due(self, fault: str, share: float = 1) -> bool:
        """Whether this one meets the fault: by chance, but never much later than it is due."""
        chance = self.rate * share
        self._since[fault] += 1
        if self.random.random() < chance or self._since[fault] * chance > 2:  # noqa: PLR2004
            self._since[fault] = 0
            return True
        return False

    def met(self, fault: str, times: int = 1) -> None:
        self.faults[fault] += times

    def broke(self, promise: str, login_id: str, what: str) -> None:
        self.broken[promise] += 1
        shown = self.examples.setdefault(promise, [])
        if len(shown) < EXAMPLES:
            shown.append(f"login {login_id}: {what}")
            print(f"{promise}: {shown[-1]}", file=sys.stderr, flush=True)

    def result(self, expected: frozenset[str]) -> dict[str, Any]:
        """Sum up. `expected` are the faults that this target can meet."""
        mine, theirs = map(resource.getrusage, (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
        failures = [f"{self.broken[one]} times: {one}" for one in PROMISES if self.broken[one]]
        failures += [
            f"never met: {one}" for one in FAULTS if one in expected and not self.faults[one]
        ]
        logins = sum(self.became.values())
        # A relay that answers hardly anything would keep most promises.
        ended = sum(self.became[one] for one in ENDS)
        if ended * 10 < logins * 9 or not self.became[DELIVERED]:
            failures.append(f"only {ended} of {logins} logins came to the end that they should")
        if self.became[GAVE_UP] * 100 > logins:
            failures.append(f"{self.became[GAVE_UP]} of {logins} logins were given up")
        return {
            "logins": logins,
            "opened for": dict(self.opened_for.most_common()),
            "became": {**dict(self.became.most_common()), GAVE_UP: self.became[GAVE_UP]},
            "faults": {one: self.faults[one] for one in FAULTS if one in expected},
            "broken": {one: self.broken[one] for one in PROMISES},
            "examples": self.examples,
            "seconds": round(time.monotonic() - self._began, 1),
            "cpu_seconds_of_instances_and_people": round(mine.ru_utime + mine.ru_stime, 1),
            "cpu_seconds_of_the_relay": round(theirs.ru_utime + theirs.ru_stime, 1),
            "failures": failures,
        }


def table(result: dict[str, Any]) -> str:
    """Write a result as Markdown."""
    lines = ["| what | times |", "|---|---:|", f"| logins | {result['logins']:,} |"]
    for name in ("opened for", "became", "faults", "broken"):
        lines += [f"| **{name}** | |", *(f"| {k} | {v:,} |" for k, v in result[name].items())]
    shown = [f"- {what}: {one}" for what, those in result["examples"].items() for one in those]
    ended = [f"FAILED: {one}" for one in result["failures"]] or ["Every promise was kept."]
    return "\n".join([*lines, "", *shown, *ended])
