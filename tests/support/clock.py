"""Time that only the test moves."""

START = 1_763_800_440.0  # a whole minute: 22 November 2025, 08:34:00 UTC


class Clock:
    """A clock for whatever takes one; `now` is in Unix seconds."""

    def __init__(self, now: float = START) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now

    def advance(self, seconds: float) -> None:
        self.now += seconds
