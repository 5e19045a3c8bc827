"""What clients learn of errors, and what only the log does."""

import re

import httpx
import pytest
from graphql import GraphQLError
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from prometheus_client import CollectorRegistry
from structlog.testing import capture_logs

from gateway.errors import UnprocessableVariables
from gateway.execution.masking import formatted_errors, refusal
from personalization.errors import InvalidDistribution
from resolvers.errors import InvalidArgument
from tests.http.shop import SECRET, Watch, build_endpoint

GRAPHQL = {"accept": "application/graphql-response+json"}
TRACE_ID = re.compile(r"[0-9a-f]{32}")


@pytest.mark.parametrize("field", ["broken", "rude", "mistyped"])
async def test_what_nobody_foresaw_becomes_one_sentence_and_a_trace_id(client: httpx.AsyncClient, field: str) -> None:
    with capture_logs() as logs:
        response = await client.post("", json={"query": f"{{ hello {field} }}"}, headers=GRAPHQL)
    content = response.json()
    [error] = content["errors"]
    assert response.status_code == 200
    assert content["data"] == {"hello": "hello world", field: None}
    assert error["path"] == [field]
    assert error["extensions"]["code"] == "INTERNAL_SERVER_ERROR"
    assert TRACE_ID.fullmatch(error["extensions"]["traceId"])
    assert error["extensions"]["traceId"] in error["message"]
    assert SECRET not in response.text
    [log] = logs
    assert (log["event"], log["path"], log["trace_id"]) == ("field_failed", [field], error["extensions"]["traceId"])
    assert isinstance(log["exc_info"], Exception)


@pytest.mark.parametrize(
    ("field", "code", "message"),
    [
        ("forbidden", "FORBIDDEN_CONTEXT", "customer 7 is not yours"),
        ("unavailable", "UPSTREAM_UNAVAILABLE", "the shop does not answer"),
    ],
)
async def test_our_own_errors_show_their_message_and_code(
    client: httpx.AsyncClient, field: str, code: str, message: str
) -> None:
    with capture_logs() as logs:
        response = await client.post("", json={"query": f"{{ {field} }}"}, headers=GRAPHQL)
    [error] = response.json()["errors"]
    assert (error["message"], error["extensions"]) == (message, {"code": code})
    assert response.status_code == 200
    assert response.headers["cache-control"] == "no-store"
    assert logs == []


async def test_what_is_wrong_with_an_argument_is_told(client: httpx.AsyncClient) -> None:
    query = 'query ($id: ID = "1") { product(id: $id) { id } }'
    response = await client.post("", json={"query": query, "variables": {"id": None}}, headers=GRAPHQL)
    [error] = response.json()["errors"]
    assert error["extensions"] == {"code": "BAD_USER_INPUT"}
    assert "ID!" in error["message"]


async def test_the_same_failure_of_many_items_is_logged_once(client: httpx.AsyncClient) -> None:
    with capture_logs() as logs:
        response = await client.post("", json={"query": "{ products(first: 9) { broken } broken }"}, headers=GRAPHQL)
    assert len(response.json()["errors"]) == 10
    assert len(logs) == 2


@pytest.mark.parametrize(
    ("token", "status", "code"),
    [("down", 503, "UPSTREAM_UNAVAILABLE"), ("broken", 500, "INTERNAL_SERVER_ERROR")],
)
@pytest.mark.parametrize("accept", ["application/json", "application/graphql-response+json"])
async def test_a_visit_that_cannot_be_opened_is_an_answer_without_data(
    client: httpx.AsyncClient, token: str, status: int, code: str, accept: str
) -> None:
    headers = {"authorization": f"Bearer {token}", "accept": accept}
    with capture_logs():
        response = await client.post("", json={"query": "{ hello }"}, headers=headers)
    assert response.status_code == status
    assert list(response.json()) == ["errors"]
    assert response.json()["errors"][0]["extensions"]["code"] == code
    assert SECRET not in response.text


async def test_the_trace_id_is_the_one_of_the_operation_span() -> None:
    exporter = InMemorySpanExporter()
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    endpoint = build_endpoint(Watch(), tracer=provider.get_tracer("test"))
    with capture_logs():
        async with httpx.AsyncClient(transport=httpx.ASGITransport(endpoint)) as client:
            response = await client.post("http://shop.example/graphql", json={"query": "query Broken { broken }"})
    [span] = exporter.get_finished_spans()
    assert span.name == "query Broken"
    assert span.context is not None
    assert span.attributes is not None
    assert span.attributes["graphql.error.count"] == 1
    assert response.json()["errors"][0]["extensions"]["traceId"] == f"{span.context.trace_id:032x}"
    provider.shutdown()


async def test_answers_are_counted_by_their_first_code() -> None:
    registry = CollectorRegistry()
    endpoint = build_endpoint(Watch(), registry=registry)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(endpoint)) as client:
        for query in ("{ hello }", "{ hello }", "{ forbidden }", "{"):
            await client.post("http://shop.example/graphql", json={"query": query})

    def count(code: str) -> float | None:
        return registry.get_sample_value("gateway_graphql_answers_total", {"code": code})

    assert [count(code) for code in ("OK", "FORBIDDEN_CONTEXT", "GRAPHQL_PARSE_FAILED")] == [2, 1, 1]


def test_a_code_that_a_resolver_gives_is_kept() -> None:
    error = GraphQLError("teapot", path=["tea"], extensions={"code": "TEAPOT", "short": True})
    assert formatted_errors([error]) == [
        {"message": "teapot", "path": ["tea"], "extensions": {"code": "TEAPOT", "short": True}}
    ]


def test_an_error_of_ours_inside_an_error_of_graphql_is_found() -> None:
    inner = GraphQLError("outer words", original_error=InvalidArgument("first must be 1 to 100, received 0"))
    [told] = formatted_errors([GraphQLError("first must be 1 to 100, received 0", path=["a"], original_error=inner)])
    assert told["extensions"] == {"code": "BAD_USER_INPUT"}


def test_a_refusal_has_both_statuses() -> None:
    refused = refusal(UnprocessableVariables("they do not fit"))
    assert (refused.status, refused.legacy_status, refused.code) == (400, 200, "BAD_USER_INPUT")
    internal = refusal(InvalidDistribution("p sums to 1.2"))
    assert (internal.status, internal.legacy_status, internal.code) == (500, 500, "DECISION_FAILED")
