"""Hostile documents get their own error, in bounded time, and break nothing."""

import orjson
import pytest
from hypothesis import given
from hypothesis import settings as trying
from hypothesis import strategies as st
from hypothesis_graphql import queries

from gateway.documents import Documents
from gateway.errors import RequestError
from tests.documents.shop import SDL, asked, documents

SHOP = documents()

PARSE, INVALID, LIMIT = "GRAPHQL_PARSE_FAILED", "GRAPHQL_VALIDATION_FAILED", "LIMIT_EXCEEDED"


def code_of(text: str, shop: Documents = SHOP, name: str | None = None) -> str:
    """The code of the refusal, `OK` without; the answer can be written as JSON and is not larger than 64 kB."""
    error = refusal(text, shop, name)
    assert error is None or len(orjson.dumps(error.formatted())) < 65_536
    return error.code if error else "OK"


def refusal(text: str, shop: Documents, name: str | None) -> RequestError | None:
    try:
        shop.operation(asked(text, name))
    except RequestError as error:
        return error
    return None


HOSTILE = [
    ("", PARSE),
    (" \n\t,\ufeff", PARSE),
    ("#", PARSE),
    ("\x00", PARSE),
    ("{clock\x00}", PARSE),
    ("{clock\x07}", PARSE),
    ("{clöck}", PARSE),
    ("{clock", PARSE),
    ("}", PARSE),
    ("null", PARSE),
    ("{}", PARSE),
    ("{product{}}", PARSE),
    ("\ud800", PARSE),
    ('{product(id:"\ud800"){id}}', PARSE),
    ('{product(id:"\\ud800"){id}}', PARSE),
    ('{product(id:"\\u{110000}"){id}}', PARSE),
    ('{product(id:"never closed){id}}', PARSE),
    ('{product(id:"""never closed){id}}', PARSE),
    ('{product(id:"\U0001f9f4"){id}}', "OK"),
    ("{" * 10_000, LIMIT),
    ("{product" * 300, PARSE),
    ("{product(id:" + "[" * 900, PARSE),
    ("{product(id:" + "{a:" * 500, PARSE),
    ("{product(id:" + "[" * 190 + "]" * 190 + "){id}}", INVALID),
    ("{clock @include(if:" + "{a:" * 150 + "1" + "}" * 150 + ")}", INVALID),
    ("query(" + "$a:" + "[" * 500 + "Int" + "]" * 500 + "){clock}", PARSE),
    ("{" + "a" * 1_000_000 + "}", INVALID),
    ("{product(" + "a" * 1_000_000 + ":1){id}}", INVALID),
    ("query " + "a" * 1_000_000 + "{clock}", "OK"),
    ("query($" + "a" * 1_000_000 + ":Int){clock}", INVALID),
    ("{clock @" + "a" * 1_000_000 + "}", INVALID),
    ("{..." + "a" * 1_000_000 + "}", INVALID),
    ("{" + "a" * 400 + ":clock}", "OK"),
    ("{catalog(first:" + "9" * 5_000 + "){edges{node{id}}}}", INVALID),
    ("{catalog(first:-" + "0" * 5_000 + "){edges{node{id}}}}", PARSE),
    ("{catalog(first:1e999){edges{node{id}}}}", INVALID),
    ("query($n:Int=" + "9" * 5_000 + "){catalog(first:$n){edges{node{id}}}}", INVALID),
    ("{clock " * 1, PARSE),
    ("fragment A on Query{clock}", INVALID),
    ("fragment A on Query{...A}", INVALID),
    ("{...A} fragment A on Query{clock} fragment A on Query{clock}", INVALID),
    ("{clock} {clock}", INVALID),
    ("query A{clock} query A{clock}", INVALID),
    ("subscription{clock}", INVALID),
    ("mutation{nothing}", INVALID),
    ("type A{a:Int}", INVALID),
    ("{clock} type A{a:Int}", INVALID),
    ("extend type Query{a:Int}", INVALID),
    ("{clock{a}}", INVALID),
    ("{product}", INVALID),
    ("{product(id:$id){id}}", INVALID),
    ("query($id:Product){product(id:$id){id}}", INVALID),
    ("query($id:Nothing){product(id:$id){id}}", INVALID),
    ("{product(id:1 id:2){id}}", INVALID),
    ("{a:product(id:1){id} a:product(id:2){id}}", INVALID),
    ("{__proto__{id}}", INVALID),
    ("{__class__}", INVALID),
    ("{product{__init__}}", INVALID),
    ("{...on Nothing{a}}", INVALID),
    ("{...on String{a}}", INVALID),
    ("{clock @include}", INVALID),
    ("{clock @skip(if:true) @skip(if:true)}", INVALID),
    ("{" + "clock @skip(if:true) " * 60 + "}", LIMIT),
    ("{product" + "{related" * 150 + "{id}" + "}" * 151, LIMIT),
    (
        "{...F0}"
        + "".join(f"fragment F{i} on Query{{...F{i + 1}}}" for i in range(230))
        + "fragment F230 on Query{clock}",
        INVALID,
    ),
]


@pytest.mark.parametrize(("text", "code"), HOSTILE, ids=[f"{place}" for place in range(len(HOSTILE))])
def test_each_hostile_document_has_its_code(text: str, code: str) -> None:
    assert code_of(text) == code


def test_deep_documents_break_nothing_where_limits_only_warn() -> None:
    lenient = documents(limits_mode="warn")
    chain = "".join(f"fragment F{i} on Product{{related{{...F{i + 1}}}}}" for i in range(90))
    deep = "{product{...F0}}" + chain + "fragment F90 on Product{id}"
    assert code_of(deep, lenient) == "OK"
    assert code_of("{product" + "{related" * 190 + "{id}" + "}" * 191, lenient) == "OK"
    assert code_of("{product{" + "...{" * 190 + "id" + "}" * 192, lenient) == "OK"


def test_many_operations_over_many_fragments_are_each_served() -> None:
    fragments = "".join(f"fragment F{i} on Query{{...F{i + 1} clock}}" for i in range(140))
    text = "".join(f"query A{i}{{...F0}}" for i in range(100)) + fragments + "fragment F140 on Query{clock}"
    many = documents(max_root_fields=200)
    assert {code_of(text, many, f"A{i}") for i in range(100)} == {"OK"}
    assert code_of(text, many) == "OPERATION_RESOLUTION_FAILURE"


def test_findings_are_bounded_in_number_and_length() -> None:
    with pytest.raises(RequestError) as caught:
        documents().operation(asked("{" + "".join(f"{'x' * 1000}{i} " for i in range(200)) + "}"))
    messages = [error.message for error in caught.value.errors]
    assert len(messages) <= 21
    assert max(map(len, messages)) <= 501


@trying(deadline=None)
@given(st.text())
def test_no_text_breaks_anything(text: str) -> None:
    assert code_of(text)


@trying(deadline=None)
@given(
    st.lists(st.sampled_from([*"{}()[]:!|&=@$", "...", "on", "query", "fragment", "clock", "product", "id", "1", '"']))
)
def test_no_row_of_tokens_breaks_anything(tokens: list[str]) -> None:
    assert code_of(" ".join(tokens))


@trying(deadline=None)
@given(queries(SDL), st.data())
def test_no_damaged_document_breaks_anything(text: str, data: st.DataObject) -> None:
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(text)))
        cut = data.draw(st.integers(0, 5))
        text = text[:at] + data.draw(st.text(alphabet='{}()$@":.!#\\aé\x00 ', max_size=4)) + text[at + cut :]
    assert code_of(text)
