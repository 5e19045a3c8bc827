"""The rules of the schema: they hold, and each of them can be broken."""

import pytest
from graphql import build_schema as from_sdl

from resolvers.schema import PERSONALIZED, PLAIN, build_schema, executable, field_names, printed
from resolvers.schema_rules import findings

SDL = """
"Reads."
type Query {
  "Plain."
  product("Id." id: ID!): Product
  "Plain."
  catalog("Size." first: Int = 24, "Cursor." after: String): ProductConnection
  "Personalized."
  shelf("Who." context: Context): Product
}
"A product."
type Product {
  "Id."
  id: ID!
  "Below."
  price("Unit." unit: String): Int
}
"A page."
type ProductConnection {
  "Products."
  nodes: [Product!]!
}
"Who."
input Context {
  "Region."
  region: String
}
"""


def of(sdl: str) -> list[str]:
    return findings(from_sdl(sdl), ["product", "catalog"], ["shelf"])


def test_the_schema_keeps_every_rule() -> None:
    plain = [name for part in PLAIN for name in field_names(part)]
    personalized = [name for part in PERSONALIZED for name in field_names(part)]
    assert plain == ["product", "products", "catalog", "categories", "category", "basket"]
    assert personalized == ["recommendations", "components", "segment"]
    assert findings(executable(build_schema()), plain, personalized) == []


def test_a_schema_that_keeps_the_rules_has_no_findings() -> None:
    assert of(SDL) == []


@pytest.mark.parametrize(
    ("broken", "finding"),
    [
        (
            SDL.replace('product("Id." id: ID!)', 'product("Id." id: ID!, "Who." context: Context)'),
            "Query.product is plain and must not take `context`",
        ),
        (
            SDL.replace('price("Unit." unit: String)', 'price("Who." viewer: Context)'),
            "Product.price is plain and must not take `viewer`",
        ),
        (
            SDL.replace('shelf("Who." context: Context)', 'shelf("Who." context: String)'),
            "Query.shelf is personalized and must take `context: Context`",
        ),
        (
            SDL.replace('shelf("Who." context: Context)', 'shelf("Who." context: Context!)'),
            "Query.shelf must not demand its `context`",
        ),
        (
            SDL.replace('  "Plain."\n  product', '  "New."\n  extra: Int\n  "Plain."\n  product'),
            "Query.extra is neither among the plain nor among the personalized fields",
        ),
        (SDL.replace('"A page."\n', ""), "ProductConnection has no description"),
        (SDL.replace('  "Region."\n', ""), "Context.region has no description"),
        (SDL.replace('"Id." id: ID!)', "id: ID!)"), "Query.product(id:) has no description"),
        (
            SDL.replace(', "Cursor." after: String', ""),
            "Query.catalog is a connection and must take `first` and `after`",
        ),
        (SDL.replace("first: Int = 24", "first: Int = 101"), "Query.catalog(first:) must have a default from 1 to 100"),
    ],
)
def test_each_rule_finds_what_breaks_it(broken: str, finding: str) -> None:
    assert finding in of(broken)


def test_the_schema_is_printed_the_same_each_time() -> None:
    assert printed(build_schema()) == printed(build_schema())
