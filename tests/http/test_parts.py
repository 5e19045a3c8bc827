"""Answers in parts, and the same answers in one piece."""

import asyncio
from collections.abc import AsyncGenerator
from dataclasses import dataclass
from typing import Any

import httpx
import pytest
from graphql import GraphQLError
from graphql.execution import (
    ExperimentalIncrementalExecutionResults,
    InitialIncrementalExecutionResult,
    SubsequentIncrementalExecutionResult,
)
from graphql.execution.types import PendingResult
from hypothesis import given, settings
from hypothesis import strategies as st
from starlette.types import Message
from structlog.testing import capture_logs

from gateway.execution.masking import Telling
from gateway.incremental import Parts
from gateway.settings import Settings
from tests.http.parts import Part, events, merged, multipart
from tests.http.shop import SECRET, Watch, build_endpoint

MULTIPART = "multipart/mixed;incrementalSpec=v0.2,application/json"
DEFERRED = '{ context(persona: "BUILDER") product(id: 1) { id ... @defer(label: "more") { review slow } } }'


async def answer(client: httpx.AsyncClient, query: str, accept: str) -> httpx.Response:
    return await client.post("", json={"query": query}, headers={"accept": accept})


# How parts are written


async def test_multipart_has_a_boundary_and_ends(client: httpx.AsyncClient) -> None:
    response = await answer(client, DEFERRED, MULTIPART)
    assert response.status_code == 200
    assert response.headers["content-type"] == 'multipart/mixed; boundary="graphql"; incrementalSpec=v0.2'
    assert response.headers["cache-control"] == "no-store"
    first, *_, last = multipart(response.content)
    assert first["data"] == {"context": "BUILDER", "product": {"id": "1"}}
    assert first["pending"] == [{"id": "0", "path": ["product"], "label": "more"}]
    assert (first["hasNext"], last["hasNext"]) == (True, False)


async def test_events_are_next_and_complete(client: httpx.AsyncClient) -> None:
    response = await answer(client, DEFERRED, "text/event-stream")
    assert response.headers["content-type"] == "text/event-stream; charset=utf-8"
    assert merged(events(response.content))["data"]["product"] == {"id": "1", "review": "review of 1", "slow": "slow 1"}


async def test_extensions_come_with_the_first_part_and_the_last(client: httpx.AsyncClient) -> None:
    parts = multipart((await answer(client, DEFERRED, MULTIPART)).content)
    told = [part["extensions"] for part in (parts[0], parts[-1])]
    assert told == [{"context": {"persona": "BUILDER"}}] * 2
    assert all("extensions" not in part for part in parts[1:-1])


@pytest.mark.parametrize("accept", ["application/json", "*/*", "multipart/mixed;deferSpec=20220824,application/json"])
async def test_a_client_that_reads_no_parts_gets_one_answer(client: httpx.AsyncClient, accept: str) -> None:
    response = await answer(client, DEFERRED, accept)
    assert response.json() == {
        "data": {"context": "BUILDER", "product": {"id": "1", "review": "review of 1", "slow": "slow 1"}},
        "extensions": {"context": {"persona": "BUILDER"}},
    }


async def test_one_answer_to_a_client_that_reads_only_parts_is_one_part(client: httpx.AsyncClient) -> None:
    by_multipart = await answer(client, "{ hello }", "multipart/mixed")
    by_events = await answer(client, "{ hello }", "text/event-stream")
    assert multipart(by_multipart.content) == [{"data": {"hello": "hello world"}, "hasNext": False}]
    assert events(by_events.content) == [{"data": {"hello": "hello world"}}]


async def test_refusals_go_to_readers_of_events_as_an_event_and_to_all_others_as_json(
    client: httpx.AsyncClient,
) -> None:
    by_events = await answer(client, "{", "text/event-stream")
    by_multipart = await answer(client, "{", "multipart/mixed")
    malformed = await client.post(
        "", content=b"{", headers={"accept": "text/event-stream", "content-type": "application/json"}
    )
    [event] = events(by_events.content)
    assert (by_events.status_code, list(event)) == (200, ["errors"])
    assert (by_multipart.status_code, list(by_multipart.json())) == (400, ["errors"])
    assert (malformed.status_code, list(malformed.json())) == (400, ["errors"])


# One piece and many parts are the same


