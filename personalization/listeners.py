"""Those who want to be told of each swap of something that is live."""

from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Generic, TypeVar

L = TypeVar("L")


class Listeners(Generic[L]):
    """In the order in which they came. One who comes or goes while they are told is counted from the next time on."""

    def __init__(self) -> None:
        self._listeners: list[L] = []

    def __iter__(self) -> Iterator[L]:
        return iter(tuple(self._listeners))

    def add(self, listener: L) -> Callable[[], None]:
        """Tell this one too; the answer ends that, and does nothing the second time."""
        self._listeners.append(listener)

        def remove() -> None:
            with suppress(ValueError):
                self._listeners.remove(listener)

        return remove
