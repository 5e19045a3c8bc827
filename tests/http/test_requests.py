"""Methods, media types, bodies, parameters and foreign pages: what is taken in and what is refused."""

import hashlib
from collections.abc import AsyncIterator, Callable
from typing import Any

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.errors import BadRequest, CsrfRefused, RequestError
from gateway.incoming import check_origin, from_body, from_query_string
from gateway.settings import Settings
from tests.http.shop import Watch, build_endpoint

JSON = "application/json"
GRAPHQL = "application/graphql-response+json"
HELLO = {"query": "{ hello }"}


def code(response: httpx.Response) -> str:
    """The code of a refusal, which has no data."""
    content = response.json()
    assert "data" not in content
    return str(content["errors"][0]["extensions"]["code"])


@pytest.mark.parametrize("accept", [JSON, GRAPHQL])
async def test_a_post_and_a_get_are_answered_in_the_media_type_asked_for(
    client: httpx.AsyncClient, accept: str
) -> None:
    by_post = await client.post("", json=HELLO, headers={"accept": accept})
    by_get = await client.get("", params=HELLO, headers={"accept": accept})
    for response in (by_post, by_get):
        assert response.status_code == 200
        assert response.headers["content-type"] == f"{accept}; charset=utf-8"
        assert response.headers["x-content-type-options"] == "nosniff"
        assert response.headers["vary"] == "Accept"
        assert int(response.headers["content-length"]) == len(response.content)
        assert response.json() == {"data": {"hello": "hello world"}}


async def test_without_accept_the_answer_is_json(client: httpx.AsyncClient) -> None:
    response = await client.post("", json=HELLO)
    assert "accept" not in response.request.headers
    assert response.headers["content-type"] == f"{JSON}; charset=utf-8"


@pytest.mark.parametrize("method", ["PUT", "DELETE", "PATCH", "OPTIONS", "HEAD", "TRACE"])
async def test_other_methods_are_told_which_are_allowed(client: httpx.AsyncClient, method: str) -> None:
    response = await client.request(method, "")
    assert response.status_code == 405
    assert response.headers["allow"] == "GET, POST"


async def test_a_mutation_by_get_is_refused_and_not_executed(client: httpx.AsyncClient, watch: Watch) -> None:
    response = await client.get("", params={"query": "mutation { restock(units: 3) }"}, headers={"accept": GRAPHQL})
    assert (response.status_code, response.headers["allow"]) == (405, "POST")
    assert code(response) == "METHOD_NOT_ALLOWED"
    assert watch.stock == []


async def test_the_operation_named_decides_whether_it_is_a_mutation(client: httpx.AsyncClient, watch: Watch) -> None:
    both = "query Q { hello } mutation M { restock(units: 3) }"
    query = await client.get("", params={"query": both, "operationName": "Q"})
    mutation = await client.get("", params={"query": both, "operationName": "M"})
    posted = await client.post("", json={"query": both, "operationName": "M"})
    assert (query.status_code, mutation.status_code) == (200, 405)
    assert posted.json() == {"data": {"restock": 3}}


async def test_nothing_acceptable_is_still_explained_in_json(client: httpx.AsyncClient) -> None:
    response = await client.post("", json=HELLO, headers={"accept": "text/html"})
    assert response.status_code == 406
    assert response.headers["content-type"] == f"{JSON}; charset=utf-8"
    assert code(response) == "NOT_ACCEPTABLE"


@pytest.mark.parametrize(
    "content_type",
    [
        None,
        "text/plain",
        "application/x-www-form-urlencoded",
        "multipart/form-data; boundary=x",
        "application/graphql",
        "text/plain; application/json",
        "application/json; charset=latin-1",
        "application/jsonx",
    ],
)
async def test_bodies_that_are_not_json_are_refused(client: httpx.AsyncClient, content_type: str | None) -> None:
    headers = {"content-type": content_type} if content_type else {}
    response = await client.post("", content=b'{"query":"{hello}"}', headers=headers)
    assert (response.status_code, code(response)) == (415, "UNSUPPORTED_MEDIA_TYPE")


