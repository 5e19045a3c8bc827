"""The upstream client against real sockets and an upstream that has bad days."""

import asyncio
import base64
from collections.abc import AsyncIterator
from typing import Any

import orjson
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from opentelemetry.trace import SpanKind, StatusCode, format_span_id, format_trace_id

from personalization.errors import DeadlineExceeded, PersonaError
from resolvers.errors import SourceRefused, SourceUnavailable
from resolvers.sources.problems import PROBLEMS, Problem, encode_problem
from resolvers.sources.upstream_client import AnswerTooLarge, UpstreamNotFound, UpstreamRefusal
from tests.sources.clients import Telling, connected, soon
from tests.sources.faulty_server import (
    Behaviour,
    FaultyServer,
    answer,
    flood,
    gibberish,
    hang,
    reset,
    says,
    trickle,
)

RETRIED = [answer(429), answer(502), answer(503), answer(504), reset, gibberish]
RETRIED_NAMES = ["429", "502", "503", "504", "reset", "gibberish"]


@pytest.fixture
async def server() -> AsyncIterator[FaultyServer]:
    async with FaultyServer() as running:
        yield running


@pytest.fixture
def telling() -> Telling:
    return Telling()


class TestRequests:
    """What is sent."""

    async def test_a_read_is_a_get_and_its_answer_parsed(self, server: FaultyServer) -> None:
        server.plays(says({"price": "1.50"}))
        async with connected(f"{server.url}/shop/") as client:
            assert await client.read("prices", "/prices", soon(), params={"ids": ["a", "b"]}) == {"price": "1.50"}
        (request,) = server.received
        assert (request.method, request.path, request.params) == ("GET", "/shop/prices", {"ids": ["a", "b"]})

    @pytest.mark.parametrize("base", ["", "/", "/shop", "/shop/"])
    @pytest.mark.parametrize("path", ["products", "/products"])
    async def test_paths_go_below_the_base(self, server: FaultyServer, base: str, path: str) -> None:
        async with connected(server.url + base) as client:
            await client.read("products", path, soon())
        assert server.received[0].target == base.rstrip("/") + "/products"

    async def test_a_read_with_a_body_is_a_post(self, server: FaultyServer) -> None:
        async with connected(server.url) as client:
            await client.read("shelves", "/shelves", soon(), body={"shelves": []}, headers={"X-Extra": "1"})
        (request,) = server.received
        assert (request.method, request.body) == ("POST", b'{"shelves":[]}')
        assert (request.headers["content-type"], request.headers["x-extra"]) == ("application/json", "1")

    @settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
    @given(st.lists(st.text(st.characters(exclude_categories=["Cs"]), max_size=20), min_size=1, max_size=5))
    def test_any_text_survives_as_a_parameter(self, texts: list[str]) -> None:
        async def sent() -> dict[str, list[str]]:
            async with FaultyServer() as server, connected(server.url) as client:
                await client.read("products", "/products", soon(), params={"ids": texts, "one": texts[0]})
                return server.received[0].params

        assert asyncio.run(sent()) == {"ids": texts, "one": [texts[0]]}

    @pytest.mark.parametrize(
        "asked",
        [
            {"params": {"ids": ["\ud800"]}},
            {"body": {"ids": ["\ud800"]}},
            {"body": {"quantity": 2**70}},
            {"params": {"search": "x" * 100_000}},
            {"headers": {"X-Extra": "two\r\nlines"}},
            {"headers": {"X-Extra": "名前"}},
        ],
    )
    async def test_what_no_request_can_carry_is_refused_and_not_sent(
        self, server: FaultyServer, asked: dict[str, Any]
    ) -> None:
        async with connected(server.url, breaker_threshold=1) as client:
            for _ in range(2):
                with pytest.raises(SourceRefused):
                    await client.read("products", "/products", soon(), **asked)
            await client.read("products", "/products", soon())
        assert len(server.received) == 1

    async def test_connections_are_kept_and_few(self, server: FaultyServer) -> None:
        async with connected(server.url, connections=3) as client:
            for _ in range(20):
                await client.read("products", "/products", soon())
            assert server.connections == 1
            await asyncio.gather(*(client.read("products", "/products", soon()) for _ in range(40)))
            assert len(server.received) == 60
            assert server.connections <= 3

    async def test_cookies_of_one_visit_do_not_go_with_another(self, server: FaultyServer) -> None:
        server.plays(answer(set_cookie="sessionid=somebody; Path=/"), answer())
        async with connected(server.url) as client:
            await client.read("basket", "/basket", soon())
            await client.read("basket", "/basket", soon())
        assert [request.headers.get("cookie") for request in server.received] == [None, None]

    async def test_credentials_go_with_every_call(self, server: FaultyServer) -> None:
        async with connected(server.url, auth=("user", "secret")) as client:
            await client.read("orders", "/orders", soon())
        sent = server.received[0].headers["authorization"]
        assert base64.b64decode(sent.removeprefix("Basic ")) == b"user:secret"

    async def test_the_upstream_is_told_the_time_it_has(self, server: FaultyServer) -> None:
        async with connected(server.url, timeout=2.0) as client:
            await client.read("products", "/products", soon(1.5))
            await client.read("products", "/products", soon(60.0))
        told = [int(request.headers["x-deadline-ms"]) for request in server.received]
        assert 0 < told[0] <= 1500
        assert told[1] == 2000

    @pytest.mark.parametrize(
        "url", ["", "shop.example", "ftp://shop.example", "http://", "http://host:port", "http://host?x=1"]
    )
    async def test_an_address_that_is_none_is_told_at_once(self, url: str) -> None:
        with pytest.raises(SourceUnavailable, match="address of the shop"):
            async with connected(url):
                pass

    async def test_closed_twice_it_is_closed(self, server: FaultyServer) -> None:
        async with connected(server.url) as client:
            await client.aclose()
            await client.aclose()
            with pytest.raises(SourceUnavailable):
                await client.read("products", "/products", soon())
        assert server.received == []


