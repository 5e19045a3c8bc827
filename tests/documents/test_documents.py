"""Requests find their operations: written out, by hash, by id, and each refusal has its code."""

import json
from contextlib import suppress
from pathlib import Path

import pytest
from graphql import OperationType
from hypothesis import given
from hypothesis import settings as trying
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry
from structlog.testing import capture_logs

from gateway.documents import GraphQLRequest
from gateway.errors import (
    BadRequest,
    IntrospectionDisabled,
    PersistedQueryMismatch,
    PersistedQueryNotFound,
    PersistedQueryNotSupported,
    RequestError,
    StartRefused,
    UnknownOperation,
    UntrustedDocument,
)
from gateway.manifest import TrustedDocument, document_hash, write_manifest
from tests.documents.shop import asked, documents

HOME = "query Home($n: Int) { catalog(first: $n) { edges { node { id } } } }"
TWO = "query A { clock } query B { product { id } }"


def persisted(text: str | None, **members: object) -> GraphQLRequest:
    return GraphQLRequest(text, extensions={"persistedQuery": members})


def by_hash(digest: object, text: str | None = None) -> GraphQLRequest:
    return persisted(text, version=1, sha256Hash=digest)


def lookups(registry: CollectorRegistry, result: str) -> float | None:
    return registry.get_sample_value("gateway_documents_total", {"result": result})


def manifest(path: Path, *texts: str) -> Path:
    write_manifest(
        path,
        [
            TrustedDocument(f"id-{number}", text.split()[1].split("(")[0], text.split()[0], text)
            for number, text in enumerate(texts)
        ],
    )
    return path


def test_a_document_is_read_once_and_then_looked_up() -> None:
    registry = CollectorRegistry()
    shop = documents(registry)
    first = shop.operation(asked(HOME, n=3))
    assert shop.operation(asked(HOME, n=5)) is first
    assert (first.name, first.kind, first.hash) == ("Home", OperationType.QUERY, document_hash(HOME))
    assert (lookups(registry, "miss"), lookups(registry, "hit")) == (1, 1)


def test_an_operation_is_chosen_by_name_or_is_the_only_one() -> None:
    shop = documents()
    assert shop.operation(asked(TWO, "B")).name == "B"
    assert shop.operation(asked(TWO, "A")).name == "A"
    assert shop.operation(asked(HOME, "Home")).name == "Home"
    for text, name, reason in (
        (TWO, None, "2 operations"),
        (TWO, "C", "'C'"),
        (HOME, "home", "'home'"),
        ("{clock}", "A", "'A'"),
    ):
        for _ in range(2):
            with pytest.raises(UnknownOperation, match=reason):
                shop.operation(asked(text, name))


def test_operations_that_defer_are_marked() -> None:
    shop = documents()
    assert not shop.operation(asked(HOME)).incremental
    assert shop.operation(asked("{product{id ... @defer {name}}}")).incremental
    assert shop.operation(asked("{product{...A}} fragment A on Product{id ...B @defer} fragment B on Product{name}"))
    several = "query A{product{...F}} query B{clock} fragment F on Product{...@defer{name}}"
    assert shop.operation(asked(several, "A")).incremental
    assert not shop.operation(asked(several, "B")).incremental


def test_a_hash_is_unknown_until_its_document_came_with_it() -> None:
    shop = documents()
    digest = document_hash(HOME)
    with pytest.raises(PersistedQueryNotFound, match="PersistedQueryNotFound"):
        shop.operation(by_hash(digest))
    registered = shop.operation(by_hash(digest, HOME))
    assert shop.operation(by_hash(digest)) is registered
    assert shop.operation(by_hash(digest.upper())) is registered


def test_a_document_that_is_not_the_one_of_the_hash_is_refused_and_not_kept() -> None:
    shop = documents()
    with pytest.raises(PersistedQueryMismatch):
        shop.operation(by_hash(document_hash(HOME), TWO))
    with pytest.raises(PersistedQueryNotFound):
        shop.operation(by_hash(document_hash(HOME)))
    with pytest.raises(PersistedQueryNotFound):
        shop.operation(by_hash(document_hash(TWO)))


