"""Limits count what is asked for, refuse what is too much, and say so."""

import json

import pytest
from graphql import OperationDefinitionNode, get_introspection_query, parse
from graphql.language import Lexer, Source, TokenKind
from hypothesis import given
from hypothesis import settings as trying
from hypothesis import strategies as st
from hypothesis_graphql import queries
from prometheus_client import CollectorRegistry
from structlog.testing import capture_logs

from gateway.errors import GraphQLValidationFailed, LimitExceeded, RequestError
from gateway.execution.limits import CEILING, Extent, count_directives, count_tokens, extent_of
from gateway.execution.selections import fragments_of
from tests.documents.shop import SDL, asked, documents, shop

BOMB = (
    "{...F0}"
    + "".join(f"fragment F{i} on Product{{x:related{{...F{i + 1}}}y:related{{...F{i + 1}}}}}" for i in range(80))
    + "fragment F80 on Product{id}"
)


def refusal(text: str, **settings: object) -> RequestError | None:
    try:
        documents(None, **settings).operation(asked(text))
    except RequestError as error:
        return error
    return None


def extent(text: str) -> Extent:
    document = parse(text)
    operation = next(node for node in document.definitions if isinstance(node, OperationDefinitionNode))
    return extent_of(operation, fragments_of(document))


def refused(text: str, **settings: object) -> dict[str, object]:
    with pytest.raises(LimitExceeded) as caught:
        documents(None, **settings).operation(asked(text))
    assert caught.value.code == "LIMIT_EXCEEDED"
    details = dict(caught.value.details)
    assert str(details["received"]) in str(caught.value)
    return details


@pytest.mark.parametrize(
    ("text", "settings", "limit", "received", "allowed"),
    [
        ("{product{related{related{id}}}}", {"max_depth": 3}, "depth", 4, 3),
        ("{product{...A}} fragment A on Product{related{id}}", {"max_depth": 2}, "depth", 3, 2),
        ("{product{... on Product{related{id}}}}", {"max_depth": 2}, "depth", 3, 2),
        ("{a:product{id} b:product{id}}", {"max_aliases": 1}, "aliases", 2, 1),
        ("{product{...A ...A}} fragment A on Product{a:id b:name}", {"max_aliases": 3}, "aliases", 4, 3),
        ("{product{id @skip(if:true) @include(if:true)}}", {"max_directives": 1}, "directives", 2, 1),
        ("query Q($a:Int @skip(if:true)) @a{clock}", {"max_directives": 1}, "directives", 2, 1),
        ("{clock basket{id} ...A} fragment A on Query{clock}", {"max_root_fields": 2}, "root_fields", 3, 2),
        ("{clock clock clock}", {"max_tokens": 4}, "tokens", 5, 4),
        ("#a\n#b\n{clock}", {"max_tokens": 4}, "tokens", 5, 4),
        ("{catalog(first:90){edges{node{id}}}}", {"max_cost": 200}, "cost", 270, 200),
    ],
)
def test_what_is_over_a_limit_is_refused_with_the_limit_the_value_and_what_is_allowed(
    text: str, settings: dict[str, object], limit: str, received: int, allowed: int
) -> None:
    assert refused(text, **settings) == {"limit": limit, "received": received, "allowed": allowed}


@pytest.mark.parametrize(
    ("text", "settings"),
    [
        ("{product{related{id}}}", {"max_depth": 3}),
        ("{a:product{id}}", {"max_aliases": 1}),
        ("{product{id @skip(if:true)}}", {"max_directives": 1}),
        ("{clock basket{id}}", {"max_root_fields": 2}),
        ("{clock clock}", {"max_tokens": 4}),
        ("{catalog(first:90){edges{node{id}}}}", {"max_cost": 270}),
    ],
)
def test_what_is_exactly_at_a_limit_is_served(text: str, settings: dict[str, object]) -> None:
    assert documents(None, **settings).operation(asked(text)).over == ()


def test_the_standard_introspection_query_passes_the_limits() -> None:
    operation = documents(max_depth=2).operation(asked(get_introspection_query()))
    assert operation.name == "IntrospectionQuery"
    assert operation.cost(None) == 500


def test_introspection_has_a_depth_of_its_own() -> None:
    nested = "ofType{" * 20 + "name" + "}" * 20
    assert refused(f"{{__schema{{types{{{nested}}}}}}}")["limit"] == "introspection_depth"
    fragment = f'{{__type(name:"A"){{...T}}}} fragment T on __Type{{{nested}}}'
    assert refused(fragment, max_depth=40)["limit"] == "introspection_depth"
    hidden = f"{{...Q}} fragment Q on Query{{__schema{{types{{{nested}}}}}}}"
    assert refused(hidden)["limit"] == "introspection_depth"


