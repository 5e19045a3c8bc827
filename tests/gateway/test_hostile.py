"""Hostile strings in every argument: each gets an answer of its own, never a failure of the gateway's."""

import io
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
import structlog
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gateway.logs import configure_logging
from tests.gateway.client import GatewayClient

HOSTILE = [
    "",
    " ",
    "'; DROP TABLE product; --",
    '" OR 1=1 --',
    "NEAR(a b)",
    "*",
    "a AND",
    "\u0000",
    "\ud800".encode("utf-16", "surrogatepass").decode("utf-16", "replace"),
    "../../etc/passwd",
    "<script>alert(1)</script>",
    "%s%n{0}${x}",
    "\u202e\u200b\ufeff",
    "x" * 10_000,
]
EVERYWHERE = """
query ($s: String!, $id: ID!) {
  a: product(id: $id) { id }
  b: products(ids: [$id, $id]) { id price { amount } stock { units } category { id } coupons { id } }
  c: catalog(search: $s) { nodes { id } totalCount }
  d: catalog(category: $id) { nodes { id } }
  e: catalog(after: $s) { nodes { id } }
  f: category(id: $id) { id }
  g: basket(id: $id) { id }
  h: recommendations(placement: CATEGORY, context: {category: $id}) { products { id } decision { mode } }
  i: components(names: [$s], page: $s) { name reason }
}
"""
CONTEXT = "query ($c: Context) { segment(context: $c) { persona } components(context: $c) { name } }"
WRITES = """
mutation ($id: ID!) {
  a: addToBasket(productId: $id) { id }
  b: addToBasket(productId: "1", basketId: $id) { id }
}
"""
REPORT = """
mutation ($id: ID!) {
  report(outcomes: [{decisionId: $id, kind: DISPLAYED, id: $id, productId: $id}]) { accepted rejected { code } }
}
"""


def codes(answer: dict[str, object]) -> set[str]:
    errors = answer.get("errors", [])
    assert isinstance(errors, list)
    return {error["extensions"]["code"] for error in errors}


async def provoke(gateway: GatewayClient, text: str) -> set[str]:
    """Every code that a text brings about, wherever it is put."""
    member = {"customerId": text, "category": text, "region": text, "supports": [{"name": text, "version": text}]}
    found = codes(await gateway.ask(EVERYWHERE, {"s": text, "id": text}))
    found |= codes(await gateway.ask(WRITES, {"id": text}))
    found |= codes(await gateway.ask(REPORT, {"id": text}))
    for name, value in member.items():
        found |= codes(await gateway.ask(CONTEXT, {"c": {name: value}}))
    return found


KNOWN = {
    "BAD_USER_INPUT",
    "BAD_REQUEST",
    "NOT_FOUND",
    "INVALID_CURSOR",
    "FORBIDDEN_CONTEXT",
    "REFUSED_BY_SHOP",
}


@pytest.mark.parametrize("text", HOSTILE, ids=range(len(HOSTILE)))
async def test_known_attacks_get_known_codes(gateway: GatewayClient, text: str) -> None:
    assert await provoke(gateway, text) <= KNOWN


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(text=st.text(alphabet=st.characters(exclude_categories=["Cs"]), max_size=60))
async def test_any_text_gets_known_codes(gateway: GatewayClient, text: str) -> None:
    assert await provoke(gateway, text) <= KNOWN


@contextmanager
def logs() -> Iterator[io.StringIO]:
    """What is logged while the block runs, at the most talkative level a production would use."""
    written = io.StringIO()
    configure_logging("INFO", stream=written, json=True)
    try:
        yield written
    finally:
        structlog.reset_defaults()


async def test_nothing_personal_is_logged(gateway: GatewayClient) -> None:
    secret = "jane.doe-4711"
    with logs() as written:
        await provoke(gateway, secret)
        await gateway.ask(CONTEXT, {"c": {}}, gateway.token(secret))
        await gateway.ask(CONTEXT, {"c": {}}, f"forged-{secret}")
    assert '"event":"request"' in written.getvalue().replace('": "', '":"')
    assert secret not in written.getvalue()
