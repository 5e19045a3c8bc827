"""Events on their way from a journal to whoever writes them into the hub: many in one piece of JSON.

Packing is done where requests are answered, and so is only what has to be: what many decisions have in common is
written once, and no event is written out. Unpacking writes them out, as `personalization.codec` would.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import Any, Final

import orjson
from opentelemetry.trace import SpanContext

from personalization.codec import SCHEMA_VERSION
from personalization.errors import InvalidEvent
from personalization.events import Chance, Drawn, Exposure
from personalization.hub.topics import DECISIONS, EXPOSURES, NewEvent
from personalization.json_each import dumps_each
from personalization.tracing import TRACEPARENT, traceparent


def pack_decisions(recorded: Sequence[tuple[Drawn, SpanContext]]) -> bytes:
    """The decisions, each with the span that made it.

    Raises:
        TypeError: a text is not valid Unicode.
    """
    chances: dict[int, tuple[int, Chance]] = {}  # by identity, which is what they are shared by
    rows = [
        (
            traceparent(span),
            chances.setdefault(id(chance), (len(chances), chance))[0],
            decision_id,
            at,
            subject,
            session,
            trace_id,
        )
        for (decision_id, at, chance, subject, session, trace_id), span in recorded
    ]
    return orjson.dumps([[chance for _, chance in chances.values()], rows])


def pack_exposures(recorded: Sequence[tuple[Exposure, SpanContext]]) -> bytes:
    """The exposures, each with the span that made it.

    Raises:
        TypeError: a text is not valid Unicode.
    """
    return orjson.dumps([(traceparent(span), exposure) for exposure, span in recorded])


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
        NewEvent(each["id"], each["id"], value, {} if parent is None else {TRACEPARENT: parent})
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
