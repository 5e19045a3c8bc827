"""Events on their way from a journal to whoever writes them into the hub: many in one piece of JSON.

Packing is done where requests are answered, and so is only what has to be: what many decisions have in common is
written once, and no event is written out. Unpacking writes them out, as `personalization.codec` would.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import Any, Final, TypeVar

import orjson

from personalization.codec import SCHEMA_VERSION
from personalization.errors import InvalidEvent
from personalization.events import Drawn, Exposure
from personalization.hub.topics import DECISIONS, EXPOSURES, NewEvent
from personalization.json_each import dumps_each
from personalization.tracing import headers_by

E = TypeVar("E")


Recorded = tuple[E, str | None]
"""An event, and the `traceparent` of the span that made it; None where that belongs to no trace."""


def pack_decisions(recorded: Sequence[Recorded[Drawn]]) -> bytes:
    """The decisions, and what made them.

    Raises:
        TypeError: a text is not valid Unicode.
    """
    chances = {id(each.chance): each.chance for each, _ in recorded}  # by identity, which is how they are shared
    places = {identity: place for place, identity in enumerate(chances)}
    rows = [
        (parent, places[id(chance)], decision_id, at, subject, session, trace_id)
        for (decision_id, at, chance, subject, session, trace_id), parent in recorded
    ]
    return orjson.dumps([list(chances.values()), rows])


def pack_exposures(recorded: Sequence[Recorded[Exposure]]) -> bytes:
    """The exposures, and what made them.

    Raises:
        TypeError: a text is not valid Unicode.
    """
    return orjson.dumps([(parent, exposure) for exposure, parent in recorded])


def unpack(topic: str, parcel: bytes) -> list[NewEvent]:
    """What was packed for a topic, in its order.

    Raises:
        InvalidEvent: nothing is packed for this topic.
    """
    rows_of = _ROWS.get(topic)
    if rows_of is None:
        raise InvalidEvent(f"no parcels of {topic!r} are known, those of {', '.join(_ROWS)} are")
    parents, members = zip(*rows_of(orjson.loads(parcel)), strict=True)
    return [
        NewEvent(each["id"], each["id"], value, headers_by(parent))
        for parent, each, value in zip(parents, members, dumps_each(members), strict=True)
    ]


_Rows = Iterable[tuple[str | None, dict[str, Any]]]
"""The `traceparent` and the members of each event."""


def _decisions(packed: Any) -> _Rows:
    chances, rows = packed
    for parent, number, decision_id, at, subject, session, trace_id in rows:
        own = {"v": SCHEMA_VERSION, "id": decision_id, "at": at}
        yield parent, own | chances[number] | {"subject": subject, "session": session, "trace_id": trace_id}


def _exposures(packed: Any) -> _Rows:
    for parent, members in packed:
        yield parent, {"v": SCHEMA_VERSION} | members


_ROWS: Final[Mapping[str, Callable[[Any], _Rows]]] = MappingProxyType({DECISIONS: _decisions, EXPOSURES: _exposures})
