"""POST /events as a page sends it, over a real hub file."""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta

import httpx
import orjson
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from starlette.applications import Starlette
from starlette.requests import Request

from gateway.tags import EventIntake
from personalization.assembly import Personalization
from personalization.events import DecisionContext, DecisionMode, ExposureEventKind, OutcomeKind, ShelfAction
from tests.events.parts import DECISION, EXPOSURE, check_problem, exposed, rate, stored, viewer_of

EVENT = {"id": "click-1", "type": "detail_displayed", "decisionId": DECISION, "productId": "4711"}


async def post(page: httpx.AsyncClient, document: object, **headers: str) -> httpx.Response:
    return await page.post("/events", content=orjson.dumps(document), headers=headers)


@pytest.mark.parametrize("content_type", ["text/plain;charset=UTF-8", "text/plain", "application/json; charset=utf-8"])
@pytest.mark.parametrize("document", [[EVENT], {"events": [EVENT]}])
async def test_a_beacon_is_durable_when_it_is_answered(
    page: httpx.AsyncClient, parts: Personalization, content_type: str, document: object
) -> None:
    before = datetime.now(UTC)
    response = await post(page, document, **{"content-type": content_type, "x-session": "s9"})
    assert response.status_code == 202
    assert response.headers["content-type"] == "application/json"
    assert response.headers["cache-control"] == "no-store"
    assert response.json() == {"accepted": 1, "duplicates": 0, "rejected": []}
    (outcome,) = await stored(parts)
    assert (outcome.decision_id, outcome.kind) == (DECISION, OutcomeKind.DETAIL_DISPLAYED)
    assert (outcome.product_id, outcome.session) == ("4711", "s9")
    assert before <= outcome.occurred_at == outcome.received_at


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("displayed", OutcomeKind.DISPLAYED),
        ("detail_displayed", OutcomeKind.DETAIL_DISPLAYED),
        ("added_to_basket", OutcomeKind.ADDED_TO_BASKET),
        ("purchased", OutcomeKind.PURCHASED),
    ],
)
async def test_every_type_of_event(
    page: httpx.AsyncClient, parts: Personalization, name: str, kind: OutcomeKind
) -> None:
    await post(page, [EVENT | {"type": name, "quantity": 3, "durationS": 8.25}])
    (outcome,) = await stored(parts)
    assert (outcome.kind, outcome.quantity, outcome.duration_s) == (kind, 3, 8.25)


@pytest.mark.parametrize(("name", "kind"), [("rendered", ExposureEventKind.RENDERED), ("seen", ExposureEventKind.SEEN)])
async def test_what_became_of_an_exposure(
    page: httpx.AsyncClient, parts: Personalization, name: str, kind: ExposureEventKind
) -> None:
    event = {"id": "hero-1", "type": name, "exposureId": EXPOSURE.upper()}
    before = datetime.now(UTC)
    response = await post(page, [event, event], **{"x-session": "s9"})
    assert response.json() == {"accepted": 1, "duplicates": 1, "rejected": []}
    (found,) = await exposed(parts)
    assert (found.exposure_id, found.kind, found.session) == (EXPOSURE, kind, "s9")
    assert before <= found.occurred_at == found.received_at
    assert await stored(parts) == []


async def test_outcomes_and_exposures_come_in_one_batch(page: httpx.AsyncClient, parts: Personalization) -> None:
    seen = {"type": "seen", "exposureId": EXPOSURE, "at": datetime.now(UTC).timestamp() * 1000 - 3000}
    bad = [{"type": "seen", "decisionId": DECISION}, EVENT | {"decisionId": None}, seen | {"exposureId": 1}]
    response = await post(page, [seen, EVENT, *bad, seen])
    answer = response.json()
    assert answer["accepted"] == 3
    assert [(each["index"], each["code"]) for each in answer["rejected"]] == [
        (2, "INVALID_EXPOSURE_ID"),
        (3, "INVALID_DECISION_ID"),
        (4, "INVALID_EXPOSURE_ID"),
    ]
    first, second = await exposed(parts)
    assert first.id != second.id
    assert timedelta(seconds=2) < first.received_at - first.occurred_at < timedelta(seconds=30)
    assert len(await stored(parts)) == 1


