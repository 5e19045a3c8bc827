"""Events as Google Analytics 4 tags send them, read as values: the Measurement Protocol's JSON, and gtag.js's hits.

JSON: https://developers.google.com/analytics/devguides/collection/protocol/ga4/reference. The hits of gtag.js (`v=2`)
are not documented by their maker; what is read here is what tags send: `en` is an event's name, `ep.NAME` and
`epn.NAME` are its parameters, `_et` is what the Measurement Protocol calls `engagement_time_msec`, `prN` its items as
fields of two letters and a value joined by `~`, with parameters of the shop's own as pairs `k0NAME~v0VALUE`. One event
stands in the query, or several in the body, one a line, which share what the query says.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from urllib.parse import parse_qsl

import orjson

from gateway.errors import BadRequest
from personalization.events import LONGEST_DISPLAY_S
from personalization.outcomes import MOST_QUANTITY, MOST_REPORTS

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_ITEM = re.compile(r"pr\d{1,3}")
_MOST_FIELDS = 400
_HIT = ("tid", "cid", "_p", "_s")
_ENGAGED = "engagement_time_msec"


@dataclass(frozen=True, slots=True)
class TagItem:
    """A product of an event. `decision_id` is the item's own, where a basket holds what several decisions led to."""

    product_id: str | None = None
    quantity: int | None = None
    decision_id: str | None = None


@dataclass(frozen=True, slots=True)
class TagEvent:
    """One event. `params` are its parameters that are texts or numbers, as texts; `hit` names the hit it came in.

    `occurred_at` is the tag's own time, which hits do not have; `engaged_s` the seconds that the page was looked at
    since the event before.
    """

    name: str
    params: Mapping[str, str] = field(default_factory=dict)
    items: Sequence[TagItem] = ()
    hit: str | None = None
    occurred_at: datetime | None = None
    engaged_s: float | None = None


def read_hits(query: str, body: str) -> list[TagEvent]:
    """The events of a request of gtag.js, at most a hundred.

    Raises:
        BadRequest: no event at all, too many, or an event of too many parameters.
    """
    shared = _fields(query)
    lines = [_fields(line) for line in body.split("\n") if line.strip()]
    hits = [shared] if "en" in shared else []
    if hits:  # then its own parameters are not those of the lines
        shared = {name: value for name, value in shared.items() if not _of_one_event(name)}
    hits += [{**shared, **line} for line in lines if "en" in line]
    _check_count(len(hits), "`en=NAME`")
    return [_hit(hit, place) for place, hit in enumerate(hits)]


def read_measurements(body: bytes) -> list[TagEvent]:
    """The events of a request of the Measurement Protocol, at most a hundred. What is no event is left out.

    Raises:
        BadRequest: not JSON, no event at all, or too many.
    """
    try:
        document = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise BadRequest(f"the body is not JSON: {error}") from error
    events = document.get("events") if isinstance(document, dict) else None
    if not isinstance(events, list):
        raise BadRequest('the body is not {"client_id": ..., "events": [...]}')
    _check_count(len(events), '{"name": ...}')
    sent_at = document.get("timestamp_micros")
    return [_measurement(event, sent_at) for event in events]


def _check_count(events: int, form: str) -> None:
    if not events:
        raise BadRequest(f"there is no event ({form}) in the request")
    if events > MOST_REPORTS:
        raise BadRequest(f"at most {MOST_REPORTS} events may come at once, got {events}")


def _fields(text: str) -> dict[str, str]:
    try:
        return dict(parse_qsl(text.strip(), keep_blank_values=True, max_num_fields=_MOST_FIELDS))
    except ValueError as error:
        raise BadRequest(f"an event has more than {_MOST_FIELDS} parameters") from error


def _of_one_event(name: str) -> bool:
    return name in {"en", "_et"} or name.startswith(("ep.", "epn.")) or _ITEM.fullmatch(name) is not None


def _hit(fields: Mapping[str, str], place: int) -> TagEvent:
    known = all(fields.get(name) for name in _HIT)
    params = {name.partition(".")[2]: value for name, value in fields.items() if name.startswith(("ep.", "epn."))}
    return TagEvent(
        name=fields["en"],
        params=params,
        items=[_hit_item(fields[name]) for name in fields if _ITEM.fullmatch(name)],
        hit="/".join((*(fields[name] for name in _HIT), str(place))) if known else None,
        engaged_s=_seconds(params.get(_ENGAGED) or fields.get("_et")),
    )


def _hit_item(text: str) -> TagItem:
    fields = {part[:2]: part[2:] for part in text.split("~")}
    own = {name: fields.get(f"v{key[1]}") for key, name in fields.items() if key.startswith("k")}
    return TagItem(fields.get("id"), _quantity(fields.get("qt")), own.get("decision_id"))


def _measurement(event: object, sent_at: object) -> TagEvent:
    if not isinstance(event, dict) or not isinstance(event.get("name"), str):
        return TagEvent("")
    params = event.get("params")
    params = params if isinstance(params, dict) else {}
    items = params.get("items")
    texts = dict(_texts(params))
    return TagEvent(
        name=event["name"],
        params=texts,
        items=[_item(item) for item in items if isinstance(item, dict)] if isinstance(items, list) else (),
        occurred_at=_time(event.get("timestamp_micros", sent_at)),
        engaged_s=_seconds(texts.get(_ENGAGED)),
    )


def _item(item: Mapping[str, object]) -> TagItem:
    texts = dict(_texts(item))
    return TagItem(texts.get("item_id"), _quantity(texts.get("quantity")), texts.get("decision_id"))


def _texts(members: Mapping[str, object]) -> Iterator[tuple[str, str]]:
    for name, value in members.items():
        if isinstance(value, str) or (isinstance(value, int | float) and not isinstance(value, bool)):
            yield name, str(value)


def _quantity(text: str | None) -> int | None:
    """A whole number from 1 to 999; None for all else, which tags send too."""
    try:
        number = float(text or "")
    except ValueError:
        return None
    return int(number) if number.is_integer() and 1 <= number <= MOST_QUANTITY else None


def _seconds(millis: str | None) -> float | None:
    """Milliseconds as seconds, from 0 to a day; None for all else."""
    try:
        seconds = float(millis or "nan") / 1000
    except ValueError:
        return None
    return seconds if 0 <= seconds <= LONGEST_DISPLAY_S else None


def _time(micros: object) -> datetime | None:
    """Microseconds since 1970, as a number or a text; None for all else."""
    if not isinstance(micros, int | str) or isinstance(micros, bool):
        return None
    try:
        return _EPOCH + timedelta(microseconds=int(micros))
    except (ValueError, OverflowError):
        return None
