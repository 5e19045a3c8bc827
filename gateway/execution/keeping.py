"""What is kept besides root fields, what all keeping executors share, and how they say what became of a value."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from contextvars import Context as Variables
from dataclasses import dataclass, field
from random import random
from typing import Any, Final

from gateway.execution.forms import Form
from resolvers.caching.cache import JITTER, FragmentCache
from resolvers.caching.cell import Cell
from resolvers.observing import Reads
from resolvers.visit import Visit

NOT_ALLOWED: Final[frozenset[str]] = frozenset()

PRIVATE: Final = "private"
"""Among the members that a form was seen to depend on: its values are the viewer's alone, and always made anew."""


@dataclass(frozen=True, slots=True)
class Identified:
    """An object type whose objects have an `identity` and may have `kept` selections of one `field`, their attribute.

    `refill` gives, for an identity, an object with that field read anew.
    """

    field: str
    refill: Callable[[Visit, object], Awaitable[Any]]


@dataclass(frozen=True, slots=True)
class Kinds:
    """What of a schema is kept besides root fields.

    `entities` give the id of an object by the name of its type, `tagged` that of objects whose id is a tag of what
    they are in.
    """

    entities: Mapping[str, Callable[[Any], str]]
    tagged: Mapping[str, Callable[[Any], str]]
    identified: Mapping[str, Identified]


@dataclass(slots=True)
class Unit:
    """What is being made to be kept."""

    reads: Reads
    tags: set[str] = field(default_factory=set)


@dataclass(frozen=True, slots=True)
class Note:
    """What became of one value: `hit`, `stale`, `miss`, or `bypass` and why. `cell` is where it is kept."""

    form: Form
    state: str
    cell: Cell | None


class Keeping:
    """What all keeping executors of a schema share. `strict` makes a read that a scope does not declare an error.

    `shadow` is the share of served root fields that are made anew in the background and compared.
    """

    def __init__(
        self,
        cache: FragmentCache,
        kinds: Kinds,
        *,
        strict: bool = False,
        shadow: float = 0.0,
    ) -> None:
        self.cache = cache
        self.kinds = kinds
        self.strict = strict
        self._shadow = shadow
        self._wanted: dict[bytes, list[asyncio.Future[None]]] = {}
        self._fetching: set[asyncio.Task[None]] = set()

    @property
    def is_watched(self) -> bool:
        """Whether some of what is served is to be compared."""
        return self._shadow > 0.0

    def is_sampled(self) -> bool:
        """Whether this value, which was just served, is to be compared with one that is made anew."""
        return self._shadow > 0.0 and random() < self._shadow  # noqa: S311 - a sample, no secret

    def ahead(self, form: Form) -> float:
        """While a value is renewed, what in it would end within so many seconds is renewed along with it."""
        return form.life.max_age * JITTER

    def explained(self, note: "Note") -> dict[str, object]:
        """A note in words."""
        cell, cache = note.cell, self.cache
        return {
            "field": note.form.name,
            "state": note.state,
            "scope": note.form.scope.name,
            "audience": list(cache.audience(note.form.id)),
            "age": None if cell is None else round(max(0.0, cache.now() - cell.made_at), 3),
            "key": None if cell is None else cell.key.hex(),
        }

    def fetch(self, key: bytes) -> "asyncio.Future[None]":
        """Done when what the second tier has of this key is in memory; what one turn asks for is read at once."""
        loop = asyncio.get_running_loop()
        if not self._wanted:
            loop.call_soon(self._send, loop)
        future: asyncio.Future[None] = loop.create_future()
        self._wanted.setdefault(key, []).append(future)
        return future

    def _send(self, loop: asyncio.AbstractEventLoop) -> None:
        wanted, self._wanted = self._wanted, {}
        task = loop.create_task(self._fetch(wanted), context=Variables())
        self._fetching.add(task)
        task.add_done_callback(self._fetching.discard)

    async def _fetch(self, wanted: Mapping[bytes, list["asyncio.Future[None]"]]) -> None:
        try:
            await self.cache.fetch(list(wanted))
        finally:
            for future in (each for waiting in wanted.values() for each in waiting):
                if not future.done():
                    future.set_result(None)
