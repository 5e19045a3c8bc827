"""When an upstream keeps failing, stop asking it for a while.

Not a library: the one at hand (purgatory 3) lets every caller through once it is half open, takes a call that was given
up for a success, reads the wall clock, and raises one exception object again and again, whose traceback then grows
without end.
"""

from collections.abc import Callable

from personalization.clock import Clock
from resolvers.errors import SourceUnavailable


class CircuitOpen(SourceUnavailable):
    """The upstream failed too often lately; it was not asked."""


class Circuit:
    """A circuit breaker: closed, open for `recovery` seconds, then half open.

    Closed, every call is admitted, and `threshold` failures in a row open it. Open, every call is refused. After
    `recovery` seconds one call, and only one at a time, is admitted as a probe: its success closes the circuit, its
    failure opens it anew, and a probe that was given up leaves the place to the next call. What calls report that were
    admitted before the circuit last opened or closed is not news any more and is ignored.

    Every admitted call must report exactly one of `succeeded`, `failed` and `abandoned`, with the ticket it was given.
    """

    def __init__(
        self, threshold: int, recovery: float, clock: Clock, on_change: Callable[[bool], None] = lambda is_open: None
    ) -> None:
        self._threshold = threshold
        self._recovery = recovery
        self._clock = clock
        self._on_change = on_change
        self._failures = 0
        self._opened_at: float | None = None
        self._probing = False
        self._ticket = 0

    @property
    def is_open(self) -> bool:
        """Whether calls are refused, or at most one probe is let through."""
        return self._opened_at is not None

    def admit(self) -> int:
        """A ticket for one call. Raises `CircuitOpen` at once when the upstream must not be asked."""
        if self._opened_at is None:
            return self._ticket
        if self._probing or self._clock.monotonic() < self._opened_at + self._recovery:
            raise CircuitOpen("the shop failed several times in a row and is left alone for a moment")
        self._probing = True
        return self._ticket

    def succeeded(self, ticket: int) -> None:
        """The upstream answered, be it with a refusal."""
        if ticket != self._ticket:
            return
        self._failures = 0
        if self._opened_at is not None:
            self._turn(None)

    def failed(self, ticket: int) -> None:
        """The upstream did not answer, or not sensibly."""
        if ticket != self._ticket:
            return
        self._failures += 1
        if self._opened_at is not None or self._failures >= self._threshold:
            self._turn(self._clock.monotonic())

    def abandoned(self, ticket: int) -> None:
        """The caller gave up before anything could be learned of the upstream."""
        if ticket == self._ticket:
            self._probing = False

    def _turn(self, opened_at: float | None) -> None:
        self._opened_at = opened_at
        self._failures = 0
        self._probing = False
        self._ticket += 1
        self._on_change(opened_at is not None)
