"""The home query: plain and personalized fields on real data."""

from tests.gateway.client import GatewayClient
from tests.gateway.conftest import Open


async def test_without_a_context_everyone_gets_the_same(gateway: GatewayClient) -> None:
    first, second = await gateway.home(), await gateway.home()
    assert first == second
    assert "errors" not in first
    assert "extensions" not in first
    data = first["data"]
    assert len(data["catalog"]["edges"]) == 24
    assert len(data["recommendations"]["products"]) == 12
    assert data["recommendations"]["decision"] == {
        "id": None,
        "action": "bestsellers",
        "probability": 1.0,
        "policy": "default@1",
        "mode": "DEFAULT",
        "reason": "NO_CONTEXT",
    }
    assert len(data["components"]) == 11
    assert data["segment"] == {"persona": "VISITOR", "key": None, "mode": "DEFAULT"}
    tile = data["catalog"]["edges"][0]["node"]
    assert tile["name"]
    assert float(tile["price"]["amount"]) > 0
    assert tile["stock"]["available"] in (True, False)
    assert tile["category"]["name"]


async def test_with_a_context_a_bandit_decides(gateway: GatewayClient) -> None:
    answer = await gateway.home({"region": "US-NE", "season": "SUMMER"})
    assert "errors" not in answer
    decision = answer["data"]["recommendations"]["decision"]
    assert decision["mode"] == "LOG_ONLY"
    assert decision["probability"] == 0.25
    assert decision["policy"] == "uniform@1"
    assert decision["action"] in {"category1", "category2", "bestsellers", "trending"}
    assert answer["extensions"]["context"] == {
        "customerId": None,
        "persona": "VISITOR",
        "segment": None,
        "category": None,
        "region": "US-NE",
        "season": "SUMMER",
        "device": None,
        "role": "VISITOR",
        "appVersion": None,
    }


async def test_a_customer_is_known_by_its_token(gateway: GatewayClient) -> None:
    answer = await gateway.ask(
        "query ($context: Context) { segment(context: $context) { persona mode reason } }",
        {"context": {}},
        gateway.token("1", role="CONSULTANT"),
    )
    assert answer["data"]["segment"] == {"persona": "CONSULTANT", "mode": "PERSONALIZED", "reason": "ROLE"}
    assert answer["extensions"]["context"]["customerId"] == "1"


async def test_every_action_fills_its_shelf(gateway: GatewayClient) -> None:
    """Enough pages that each of four equally likely actions was drawn; all but one in 10^10 runs."""
    shelves: dict[str, list[str]] = {}
    for _ in range(100):
        shelf = (await gateway.home({}, products=1))["data"]["recommendations"]
        shelves[shelf["decision"]["action"]] = [product["id"] for product in shelf["products"]]
    assert shelves.keys() == {"category1", "category2", "bestsellers", "trending"}
    assert all(len(set(ids)) == 12 for ids in shelves.values())


async def test_decisions_are_journalled_and_outcomes_are_durable_before_the_answer(open_gateway: Open) -> None:
    async with open_gateway() as gateway:
        decision = (await gateway.home({"region": "US-S"}))["data"]["recommendations"]["decision"]
        await gateway.home()
        report = await gateway.ask(
            """mutation ($outcomes: [OutcomeInput!]!) {
                 report(outcomes: $outcomes) { accepted duplicates rejected { index code } }
               }""",
            {
                "outcomes": [
                    {"decisionId": decision["id"], "kind": "ADDED_TO_BASKET", "id": "click-1", "quantity": 2},
                    {"decisionId": decision["id"], "kind": "ADDED_TO_BASKET", "id": "click-1", "quantity": 2},
                    {"decisionId": "not-an-id", "kind": "DETAIL_DISPLAYED"},
                    {"decisionId": decision["id"], "kind": "DISPLAYED", "durationS": -1},
                    {"decisionId": decision["id"], "kind": "DISPLAYED", "durationS": 12},
                ]
            },
        )
        assert report["data"]["report"] == {
            "accepted": 2,
            "duplicates": 1,
            "rejected": [{"index": 2, "code": "INVALID_DECISION_ID"}, {"index": 3, "code": "INVALID_DURATION"}],
        }
        outcomes = await gateway.events("outcomes")
        assert [(each["decision_id"], each["kind"], each["duration_s"]) for each in outcomes] == [
            (decision["id"], "ADDED_TO_BASKET", None),
            (decision["id"], "DISPLAYED", 12.0),
        ]
    async with open_gateway() as again:
        decisions = await again.events("decisions")
    shelves = [each for each in decisions if not each["context"]["placement"].startswith("component:")]
    assert [each["id"] for each in shelves] == [decision["id"]]
    assert shelves[0]["distribution"] == [0.25] * 4
    assert shelves[0]["action"] == decision["action"]
    assert len(shelves[0]["trace_id"]) == 32
    # The page's personalized components are decided too, unless the viewer is held back; without a context nothing is.
    pieces = sorted(each["context"]["placement"] for each in decisions if each not in shelves)
    assert pieces in ([], ["component:hero", "component:product-tile"])


async def test_a_beacon_reports_an_outcome(gateway: GatewayClient) -> None:
    decision = (await gateway.home({}))["data"]["recommendations"]["decision"]
    beacon = await gateway.http.post(
        "/events",
        content=b'[{"id": "b1", "type": "detail_displayed", "decisionId": "%s"}]' % decision["id"].encode(),
        headers={"Content-Type": "text/plain;charset=UTF-8"},
    )
    assert beacon.status_code == 202
    assert [each["kind"] for each in await gateway.events("outcomes")] == ["DETAIL_DISPLAYED"]