@dataclass(frozen=True, slots=True)
class Selection:
    """Fields of a product: bare ones, deferred ones, and related products, which may be deferred and streamed."""

    bare: tuple[str, ...]
    deferred: tuple[str, ...]
    related: "Selection | None"
    related_deferred: bool
    initial_count: int | None

    def text(self, *, directives: bool) -> str:
        """As GraphQL, with `@defer` and `@stream` or without."""
        bare, deferred = ["id", *self.bare], list(self.deferred)
        if self.related:
            stream = f"@stream(initialCount: {self.initial_count})" if self.initial_count is not None else ""
            nested = f"related {stream if directives else ''} {self.related.text(directives=directives)}"
            (deferred if self.related_deferred else bare).append(nested)
        fragment = f"... {'@defer' if directives else ''} {{ {' '.join(deferred)} }}" if deferred else ""
        return f"{{ {' '.join(bare)} {fragment} }}"


NULLABLE = st.sampled_from(["name", "review", "slow(milliseconds: 1)", "broken"])
STRICT = NULLABLE | st.just("requiredButBroken")


def selections(fields: st.SearchStrategy[str], depth: int = 2) -> st.SearchStrategy[Selection]:
    """Selections of the given fields, nested up to a depth."""
    names = st.lists(fields, max_size=3, unique=True).map(tuple)
    deeper = st.none() | selections(fields, depth - 1) if depth else st.none()
    return st.builds(Selection, names, names, deeper, st.booleans(), st.none() | st.integers(0, 3))


async def asked(query: str, accept: str) -> httpx.Response:
    transport = httpx.ASGITransport(build_endpoint(Watch()))
    with capture_logs():
        async with httpx.AsyncClient(transport=transport, base_url="http://shop.example/graphql") as client:
            return await answer(client, query, accept)


def told(content: Part) -> tuple[Any, set[tuple[Any, ...]]]:
    """Data and errors of an answer: the code of an error and the place that is null because of it.

    Of several errors below one such place, the specification leaves open which are told: the others may be cancelled.
    """
    data = content["data"]
    errors = content.get("errors", [])
    return data, {(*_nulled(data, error["path"]), error["extensions"]["code"]) for error in errors}


def _nulled(data: Any, path: list[Any]) -> list[Any]:
    """The part of an error's path down to the null that it left."""
    for depth, key in enumerate(path):
        if data is None:
            return path[:depth]
        data = data[key]
    return path


@settings(max_examples=60, deadline=None)
@given(selections(STRICT), st.none() | st.integers(0, 3))
def test_one_answer_is_what_the_query_gives_without_defer_and_stream(selection: Selection, count: int | None) -> None:
    stream = f"@stream(initialCount: {count})" if count is not None else ""
    whole = asyncio.run(asked(f"{{ products {stream} {selection.text(directives=True)} }}", "application/json"))
    plain = asyncio.run(asked(f"{{ products {selection.text(directives=False)} }}", "application/json"))
    assert told(whole.json()) == told(plain.json())


@settings(max_examples=60, deadline=None)
@given(selections(NULLABLE), st.none() | st.integers(0, 3))
def test_the_parts_add_up_to_what_the_query_gives_without_defer_and_stream(
    selection: Selection, count: int | None
) -> None:
    stream = f"@stream(initialCount: {count})" if count is not None else ""
    parts = asyncio.run(asked(f"{{ products {stream} {selection.text(directives=True)} }}", "multipart/mixed"))
    plain = asyncio.run(asked(f"{{ products {selection.text(directives=False)} }}", "application/json"))
    found = multipart(parts.content)
    sum_of_parts = merged(found) if len(found) > 1 else found[0]
    assert told(sum_of_parts) == told(plain.json())


async def test_directives_in_fragments_are_taken_off_as_well(client: httpx.AsyncClient) -> None:
    query = """query Named($if: Boolean = true) { product(id: 1) { ...Outer @defer(if: $if) } }
        fragment Outer on Product { name ...Inner @defer(label: "in") related @stream(initialCount: 1) { id } }
        fragment Inner on Product { review }"""
    response = await answer(client, query, "application/json")
    assert response.json()["data"]["product"] == {
        "name": "product 1",
        "review": "review of 1",
        "related": [{"id": "10"}, {"id": "11"}],
    }