async def test_two_content_types_are_none(client: httpx.AsyncClient) -> None:
    headers = [("content-type", JSON), ("content-type", "text/plain")]
    response = await client.post("", content=b'{"query":"{hello}"}', headers=headers)
    assert response.status_code == 415


async def test_a_compressed_body_is_refused(client: httpx.AsyncClient) -> None:
    headers = {"content-type": JSON, "content-encoding": "gzip"}
    response = await client.post("", content=b"\x1f\x8b", headers=headers)
    assert response.status_code == 415


@pytest.mark.parametrize("content_type", [JSON, "application/json;charset=UTF-8", 'APPLICATION/JSON; charset="utf8"'])
async def test_json_in_utf8_is_taken(client: httpx.AsyncClient, content_type: str) -> None:
    content = '{"query":"{hello(name:\\"Jürgen 🏊\\")}"}'.encode()
    response = await client.post("", content=content, headers={"content-type": content_type})
    assert response.json() == {"data": {"hello": "hello Jürgen 🏊"}}


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b'{ "not a JSON',
        b'{"query": "\xff"}',
        b'"a string"',
        b"17",
        b"null",
        b"NaN",
        b'{"qeury": "{hello}"}',
        b'{"query": null}',
        b'{"query": 1}',
        b'{"query": {}}',
        b'{"query": ["{hello}"]}',
        b'{"query": "{hello}", "operationName": 1}',
        b'{"query": "{hello}", "variables": "{}"}',
        b'{"query": "{hello}", "variables": [1]}',
        b'{"query": "{hello}", "variables": 0}',
        b'{"query": "{hello}", "extensions": true}',
        b"[" * 5000,
    ],
)
@pytest.mark.parametrize("accept", [JSON, GRAPHQL])
async def test_what_is_no_request_is_a_bad_request_under_either_media_type(
    client: httpx.AsyncClient, body: bytes, accept: str
) -> None:
    response = await client.post("", content=body, headers={"content-type": JSON, "accept": accept})
    assert (response.status_code, code(response)) == (400, "BAD_REQUEST")


async def test_a_batch_is_refused_and_says_so(client: httpx.AsyncClient) -> None:
    response = await client.post("", json=[HELLO, HELLO])
    assert (response.status_code, code(response)) == (422, "BATCHING_NOT_SUPPORTED")
    assert "array" in response.json()["errors"][0]["message"]


async def test_null_and_unknown_parameters_are_as_if_left_out(client: httpx.AsyncClient) -> None:
    content = {**HELLO, "operationName": None, "variables": None, "extensions": None, "id": "7"}
    response = await client.post("", json=content)
    assert response.json() == {"data": {"hello": "hello world"}}


@pytest.mark.parametrize(
    ("document", "expected", "status"),
    [
        ("{", "GRAPHQL_PARSE_FAILED", 400),
        ("{ nothingOfThatName }", "GRAPHQL_VALIDATION_FAILED", 400),
        ("query A { hello } query B { hello }", "OPERATION_RESOLUTION_FAILURE", 422),
        ("query ($id: ID!) { product(id: $id) { id } }", "BAD_USER_INPUT", 400),
    ],
)
async def test_well_formed_requests_that_fail_have_their_status_only_under_the_new_media_type(
    client: httpx.AsyncClient, document: str, expected: str, status: int
) -> None:
    new = await client.post("", json={"query": document}, headers={"accept": GRAPHQL})
    legacy = await client.post("", json={"query": document}, headers={"accept": JSON})
    assert (new.status_code, code(new)) == (status, expected)
    assert (legacy.status_code, code(legacy)) == (200, expected)
    assert new.headers["cache-control"] == legacy.headers["cache-control"] == "no-store"


async def test_each_variable_that_does_not_fit_is_named_and_located(client: httpx.AsyncClient, watch: Watch) -> None:
    response = await client.post(
        "",
        json={
            "query": "mutation ($a: Int!, $b: Int!) { a: restock(units: $a) b: restock(units: $b) }",
            "variables": {"a": "many", "b": 1.5},
        },
        headers={"accept": GRAPHQL},
    )
    errors = response.json()["errors"]
    assert [error["extensions"]["code"] for error in errors] == ["BAD_USER_INPUT", "BAD_USER_INPUT"]
    assert all(error["locations"] for error in errors)
    assert watch.stock == []