class TestAnswers:
    """What answers become."""

    @pytest.mark.parametrize("problem", [p for p in PROBLEMS if p.error], ids=lambda p: str(p.name))
    async def test_problems_become_their_errors(self, server: FaultyServer, problem: Problem) -> None:
        body = encode_problem(problem, "the detail")
        server.plays(answer(problem.status, body, Content_Type="application/problem+json"))
        assert problem.error is not None
        wanted: type[PersonaError] = SourceUnavailable if problem.status >= 500 else problem.error
        async with connected(server.url, retries=0) as client:
            with pytest.raises(wanted) as raised:
                await client.read("products", "/products", soon(60.0))
        assert type(raised.value) is problem.error or problem.status >= 500
        assert problem.status >= 500 or str(raised.value) == "the detail"

    async def test_a_plain_404_can_be_told_from_other_refusals(self, server: FaultyServer) -> None:
        server.plays(
            answer(404, b'{"detail":"Not found."}'), answer(406, b'{"reason":"none left"}'), answer(418, b"no")
        )
        async with connected(server.url) as client:
            with pytest.raises(UpstreamNotFound) as missing:
                await client.read("product", "/products/1", soon())
            with pytest.raises(UpstreamRefusal) as refused:
                await client.write("add", "POST", "/basket", soon(), body={})
            with pytest.raises(UpstreamRefusal) as wordless:
                await client.read("product", "/products/1", soon())
        assert (missing.value.status, missing.value.answer) == (404, {"detail": "Not found."})
        assert (refused.value.status, refused.value.answer) == (406, {"reason": "none left"})
        assert (wordless.value.status, wordless.value.answer) == (418, None)
        assert not isinstance(refused.value, UpstreamNotFound)

    @pytest.mark.parametrize("body", [b"", b"<html>", b'{"items":', b'{"a": NaN}', b"\xff", b'"\\ud800"'])
    async def test_what_is_not_json_is_unavailable(self, server: FaultyServer, body: bytes) -> None:
        server.plays(answer(200, body))
        async with connected(server.url) as client:
            with pytest.raises(SourceUnavailable) as raised:
                await client.read("products", "/products", soon())
        assert isinstance(raised.value.__cause__, orjson.JSONDecodeError)
        assert len(server.received) == 1

    async def test_an_empty_204_is_none(self, server: FaultyServer) -> None:
        server.plays(answer(204, b""))
        async with connected(server.url) as client:
            assert await client.write("empty_basket", "DELETE", "/basket", soon(), body={}) is None

    async def test_redirects_are_not_followed(self, server: FaultyServer) -> None:
        server.plays(answer(302, Location=f"{server.url}/elsewhere"))
        async with connected(server.url) as client:
            with pytest.raises(SourceUnavailable):
                await client.read("products", "/products", soon())
        assert [request.path for request in server.received] == ["/products"]

    @pytest.mark.parametrize("too_much", [flood, answer(200, b" " * 1000 + b"1")], ids=["endless", "declared"])
    async def test_answers_are_read_only_so_far(self, server: FaultyServer, too_much: Behaviour) -> None:
        server.plays(too_much, answer(200, b" " * 999 + b"1"))
        async with connected(server.url, max_response_bytes=1000, breaker_threshold=1) as client:
            with pytest.raises(AnswerTooLarge):
                await client.read("products", "/products", soon())
            assert await client.read("products", "/products", soon()) == 1