@pytest.mark.parametrize(
    ("value", "error"),
    [
        ("text", BadRequest),
        ([], BadRequest),
        ({"version": 2, "sha256Hash": "0" * 64}, PersistedQueryNotSupported),
        ({"version": 1}, BadRequest),
        ({"version": 1, "sha256Hash": "0" * 63}, BadRequest),
        ({"version": 1, "sha256Hash": "z" * 64}, BadRequest),
        ({"version": 1, "sha256Hash": 7}, BadRequest),
        ({"id": "nothing"}, PersistedQueryNotFound),
        ({"documentId": "nothing"}, PersistedQueryNotFound),
    ],
)
def test_malformed_persisted_queries_are_refused(value: object, error: type[RequestError]) -> None:
    with pytest.raises(error):
        documents().operation(GraphQLRequest(None, extensions={"persistedQuery": value}))


def test_without_persisted_queries_a_hash_alone_is_refused_for_good() -> None:
    shop = documents(apq=False)
    with pytest.raises(PersistedQueryNotSupported, match="PersistedQueryNotSupported"):
        shop.operation(by_hash(document_hash(HOME)))
    assert shop.operation(by_hash(document_hash(HOME), HOME)).name == "Home"


def test_a_request_without_any_document_is_refused() -> None:
    for request in (asked(None), GraphQLRequest(None, extensions={}), GraphQLRequest(None, extensions={"other": 1})):
        with pytest.raises(BadRequest):
            documents().operation(request)


def test_the_least_recently_used_document_goes_first_and_refused_ones_push_nothing_out() -> None:
    registry = CollectorRegistry()
    shop = documents(registry, operation_cache_size=2)
    for text in ("{clock}", "{product{id}}", "{clock}", "{basket{id}}"):
        shop.operation(asked(text))
    for number in range(10):
        with pytest.raises(RequestError):
            shop.operation(asked(f"{{unknown{number}}}"))
    before = lookups(registry, "hit")
    shop.operation(asked("{clock}"))
    shop.operation(asked("{basket{id}}"))
    assert lookups(registry, "hit") == (before or 0) + 2
    shop.operation(asked("{product{id}}"))
    assert lookups(registry, "hit") == (before or 0) + 2


def test_a_document_larger_than_the_whole_cache_is_served_all_the_same() -> None:
    shop = documents(operation_cache_size=1, max_tokens=5000)
    large = "{product{" + "id " * 150 + "}}" + "#" * 20_000
    assert shop.operation(asked(large)).kind is OperationType.QUERY


async def test_trusted_documents_are_warm_before_the_first_request_and_stay(tmp_path: Path) -> None:
    registry = CollectorRegistry()
    path = manifest(tmp_path / "documents.json", HOME, "query Clock { clock }")
    shop = documents(registry, documents_manifest=path, operation_cache_size=1)
    assert await shop.warm() == 2
    for number in range(5):
        shop.operation(asked(f"{{a{number}: clock}}"))
    home = shop.operation(asked(HOME, n=1))
    assert home.trusted
    assert shop.operation(persisted(None, id="id-0")) is home
    assert shop.operation(persisted(None, documentId="id-0")) is home
    assert shop.operation(by_hash(document_hash(HOME))) is home
    assert shop.operation(persisted(HOME, id="id-0")) is home
    with pytest.raises(PersistedQueryMismatch):
        shop.operation(persisted(TWO, id="id-0"))
    assert lookups(registry, "miss") == 5


async def test_only_the_manifest_is_served_when_the_setting_says_so(tmp_path: Path) -> None:
    path = manifest(tmp_path / "documents.json", HOME)
    registry = CollectorRegistry()
    shop = documents(registry, documents_mode="only", documents_manifest=path)
    await shop.warm()
    for request in (asked(HOME, n=1), persisted(None, id="id-0"), by_hash(document_hash(HOME))):
        assert shop.operation(request).name == "Home"
    strangers = (asked("{clock}"), persisted(None, id="id-9"), by_hash("0" * 64))
    for request in (*strangers, by_hash(document_hash("{clock}"), "{clock}"), asked("{{{{")):
        with pytest.raises(UntrustedDocument):
            shop.operation(request)
    assert registry.get_sample_value("gateway_untrusted_documents_total") == 5


