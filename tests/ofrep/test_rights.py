"""Nobody gets another's flags: what a context may claim, and that it is refused and never silently replaced."""

import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry.trace import NoOpTracer

from gateway.ofrep_subject import Claim, read_claim
from gateway.visitor import COOKIE
from personalization.clock import Deadline, SystemClock
from resolvers.errors import InvalidArgument
from resolvers.sources.embedded import EmbeddedSource
from resolvers.sources.source import Customer
from tests.gateway.client import GatewayClient
from tests.ofrep.asking import every, one, variant

JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=300),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)
NAMES = st.sampled_from(
    ["targetingKey", "customerId", "persona", "category", "region", "season", "device", "supports", "segment", "role"]
)


async def sponsored(gateway: GatewayClient) -> Customer:
    """A customer of the embedded shop that has sponsors."""
    clock = SystemClock()
    source = EmbeddedSource.open(gateway.settings.data_dir / "catalogue.sqlite", clock, NoOpTracer())
    try:
        found = await source.customers([str(number) for number in range(1, 400)], Deadline.after(5, clock))
    finally:
        await source.aclose()
    return next(each for each in found if each is not None and len(each.sponsors) >= 2)


@pytest.mark.parametrize("key", [None, "customer:7", "7"])
async def test_a_customer_is_itself_by_any_of_its_names(gateway: GatewayClient, key: str | None) -> None:
    context = {} if key is None else {"targetingKey": key}
    assert await variant(gateway, "by-key", context, gateway.token("7")) == "v2"


async def test_a_visitor_is_itself_by_the_id_of_its_cookie(gateway: GatewayClient) -> None:
    own = (await one(gateway, "split")).json()
    visitor = gateway.http.cookies[COOKIE].partition(".")[0]
    for key in (visitor, f"visitor:{visitor}"):
        assert (await one(gateway, "split", {"targetingKey": key})).json() == own


@pytest.mark.parametrize(
    "context",
    [
        {"targetingKey": "8"},
        {"targetingKey": "customer:8"},
        {"targetingKey": "nobody-knows-me"},
        {"targetingKey": "visitor:AAAAAAAAAAAAAAAAAAAAAA"},
        {"customerId": "8"},
        {"persona": "SHOP_OWNER"},
        {"segment": "collectors"},
        {"role": "editor"},
    ],
)
@pytest.mark.parametrize("signed_in", [False, True])
async def test_others_are_forbidden(gateway: GatewayClient, context: dict[str, str], signed_in: bool) -> None:
    token = gateway.token("7", role="BUILDER") if signed_in else None
    for answer in (await one(gateway, "banner", context, token), await every(gateway, context, token)):
        assert answer.status_code == 403
        assert answer.json()["code"] == "FORBIDDEN_CONTEXT"
        assert answer.json()["errorCode"] == "INVALID_CONTEXT"


async def test_a_sponsor_asks_for_those_below_it_and_gets_what_they_get(gateway: GatewayClient) -> None:
    customer = await sponsored(gateway)
    assert customer.persona is not None
    own = (await every(gateway, {}, gateway.token(customer.id, role=customer.persona.value))).json()["flags"]
    for context in ({"targetingKey": customer.id}, {"customerId": customer.id}):
        seen = await every(gateway, context, gateway.token(customer.sponsors[-1]))
        assert seen.json()["flags"] == own
    upwards = await every(gateway, {"targetingKey": customer.sponsors[-1]}, gateway.token(customer.id))
    assert upwards.status_code == 403


@pytest.mark.parametrize(
    ("key", "context"),
    [
        ("by-key", {"targetingKey": "7"}),
        ("by-key", {"customerId": "7"}),
        ("by-persona", {"persona": "BUILDER"}),
        ("by-persona", {"targetingKey": "visitor:AAAAAAAAAAAAAAAAAAAAAA", "persona": "BUILDER"}),
        ("by-segment", {"segment": "collectors"}),
        ("by-role", {"role": "editor"}),
    ],
)
async def test_who_may_preview_may_be_anybody(gateway: GatewayClient, key: str, context: dict[str, str]) -> None:
    token = gateway.token("1", scope="preview", role="CONSULTANT")
    assert await variant(gateway, key, {}, token) == "v1"
    assert await variant(gateway, key, context, token) == "v2"


async def test_a_previewed_visitor_has_nothing_of_the_viewer(gateway: GatewayClient) -> None:
    token = gateway.token("1", scope="preview", role="BUILDER")
    assert await variant(gateway, "by-persona", {}, token) == "v2"
    assert await variant(gateway, "by-persona", {"targetingKey": "visitor:AAAAAAAAAAAAAAAAAAAAAA"}, token) == "v1"


@pytest.mark.parametrize("key", ["customer:7", "7", "visitor:AAAAAAAAAAAAAAAAAAAAAA"])
async def test_two_customers_at_once_are_a_contradiction(gateway: GatewayClient, key: str) -> None:
    token = gateway.token("7", scope="preview")
    answer = await one(gateway, "banner", {"targetingKey": key, "customerId": "8"}, token)
    assert (answer.status_code, answer.json()["errorCode"]) == (400, "INVALID_CONTEXT")
    if not key.startswith("visitor:"):
        assert (await one(gateway, "banner", {"targetingKey": key, "customerId": "7"}, token)).status_code == 200


async def test_the_first_answer_brings_the_visitor_cookie(gateway: GatewayClient) -> None:
    first = await every(gateway)
    assert f"{COOKIE}=" in first.headers["set-cookie"]
    again = await every(gateway)
    assert "set-cookie" not in again.headers
    assert again.headers["etag"] == (await every(gateway)).headers["etag"]


@given(st.dictionaries(NAMES | st.text(max_size=70), JSON_VALUES, max_size=6) | JSON_VALUES)
def test_any_json_is_a_claim_or_an_invalid_argument(context: Any) -> None:
    try:
        claim = read_claim(context)
    except InvalidArgument:
        return
    assert isinstance(claim, Claim)
    ours = {"targetingKey", "customerId", "persona", "category", "region", "season", "device", "supports"}
    assert not (ours | {"segment", "role"}) & claim.free.keys()
    assert all(isinstance(value, str | int | float | bool) for value in claim.free.values())
    assert not any(isinstance(value, float) and math.isnan(value) for value in claim.free.values())