async def test_a_persisted_query_is_asked_for_by_its_hash(client: httpx.AsyncClient) -> None:
    document = "{ hello }"
    digest = hashlib.sha256(document.encode()).hexdigest()
    extensions = {"persistedQuery": {"version": 1, "sha256Hash": digest}}
    unknown = await client.post("", json={"extensions": extensions}, headers={"accept": GRAPHQL})
    assert (unknown.status_code, code(unknown)) == (404, "PERSISTED_QUERY_NOT_FOUND")
    await client.post("", json={"query": document, "extensions": extensions})
    known = await client.get("", params={"extensions": httpx.Response(200, json=extensions).text})
    assert known.json() == {"data": {"hello": "hello world"}}


async def test_variables_of_a_get_are_json(client: httpx.AsyncClient) -> None:
    document = "query Hello($name: String!) { hello(name: $name) }"
    good = await client.get("", params={"query": document, "variables": '{"name":"you"}', "operationName": ""})
    bad = await client.get("", params={"query": document, "variables": "{name:you}"})
    wrong = await client.get("", params={"query": document, "variables": "[1]"})
    assert good.json() == {"data": {"hello": "hello you"}}
    assert code(bad) == code(wrong) == "BAD_REQUEST"


@pytest.mark.parametrize("query_string", ["query={hello}&query={hello}", "query=%FF", "&".join(["a=1"] * 60)])
async def test_query_strings_that_mean_nothing_certain_are_refused(
    client: httpx.AsyncClient, query_string: str
) -> None:
    response = await client.get(f"http://shop.example/graphql?{query_string}")
    assert (response.status_code, code(response)) == (400, "BAD_REQUEST")


async def test_a_forged_token_is_refused_with_a_challenge(client: httpx.AsyncClient) -> None:
    response = await client.post("", json=HELLO, headers={"authorization": "Bearer forged"})
    assert (response.status_code, code(response)) == (401, "INVALID_TOKEN")
    assert response.headers["www-authenticate"] == 'Bearer error="invalid_token"'


async def test_browsers_that_ask_for_a_page_are_sent_to_it(client: httpx.AsyncClient) -> None:
    browser = {"accept": "text/html,application/xhtml+xml,*/*;q=0.8"}
    page = await client.get("", headers=browser)
    answer = await client.get("", params=HELLO, headers=browser)
    assert (page.status_code, page.headers["location"]) == (303, "/graphiql/")
    assert answer.json() == {"data": {"hello": "hello world"}}


# The size of bodies


@pytest.fixture
async def narrow() -> AsyncIterator[httpx.AsyncClient]:
    """A client of an endpoint that reads no more than 1024 bytes."""
    transport = httpx.ASGITransport(build_endpoint(Watch(), Settings(max_body_bytes=1024)))
    async with httpx.AsyncClient(transport=transport, base_url="http://shop.example/graphql") as client:
        yield client


def body_of(size: int) -> bytes:
    empty = b'{"query":"{hello}","extensions":{"x":""}}'
    return empty[:-3] + b"x" * (size - len(empty)) + empty[-3:]


@pytest.mark.parametrize(("size", "status"), [(1024, 200), (1025, 413), (5000, 413)])
async def test_a_body_over_the_limit_is_refused(narrow: httpx.AsyncClient, size: int, status: int) -> None:
    response = await narrow.post("", content=body_of(size), headers={"content-type": JSON})
    assert response.status_code == status


async def test_a_body_is_counted_as_it_comes_whatever_it_says_of_itself(narrow: httpx.AsyncClient) -> None:
    sent: list[int] = []

    async def chunks() -> AsyncIterator[bytes]:
        for number in range(1000):
            sent.append(number)
            yield b" " * 500

    response = await narrow.post("", content=chunks(), headers={"content-type": JSON})
    assert (response.status_code, code(response)) == (413, "PAYLOAD_TOO_LARGE")
    assert response.headers["connection"] == "close"
    assert len(sent) < 10


