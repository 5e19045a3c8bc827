"""A collector for Google Analytics 4 tags: what shops tell it already becomes outcomes of decisions.

`POST /events/ga4/g/collect` is where gtag.js sends to when its `server_container_url` is `/events/ga4` of this gateway,
`POST /events/ga4/mp/collect` takes the Measurement Protocol. Both names are Google's.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from hashlib import blake2b
from http import HTTPStatus
from types import MappingProxyType

from prometheus_client import CollectorRegistry, Counter
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from gateway.errors import BadRequest, UriTooLong
from gateway.ga4 import TagEvent, TagItem, read_hits, read_measurements
from gateway.tags import MOST_BYTES, EventIntake, as_json, body_of, check_media_type, told
from personalization.events import ExposureEventKind, OutcomeKind
from personalization.outcomes import MOST_REPORTS, ExposureReport, OutcomeReport, Rejection, Report, ReportResult

HITS = "/events/ga4/g/collect"
MEASUREMENTS = "/events/ga4/mp/collect"

_OUTCOMES: Mapping[str, OutcomeKind] = MappingProxyType(
    {
        "view_item_list": OutcomeKind.DISPLAYED,
        "user_engagement": OutcomeKind.DISPLAYED,
        "view_item": OutcomeKind.DETAIL_DISPLAYED,
        "add_to_cart": OutcomeKind.ADDED_TO_BASKET,
        "purchase": OutcomeKind.PURCHASED,
    }
)
_EXPOSURES: Mapping[str, ExposureEventKind] = MappingProxyType(
    {
        "rendered": ExposureEventKind.RENDERED,
        "seen": ExposureEventKind.SEEN,
        "view_promotion": ExposureEventKind.SEEN,
        "view_item_list": ExposureEventKind.SEEN,
    }
)
_UUID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_HIT_TYPES = frozenset({"", "text/plain", "application/x-www-form-urlencoded"})
_MEASUREMENT_TYPES = frozenset({"", "text/plain", "application/json"})
_WHOLE = frozenset({"view_item_list", "user_engagement"})  # a shelf is displayed once, however many products it has


class Ga4Collector:
    """The endpoint. It takes what `POST /events` takes, by the same rules, bounds and promises.

    Nothing in a hit says who it is from: viewer and session are those of the request's cookie or token.
    """

    def __init__(self, intake: EventIntake, registry: CollectorRegistry) -> None:
        self._intake = intake
        self._ignored = Counter(
            "gateway_tag_events_ignored_total",
            "Events of tags that say nothing of a decision or an exposure.",
            registry=registry,
        )

    def routes(self) -> list[Route]:
        """Both ways in."""
        return [
            Route(HITS, self.hits, methods=["GET", "POST"]),
            Route(MEASUREMENTS, self.measurements, methods=["POST"]),
        ]

    async def hits(self, request: Request) -> Response:
        """204 once the events that a tag sent are durable, or problem+json."""
        return await self._intake.answered(request, self._take_hits)

    async def measurements(self, request: Request) -> Response:
        """The same for the Measurement Protocol."""
        return await self._intake.answered(request, self._take_measurements)

    async def _take_hits(self, request: Request) -> Response:
        query = request.url.query
        if len(query) > MOST_BYTES:
            raise UriTooLong(f"at most {MOST_BYTES} bytes of events are taken, got {len(query)}")
        body = await body_of(request)
        if body:
            check_media_type(request, _HIT_TYPES)
        return await self._taken(request, read_hits(query, body.decode("utf-8", "replace")))

    async def _take_measurements(self, request: Request) -> Response:
        check_media_type(request, _MEASUREMENT_TYPES)
        return await self._taken(request, read_measurements(await body_of(request)))

    async def _taken(self, request: Request, events: Sequence[TagEvent]) -> Response:
        """204, which tags expect, or 202 and what became of the events for those who accept JSON."""
        places: list[int] = []
        reports: list[Report] = []
        ignored = 0
        for place, event in enumerate(events):
            found = list(reports_of(event))
            ignored += not found
            reports += found
            places += [place] * len(found)
        if len(reports) > MOST_REPORTS:
            raise BadRequest(f"at most {MOST_REPORTS} products may come at once, got {len(reports)}")
        result = await self._intake.report(request, len(events), reports)
        self._ignored.inc(ignored)
        if "application/json" not in request.headers.get("accept", ""):
            return Response(status_code=HTTPStatus.NO_CONTENT, headers={"Cache-Control": "no-store"})
        rejected = tuple(Rejection(places[each.index], each.code, each.message) for each in result.rejected)
        result = ReportResult(result.accepted, result.duplicates, rejected)
        return as_json(HTTPStatus.ACCEPTED, {**told(result), "ignored": ignored})


def reports_of(event: TagEvent) -> Iterator[Report]:
    """What an event says of decisions and exposures: an outcome for each product, or for each shelf; often nothing.

    It is named by its parameter `event_id`, a purchase also by its `transaction_id`, else by the hit that it came in;
    without any of these each counts. A single outcome whose `event_id` is a UUID is named by just that, so that a page
    may tell of the same by `POST /events` too.
    """
    outcome, exposure = _OUTCOMES.get(event.name), _EXPOSURES.get(event.name)
    exposure_id = event.params.get("exposure_id")
    if exposure is not None and exposure_id:
        yield ExposureReport(exposure_id, exposure, _report_id(event, ""), event.occurred_at)
    if outcome is None:
        return
    decided = _decided(event)
    own = event.params.get("event_id", "") if len(decided) == 1 else ""
    for place, (decision_id, item) in enumerate(decided):
        yield OutcomeReport(
            decision_id=decision_id,
            kind=outcome,
            id=own if _UUID.fullmatch(own) else _report_id(event, str(place)),
            occurred_at=event.occurred_at,
            product_id=item.product_id or None,
            quantity=item.quantity,
            duration_s=event.engaged_s,
        )


def _decided(event: TagEvent) -> list[tuple[str, TagItem]]:
    """The products of an event with the decision that each goes back to; one without a product for a whole shelf."""
    shared = event.params.get("decision_id")
    if event.name in _WHOLE:
        ids = dict.fromkeys(item.decision_id or shared for item in event.items or (TagItem(),))
        return [(each, TagItem()) for each in ids if each]
    pairs = [(item.decision_id or shared, item) for item in event.items or (TagItem(),)]
    return [(decision_id, item) for decision_id, item in pairs if decision_id]


def _report_id(event: TagEvent, place: str) -> str | None:
    transaction = event.params.get("transaction_id") if event.name == "purchase" else None
    name = event.params.get("event_id") or transaction or event.hit
    if not name:
        return None
    return blake2b(f"{event.name}\n{place}\n{name}".encode("utf-8", "replace"), digest_size=16).hexdigest()