# Batches, errors, the end


async def test_a_streamed_list_over_a_loader_makes_at_most_two_batches(client: httpx.AsyncClient, watch: Watch) -> None:
    response = await answer(client, "{ products(first: 40) @stream(initialCount: 2) { id review } }", MULTIPART)
    assert len(merged(multipart(response.content))["data"]["products"]) == 40
    assert len(watch.batches) <= 2
    assert sorted(key for batch in watch.batches for key in batch) == sorted(map(str, range(40)))


async def test_deferred_fields_share_a_batch(client: httpx.AsyncClient, watch: Watch) -> None:
    await answer(client, "{ products(first: 10) { id ... @defer { review } } }", MULTIPART)
    assert [len(batch) for batch in watch.batches] == [10]


@pytest.mark.parametrize("field", ["broken", "requiredButBroken"])
async def test_deferred_errors_are_masked_too(client: httpx.AsyncClient, field: str) -> None:
    with capture_logs() as logs:
        response = await answer(client, f"{{ product(id: 1) {{ id ... @defer {{ {field} }} }} }}", MULTIPART)
    [error] = merged(multipart(response.content))["errors"]
    assert error["extensions"]["code"] == "INTERNAL_SERVER_ERROR"
    assert SECRET not in response.text
    assert [log["event"] for log in logs] == ["field_failed"]


async def test_the_visit_is_open_until_the_last_part() -> None:
    watch = Watch()
    seen: list[tuple[str, int]] = []

    async def receive() -> Message:
        if not seen:
            seen.append(("request", watch.visits_open))
            return {"type": "http.request", "body": b'{"query":"{hello ... @defer {context(persona: \\"x\\")}}"}'}
        return await asyncio.get_running_loop().create_future()  # type: ignore[no-any-return]

    async def send(message: Message) -> None:
        seen.append((message["type"], watch.visits_open))

    headers = [(b"content-type", b"application/json"), (b"accept", b"multipart/mixed")]
    scope = {"type": "http", "method": "POST", "path": "/graphql", "query_string": b"", "headers": headers}
    await build_endpoint(watch)(scope, receive, send)
    assert seen[0] == ("request", 0)
    assert len(seen) >= 4
    assert all(visits == 1 for _, visits in seen[1:])
    assert watch.visits_open == 0


async def test_an_answer_that_takes_too_long_is_ended_properly_and_its_work_cancelled() -> None:
    watch = Watch()
    transport = httpx.ASGITransport(build_endpoint(watch, Settings(request_timeout_ms=150)))
    async with httpx.AsyncClient(transport=transport, base_url="http://shop.example/graphql") as client:
        response = await answer(client, "{ hello ... @defer { forever } }", MULTIPART)
    first, last = multipart(response.content)
    assert first["data"] == {"hello": "hello world"}
    [completed] = last["completed"]
    assert completed["errors"][0]["extensions"]["code"] == "REQUEST_TIMEOUT"
    assert last["hasNext"] is False
    assert watch.cancelled.is_set()
    assert watch.visits_open == 0


async def test_an_answer_that_breaks_in_the_middle_completes_all_that_is_pending() -> None:
    async def breaking() -> AsyncGenerator[SubsequentIncrementalExecutionResult, None]:
        yield SubsequentIncrementalExecutionResult(has_next=True, pending=[PendingResult("7", ["b"])])
        raise RuntimeError(SECRET)

    initial = InitialIncrementalExecutionResult(
        {"a": 1}, [GraphQLError("no")], pending=[PendingResult("3", ["a"])], has_next=True
    )
    telling = Telling()
    parts = Parts(ExperimentalIncrementalExecutionResults(initial, breaking()), telling, lambda: {"context": 1})
    with capture_logs():
        assert parts.first()["pending"] == [{"id": "3", "path": ["a"]}]
        await parts.next()
        with pytest.raises(RuntimeError) as failure:
            await parts.next()
        last = parts.cut(failure.value)
    await parts.aclose()
    assert parts.more is False
    assert [completed["id"] for completed in last["completed"]] == ["3", "7"]  # type: ignore[attr-defined]
    assert last["extensions"] == {"context": 1}
    assert SECRET not in str(last)
    assert (telling.code, telling.count) == ("INTERNAL_SERVER_ERROR", 2)
