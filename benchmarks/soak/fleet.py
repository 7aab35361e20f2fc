"""Several environments of each function: they are killed, and retired when time has leapt."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

from benchmarks.soak.tally import WRONG, Tally
from tests.aws.ric import Environment, FunctionFailed
from tests.aws.ric_gateway import Functions

ROTATE = "RotateKeysFunction"
SIZES = {"CallbackFunction": 3, "LoginsFunction": 2, "CollectFunction": 3, ROTATE: 1}


class Fleet(Functions):
    """Functions of several environments, each with a clock of its own."""

    def __init__(
        self,
        artifact: Path,
        logs: Path,
        variables: dict[str, str],
        clocks: list[Path],
        tally: Tally,
    ) -> None:
        super().__init__(artifact, logs, variables)
        self._tally = tally
        self._clocks = clocks
        self._changed = threading.Condition()
        self._free: dict[str, list[Environment]] = {name: [] for name in SIZES}
        self.busy: list[Environment] = []
        self._ages: dict[Environment, int] = {}
        self._started = dict.fromkeys(SIZES, 0)
        self._count = 0
        self.age, self._ended = 0, False
        self.skewed = 0  # environments that were given a wrong clock

    def invoke(self, name: str, event: dict[str, Any], limit: float) -> Any:
        environment = self._take(name)
        try:
            return environment.invoke(event, limit)
        except FunctionFailed as failed:
            # It raised, or hangs, though nobody killed it. What rotates raises on purpose, for the
            # alarm, where AWS fails.
            if environment.process.poll() is None and name != ROTATE:
                self._tally.broke(WRONG, "-", f"{name} failed: {failed}"[:400])
                environment.process.kill()
            # Without the log, which whoever keeps failures would keep.
            raise FunctionFailed(str(failed)[:100]) from None
        except ValueError:  # killed while it answered
            raise FunctionFailed("cut off") from None
        finally:
            self._give_back(name, environment)

    def _take(self, name: str) -> Environment:
        with self._changed:
            while not (self._ended or self._free[name] or self._started[name] < SIZES[name]):
                self._changed.wait()
            if self._ended:
                raise FunctionFailed("the soak has ended")
            if self._free[name]:
                environment = self._free[name].pop()
            else:
                self._started[name] += 1
                self._count += 1
                which = self._count % len(self._clocks)
                clock, self.skewed = self._clocks[which], self.skewed + bool(which)
                environment = self.start(name, TEST_CLOCK=str(clock))
                self._ages[environment] = self.age
            self.busy.append(environment)
            return environment

    def _give_back(self, name: str, environment: Environment) -> None:
        with self._changed:
            self.busy.remove(environment)
            ended = environment.process.poll() is not None
            if ended:
                self._started[name] -= 1
                self._ages.pop(environment, None)
            else:
                self._free[name].append(environment)
            self._changed.notify()
        if ended:
            environment.close()

    def kill(self, environment: Environment) -> bool:
        """Kill an environment; False where it has nothing to answer."""
        with self._changed:
            answering = environment in self.busy
            if answering:
                environment.process.kill()
            return answering

    def retire(self, age: int) -> int:
        """End what is as old as `age` or older, and return how many of these were busy."""
        with self._changed:
            old = [one for one, born in self._ages.items() if born <= age]
            busy = [one for one in self.busy if one in old]
            for one in old:
                one.process.kill()  # all at once: what is given back now would be used again
            idle = [(n, one) for n, those in self._free.items() for one in those if one in old]
            for name, one in idle:
                self._free[name].remove(one)
                self._started[name] -= 1
                del self._ages[one]
            self._changed.notify_all()
        for _, one in idle:
            one.close()
        return len(busy)

    def stop(self) -> None:
        self._ended = True
        self.retire(self.age)
