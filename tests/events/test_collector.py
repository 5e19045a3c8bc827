"""The collector for GA4 tags: as durable, bounded and strict as POST /events, and as quiet as tags expect."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import orjson
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry
from starlette.requests import Request

from gateway.collector import HITS, MEASUREMENTS, Ga4Collector
from gateway.tags import EventIntake
from personalization.assembly import Personalization
from personalization.codec import decode_exposure_event, decode_outcome
from personalization.events import ExposureEventKind, OutcomeKind
from personalization.hub.sqlite_file import HUB_FILE
from personalization.hub.topics import EXPOSURE_EVENTS, OUTCOMES
from resolvers.sources.embedded_build import prepare_store
from tests.events.parts import DECISION, EXPOSURE, check_problem, exposed, rate, read_file, stored, viewer_of
from tests.events.test_ga4 import PAGE
from tests.gateway.server import gateway_process
from tests.http.node import run_tag

ADDED = f"{PAGE}&en=add_to_cart&pr1=id4711~nmTooth%20paste~qt2&ep.decision_id={DECISION}"
JSON = {"accept": "application/json"}


def measurement(name: str, **params: Any) -> bytes:
    return orjson.dumps({"client_id": "1.2", "events": [{"name": name, "params": params}]})


async def test_a_hit_is_durable_when_it_is_answered(page: httpx.AsyncClient, parts: Personalization) -> None:
    response = await page.post(f"{HITS}?{ADDED}", headers={"x-session": "s9"})
    assert (response.status_code, response.content) == (204, b"")
    assert response.headers["cache-control"] == "no-store"
    (outcome,) = await stored(parts)
    assert (outcome.decision_id, outcome.kind) == (DECISION, OutcomeKind.ADDED_TO_BASKET)
    assert (outcome.product_id, outcome.quantity, outcome.session) == ("4711", 2, "s9")
    assert outcome.occurred_at == outcome.received_at


@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_a_hit_without_a_body_needs_no_media_type(
    page: httpx.AsyncClient, parts: Personalization, method: str
) -> None:
    assert (await page.request(method, f"{HITS}?{ADDED}", headers={"content-type": ""})).status_code == 204
    assert len(await stored(parts)) == 1


async def test_a_batch_of_hits(page: httpx.AsyncClient, parts: Personalization, registry: CollectorRegistry) -> None:
    body = (
        f"en=view_item_list&pr1=id1&pr2=id2&ep.decision_id={DECISION}&ep.exposure_id={EXPOSURE}\r\n"
        "en=scroll&epn.percent_scrolled=90\r\n"
        f"en=view_item&pr1=id1&ep.decision_id={DECISION}\r\n"
        "en=view_item&pr1=id1&ep.decision_id=none"
    )
    response = await page.post(f"{HITS}?{PAGE}", content=body, headers=JSON)
    assert response.status_code == 202
    answer = response.json()
    assert (answer["accepted"], answer["duplicates"], answer["ignored"]) == (3, 0, 1)
    assert [(each["index"], each["code"]) for each in answer["rejected"]] == [(3, "INVALID_DECISION_ID")]
    kinds = [each.kind for each in await stored(parts)]
    assert kinds == [OutcomeKind.DISPLAYED, OutcomeKind.DETAIL_DISPLAYED]
    (seen,) = await exposed(parts)
    assert (seen.exposure_id, seen.kind) == (EXPOSURE, ExposureEventKind.SEEN)
    assert registry.get_sample_value("gateway_tag_events_ignored_total") == 1


async def test_a_hit_that_comes_twice_counts_once(page: httpx.AsyncClient, parts: Personalization) -> None:
    for _ in range(2):
        assert (await page.post(f"{HITS}?{ADDED}")).status_code == 204
    assert len(await stored(parts)) == 1


@pytest.mark.parametrize("content_type", ["application/json", "text/plain;charset=UTF-8"])
async def test_a_purchase_by_the_measurement_protocol(
    page: httpx.AsyncClient, parts: Personalization, content_type: str
) -> None:
    items = [{"item_id": "4711", "quantity": 2}, {"item_id": "4712", "quantity": 1}]
    body = measurement("purchase", transaction_id="T-1", decision_id=DECISION, items=items)
    for _ in range(2):
        response = await page.post(
            f"{MEASUREMENTS}?measurement_id=G-1&api_secret=s", content=body, headers={"content-type": content_type}
        )
        assert (response.status_code, response.content) == (204, b"")
    assert [(each.product_id, each.quantity) for each in await stored(parts)] == [("4711", 2), ("4712", 1)]


async def test_client_and_session_of_a_tag_are_not_believed(page: httpx.AsyncClient, parts: Personalization) -> None:
    body = measurement("view_item", decision_id=DECISION, session_id="another")
    await page.post(MEASUREMENTS, content=body, headers={"x-session": "mine"})
    (outcome,) = await stored(parts)
    assert outcome.session == "mine"
    assert "another" not in str(outcome)


@pytest.mark.parametrize("path", [HITS, MEASUREMENTS])
async def test_what_cannot_be_taken_is_told_as_everywhere(
    page: httpx.AsyncClient, parts: Personalization, path: str
) -> None:
    good = measurement("view_item", decision_id=DECISION) if path == MEASUREMENTS else ADDED.encode()
    check_problem(await page.post(path, content=b"&"), 400, "BAD_REQUEST")
    check_problem(await page.post(path, content=b" " * 70_000), 413, "PAYLOAD_TOO_LARGE")
    html = {"content-type": "text/html"}
    check_problem(await page.post(path, content=good, headers=html), 415, "UNSUPPORTED_MEDIA_TYPE")
    forged = {"authorization": "Bearer forged"}
    check_problem(await page.post(path, content=good, headers=forged), 401, "UNAUTHENTICATED")
    assert (await page.put(path)).status_code == 405
    assert await stored(parts) == []


async def test_too_many_products_are_refused(page: httpx.AsyncClient) -> None:
    items = [{"item_id": str(each)} for each in range(101)]
    body = measurement("purchase", decision_id=DECISION, items=items)
    assert "101" in str(check_problem(await page.post(MEASUREMENTS, content=body), 400, "BAD_REQUEST")["detail"])


async def test_a_query_is_bounded_as_a_body_is(parts: Personalization, registry: CollectorRegistry) -> None:
    collector = Ga4Collector(EventIntake(parts.outcomes, viewer_of, rate()), registry)
    scope = {"type": "http", "method": "GET", "path": HITS, "headers": [], "server": ("gateway", 80)}
    answer = await collector.hits(Request({**scope, "query_string": b"en=scroll&ep.a=" + b"a" * 64 * 1024}))
    assert answer.status_code == 414


async def test_a_hub_that_is_away_is_told(page: httpx.AsyncClient, parts: Personalization) -> None:
    await parts.hub.aclose()
    refused = await page.post(f"{HITS}?{ADDED}")
    check_problem(refused, 503, "HUB_UNAVAILABLE")
    assert int(refused.headers["retry-after"]) > 0


TEXT = st.text(max_size=10)
VALUE = st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.floats(allow_nan=False) | TEXT
PARAMS = st.dictionaries(
    st.sampled_from(["decision_id", "exposure_id", "transaction_id", "event_id", "items"]) | TEXT,
    VALUE
    | st.sampled_from([DECISION, EXPOSURE])
    | st.lists(VALUE | st.dictionaries(TEXT, VALUE, max_size=3), max_size=3),
    max_size=5,
)
NAMES = st.sampled_from(["view_item", "view_item_list", "add_to_cart", "purchase", "seen", "scroll"]) | VALUE
EVENTS = st.lists(
    VALUE | st.fixed_dictionaries({"name": NAMES}, optional={"params": PARAMS | VALUE, "timestamp_micros": VALUE}),
    max_size=5,
)


QUERIES = st.text(st.sampled_from("aen&=%20prcid.~+;/?\u00fc"), max_size=60)


@given(EVENTS | VALUE, st.binary(max_size=60), QUERIES)
@settings(
    deadline=None, max_examples=100, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
async def test_hostile_tags_are_answered(page: httpx.AsyncClient, events: object, body: bytes, query: str) -> None:
    document = orjson.dumps({"client_id": "1.2", "events": events})
    answer = await page.post(MEASUREMENTS, content=document, headers=JSON)
    assert answer.status_code == (202 if isinstance(events, list) and events else 400), answer.text
    for content in (body, ADDED.encode() + body):
        answer = await page.post(f"{HITS}?{query}", content=content)
        assert answer.status_code in {204, 400}, answer.text


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, Path]]:
    """A gateway as its own process, and its data folder."""
    data_dir = tmp_path_factory.mktemp("collecting")
    prepare_store(data_dir)
    with gateway_process(data_dir, events_per_minute="100") as url:
        yield url, data_dir


async def test_a_tag_in_node_over_real_http(served: tuple[str, Path]) -> None:
    url, data_dir = served
    report = run_tag(f"{url}/events/ga4", DECISION, EXPOSURE)
    assert report["statuses"] == {"hit": 204, "batch": 204, "again": 204, "measurement": 204, "empty": 400}
    assert report["limited"]["status"] == 429
    assert int(report["limited"]["retryAfter"]) > 0
    outcomes = [decode_outcome(each.event.value) for each in await read_file(data_dir / HUB_FILE, OUTCOMES)]
    assert sorted((each.kind, each.product_id) for each in outcomes) == [
        (OutcomeKind.ADDED_TO_BASKET, "4711"),
        (OutcomeKind.DETAIL_DISPLAYED, "4711"),
        (OutcomeKind.DISPLAYED, None),
        (OutcomeKind.PURCHASED, "4711"),
    ]
    assert {each.decision_id for each in outcomes} == {DECISION}
    assert len({each.session for each in outcomes}) == 1
    (event,) = await read_file(data_dir / HUB_FILE, EXPOSURE_EVENTS)
    seen = decode_exposure_event(event.event.value)
    assert (seen.exposure_id, seen.kind) == (EXPOSURE, ExposureEventKind.SEEN)
