"""Time as a value that is handed in, so that the same logic runs under every clock."""

import time
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Protocol

from personalization.errors import DeadlineExceeded


class Clock(Protocol):
    """Where time comes from."""

    def now(self) -> datetime:
        """The time of day, aware, in UTC."""
        ...

    def monotonic(self) -> float:
        """Seconds that never go back; only differences mean anything."""
        ...


class SystemClock:
    """The clock of this machine."""

    def now(self) -> datetime:
        return datetime.now(UTC)

    def monotonic(self) -> float:
        return time.monotonic()


@dataclass(slots=True)
class ManualClock:
    """A clock that moves only when told to: for simulations, replays and tests."""

    at: datetime
    ticks: float = 0.0

    def now(self) -> datetime:
        return self.at

    def monotonic(self) -> float:
        return self.ticks


@dataclass(frozen=True, slots=True)
class Deadline:
    """A moment after which nobody waits for the answer any more.

    Made once for a visit and handed down; every outbound call takes its timeout from what is left of it.
    """

    at: float
    clock: Clock

    @classmethod
    def after(cls, seconds: float, clock: Clock) -> "Deadline":
        """The deadline `seconds` from now."""
        return cls(clock.monotonic() + seconds, clock)

    def remaining(self) -> float:
        """Seconds left, never below zero."""
        return max(0.0, self.at - self.clock.monotonic())

    def capped(self, seconds: float) -> "Deadline":
        """The earlier of this deadline and `seconds` from now."""
        return Deadline(min(self.at, self.clock.monotonic() + seconds), self.clock)

    def check(self, doing: str) -> float:
        """Seconds left, or `DeadlineExceeded` that names what was to be done."""
        left = self.remaining()
        if left <= 0.0:
            raise DeadlineExceeded(f"no time was left for {doing}")
        return left
