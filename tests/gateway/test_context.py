"""A viewer may claim only a context it has a right to; never a silent other answer."""

import pytest
from opentelemetry.trace import NoOpTracer

from personalization.clock import Deadline, SystemClock
from resolvers.sources.embedded import EmbeddedSource
from tests.gateway.client import GatewayClient

SEGMENT = "query ($context: Context) { segment(context: $context) { persona reason } }"


@pytest.fixture
async def sponsored(gateway: GatewayClient) -> tuple[str, str, str]:
    """A customer, one that sponsors it (not directly), and one that does not."""
    clock = SystemClock()
    source = EmbeddedSource.open(gateway.settings.data_dir / "catalogue.sqlite", clock, NoOpTracer())
    try:
        ids = [str(number) for number in range(1, 400)]
        found = await source.customers(ids, Deadline.after(5, clock))
    finally:
        await source.aclose()
    customer = next(each for each in found if each is not None and len(each.sponsors) >= 2)
    stranger = next(each for each in found if each is not None and each.id not in (customer.id, *customer.sponsors))
    return customer.id, customer.sponsors[-1], stranger.id


async def test_a_sponsor_shops_on_behalf_of_a_customer(gateway: GatewayClient, sponsored: tuple[str, str, str]) -> None:
    customer, sponsor, _ = sponsored
    answer = await gateway.ask(SEGMENT, {"context": {"customerId": customer}}, gateway.token(sponsor))
    assert answer["extensions"]["context"]["customerId"] == customer


async def test_nobody_else_may(gateway: GatewayClient, sponsored: tuple[str, str, str]) -> None:
    customer, sponsor, stranger = sponsored
    attempts = [(customer, stranger), (sponsor, customer)]
    for wanted, viewer in attempts:
        answer = await gateway.ask(SEGMENT, {"context": {"customerId": wanted}}, gateway.token(viewer))
        assert answer["data"] is None
        assert answer["errors"][0]["extensions"]["code"] == "FORBIDDEN_CONTEXT"


async def test_an_answer_does_not_tell_who_is_a_customer(
    gateway: GatewayClient, sponsored: tuple[str, str, str]
) -> None:
    customer, _, stranger = sponsored
    there = await gateway.ask(SEGMENT, {"context": {"customerId": customer}}, gateway.token(stranger))
    missing = await gateway.ask(SEGMENT, {"context": {"customerId": "no-such-one"}}, gateway.token(stranger))
    assert there == missing


async def test_the_preview_right_opens_every_context(gateway: GatewayClient, sponsored: tuple[str, str, str]) -> None:
    customer, _, stranger = sponsored
    token = gateway.token(stranger, scope="preview")
    answer = await gateway.ask(SEGMENT, {"context": {"customerId": customer, "persona": "BUILDER"}}, token)
    assert answer["data"]["segment"]["persona"] == "BUILDER"


async def test_a_visitor_may_not_pass_for_a_builder(gateway: GatewayClient) -> None:
    answer = await gateway.ask(SEGMENT, {"context": {"persona": "BUILDER"}})
    assert answer["errors"][0]["extensions"]["code"] == "FORBIDDEN_CONTEXT"
    assert "preview" in answer["errors"][0]["message"]


async def test_two_fields_with_two_contexts_are_both_echoed(gateway: GatewayClient) -> None:
    answer = await gateway.ask(
        '{ a: segment(context: {region: "US-NE"}) { persona } b: segment(context: {region: "AU"}) { persona } }'
    )
    assert [each["region"] for each in answer["extensions"]["contexts"]] == ["US-NE", "AU"]


@pytest.mark.parametrize(
    ("member", "message"),
    [
        ('region: "<script>"', "`context.region`"),
        (f'region: "{"x" * 17}"', "`context.region`"),
        ('supports: [{name: "hero", version: "latest"}]', "`context.supports.version`"),
    ],
)
async def test_malformed_members_are_named(gateway: GatewayClient, member: str, message: str) -> None:
    answer = await gateway.ask(f"{{ segment(context: {{{member}}}) {{ persona }} }}")
    assert answer["errors"][0]["extensions"]["code"] == "BAD_USER_INPUT"
    assert message in answer["errors"][0]["message"]


async def test_what_the_client_can_render_bounds_the_versions(gateway: GatewayClient) -> None:
    query = """query ($context: Context) {
      components(names: ["hero", "nothing"], context: $context) {
        name version enabled reason exposure { flagKey variant decidedBy }
      }
    }"""
    hero, nothing = (await gateway.ask(query, {"context": {"supports": [{"name": "hero", "version": "v1"}]}}))["data"][
        "components"
    ]
    assert hero["version"] in ("v1", None)
    assert hero["exposure"]["flagKey"]
    assert nothing == {
        "name": "nothing",
        "version": None,
        "enabled": False,
        "reason": "UNKNOWN_COMPONENT",
        "exposure": None,
    }


COMPONENTS = 'query ($context: Context) { components(names: ["shelf"], context: $context) { version decidedBy } }'


async def test_flags_see_the_version_of_the_client(gateway: GatewayClient) -> None:
    versions = {"1.9.9": "v1", "2.0.0": "v2", "2.10.0": "v2", "nonsense": "v1"}
    for told, version in versions.items():
        answer = await gateway.ask(COMPONENTS, {"context": {"appVersion": told}})
        assert answer["data"]["components"][0]["version"] == version
        assert answer["extensions"]["context"]["appVersion"] == told


@pytest.mark.parametrize("told", ["", "2.0.0 beta", "x" * 33, "2\n"])
async def test_a_version_of_the_client_is_a_short_word(gateway: GatewayClient, told: str) -> None:
    answer = await gateway.ask(COMPONENTS, {"context": {"appVersion": told}})
    assert answer["errors"][0]["extensions"]["code"] == "BAD_USER_INPUT"


async def test_a_role_is_what_one_is_and_not_what_is_previewed(gateway: GatewayClient) -> None:
    token = gateway.token("1", role="CONSULTANT", scope="preview")
    answer = await gateway.ask(SEGMENT, {"context": {"persona": "BUILDER"}}, token)
    used = answer["extensions"]["context"]
    assert (used["persona"], used["role"]) == ("BUILDER", "CONSULTANT")
