"""Plain fields: pages, categories, baskets, and what they say to bad input."""

import pytest

from tests.gateway.client import GatewayClient

PAGE = """query ($first: Int!, $after: String, $category: ID, $search: String, $sort: ProductSort!) {
  catalog(first: $first, after: $after, category: $category, search: $search, sort: $sort) {
    nodes { id name } pageInfo { hasNextPage hasPreviousPage endCursor } totalCount
  }
}"""
ADD = """mutation ($product: ID!, $basket: ID, $quantity: Int!) {
  addToBasket(productId: $product, basketId: $basket, quantity: $quantity) {
    id units amount currency lines { productId quantity amount product { name } }
  }
}"""


async def pages(gateway: GatewayClient, **variables: object) -> list[dict[str, object]]:
    """Every product of a list, page by page."""
    found: list[dict[str, object]] = []
    after = None
    while True:
        answer = await gateway.ask(PAGE, {"first": 100, "after": after, "sort": "NAME", **variables})
        page = answer["data"]["catalog"]
        found += page["nodes"]
        after = page["pageInfo"]["endCursor"]
        if not page["pageInfo"]["hasNextPage"]:
            assert page["totalCount"] == len(found)
            return found


async def test_pages_cover_the_whole_catalog_once(gateway: GatewayClient) -> None:
    found = await pages(gateway)
    assert len(found) == len({product["id"] for product in found}) == 2170


async def test_a_search_finds_what_it_says(gateway: GatewayClient) -> None:
    found = await pages(gateway, search="toothpaste", sort="RELEVANCE")
    assert 0 < len(found) < 2170


async def test_the_category_tree_hangs_together(gateway: GatewayClient) -> None:
    answer = await gateway.ask("{ categories { id productCount parent { id } children { id productCount } } }")
    tree = {category["id"]: category for category in answer["data"]["categories"]}
    assert sum(each["productCount"] for each in tree.values() if each["parent"] is None) == 2170
    for category in tree.values():
        for child in category["children"]:
            assert tree[child["id"]]["parent"] == {"id": category["id"]}


async def test_what_does_not_exist_is_null(gateway: GatewayClient) -> None:
    answer = await gateway.ask('{ product(id: "?") { id } products(ids: ["?"]) { id } category(id: "?") { id } }')
    assert answer == {"data": {"product": None, "products": [None], "category": None}}


@pytest.mark.parametrize(
    ("query", "code", "words"),
    [
        ("{ catalog(first: 0) { totalCount } }", "BAD_USER_INPUT", "`first` is 0"),
        ("{ catalog(first: 101) { totalCount } }", "BAD_USER_INPUT", "`first` is 101"),
        ('{ catalog(after: "elsewhere") { totalCount } }', "INVALID_CURSOR", "cursor"),
        ('{ catalog(category: "?") { totalCount } }', "NOT_FOUND", "category"),
        ("{ recommendations(placement: HOME, first: -1) { products { id } } }", "BAD_USER_INPUT", "`first` is -1"),
    ],
)
async def test_each_bad_argument_has_its_own_error(gateway: GatewayClient, query: str, code: str, words: str) -> None:
    error = (await gateway.ask(query))["errors"][0]
    assert error["extensions"]["code"] == code
    assert words in error["message"]


async def test_a_basket_is_its_viewers_own(gateway: GatewayClient) -> None:
    product = (await pages(gateway, search="toothpaste"))[0]["id"]
    made = await gateway.ask(ADD, {"product": product, "quantity": 2})
    basket = made["data"]["addToBasket"]
    again = (await gateway.ask(ADD, {"product": product, "quantity": 1, "basket": basket["id"]}))["data"]["addToBasket"]
    assert again["units"] == 3
    read = "query ($id: ID!) { basket(id: $id) { units } }"
    assert (await gateway.ask(read, {"id": basket["id"]}))["data"]["basket"] == {"units": 3}
    gateway.http.cookies.clear()
    assert (await gateway.ask(read, {"id": basket["id"]}))["data"]["basket"] is None
    stolen = await gateway.ask(ADD, {"product": product, "quantity": 1, "basket": basket["id"]})
    assert stolen["errors"][0]["extensions"]["code"] == "NOT_FOUND"


@pytest.mark.parametrize("quantity", [0, -1, 100])
async def test_units_are_bounded(gateway: GatewayClient, quantity: int) -> None:
    answer = await gateway.ask(ADD, {"product": "1", "quantity": quantity})
    assert answer["errors"][0]["extensions"]["code"] == "BAD_USER_INPUT"


async def test_an_answer_of_plain_fields_may_be_kept_by_everyone(gateway: GatewayClient) -> None:
    plain = await gateway.http.get("/graphql", params={"query": "{ categories { id } }"})
    assert plain.headers["cache-control"].startswith("public, max-age=300")
    assert "set-cookie" not in plain.headers
    personalized = await gateway.http.get("/graphql", params={"query": "{ segment { persona } }"})
    assert personalized.headers["cache-control"].startswith("private")