class TestRetries:
    """What is tried again, and what is not."""

    @pytest.mark.parametrize("failure", RETRIED, ids=RETRIED_NAMES)
    async def test_reads_are_tried_again(self, server: FaultyServer, telling: Telling, failure: Behaviour) -> None:
        server.plays(failure, failure, says("at last"))
        async with connected(server.url, telling) as client:
            assert await client.read("products", "/products", soon()) == "at last"
        assert len(server.received) == 3
        assert telling.retries("products") == 2
        assert telling.calls("products", "ok") == 1

    @pytest.mark.parametrize("failure", RETRIED, ids=RETRIED_NAMES)
    async def test_not_for_ever(self, server: FaultyServer, failure: Behaviour) -> None:
        server.plays(failure)
        async with connected(server.url, retries=3) as client:
            with pytest.raises(SourceUnavailable):
                await client.read("products", "/products", soon())
        assert len(server.received) == 4

    @pytest.mark.parametrize("failure", [*RETRIED, answer(500)], ids=[*RETRIED_NAMES, "500"])
    async def test_writes_are_sent_once(self, server: FaultyServer, telling: Telling, failure: Behaviour) -> None:
        server.plays(failure, says("too late"))
        async with connected(server.url, telling) as client:
            with pytest.raises(SourceUnavailable):
                await client.write("add_to_basket", "POST", "/baskets/lines", soon(), body={"quantity": 1})
        assert len(server.received) == 1
        assert telling.retries("add_to_basket") == 0

    @pytest.mark.parametrize("status", [400, 401, 403, 404, 409, 422, 500, 501, 302])
    async def test_other_statuses_are_final(self, server: FaultyServer, status: int) -> None:
        server.plays(answer(status), says("changed its mind"))
        async with connected(server.url) as client:
            with pytest.raises(PersonaError):
                await client.read("products", "/products", soon())
        assert len(server.received) == 1

    async def test_a_slow_answer_is_asked_for_again(self, server: FaultyServer) -> None:
        server.plays(hang, says("quick"))
        async with connected(server.url, timeout=0.5) as client:
            assert await client.read("products", "/products", soon()) == "quick"

    async def test_the_upstream_says_when(self, server: FaultyServer) -> None:
        server.plays(answer(429, Retry_After="30"), says("never asked"))
        async with connected(server.url) as client:
            with pytest.raises(SourceUnavailable):
                await client.read("products", "/products", soon(10.0))
        assert len(server.received) == 1

    @pytest.mark.parametrize("retry_after", ["0", "soon", "-3", "1e9", "Wed, 21 Oct 2026 07:28:00 GMT", "²"])
    async def test_odd_wishes_are_not_waited_for(self, server: FaultyServer, retry_after: str) -> None:
        server.plays(answer(503, Retry_After=retry_after), says("fine"))
        async with connected(server.url) as client:
            assert await client.read("products", "/products", soon()) == "fine"

    async def test_nobody_listens(self, server: FaultyServer, telling: Telling) -> None:
        await server.kill()
        async with connected(server.url, telling) as client:
            with pytest.raises(SourceUnavailable):
                await client.read("products", "/products", soon())
        assert telling.retries("products") == 2
        assert telling.calls("products", "unavailable") == 1