async def test_a_query_string_over_the_limit_is_refused(narrow: httpx.AsyncClient) -> None:
    response = await narrow.get("", params={**HELLO, "x": "x" * 2000})
    assert (response.status_code, code(response)) == (414, "URI_TOO_LONG")


# Pages of other sites

ALLOWED = ("https://shop.example",)


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"sec-fetch-site": "same-origin"},
        {"sec-fetch-site": "none"},
        {"sec-fetch-site": "cross-site", "origin": "https://shop.example"},
        {"sec-fetch-site": "cross-site", "apollo-require-preflight": "true"},
        {"sec-fetch-site": "same-site", "x-apollo-operation-name": "Home"},
        {"sec-fetch-site": "cross-site", "graphql-require-preflight": "1", "origin": "https://evil.example"},
        {"origin": "http://gateway.example", "host": "gateway.example"},
    ],
)
def test_gets_of_programs_own_pages_allowed_pages_and_preflighted_ones_pass(headers: dict[str, str]) -> None:
    check_origin(headers, ALLOWED)


@pytest.mark.parametrize(
    "headers",
    [
        {"sec-fetch-site": "cross-site"},
        {"sec-fetch-site": "same-site"},
        {"sec-fetch-site": "cross-site", "origin": "https://evil.example"},
        {"sec-fetch-site": "cross-site", "apollo-require-preflight": ""},
        {"origin": "https://evil.example", "host": "gateway.example"},
        {"origin": "null", "host": "gateway.example"},
    ],
)
def test_gets_that_foreign_pages_have_sent_are_refused(headers: dict[str, str]) -> None:
    with pytest.raises(CsrfRefused):
        check_origin(headers, ALLOWED)


async def test_a_foreign_page_is_told_why(client: httpx.AsyncClient) -> None:
    response = await client.get("", params=HELLO, headers={"sec-fetch-site": "cross-site", "sec-fetch-mode": "no-cors"})
    assert (response.status_code, code(response)) == (403, "CSRF_REFUSED")


# Whatever comes in


def status_of(reading: Callable[[], object]) -> int:
    """200, or the status of the refusal; anything else that is raised fails the test."""
    try:
        reading()
    except RequestError as error:
        return error.status
    return 200


@given(st.binary(max_size=300))
def test_any_body_is_a_request_or_a_refusal(body: bytes) -> None:
    assert status_of(lambda: from_body(body)) in (200, 400, 422)


JSON_VALUES: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)


@given(st.text(), JSON_VALUES)
def test_a_wrong_type_is_always_named(query: str, value: Any) -> None:
    content = httpx.Response(200, json={"query": query, "variables": value}).content
    if value is None or isinstance(value, dict):
        assert from_body(content).variables == value
    else:
        with pytest.raises(BadRequest, match="`variables` must be an object"):
            from_body(content)


@given(st.binary(max_size=200))
def test_any_query_string_is_a_request_or_a_refusal(query_string: bytes) -> None:
    assert status_of(lambda: from_query_string(query_string, 1000)) in (200, 400)


@pytest.mark.parametrize("number", [2**63, 2**64, -(2**63) - 1, -(2**64), 10**300])
def test_integers_of_any_size_are_exact(number: int) -> None:
    text = f'{{"id": [{number}, 0.5]}}'
    assert from_body(f'{{"query": "", "variables": {text}}}'.encode()).variables == {"id": [number, 0.5]}
    query_string = httpx.QueryParams({"query": "{a}", "variables": text})
    assert from_query_string(str(query_string).encode(), 1000).variables == {"id": [number, 0.5]}


def test_long_numbers_in_deep_nesting_are_refused_or_read() -> None:
    for depth in (100, 900, 1000, 2000):
        text = f'{{"query": "", "variables": {{"a": {"[" * depth}{2**70}{"]" * depth}}}}}'
        assert status_of(lambda text=text: from_body(text.encode())) in (200, 400)  # type: ignore[misc]