@pytest.mark.parametrize("form", ["iso", "milliseconds"])
async def test_page_time_comes_as_text_or_number(page: httpx.AsyncClient, parts: Personalization, form: str) -> None:
    at = (datetime.now(UTC) - timedelta(seconds=5)).replace(microsecond=123_000)
    value = at.isoformat().replace("+00:00", "Z") if form == "iso" else at.timestamp() * 1000
    await post(page, [{**EVENT, "at": value}])
    (outcome,) = await stored(parts)
    assert abs(outcome.occurred_at - at) < timedelta(milliseconds=1)
    assert outcome.received_at > outcome.occurred_at


async def test_a_beacon_that_comes_twice_counts_once(page: httpx.AsyncClient, parts: Personalization) -> None:
    await post(page, [EVENT])
    response = await post(page, [EVENT, EVENT | {"id": "click-2"}])
    assert response.json() == {"accepted": 1, "duplicates": 1, "rejected": []}
    assert len(await stored(parts)) == 2


async def test_bad_events_are_refused_one_by_one_in_the_order_of_the_batch(
    page: httpx.AsyncClient, parts: Personalization
) -> None:
    bad: list[tuple[object, str]] = [
        (None, "INVALID_EVENT"),
        ([], "INVALID_EVENT"),
        ({}, "UNKNOWN_KIND"),
        (EVENT | {"type": "clicked"}, "UNKNOWN_KIND"),
        (EVENT | {"type": 1}, "UNKNOWN_KIND"),
        (EVENT | {"decisionId": "1"}, "INVALID_DECISION_ID"),
        (EVENT | {"decisionId": 1}, "INVALID_DECISION_ID"),
        (EVENT | {"id": 1}, "INVALID_ID"),
        (EVENT | {"id": ""}, "INVALID_ID"),
        (EVENT | {"productId": ["x"]}, "INVALID_PRODUCT_ID"),
        (EVENT | {"productId": "x" * 200}, "INVALID_PRODUCT_ID"),
        (EVENT | {"quantity": 0}, "INVALID_QUANTITY"),
        (EVENT | {"quantity": 1.5}, "INVALID_QUANTITY"),
        (EVENT | {"quantity": True}, "INVALID_QUANTITY"),
        (EVENT | {"durationS": -1}, "INVALID_DURATION"),
        (EVENT | {"durationS": 86_401}, "INVALID_DURATION"),
        (EVENT | {"durationS": "3"}, "INVALID_DURATION"),
        (EVENT | {"durationS": True}, "INVALID_DURATION"),
        (EVENT | {"at": "noon"}, "INVALID_TIME"),
        (EVENT | {"at": "2026-01-01T00:00:00"}, "INVALID_TIME"),
        (EVENT | {"at": 1e300}, "INVALID_TIME"),
        (EVENT | {"at": True}, "INVALID_TIME"),
        (EVENT | {"at": {}}, "INVALID_TIME"),
    ]
    response = await post(page, [EVENT, *(event for event, _ in bad), EVENT | {"id": "last"}])
    assert response.status_code == 202
    answer = response.json()
    assert (answer["accepted"], answer["duplicates"]) == (2, 0)
    assert [(each["index"], each["code"]) for each in answer["rejected"]] == [
        (index, code) for index, (_, code) in enumerate(bad, start=1)
    ]
    assert all(each["message"] for each in answer["rejected"])
    assert len(await stored(parts)) == 2


@pytest.mark.parametrize("body", [b"", b"{", b"\xff", b"1", b"{}", b'{"events": {}}', b"[" * 5_000, b'["\\ud800"]'])
async def test_what_is_no_batch_is_a_bad_request(page: httpx.AsyncClient, body: bytes) -> None:
    check_problem(await page.post("/events", content=body), 400, "BAD_REQUEST")


async def test_more_than_a_hundred_events_are_refused_whole(page: httpx.AsyncClient, parts: Personalization) -> None:
    problem = check_problem(await post(page, [EVENT] * 101), 400, "BAD_REQUEST")
    assert "101" in str(problem["detail"])
    assert await stored(parts) == []


