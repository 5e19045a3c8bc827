"""An operation planned for all who have one context: what is kept is looked up, decisions are taken, bytes are joined.

Nothing here waits. What is not kept is made where all that goes into it is at hand; what a plan cannot answer is
executed as ever.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import orjson
from graphql.execution.collect_fields import FieldDetailsList
from graphql.pyutils import Path

from gateway.execution.forms import Form
from gateway.execution.kept import Kept, encode
from gateway.execution.lookup import Lookup
from gateway.execution.telling import Telling
from personalization.events import Drawn
from resolvers.caching.cache import FragmentCache
from resolvers.caching.cell import Cell
from resolvers.plans import Plan, Turn

OWN_KEYS: Final = 16
"""So many keys of a viewer are remembered with who they are."""

SUBJECT: Final = "subject"
SESSION: Final = "session"


@dataclass(slots=True)
class AtOnce:
    """An answer in bytes, the cells that it was kept in, and the decisions in it, which are not recorded yet."""

    body: bytes
    cells: Sequence[Cell]
    decided: Sequence[Drawn]


class OwnKey:
    """The key of a value that depends on who asks."""

    __slots__ = ("_form", "_places", "_row", "_values")

    def __init__(
        self, form: Form, values: Mapping[str, object], audience: Sequence[str], read: Sequence[object]
    ) -> None:
        """`values` are those of the variables, `read` those of the members in `audience`, theirs to be filled in."""
        self._form = form
        self._values = values
        self._row = [orjson.dumps(audience), *map(orjson.dumps, read)]
        self._places = [audience.index(name) + 1 if name in audience else None for name in (SUBJECT, SESSION)]

    def of(self, turn: Turn) -> bytes:
        """The key for whoever asks."""
        key = turn.keys.get(self)
        if key is None:
            if len(turn.keys) >= OWN_KEYS:
                turn.keys.clear()
            key = turn.keys[self] = self._made(turn)
        return key

    def _made(self, turn: Turn) -> bytes:
        """As `Lookup.key_of`, of which most is the same for everyone."""
        row, (subject, session) = self._row.copy(), self._places
        if subject is not None:
            row[subject] = orjson.dumps(turn.subject)
        if session is not None:
            row[session] = orjson.dumps(turn.session)
        return self._form.key(b"[%b,[%b]]" % (row[0], b",".join(row[1:])), self._values)


Make = Callable[[Turn, bytes], bytes | None]
"""Makes a value that is to be kept under a key; None where that cannot be done at once."""


@dataclass(slots=True)
class KeptStep:
    """A root field that is kept, under one key for all or under one for each; `hits` are not counted yet.

    `make` is asked for what is not kept once all else is there, for what it gives is an exposure.
    """

    place: int
    form: Form
    key: bytes | OwnKey
    details: FieldDetailsList
    path: Path
    make: Make | None = None
    hits: int = 0


class PlannedStep:
    """A root field whose value a plan gives."""

    __slots__ = ("_plan", "_telling", "place")

    def __init__(self, place: int, plan: Plan, telling: Telling) -> None:
        self.place = place
        self._plan = plan
        self._telling = telling

    def text(self, turn: Turn) -> bytes | None:
        """The value as JSON; None where the plan has none."""
        given = self._plan.given(turn)
        return self._telling.text(given) if given is not None else None

    def settle(self) -> None:
        """Count what was given since the last time."""
        self._plan.settle()


class AnswerPlan:
    """The answer to an operation with its variables, for all who have the context that it was planned with."""

    __slots__ = ("_cache", "_kept", "_lookup", "_lore", "_planned", "_row")

    def __init__(
        self,
        row: Sequence[bytes],
        kept: Sequence[KeptStep],
        planned: Sequence[PlannedStep],
        lookup: Lookup,
        cache: FragmentCache,
        extensions: Mapping[str, object],
    ) -> None:
        told = b',"extensions":' + encode(extensions) if extensions else b""
        self._row = list(row)
        self._row[0] = b'{"data":' + self._row[0]
        self._row[-1] += told + b"}"
        self._kept = kept
        self._planned = planned
        self._lookup = lookup
        self._cache = cache
        self._lore = cache.lore

    @property
    def is_good(self) -> bool:
        """Whether values depend on what they did when this was planned."""
        return self._lore == self._cache.lore

    @property
    def is_promising(self) -> bool:
        """Whether what nobody makes here is kept."""
        return all(
            step.make is not None or not isinstance(step.key, bytes) or self._cache.find(step.key) is not None
            for step in self._kept
        )

    def answer(self, turn: Turn) -> AtOnce | None:
        """The answer for whoever asks; None where it has to be executed. Raises whatever a plan or completion does."""
        cache, row, cells, hits = self._cache, self._row.copy(), [], []
        now, watched, missing = cache.now(), self._lookup.is_watched, []
        for step in self._kept:
            key = step.key if step.key.__class__ is bytes else step.key.of(turn)  # type: ignore[union-attr]
            cell = cache.find(key)
            text = cache.text(cell, now) if cell is not None else None
            if cell is None or text is None:
                if step.make is None:
                    return None
                missing.append((step, step.make, key))
                continue
            if not watched and cell.is_fresh(now):
                hits.append(step)
            elif not self._tended(step, cell, text, now):
                return None
            row[step.place] = text
            cells.append(cell)
        for each in self._planned:
            text = each.text(turn)
            if text is None:
                return None
            row[each.place] = text
        for step, make, key in missing:
            made = make(turn, key)
            if made is None:
                return None
            row[step.place] = made
        for hit in hits:
            hit.hits += 1
        return AtOnce(b"".join(row), cells, turn.decided)

    def settle(self) -> None:
        """Count what was served since the last time."""
        for step in self._kept:
            if step.hits:
                self._cache.metrics.looked(step.form.name, "hit", step.hits)
                step.hits = 0
        for each in self._planned:
            each.settle()

    def _tended(self, step: KeptStep, cell: Cell, text: bytes, now: float) -> bool:
        """Serve what is to be made anew or compared; not what is somebody's own, which only their visit can make."""
        if step.key.__class__ is OwnKey:
            return False
        fresh = cell.is_fresh(now)
        self._cache.metrics.looked(step.form.name, "hit" if fresh else "stale")
        self._lookup.tend(Kept(cell, text, fresh), step.form, step.details, step.path)
        return True
