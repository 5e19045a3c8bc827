"""Fragments held against a schema: on any type, with the variables that the manifest declares."""

from pathlib import Path

import pytest

from flags.errors import SchemaUnreadable
from flags.fragments import FragmentSchema, SchemaText, changed
from tests.components.writing import SCHEMA, schema, version_of


@pytest.mark.parametrize(
    ("fragment", "variables"),
    [
        ("fragment {} on Query { product(id: 1) { name } }", {}),
        ("fragment {} on Product { name }", {}),
        ("fragment {} on Line { product { id } }", {}),
        ("fragment {} on Item { ... on Product { name } ... on Basket { id } }", {}),
        ("fragment {} on Query { shelf(place: HOME, context: $context) { id } }", {"context": "Context"}),
        ("fragment {} on Query { shelf(place: $place) { id } }", {"place": "Place! = HOME"}),
        ("# A comment.\nfragment {} on Query { basket @include(if: $shown) { id } }", {"shown": "Boolean!"}),
    ],
)
def test_a_fragment_that_fits_has_no_problems(tmp_path: Path, fragment: str, variables: dict[str, str]) -> None:
    assert schema().problems(version_of(tmp_path, fragment, variables=variables)) == ()


@pytest.mark.parametrize(
    ("fragment", "variables", "problem"),
    [
        (
            "fragment {} on Product {\n  id\n  brand\n}",
            {},
            "fragment.graphql:3: Cannot query field 'brand' on type 'Product'",
        ),
        ("fragment {} on Product {\n  id {", {}, "fragment.graphql:2: Syntax Error: Expected Name, found <EOF>"),
        (
            "\nfragment {} on Prodct { id }",
            {},
            "fragment.graphql:2: the schema has no object, interface or union 'Prodct'",
        ),
        ("fragment {} on Place { id }", {}, "fragment.graphql:1: the schema has no object, interface or union 'Place'"),
        (
            "fragment {} on Query { shelf(place: $place) { id } }",
            {},
            "fragment.graphql:1: Variable '$place' is not defined by operation 'hero_v1'; "
            "declare it in the variables of manifest.json",
        ),
        (
            "fragment {} on Product { id }",
            {"place": "Place"},
            "manifest.json: variables: Variable '$place' is never used in operation 'hero_v1'",
        ),
        (
            "fragment {} on Query { shelf(place: $place) { id } }",
            {"place": "Place"},
            "manifest.json: variables: Variable '$place' of type 'Place' used in position expecting type 'Place!'",
        ),
        (
            "fragment {} on Query { product(id: $id) { id } }",
            {"id": "Number!"},
            "manifest.json: variables: Unknown type 'Number'",
        ),
        (
            "fragment {} on Query { product(id: $id) { id } }",
            {"id": "ID! = 1) { __typename } query Other($a: ID"},
            "manifest.json: variables: a type is not one type alone",
        ),
        ("fragment {} on Query { product(id: $id) { id } }", {"id": "[ID"}, "manifest.json: variables: Syntax Error: "),
        (
            "fragment hero_v2 on Product { id }",
            {},
            "fragment.graphql: received fragment hero_v2; write one fragment hero_v1",
        ),
        (
            "fragment {} on Product { id }\nquery Q { basket { id } }",
            {},
            "fragment.graphql: received fragment hero_v1, something else Q; write one fragment hero_v1",
        ),
        ("{ basket { id } }", {}, "fragment.graphql: received something else; write one fragment hero_v1"),
        (
            "fragment {} on Product { " + "id " * 5000 + "}",
            {},
            "fragment.graphql:1: Syntax Error: Document contains more",
        ),
    ],
)
def test_what_does_not_fit_is_told_with_file_and_line(
    tmp_path: Path, fragment: str, variables: dict[str, str], problem: str
) -> None:
    told = schema().problems(version_of(tmp_path, fragment, variables=variables))
    assert len(told) == 1
    assert told[0].replace('"', "'").startswith(problem)


def test_a_fragment_on_a_root_that_writes_is_refused(tmp_path: Path) -> None:
    (told,) = schema().problems(version_of(tmp_path, "fragment {} on Mutation { add { id } }"))
    assert "Mutation" in told


def test_the_selected_fields_are_those_of_all_levels(tmp_path: Path) -> None:
    version = version_of(
        tmp_path,
        "fragment {} on Query { item: product(id: 1) { name __typename } basket { lines { product { id } } } }",
    )
    assert schema().selected(version) == {
        *("Query.product", "Query.product(id:)", "Product.id", "Product.name", "Product.__typename"),
        *("Query.basket", "Basket.lines", "Line.product"),
    }


def test_breaking_changes_are_told_where_they_touch_what_is_selected() -> None:
    after = SCHEMA.replace("name: String!", "name: String").replace("place: Place!, context: Context", "place: Place")
    asked = ("Product.name", "Query.shelf", "Query.shelf(context:)", "Product.id")
    assert {each: changed(schema(), schema(after), [each]) for each in asked} == {
        "Product.name": ("Field Product.name changed type from String! to String.",),
        "Query.shelf": (),
        "Query.shelf(context:)": ("Argument Query.shelf(context:) was removed.",),
        "Product.id": (),
    }


def test_a_text_that_is_no_schema_is_an_error() -> None:
    with pytest.raises(SchemaUnreadable, match=r"old\.graphql is no GraphQL schema"):
        FragmentSchema(SchemaText("old.graphql", "type Query {"))