async def test_documents_outside_the_manifest_are_counted_and_logged_when_the_setting_says_so(tmp_path: Path) -> None:
    path = manifest(tmp_path / "documents.json", HOME)
    registry = CollectorRegistry()
    shop = documents(registry, documents_mode="log", documents_manifest=path)
    await shop.warm()
    with capture_logs() as logs:
        shop.operation(asked(HOME, n=1))
        shop.operation(asked("{clock}"))
        shop.operation(asked("{clock}"))
    assert registry.get_sample_value("gateway_untrusted_documents_total") == 2
    assert [entry["hash"] for entry in logs] == [document_hash("{clock}")]


def test_only_without_a_manifest_does_not_start() -> None:
    with pytest.raises(StartRefused, match="GATEWAY_DOCUMENTS_MANIFEST"):
        documents(documents_mode="only")


def entry(**members: object) -> dict[str, object]:
    return {"id": "1", "name": "Clock", "type": "query", "body": "query Clock { clock }"} | members


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ("nothing", "cannot be read"),
        ("{", "is not JSON"),
        ([], "must have format"),
        ({"format": "other", "version": 1, "operations": []}, "must have format"),
        ({"operations": {}}, "no list of operations"),
        ({"operations": [1]}, "operation 0 is not an object"),
        ({"operations": [entry(body=None)]}, "operation 'Clock' has no body"),
        ({"operations": [entry(name="")]}, "operation 0 has no name"),
        ({"operations": [entry(type="fragment")]}, "unknown type 'fragment'"),
        ({"operations": [entry(), entry(name="Other")]}, "have one id, '1'"),
        (
            {"operations": [entry(body="query Clock { clok }")]},
            "operation 'Clock' is refused: Cannot query field 'clok'",
        ),
        ({"operations": [entry(body="query Clock {")]}, "operation 'Clock' is refused: Syntax Error"),
        ({"operations": [entry(body="query Watch { clock }")]}, "no operation named 'Clock'"),
        ({"operations": [entry(type="mutation")]}, "operation 'Clock' is a query, not a mutation"),
        ({"operations": [entry(body="query Clock { " + "clock " * 30 + "}")]}, "root_fields is 30, at most 20"),
        ({"operations": [entry(body='query Clock { a(b: "\ud800") }')]}, "half a character"),
    ],
)
async def test_a_broken_manifest_stops_the_start_and_says_where(tmp_path: Path, content: object, reason: str) -> None:
    path = tmp_path / "documents.json"
    if isinstance(content, dict):
        content = {"format": "apollo-persisted-query-manifest", "version": 1} | content
    if content != "nothing":
        path.write_text(content if isinstance(content, str) else json.dumps(content))
    with pytest.raises(StartRefused) as caught:
        await documents(documents_manifest=path).warm()
    assert str(path) in str(caught.value)
    if content is not None and "half" not in reason:
        assert reason in str(caught.value)


def test_introspection_may_be_switched_off_and_names_are_not_suggested_then() -> None:
    closed = documents(introspection=False)
    with pytest.raises(IntrospectionDisabled) as caught:
        closed.operation(asked("{product{id} __schema{types{name}}}"))
    assert caught.value.formatted()[0]["extensions"] == {"code": "INTROSPECTION_DISABLED"}
    assert closed.operation(asked("{__typename product{__typename}}")).trusted is False
    with pytest.raises(RequestError) as unknown:
        closed.operation(asked("{produkt{id}}"))
    assert "Did you mean" not in unknown.value.errors[0].message
    with pytest.raises(RequestError) as helped:
        documents().operation(asked("{produkt{id}}"))
    assert "Did you mean 'product'" in helped.value.errors[0].message


@trying(deadline=None)
@given(
    st.dictionaries(
        st.sampled_from(["version", "sha256Hash", "id", "documentId"]),
        st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.lists(st.integers()),
    ),
    st.none() | st.text(),
)
def test_no_persisted_query_breaks_anything(members: dict[str, object], text: str | None) -> None:
    shop = documents()
    with suppress(RequestError):
        assert shop.operation(persisted(text, **members)).document