class TestDeadlines:
    """Nobody waits longer than the visit."""

    @pytest.mark.parametrize("slow", [hang, trickle], ids=["silent", "trickling"])
    async def test_a_call_ends_with_the_visit(self, server: FaultyServer, telling: Telling, slow: Behaviour) -> None:
        server.plays(slow)
        async with connected(server.url, telling) as client:
            with pytest.raises(DeadlineExceeded):
                await client.read("products", "/products", soon(0.1))
        assert telling.retries("products") == 0
        assert telling.calls("products", "deadline") == 1

    @pytest.mark.parametrize("slow", [hang, trickle], ids=["silent", "trickling"])
    async def test_a_single_call_has_its_own_limit(
        self, server: FaultyServer, telling: Telling, slow: Behaviour
    ) -> None:
        server.plays(slow)
        async with connected(server.url, telling, timeout=0.1, retries=1) as client:
            with pytest.raises(SourceUnavailable):
                await client.read("products", "/products", soon())
        assert telling.retries("products") == 1

    async def test_a_passed_deadline_sends_nothing(self, server: FaultyServer) -> None:
        async with connected(server.url) as client:
            with pytest.raises(DeadlineExceeded):
                await client.read("products", "/products", soon(0.0))
            with pytest.raises(DeadlineExceeded):
                await client.write("add_to_basket", "POST", "/baskets/lines", soon(0.0), body={})
        assert server.received == []

    async def test_the_upstream_may_give_up_first(self, server: FaultyServer) -> None:
        late = answer(504, encode_problem(next(p for p in PROBLEMS if p.error is DeadlineExceeded), "late"))
        server.plays(late)
        async with connected(server.url, timeout=30.0, retries=1) as client:
            with pytest.raises(DeadlineExceeded):
                await client.read("products", "/products", soon(20.0))
        async with connected(server.url, timeout=10.0, retries=1) as client:
            with pytest.raises(SourceUnavailable):
                await client.read("products", "/products", soon(20.0))
        assert len(server.received) == 3

    async def test_a_cancelled_caller_cancels_the_call(self, server: FaultyServer, telling: Telling) -> None:
        server.plays(hang)
        async with connected(server.url, telling, connections=2) as client:
            for _ in range(20):
                calls = [asyncio.create_task(client.read("products", "/products", soon())) for _ in range(5)]
                for _ in range(2):
                    await server.arrived.acquire()
                for call in calls:
                    call.cancel()
                ends = await asyncio.gather(*calls, return_exceptions=True)
                assert all(isinstance(end, asyncio.CancelledError) for end in ends)
                for _ in range(2):
                    await server.dropped.acquire()
            server.plays(says("still well"))
            assert await client.read("products", "/products", soon()) == "still well"
        assert telling.calls("products", "cancelled") == 100


class TestTelling:
    """Spans and metrics."""

    async def test_the_span_of_a_call_goes_upstream(self, server: FaultyServer, telling: Telling) -> None:
        server.plays(answer(503), says({}))
        async with connected(server.url, telling) as client:
            with telling.tracer.start_as_current_span("visit") as visit:
                await client.read("products", "/products", soon(), params={"ids": ["secret-id"]})
        span = next(span for span in telling.spans() if span.name == "upstream products")
        assert span.kind is SpanKind.CLIENT
        assert span.parent == visit.get_span_context()
        assert span.context is not None
        trace, parent = format_trace_id(span.context.trace_id), format_span_id(span.context.span_id)
        sent = [request.headers["traceparent"].rpartition("-")[0] for request in server.received]
        assert sent == [f"00-{trace}-{parent}"] * 2
        assert dict(span.attributes or {}) == {
            "http.request.method": "GET",
            "server.address": "127.0.0.1",
            "server.port": server.port,
            "http.response.status_code": 200,
            "http.request.resend_count": 1,
        }
        assert span.status.status_code is StatusCode.UNSET

    async def test_failures_are_told_without_what_was_asked(self, server: FaultyServer, telling: Telling) -> None:
        server.plays(answer(404, b'{"detail":"no secret-id"}'))
        async with connected(server.url, telling) as client:
            with pytest.raises(UpstreamNotFound) as raised:
                await client.read("products", "/products", soon(), params={"ids": ["secret-id"]})
        (span,) = telling.spans()
        assert span.status.status_code is StatusCode.ERROR
        assert span.attributes is not None
        assert span.attributes["error.type"] == "UpstreamNotFound"
        assert "secret-id" not in span.to_json() + str(raised.value)

    async def test_outcomes_and_durations_are_counted(self, server: FaultyServer, telling: Telling) -> None:
        server.plays(says(1), answer(400), answer(500))
        async with connected(server.url, telling) as client:
            await client.read("stock", "/stock", soon())
            with pytest.raises(SourceRefused):
                await client.read("stock", "/stock", soon())
            with pytest.raises(SourceUnavailable):
                await client.read("stock", "/stock", soon())
        assert [telling.calls("stock", outcome) for outcome in ("ok", "refused", "unavailable")] == [1, 1, 1]
        count = telling.registry.get_sample_value("gateway_upstream_seconds_count", {"operation": "stock"})
        assert count == 3
