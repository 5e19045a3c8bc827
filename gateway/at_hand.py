"""What can be had without waiting."""

from collections.abc import Awaitable
from typing import TypeVar

T = TypeVar("T")


class NotAtHand(Exception):
    """It has to be waited for."""


def at_hand(awaitable: Awaitable[T]) -> T:
    """What a coroutine gives if it never has to wait; otherwise it is closed where it would have to.

    Raises:
        NotAtHand: it has to be waited for.
        Exception: what the coroutine raises.
    """
    steps = awaitable.__await__()
    try:
        next(steps)
    except StopIteration as done:
        value: T = done.value
        return value
    close = getattr(steps, "close", None)
    if close is not None:
        close()
    raise NotAtHand