@pytest.mark.parametrize(
    "content_type", ["application/x-www-form-urlencoded", "text/plain;charset=utf-16", "text/html"]
)
async def test_other_media_types_are_refused(page: httpx.AsyncClient, content_type: str) -> None:
    check_problem(await post(page, [EVENT], **{"content-type": content_type}), 415, "UNSUPPORTED_MEDIA_TYPE")


async def test_a_body_is_bounded_whether_it_says_its_length_or_not(page: httpx.AsyncClient) -> None:
    async def unannounced() -> AsyncIterator[bytes]:
        for _ in range(80):
            yield b" " * 1024

    check_problem(await page.post("/events", content=b" " * 70_000), 413, "PAYLOAD_TOO_LARGE")
    check_problem(await page.post("/events", content=unannounced()), 413, "PAYLOAD_TOO_LARGE")
    assert (await page.post("/events", content=b" " * (64 * 1024 - 2) + b"[]")).status_code == 202


async def test_a_viewer_that_is_refused_is_told_so(page: httpx.AsyncClient, parts: Personalization) -> None:
    check_problem(await post(page, [EVENT], authorization="Bearer forged"), 401, "UNAUTHENTICATED")
    assert await stored(parts) == []


async def test_a_full_disk_is_unavailable_and_decisions_go_on(page: httpx.AsyncClient, parts: Personalization) -> None:
    for batch in range(200):
        events = [EVENT | {"id": f"{batch}-{each}", "productId": "p" * 100} for each in range(100)]
        response = await post(page, events)
        if response.status_code != 202:
            break
    problem = check_problem(response, 503, "HUB_UNAVAILABLE")
    assert "full" in str(problem["detail"])
    assert int(response.headers["retry-after"]) > 0
    assert len(await stored(parts)) == 100 * batch
    decision = parts.decisions.decide(DecisionContext("HOME"), tuple(ShelfAction))
    assert decision.mode is DecisionMode.LOG_ONLY


async def test_a_body_that_does_not_arrive_is_given_up(parts: Personalization) -> None:
    app = Starlette(routes=[EventIntake(parts.outcomes, viewer_of, rate(), timeout=0.01).route()])

    async def stalled() -> AsyncIterator[bytes]:
        yield b"["
        await asyncio.sleep(3600)

    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://gateway") as page:
        answer = await page.post("/events", content=stalled(), headers={"content-type": "text/plain"})
    check_problem(answer, 504, "REQUEST_TIMEOUT")


async def test_a_page_that_goes_away_leaves_nothing_behind(parts: Personalization) -> None:
    endpoint = EventIntake(parts.outcomes, viewer_of, rate())

    async def gone() -> dict[str, str]:
        return {"type": "http.disconnect"}

    request = Request({"type": "http", "method": "POST", "headers": [(b"content-type", b"text/plain")]}, gone)
    assert (await endpoint.receive(request)).status_code == 400
    assert await stored(parts) == []


async def test_only_post_is_taken(page: httpx.AsyncClient) -> None:
    assert (await page.get("/events")).status_code == 405


JSON = st.recursive(
    st.none() | st.booleans() | st.floats(allow_nan=False) | st.integers(-(2**53), 2**53) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=8,
)
HOSTILE = st.fixed_dictionaries(
    {},
    optional=dict.fromkeys(
        ("id", "type", "decisionId", "exposureId", "productId", "quantity", "durationS", "at"), JSON
    ),
) | st.builds(
    lambda event, name, value: event | {name: value},
    st.sampled_from([EVENT, {"type": "seen", "exposureId": EXPOSURE}]),
    st.sampled_from([*EVENT, "at", "quantity", "durationS", "exposureId"]),
    JSON,
)


@given(st.lists(HOSTILE, max_size=5))
@settings(
    deadline=None, max_examples=100, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
async def test_hostile_events_are_answered_one_by_one(page: httpx.AsyncClient, events: list[dict[str, object]]) -> None:
    response = await page.post("/events", content=orjson.dumps(events))
    assert response.status_code == 202
    answer = response.json()
    assert answer["accepted"] + answer["duplicates"] + len(answer["rejected"]) == len(events)