def test_fragments_that_double_at_each_level_are_counted_in_no_time_and_refused() -> None:
    document = BOMB.replace("...F0", "product{...F0}", 1)
    assert extent(document).aliases == CEILING
    assert refused(document, max_depth=200)["received"] == CEILING
    assert refused(document, max_depth=200, max_aliases=CEILING)["limit"] == "cost"
    assert json.loads(json.dumps(refused(document, max_depth=200)))["limit"] == "aliases"


def test_fragments_in_a_circle_are_left_to_validation() -> None:
    text = "{product{...A}} fragment A on Product{related{...B}} fragment B on Product{related{...A}}"
    with pytest.raises(GraphQLValidationFailed, match="does not fit") as caught:
        documents().operation(asked(text))
    assert any("itself" in error.message for error in caught.value.errors)


def test_fields_repeated_without_end_are_not_compared_without_end() -> None:
    text = "{product{" + "related{id}" * 400 + "}}"
    assert refused(text)["limit"] == "field_comparisons"


def test_warning_lets_through_and_counts_each_request() -> None:
    registry = CollectorRegistry()
    lenient = documents(registry, limits_mode="warn", max_depth=1, max_cost=1, max_tokens=3)
    with capture_logs() as logs:
        for _ in range(2):
            assert {excess.limit for excess in lenient.operation(asked("{product{related{id}}}")).over} == {
                "depth",
                "tokens",
            }
    for limit in ("depth", "tokens", "cost"):
        labels = {"limit": limit, "mode": "warn"}
        assert registry.get_sample_value("gateway_limit_exceeded_total", labels) == 2
    assert {"event": "limit_exceeded", "limit": "depth", "received": 3, "allowed": 1, "log_level": "warning"} in logs


def test_warning_still_refuses_documents_that_take_long_to_read() -> None:
    lenient = documents(limits_mode="warn", max_tokens=10)
    assert lenient.operation(asked("{" + "clock " * 48 + "}")).over[0].received == 50
    with pytest.raises(LimitExceeded):
        lenient.operation(asked("{" + "clock " * 49 + "}"))


def test_refusals_are_counted() -> None:
    registry = CollectorRegistry()
    strict = documents(registry, max_depth=1)
    for text in ("{product{id}}", "{product{id}}", "{" + "clock " * 3000 + "}", "{product{" + "id " * 1000 + "}}"):
        with pytest.raises(LimitExceeded):
            strict.operation(asked(text))
    assert {
        sample.labels["limit"]: sample.value
        for metric in registry.collect()
        for sample in metric.samples
        if sample.name == "gateway_limit_exceeded_total"
    } == {"depth": 3, "tokens": 1}


@trying(deadline=None)
@given(queries(SDL))
def test_tokens_are_counted_as_the_lexer_counts_them(text: str) -> None:
    lexer, count = Lexer(Source(text)), 0
    while lexer.advance().kind is not TokenKind.EOF:
        count += 1
    assert count_tokens(text) == count


@pytest.mark.parametrize(
    ("text", "count"),
    [
        ('{a(b:"""x " \\""" y""")}', 8),
        ('{a(b:"x \\" y" c:"")}', 11),
        ("{a(b:[1-1 1.5e-3,-2])}", 13),
        ("\ufeff{ a } # rest { a a a\n...B", 6),
        ('"never closed', 1),
        ('"""never closed', 1),
    ],
)
def test_tokens_of_unusual_texts(text: str, count: int) -> None:
    assert count_tokens(text) == count


@trying(deadline=None)
@given(st.text(alphabet='"\\#{}().ab1-\n\r,\ufeff é', max_size=60))
def test_a_text_that_parses_has_as_many_tokens_as_were_counted(text: str) -> None:
    counted = max(1, count_tokens(text))
    error = refusal(text, max_tokens=counted)
    assert not error or "more than" not in str(error.errors[0])  # the lexer never counts further than we do
    assert not error or error.details.get("limit") != "tokens"


@trying(deadline=None)
@given(queries(shop()))
def test_directives_written_are_directives_counted(text: str) -> None:
    lexer, count = Lexer(Source(text)), 0
    while lexer.advance().kind is not TokenKind.EOF:
        count += lexer.token.kind is TokenKind.AT
    assert count_directives(parse(text)) == count
